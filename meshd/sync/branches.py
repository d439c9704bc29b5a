"""Membership records of forked feeds: each branch's are told to who follows another branch.

Enters: peers that hold a proof of a fork, records that they send, entries of the store. Leaves:
ENTRIES of one record each, `Spaces.accept_aside`. A feed grows no more once it is forked, and who
follows one branch never gets the other; but a record on either may be named by what innocent
members write, and all of that would wait for it for ever. Must not know: how a fork is found.
"""

from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.events import EntriesQuery
from meshd.space.feed import Accepted
from meshd.space.other_branches import ASIDE_MAX
from meshd.space.space import Space
from meshd.sync.hub import Hub, Peer, Share
from meshd.wire import entry as entries
from meshd.wire.sync_messages import Entries

WAITING_MAX = 64
"""Records that build on what is not here yet; the oldest is forgotten and told again by the next
session."""


class Branches:
    """What is read to be told, and what came and waits for its past."""

    __slots__ = ("_hub", "_reads", "_told", "_waiting")

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._reads: dict[int, tuple[Share, bytes]] = {}
        self._told: dict[int, set[tuple[bytes, bytes]]] = {}
        self._waiting: dict[tuple[bytes, bytes, bytes], Share] = {}

    def tell(self, share: Share, space: Space, author: bytes, first: int, now: int) -> None:
        """Send the records of a feed that forked at `first`, once to each peer that knows of it."""
        told = self._told.setdefault(share.peer.session, set())
        if (space.id, author) in told:
            return
        told.add((space.id, author))
        feed = space.feeds.get(author)
        aside = space.aside.get(author, {})
        for data in aside.values():
            self._send(share, author, data, now)
        kept = [each for each in space.log.records_of(author, first) if each.digest not in aside]
        for signed in kept[:ASIDE_MAX]:
            if feed is not None and signed.seq <= feed.durable_seq:
                query = EntriesQuery(space.id, author, signed.seq, signed.seq, 1)
                self._reads[self._hub.ctx.read("sync", query)] = (share, author)

    def read_done(self, token: int, data: bytes | None, now: int) -> bool:
        """Take an entry of the store, None when it failed; False when another part asked."""
        if token not in self._reads:
            return False
        share, author = self._reads.pop(token)
        if data is not None and self._hub.peers.get(share.peer.session) is share.peer:
            self._send(share, author, data, now)
        return True

    def session_down(self, peer: Peer) -> None:
        """Forget what this session was told."""
        self._told.pop(peer.session, None)

    def take(self, share: Share, space: Space, author: bytes, data: bytes, now: int) -> bool:
        """Take what a peer sends of a frozen feed; False when it is no record of another branch.

        A new one is passed on.
        """

        def kept(why: str, at: int) -> None:
            if why:  # the store is loaded again, and nobody tells this a second time
                self._wait(share, (space.id, author, data))

        result = self._hub.spaces.accept_aside(space, author, data, kept)
        if isinstance(result, Accepted):
            for other in self._hub.shares(space.id):
                if other is not share:
                    self._send(other, author, data, now)
        elif result is DropReason.MEMBERSHIP_MISSING:
            self._wait(share, (space.id, author, data))
        else:
            return False
        return True

    def membership_changed(self, space: Space, now: int) -> None:
        """Try again what waits for its past."""
        for key, share in tuple(self._waiting.items()):
            if key[0] == space.id:
                del self._waiting[key]
                self.take(share, space, key[1], key[2], now)

    def reload(self, now: int) -> None:
        """Take again what could not be kept."""
        for space in self._hub.spaces.all():
            self.membership_changed(space, now)

    def _wait(self, share: Share, record: tuple[bytes, bytes, bytes]) -> None:
        if len(self._waiting) >= WAITING_MAX:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[record] = share

    def _send(self, share: Share, author: bytes, data: bytes, now: int) -> None:
        try:
            seq = entries.decode(data).head.seq
        except WireError:
            return
        self._hub.send(share.peer, Entries(share.number, author, seq, (data,)), now)
