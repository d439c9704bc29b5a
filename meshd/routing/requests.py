"""Seqno requests: ask, answer, forward (RFC 8966 §3.8).

Enters: routes that were lost, requests of neighbours. Leaves: requests by unicast; own seqno
increases. A need, for a prefix without a route, is asked six times within 16 s, more often by LoRa,
and again as long as the prefix has none; a wish, for a route that is only better, twice. What is
asked is remembered within bounds, and shared by neighbour: needs that find no room wait, wishes do
not. What is sent on for others is remembered in `forwarded`.
Must not know: packets, how answers are sent.
"""

from collections.abc import Callable, Sequence
from itertools import islice

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.events import LinkKind
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
from meshd.wire.babel import RouteRequest, SeqnoRequest

HOP_COUNT = 64
RESEND_US = (500_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000)
WISH_US = (2_000_000,)
"""The same for a route that is only better than the one there is."""

REST_US = 10_000_000
"""How long a request that nobody answered is not made again."""

STARVE_US = 100_000
"""How long a prefix is without a route before anybody is asked for it.

By then most of those who had their route through us, or through whom we had ours, said so too: of
a node that went, they all would be asked, and each would ask on.
"""

ROOM_US = 500_000
LOOKS_MAX = 256
"""Of the needs that found no room, so many are looked at again each `ROOM_US`."""

WAITING_MAX = 4096
"""As many as routes."""

PENDING_MAX = 1024
"""Requests under way. Of those that lost their way, one neighbour may have all the others have.

Where one link is what is left between two parts of a mesh, all that is beyond is asked over it.
"""

WISHES_MAX = 256
"""With so many under way nothing is wished for, nor of a neighbour that is asked for a quarter."""

TARGETS_MAX = 4


class Pending:
    """One request of our own, not yet answered; `targets` were asked, the first as its cause.

    The cause is who has caused least: else a liar, by claims beside an honest one's, could have
    those needs counted for himself, who has no room left.
    """

    __slots__ = ("due_us", "pauses", "request", "sent", "targets", "wish")

    def __init__(
        self,
        request: SeqnoRequest,
        targets: tuple[Neighbour, ...],
        now: int,
        pauses: tuple[int, ...],
        *,
        wish: bool,
    ) -> None:
        self.request = request
        self.targets = targets
        self.pauses = pauses
        self.due_us = now + pauses[0]
        self.sent = 1
        self.wish = wish

    @property
    def resting(self) -> bool:
        """Tell whether it was sent for the last time."""
        return self.sent > len(self.pauses)

    @property
    def by_radio(self) -> bool:
        """Tell whether anybody was asked by LoRa, where few words have room."""
        return any(target.link.kind is LinkKind.RADIO for target in self.targets)

    def stands_for(self, request: SeqnoRequest, *, wish: bool) -> bool:
        """Tell whether another request for its prefix would ask for no more.

        A wish stands for no need: who was asked may have lost the route as well.
        """
        return (
            (wish or not self.wish)
            and self.request.router_id == request.router_id
            and not newer(request.seqno, self.request.seqno)
        )


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
        self._starving: dict[Prefix, None] = {}
        self._waiting: dict[Prefix, None] = {}

    def __len__(self) -> int:
        return len(self._pending) + len(self._forwarded)

    # --- our own ----------------------------------------------------------------------------------

    def starving(self, entry: Entry, now: int) -> None:
        """Note a prefix without a route: what is left of it is asked soon."""
        self._starve(entry.prefix, now)

    def _starve(self, prefix: Prefix, now: int) -> None:
        self._starving[prefix] = None
        self._ctx.timers.set_earlier(("routing", "starve"), now + STARVE_US)

    def starve(self, now: int) -> None:
        """Ask for what lost its route of late and has none yet; what finds no room waits."""
        starving, self._starving = self._starving, {}
        for prefix in dict.fromkeys((*islice(self._waiting, LOOKS_MAX), *starving)):
            self._waiting.pop(prefix, None)
            entry = self._table.entries.get(prefix)
            if entry is not None and entry.selected is None and not self._ask_around(entry, now):
                self._wait(entry.prefix, entry.routes[0].neighbour)
        if self._waiting:
            self._ctx.timers.set_earlier(("routing", "starve"), now + ROOM_US)

    def _wait(self, prefix: Prefix, cause: Neighbour) -> None:
        """Put a need that finds no room last in the row."""
        if len(self._waiting) < WAITING_MAX:
            self._waiting[prefix] = None
        else:
            self._ctx.drop(DropReason.BABEL_REQUESTS_FULL, cause.link.name)

    def _ask_around(self, entry: Entry, now: int) -> bool:
        """Ask for a new seqno along the routes that are there but not feasible (§3.8.2.1).

        False when there is no room for that now.
        """
        finite = _finite(entry)
        if not finite:
            return True
        router_id = entry.said[0] if entry.said is not None else finite[0].router_id
        targets = tuple(route.neighbour for route in finite)
        pauses = self._announcer.resend_us(targets, RESEND_US)
        return self._ask(entry.prefix, router_id, targets, now, pauses=pauses)

    def unfeasible(self, prefix: Prefix, neighbour: Neighbour, router_id: bytes, now: int) -> None:
        """Ask a neighbour, whose route we would like, for a later seqno of it (§3.8.2.2).

        Who has no route at all waits a while, and asks whoever is the best then.
        """
        entry = self._table.entries.get(prefix)
        if entry is not None and (entry.selected is None or entry.selected.metric == INFINITY):
            self.starving(entry, now)
        elif not self._ask(prefix, router_id, (neighbour,), now, pauses=WISH_US, wish=True):
            self._ctx.drop(DropReason.BABEL_REQUESTS_FULL, neighbour.link.name)

    def _ask(
        self,
        prefix: Prefix,
        router_id: bytes,
        targets: tuple[Neighbour, ...],
        now: int,
        *,
        pauses: tuple[int, ...],
        wish: bool = False,
    ) -> bool:
        """Ask for the seqno after the one we know, if that is not under way; False: no room."""
        source = self._sources.get(prefix, router_id)
        if source is None:
            return True
        request = SeqnoRequest(prefix, router_id, source.seqno + 1 & 0xFFFF, HOP_COUNT)
        known = self._pending.get(prefix)
        if known is not None:
            others = tuple(target for target in targets if target not in known.targets)
            if known.stands_for(request, wish=wish) and not (known.resting and others):
                if not wish:
                    known.targets += others
                    self._send(known.request, others)
                return True
            self._forget(prefix)
        targets = tuple(sorted(targets, key=self._shares.__getitem__))
        if not self._room(targets[0], wish=wish):
            return False
        self._pending[prefix] = Pending(request, targets, now, pauses, wish=wish)
        self._shares[targets[0]] += 1
        self._send(request, targets)
        self._ctx.timers.set_earlier(("routing", "requests"), now + pauses[0])
        return True

    def _room(self, cause: Neighbour, *, wish: bool) -> bool:
        """Tell whether another request has room; for a need, one of who has most may have to go."""
        if wish:
            return len(self._pending) < WISHES_MAX and self._shares[cause] < WISHES_MAX // 4
        if len(self._pending) < PENDING_MAX:
            return True
        most = self._shares.gives_way(cause)
        if most is None:
            return False
        found = [each for each in self._pending.values() if each.targets[0] is most]
        victim = min(found, key=_missed)
        self._forget(victim.request.prefix)
        if not victim.wish:
            self._wait(victim.request.prefix, most)
        return True

    def resend(self, now: int) -> None:
        """Send again what was not answered, some times, then let it rest."""
        for prefix, pending in list(self._pending.items()):
            if now >= pending.due_us:
                self._send_again(prefix, pending, now)
        if self._pending:
            due = min(pending.due_us for pending in self._pending.values())
            self._ctx.timers.set(("routing", "requests"), due)

    def _send_again(self, prefix: Prefix, pending: Pending, now: int) -> None:
        """Send a request again to who has a route by now; what rested for long is asked anew."""
        if pending.resting:
            self._forget(prefix)
            if not pending.wish and not pending.by_radio:
                self._starve(prefix, now)
            return
        entry = self._table.entries.get(prefix)
        if not pending.wish and entry is not None and entry.selected is None:
            targets = tuple(route.neighbour for route in _finite(entry))
            pending.targets += tuple(each for each in targets if each not in pending.targets)
            self._send(pending.request, targets)
        else:
            self._send(pending.request, pending.targets)
        pauses = (*pending.pauses[1:], REST_US)
        pending.due_us = now + pauses[pending.sent - 1]
        pending.sent += 1

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
        """Take a seqno request (§3.8.1.2); tell whether our update answers it, or our retraction.

        Who asks for what we have no route to did not hear that it is lost, and would go on asking
        for as long as it believes us: so would all along the way that a request is sent on.
        """
        prefix, own = request.prefix, self._own
        if prefix in own.prefixes:
            wanted = request.router_id == own.router_id and newer(request.seqno, own.seqno)
            if wanted and not raise_seqno(now):
                self._ctx.drop(DropReason.BABEL_SEQNO_RATE, neighbour.link.name)
                return False
            return True
        entry = self._table.entries.get(prefix)
        if entry is None or entry.selected is None:
            return True
        if request.router_id == own.router_id:
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
        """Send a request on to one neighbour; else return why not.

        Where our own way is by who asks, ask back: it may have lost that, unheard by us.
        """
        if request.hop_count < 2:
            return DropReason.BABEL_REQUEST_HOPS
        if self._forwarded.repeats(request, now):
            return DropReason.BABEL_REQUEST_DUPLICATE
        if entry.selected is not None and entry.selected.neighbour is neighbour:
            self._announcer.ask(neighbour, RouteRequest(request.prefix))
        target = self._towards(neighbour, entry)
        if target is None:
            return DropReason.BABEL_REQUEST_LOST
        if not self._forwarded.note(neighbour, request, entry, now):
            return DropReason.BABEL_REQUESTS_FULL
        entry.open = True
        self._announcer.ask(target, request._replace(hop_count=request.hop_count - 1))
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


def _finite(entry: Entry) -> list[Route]:
    """Return the best routes that are not retracted, feasible or not."""
    finite = [route for route in entry.routes if route.metric != INFINITY]
    return sorted(finite, key=_metric)[:TARGETS_MAX]


def _metric(route: Route) -> int:
    return route.metric


def _missed(pending: Pending) -> tuple[bool, bool]:
    """Order requests by how much they are missed: a wish little, one that rests hardly more."""
    return not pending.wish, not pending.resting
