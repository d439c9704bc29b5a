"""Entries that come by radio: put together, made whole, judged, or kept until they can be.

Enters: bodies of objects and items that are entries or parts of one. Leaves: entries for
`Spaces.accept`, wants for what is missing before one. Nothing that was not accepted is stored,
passed on or counted. Must not know: why somebody sends an entry.
"""

from collections import Counter

from meshd.core.drops import DropReason
from meshd.space.feed import Accepted
from meshd.space.space import Space
from meshd.space.spaces import NOT_YET
from meshd.sync.air.aside import Aside, Parts
from meshd.sync.air.forks import AirForks
from meshd.sync.air.link import AirLink
from meshd.sync.air.names import Feed, Names
from meshd.sync.air.offers import Key
from meshd.sync.air.states import State
from meshd.sync.air.suspects import FORGED, SAID, Why
from meshd.sync.air.thin import expand, expand_early
from meshd.sync.ports import PassingPort
from meshd.wire.air_entry import THIN_MAX, Thin, decode_part, decode_thin
from meshd.wire.entry import Kind

GAP_US = 45_000_000
"""What comes before its predecessor: that may be on its way by another relay. While much
comes it is waited for as long as for any other entry."""
REPAIRED_MAX = 8
"""After so many entries that a neighbour sent, others are told what is held now."""
CAME_MAX = 256
EVERYWHERE = "*"
"""Instead of a radio: objects go out by all radios at once."""


class Arrivals:
    """What came by all radios of a node."""

    def __init__(
        self,
        names: Names,
        passing: PassingPort,
        links: dict[str, AirLink],
        forks: AirForks,
        states: dict[bytes, State],
    ) -> None:
        self._states = states
        self._forks = forks
        self._names = names
        self._spaces = names.spaces
        self._passing = passing
        self._links = links
        self._aside = Aside()
        self._parts = Parts()
        self._came: dict[Key, str] = {}

    def waiting(self, space: bytes) -> Counter[bytes]:
        """Return how many entries of a space are here that cannot be used yet, by author."""
        return self._aside.counts(space)

    def way(self, key: Key) -> str | None:
        """Return by which radio an entry came, once; EVERYWHERE for an object."""
        return self._came.pop(key, None)

    def data(
        self,
        link: AirLink,
        body: bytes,
        now: int,
        *,
        part: bool,
        giver: bytes = b"",
        born_us: int | None = None,
    ) -> None:
        """Take the bytes of an entry, or of a part of one; `giver`: the neighbour who sent it, or
        `born_us`: when an object that everybody gets was new.

        Raises: WireError.
        """
        whole: bytes | None = body
        if part:
            whole = self._parts.add(decode_part(body))
        if whole is not None:
            thin = decode_thin(whole)
            if thin.is_stub:
                self._forks.stub(link, thin, now, node=giver)
            else:
                self._heard(link, thin, now, node=giver, born_us=born_us)

    def accept(self, key: Key, data: bytes, came: str, now: int) -> DropReason | bool:
        """Hand an entry to its space; return whether it is new, or why it is none."""
        space_id, author, seq = key
        space = self._spaces.get(space_id)
        if space is None:
            return DropReason.AUTHOR_UNKNOWN
        result = self._spaces.accept(space, author, data, now)
        if isinstance(result, DropReason):
            if result is DropReason.FORK_SUSPECTED and came in self._links:
                self._suspect(self._links[came], key[:2], now, why=SAID)
            return result
        if isinstance(result, Accepted):
            if len(self._came) >= CAME_MAX:
                del self._came[next(iter(self._came))]
            self._came[key] = came
            self._passing.came(space_id, author, seq, data, now)
        return isinstance(result, Accepted)

    def again(self, space: bytes, now: int) -> None:
        """Membership changed: try what was not understood."""
        for thin, name in self._aside.take_strangers():
            if name in self._links:
                self._heard(self._links[name], thin, now, born_us=now)
        for key in self._aside.of(space):
            self.retry(key, now)

    def retry(self, key: Key, now: int) -> None:
        """Take what was kept of this name: what it waited for is here."""
        kept = self._aside.take(key)
        if kept is not None and kept[1] in self._links:
            link = self._links[kept[1]]
            taken = self._take(link, key[:2], kept[0], now)
            if isinstance(taken, DropReason):
                link.drop(taken)
        self._place(key, now)

    def _place(self, key: Key, now: int) -> None:
        """Give a call for help that is shown already its place in its feed."""
        space, link = self._spaces.get(key[0]), next(iter(self._links.values()), None)
        early = space.early.get(key[1], {}).get(key[2]) if space is not None else None
        if space is None or early is None or link is None:
            return
        feed = space.feeds.get(key[1])
        if key[2] != (feed.seq if feed is not None else 0) + 1:
            return
        taken = self.accept(key, early, EVERYWHERE, now)
        if isinstance(taken, DropReason):
            link.drop(taken)
            if taken is DropReason.FORK_SUSPECTED:
                self._suspect(link, key[:2], now, why=SAID)

    def _heard(
        self,
        link: AirLink,
        thin: Thin,
        now: int,
        *,
        node: bytes = b"",
        born_us: int | None = None,
    ) -> None:
        """Take an entry; who it is by is tried among all whom its id may mean."""
        feeds = self._names.feeds(thin)
        if not feeds:
            self._aside.keep_stranger(thin, link.name)
            return
        taken: DropReason | bool = False
        for feed in feeds:
            taken = self._take(link, feed, thin, now, born_us=born_us)
            if taken is True:
                break
        if isinstance(taken, DropReason):
            link.drop(taken)
        elif node:
            link.another_answers(now)
            link.repaired += taken
            others = any(other != node for other in link.neighbours)
            if taken and (others or link.repaired >= REPAIRED_MAX):
                link.repaired = 0
                link.near.talk.changed(now)

    def _take(
        self, link: AirLink, feed: Feed, thin: Thin, now: int, *, born_us: int | None = None
    ) -> DropReason | bool:
        """Judge an entry as one of a feed; return whether it is new, or why it is not one.

        `born_us` is given for objects.
        """
        space_id, author = feed
        space = self._spaces.get(space_id)
        if space is None:
            return DropReason.AUTHOR_UNKNOWN
        key = (space_id, author, thin.seq)
        known = space.feeds.get(author)
        held = known.seq if known else 0
        if thin.seq <= held:
            link.offers.heard(key, thin, now)
            self._forks.differs(link, feed, thin, now)
            return False
        if thin.seq > held + 1:
            self._keep(link, key, thin)
            if thin.kind == Kind.DISTRESS:
                self._call(link, space, author, thin)
            wants = link.voice(space_id, now).wants
            refused = wants.add(feed, thin.seq - 1, now, wait_us=self._gap_us(space_id, now))
            if refused is not None:
                link.drop(refused)
            return False
        if space.carries_only and self._passing.free_bytes() < THIN_MAX:
            return DropReason.SYNC_LEASE
        data = expand(space, author, thin, self._names.memberships(space_id))
        if isinstance(data, DropReason):
            if data in NOT_YET:
                self._keep(link, key, thin)
                wants = link.voice(space_id, now).wants
                wants.add(feed, thin.seq, now, wait_us=self._gap_us(space_id, now))
            elif data is DropReason.FORK_SUSPECTED:
                self._suspect(link, feed, now)
            return data
        taken = self.accept(key, data, link.name if born_us is None else EVERYWHERE, now)
        if isinstance(taken, DropReason) and taken in NOT_YET:
            self._keep(link, key, thin)
        elif taken is True:
            link.offers.said(key, now)
            if born_us is not None and (state := self._states.get(space_id)) is not None:
                state.arrived(max(0, now - born_us), now)
        return taken

    def _call(self, link: AirLink, space: Space, author: bytes, thin: Thin) -> None:
        """Have a call for help shown that is proven: what comes before it may take an hour."""
        data = expand_early(space, author, thin)
        taken = data if isinstance(data, DropReason) else None
        if isinstance(data, bytes):
            result = self._spaces.accept_early(space, author, data)
            taken = result if isinstance(result, DropReason) else None
        if taken not in (None, DropReason.ENTRY_GAP):
            link.drop(taken)

    def _gap_us(self, space: bytes, now: int) -> int:
        state = self._states.get(space)
        return state.settle_us(now) if state is not None and state.busy(now) else GAP_US

    def _suspect(self, link: AirLink, feed: Feed, now: int, *, why: Why = FORGED) -> None:
        self._forks.suspect(link, link.voice(feed[0], now), feed, now, why=why)

    def _keep(self, link: AirLink, key: Key, thin: Thin) -> None:
        if not self._aside.keep(key, thin, link.name):
            link.drop(DropReason.AIR_ASIDE_FULL)
