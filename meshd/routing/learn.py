"""What neighbours announce becomes routes (RFC 8966 §3.5.3).

Enters: updates and retractions, and whole packets that were seen before. Leaves: routes in the
table and the prefixes whose choice may end otherwise (`dirty`). A dump whose bytes did not
change renews all its routes by one write: its routes share one lease. Of a wide table's prefixes
only the best routes are kept; a packet of which some were left out is read again now and then.
Of a dump that did change only the changes are read.
Must not know: the choice, what is announced, links.
"""

from collections.abc import Sequence

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.ids import Prefix, is_link_local
from meshd.neighbour.cost import INFINITY
from meshd.neighbour.table import Neighbour
from meshd.routing.announce import Announcer
from meshd.routing.filter import Filter
from meshd.routing.heal import Healer
from meshd.routing.own import Own
from meshd.routing.requests import Requests
from meshd.routing.selection import matters
from meshd.routing.source import SourceTable, newer
from meshd.routing.table import WIDE_ROUTES, Entry, Lease, Route, RouteTable
from meshd.wire.babel import Packet, Retraction, RouteRequest, Tlv, Update
from meshd.wire.babel_changes import changes
from meshd.wire.babel_parser import KEPT_LEN_MAX

REMEMBERED_MAX = 32
"""Packets remembered by bytes for each neighbour: dumps of 2,000 routes, 48 kB at most.

Longer ones than `KEPT_LEN_MAX` are read each time: padding could fill the memory with them.
"""

REREAD_EVERY = 8
"""A packet whose routes were not all kept is read at each eighth time: the others may be worse now.

With a dump every 24 s that is after three minutes; a route that is lost is asked for at once.
"""

HOLD_MIN_US = 1_000_000
HOLD_MAX_US = 210_000_000
"""How long an update may claim to hold: that of an interval of a minute.

The format allows 38 minutes. A false or damaged word of that kind would pin a route, and with it a
loop of two who trust each other's, for all that time: what contradicts it is unfeasible, and so
ignored. Who announces more seldom is asked before its routes expire.
"""
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

    def refresh(self, neighbour: Neighbour, data: bytes, now: int) -> bool:
        """Renew the routes of a packet with exactly these bytes; False: it must be read."""
        known = self.remembered.get(neighbour)
        if known is None or (lease := known.leases.get(data)) is None:
            return False
        if lease.strays or (lease.partial and lease.renewals >= REREAD_EVERY):
            return False
        lease.renewals += 1
        lease.expires_us = now + lease.hold_us
        return True

    def begin(self, neighbour: Neighbour, now: int) -> "Lesson":
        """Start on a packet."""
        return Lesson(self, neighbour, now)

    def neighbour_lost(self, neighbour: Neighbour) -> None:
        """Forget all that a neighbour announced."""
        self.remembered.pop(neighbour, None)
        for route in self.table.routes_of(neighbour):
            self.remove(route)

    def forget(self, prefix: Prefix) -> None:
        """Forget all routes to a prefix."""
        for route in list(self.table.entries[prefix].routes):
            self.remove(route)

    def remove(self, route: Route) -> None:
        """Take a route out and have the choice made again."""
        entry = self.table.entries[route.prefix]
        self.table.remove(route)
        self.note(entry, route)

    def note(self, entry: Entry, route: Route) -> None:
        """Have the choice made again if a route, which changed or went, may make it another."""
        if matters(entry, route):
            self.dirty[entry.prefix] = None

    def retract(self, route: Route, now: int) -> None:
        """Hold a route at infinity for as long as it would have lived (RFC 8966 §3.5.3)."""
        route.advertised = INFINITY
        self.table.renew(route, Lease(route.lease.hold_us, now))
        self.note(self.table.entries[route.prefix], route)

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


class Memory:
    """Packets of a neighbour that are known by their bytes, and by the prefix they begin with."""

    __slots__ = ("heads", "leases")

    def __init__(self) -> None:
        self.leases: dict[bytes, Lease] = {}
        self.heads: dict[Prefix, bytes] = {}

    def keep(self, data: bytes, head: Prefix, lease: Lease) -> None:
        """Know a packet, in the place of the one with the same head."""
        self.forget(head)
        if len(self.leases) >= REMEMBERED_MAX:
            self.forget(next(iter(self.heads)))
        self.leases[data], self.heads[head] = lease, data
        lease.head, lease.strays = head, ()

    def forget(self, head: Prefix) -> None:
        """Know a packet no more."""
        data = self.heads.pop(head, None)
        if data is not None:
            lease = self.leases.pop(data)
            lease.head, lease.strays = None, ()


class Lesson:
    """One packet of one neighbour: its updates share a lease."""

    __slots__ = ("_clean", "_interval_cs", "_learner", "_lease", "_neighbour", "_now")

    def __init__(self, learner: Learner, neighbour: Neighbour, now: int) -> None:
        self._learner = learner
        self._neighbour = neighbour
        self._now = now
        self._interval_cs = 0
        self._lease: Lease | None = None
        self._clean = 0

    def update(self, update: Update) -> None:
        """Take a finite update."""
        prefix, router_id, seqno, metric, interval_cs, next_hop = update
        lease = self._lease
        if lease is None or interval_cs != self._interval_cs:
            lease = self._new_lease(interval_cs)
        table = self._learner.table
        entry = table.entries.get(prefix)
        route = entry.of(self._neighbour) if entry is not None else None
        if (
            route is not None
            and route.seqno == seqno
            and route.advertised == metric
            and route.router_id == router_id
            and route.next_hop == next_hop
            and not route.restless
        ):
            table.renew(route, lease)
            self._clean += 1
        elif (
            route is None
            and entry is not None
            and metric
            and table.wide
            and len(entry.routes) >= WIDE_ROUTES
            and entry.outdoes(metric + self._neighbour.cost)
            and self._refused(update) is None
        ):
            entry.partial = lease.partial = True
            self._clean += 1
        else:
            self._changed(update, entry, route, lease)

    def retraction(self, retraction: Retraction) -> None:
        """Take a retraction; unknown routes have none."""
        prefix, seqno, _, origin = retraction
        table = self._learner.table
        if prefix is None:
            for route in table.routes_of(self._neighbour):
                self._retract(route)
        elif prefix in self._learner.own.prefixes:
            if origin and prefix.address[8:] == self._learner.own.router_id:
                self._own_heard(prefix, seqno)
        elif (entry := table.entries.get(prefix)) is not None:
            if (known := entry.of(self._neighbour)) is not None:
                self._retract(known)

    def news(self, packet: Packet, data: bytes, now: int) -> Sequence[Tlv]:
        """Return what has to be read of a packet: all, or how it differs from the last such one.

        Then the lease of that one goes on, and its routes that the packet names no more leave it.
        """
        tlvs, learner = packet.tlvs, self._learner
        memory = learner.remembered.get(self._neighbour)
        if memory is None or not tlvs or not isinstance(tlvs[0], Update):
            return tlvs
        if len(data) > KEPT_LEN_MAX:
            return tlvs
        before = memory.heads.get(tlvs[0].prefix)
        if before is None:
            return tlvs
        lease = memory.leases[before]
        if lease.partial and lease.renewals >= REREAD_EVERY:
            memory.forget(tlvs[0].prefix)
            return tlvs
        found = changes(before, data, self._neighbour.address)
        if found is None:
            return tlvs
        for prefix in found.gone:
            self._let_go(prefix, lease)
        strays, lease.strays = set(lease.strays), ()
        lease.renewals += 1
        lease.expires_us = now + lease.hold_us
        self._lease, self._interval_cs = lease, tlvs[0].interval_cs
        if not strays:
            return found.updates
        strays.update(update.prefix for update in found.updates)
        return [tlv for tlv in tlvs if isinstance(tlv, Update) and tlv.prefix in strays]

    def _let_go(self, prefix: Prefix, lease: Lease) -> None:
        """Let the route to a prefix expire when its lease would have."""
        table = self._learner.table
        entry = table.entries.get(prefix)
        route = entry.of(self._neighbour) if entry is not None else None
        if route is not None and route.lease is lease:
            rest = Lease(lease.hold_us, self._now)
            rest.expires_us = lease.expires_us
            table.renew(route, rest)

    def remember(self, packet: Packet, data: bytes, read: int) -> None:
        """Keep a packet of which the last `read` TLVs announced routes as they are now."""
        lease, tlvs = self._lease, packet.tlvs
        if not tlvs or not isinstance(tlvs[0], Update) or len(data) > KEPT_LEN_MAX:
            return
        head, memory = tlvs[0].prefix, self._learner.remembered.get(self._neighbour)
        known = memory.heads.get(head) if memory is not None else None
        if lease is None or self._clean != read or not (lease.routes or lease.partial):
            if memory is not None and lease is not None and lease.head == head:
                memory.forget(head)
            return
        if known is not None and lease.head is None and len(known) > 2 * len(data):
            return  # a few urgent words are not what the whole page will be compared with
        if memory is None:
            memory = self._learner.remembered[self._neighbour] = Memory()
        memory.keep(data, head, lease)

    # --- helpers ----------------------------------------------------------------------------------

    def _new_lease(self, interval_cs: int) -> Lease:
        if self._lease is not None:
            self._clean = -(1 << 20)  # two leases in one packet: it will not be remembered
        hold_us = min(max(interval_cs * 10_000 * 7 // 2, HOLD_MIN_US), HOLD_MAX_US)
        self._interval_cs = interval_cs
        self._lease = lease = Lease(hold_us, self._now)
        self._learner.ctx.timers.set_earlier(("routing", "sweep"), lease.expires_us)
        return lease

    def _changed(
        self, update: Update, entry: Entry | None, route: Route | None, lease: Lease
    ) -> None:
        """Take an update that is not just a renewal."""
        learner, neighbour, prefix = self._learner, self._neighbour, update.prefix
        if prefix in learner.own.prefixes and update.router_id == learner.own.router_id:
            self._own_heard(prefix, update.seqno)
            return
        reason = learner.accept.refused(prefix) if route is None else None
        reason = reason or self._refused(update)
        if reason is not None:
            learner.ctx.drop(reason, neighbour.link.name)
            return
        feasible = learner.sources.feasible(prefix, update.router_id, update.seqno, update.metric)
        if update.metric == 0:
            if not feasible:
                learner.healer.heal(neighbour, update, self._now)
            if prefix.length == 128:
                neighbour.origin = prefix.address
        selected = entry.selected if entry is not None else None
        metric = min(update.metric + neighbour.cost, INFINITY)
        wanted = selected is None or metric + PREFERABLE <= selected.metric
        if route is None:
            if not self._has_room(entry, unfeasible=not feasible, metric=metric):
                lease.partial = True
                if wanted and not feasible:
                    learner.requests.unfeasible(prefix, neighbour, update.router_id, self._now)
                else:
                    self._clean += 1
                return
            route = self._add(prefix, lease)
            if route is None:
                return
        elif (
            not feasible
            and selected is route
            and route.router_id == update.router_id
            and not self._other_way(route, update.metric)
        ):
            learner.ctx.drop(DropReason.BABEL_UNFEASIBLE, neighbour.link.name)
            learner.requests.unfeasible(prefix, neighbour, update.router_id, self._now)
            return
        self._store(route, update, lease)
        route.unfeasible = not feasible
        if not feasible and wanted and selected is not route:
            learner.requests.unfeasible(prefix, neighbour, update.router_id, self._now)
            route.restless = True
        else:
            route.restless = not feasible and update.metric == 0
            self._clean += not route.restless

    def _has_room(self, entry: Entry | None, *, unfeasible: bool, metric: int) -> bool:
        """Tell whether a wide table takes a new route; a worse one of another neighbour goes."""
        table = self._learner.table
        if entry is None or len(entry.routes) < WIDE_ROUTES or not table.wide:
            return True
        entry.partial = True
        worse = table.crowds(entry, unfeasible=unfeasible, metric=metric)
        if worse is None:
            return False
        table.remove(worse)
        return True

    def _other_way(self, route: Route, advertised: int) -> bool:
        """Tell whether another feasible route is as good as this one would now be."""
        metric = advertised + route.neighbour.cost
        sources, entry = self._learner.sources, self._learner.table.entries[route.prefix]
        return any(
            other is not route
            and other.metric <= metric
            and other.metric != INFINITY
            and sources.feasible(entry.prefix, other.router_id, other.seqno, other.advertised)
            for other in entry.routes
        )

    def _refused(self, update: Update) -> DropReason | None:
        """Return why an update for an acceptable prefix is not accepted."""
        if update.router_id == self._learner.own.router_id:
            return DropReason.BABEL_OWN_PREFIX
        next_hop = update.next_hop
        if not is_link_local(next_hop) or next_hop == self._neighbour.link.address:
            return DropReason.BABEL_NEXT_HOP
        return None

    def _add(self, prefix: Prefix, lease: Lease) -> Route | None:
        """Make a route, if need be in the place of another; None when there is no room."""
        learner, neighbour = self._learner, self._neighbour
        if learner.table.full:
            victim = learner.table.victim(neighbour)
            if victim is None:
                learner.ctx.drop(DropReason.BABEL_ROUTES_FULL, neighbour.link.name)
                return None
            learner.remove(victim)
        known = learner.table.entries.get(prefix)
        route = Route(known.prefix if known else prefix, neighbour, lease, self._now)
        learner.table.add(route)
        return route

    def _store(self, route: Route, update: Update, lease: Lease) -> None:
        self._learner.table.renew(route, lease)
        if route.router_id != update.router_id or route.next_hop != update.next_hop:
            route.since_us = self._now
        route.router_id = update.router_id
        route.seqno = update.seqno
        route.advertised = update.metric
        route.next_hop = update.next_hop
        self._learner.note(self._learner.table.entries[update.prefix], route)

    def _retract(self, route: Route) -> None:
        if route.advertised != INFINITY:
            self._learner.retract(route, self._now)

    def _own_heard(self, prefix: Prefix, seqno: int) -> None:
        """A neighbour speaks of our own route: a later seqno than ours must be from us, once."""
        learner = self._learner
        if learner.own.adopt(prefix, seqno, self._now, self._neighbour.link.name):
            learner.adopted = True
        elif not newer(seqno, learner.own.seqno):
            self._clean += 1
