"""What neighbours announce becomes routes (RFC 8966 §3.5.3).

Enters: updates and retractions, and whole packets that were seen before. Leaves: routes in the
table and the prefixes whose choice may end otherwise (`dirty`). A dump whose bytes did not
change renews all its routes by one write: its routes share one lease. Of a wide table's prefixes
only the best routes are kept; the others are had back from the packets that name them, which are
remembered: at once when a prefix is lost, when the packet is heard again if a kept route got worse.
What one packet teaches is in `lesson`.
Must not know: the choice, what is announced, links.
"""

from meshd.core.context import Context
from meshd.core.ids import Prefix
from meshd.neighbour.cost import INFINITY
from meshd.neighbour.table import Neighbour
from meshd.routing.announce import Announcer
from meshd.routing.filter import Filter
from meshd.routing.heal import Healer
from meshd.routing.memory import Memory
from meshd.routing.own import Own
from meshd.routing.requests import Requests
from meshd.routing.selection import concerned, matters
from meshd.routing.source import SourceTable
from meshd.routing.table import Entry, Lease, Route, RouteTable
from meshd.wire.babel import RouteRequest, Tlv

CHEAPER = 128
"""When a neighbour costs so much less than when routes of it were left out, they are read again."""

ASKS_MAX = 64
"""Of routes left out whose packet is not remembered, so many are asked for in one packet."""

HOLD_MIN_US = 1_000_000
HOLD_MAX_US = 210_000_000
"""How long an update may claim to hold: that of an interval of a minute.

The format allows 38 minutes. A false or damaged word of that kind would pin a route, and with it a
loop of two who trust each other's, for all that time: what contradicts it is unfeasible, and so
ignored. Who announces more seldom is asked before its routes expire.
"""
RADIO_HOLD_MAX_US = 24 * 3_600_000_000
"""The same of a neighbour by LoRa, who says all it knows once an hour, or more seldom."""

ASK_BEFORE_US = 12_000_000
ASK_MAX = 32
PREFERABLE = 256


class Learner:
    """The receiving side of the route table."""

    def __init__(
        self,
        ctx: Context,
        own: Own,
        *,
        table: RouteTable,
        sources: SourceTable,
        requests: Requests,
        announcer: Announcer,
        accept: Filter,
    ) -> None:
        self.ctx = ctx
        self.own = own
        self.table = table
        self.sources = sources
        self.requests = requests
        self.announcer = announcer
        self.accept = accept
        self.healer = Healer(ctx, sources, announcer)
        self.dirty: dict[Prefix, None] = {}
        self.adopted = False
        self.remembered: dict[Neighbour, Memory] = {}

    def known(self, neighbour: Neighbour, data: bytes) -> Lease | None:
        """Return the lease of the routes that a packet with exactly these bytes announced."""
        memory = self.remembered.get(neighbour)
        return None if memory is None else memory.leases.get(data)

    def refresh(self, neighbour: Neighbour, lease: Lease | None, now: int) -> bool:
        """Renew the routes of a packet that was heard again; False: it must be read."""
        if lease is None or lease.strays or neighbour.cost + CHEAPER <= lease.left_out_cost:
            return False
        lease.expires_us = now + lease.hold_us
        return True

    def neighbour_lost(self, neighbour: Neighbour) -> None:
        """Forget all that a neighbour announced."""
        self.remembered.pop(neighbour, None)
        for entry in self.table.entries.values():
            if entry.spare:
                entry.overrule(neighbour)
        for route in self.table.routes_of(neighbour):
            self.remove(route)

    def forget(self, prefix: Prefix) -> None:
        """Forget all routes to a prefix."""
        entry = self.table.entries[prefix]
        for lease in entry.spare:
            lease.stray(prefix)
        entry.spare = ()
        for route in tuple(entry.routes):
            self.remove(route)

    def remove(self, route: Route) -> None:
        """Take a route out and have the choice made again."""
        entry = self.table.entries[route.prefix]
        self.table.remove(route)
        entry.look_again()
        self.note(entry, route)

    def note(self, entry: Entry, route: Route) -> None:
        """Have the choice made again if a route, which changed or went, may make it another."""
        if matters(entry, route):
            self.dirty[entry.prefix] = None

    def reweighed(self, neighbour: Neighbour, *, fell: bool) -> None:
        """Have choices made again that may be others now that a neighbour's cost is another."""
        for prefix, entry in self.table.entries.items():
            if concerned(entry, neighbour, fell=fell):
                self.dirty[prefix] = None

    def retract(self, route: Route, now: int) -> None:
        """Hold a route at infinity for as long as it would have lived (RFC 8966 §3.5.3)."""
        route.advertised = INFINITY
        self.table.renew(route, Lease(route.lease.hold_us, now, route.neighbour))
        entry = self.table.entries[route.prefix]
        entry.look_again()
        self.note(entry, route)

    def expire(self, now: int) -> int:
        """Retract what was not renewed in time, forget what was retracted; return the next time.

        Only the leases are looked at, and the routes when one of them is due.
        """
        due, late = now + 60_000_000, False
        for lease in self.table.leases:
            ask = _ask_at(lease)
            if ask > now:
                due = min(due, ask)
            else:
                late = True
                if lease.expires_us > now:
                    due = min(due, lease.expires_us)
        return min(due, self._expire_routes(now)) if late else due

    def _expire_routes(self, now: int) -> int:
        """Act on each route whose lease is due, or is soon; return when the next one is."""
        asks: dict[Neighbour, list[Tlv]] = {}
        due = now + 60_000_000
        for entry in self.table.entries.values():
            for route in tuple(entry.routes):
                lease = route.lease
                if _ask_at(lease) > now:
                    continue
                if now < lease.expires_us:
                    if entry.selected is route:
                        asks.setdefault(route.neighbour, []).append(RouteRequest(route.prefix))
                elif route.advertised == INFINITY:
                    self.remove(route)
                else:
                    self.retract(route, now)
                    due = min(due, _ask_at(route.lease))
        for neighbour, ask in asks.items():
            self.announcer.unicast(neighbour, ask[:ASK_MAX])
        return due


def _ask_at(lease: Lease) -> int:
    """Return when to ask for what is about to expire (RFC 8966 §3.8.2.3)."""
    return lease.expires_us - min(ASK_BEFORE_US, lease.hold_us // 4)
