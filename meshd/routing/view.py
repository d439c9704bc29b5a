"""Neighbours and routes as the snapshot shows them.

Enters: the tables. Leaves: frozen status values. Must not know: packets, timers.
"""

from collections.abc import Container, Iterator
from typing import NamedTuple

from meshd.core.events import LinkKind
from meshd.core.ids import Prefix, address_text, node_of_address, node_text
from meshd.core.snapshot import NeighbourStatus, RouteStatus
from meshd.neighbour.cost import INFINITY
from meshd.neighbour.table import Neighbour
from meshd.routing.source import SourceTable
from meshd.routing.table import Entry, Route, RouteTable


class Learnt(NamedTuple):
    """A finite route as its neighbour announced it, and where that neighbour is."""

    link: str
    neighbour: bytes
    prefix: Prefix
    router_id: bytes
    seqno: int
    metric: int


def learnt(table: RouteTable) -> Iterator[Learnt]:
    """Return all routes that are not retracted, but for those over LoRa."""
    for prefix, entry in table.entries.items():
        for route in entry.routes:
            who = route.neighbour
            if route.advertised != INFINITY and who.link.kind is not LinkKind.RADIO:
                said = (route.router_id, route.seqno, route.advertised)
                yield Learnt(who.link.name, who.address, prefix, *said)


def node_of(address: bytes | None, mesh: bytes) -> str | None:
    """Return the NodeId in an address of our mesh, as text; None for any other address."""
    if address is None or address[: len(mesh)] != mesh:
        return None
    return node_text(node_of_address(address))


def neighbour_status(
    neighbour: Neighbour, mesh: bytes, now: int, connected: Container[str]
) -> NeighbourStatus:
    """Describe a neighbour; `connected` holds the nodes that a session is open with."""
    history = neighbour.multicast
    node = node_of(neighbour.origin, mesh)
    return NeighbourStatus(
        link=neighbour.link.name,
        address=address_text(neighbour.address),
        node=node,
        rxcost=neighbour.rxcost,
        txcost=neighbour.txcost,
        cost=neighbour.cost,
        reach=history.heard_count / history.samples if history.samples else 0.0,
        age_s=(now - neighbour.since_us) / 1e6,
        last_heard_s=(now - neighbour.heard_us) / 1e6,
        session=node is not None and node in connected,
    )


def route_statuses(
    table: RouteTable, sources: SourceTable, mesh: bytes, now: int
) -> tuple[RouteStatus, ...]:
    """Describe all routes by prefix, the selected one first, then by metric."""
    statuses = []
    for _, entry in sorted(table.entries.items()):
        routes = sorted(entry.routes, key=lambda route: (route is not entry.selected, route.metric))
        statuses += [_route_status(entry, route, sources, mesh=mesh, now=now) for route in routes]
    return tuple(statuses)


def _route_status(
    entry: Entry, route: Route, sources: SourceTable, *, mesh: bytes, now: int
) -> RouteStatus:
    whole = entry.prefix.length == 128
    return RouteStatus(
        prefix=str(entry.prefix),
        node=node_of(entry.prefix.address, mesh) if whole else None,
        link=route.neighbour.link.name,
        next_hop=address_text(route.next_hop),
        metric=route.metric,
        seqno=route.seqno,
        router_id=route.router_id.hex(":", 2),
        selected=route is entry.selected,
        feasible=sources.feasible(entry.prefix, route.router_id, route.seqno, route.advertised),
        age_s=(now - route.since_us) / 1e6,
        thin=route.thin != 0,
    )
