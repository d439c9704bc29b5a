"""A medium of explicit directed edges: who hears whom is said, not computed.

Enters: edges with delay, spread and loss, which may change at any time; frames. Leaves: receptions.
Serves worlds built by hand, and cables (`wire`). It has no airtime and no queue. Delay and loss
draw from streams of their own, so that more loss shifts no delay.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from meshd.core.events import LinkKind
from meshd.simulation.media.medium import Reception, Way

if TYPE_CHECKING:
    from meshd.simulation.host import Host
    from meshd.simulation.media.medium import Port
    from meshd.simulation.schedule import Schedule

DELAY_US = 2_000
RATE_BITS_PER_S = 100_000_000


class Edge(NamedTuple):
    """What one direction of a link does to a packet: delay with spread, and loss (0 to 1)."""

    delay_us: int = DELAY_US
    spread_us: int = 500
    loss: float = 0.0


class Edges:
    """Directed edges between hosts, by number; at most one port of a host is on it."""

    def __init__(self, name: str, schedule: Schedule, *, kind: LinkKind = LinkKind.MESH) -> None:
        self.name = name
        self.kind = kind
        self.mtu = 1500
        self.edges: dict[tuple[int, int], Edge] = {}
        self._schedule = schedule
        self._delay = schedule.random(f"delay on {name}").random
        self._loss = schedule.random(f"loss on {name}").random
        self._ports: dict[int, Port] = {}
        self._hears: dict[int, dict[int, Edge]] = {}

    # --- edges ------------------------------------------------------------------------------------

    def hear(self, sender: Host, hearer: Host, edge: Edge | None = None) -> None:
        """Let one direction work, or change it."""
        edge = edge or Edge()
        self.edges[sender.number, hearer.number] = edge
        self._hears.setdefault(sender.number, {})[hearer.number] = edge

    def silence(self, sender: Host, hearer: Host) -> None:
        """End one direction; nobody is told, as on the air."""
        if self.edges.pop((sender.number, hearer.number), None) is not None:
            del self._hears[sender.number][hearer.number]

    # --- Medium -----------------------------------------------------------------------------------

    def attach(self, port: Port) -> None:
        """Take a port in; its edges stay when it goes and comes."""
        self._ports[port.host.number] = port

    def detach(self, port: Port) -> None:
        """Take a port out."""
        self._ports.pop(port.host.number, None)

    def moved(self, host: Host) -> None:
        """Do nothing: edges do not depend on places."""

    def broadcast(self, port: Port, size: int) -> tuple[int, Iterable[Reception]]:
        """Send to all that hear; see `Medium`."""
        found: list[Reception] = []
        ports, now = self._ports, self._schedule.now
        for number, edge in self._hears.get(port.host.number, {}).items():
            hearer = ports.get(number)
            if hearer is not None and not (edge.loss and self._loss() < edge.loss):
                delay_us = edge.delay_us
                if edge.spread_us:
                    delay_us += int(self._delay() * (edge.spread_us + 1))
                found.append(Reception(hearer, now + delay_us))
        return 0, found

    def unicast(self, port: Port, other: Port, size: int) -> tuple[int, Reception | None]:
        """Send to one, once; see `Medium`."""
        edge = self.edges.get((port.host.number, other.host.number))
        if edge is None or other.host.number not in self._ports:
            return 0, None
        if edge.loss and self._loss() < edge.loss:
            return 0, None
        delay_us = edge.delay_us + int(self._delay() * (edge.spread_us + 1))
        return 0, Reception(other, self._schedule.now + delay_us)

    def way(self, port: Port, other: Port) -> Way | None:
        """See `Medium`."""
        edge = self.edges.get((port.host.number, other.host.number))
        if edge is None or other.host.number not in self._ports:
            return None
        return Way(edge.delay_us + edge.spread_us // 2, RATE_BITS_PER_S, edge.loss)

    def hears(self, port: Port, other: Port) -> bool:
        """See `Medium`."""
        return self.way(port, other) is not None

    def ways(self) -> Iterable[tuple[Port, Port, Way]]:
        """See `Medium`."""
        for one, other in self.edges:
            port, hearer = self._ports.get(one), self._ports.get(other)
            if port is not None and hearer is not None:
                found = self.way(port, hearer)
                if found is not None:
                    yield port, hearer, found
