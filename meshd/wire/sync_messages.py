"""Sync and join messages between two nodes, one in each record of a session.

Enters: a decrypted record. Leaves: a frozen value, or WireError. The first byte is the type: 0 to
31 sync, 32 to 47 files (`wire/file_messages.py`), 48 to 63 join. `space` is the number that the
sender gave to a space in its own SPACES. Big-endian. Ref: docs/wire-format.md#sync.
"""

from collections.abc import Callable
from struct import Struct
from typing import Any, NamedTuple

from meshd.core.errors import WireError

VERSION = 0
NONCE_LEN = 16
TAG_LEN = 16
HASH_LEN = 8
RUN_BYTES = 32 * 1024
"""Entry bytes in one ENTRIES, unless a single entry is larger."""
ENTRY_BYTES_MAX = 40 * 1024
RECORD_BYTES_MAX = 60 * 1024
ITEMS_MAX = 680
"""Items in one HAVE, WANT or SPACES: keeps each below 33 KiB."""

SEQ_MAX = 2**63

_HELLO = Struct(">BB16s")
_SPACES = Struct(">BH")
_TAG = Struct(">H16s")
_HAVE = Struct(">BHBH")
_HEAD = Struct(">32sQ8s")
_WANT = Struct(">BHH")
_RANGE = Struct(">32sQH")
_ENTRIES = Struct(">BH32sQBH")
_LENGTH = Struct(">H")
_LEASE = Struct(">BHBII")
_PROBE = Struct(">BH32sQ")
_FORK = Struct(">BH32sQH")
_JOIN = Struct(">BH")
_ANSWER = Struct(">BHB")

KEPT = 1
MORE = 2
LAST = 1
REFUSED = 1


class Hello(NamedTuple):
    """HELLO (0): opens a session. `nonce` is 16 fresh bytes, the tags of the other side use it."""

    nonce: bytes
    version: int = VERSION

    def encode(self) -> bytes:
        """Return the record."""
        return _HELLO.pack(0, self.version, self.nonce)


class SpaceTag(NamedTuple):
    """A space under the sender's number, recognisable only with the space's fetch key."""

    number: int
    tag: bytes


class SpaceTags(NamedTuple):
    """SPACES (1): the sender's spaces; later ones add to the first."""

    tags: tuple[SpaceTag, ...]

    def encode(self) -> bytes:
        """Return the record."""
        return _SPACES.pack(1, len(self.tags)) + b"".join(_TAG.pack(*tag) for tag in self.tags)


class Head(NamedTuple):
    """How far a feed goes: its last seq and the first 8 bytes of its running hash there."""

    author: bytes
    seq: int
    hash8: bytes


class Have(NamedTuple):
    """HAVE (2): feeds that the sender holds durably up to these heads: vector and acknowledgement.

    `kept` adds that it holds them as a relay under its lease. `more` says that the first vector
    goes on in the next HAVE; after the first vector only changed feeds are named.
    """

    space: int
    heads: tuple[Head, ...]
    kept: bool = False
    more: bool = False

    def encode(self) -> bytes:
        """Return the record."""
        flags = KEPT * self.kept | MORE * self.more
        heads = b"".join(_HEAD.pack(*head) for head in self.heads)
        return _HAVE.pack(2, self.space, flags, len(self.heads)) + heads


class Range(NamedTuple):
    """`length` entries of a feed from `first` on."""

    author: bytes
    first: int
    length: int


class Want(NamedTuple):
    """WANT (3): asks for entries, in the order in which they are wanted."""

    space: int
    ranges: tuple[Range, ...]

    def encode(self) -> bytes:
        """Return the record."""
        ranges = b"".join(_RANGE.pack(*item) for item in self.ranges)
        return _WANT.pack(3, self.space, len(self.ranges)) + ranges


class Entries(NamedTuple):
    """ENTRIES (4): consecutive entries of one feed from `first` on; `last` ends the answer."""

    space: int
    author: bytes
    first: int
    entries: tuple[bytes, ...]
    last: bool = False

    def encode(self) -> bytes:
        """Return the record."""
        head = _ENTRIES.pack(
            4, self.space, self.author, self.first, LAST * self.last, len(self.entries)
        )
        return head + b"".join(_LENGTH.pack(len(data)) + data for data in self.entries)


class Lease(NamedTuple):
    """LEASE (5): a relay grants so many further bytes, held for `seconds` of its uptime."""

    space: int
    granted: int
    seconds: int
    refused: bool = False

    def encode(self) -> bytes:
        """Return the record."""
        return _LEASE.pack(5, self.space, REFUSED * self.refused, self.granted, self.seconds)


class Probe(NamedTuple):
    """PROBE (6): asks for one entry, to find where two branches of a feed part."""

    space: int
    author: bytes
    seq: int

    def encode(self) -> bytes:
        """Return the record."""
        return _PROBE.pack(6, self.space, self.author, self.seq)


class Probed(NamedTuple):
    """PROBED (7): the entry that a PROBE asked for; empty when it is not held."""

    space: int
    author: bytes
    seq: int
    entry: bytes

    def encode(self) -> bytes:
        """Return the record."""
        return _PROBE.pack(7, self.space, self.author, self.seq) + self.entry


class Fork(NamedTuple):
    """FORK (8): two different signed entries of one feed under one number."""

    space: int
    author: bytes
    seq: int
    one: bytes
    other: bytes

    def encode(self) -> bytes:
        """Return the record."""
        head = _FORK.pack(8, self.space, self.author, self.seq, len(self.one))
        return head + self.one + self.other


class Join(NamedTuple):
    """JOIN (48): asks to be admitted. Ref: docs/wire-format.md#invitations."""

    number: int
    request: bytes

    def encode(self) -> bytes:
        """Return the record."""
        return _JOIN.pack(48, self.number) + self.request


class Joined(NamedTuple):
    """JOINED (49): the answer to JOIN `number`: an admission, or why not (`refusal` ≠ 0)."""

    number: int
    refusal: int
    answer: bytes

    def encode(self) -> bytes:
        """Return the record."""
        return _ANSWER.pack(49, self.number, self.refusal) + self.answer


Message = Hello | SpaceTags | Have | Want | Entries | Lease | Probe | Probed | Fork | Join | Joined


def decode(data: bytes) -> Message | None:
    """Parse one record; None for a type of a later version, which is no mistake.

    Raises: WireError.
    """
    if not data or len(data) > RECORD_BYTES_MAX:
        raise WireError(f"sync record of {len(data)} bytes")
    reader = _READERS.get(data[0])
    return reader(data) if reader else None


def _head(layout: Struct, data: bytes) -> tuple[Any, ...]:
    if len(data) < layout.size:
        raise WireError(f"sync message {data[0]} of {len(data)} bytes, expected {layout.size}")
    return layout.unpack_from(data)


def _items(layout: Struct, data: bytes, start: int, count: int) -> list[tuple[Any, ...]]:
    if len(data) != start + count * layout.size or count > ITEMS_MAX:
        raise WireError(f"sync message {data[0]}: {count} items in {len(data)} bytes")
    return list(layout.iter_unpack(data[start:]))


def _hello(data: bytes) -> Hello:
    _, version, nonce = _head(_HELLO, data)
    return Hello(nonce, version)


def _spaces(data: bytes) -> SpaceTags:
    _, count = _head(_SPACES, data)
    return SpaceTags(tuple(SpaceTag(*item) for item in _items(_TAG, data, _SPACES.size, count)))


def _have(data: bytes) -> Have:
    _, space, flags, count = _head(_HAVE, data)
    heads = tuple(Head(*item) for item in _items(_HEAD, data, _HAVE.size, count))
    return Have(space, heads, bool(flags & KEPT), bool(flags & MORE))


def _want(data: bytes) -> Want:
    _, space, count = _head(_WANT, data)
    ranges = tuple(Range(*item) for item in _items(_RANGE, data, _WANT.size, count))
    if any(not 1 <= item.first < SEQ_MAX or item.length < 1 for item in ranges):
        raise WireError("want of nothing")
    return Want(space, ranges)


def _entries(data: bytes) -> Entries:
    _, space, author, first, flags, count = _head(_ENTRIES, data)
    entries = []
    place = _ENTRIES.size
    for _ in range(count):
        if len(data) < place + 2:
            raise WireError("entries cut short")
        (length,) = _LENGTH.unpack_from(data, place)
        place += 2 + length
        if len(data) < place or not 0 < length <= ENTRY_BYTES_MAX:
            raise WireError(f"entry of {length} bytes")
        entries.append(data[place - length : place])
    if place != len(data):
        raise WireError("bytes after the entries")
    if first < 1 or first + count > SEQ_MAX:
        raise WireError(f"entries from {first}")
    return Entries(space, author, first, tuple(entries), bool(flags & LAST))


def _lease(data: bytes) -> Lease:
    _, space, flags, granted, seconds = _head(_LEASE, data)
    return Lease(space, granted, seconds, bool(flags & REFUSED))


def _probe(data: bytes) -> Probe:
    _, space, author, seq = _head(_PROBE, data)
    return Probe(space, author, seq)


def _probed(data: bytes) -> Probed:
    _, space, author, seq = _head(_PROBE, data)
    return Probed(space, author, seq, data[_PROBE.size :])


def _fork(data: bytes) -> Fork:
    _, space, author, seq, length = _head(_FORK, data)
    start = _FORK.size
    if not 0 < length < len(data) - start:
        raise WireError("fork without two entries")
    return Fork(space, author, seq, data[start : start + length], data[start + length :])


def _join(data: bytes) -> Join:
    _, number = _head(_JOIN, data)
    return Join(number, data[_JOIN.size :])


def _answer(data: bytes) -> Joined:
    _, number, refusal = _head(_ANSWER, data)
    return Joined(number, refusal, data[_ANSWER.size :])


_READERS: dict[int, Callable[[bytes], Message]] = {
    0: _hello,
    1: _spaces,
    2: _have,
    3: _want,
    4: _entries,
    5: _lease,
    6: _probe,
    7: _probed,
    8: _fork,
    48: _join,
    49: _answer,
}
