"""One entry of a feed: bytes <-> values, what is signed, and how entries chain.

Enters: bytes of a peer or of the store. Leaves: `Entry`, its signed statement and its hashes. Knows
no key but the author's public one, and does not judge who may write what.
An entry verifies alone: everything signed is carried or known to whoever knows the space and the
author. The body is signed by its hash, so that an erased body leaves a feed that still verifies.
Ref: docs/wire-format.md#entry, docs/decisions/0002-space-v0.md.
"""

from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from meshd.core import crypto
from meshd.core.crypto import SIGNATURE_LEN, TAG_LEN
from meshd.core.errors import WireError
from meshd.core.limits import ENTRY_PAYLOAD_MAX

_HEAD = Struct("!BBB4sII4s8s8s8s")
_CLEAR = Struct("!H")
_DOMAIN = b"meshd-entry-1"
_ERASED = 0x80
_MANDATORY_FLAGS = 0xF0
_HASH_LEN = 32

VERSION = 0
HEAD_LEN = _HEAD.size
SHORT_LEN = 8
"""Carried bytes of the running hash, of the membership digest and of the nonce seed."""
CLEAR_MAX = 4096
FIXED_LEN = HEAD_LEN + _CLEAR.size + TAG_LEN + SIGNATURE_LEN
"""Bytes of an entry beyond its clear part and its payload."""
ENTRY_LEN_MAX = FIXED_LEN + CLEAR_MAX + ENTRY_PAYLOAD_MAX
SEQ_MAX = 0xFFFFFFFF


class Kind(IntEnum):
    """What an entry is. Below `MEMBERSHIP_KINDS`: judged by everybody, relays too.

    Kinds 6 to 15 are kept for removal, rotation, closing statements, recovery and the confirmation
    of contested invitations.
    """

    FOUNDING = 1
    ADMIT = 2
    INVITE = 3
    REVOKE_INVITE = 4
    SUCCESSOR = 5
    POST = 32
    MESSAGE = 33
    RECEIPT = 34
    FILE = 35
    LETTER = 36
    PREKEY = 37
    DISTRESS = 38


MEMBERSHIP_KINDS = 32
MAIL_KINDS = (Kind.MESSAGE, Kind.RECEIPT, Kind.LETTER)


class Head(NamedTuple):
    """The fixed fields. `membership` and `prev` are the first 8 bytes of 32-byte hashes.

    `time_s` is the author's wall clock, 0 when it had none; nothing depends on it.
    """

    kind: int
    flags: int
    author_id: bytes
    seq: int
    time_s: int
    epoch_id: bytes
    membership: bytes
    prev: bytes
    seed: bytes

    def encode(self) -> bytes:
        """Return the 43 bytes that open an entry."""
        return _HEAD.pack(VERSION, *self)


class Entry(NamedTuple):
    """A decoded entry. `body` is None when it was erased; `body_hash` always stands for it."""

    head: Head
    body: bytes | None
    body_hash: bytes
    signature: bytes

    @property
    def clear(self) -> bytes:
        """The part that relays read; empty for an erased body."""
        if self.body is None:
            return b""
        (length,) = _CLEAR.unpack_from(self.body)
        return self.body[_CLEAR.size : _CLEAR.size + length]

    @property
    def sealed(self) -> bytes:
        """The ciphertext with its tag; empty for an erased body."""
        if self.body is None:
            return b""
        (length,) = _CLEAR.unpack_from(self.body)
        return self.body[_CLEAR.size + length :]

    def encode(self) -> bytes:
        """Return the bytes that are stored and sent."""
        if self.body is None:
            head = bytes([VERSION | _ERASED]) + self.head.encode()[1:]
            return head + self.body_hash + self.signature
        return self.head.encode() + self.body + self.signature

    def erased(self) -> "Entry":
        """Return this entry without its body."""
        return self._replace(body=None)

    def statement(self, space: bytes, author: bytes) -> bytes:
        """Return what the signature covers."""
        return statement(space, author, self.head, self.body_hash)

    def digest(self, space: bytes, author: bytes) -> bytes:
        """Return the 32-byte hash that names this entry: of the statement, not of the body."""
        return crypto.digest(self.statement(space, author))


def kind_name(kind: int) -> str:
    """Return the word for an entry's kind; a number for a kind of a later version."""
    try:
        return Kind(kind).name.lower().replace("_", "-")
    except ValueError:
        return str(kind)


def pack_body(clear: bytes, sealed: bytes) -> bytes:
    """Return the body of an entry: length of the clear part (2), clear part, ciphertext and tag.

    Raises: WireError when a part is too long.
    """
    if len(clear) > CLEAR_MAX or not TAG_LEN <= len(sealed) <= ENTRY_PAYLOAD_MAX + TAG_LEN:
        raise WireError("entry body too long")
    return _CLEAR.pack(len(clear)) + clear + sealed


def hash_body(body: bytes) -> bytes:
    """Return the 32-byte hash by which a body is signed."""
    return crypto.digest(body, person=b"meshd-body")


def statement(space: bytes, author: bytes, head: Head, body_hash: bytes) -> bytes:
    """Return what an author signs: domain, space id, own key, head, hash of the body."""
    return _DOMAIN + space + author + head.encode() + body_hash


def first_running(space: bytes, author: bytes) -> bytes:
    """Return the running hash of an empty feed."""
    return crypto.digest(space + author, person=b"meshd-feed")


def next_running(running: bytes, entry_digest: bytes) -> bytes:
    """Return the running hash after one more entry; its first 8 bytes are the next `prev`."""
    return crypto.digest(running + entry_digest, person=b"meshd-running")


def decode(data: bytes) -> Entry:
    """Decode an entry.

    Raises: WireError.
    """
    if len(data) > ENTRY_LEN_MAX or len(data) < FIXED_LEN:
        raise WireError("entry length")
    version, *fields = _HEAD.unpack_from(data)
    head = Head(*fields)
    if version & ~_ERASED != VERSION:
        raise WireError("entry version")
    if head.flags & _MANDATORY_FLAGS:
        raise WireError("entry has a flag that must be understood")
    if not head.seq:
        raise WireError("entry number 0")
    body, signature = data[HEAD_LEN:-SIGNATURE_LEN], data[-SIGNATURE_LEN:]
    if version & _ERASED:
        if len(body) != _HASH_LEN:
            raise WireError("erased entry length")
        return Entry(head, None, body, signature)
    if len(body) < _CLEAR.size + TAG_LEN:
        raise WireError("entry body length")
    (length,) = _CLEAR.unpack_from(body)
    sealed_len = len(body) - _CLEAR.size - length
    if length > CLEAR_MAX or not TAG_LEN <= sealed_len <= ENTRY_PAYLOAD_MAX + TAG_LEN:
        raise WireError("entry clear part length")
    return Entry(head, body, hash_body(body), signature)
