"""What this node holds of one feed, and the small values that leave this folder.

Enters: nothing. Leaves: feed heads, results of `Spaces.accept`, events for sync and files.
"""

from collections import deque
from dataclasses import dataclass, field
from struct import Struct
from typing import NamedTuple

from meshd.core.errors import WireError
from meshd.core.events import FeedImage
from meshd.wire import entry as wire

RECENT = 32
"""Entries of a feed whose digests are remembered, until the next start."""

_HEAD = Struct("!I32s")


@dataclass(slots=True)
class FeedHead:
    """The end of a feed. `hash32` is the running hash after entry `seq`, `digest` names that entry.

    Entries up to `durable_seq` are on disk. A `frozen` feed was forked and grows no more.
    """

    hash32: bytes
    seq: int = 0
    digest: bytes = b""
    durable_seq: int = 0
    bytes_total: int = 0
    frozen: bool = False
    recent: deque[bytes] = field(
        default_factory=lambda: deque(maxlen=RECENT), compare=False, repr=False
    )
    """The digests of the newest entries, that of `seq` the last."""

    def digest_at(self, seq: int) -> bytes:
        """Return what names the entry `seq`; b"" where that is not remembered."""
        place = seq - self.seq - 1
        return self.recent[place] if -len(self.recent) <= place < 0 else b""

    def encode(self) -> bytes:
        """Return what is kept beside the entries: seq and running hash."""
        return _HEAD.pack(self.seq, self.hash32)


def decode_head(data: bytes) -> tuple[int, bytes]:
    """Return (seq, running hash) of a kept head.

    Raises: WireError.
    """
    if len(data) != _HEAD.size:
        raise WireError("kept feed head length")
    seq, running = _HEAD.unpack(data)
    return seq, running


def load_feed(image: FeedImage, head: bytes) -> tuple[FeedHead, bool]:
    """Return a feed as the store held it, and whether its kept `head` fits its last entry."""
    try:
        seq, running = decode_head(head)
        digest = wire.decode(image.last).digest(image.space, image.author)
    except WireError:
        seq, running, digest = 0, bytes(32), b""
    feed = FeedHead(running, image.seq, digest, image.seq, image.bytes_total)
    feed.recent.extend((digest,) if digest else ())
    return feed, seq == image.seq


class Member(NamedTuple):
    """A signing key of a space and who stands behind it, as far as this node may know.

    `device_public` and `node` are b"" on a relay. `current` is false when a newer feed of the same
    device took over.
    """

    author: bytes
    device_public: bytes
    node: bytes
    role: str
    name: str
    current: bool = True


class Accepted(NamedTuple):
    """The entry was verified and applied; it is durable when `EntryDurable` says so."""

    seq: int


class Duplicate(NamedTuple):
    """An entry with this number is held already."""

    seq: int


class EntryApplied(NamedTuple):
    """A verified entry became part of a space. An own one appears here once it is durable."""

    space: bytes
    author: bytes
    seq: int
    data: bytes = b""


class EntryDurable(NamedTuple):
    """An entry is on disk: it may be acknowledged; an own one may now leave."""

    space: bytes
    author: bytes
    seq: int
    own: bool
    data: bytes = b""


class MembershipChanged(NamedTuple):
    """Who may append has changed: ask again for what was refused as unknown."""

    space: bytes


class SpaceAdded(NamedTuple):
    """A space was created or joined, durably."""

    space: bytes


class Forked(NamedTuple):
    """Two signed entries with one number are kept as proof; the feed is frozen."""

    space: bytes
    author: bytes
    seq: int


class JoinAnswered(NamedTuple):
    """The answer to a join request; `answer` is b"" when `refused` says why."""

    token: int
    answer: bytes
    refused: str = ""


SpaceEvent = EntryApplied | EntryDurable | MembershipChanged | SpaceAdded | Forked | JoinAnswered
