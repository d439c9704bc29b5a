"""What to ask from whom: bounded windows, one session a feed, progress or put aside.

Enters: claims (a peer's vector), verified entries, ends of answers, time. Leaves: WANT. A claim of
2^32 entries moves nothing: a feed is asked for in windows, each window must bring a valid entry,
and a peer that claims what it does not send is put aside for that feed, longer each time.
Feeds that carry membership come first. Identities are free, claims too: feeds of authors that
nobody admitted have a small part of the table, and no session can take another's first window.
"""

from typing import NamedTuple

from meshd.core.drops import DropReason
from meshd.space.space import Space
from meshd.sync.hub import Hub, Peer, Share
from meshd.sync.leases import GRANT_LEAST_BYTES
from meshd.wire.sync_messages import Range, Want

WINDOW_ENTRIES = 128
"""Entries asked of one feed at a time; an answer is bounded in bytes by `serving`."""
STRANGER_ENTRIES = 8
"""The same for a feed of which nothing is held: it may not be admitted at all."""
PEER_WANTS_MAX = 16
"""Feeds asked of one session at a time."""
WANTS_MAX = 64
"""Feeds asked of all sessions at a time; one of an admitted author may be asked of each session
that has none, whatever the others hold."""
STRANGERS_MAX = WANTS_MAX // 4
"""Feeds of authors not admitted here, of all these; the sessions have equal parts."""

STALL_US = 10_000_000
"""A window that brings nothing for so long, on a session that brings nothing wanted, is over."""
LIFE_US = 60_000_000
"""After this time another peer that has the feed gets its turn, whatever the window brought."""
ASIDE_FIRST_US = 2_000_000
ASIDE_LAST_US = 300_000_000
"""Pauses after a claim that was not kept: doubled each time between these two."""

_RANKS = {"owner": 1, "admin": 2}
_KNOWN, _STRANGER = 3, 4


class Asked(NamedTuple):
    """An open window: who was asked, since when, the seq that we held then, and whether the author
    was not admitted."""

    share: Share
    since: int
    held: int
    stranger: bool


class Wants:
    """The table of open windows and its planner."""

    __slots__ = ("_asked", "_heard", "_hub", "_ranks", "stale")

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._asked: dict[tuple[bytes, bytes], Asked] = {}
        self._heard: dict[int, int] = {}
        self._ranks: dict[bytes, dict[bytes, int]] = {}
        self.stale = False

    def __len__(self) -> int:
        return len(self._asked)

    def claimed(self, share: Share, author: bytes) -> None:
        """Note that the peer claims more of a feed than we hold."""
        self.stale = True
        if author not in share.missing:
            share.missing.add(author)
            share.order.append(author)
            share.sorted = False

    def membership_changed(self, space: bytes) -> None:
        """Feeds that nobody had admitted may be admitted now."""
        self._ranks.pop(space, None)
        for share in self._hub.shares(space):
            unknown, share.unknown = share.unknown, set()
            for author in sorted(unknown):
                self.claimed(share, author)
            share.sorted = False

    def heard(self, peer: Peer, now: int) -> None:
        """Note that something wanted came on this session."""
        self._heard[peer.session] = now

    def refused(self, share: Share, author: bytes, now: int) -> None:
        """End a window whose entries were refused: the peer is put aside for this feed."""
        self._end(share, author)
        self._put_aside(share, author, now)

    def finished(self, share: Share, author: bytes, now: int) -> None:
        """Take the end of an answer: without a single new entry the claim was empty."""
        asked = self._asked.get((share.space, author))
        if asked is None or asked.share is not share:
            return
        self._end(share, author)
        if self._held(share.space, author) > asked.held:
            share.aside.pop(author, None)
        elif author not in share.unknown:
            self._put_aside(share, author, now)
        self.claimed(share, author)

    def session_down(self, peer: Peer) -> None:
        """Forget what was asked of a session, so that others are asked."""
        self.stale = True
        self._heard.pop(peer.session, None)
        for key, asked in tuple(self._asked.items()):
            if asked.share.peer is peer:
                del self._asked[key]

    def tick(self, now: int) -> None:
        """End windows that stalled or lasted too long, then plan again."""
        for (space, author), asked in tuple(self._asked.items()):
            heard = max(asked.since, self._heard.get(asked.share.peer.session, 0))
            old = asked.since + LIFE_US <= now
            if heard + STALL_US > now and not (old and self._others(asked.share, author, now)):
                continue
            self._end(asked.share, author)
            if self._held(space, author) == asked.held:
                self._put_aside(asked.share, author, now)
            self.claimed(asked.share, author)
        for share in self._hub.all_shares():
            for author, (until, _) in share.aside.items():
                if until <= now:
                    self.claimed(share, author)
                else:
                    self._hub.ctx.timers.set_earlier(("sync", "wants"), until)
        self.plan(now)

    def plan(self, now: int) -> None:
        """Ask for what is missing, in rounds over the sessions, while there is room."""
        self.stale = False
        peers = list(self._hub.peers.values())
        if peers:
            first = now % len(peers)
            peers = peers[first:] + peers[:first]
        for peer in peers:
            for share in peer.shares.values():
                if share.missing:
                    self._plan_share(share, now)
        if self._asked:
            self._hub.ctx.timers.set_earlier(("sync", "wants"), now + STALL_US // 4)

    def _plan_share(self, share: Share, now: int) -> None:
        space = self._hub.spaces.get(share.space)
        if space is None or (space.carries_only and share.granted < GRANT_LEAST_BYTES):
            return
        ranks = self._rank(space)
        if not share.sorted:
            share.order.sort(key=lambda author: (-ranks.get(author, _STRANGER), author))
            share.sorted = True
        ranges, later = [], []
        while share.order:
            stranger = share.order[-1] not in ranks
            if not self._has_room(share.peer, stranger=stranger):
                break  # the rest is of no better rank
            author = share.order.pop()
            if author not in share.missing or not self._still_missing(share, space, author):
                share.missing.discard(author)
            elif (share.space, author) in self._asked:
                later.append(author)
            elif (item := self._ask(share, author, now, stranger=stranger)) is not None:
                ranges.append(item)
        share.order += reversed(later)
        if ranges:
            self._hub.send(share.peer, Want(share.number, tuple(ranges)), now)

    def _has_room(self, peer: Peer, *, stranger: bool) -> bool:
        """Tell whether one more feed may be asked of a session."""
        if peer.wants >= PEER_WANTS_MAX:
            return False
        full = len(self._asked) >= WANTS_MAX
        if not stranger:
            return not full or peer.wants == peer.wants_strange
        part = max(1, STRANGERS_MAX // len(self._hub.peers))
        strangers = sum(each.wants_strange for each in self._hub.peers.values())
        return not full and strangers < STRANGERS_MAX and peer.wants_strange < part

    def _ask(self, share: Share, author: bytes, now: int, *, stranger: bool) -> Range | None:
        share.missing.discard(author)
        if share.aside.get(author, (0, 0))[0] > now:
            return None
        held = self._held(share.space, author)
        self._asked[share.space, author] = Asked(share, now, held, stranger)
        share.peer.wants += 1
        share.peer.wants_strange += stranger
        window = WINDOW_ENTRIES if held else STRANGER_ENTRIES
        return Range(author, held + 1, min(window, share.theirs[author].seq - held))

    def _still_missing(self, share: Share, space: Space, author: bytes) -> bool:
        known = share.theirs.get(author)
        feed = space.feeds.get(author)
        if known is None or author in share.unknown or (feed and feed.frozen):
            return False
        return known.seq > (feed.seq if feed else 0)

    def _end(self, share: Share, author: bytes) -> None:
        asked = self._asked.get((share.space, author))
        if asked is not None and asked.share is share:
            del self._asked[share.space, author]
            share.peer.wants -= 1
            share.peer.wants_strange -= asked.stranger

    def _put_aside(self, share: Share, author: bytes, now: int) -> None:
        self._hub.drop(DropReason.SYNC_STALLED, share.peer)
        _, pause = share.aside.get(author, (0, ASIDE_FIRST_US))
        share.aside[author] = (now + pause, min(2 * pause, ASIDE_LAST_US))
        self._hub.ctx.timers.set_earlier(("sync", "wants"), now + pause)

    def _others(self, asked: Share, author: bytes, now: int) -> bool:
        """Tell whether another peer could be asked for a feed."""
        held = self._held(asked.space, author)
        for share in self._hub.shares(asked.space):
            known = share.theirs.get(author)
            waits = share.aside.get(author, (0, 0))[0] > now
            if share is not asked and known and known.seq > held and not waits:
                return True
        return False

    def _held(self, space_id: bytes, author: bytes) -> int:
        space = self._hub.spaces.get(space_id)
        feed = space.feeds.get(author) if space else None
        return feed.seq if feed else 0

    def _rank(self, space: Space) -> dict[bytes, int]:
        ranks = self._ranks.get(space.id)
        if ranks is None:
            ranks = dict.fromkeys(space.feeds, _KNOWN)
            ranks |= {member.author: _RANKS.get(member.role, _KNOWN) for member in space.members()}
            ranks[space.founder] = 0
            self._ranks[space.id] = ranks
        return ranks
