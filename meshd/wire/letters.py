"""What two devices say to each other under their pairwise keys, and how it goes by UDP.

Enters: an opened body, an introduction, or a datagram. Leaves: values, or WireError. Opened bodies
begin with a kind; an introduction is not sealed, since it brings the key that sealing needs:

    ECHO          1, token:4
    TEXT          3, number:4, UTF-8
    READ          4, number:4
    introduction  flags:1 (bit 0: tell me your key), public key:32

Datagrams carry what a LoRa frame's DIRECT and ANSWER carry, from node to node, to where the next
hop is a radio or the end is. `via` is where the answer goes; `origin` is a short address.
Ref: docs/wire-format.md#letters.
"""

from struct import Struct
from typing import NamedTuple

from meshd.core.crypto import KEY_LEN
from meshd.core.errors import UsageError, WireError
from meshd.core.ids import NODE_ID_LEN, SHORT_LEN, node_id
from meshd.wire.datagrams import DatagramKind

TOKEN_LEN = 4
TAG_LEN = 8
NUMBER_MAX = 0xFFFFFFFF
INTRODUCTION_LEN = 1 + KEY_LEN
HOP_LIMIT = 32
DATAGRAM_BODY_MAX = 1100

_ECHO, _TEXT, _READ = 1, 3, 4
_WANTED = 1
_ECHO_STRUCT = Struct(f">B{TOKEN_LEN}s")
_NUMBERED = Struct(">BI")
_DIRECT_STRUCT = Struct(f">BB{NODE_ID_LEN}s{NODE_ID_LEN}sH{SHORT_LEN}s")
_ANSWER_STRUCT = Struct(f">BB{NODE_ID_LEN}sH{TAG_LEN}s")
TEXT_HEAD_LEN = _NUMBERED.size


class Echo(NamedTuple):
    """A question whose answer is that it arrived; the token makes it the only one of its kind."""

    token: bytes

    def encode(self) -> bytes:
        """Return the plaintext."""
        return _ECHO_STRUCT.pack(_ECHO, self.token)


class Text(NamedTuple):
    """A text. Its number rises by one with each text of its sender."""

    number: int
    text: str

    def encode(self) -> bytes:
        """Return the plaintext. Raises: UsageError without text."""
        if not self.text:
            raise UsageError("a message without a text")
        return _NUMBERED.pack(_TEXT, self.number) + self.text.encode()


class Read(NamedTuple):
    """That a person has seen the text with this number."""

    number: int

    def encode(self) -> bytes:
        """Return the plaintext."""
        return _NUMBERED.pack(_READ, self.number)


Letter = Echo | Text | Read


def parse(data: bytes) -> Letter:
    """Take an opened body apart. Raises: WireError."""
    kind = data[0] if data else 0
    if kind == _ECHO and len(data) == _ECHO_STRUCT.size:
        return Echo(data[1:])
    if kind == _READ and len(data) == _NUMBERED.size:
        return Read(_NUMBERED.unpack(data)[1])
    if kind == _TEXT and len(data) > _NUMBERED.size:
        try:
            return Text(_NUMBERED.unpack_from(data)[1], data[_NUMBERED.size :].decode())
        except UnicodeDecodeError as error:
            raise WireError("a text that is not UTF-8") from error
    raise WireError(f"{len(data)} bytes are no letter of kind {kind}")


class Introduction(NamedTuple):
    """A device's key, which proves itself: the NodeId is its hash. `wanted`: tell me yours."""

    public: bytes
    wanted: bool = False

    @property
    def node(self) -> bytes:
        """The NodeId of the key."""
        return node_id(self.public)

    def encode(self) -> bytes:
        """Return the body."""
        return bytes([self.wanted]) + self.public

    @classmethod
    def decode(cls, data: bytes) -> "Introduction":
        """Decode a body. Raises: WireError."""
        if len(data) != INTRODUCTION_LEN or data[0] & ~_WANTED:
            raise WireError("no introduction")
        return cls(data[1:], bool(data[0]))


class DirectDatagram(NamedTuple):
    """A sealed body on its way to `destination`. `via` numbered it and awaits the answer."""

    destination: bytes
    via: bytes
    number: int
    origin: bytes
    body: bytes
    hop_limit: int = HOP_LIMIT

    def encode(self) -> bytes:
        """Return the datagram. Raises: UsageError for a body too long."""
        if not 0 < len(self.body) <= DATAGRAM_BODY_MAX:
            raise UsageError(f"a letter of {len(self.body)} bytes")
        fixed = (self.destination, self.via, self.number, self.origin)
        return _DIRECT_STRUCT.pack(DatagramKind.DIRECT, self.hop_limit, *fixed) + self.body


class AnswerDatagram(NamedTuple):
    """That a body with this number of `destination` arrived; the tag proves it to its origin."""

    destination: bytes
    number: int
    tag: bytes
    hop_limit: int = HOP_LIMIT

    def encode(self) -> bytes:
        """Return the datagram."""
        fixed = (self.hop_limit, self.destination, self.number, self.tag)
        return _ANSWER_STRUCT.pack(DatagramKind.DIRECT_ANSWER, *fixed)


def decode_datagram(data: bytes) -> DirectDatagram | AnswerDatagram:
    """Decode either datagram. Raises: WireError."""
    if len(data) < 2 or data[1] > HOP_LIMIT:
        raise WireError("no datagram, or more hops than one may make")
    if data[0] == DatagramKind.DIRECT_ANSWER and len(data) == _ANSWER_STRUCT.size:
        _, hop_limit, destination, number, tag = _ANSWER_STRUCT.unpack(data)
        return AnswerDatagram(destination, number, tag, hop_limit)
    begin = _DIRECT_STRUCT.size
    if data[0] == DatagramKind.DIRECT and begin < len(data) <= begin + DATAGRAM_BODY_MAX:
        _, hop_limit, destination, via, number, origin = _DIRECT_STRUCT.unpack_from(data)
        return DirectDatagram(destination, via, number, origin, data[begin:], hop_limit)
    raise WireError(f"{len(data)} bytes are no datagram of kind {data[0]}")
