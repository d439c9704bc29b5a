"""Which of the routes to a prefix is used (RFC 8966 §3.6, Appendix A.3).

Enters: an entry of the route table. Leaves: its best feasible route. A first route and a lost one
act at once; a better one is taken when it is better by a margin, or stayed better for long.
Must not know: packets, timers, what becomes of the choice.
"""

from typing import NamedTuple

from meshd.neighbour.cost import INFINITY
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
    current, current_metric = entry.selected, INFINITY
    best, best_metric = None, INFINITY
    wish, wish_metric = None, INFINITY
    for route in entry.routes:
        metric = route.metric
        if metric == INFINITY or (metric >= best_metric and route is not current):
            continue
        if sources.feasible(entry.prefix, route.router_id, route.seqno, route.advertised):
            if route is current:
                current_metric = metric
            if metric < best_metric:
                best, best_metric = route, metric
        elif metric < wish_metric:
            wish, wish_metric = route, metric
    if need is not None and best is not None:
        for route in entry.routes:
            if (
                meets(route, *need)
                and route.metric <= best_metric + NEED_MARGIN
                and sources.feasible(entry.prefix, *_distance(route))
            ):
                return Choice(route, None)
    if best is not current and current_metric != INFINITY:
        if not _switch(entry, best, best_metric, current_metric, now):
            best, best_metric = current, current_metric
    else:
        entry.rival = None
    return Choice(best, wish if wish_metric + WISH_MARGIN <= best_metric else None)


def meets(route: Route, router_id: bytes, seqno: int) -> bool:
    """Tell whether a route answers a request for (router-id, seqno)."""
    return route.router_id != router_id or not newer(seqno, route.seqno)


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
