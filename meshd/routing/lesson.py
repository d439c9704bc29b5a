"""What one packet of one neighbour teaches (RFC 8966 §3.5.3).

Enters: the updates and retractions of a packet. Leaves: routes in the table that share one lease,
and the packet's place in the neighbour's memory when every word of it is accounted for: its routes
are in the table under that lease, or noted as spare, or are our own. Of a packet that differs a
little from the last such one only the difference is read.
Must not know: the choice, what is announced, links.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import cast

from meshd.core.drops import DropReason
from meshd.core.events import LinkKind
from meshd.core.ids import Prefix, is_link_local
from meshd.neighbour.cost import INFINITY
from meshd.neighbour.table import Neighbour
from meshd.routing.learn import (
    CHEAPER,
    HOLD_MAX_US,
    HOLD_MIN_US,
    PREFERABLE,
    RADIO_HOLD_MAX_US,
    Learner,
)
from meshd.routing.memory import Memory
from meshd.routing.source import newer
from meshd.routing.table import EVERYTHING, WIDE_ROUTES, Entry, Lease, Route
from meshd.wire import babel_words as plain
from meshd.wire.babel import Packet, Retraction, Tlv, Update
from meshd.wire.babel_changes import changes
from meshd.wire.babel_parser import KEPT_LEN_MAX
from meshd.wire.babel_words import Changes


class Lesson:
    """One packet of one neighbour: its updates share a lease."""

    __slots__ = (
        *("_again", "_apart", "_aside", "_clean", "_interval_cs", "_learner", "_lease"),
        *("_neighbour", "_now", "_until_us"),
    )

    def __init__(self, learner: Learner, neighbour: Neighbour, now: int) -> None:
        self._learner = learner
        self._neighbour = neighbour
        self._now = now
        self._interval_cs = 0
        self._lease: Lease | None = None
        self._clean = 0
        self._again: list[Prefix] = []
        """What was understood, but has to be read again when the same is heard again."""
        self._apart = 0
        self._until_us = now
        """Until when the lease was good that goes on with this packet."""
        self._aside = 0

    def take(self, packet: Packet, data: bytes, *, whole: bool) -> None:
        """Learn from a packet; remember it if it is `whole`: it says nothing but routes."""
        tlvs = self.news(packet, data)
        for kind, run in groupby(tlvs, type):
            if kind is Update:
                self.updates(cast(Iterable[Update], run))
            elif kind is Retraction:
                for lost in cast(Iterable[Retraction], run):
                    self.retraction(lost)
        if whole:
            self.remember(packet, data, len(tlvs))

    def follow(self, data: bytes) -> bool:
        """Learn what a plain page says otherwise than before; False: it has to be decoded."""
        head, memory = plain.head(data), self._learner.remembered.get(self._neighbour)
        if head is None or memory is None or len(data) > KEPT_LEN_MAX:
            return False
        lease, before = self._earlier(memory, head)
        if lease is None:
            return False
        found = plain.differences(before, data, self._neighbour.address)
        if found is None:
            return False
        strays = self._go_on(lease, found, data[10] << 8 | data[11])
        updates: Sequence[Update] = found.updates
        if strays:
            updates = plain.chosen(data, strays, self._neighbour.address) or ()
        self.updates(updates)
        self._remember(head, data, len(updates))
        return True

    def update(self, update: Update) -> None:
        """Take a finite update."""
        self.updates((update,))

    def updates(self, found: Iterable[Update]) -> None:
        """Take finite updates: mostly what is known, or what enough others do better."""
        learner, neighbour = self._learner, self._neighbour
        table, own, address = learner.table, learner.own.router_id, neighbour.address
        entries = table.entries
        for update in found:
            prefix, router_id, seqno, metric, interval_cs, next_hop, _ = update
            lease = self._lease
            if lease is None or interval_cs != self._interval_cs:
                lease = self._new_lease(interval_cs)
            entry, route = entries.get(prefix), None
            if entry is not None:
                for known in entry.routes:
                    if known.neighbour is neighbour:
                        route = known
                        break
            if route is not None:
                if (
                    route.seqno == seqno
                    and route.advertised == metric
                    and route.router_id == router_id
                    and route.next_hop == next_hop
                    and not route.restless
                ):
                    if route.lease is not lease:
                        table.renew(route, lease)
                    self._clean += 1
                    continue
            elif (
                table.wide
                and metric
                and entry is not None
                and len(entry.routes) >= WIDE_ROUTES
                and next_hop == address
                and router_id != own
                and entry.outdoes(metric + neighbour.cost)
            ):
                entry.leave_out(lease)
                self._aside += 1
                self._clean += 1
                continue
            self._changed(update, entry, route, lease)

    def retraction(self, retraction: Retraction) -> None:
        """Take a retraction; unknown routes have none."""
        prefix, seqno, _, origin = retraction
        table = self._learner.table
        if prefix is None:
            for spare in table.entries.values():
                spare.overrule(self._neighbour)
            for route in table.routes_of(self._neighbour):
                self._retract(route)
        elif prefix in self._learner.own.prefixes:
            if origin and prefix.address[8:] == self._learner.own.router_id:
                self._own_heard(prefix, seqno)
        elif (entry := table.entries.get(prefix)) is not None:
            entry.overrule(self._neighbour)
            if (known := entry.of(self._neighbour)) is not None:
                self._retract(known)

    def news(self, packet: Packet, data: bytes) -> Sequence[Tlv]:
        """Return what has to be read of a packet: all, or how it differs from the last such one.

        Then the lease of that one goes on, and its routes that the packet names no more leave it.
        """
        tlvs, learner = packet.tlvs, self._learner
        memory = learner.remembered.get(self._neighbour)
        if memory is None or not tlvs or not isinstance(tlvs[0], Update):
            return tlvs
        if len(data) > KEPT_LEN_MAX:
            return tlvs
        lease, before = self._earlier(memory, tlvs[0].prefix)
        found = changes(before, data, self._neighbour.address) if lease is not None else None
        if lease is None or found is None:
            return tlvs
        strays = self._go_on(lease, found, tlvs[0].interval_cs)
        if not strays:
            return found.updates
        return [tlv for tlv in tlvs if isinstance(tlv, Update) and tlv.prefix in strays]

    def _earlier(self, memory: Memory, head: Prefix) -> tuple[Lease | None, bytes]:
        """Return the page that is remembered by its first prefix, if it may be built upon."""
        before = memory.heads.get(head)
        if before is None:
            return None, b""
        lease = memory.leases[before]
        cheaper = self._neighbour.cost + CHEAPER <= lease.left_out_cost
        if cheaper or lease.strays is EVERYTHING:
            memory.forget(head)
            return None, b""
        return lease, before

    def _go_on(self, lease: Lease, found: Changes, interval_cs: int) -> set[Prefix]:
        """Let the lease of an earlier page go on; return what has to be read beside the changes.

        If anything has, the changes are among it.
        """
        for prefix in found.gone:
            self._let_go(prefix, lease)
        strays, lease.strays = set(lease.strays), ()
        self._until_us, lease.expires_us = lease.expires_us, self._now + lease.hold_us
        self._lease, self._interval_cs = lease, interval_cs
        if strays:
            strays.update(update.prefix for update in found.updates)
        return strays

    def _let_go(self, prefix: Prefix, lease: Lease) -> None:
        """Let the route to a prefix expire when its lease would have."""
        table = self._learner.table
        entry = table.entries.get(prefix)
        if entry is None:
            return
        entry.spare = tuple(spare for spare in entry.spare if spare is not lease)
        route = entry.of(self._neighbour)
        if route is not None and route.lease is lease:
            self._leave_behind(route, lease.expires_us)

    def _leave_behind(self, route: Route, expires_us: int) -> None:
        """Let a route live no longer than its lease did, which goes on without it."""
        rest = Lease(route.lease.hold_us, self._now, self._neighbour)
        rest.expires_us = expires_us
        self._learner.table.renew(route, rest)

    def remember(self, packet: Packet, data: bytes, read: int) -> None:
        """Keep a packet of which the last `read` TLVs announced routes as they are now."""
        tlvs = packet.tlvs
        if tlvs and isinstance(tlvs[0], Update) and len(data) <= KEPT_LEN_MAX:
            self._remember(tlvs[0].prefix, data, read)

    def _remember(self, head: Prefix, data: bytes, read: int) -> None:
        lease, memory = self._lease, self._learner.remembered.get(self._neighbour)
        known = memory.heads.get(head) if memory is not None else None
        understood = self._clean + len(self._again)
        if lease is None or understood != read or not self._whole(lease, read):
            if memory is not None and lease is not None and lease.head == head:
                memory.forget(head)
            return
        if known is not None and lease.head is None and len(known) > 2 * len(data):
            return  # a few urgent words are not what the whole page will be compared with
        if memory is None:
            memory = self._learner.remembered[self._neighbour] = Memory()
        memory.keep(data, head, lease)
        for prefix in self._again:
            lease.stray(prefix)

    def recall(self, lease: Lease, updates: Iterable[Update]) -> None:
        """Take updates of a remembered packet that was left out of the table when it was read."""
        for update in updates:
            self._lease, self._interval_cs, self._clean = lease, update.interval_cs, 0
            self.update(update)
            if not self._clean:
                lease.stray(update.prefix)

    # --- helpers ----------------------------------------------------------------------------------

    def _whole(self, lease: Lease, read: int) -> bool:
        """Tell whether a lease has all the routes of its packet but those it knows to be spare."""
        if lease.head is not None:
            return True  # what left it is among its strays
        return 0 < lease.routes + self._aside + self._apart == read

    def _leave_out(self, entry: Entry, lease: Lease) -> None:
        """Do not keep a route to a prefix that has enough better ones."""
        entry.leave_out(lease)
        self._aside += 1

    def _new_lease(self, interval_cs: int) -> Lease:
        if self._lease is not None:
            self._clean = -(1 << 20)  # two leases in one packet: it will not be remembered
        radio = self._neighbour.link.kind is LinkKind.RADIO
        most_us = RADIO_HOLD_MAX_US if radio else HOLD_MAX_US
        hold_us = min(max(interval_cs * 10_000 * 7 // 2, HOLD_MIN_US), most_us)
        self._interval_cs = interval_cs
        self._lease = lease = Lease(hold_us, self._now, self._neighbour)
        self._learner.ctx.timers.set_earlier(("routing", "sweep"), lease.expires_us)
        return lease

    def _changed(
        self, update: Update, entry: Entry | None, route: Route | None, lease: Lease
    ) -> None:
        """Take an update that is not just a renewal."""
        learner, neighbour = self._learner, self._neighbour
        prefix, router_id, seqno, advertised, _, _, _ = update
        if router_id == learner.own.router_id and prefix in learner.own.prefixes:
            self._own_heard(prefix, seqno)
            return
        reason = learner.accept.refused(prefix) if entry is None or not entry.routes else None
        reason = reason or self._refused(update)
        if reason is not None:
            learner.ctx.drop(reason, neighbour.link.name)
            return
        feasible = learner.sources.feasible(prefix, router_id, seqno, advertised)
        if advertised == 0:
            if not feasible:
                learner.healer.heal(neighbour, update, self._now)
            if prefix.length == 128:
                neighbour.origin = prefix.address
        selected = entry.selected if entry is not None else None
        metric = advertised + neighbour.cost
        wanted = selected is None or metric + PREFERABLE <= selected.metric
        if route is None:
            if entry is not None and not self._room(entry, unfeasible=not feasible, metric=metric):
                self._leave_out(entry, lease)
                if wanted and not feasible:
                    learner.requests.unfeasible(prefix, neighbour, router_id, self._now)
                    self._again.append(prefix)
                else:
                    self._clean += 1
                return
            route = self._add(prefix, entry, lease)
            if route is None:
                return
        elif (
            not feasible
            and selected is route
            and route.router_id == router_id
            and not self._other_way(route, advertised)
        ):
            learner.ctx.drop(DropReason.BABEL_UNFEASIBLE, neighbour.link.name)
            learner.requests.unfeasible(prefix, neighbour, router_id, self._now)
            if route.lease is lease:
                self._leave_behind(route, self._until_us)
            self._again.append(prefix)
            self._apart += 1
            return
        self._store(route, update, lease)
        if entry is None:
            entry = learner.table.entries[prefix]
        if entry.spare:
            entry.overrule(neighbour)
        learner.note(entry, route)
        route.unfeasible = not feasible
        if not feasible and wanted and selected is not route:
            learner.requests.unfeasible(prefix, neighbour, router_id, self._now)
            route.restless = True
        else:
            route.restless = not feasible and advertised == 0
            self._clean += not route.restless
        if route.restless:
            self._again.append(prefix)

    def _room(self, entry: Entry, *, unfeasible: bool, metric: int) -> bool:
        """Tell whether a wide table takes a new route; a worse one of another neighbour goes."""
        table = self._learner.table
        if len(entry.routes) < WIDE_ROUTES or not table.wide:
            return True
        worse = table.crowds(entry, unfeasible=unfeasible, metric=metric)
        if worse is None:
            return False
        table.displace(worse)
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
        next_hop, neighbour = update.next_hop, self._neighbour
        if next_hop == neighbour.address:
            return None  # as nearly always: it is who says it
        if not is_link_local(next_hop) or next_hop == neighbour.link.address:
            return DropReason.BABEL_NEXT_HOP
        return None

    def _add(self, prefix: Prefix, known: Entry | None, lease: Lease) -> Route | None:
        """Make a route, if need be in the place of another; None when there is no room."""
        learner, neighbour = self._learner, self._neighbour
        if learner.table.full:
            victim = learner.table.victim(neighbour)
            if victim is None:
                learner.ctx.drop(DropReason.BABEL_ROUTES_FULL, neighbour.link.name)
                return None
            learner.remove(victim)
        route = Route(known.prefix if known else prefix, neighbour, lease, self._now)
        learner.table.add(route)
        return route

    def _store(self, route: Route, update: Update, lease: Lease) -> None:
        if route.lease is not lease:
            self._learner.table.renew(route, lease)
        _, router_id, seqno, metric, _, next_hop, thin = update
        if route.router_id != router_id or route.next_hop != next_hop:
            route.since_us = self._now
        route.router_id = router_id
        route.seqno = seqno
        route.advertised = metric
        route.next_hop = next_hop
        route.thin = thin

    def _retract(self, route: Route) -> None:
        if route.advertised != INFINITY:
            self._learner.retract(route, self._now)

    def _own_heard(self, prefix: Prefix, seqno: int) -> None:
        """A neighbour speaks of our own route: a later seqno than ours must be from us, once."""
        learner = self._learner
        if learner.own.adopt(prefix, seqno, self._now, self._neighbour.link.name):
            learner.adopted = True
        elif not newer(seqno, learner.own.seqno):
            self._aside += 1
            self._clean += 1
