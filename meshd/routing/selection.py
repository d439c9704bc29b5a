"""Which of the routes to a prefix is used (RFC 8966 §3.6, Appendix A.3).

Enters: an entry of the route table. Leaves: its best feasible route. A first route and a lost one
act at once; a better one is taken when it is better by a margin, or stayed better for long.
Must not know: packets, timers, what becomes of the choice.
"""

from typing import NamedTuple

from meshd.neighbour.cost import INFINITY
from meshd.neighbour.table import Neighbour
from meshd.routing.source import SourceTable, newer
from meshd.routing.table import Entry, Route

MARGIN_MIN = 64
MARGIN_SHIFT = 3
LASTING_US = 30_000_000

WISH_MARGIN = 256
"""One clean hop: so much better an unfeasible route must be before it is asked for."""

NEED_MARGIN = 512

Need = tuple[bytes, int]


class Choice(NamedTuple):
    """The route to use, and one that would be far better were it feasible (RFC 8966 §3.8.2.2)."""

    route: Route | None
    wish: Route | None


def choose(entry: Entry, sources: SourceTable, now: int, need: Need | None = None) -> Choice:
    """Choose; the present route may stay although another is a little better.

    `need` is a router-id and seqno that a neighbour waits for: a route that has it is taken
    although it is a little worse, else the answer would end here.
    """
    prefix, routes, current = entry.prefix, entry.routes, entry.selected
    feasible = sources.feasible
    current_metric = best_metric = wish_metric = INFINITY
    best = wish = None
    if current is not None and current in routes and feasible(prefix, *_distance(current)):
        current_metric = best_metric = current.metric
        best = current if best_metric != INFINITY else None
    for route in routes:
        metric = route.advertised + route.neighbour.cost
        if metric >= best_metric:
            continue
        if feasible(prefix, route.router_id, route.seqno, route.advertised):
            best, best_metric = route, metric
        elif metric < wish_metric:
            wish, wish_metric = route, metric
    if need is not None and best is not None:
        for route in entry.routes:
            if (
                meets(route, *need)
                and route.metric <= best_metric + NEED_MARGIN
                and feasible(prefix, *_distance(route))
            ):
                entry.open = True
                return Choice(route, None)
    if best is not current and current_metric != INFINITY:
        if not _switch(entry, best, best_metric, current_metric, now):
            best, best_metric = current, current_metric
    else:
        entry.rival = None
    if wish_metric + WISH_MARGIN > best_metric:
        wish = None
    entry.open = wish is not None or best is None or entry.rival is not None
    return Choice(best, wish)


def matters(entry: Entry, route: Route) -> bool:
    """Tell whether the choice may end otherwise now that a route is new, changed or removed.

    It may when the route is in use or became the better one, and when something was left open.
    """
    selected = entry.selected
    return (
        selected is None
        or entry.open
        or selected is route
        or route.advertised + route.neighbour.cost < selected.metric
    )


def concerned(entry: Entry, neighbour: Neighbour, *, fell: bool) -> bool:
    """Tell the same now that the cost of a neighbour fell or rose."""
    selected = entry.selected
    if selected is None or entry.open or selected.neighbour is neighbour:
        return True
    if not fell:
        return False
    route = entry.of(neighbour)
    return route is not None and route.metric < selected.metric


def meets(route: Route, router_id: bytes, seqno: int) -> bool:
    """Tell whether a route answers a request for (router-id, seqno)."""
    return route.router_id != router_id or not newer(seqno, route.seqno)


def leads_on(entry: Entry, route: Route, asker: Neighbour) -> bool:
    """Tell whether a way is not by who asks, and shorter than the one that it still has."""
    theirs = entry.of(asker)
    return route.neighbour is not asker and (theirs is None or route.metric < theirs.advertised)


def _distance(route: Route) -> tuple[bytes, int, int]:
    return route.router_id, route.seqno, route.advertised


def _switch(
    entry: Entry, best: Route | None, best_metric: int, current_metric: int, now: int
) -> bool:
    """Tell whether a better feasible route is worth leaving the present one for."""
    if best_metric >= current_metric:
        entry.rival = None
        return False
    if best_metric + max(MARGIN_MIN, current_metric >> MARGIN_SHIFT) <= current_metric:
        return True
    if entry.rival is not best:
        entry.rival, entry.rival_since = best, now
    return now - entry.rival_since >= LASTING_US
