"""What comes of the entries that a peer sends: taken, asked for again, or refused by name.

Enters: runs of entries of a share, one at a time. Leaves: verified entries for spaces, from there
on to other sessions. Must not know: what stands in an entry, where an answer is put together.
"""

from typing import NamedTuple

from meshd.core.drops import DropReason
from meshd.space.feed import FeedHead
from meshd.space.space import Space
from meshd.space.spaces import NOT_YET
from meshd.sync.forks import Forks
from meshd.sync.hub import Hub, Share
from meshd.sync.leases import Leases
from meshd.sync.lookout import Lookout
from meshd.sync.serving import Serving
from meshd.sync.vectors import Vectors
from meshd.sync.wants import Wants
from meshd.wire.sync_messages import Entries

"""Entries that may become valid when membership changes: asked for again then."""
_BLAMELESS = (DropReason.STORE_CLOSED, DropReason.FEED_FROZEN, DropReason.ENTRY_GAP)
"""Refusals that say nothing against the peer."""


class Concerned(NamedTuple):
    """The parts of sync that an entry concerns."""

    vectors: Vectors
    wants: Wants
    serving: Serving
    forks: Forks
    leases: Leases
    lookout: Lookout


class Taking:
    """The taking side of sync over sessions."""

    __slots__ = (
        "_forks",
        "_hub",
        "_leases",
        "_lookout",
        "_serving",
        "_spaces",
        "_vectors",
        "_wants",
    )

    def __init__(self, hub: Hub, parts: Concerned) -> None:
        self._hub = hub
        self._spaces = hub.spaces
        self._vectors = parts.vectors
        self._wants = parts.wants
        self._serving = parts.serving
        self._forks = parts.forks
        self._leases = parts.leases
        self._lookout = parts.lookout

    def entry(self, share: Share, message: Entries, place: int, now: int) -> None:
        """Take the entry at `place` of a run, and the end of the answer behind the last one."""
        space = self._spaces.get(share.space)
        if place < len(message.entries) and space is not None:
            self._take(share, space, (message.author, message.first + place), message, now)
        if message.last and place + 1 >= len(message.entries):
            self._wants.finished(share, message.author, now)

    def _take(
        self,
        share: Share,
        space: Space,
        name: tuple[bytes, int],
        message: Entries,
        now: int,
    ) -> None:
        author, seq = name
        data = message.entries[seq - message.first]
        known = space.feeds.get(author)
        aside = known is not None and known.frozen
        if aside and self._forks.branches.take(share, space, author, data, now):
            return
        if not self._vectors.sent(share, author, seq, space):
            return
        if space.carries_only:
            if not self._leases.spend(share, len(data)):
                self._hub.drop(DropReason.SYNC_LEASE, share.peer)
                self._wants.claimed(share, author)
                return
            if self._leases.offer(share, now):
                self._wants.stale = True
        feed = space.feeds.get(author)
        held = feed.seq if feed else 0
        if feed and (seq < held or (seq == held and _is_last(space, author, data))):
            self._duplicate(share, author, seq, feed, now)
        elif seq > held + 1 and author != space.author:
            self._hub.drop(DropReason.SYNC_GAP, share.peer)
            self._wants.claimed(share, author)
        else:
            result = self._spaces.accept(space, author, data, now)
            if isinstance(result, DropReason):
                self._refused(share, author, held, result, now)
            else:
                self._accepted(share, name, data, now)

    def _accepted(self, share: Share, name: tuple[bytes, int], data: bytes, now: int) -> None:
        author, seq = name
        self._wants.heard(share.peer, now)
        self._lookout.came(share, author, now)
        share.owed.add(author)
        self._serving.forward(share, author, seq, data)
        self._forks.grown(share, author, seq, now)

    def _duplicate(self, share: Share, author: bytes, seq: int, feed: FeedHead, now: int) -> None:
        """A peer that sends what we have wants to hear that we have it, once that is durable."""
        share.owed.add(author)
        if feed.durable_seq >= seq and share.told.get(author, 0) < feed.durable_seq:
            self._vectors.owe(share, author, now)

    def _refused(
        self, share: Share, author: bytes, held: int, reason: DropReason, now: int
    ) -> None:
        self._hub.drop(reason, share.peer)
        if reason in NOT_YET:
            share.unknown.add(author)
        elif reason is DropReason.FORK_SUSPECTED:
            self._forks.suspect(share, author, held, now)
        elif reason not in _BLAMELESS:
            self._wants.refused(share, author, now)


def _is_last(space: Space, author: bytes, data: bytes) -> bool:
    return space.entry_digest(author, data) == space.feeds[author].digest
