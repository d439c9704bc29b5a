"""Messages about files between two nodes that share a space: types 32 to 47.

Enters: a record of a session, or the head of a bulk. Leaves: a frozen value, or WireError. A file
is named by its space and the name of its top index chunk (`root`); a chunk of it by its *address*:
a place for content, or one of the index. Big-endian. Ref: docs/wire-format.md#files.
"""

from struct import Struct, iter_unpack
from typing import NamedTuple

from meshd.core.errors import WireError

FILE_TYPES = range(32, 48)
ASK, PIECE, MISSING, CANCEL, OFFER, HELD = range(32, 38)

NAME_LEN = 32
ITEMS_MAX = 64
"""Items in one ASK, MISSING, CANCEL or OFFER."""
ROOTS_MAX = 512
"""Files in one HELD."""
PIECE_BYTES_MAX = 64 * 1024

INDEX_NAMES_MAX = 32_000
"""Chunk names in one index chunk."""
ROOT_ADDRESS = 0xFFFFFFFF
LEAF_ADDRESS = 0x80000000
"""Addresses from here on are index chunks of the second level, when there is one."""

_ASK = Struct(">B32s32sB")
_ASKED = Struct(">II")
_PIECE = Struct(">BII")
_REQUESTS = Struct(">BB")
_NUMBER = Struct(">I")
_HELD = Struct(">B32sH")


class Asked(NamedTuple):
    """One chunk under a number that the asker chose; pieces come back under it."""

    request: int
    address: int


class Ask(NamedTuple):
    """ASK (32): wants chunks of a file, in this order."""

    space: bytes
    root: bytes
    asked: tuple[Asked, ...]

    def encode(self) -> bytes:
        """Return the record."""
        head = _ASK.pack(ASK, self.space, self.root, len(self.asked))
        return head + b"".join(_ASKED.pack(*item) for item in self.asked)


class Piece(NamedTuple):
    """PIECE (33): head of a bulk; its raw bytes lie at `offset` of the chunk that was asked."""

    request: int
    offset: int

    def encode(self) -> bytes:
        """Return the head."""
        return _PIECE.pack(PIECE, *self)


class Missing(NamedTuple):
    """MISSING (34): these requests cannot be met now; OFFER may follow later."""

    requests: tuple[int, ...]

    def encode(self) -> bytes:
        """Return the record."""
        return _numbers(MISSING, self.requests)


class Cancel(NamedTuple):
    """CANCEL (35): these requests are wanted no more."""

    requests: tuple[int, ...]

    def encode(self) -> bytes:
        """Return the record."""
        return _numbers(CANCEL, self.requests)


class Offer(NamedTuple):
    """OFFER (36): chunks that were asked and missing are held now."""

    space: bytes
    root: bytes
    addresses: tuple[int, ...]

    def encode(self) -> bytes:
        """Return the record."""
        head = _ASK.pack(OFFER, self.space, self.root, len(self.addresses))
        return head + b"".join(map(_NUMBER.pack, self.addresses))


class Held(NamedTuple):
    """HELD (37): the sender keeps these files, every chunk of them, under its lease."""

    space: bytes
    roots: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Return the record."""
        return _HELD.pack(HELD, self.space, len(self.roots)) + b"".join(self.roots)


FileMessage = Ask | Missing | Cancel | Offer | Held


def decode(data: bytes) -> FileMessage:
    """Decode a record of types 32 to 47.

    Raises: WireError.
    """
    kind = data[0] if data else -1
    if kind in (ASK, OFFER):
        return _decode_ask(kind, data)
    if kind in (MISSING, CANCEL):
        if len(data) < _REQUESTS.size or len(data) != _REQUESTS.size + 4 * _count(data[1]):
            raise WireError("requests of a file message")
        numbers = tuple(number for (number,) in iter_unpack(">I", data[_REQUESTS.size :]))
        return Missing(numbers) if kind == MISSING else Cancel(numbers)
    if kind == HELD:
        return _decode_held(data)
    raise WireError("type of a file message")


def decode_piece(head: bytes, length: int) -> Piece:
    """Decode the head of a bulk of `length` bytes.

    Raises: WireError.
    """
    if len(head) != _PIECE.size or head[0] != PIECE or not 0 < length <= PIECE_BYTES_MAX:
        raise WireError("piece of a file")
    _, request, offset = _PIECE.unpack(head)
    return Piece(request, offset)


def _decode_ask(kind: int, data: bytes) -> Ask | Offer:
    item = _ASKED if kind == ASK else _NUMBER
    if len(data) < _ASK.size:
        raise WireError("length of a file message")
    _, space, root, count = _ASK.unpack_from(data)
    if len(data) != _ASK.size + item.size * _count(count):
        raise WireError("addresses of a file message")
    found = item.iter_unpack(data[_ASK.size :])
    if kind == ASK:
        return Ask(space, root, tuple(Asked(*values) for values in found))
    return Offer(space, root, tuple(address for (address,) in found))


def _decode_held(data: bytes) -> Held:
    if len(data) < _HELD.size:
        raise WireError("length of HELD")
    _, space, count = _HELD.unpack_from(data)
    if not 0 < count <= ROOTS_MAX or len(data) != _HELD.size + NAME_LEN * count:
        raise WireError("roots of HELD")
    starts = range(_HELD.size, len(data), NAME_LEN)
    return Held(space, tuple(data[start : start + NAME_LEN] for start in starts))


def _numbers(kind: int, requests: tuple[int, ...]) -> bytes:
    return _REQUESTS.pack(kind, len(requests)) + b"".join(map(_NUMBER.pack, requests))


def _count(count: int) -> int:
    if not 0 < count <= ITEMS_MAX:
        raise WireError("number of items in a file message")
    return count
