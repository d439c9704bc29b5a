"""Encode and decode what a session's stream carries: opening, handshake payload, records.

Enters: bytes of a stream, cut into items by `session/`. Leaves: frozen values. Encryption is not
done here: a record is the plaintext inside one AEAD box.
Ref: docs/wire-format.md#session.
"""

from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from meshd.core.errors import WireError
from meshd.core.identity import CERTIFICATE_LEN
from meshd.core.ids import MESH_ID_LEN
from meshd.core.names import shows

VERSION = 1
MAGIC = b"md"
_OPENING = Struct(f">2sBB{MESH_ID_LEN}s")
OPENING_LEN = _OPENING.size

LENGTH = Struct(">H")
"""In front of each handshake message and each record's ciphertext."""

HANDSHAKE_MESSAGE_MAX = 512
"""Bytes of one Noise message with its payload."""

_PAYLOAD = Struct(f">{CERTIFICATE_LEN}sQH")

NODE_NAME_MAX = 64
"""Bytes of the name that a node gives itself; a longer one is not told."""

TAG_LEN = 16
RECORD_PLAINTEXT_MAX = 65535 - TAG_LEN
RECORD_DATA_MAX = RECORD_PLAINTEXT_MAX - 1
"""Bytes of one data record's body."""

BULK_BYTES_MAX = 64 * 1024
"""Raw bytes that one bulk head announces."""

_BULK = Struct(">I")
BULK_HEAD_MAX = RECORD_DATA_MAX - _BULK.size


class PatternCode(IntEnum):
    """Which Noise pattern the initiator chose."""

    IK = 1
    XX = 2


class Opening(NamedTuple):
    """The first bytes of the initiator, in clear: version, pattern, mesh id (5)."""

    version: int
    pattern: int
    mesh: bytes

    def encode(self) -> bytes:
        """Return the nine bytes."""
        return _OPENING.pack(MAGIC, self.version, self.pattern, self.mesh)

    @classmethod
    def decode(cls, data: bytes) -> "Opening":
        """Decode the nine bytes; version and pattern are the caller's to judge.

        Raises: WireError when they are not ours.
        """
        if len(data) != OPENING_LEN or not data.startswith(MAGIC):
            raise WireError("not the opening of a meshd session")
        _, version, pattern, mesh = _OPENING.unpack(data)
        return cls(version, pattern, mesh)


class HandshakePayload(NamedTuple):
    """What each side says inside the handshake: certificate (96), boot number, listening port.

    Port 0: does not listen. `name` is what the node calls itself; one that is no
    text, or longer than `NODE_NAME_MAX`, reads as none. Bytes after these are for later versions.
    """

    certificate: bytes
    boot: int
    port: int
    name: str = ""

    def encode(self) -> bytes:
        """Return the payload."""
        fixed = _PAYLOAD.pack(self.certificate, self.boot, self.port)
        name = self.name.encode()
        told = 0 < len(name) <= NODE_NAME_MAX
        return fixed + (bytes([len(name)]) + name if told else b"")

    @classmethod
    def decode(cls, data: bytes) -> "HandshakePayload":
        """Decode a payload.

        Raises: WireError when it is too short.
        """
        if len(data) < _PAYLOAD.size:
            raise WireError(f"handshake payload of {len(data)} bytes")
        rest = data[_PAYLOAD.size :]
        name = rest[1 : 1 + rest[0]] if rest and len(rest) > rest[0] else b""
        certificate, boot, port = _PAYLOAD.unpack_from(data)
        return cls(certificate, boot, port, node_name(name))


def node_name(data: bytes) -> str:
    """Return the name that a node gives itself; "" for what is none."""
    try:
        name = data.decode()
    except UnicodeDecodeError:
        return ""
    usable = shows(name) and name == name.strip() and len(data) <= NODE_NAME_MAX
    return name if usable else ""


class RecordKind(IntEnum):
    """First byte of a record's plaintext."""

    CONFIRM = 0
    DATA = 1
    BULK = 2


class Confirm(NamedTuple):
    """The initiator's first record: proves that it is there now, not replayed."""

    def encode(self) -> bytes:
        """Return the plaintext."""
        return bytes((RecordKind.CONFIRM,))


class Data(NamedTuple):
    """One message of the layer above."""

    body: bytes

    def encode(self) -> bytes:
        """Return the plaintext."""
        return b"\x01" + self.body


class BulkHead(NamedTuple):
    """Announces `length` raw bytes that follow this record outside AEAD, and says what they are."""

    length: int
    head: bytes

    def encode(self) -> bytes:
        """Return the plaintext."""
        return b"\x02" + _BULK.pack(self.length) + self.head


def decode_record(plaintext: bytes) -> Confirm | Data | BulkHead:
    """Decode a record's plaintext.

    Raises: WireError for an unknown kind, a confirm with a body, a bulk of 0 or too many bytes.
    """
    if not plaintext:
        raise WireError("empty record")
    kind = plaintext[0]
    if kind == RecordKind.DATA:
        return Data(plaintext[1:])
    if kind == RecordKind.BULK:
        if len(plaintext) < 1 + _BULK.size:
            raise WireError("bulk head cut short")
        (length,) = _BULK.unpack_from(plaintext, 1)
        if not 0 < length <= BULK_BYTES_MAX:
            raise WireError(f"bulk of {length} bytes")
        return BulkHead(length, plaintext[1 + _BULK.size :])
    if kind == RecordKind.CONFIRM and len(plaintext) == 1:
        return Confirm()
    raise WireError(f"record kind {kind}")
