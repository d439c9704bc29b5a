"""Acts on the choice of routes: installs, holds, and has announced what changed (RFC 8966 §3.6).

Enters: prefixes whose choice may end otherwise, and time. Leaves: route events, and what the
announcer is to say. A prefix that lost its route is held for a while, so that no shorter prefix
takes its packets back to where they came from.
Must not know: packets, links.
"""

from meshd.core.context import Context
from meshd.core.events import RouteInstalled, RouteRemoved
from meshd.neighbour.cost import INFINITY
from meshd.neighbour.table import Neighbour
from meshd.routing.announce import Announcer
from meshd.routing.held import Held
from meshd.routing.learn import Learner
from meshd.routing.recall import recall
from meshd.routing.requests import Requests
from meshd.routing.selection import choose
from meshd.routing.source import SourceTable
from meshd.routing.table import Entry, Route, RouteTable

UNREACHABLE = ("", bytes(16))
"""Link and next hop of a RouteInstalled that means: hold these packets, they have no way."""

SWEEP_MIN_US = 1_000_000
SWEEP_MAX_US = 60_000_000
HOLD_US = 84_000_000
METRIC_STEP = 384
"""Smaller changes of a metric wait for the next dump, as do those by less than half of it."""


class Chooser:
    """The selected route of each prefix, and the prefixes that are held."""

    __slots__ = ("_announcer", "_ctx", "_held", "_learner", "_requests", "_sources", "_table")

    def __init__(
        self,
        ctx: Context,
        *,
        table: RouteTable,
        sources: SourceTable,
        learner: Learner,
        requests: Requests,
        announcer: Announcer,
    ) -> None:
        self._ctx = ctx
        self._table = table
        self._sources = sources
        self._learner = learner
        self._requests = requests
        self._announcer = announcer
        self._held = Held()

    def start(self, now: int) -> None:
        """Begin to sweep, if that is not done already."""
        timers = self._ctx.timers
        if timers.deadline(("routing", "sweep")) is None:
            timers.set(("routing", "sweep"), now + SWEEP_MAX_US)

    def settle(self, now: int) -> None:
        """Choose again where something changed, and send what may not wait."""
        if self._learner.adopted:
            self._learner.adopted = False
            self._announcer.changed_own(now)
        self._table.narrow()
        dirty, entries = self._learner.dirty, self._table.entries
        while dirty:
            changed = tuple(dirty)
            dirty.clear()
            found = (entries.get(prefix) for prefix in changed)
            lost = [e for e in found if e is not None and not self._choose(e, now, spare=True)]
            if lost:
                recall(self._learner, lost, now)
                for entry in lost:
                    if entries.get(entry.prefix) is entry:  # else let go for one that was lost
                        self._choose(entry, now, spare=False)
        self._announcer.flush_urgent(now)

    def sweep(self, now: int) -> None:
        """Expire routes, holds and sources."""
        due = self._learner.expire(now)
        for prefix in tuple(self._held):
            entry = self._table.entries.get(prefix)
            if entry is None or entry.held_until is None:
                self._held.discard(prefix)
            elif now < entry.held_until:
                due = min(due, entry.held_until)
            else:
                self._held.discard(prefix)
                self._let_go(entry)
        believed_us = self._table.believed_us
        for prefix in self._sources.collect(now, self._announcer.announced, believed_us):
            entry = self._table.entries.get(prefix)
            if entry is not None and entry.selected is None:
                self._learner.dirty[prefix] = None  # what was not feasible may be now
        wait = min(max(due - now, SWEEP_MIN_US), SWEEP_MAX_US)
        self._ctx.timers.set(("routing", "sweep"), now + wait)

    # --- helpers ----------------------------------------------------------------------------------

    def _choose(self, entry: Entry, now: int, *, spare: bool) -> bool:
        """Choose again; with `spare`, False and nothing done when others must be had back first."""
        need = self._requests.awaited(entry)
        before, (route, wish) = entry.selected, choose(entry, self._sources, now, need)
        if route is None and entry.spare and spare and (before is not None or entry.short):
            return False
        self._chosen(entry, route, wish, now)
        return True

    def _chosen(self, entry: Entry, route: Route | None, wish: Route | None, now: int) -> None:
        """Act on the choice."""
        before, entry.selected = entry.selected, route
        said = entry.said
        if route is None:
            if before is not None:
                self._sources.retire(entry.prefix, None, now)
        elif said is None or said[0] != route.router_id:
            self._sources.retire(entry.prefix, route.router_id, now)
        if wish is not None and route is not None:
            self._requests.unfeasible(entry.prefix, wish.neighbour, wish.router_id, now)
        if route is None:
            if before is not None:
                self._announcer.pages.touch(entry.prefix)
                self._lost(entry, before.neighbour, now)
                self._tell_radios(entry, now)
            self._tidy(entry)
            return
        if entry.spare and said is not None and route.metric > said[2]:
            entry.look_again()
        self._page(entry, route, now, new=before is None)
        wanted = route.hop
        if entry.installed != wanted:
            entry.installed = wanted
            self._ctx.emit(RouteInstalled(entry.prefix, *wanted, route.metric))
        askers = self._requests.met(route)
        held, entry.held_until = entry.held_until, None
        if held is not None:
            self._held.discard(entry.prefix)
        if said is not None and said[0] != route.router_id:
            self._announcer.changed(entry.prefix, now, urgent=True)
        elif before is None or said is None:
            self._announcer.changed(entry.prefix, now, urgent=bool(askers) or held is not None)
        else:
            if not askers and route.seqno != said[1]:
                # Not late enough, but whoever waits for a later one has to ask again.
                askers = self._requests.askers(entry.prefix)
            self._announcer.tell(entry.prefix, askers)
            if abs(route.metric - said[2]) >= max(METRIC_STEP, said[2] >> 1):
                self._announcer.drifted(entry.prefix, now)
        self._tell_radios(entry, now)

    def _page(self, entry: Entry, route: Route, now: int, *, new: bool) -> None:
        """Have dumps say what was chosen; in a wide table a little more metric waits a while."""
        pages = self._announcer.pages
        if new:
            pages.touch(entry.prefix)
        elif entry.says(route):
            pages.as_before(entry.prefix)
        elif self._table.wide and entry.nearly_says(route):
            pages.put_off(entry.prefix, now)
        else:
            pages.touch(entry.prefix)

    def _tell_radios(self, entry: Entry, now: int) -> None:
        for radio in self._announcer.radios.values():
            radio.chosen(entry, now)

    def _lost(self, entry: Entry, cause: Neighbour, now: int) -> None:
        """Retract a prefix and hold it, so that no shorter route is taken meanwhile (§3.5.4)."""
        entry.held_until = now + HOLD_US
        crowded = self._held.add(entry.prefix, cause)
        if crowded is not None:
            self._let_go(self._table.entries[crowded])
        self._ctx.timers.set_earlier(("routing", "sweep"), now + HOLD_US)
        if self._table.covered(entry.prefix):
            entry.installed = UNREACHABLE
            self._ctx.emit(RouteInstalled(entry.prefix, *UNREACHABLE, INFINITY))
        else:
            entry.installed = None
            self._ctx.emit(RouteRemoved(entry.prefix))
        self._announcer.changed(entry.prefix, now, urgent=True)
        self._requests.starving(entry, now)

    def _let_go(self, entry: Entry) -> None:
        """Hold an entry no longer."""
        entry.held_until = None
        if entry.installed is not None:
            entry.installed = None
            self._ctx.emit(RouteRemoved(entry.prefix))
        self._tidy(entry)

    def _tidy(self, entry: Entry) -> None:
        if self._table.tidy(entry):
            self._announcer.pages.remove(entry.prefix)
