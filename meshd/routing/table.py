"""The route table: what each neighbour announced, and which of it is selected (RFC 8966 §3.2.6).

Enters: routes. Leaves: entries by prefix, lookups by address, leases that are alive. The table is
bounded, and shared by neighbour: when it is full, who has most routes gives up its newest. A wide
table, of more than 300 prefixes or half full, keeps three routes to each prefix: the selected one
and the best others; of the rest it knows which packets name them.
Must not know: packets, timers, feasibility.
"""

from collections import Counter

from meshd.core.ids import Prefix
from meshd.neighbour.cost import INFINITY
from meshd.neighbour.table import Neighbour
from meshd.routing.shares import Shares

ROUTES_MAX = 4096
WIDE = 300
"""With more prefixes than this, no more than `WIDE_ROUTES` routes are kept to each.

The same when half of the table is used: with twenty neighbours, a smaller mesh would fill it.
"""

WIDE_ROUTES = 3

NEAR_SHIFT = 3
STRAYS_MAX = 24
EVERYTHING = (Prefix(bytes(16), 0),)
"""The strays of a packet of which more than that are: it is read as if it were new."""


class Lease:
    """How long a set of routes lives that one packet announced, so that one write renews them all.

    `head` is the first prefix of the packet, and `data` its bytes, once that is remembered.
    `strays` are prefixes whose routes left it: hearing the same packet again, they must be read.
    `left_out_cost` is the highest cost of the neighbour at which a route of the packet was left out
    of a wide table, 0 when all are kept: at a lower one it may be worth its place.
    """

    __slots__ = (
        *("data", "expires_us", "head", "hold_us", "left_out_cost", "neighbour", "routes"),
        "strays",
    )

    def __init__(self, hold_us: int, now: int, neighbour: Neighbour) -> None:
        self.hold_us = hold_us
        self.expires_us = now + hold_us
        self.neighbour = neighbour
        self.head: Prefix | None = None
        self.data = b""
        self.routes = 0
        self.strays: tuple[Prefix, ...] = ()
        self.left_out_cost = 0

    def stray(self, prefix: Prefix) -> None:
        """Have the word on a prefix read when the packet is heard again."""
        strays = self.strays
        if self.head is None or strays is EVERYTHING or prefix in strays:
            return
        self.strays = (*strays, prefix) if len(strays) < STRAYS_MAX else EVERYTHING


class Route:
    """What one neighbour last said of one prefix. `advertised` is its metric, without our cost.

    `thin` is what the update said of LoRa hops on the way: they change no choice.
    `restless`: hearing the very same again calls for an act, a seqno request or a correction.
    """

    __slots__ = (
        *("advertised", "lease", "neighbour", "next_hop", "prefix", "router_id", "seqno"),
        *("restless", "since_us", "thin", "unfeasible"),
    )

    def __init__(self, prefix: Prefix, neighbour: Neighbour, lease: Lease, now: int) -> None:
        self.prefix = prefix
        self.neighbour = neighbour
        self.lease = lease
        self.since_us = now
        self.router_id = b""
        self.seqno = 0
        self.advertised = INFINITY
        self.next_hop = neighbour.address
        self.unfeasible = False
        self.restless = False
        self.thin = 0

    @property
    def metric(self) -> int:
        """The metric through this neighbour, at most infinity."""
        metric = self.advertised + self.neighbour.cost
        return metric if metric < INFINITY else INFINITY

    @property
    def hop(self) -> tuple[str, bytes]:
        """Link and next hop; one value for all routes of a neighbour, as there are many."""
        hop = self.neighbour.hop
        return hop if self.next_hop == hop[1] else (hop[0], self.next_hop)


class Entry:
    """All routes to one prefix. `said` is what we last announced: router-id, seqno, metric.

    `spare` are leases of packets that name routes which are not kept, at most one of a neighbour.
    `open` when the last choice may end otherwise by the passing of time alone, or by what others
    are asked for.
    """

    __slots__ = (
        *("held_until", "installed", "open", "prefix", "rival", "rival_since", "routes"),
        *("said", "selected", "spare"),
    )

    def __init__(self, prefix: Prefix) -> None:
        self.prefix = prefix
        self.routes: list[Route] = []
        self.selected: Route | None = None
        self.installed: tuple[str, bytes] | None = None
        self.said: tuple[bytes, int, int] | None = None
        self.held_until: int | None = None
        self.spare: tuple[Lease, ...] = ()
        self.open = True
        self.rival: Route | None = None
        self.rival_since = 0

    def of(self, neighbour: Neighbour) -> Route | None:
        """Return the route by a neighbour."""
        for route in self.routes:
            if route.neighbour is neighbour:
                return route
        return None

    def says(self, route: Route) -> bool:
        """Tell whether what we last announced holds for a route: then a later seqno is no news."""
        said = self.said
        return (
            said is not None
            and said[0] == route.router_id
            and said[2] == route.metric
            and route.seqno - said[1] & 0xFFFF < 0x8000
        )

    def nearly_says(self, route: Route) -> bool:
        """Tell the same of a route that is worse than what we announced, by an eighth at most."""
        said = self.said
        return (
            said is not None
            and said[0] == route.router_id
            and 0 <= route.metric - said[2] <= said[2] >> NEAR_SHIFT
            and route.seqno - said[1] & 0xFFFF < 0x8000
        )

    def leave_out(self, lease: Lease) -> None:
        """Note that the packet of `lease` names a route that is not kept."""
        neighbour = lease.neighbour
        if lease.left_out_cost < neighbour.cost:
            lease.left_out_cost = neighbour.cost
        spare = self.spare
        for place, other in enumerate(spare):
            if other.neighbour is neighbour:
                if other is lease:
                    return
                other.stray(self.prefix)
                spare = spare[:place] + spare[place + 1 :]
                break
        self.spare = (*spare, lease)

    def overrule(self, neighbour: Neighbour) -> None:
        """Forget which packet of a neighbour named a route that is not kept: it said otherwise."""
        spare = self.spare
        for place, lease in enumerate(spare):
            if lease.neighbour is neighbour:
                lease.stray(self.prefix)
                self.spare = spare[:place] + spare[place + 1 :]
                return

    def look_again(self) -> None:
        """Have packets that name routes which are not kept read when they are heard again."""
        for lease in self.spare:
            lease.stray(self.prefix)

    @property
    def short(self) -> bool:
        """Tell whether fewer routes are kept than there is room for."""
        return sum(route.advertised != INFINITY for route in self.routes) < WIDE_ROUTES

    def outdoes(self, metric: int) -> bool:
        """Tell whether all routes are feasible and none is worse than `metric`."""
        for route in self.routes:
            if route.unfeasible or route.advertised + route.neighbour.cost > metric:
                return False
        return self.selected is not None

    def worst(self) -> Route:
        """Return which of at least two routes is missed least; never the selected one."""
        found, most, selected = None, -1, self.selected
        for route in self.routes:
            if route is not selected:
                missed = _rank(route.advertised + route.neighbour.cost, route.unfeasible)
                if missed > most:
                    found, most = route, missed
        assert found is not None
        return found


class RouteTable:
    """Entries by prefix, the leases of their routes, and how many routes each neighbour has."""

    __slots__ = ("_lengths", "_routes", "entries", "leases", "routes_max", "shares", "wide")

    def __init__(self, routes_max: int = ROUTES_MAX) -> None:
        self.entries: dict[Prefix, Entry] = {}
        self.leases: dict[Lease, None] = {}
        self.shares = Shares()
        self.routes_max = routes_max
        self.wide = False
        self._lengths: Counter[int] = Counter()
        self._routes = 0

    def __len__(self) -> int:
        return self._routes

    def routes_of(self, neighbour: Neighbour) -> list[Route]:
        """Return the routes by a neighbour."""
        if neighbour not in self.shares:
            return []
        found = (entry.of(neighbour) for entry in self.entries.values())
        return [route for route in found if route is not None]

    def believed_us(self, prefix: Prefix) -> int:
        """Return for how long a word of a neighbour on a prefix is believed, at most, 0: of none.

        Those count that told of a route, kept here or not.
        """
        entry = self.entries.get(prefix)
        if entry is None:
            return 0
        told = (route.lease for route in entry.routes if route.advertised != INFINITY)
        return max((lease.hold_us for lease in (*told, *entry.spare)), default=0)

    def victim(self, newcomer: Neighbour) -> Route | None:
        """Return the route that must go before `newcomer` may add one; None: none of them may.

        Call it only when the table is full. The neighbour that uses most gives up its newest.
        """
        most = self.shares.gives_way(newcomer)
        if most is None:
            return None
        found = (entry.of(most) for entry in reversed(self.entries.values()))
        return next((route for route in found if route is not None), None)

    @property
    def full(self) -> bool:
        """Tell whether a further route needs a victim."""
        return self._routes >= self.routes_max

    def crowds(self, entry: Entry, *, unfeasible: bool, metric: int) -> Route | None:
        """Return the route that a new one of these qualities replaces in a wide table.

        None when it is not worth a place: there are better ones of other neighbours.
        """
        worst = entry.worst()
        there = _rank(worst.advertised + worst.neighbour.cost, worst.unfeasible)
        return worst if _rank(metric, unfeasible) < there else None

    def add(self, route: Route) -> None:
        """Take a route in."""
        entry = self.entries.get(route.prefix)
        if entry is None:
            entry = self.entries[route.prefix] = Entry(route.prefix)
            self._lengths[route.prefix.length] += 1
        entry.routes.append(route)
        self.shares[route.neighbour] += 1
        self._routes += 1
        self._join(route, route.lease)

    def remove(self, route: Route) -> None:
        """Take a route out; its entry stays until `tidy`."""
        entry = self.entries[route.prefix]
        if route in entry.routes:
            self._leave(route)
            self._drop(entry, route)

    def displace(self, route: Route) -> None:
        """Take a route out of a wide table, and note which packet names it."""
        entry, lease = self.entries[route.prefix], route.lease
        self._part(lease)
        self._drop(entry, route)
        if route.advertised != INFINITY:
            entry.leave_out(lease)

    def _drop(self, entry: Entry, route: Route) -> None:
        entry.routes.remove(route)
        if entry.rival is route:
            entry.rival = None
        self._routes -= 1
        self.shares.drop(route.neighbour)

    def renew(self, route: Route, lease: Lease) -> None:
        """Let a route live as long as `lease` does."""
        before = route.lease
        if before is lease:
            return
        if before.head is not None:
            before.stray(route.prefix)
        before.routes -= 1
        if not before.routes:
            del self.leases[before]
        route.lease = lease
        if not lease.routes:
            self.leases[lease] = None
        lease.routes += 1

    def tidy(self, entry: Entry) -> bool:
        """Forget an entry that holds nothing any more; tell whether that was so."""
        if entry.routes or entry.selected is not None or entry.held_until is not None:
            return False
        entry.look_again()
        del self.entries[entry.prefix]
        self._lengths[entry.prefix.length] -= 1
        if not self._lengths[entry.prefix.length]:
            del self._lengths[entry.prefix.length]
        if len(self.entries) <= WIDE // 2 and self._routes <= self.routes_max // 4:
            self.wide = False
        return True

    def _join(self, route: Route, lease: Lease) -> None:
        route.lease = lease
        if not lease.routes:
            self.leases[lease] = None
        lease.routes += 1

    def _leave(self, route: Route) -> None:
        route.lease.stray(route.prefix)
        self._part(route.lease)

    def _part(self, lease: Lease) -> None:
        lease.routes -= 1
        if not lease.routes:
            del self.leases[lease]

    def narrow(self) -> None:
        """Become wide if that is due: drop the worst routes where there are more than three."""
        if self.wide or (len(self.entries) <= WIDE and self._routes <= self.routes_max // 2):
            return
        self.wide = True
        for entry in self.entries.values():
            while len(entry.routes) > WIDE_ROUTES:
                self.displace(entry.worst())

    def lookup(self, address: bytes) -> Entry | None:
        """Return the selected or held entry with the longest prefix that covers `address`."""
        value = int.from_bytes(address, "big")
        for length in sorted(self._lengths, reverse=True):
            shift = 128 - length
            masked = (value >> shift << shift).to_bytes(16, "big")
            entry = self.entries.get(Prefix(masked, length))
            if entry is not None and (entry.selected is not None or entry.held_until is not None):
                return entry
        return None

    def covered(self, prefix: Prefix) -> bool:
        """Tell whether a shorter selected prefix covers `prefix`."""
        value = int.from_bytes(prefix.address, "big")
        for length in self._lengths:
            if length < prefix.length:
                shift = 128 - length
                masked = (value >> shift << shift).to_bytes(16, "big")
                entry = self.entries.get(Prefix(masked, length))
                if entry is not None and entry.selected is not None:
                    return True
        return False


def _rank(metric: int, unfeasible: bool) -> int:
    """Order routes by how little they would be missed: retracted ones least, then unfeasible."""
    return 2 * INFINITY + 1 if metric >= INFINITY else metric + (INFINITY if unfeasible else 0)
