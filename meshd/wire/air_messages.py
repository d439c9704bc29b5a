"""What neighbours say over LoRa about spaces, in bodies of LOCAL items: DIGESTS, HEADS, NEEDS,
PROBE, HELD.

Enters: the body of an item. Leaves: a frozen value, or WireError. A space is named by a tag that
only holders of its fetch key can make or find, and that differs for each sender and each start of
it: `salt` is drawn when a node starts. But for DIGESTS it covers what is said as well. Feeds are
named by the first bytes of their author's keyed id. Ref: docs/wire-format.md#entries-over-lora.
"""

from collections.abc import Iterable
from typing import NamedTuple

from meshd.core.errors import WireError
from meshd.wire.air_entry import pack_number, take_number

SALT_LEN = 2
TAG_LEN = 4
STATE_LEN = 4
FEED_LEN = 3
DIGESTS_MAX = 28
HEADS_MAX = 48
RANGES_MAX = 32
MAC_LEN = 8
ENTRY_MARK_LEN = 4
MARKS_MAX = 24
DIGESTS_HEAD = SALT_LEN
HEADS_HEAD = SALT_LEN + TAG_LEN + 1
NEEDS_HEAD = SALT_LEN + TAG_LEN
RANGE_LEN_MAX = FEED_LEN + 5 + 1
PROBE_HEAD = SALT_LEN + TAG_LEN
MARK_LEN_MAX = FEED_LEN + 5 + ENTRY_MARK_LEN
FORKED = 0
"""In place of a number: the sender has the proof of a fork, and the feed grows no more there."""
_PARTIAL = 1


class Digest(NamedTuple):
    """A space and what its sender holds of it, both blinded."""

    tag: bytes
    state: bytes

    def encode(self) -> bytes:
        """Return its bytes in a body."""
        return self.tag + self.state


class Digests(NamedTuple):
    """What the sender holds of some spaces."""

    salt: bytes
    spaces: tuple[Digest, ...]

    def encode(self) -> bytes:
        """Return the body."""
        return self.salt + b"".join(space.encode() for space in self.spaces)


class AirHead(NamedTuple):
    """How far a feed goes, by the word of its sender; FORKED for one that was forked."""

    feed: bytes
    seq: int

    def encode(self) -> bytes:
        """Return its bytes in a body."""
        return self.feed + pack_number(self.seq)


class Heads(NamedTuple):
    """How far the feeds of a space go at the sender; the others are empty, unless `partial`."""

    salt: bytes
    tag: bytes
    heads: tuple[AirHead, ...]
    partial: bool = False

    def said(self) -> bytes:
        """Return what the tag covers."""
        heads = b"".join(head.encode() for head in self.heads)
        return bytes([_PARTIAL * self.partial]) + heads

    def encode(self) -> bytes:
        """Return the body."""
        return self.salt + self.tag + self.said()


class AirRange(NamedTuple):
    """`length` entries of a feed from `first` on."""

    feed: bytes
    first: int
    length: int

    def encode(self) -> bytes:
        """Return its bytes in a body."""
        return self.feed + pack_number(self.first) + bytes([self.length])


class Needs(NamedTuple):
    """Entries that the sender lacks."""

    salt: bytes
    tag: bytes
    ranges: tuple[AirRange, ...]

    def said(self) -> bytes:
        """Return what the tag covers."""
        return b"".join(item.encode() for item in self.ranges)

    def encode(self) -> bytes:
        """Return the body."""
        return self.salt + self.tag + self.said()


class Mark(NamedTuple):
    """Which entry the sender holds under a number: the start of its digest."""

    feed: bytes
    seq: int
    mark: bytes

    def encode(self) -> bytes:
        """Return its bytes in a body."""
        return self.feed + pack_number(self.seq) + self.mark


class AirProbe(NamedTuple):
    """Entries that the sender holds: who holds another under one of these numbers, show it."""

    salt: bytes
    tag: bytes
    marks: tuple[Mark, ...]

    def said(self) -> bytes:
        """Return what the tag covers."""
        return b"".join(mark.encode() for mark in self.marks)

    def encode(self) -> bytes:
        """Return the body."""
        return self.salt + self.tag + self.said()


class AirHeld(NamedTuple):
    """An own feed of who hears this is on the sender's disk up to `seq`; `mac` proves who says so,
    and of which feed."""

    seq: int
    mac: bytes

    def encode(self) -> bytes:
        """Return the body."""
        return pack_number(self.seq) + self.mac


def fitting(heads: Iterable[AirHead], room: int) -> tuple[AirHead, ...]:
    """Return the first heads, as many as there is room for and an item may hold."""
    taken: list[AirHead] = []
    for head in heads:
        room -= len(head.encode())
        if room < 0 or len(taken) == HEADS_MAX:
            break
        taken.append(head)
    return tuple(taken)


def decode_held(data: bytes) -> AirHeld:
    """Decode HELD. Raises: WireError."""
    seq, at = take_number(data, 0)
    if not seq or len(data) != at + MAC_LEN:
        raise WireError("held of a wrong length")
    return AirHeld(seq, data[at:])


def decode_digests(data: bytes) -> Digests:
    """Decode DIGESTS. Raises: WireError."""
    count, rest = divmod(len(data) - SALT_LEN, TAG_LEN + STATE_LEN)
    if rest or not 0 < count <= DIGESTS_MAX:
        raise WireError(f"digests of {len(data)} bytes")
    items = []
    for at in range(SALT_LEN, len(data), TAG_LEN + STATE_LEN):
        items.append(Digest(data[at : at + TAG_LEN], data[at + TAG_LEN :][:STATE_LEN]))
    return Digests(data[:SALT_LEN], tuple(items))


def decode_heads(data: bytes) -> Heads:
    """Decode HEADS. Raises: WireError."""
    at = SALT_LEN + TAG_LEN
    if len(data) <= at or data[at] > _PARTIAL:
        raise WireError("heads cut off")
    partial = bool(data[at])
    heads: list[AirHead] = []
    at += 1
    while at < len(data):
        if len(heads) == HEADS_MAX:
            raise WireError("more heads than an item may hold")
        seq, end = take_number(data, at + FEED_LEN)
        heads.append(AirHead(data[at : at + FEED_LEN], seq))
        at = end
    return Heads(data[:SALT_LEN], data[SALT_LEN:][:TAG_LEN], tuple(heads), partial)


def decode_needs(data: bytes) -> Needs:
    """Decode NEEDS. Raises: WireError."""
    at = SALT_LEN + TAG_LEN
    ranges: list[AirRange] = []
    while at < len(data):
        if len(ranges) == RANGES_MAX:
            raise WireError("more needs than an item may hold")
        first, end = take_number(data, at + FEED_LEN)
        if end >= len(data) or not first or not data[end]:
            raise WireError("need of nothing")
        ranges.append(AirRange(data[at : at + FEED_LEN], first, data[end]))
        at = end + 1
    if not ranges:
        raise WireError("needs cut off")
    return Needs(data[:SALT_LEN], data[SALT_LEN:][:TAG_LEN], tuple(ranges))


def decode_probe(data: bytes) -> AirProbe:
    """Decode PROBE. Raises: WireError."""
    at = PROBE_HEAD
    marks: list[Mark] = []
    while at < len(data):
        seq, end = take_number(data, at + FEED_LEN)
        if len(marks) == MARKS_MAX or not seq or end + ENTRY_MARK_LEN > len(data):
            raise WireError("probe of nothing, or of too much")
        marks.append(Mark(data[at : at + FEED_LEN], seq, data[end : end + ENTRY_MARK_LEN]))
        at = end + ENTRY_MARK_LEN
    if not marks:
        raise WireError("probe cut off")
    return AirProbe(data[:SALT_LEN], data[SALT_LEN:][:TAG_LEN], tuple(marks))
