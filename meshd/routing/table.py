"""The route table: what each neighbour announced, and which of it is selected (RFC 8966 §3.2.6).

Enters: routes. Leaves: entries by prefix, routes by neighbour, lookups by address. The table is
bounded, and shared by neighbour: when it is full, who has most routes gives up its newest.
Must not know: packets, timers, feasibility.
"""

from collections import Counter
from collections.abc import Iterable

from meshd.core.ids import Prefix
from meshd.neighbour.cost import INFINITY
from meshd.neighbour.table import Neighbour

ROUTES_MAX = 4096


class Lease:
    """How long a set of routes lives that one packet announced, so that one write renews them all.

    `broken` once a route has left it: then the packet no longer speaks for all of its routes.
    """

    __slots__ = ("broken", "expires_us", "hold_us")

    def __init__(self, hold_us: int, now: int) -> None:
        self.hold_us = hold_us
        self.expires_us = now + hold_us
        self.broken = False


class Route:
    """What one neighbour last said of one prefix. `advertised` is its metric, without our cost.

    `restless`: hearing the very same again calls for an act, a seqno request or a correction.
    """

    __slots__ = (
        *("advertised", "lease", "neighbour", "next_hop", "prefix", "router_id", "seqno"),
        *("restless", "since_us", "unfeasible"),
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

    @property
    def metric(self) -> int:
        """The metric through this neighbour, at most infinity."""
        metric = self.advertised + self.neighbour.cost
        return metric if metric < INFINITY else INFINITY


class Entry:
    """All routes to one prefix. `said` is what we last announced: router-id, seqno, metric."""

    __slots__ = (
        *("held_until", "installed", "prefix", "rival", "rival_since", "routes"),
        *("said", "selected"),
    )

    def __init__(self, prefix: Prefix) -> None:
        self.prefix = prefix
        self.routes: dict[Neighbour, Route] = {}
        self.selected: Route | None = None
        self.installed: tuple[str, bytes] | None = None
        self.said: tuple[bytes, int, int] | None = None
        self.held_until: int | None = None
        self.rival: Route | None = None
        self.rival_since = 0


class RouteTable:
    """Entries by prefix, and the same routes by neighbour."""

    __slots__ = ("_lengths", "_routes", "entries", "of", "routes_max")

    def __init__(self, routes_max: int = ROUTES_MAX) -> None:
        self.entries: dict[Prefix, Entry] = {}
        self.of: dict[Neighbour, dict[Prefix, Route]] = {}
        self.routes_max = routes_max
        self._lengths: Counter[int] = Counter()
        self._routes = 0

    def __len__(self) -> int:
        return self._routes

    def victim(self, newcomer: Neighbour) -> Route | None:
        """Return the route that must go before `newcomer` may add one; None: none of them may.

        Call it only when the table is full. The neighbour that uses most gives up its newest.
        """
        most = max(self.of, key=lambda neighbour: len(self.of[neighbour]), default=newcomer)
        if most is newcomer or len(self.of[most]) <= len(self.of.get(newcomer, ())) + 1:
            return None
        return next(reversed(self.of[most].values()))

    @property
    def full(self) -> bool:
        """Tell whether a further route needs a victim."""
        return self._routes >= self.routes_max

    def add(self, route: Route) -> None:
        """Take a route in."""
        entry = self.entries.get(route.prefix)
        if entry is None:
            entry = self.entries[route.prefix] = Entry(route.prefix)
            self._lengths[route.prefix.length] += 1
        entry.routes[route.neighbour] = route
        self.of.setdefault(route.neighbour, {})[route.prefix] = route
        self._routes += 1

    def remove(self, route: Route) -> None:
        """Take a route out; its entry stays until `tidy`."""
        route.lease.broken = True
        entry = self.entries[route.prefix]
        if entry.routes.pop(route.neighbour, None) is None:
            return
        self._routes -= 1
        held = self.of[route.neighbour]
        del held[route.prefix]
        if not held:
            del self.of[route.neighbour]

    def tidy(self, entry: Entry) -> None:
        """Forget an entry that holds nothing any more."""
        if not entry.routes and entry.selected is None and entry.held_until is None:
            del self.entries[entry.prefix]
            self._lengths[entry.prefix.length] -= 1
            if not self._lengths[entry.prefix.length]:
                del self._lengths[entry.prefix.length]

    def prefixes_of(self, neighbour: Neighbour) -> Iterable[Prefix]:
        """Return the prefixes that a neighbour announced."""
        return tuple(self.of.get(neighbour, ()))

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
