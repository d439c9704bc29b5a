"""Seqno requests: ask, answer, forward (RFC 8966 §3.8).

Enters: routes that were lost, requests of neighbours. Leaves: requests by unicast, each sent at
most four times, six by LoRa, for a route that is only better twice; own seqno increases. What is
asked is remembered within bounds; what is sent on for others is remembered in `forwarded`.
Must not know: packets, how answers are sent.
"""

from collections.abc import Callable, Sequence

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.ids import Prefix
from meshd.neighbour.cost import INFINITY
from meshd.neighbour.table import Neighbour
from meshd.routing.announce import Announcer
from meshd.routing.forwarded import Forwarded
from meshd.routing.own import Own
from meshd.routing.selection import Need, meets
from meshd.routing.shares import Shares
from meshd.routing.source import SourceTable, newer
from meshd.routing.table import Entry, Route, RouteTable
from meshd.wire.babel import SeqnoRequest

HOP_COUNT = 64
RESEND_US = (500_000, 1_000_000, 2_000_000)
WISH_US = (2_000_000,)
"""The same for a route that is only better than the one there is."""

REST_US = 10_000_000
"""How long a request that nobody answered is not made again."""

STARVE_US = 100_000
"""How long a prefix is without a route before anybody is asked for it.

By then most of those who had their route through us, or through whom we had ours, said so too: of
a node that went, they all would be asked, and each would ask on.
"""

PENDING_MAX = 256
TARGETS_MAX = 4


class Pending:
    """One request of our own, not yet answered."""

    __slots__ = ("due_us", "pauses", "request", "sent", "targets")

    def __init__(
        self,
        request: SeqnoRequest,
        targets: tuple[Neighbour, ...],
        now: int,
        pauses: tuple[int, ...],
    ) -> None:
        self.request = request
        self.targets = targets
        self.pauses = pauses
        self.due_us = now + pauses[0]
        self.sent = 1

    @property
    def resting(self) -> bool:
        """Tell whether it was sent for the last time."""
        return self.sent > len(self.pauses)


class Requests:
    """The requests under way, by prefix."""

    def __init__(
        self,
        ctx: Context,
        own: Own,
        *,
        table: RouteTable,
        sources: SourceTable,
        announcer: Announcer,
    ) -> None:
        self._ctx = ctx
        self._own = own
        self._table = table
        self._sources = sources
        self._announcer = announcer
        self._pending: dict[Prefix, Pending] = {}
        self._shares = Shares()
        self._forwarded = Forwarded()
        self._starving: dict[Prefix, tuple[bytes, int, int] | None] = {}

    def __len__(self) -> int:
        return len(self._pending) + len(self._forwarded)

    # --- our own ----------------------------------------------------------------------------------

    def starving(self, entry: Entry, lost: tuple[bytes, int, int] | None, now: int) -> None:
        """Note a prefix without a route: what is left of it is asked soon."""
        if not self._starving:
            self._ctx.timers.set(("routing", "starve"), now + STARVE_US)
        self._starving[entry.prefix] = lost

    def starve(self, now: int) -> None:
        """Ask for what lost its route of late and has none yet."""
        starving, self._starving = self._starving, {}
        for prefix, lost in starving.items():
            entry = self._table.entries.get(prefix)
            if entry is not None and entry.selected is None:
                self._ask_around(entry, lost, now)

    def _ask_around(self, entry: Entry, lost: tuple[bytes, int, int] | None, now: int) -> None:
        """Ask for a new seqno along the routes that are there but not feasible (§3.8.2.1)."""
        finite = [route for route in entry.routes if route.metric != INFINITY]
        if not finite:
            return
        finite.sort(key=_metric)
        router_id = lost[0] if lost is not None else finite[0].router_id
        source = self._sources.get(entry.prefix, router_id)
        if source is None:
            return
        targets = tuple(route.neighbour for route in finite[:TARGETS_MAX])
        pauses = self._announcer.resend_us(targets, RESEND_US)
        wanted = source.seqno + 1 & 0xFFFF
        self._ask(entry.prefix, router_id, wanted, targets, now, pauses=pauses)

    def unfeasible(self, prefix: Prefix, neighbour: Neighbour, router_id: bytes, now: int) -> None:
        """Ask a neighbour, whose route we would like, for a later seqno of it (§3.8.2.2).

        Who has no route at all waits a while, and asks whoever is the best then.
        """
        entry = self._table.entries.get(prefix)
        if entry is not None and (entry.selected is None or entry.selected.metric == INFINITY):
            self.starving(entry, entry.said, now)
            return
        source = self._sources.get(prefix, router_id)
        if source is not None:
            wanted = source.seqno + 1 & 0xFFFF
            self._ask(prefix, router_id, wanted, (neighbour,), now, pauses=WISH_US)

    def _ask(
        self,
        prefix: Prefix,
        router_id: bytes,
        seqno: int,
        targets: tuple[Neighbour, ...],
        now: int,
        *,
        pauses: tuple[int, ...],
    ) -> None:
        known = self._pending.get(prefix)
        if known is not None:
            resting = known.resting and not set(targets) <= set(known.targets)
            same = known.request.router_id == router_id
            if same and not resting and not newer(seqno, known.request.seqno):
                return
            self._forget(prefix)
        cause = targets[0]
        if len(self._pending) >= PENDING_MAX or self._shares[cause] >= PENDING_MAX // 4:
            self._ctx.drop(DropReason.BABEL_REQUESTS_FULL, cause.link.name)
            return
        request = SeqnoRequest(prefix, router_id, seqno, HOP_COUNT)
        self._pending[prefix] = Pending(request, targets, now, pauses)
        self._shares[cause] += 1
        self._send(request, targets)
        self._ctx.timers.set_earlier(("routing", "requests"), now + pauses[0])

    def resend(self, now: int) -> None:
        """Send again what was not answered, three times at most, then let it rest."""
        for prefix, pending in list(self._pending.items()):
            if now < pending.due_us:
                continue
            if pending.sent > len(pending.pauses) + 1:
                self._forget(prefix)
                continue
            if not pending.resting:
                self._send(pending.request, pending.targets)
            pauses = (*pending.pauses[1:], pending.pauses[-1], REST_US)
            pending.due_us = now + pauses[pending.sent - 1]
            pending.sent += 1
        if self._pending:
            due = min(pending.due_us for pending in self._pending.values())
            self._ctx.timers.set(("routing", "requests"), due)

    def awaited(self, entry: Entry) -> Need | None:
        """Return the router-id and seqno that a neighbour waits for, if any."""
        return self._forwarded.awaited(entry)

    def askers(self, prefix: Prefix) -> list[Neighbour]:
        """Return the neighbours that wait for a later seqno of a prefix."""
        return self._forwarded.askers(prefix)

    def met(self, route: Route) -> list[Neighbour]:
        """Note a selected route; return the neighbours that waited for it (§3.8.1.2)."""
        pending = self._pending.get(route.prefix)
        if pending is not None and meets(route, pending.request.router_id, pending.request.seqno):
            self._forget(route.prefix)
        return self._forwarded.met(route)

    def neighbour_lost(self, neighbour: Neighbour) -> None:
        """Forget what was asked of a neighbour that is no more, and what it asked."""
        self._forwarded.neighbour_lost(neighbour)
        for prefix, pending in list(self._pending.items()):
            targets = tuple(target for target in pending.targets if target is not neighbour)
            if not targets:
                self._forget(prefix)
            elif len(targets) < len(pending.targets):
                self._shares.drop(pending.targets[0])
                self._shares[targets[0]] += 1
                pending.targets = targets
        self._shares.pop(neighbour, None)

    def _forget(self, prefix: Prefix) -> None:
        self._shares.drop(self._pending.pop(prefix).targets[0])

    # --- of others --------------------------------------------------------------------------------

    def incoming(
        self,
        neighbour: Neighbour,
        request: SeqnoRequest,
        now: int,
        raise_seqno: Callable[[int], bool],
    ) -> bool:
        """Take a seqno request (§3.8.1.2); tell whether our update answers it."""
        prefix, own = request.prefix, self._own
        if prefix in own.prefixes:
            wanted = request.router_id == own.router_id and newer(request.seqno, own.seqno)
            if wanted and not raise_seqno(now):
                self._ctx.drop(DropReason.BABEL_SEQNO_RATE, neighbour.link.name)
                return False
            return True
        entry = self._table.entries.get(prefix)
        if entry is None or entry.selected is None or request.router_id == own.router_id:
            self._ctx.drop(DropReason.BABEL_REQUEST_LOST, neighbour.link.name)
        elif meets(entry.selected, request.router_id, request.seqno):
            return True
        else:
            why = self._forward(neighbour, request, entry, now)
            if why is not None:
                self._ctx.drop(why, neighbour.link.name)
        return False

    def _forward(
        self, neighbour: Neighbour, request: SeqnoRequest, entry: Entry, now: int
    ) -> DropReason | None:
        """Send a request on to one neighbour; else return why not."""
        if request.hop_count < 2:
            return DropReason.BABEL_REQUEST_HOPS
        if self._forwarded.repeats(request, now):
            return DropReason.BABEL_REQUEST_DUPLICATE
        target = self._towards(neighbour, entry)
        if target is None:
            return DropReason.BABEL_REQUEST_LOST
        if not self._forwarded.note(neighbour, request, entry, now):
            return DropReason.BABEL_REQUESTS_FULL
        entry.open = True
        self._announcer.ask_on(target, request._replace(hop_count=request.hop_count - 1))
        return None

    def _towards(self, asker: Neighbour, entry: Entry) -> Neighbour | None:
        """Return whom to ask on: by a feasible route if there is one, never the asker."""
        others = [
            route
            for route in entry.routes
            if route.neighbour is not asker and route.metric != INFINITY
        ]
        others.sort(key=lambda route: (route is not entry.selected, route.unfeasible, route.metric))
        return others[0].neighbour if others else None

    def _send(self, request: SeqnoRequest, targets: Sequence[Neighbour]) -> None:
        for target in targets:
            self._announcer.ask(target, request)


def _metric(route: Route) -> int:
    return route.metric
