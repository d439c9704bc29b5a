"""Routed sessions: when no neighbour carries a space, one far member or relay of it is asked.

Enters: which spaces are shared with whom, time. Leaves: `want` and `unwant` of sessions. A space
that nobody connected carries for `LONELY_US` gets one routed session, to its members in turn, with
growing pauses; it ends when a neighbour carries the space. A few at a time in all. Who was found
is left for the next after a while: else far members would pair up, and no pair hear of another.
Who waits for something may know who is likely to have it: these are wanted all the while, beside
the turns.
"""

from collections.abc import Sequence

from meshd.core.ids import node_id
from meshd.sync.hub import Hub

LONELY_US = 3_000_000
TRY_US = 10_000_000
"""How long one node is tried before the next."""
SOUGHT_TRY_US = 2_000_000
"""The same while somebody waits."""
STAY_US = 16_000_000
"""How long, at most, who has not what is sought is kept once everybody was asked in vain."""
LIKELY_MAX = 4
"""Nodes of one space that are wanted at a time because they are likely to have what is sought."""
TURN_US = 60_000_000
"""How long the first far member that was found is kept, when there are others; then twice as long.

At most `PAUSE_LAST_US`: what one pair has, all have after some turns.
"""
SEEN_MAX = 8
"""Nodes of one space remembered because they shared it; the oldest is forgotten."""
PAUSE_LAST_US = 300_000_000
ROUTED_MAX = 8
"""Spaces that may hold a routed session at a time."""


SEEK_US = 60_000_000
"""How long a routed session is kept for somebody who waits for what neighbours do not have.

It begins anew with each part that comes by it.
"""


class Errand:
    """One space's search for a far node: whom it wants now, how often everybody failed.

    `likely` are those wanted beside, in the order in which they were named.
    `last` is who was tried last, at first a random place among the ids: who is tried next is the
    next one by id. Counting places would leave somebody out for ever, since the list of those to
    try lacks whoever is connected. `met` once the node was found connected without the space. Once
    everybody failed, asking again for the same wakes nobody else before `stay_until`. Once the node
    carries the space, the next has its turn at `turn_at`, the later the more `turns` there were.
    """

    __slots__ = (
        *("failures", "last", "likely", "met", "node", "sought_until", "stay_until"),
        *("turn_at", "turns"),
    )

    def __init__(self, last: bytes) -> None:
        self.node: bytes | None = None
        self.likely: dict[bytes, None] = {}
        self.last = last
        self.failures = 0
        self.met = False
        self.sought_until = 0
        self.stay_until = 0
        self.turn_at: int | None = None
        self.turns = 0


class Routed:
    """The wants of all lonely spaces."""

    __slots__ = ("_errands", "_hub", "_own", "_seen")

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._own = node_id(hub.public)
        self._errands: dict[bytes, Errand] = {}
        self._seen: dict[bytes, dict[bytes, None]] = {}

    def __len__(self) -> int:
        return sum(bool(errand.node or errand.likely) for errand in self._errands.values())

    def shared(self, space_id: bytes, node: bytes) -> None:
        """Remember who shared a space: a relay cannot read whose keys its members' are."""
        seen = self._seen.setdefault(space_id, {})
        seen.pop(node, None)
        seen[node] = None
        if len(seen) > SEEN_MAX:
            del seen[next(iter(seen))]

    def is_searching(self, space_id: bytes) -> bool:
        """Tell whether somebody far is wanted, or will be, for a space."""
        return space_id in self._errands

    def far(self, space_id: bytes) -> list[bytes]:
        """Return the nodes that may have a space and are not connected, by id."""
        space = self._hub.spaces.get(space_id)
        members = space.members() if space is not None else ()
        known = {member.node for member in members} | self._seen.get(space_id, {}).keys()
        return sorted(known - {self._own, b""} - self._connected())

    def review(self, now: int) -> None:
        """Start to count for spaces that are lonely, end errands that are not needed any more."""
        for space in self._hub.spaces.all():
            key = ("sync", "routed", space.id)
            errand = self._errands.get(space.id)
            if not self._hub.shares(space.id):
                if self._hub.ctx.timers.deadline(key) is None:
                    self._hub.ctx.timers.set(key, now + LONELY_US)
            elif errand is None:
                self._hub.ctx.timers.cancel(key)
            elif now >= errand.sought_until and self._is_carried(space.id, errand):
                self._end(space.id, errand, now)
            elif now >= errand.sought_until:
                errand.failures = 0
                if errand.turn_at is None:
                    errand.turn_at = now + min(TURN_US << min(errand.turns, 5), PAUSE_LAST_US)
                self._hub.ctx.timers.set(key, errand.turn_at)

    def due(self, space_id: bytes, now: int) -> None:
        """Try the next member of a space that is still lonely, or still sought."""
        errand = self._errands.get(space_id)
        if self._hub.shares(space_id) and (errand is None or now >= errand.sought_until):
            turn_at = None if errand is None else errand.turn_at
            if errand is not None and turn_at is not None and now >= turn_at:
                self._turn(space_id, errand, now)
            else:
                self.review(now)
        elif errand is not None and self._helps(space_id, errand):
            self._hub.ctx.timers.set(("sync", "routed", space_id), now + TRY_US)
        else:
            self._try(space_id, now)

    def seek(self, space_id: bytes, likely: Sequence[bytes], now: int) -> None:
        """Look further away at once: neighbours lack something that a person waits for.

        `likely` are nodes that should have it, the likeliest first; the others' turn comes soon,
        and what nobody had is asked again ever more slowly.
        """
        if space_id not in self._errands:
            self._errands[space_id] = self._new_errand()
        errand = self._errands[space_id]
        errand.sought_until = now + SEEK_US
        if self._want_likely(errand, likely, now):
            pause_us = SOUGHT_TRY_US
            self._hub.ctx.timers.set_earlier(("sync", "routed", space_id), now + pause_us)
        elif errand.node is None or errand.node in self._connected():
            if errand.failures == 0 or now >= errand.stay_until:
                self._try(space_id, now)

    def gave(self, space_id: bytes, node: bytes, now: int) -> None:
        """Keep a far node that gives what is sought: a large file takes longer than `SEEK_US`."""
        errand = self._errands.get(space_id)
        if errand is not None and (node == errand.node or node in errand.likely):
            errand.sought_until = now + SEEK_US

    def _turn(self, space_id: bytes, errand: Errand, now: int) -> None:
        """Leave who carries the space for the next, if there is one."""
        errand.turns += 1
        errand.turn_at = None
        if not self._is_carried(space_id, errand) and self._away(space_id, errand):
            self._try(space_id, now)
        else:
            self.review(now)

    def _away(self, space_id: bytes, errand: Errand) -> list[bytes]:
        """Return the nodes that may have a space, and are neither connected nor wanted, by id."""
        return [node for node in self.far(space_id) if node not in errand.likely]

    def _want_likely(self, errand: Errand, likely: Sequence[bytes], now: int) -> bool:
        """Want those of `likely` that are not yet; tell whether there are any."""
        if not (errand.node or errand.likely) and len(self) >= ROUTED_MAX:
            return False
        away = self._connected() | {self._own, b"", *errand.likely}
        thick = [node for node in likely[:LIKELY_MAX] if not self._hub.sessions.is_thin(node)]
        fresh = [node for node in dict.fromkeys(thick) if node not in away]
        room = LIKELY_MAX - len(errand.likely)
        if room == 0 and now >= errand.stay_until:
            room, errand.stay_until = 1, now + STAY_US
        fresh = fresh[:room]
        for node in fresh:
            if len(errand.likely) >= LIKELY_MAX:
                oldest = next(iter(errand.likely))
                del errand.likely[oldest]
                self._hub.sessions.unwant(oldest, now)
            errand.likely[node] = None
            self._hub.sessions.want(node, now)
        return bool(fresh)

    def _helps(self, space_id: bytes, errand: Errand) -> bool:
        """Tell whether to stay with the node: it shares the space, or was met only now.

        A member whose card is gone is connected for ever and has nothing. Who is likely to have
        what is sought spares the others too.
        """
        sharing = {share.peer.node for share in self._hub.shares(space_id)}
        if sharing & errand.likely.keys():
            return True
        if errand.node not in self._connected():
            return False
        met, errand.met = errand.met, True
        return not met or errand.node in sharing

    def _new_errand(self) -> Errand:
        return Errand(self._hub.ctx.rng.randrange(1 << 16).to_bytes(2, "big"))

    def _connected(self) -> set[bytes]:
        return {peer.node for peer in self._hub.peers.values()}

    def _try(self, space_id: bytes, now: int) -> None:
        if self._hub.spaces.get(space_id) is None:
            return
        errand = self._errands.get(space_id)
        if errand is None:
            errand = self._errands[space_id] = self._new_errand()
        nodes = self._away(space_id, errand)
        thick = [node for node in nodes if not self._hub.sessions.is_thin(node)]
        nodes = thick or nodes  # who waits behind LoRa is met as soon as there is another way
        if errand.node is not None:
            self._hub.sessions.unwant(errand.node, now)
            errand.node = None
        errand.met, errand.turn_at = False, None
        if nodes and len(self) - bool(errand.likely) < ROUTED_MAX:
            beyond = [node for node in nodes if node > errand.last]
            errand.failures += not beyond
            errand.node = errand.last = (beyond or nodes)[0]
            self._hub.sessions.want(errand.node, now)
        patience = SOUGHT_TRY_US if now < errand.sought_until else TRY_US
        pause = min(patience << min(errand.failures, 5), PAUSE_LAST_US)
        errand.stay_until = now + min(pause, STAY_US)
        self._hub.ctx.timers.set(("sync", "routed", space_id), now + pause)

    def _is_carried(self, space_id: bytes, errand: Errand) -> bool:
        """Tell whether somebody carries the space who is connected without our asking."""
        return any(
            share.peer.via == "link" or share.peer.node not in (errand.node, *errand.likely)
            for share in self._hub.shares(space_id)
        )

    def _end(self, space_id: bytes, errand: Errand, now: int) -> None:
        if errand.node is not None:
            self._hub.sessions.unwant(errand.node, now)
        for node in errand.likely:
            self._hub.sessions.unwant(node, now)
        del self._errands[space_id]
        self._hub.ctx.timers.cancel(("sync", "routed", space_id))
