"""Forks: where two branches of one feed part, and the proof that goes round.

Enters: a head whose running hash differs from ours, an entry that does not fit ours, FORK. Leaves:
PROBE, FORK, and `Spaces.fork` with both signed entries. Two heads differ: the middle is compared,
entry by entry, until the first difference is found; an entry fixes all before it by its `prev`.
What a peer says is only believed once both entries verify, which `Spaces.fork` does.
"""

from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.events import EntriesQuery
from meshd.space.record import fork_key, unpack_fork
from meshd.space.space import Space
from meshd.sync.branches import Branches
from meshd.sync.hub import Hub, Peer, Share
from meshd.wire import entry as entries
from meshd.wire.sync_messages import Fork, Probe, Probed

SEARCHES_MAX = 8
"""Feeds searched at a time, one peer each; further suspicions wait for the next HAVE."""
SEARCH_US = 60_000_000
"""A search that gets no further for so long is given up, and none begins for as long after it."""
SEARCH_ALL_US = 300_000_000
"""A whole search; on a slow link that carries a file each answer may wait for half a minute."""
FRUITLESS_MAX = 64
"""Feeds whose last search failed; the oldest is forgotten."""
PEER_PROBES_MAX = 16
"""Probes of one session that wait for the store."""
PROOFS_MAX = 64
"""Proofs kept in memory to pass on; the oldest is forgotten, its feed stays frozen."""


WAITING_MAX = 8
"""Proofs of one space from one peer that wait until their feeds were fetched."""
CATCH_UP_MAX = 4096
"""How far behind a fork a newcomer follows one branch before it takes the proof."""

Proof = tuple[int, bytes, bytes]
"""The seq of the first difference, and both signed entries."""


class Search:
    """A bisection: entries are equal at `low`, differ at `high`; `probe` is compared now."""

    __slots__ = ("end", "high", "low", "mine", "probe", "share", "stepped", "theirs", "until")

    def __init__(self, share: Share, high: int, now: int) -> None:
        self.share = share
        self.low = 0
        self.high = high
        self.probe = high
        self.mine: bytes | None = None
        self.theirs: bytes | None = None
        self.end = now + SEARCH_ALL_US
        self.until = now + SEARCH_US
        self.stepped = False


class Forks:
    """Searches under way, and probes of others that wait for the store."""

    __slots__ = (
        *("_fruitless", "_hub", "_probes", "_proofs", "_reads", "_searches", "_waiting"),
        "branches",
    )

    def __init__(self, hub: Hub, metas: dict[str, bytes]) -> None:
        self._hub = hub
        self.branches = Branches(hub)
        self._proofs: dict[tuple[bytes, bytes], Proof] = {}
        self._waiting: dict[tuple[bytes, bytes], tuple[Share, Proof]] = {}
        self._searches: dict[tuple[bytes, bytes], Search] = {}
        self._reads: dict[int, tuple[bytes, bytes, int]] = {}
        self._probes: dict[int, tuple[Peer, Probe, int]] = {}
        self._fruitless: dict[tuple[bytes, bytes], int] = {}
        self._load(metas)

    def suspect(self, share: Share, author: bytes, high: int, now: int) -> None:
        """Look for the first difference between our feed and this peer's, up to `high`."""
        key = (share.space, author)
        busy = len(self._searches) >= SEARCHES_MAX or len(self._reads) >= 2 * SEARCHES_MAX
        if key in self._searches or busy or high < 1 or self._fruitless.get(key, 0) > now:
            return
        self._searches[key] = search = Search(share, high, now)
        self._hub.ctx.timers.set_earlier(("sync", "forks"), search.until)
        self._compare(key, search, now)

    def probe(self, share: Share, message: Probe, space: Space, now: int) -> None:
        """Answer a PROBE from the store."""
        feed = space.feeds.get(message.author)
        if feed is None or not 1 <= message.seq <= feed.durable_seq:
            answer = Probed(share.number, message.author, message.seq, b"")
            self._hub.send(share.peer, answer, now)
            return
        waiting = sum(peer is share.peer for peer, _, _ in self._probes.values())
        if waiting >= PEER_PROBES_MAX:
            self._hub.drop(DropReason.SYNC_TABLE_FULL, share.peer)
            return
        token = self._read(share.space, message.author, message.seq)
        self._probes[token] = (share.peer, message, share.number)

    def probed(self, share: Share, message: Probed, now: int) -> None:
        """Take the peer's entry at the place that is compared."""
        key = (share.space, message.author)
        search = self._searches.get(key)
        if search is None or search.share is not share or search.probe != message.seq:
            self._hub.drop(DropReason.SYNC_UNASKED, share.peer)
            return
        if not message.entry:
            self._give_up(key, now)
            return
        search.theirs = message.entry
        search.until = min(now + SEARCH_US, search.end)
        self._step(key, search, now)

    def read_done(self, token: int, data: bytes | None, now: int) -> bool:
        """Take an entry of the store, None when it failed; False when another part asked."""
        if (waiting := self._probes.pop(token, None)) is not None:
            peer, message, number = waiting
            if self._hub.peers.get(peer.session) is peer:
                answer = Probed(number, message.author, message.seq, data or b"")
                self._hub.send(peer, answer, now)
            return True
        place = self._reads.pop(token, None)
        if place is None:
            return False
        space, author, seq = place
        search = self._searches.get((space, author))
        if search is not None and search.probe == seq:
            if data is None:
                self._give_up((space, author), now)
            else:
                search.mine = data
                self._step((space, author), search, now)
        return True

    def fork(self, share: Share, message: Fork, space: Space, now: int) -> None:
        """Take a proof that is going round; only two entries that verify are one.

        A newcomer first fetches what its peer has of the feed, or it could never learn what was
        written before the fork.
        """
        key = (share.space, message.author)
        feed = space.feeds.get(message.author)
        if key in self._proofs:
            self._tell_records(share, message.author, now)
            return
        proof = (message.seq, message.one, message.other)
        known = share.theirs.get(message.author)
        held = feed.seq if feed else 0
        if held >= message.seq or known is None or held >= known.seq:
            self._prove(share, message.author, proof, now)
            self._tell_records(share, message.author, now)
        elif sum(source is share for source, _ in self._waiting.values()) < WAITING_MAX:
            self._waiting.setdefault(key, (share, proof))
        else:
            self._hub.drop(DropReason.SYNC_TABLE_FULL, share.peer)

    def grown(self, share: Share, author: bytes, seq: int, now: int) -> None:
        """Apply a proof that waited until its feed was fetched."""
        key = (share.space, author)
        waiting = self._waiting.get(key)
        if waiting is None:
            return
        source, proof = waiting
        known = source.theirs.get(author)
        if known is None or seq >= known.seq or seq >= proof[0] + CATCH_UP_MAX:
            del self._waiting[key]
            self._prove(source, author, proof, now)
            self._tell_records(source, author, now)

    def found(self, space: bytes, author: bytes, now: int) -> None:
        """Pass a proof on to everybody who shares the space."""
        self._searches.pop((space, author), None)
        self._waiting.pop((space, author), None)
        for share in self._hub.shares(space):
            self._tell(share, author, now)

    def proven(self, space_id: bytes, author: bytes, proof: Proof, now: int) -> DropReason | None:
        """Take a proof that came by another way; return why it is none."""
        space = self._hub.spaces.get(space_id)
        if space is None or author not in space.feeds:
            return DropReason.FORK_UNPROVEN
        reason = self._hub.spaces.fork(space, author, *proof, now=now)
        if reason is None:
            self._keep((space_id, author), proof)
        return reason

    def proof(self, space_id: bytes, author: bytes) -> Proof | None:
        """Return what proves that a feed was forked."""
        return self._proofs.get((space_id, author))

    def opened(self, share: Share, now: int) -> None:
        """Show a new peer every fork that is known here."""
        for space, author in tuple(self._proofs):
            if space == share.space:
                self._tell(share, author, now)

    def reload(self, now: int) -> None:
        """Freeze again what the store forgot with a commit that failed: the proofs are still here.

        Peers show a proof once; without this an own feed would go on that nobody takes any more.
        What went back with it is fetched first, as by a newcomer.
        """
        for (space_id, author), proof in tuple(self._proofs.items()):
            space = self._hub.spaces.get(space_id)
            feed = space.feeds.get(author) if space is not None else None
            if space is None or (feed is not None and feed.frozen):
                continue
            held = feed.seq if feed else 0
            ahead = [
                share
                for share in self._hub.shares(space_id)
                if author in share.theirs and share.theirs[author].seq > held
            ]
            if ahead and not space.is_own(author):
                self._waiting[space_id, author] = (ahead[0], proof)
            else:
                self._hub.spaces.fork(space, author, *proof, now=now)
        self.branches.reload(now)

    def session_down(self, peer: Peer, now: int) -> None:
        """Give up what was being compared with this session."""
        self.branches.session_down(peer)
        for key, search in tuple(self._searches.items()):
            if search.share.peer is peer:
                del self._searches[key]
        for key, (share, proof) in tuple(self._waiting.items()):
            if share.peer is peer:
                del self._waiting[key]
                self._prove(share, key[1], proof, now)

    def tick(self, now: int) -> None:
        """Give up searches that last too long."""
        for key, search in tuple(self._searches.items()):
            if search.until <= now:
                self._give_up(key, now)
        if self._searches:
            first = min(search.until for search in self._searches.values())
            self._hub.ctx.timers.set(("sync", "forks"), first)

    def _compare(self, key: tuple[bytes, bytes], search: Search, now: int) -> None:
        search.mine = search.theirs = None
        space, author = key
        self._reads[self._read(space, author, search.probe)] = (space, author, search.probe)
        message = Probe(search.share.number, author, search.probe)
        self._hub.send(search.share.peer, message, now)

    def _step(self, key: tuple[bytes, bytes], search: Search, now: int) -> None:
        if search.mine is None or search.theirs is None:
            return
        if _same(key, search.mine, search.theirs):
            search.low = search.probe
        else:
            search.high = search.probe
            if search.high == search.low + 1:
                del self._searches[key]
                self._prove(search.share, key[1], (search.high, search.mine, search.theirs), now)
                return
        if search.low >= search.high:
            if search.stepped or search.high == 1:
                self._give_up(key, now)
                return
            # Eight bytes of `prev` can be ground: one entry may follow on both branches.
            search.stepped, search.low, search.high = True, 0, search.high - 1
            search.probe = search.high
            self._compare(key, search, now)
            return
        search.probe = (
            (search.low + search.high) // 2 if search.high - search.low > 1 else (search.high)
        )
        self._compare(key, search, now)

    def _prove(self, share: Share, author: bytes, proof: Proof, now: int) -> None:
        space = self._hub.spaces.get(share.space)
        if space is None or not (author in space.feeds or space.is_member(author)):
            return
        reason = self._hub.spaces.fork(space, author, *proof, now=now)
        if reason is not None:
            self._hub.drop(reason, share.peer)
            self._pause((space.id, author), now)
            return
        self._keep((space.id, author), proof)

    def _give_up(self, key: tuple[bytes, bytes], now: int) -> None:
        del self._searches[key]
        self._pause(key, now)

    def _pause(self, key: tuple[bytes, bytes], now: int) -> None:
        self._fruitless.pop(key, None)
        if len(self._fruitless) >= FRUITLESS_MAX:
            del self._fruitless[next(iter(self._fruitless))]
        self._fruitless[key] = now + SEARCH_US

    def _keep(self, key: tuple[bytes, bytes], proof: Proof) -> None:
        if len(self._proofs) >= PROOFS_MAX:
            del self._proofs[next(iter(self._proofs))]
        self._proofs.setdefault(key, proof)

    def _tell(self, share: Share, author: bytes, now: int) -> None:
        proof = self._proofs.get((share.space, author))
        if proof is not None:
            self._hub.send(share.peer, Fork(share.number, author, *proof), now)

    def _tell_records(self, share: Share, author: bytes, now: int) -> None:
        """Tell a peer that knows of a fork what membership records are held of that feed."""
        proof = self._proofs.get((share.space, author))
        space = self._hub.spaces.get(share.space)
        if proof is not None and space is not None:
            self.branches.tell(share, space, author, proof[0], now)

    def _load(self, metas: dict[str, bytes]) -> None:
        """Read the proofs that the store holds."""
        for space in self._hub.spaces.all():
            for author, feed in space.feeds.items():
                kept = metas.get(fork_key(space.id, author))
                if feed.frozen and kept is not None and len(self._proofs) < PROOFS_MAX:
                    try:
                        self._proofs[space.id, author] = unpack_fork(kept)
                    except WireError:
                        continue

    def _read(self, space: bytes, author: bytes, seq: int) -> int:
        return self._hub.ctx.read("sync", EntriesQuery(space, author, seq, seq, 1))


def _same(key: tuple[bytes, bytes], mine: bytes, theirs: bytes) -> bool:
    """Compare what two entries sign; an erased body makes no difference."""
    if mine == theirs:
        return True
    try:
        return entries.decode(mine).digest(*key) == entries.decode(theirs).digest(*key)
    except WireError:
        return False
