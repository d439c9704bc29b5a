"""A distance vector for LoRa: entries of four bytes, told seldom, feasible as RFC 8966 has it.

Enters: who was heard how well, what neighbours say of routes, which next hop stayed silent. Leaves:
what to say in the next frame, and next hops by destination, best first. Only who is heard both
ways is a next hop. What changed is told soon, twice; all that is known in turn, once a period that
grows with the table, so that quiet nodes keep to a share of the channel. All next hops offered are
feasible (RFC 8966 §3.5.1), so that no choice among them closes a loop.
Must not know: frames, keys, the channel. Ref: docs/decisions/0010-lora-routes.md.
"""

from random import Random
from typing import NamedTuple

from meshd.wire.lora_routes import (
    DISTANCE_MAX,
    DISTANCE_STEP,
    ENTRIES_MAX,
    ENTRY_LEN,
    METRIC_STEP,
    ROUTES_HEAD,
    SEQNO_MODULUS,
    UNREACHABLE,
    WANT_LEN,
    WANTS_MAX,
    RouteEntry,
    Routes,
    Want,
)

NEIGHBOURS_MAX = 64
DESTINATIONS_MAX = 512
ASK_AGAIN_US = 300_000_000
FRAME_COST = 30
"""What a frame costs beside its entries, in bytes: overhead, preamble, head of the item."""

ROUTES_PER_DESTINATION_MAX = 4
SILENT_MAX = 3
"""A neighbour that stayed silent for so many messages in a row is no next hop any more."""


class Rules(NamedTuple):
    """Times in µs, costs in steps of 256.

    soon_us      a change is told between one and two of it later, and again after four to eight
    want_us      what somebody waits for is asked and told between one and two of it later
    period_us    all that is known is told once in this time, or more seldom: see `share`
    byte_us      airtime of one byte, about
    share        of the channel that all in earshot together may use for it
    hop_cost     of a link with margin; one with less than `margin_db` costs a quarter more
    reach        entries of a higher metric are told only to who asks; UNREACHABLE: all are told
    """

    soon_us: int
    want_us: int = 1_500_000
    period_us: int = 3_600_000_000
    byte_us: int = 10_000
    share: float = 0.006
    hop_cost: int = 15
    margin_db: float = 3.0
    reach: int = UNREACHABLE


class Neighbour:
    """One node in earshot. `hears_us`: it said that it hears us; `silent`: failures in a row."""

    __slots__ = ("heard_us", "hears_us", "margin_db", "silent")

    def __init__(self) -> None:
        self.heard_us = 0
        self.hears_us = False
        self.margin_db = 0.0
        self.silent = 0


class Route:
    """What a neighbour last said of a destination."""

    __slots__ = ("learned_us", "metric", "seqno")

    def __init__(self, seqno: int, metric: int, now: int) -> None:
        self.seqno = seqno
        self.metric = metric
        self.learned_us = now


class Destination:
    """One node: routes by neighbour, the feasibility distance, and what was told of it."""

    __slots__ = ("asked", "best", "distance", "repeats", "routes", "said_us")

    def __init__(self) -> None:
        self.routes: dict[bytes, Route] = {}
        self.distance: tuple[int, int] | None = None
        self.best: tuple[bytes, int] | None = None
        self.said_us = 0
        self.repeats = 0
        self.asked = False


class LoraRoutes:
    """The routes of one radio."""

    def __init__(self, own: bytes, rules: Rules, rng: Random, now: int) -> None:
        self.own = own
        self.rules = rules
        self.neighbours: dict[bytes, Neighbour] = {}
        self.known: dict[bytes, Destination] = {}
        self.seqno = 0
        self._rng = rng
        self._wants: dict[bytes, int] = {}
        self._asked_us: dict[tuple[bytes, int], int] = {}
        self._soon_us: int | None = None
        self._hello = 3
        self._turn_us = now + rng.randint(1, max(rules.soon_us, 2))

    # --- inputs -----------------------------------------------------------------------------------

    def heard(self, short: bytes, margin_db: float, now: int) -> None:
        """Note any frame of a neighbour, and by how much it was above the limit."""
        neighbour = self.neighbours.get(short)
        if neighbour is None:
            if len(self.neighbours) >= NEIGHBOURS_MAX or short == self.own:
                return
            neighbour = self.neighbours[short] = Neighbour()
            neighbour.margin_db = margin_db
            self._destination(short)
            self._tell(short, now)
        neighbour.heard_us = now
        was_silent, neighbour.silent = neighbour.silent, 0
        if was_silent >= SILENT_MAX:
            self._reselect_all(now)
        neighbour.margin_db += (margin_db - neighbour.margin_db) / 4

    def learn(self, sender: bytes, said: Routes, now: int) -> None:
        """Take what a neighbour says."""
        neighbour = self.neighbours.get(sender)
        if neighbour is None:
            return
        for entry in said.entries:
            if entry.short == self.own:
                if entry.heard != neighbour.hears_us:
                    neighbour.hears_us = entry.heard
                    self._reselect_all(now)
            elif entry.short != sender:
                self._offer(entry.short, sender, entry, now)
        own = RouteEntry(sender, said.seqno, 0, heard=True)
        self._offer(sender, sender, own, now)
        for want in said.wants:
            self._asked(want, now)

    def hears(self, short: bytes, now: int) -> None:
        """Note that a neighbour has shown that it hears this node."""
        neighbour = self.neighbours.get(short)
        if neighbour is not None and not neighbour.hears_us:
            neighbour.hears_us = True
            known = self.known.get(short)
            if known is not None and short not in known.routes:
                self._offer(
                    short, short, RouteEntry(short, self._seqno_of(short), 0, heard=True), now
                )
            self._reselect_all(now)

    def failed(self, short: bytes, now: int) -> None:
        """Note that a neighbour stayed silent through all tries of a message."""
        neighbour = self.neighbours.get(short)
        if neighbour is not None:
            neighbour.silent += 1
            if neighbour.silent == SILENT_MAX:
                self._reselect_all(now)

    def want(self, short: bytes, now: int) -> None:
        """Ask for a route to a node that nobody offers."""
        known = self._destination(short)
        everybody_tells = self.rules.reach >= UNREACHABLE
        if known is not None and (known.routes or not everybody_tells):
            seqno = known.distance[0] if known.distance else 0
            later = (seqno + 1) % SEQNO_MODULUS if known.distance else seqno
            self._ask(Want(short, later), now)

    # --- ways -------------------------------------------------------------------------------------

    def ways(self, short: bytes) -> list[tuple[bytes, int]]:
        """Return neighbours that are nearer to a node, with metrics through them, best first."""
        known = self.known.get(short)
        if known is None:
            return []
        found: list[tuple[int, int, bytes]] = []
        for via, route in known.routes.items():
            cost = self._cost(via)
            total = route.metric + (cost or UNREACHABLE)
            if cost is not None and total < UNREACHABLE and _feasible(known.distance, route):
                found.append((self.neighbours[via].silent, total, via))
        return [(via, total) for _, total, via in sorted(found)]

    def distance(self, short: bytes) -> int:
        """Return how far a node is, in the steps of messages; DISTANCE_MAX: no way is known."""
        if short == self.own:
            return 0
        known = self.known.get(short)
        if known is None or known.best is None:
            return DISTANCE_MAX
        return min(-(-known.best[1] * METRIC_STEP // DISTANCE_STEP), DISTANCE_MAX)

    # --- what to say ------------------------------------------------------------------------------

    def due_us(self) -> int:
        """Return when `build` has something."""
        return self._turn_us if self._soon_us is None else min(self._soon_us, self._turn_us)

    def build(self, now: int, room: int) -> Routes | None:
        """Return what is to be said now in at most `room` bytes, or None when nothing is due."""
        if self.due_us() > now:
            return None
        full = self._turn_us <= now
        if full:
            self._expire(now)
        wants = [Want(short, seqno) for short, seqno in self._wants.items()]
        wants = wants[: min(WANTS_MAX, (room - ROUTES_HEAD) // WANT_LEN)]
        for want in wants:
            del self._wants[want.short]
        if full and not self._hello:
            self.seqno = (self.seqno + 1) % SEQNO_MODULUS
        limit = min((room - ROUTES_HEAD - WANT_LEN * len(wants)) // ENTRY_LEN, ENTRIES_MAX)
        chosen = self._chosen(full=full, limit=limit)
        entries = tuple(self._entry(short, now) for short in chosen)
        self._arm(now, len(chosen), full=full)
        return Routes(self.seqno, entries, tuple(wants))

    def _chosen(self, *, full: bool, limit: int) -> list[bytes]:
        """Return the destinations to speak of: what changed, then, in its turn, the oldest word."""
        changed = [short for short, known in self.known.items() if known.repeats]
        rest: list[bytes] = []
        if full:
            news = set(changed)
            rest = [short for short in self.known if short not in news and self._worth(short)]
            rest.sort(key=lambda short: self.known[short].said_us)
        return (changed + rest)[: max(limit, 0)]

    def _worth(self, short: bytes) -> bool:
        best = self.known[short].best
        near = best is not None and best[1] <= self.rules.reach
        return near or short in self.neighbours

    def _entry(self, short: bytes, now: int) -> RouteEntry:
        known = self.known[short]
        known.said_us = now
        known.repeats = max(known.repeats - 1, 0)
        known.asked = False
        heard = short in self.neighbours
        if known.best is None:
            seqno = known.distance[0] if known.distance else 0
            return RouteEntry(short, seqno, UNREACHABLE, heard=heard)
        via, metric = known.best
        seqno = known.routes[via].seqno
        if known.distance is None or _newer(seqno, known.distance[0]):
            known.distance = (seqno, metric)
        elif seqno == known.distance[0]:
            known.distance = (seqno, min(metric, known.distance[1]))
        return RouteEntry(short, seqno, metric, heard=heard)

    def _arm(self, now: int, said: int, *, full: bool) -> None:
        rules = self.rules
        again = any(known.repeats for known in self.known.values())
        self._soon_us = None
        if again:
            self._soon_us = now + rules.soon_us * 4 + self._rng.randint(0, 4 * rules.soon_us)
        if not full:
            return
        if self._hello:
            self._hello -= 1
            spread = rules.soon_us * (4 << (3 - self._hello))
        else:
            rows = sum(self._worth(short) for short in self.known)
            part_us = self.period_us() * min(said, rows) // rows if rows else self.period_us()
            spread = max(part_us, rules.soon_us)
        self._turn_us = now + spread // 2 + self._rng.randint(0, spread)

    def _expire(self, now: int) -> None:
        """Forget who was silent, and what nobody repeated, for three periods and a half."""
        past_us = now - self.period_us() * 7 // 2
        for short, neighbour in list(self.neighbours.items()):
            if neighbour.heard_us < past_us:
                del self.neighbours[short]
        for short, known in list(self.known.items()):
            for via, route in list(known.routes.items()):
                if route.learned_us < past_us or via not in self.neighbours:
                    del known.routes[via]
            self._reselect(short, known, now)
            if not known.routes and not known.repeats and short not in self.neighbours:
                del self.known[short]

    def period_us(self) -> int:
        """Return in which time all that is known is told once: `share` bounds it from below."""
        rows = sum(self._worth(short) for short in self.known)
        frames = rows // ENTRIES_MAX + 1
        size = rows * ENTRY_LEN + frames * FRAME_COST
        whole_us = size * self.rules.byte_us * (len(self.neighbours) + 1)
        return max(self.rules.period_us, round(whole_us / self.rules.share))

    # --- selection --------------------------------------------------------------------------------

    def _destination(self, short: bytes) -> Destination | None:
        known = self.known.get(short)
        if known is None and len(self.known) < DESTINATIONS_MAX and short != self.own:
            known = self.known[short] = Destination()
        return known

    def _offer(self, short: bytes, via: bytes, entry: RouteEntry, now: int) -> None:
        known = self._destination(short)
        if known is None:
            return
        route = known.routes.get(via)
        if route is not None:
            route.seqno, route.metric, route.learned_us = entry.seqno, entry.metric, now
        elif entry.metric < UNREACHABLE:
            if len(known.routes) >= ROUTES_PER_DESTINATION_MAX:
                worst = max(known.routes, key=lambda one: known.routes[one].metric)
                if known.routes[worst].metric <= entry.metric:
                    return
                del known.routes[worst]
            known.routes[via] = Route(entry.seqno, entry.metric, now)
        self._reselect(short, known, now)

    def _reselect_all(self, now: int) -> None:
        for short, known in self.known.items():
            self._reselect(short, known, now)

    def _reselect(self, short: bytes, known: Destination, now: int) -> None:
        """Choose the best feasible way; a change that matters is told soon."""
        ways = self.ways(short)
        before = known.best
        known.best = min(ways, key=_metric, default=None)
        if before is not None and known.best is not None:
            stays = dict(ways).get(before[0])
            if stays is not None and stays - known.best[1] < self.rules.hop_cost // 4:
                known.best = (before[0], stays)
        if known.best is None:
            if known.routes and before is not None:
                self.want(short, now)
            if before is not None:
                self._tell(short, now)
        elif before is None or abs(before[1] - known.best[1]) >= self.rules.hop_cost // 2:
            if self._worth(short) or known.asked:
                self._tell(short, now)
        elif before[0] != known.best[0]:
            known.said_us = 0

    def _tell(self, short: bytes, now: int) -> None:
        known = self.known[short]
        known.repeats = 2
        self._hurry(now, self.rules.want_us if known.asked else self.rules.soon_us)

    def _hurry(self, now: int, wait_us: int) -> None:
        due_us = now + wait_us + self._rng.randint(0, wait_us)
        if self._soon_us is None or due_us < self._soon_us:
            self._soon_us = due_us

    def _cost(self, via: bytes) -> int | None:
        """Return the cost of a link, None when it does not work both ways."""
        neighbour = self.neighbours.get(via)
        if neighbour is None or not neighbour.hears_us or neighbour.silent >= SILENT_MAX:
            return None
        cost = self.rules.hop_cost
        if neighbour.margin_db < self.rules.margin_db:
            cost += cost // 4
        return cost

    def _seqno_of(self, short: bytes) -> int:
        distance = self.known[short].distance
        return distance[0] if distance is not None else 0

    # --- wants ------------------------------------------------------------------------------------

    def _ask(self, want: Want, now: int) -> None:
        asked_us = self._asked_us.get((want.short, want.seqno))
        if asked_us is not None and now - asked_us < ASK_AGAIN_US:
            return
        if len(self._asked_us) >= DESTINATIONS_MAX:
            self._asked_us.clear()
        self._asked_us[want.short, want.seqno] = now
        if len(self._wants) < WANTS_MAX:
            self._wants[want.short] = want.seqno
            self._hurry(now, self.rules.want_us)

    def _asked(self, want: Want, now: int) -> None:
        """Answer who wants a route, or pass the question on once."""
        if want.short == self.own:
            if _newer(want.seqno, self.seqno):
                self.seqno = want.seqno
            self._hurry(now, self.rules.want_us)
            return
        known = self._destination(want.short)
        if known is None:
            return
        if known.best is not None:
            seqno = known.routes[known.best[0]].seqno
            if seqno == want.seqno or _newer(seqno, want.seqno):
                known.repeats = max(known.repeats, 1)
                self._hurry(now, self.rules.want_us)
                return
        known.asked = True
        self._ask(want, now)


def _metric(way: tuple[bytes, int]) -> int:
    return way[1]


def _newer(seqno: int, other: int) -> bool:
    return 0 < (seqno - other) % SEQNO_MODULUS < SEQNO_MODULUS // 2


def _feasible(distance: tuple[int, int] | None, route: Route) -> bool:
    if distance is None or _newer(route.seqno, distance[0]):
        return True
    return route.seqno == distance[0] and route.metric < distance[1]
