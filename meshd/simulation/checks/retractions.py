"""Who was told that a route is gone believes in it no more.

Ref: RFC 8966 §3.5.3.

Enters: the packets that hosts send to all, read by `updates`. Leaves: violations. Only what must
have arrived counts: on edges without loss, while no fault is at work, to hosts that are on; and
only what was said twice, since of two words on their way the later one may come first. Whoever
said so and announces the prefix again has taken it back. The words of liars are exempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.core.limits import BABEL_PORT
from meshd.simulation.checks.checker import Checker
from meshd.simulation.checks.updates import Reader
from meshd.simulation.media.edges import Edges

if TYPE_CHECKING:
    from meshd.core.events import Transmit
    from meshd.simulation.anyworld import AnyHost
    from meshd.simulation.checks.exempt import Exempt
    from meshd.simulation.host import Host
    from meshd.simulation.media.medium import Port
    from meshd.simulation.world import World

AGAIN_US = 100_000
"""So long apart, two words do not overtake each other on wires of one delay."""
ARRIVED_US = 5_000_000

IpPrefix = tuple[bytes, int]


class Retractions(Checker):
    """Keeps what each port took back last: by prefix and hearer, when first and when last."""

    name = "retractions"

    def __init__(self, world: World, exempt: Exempt) -> None:
        super().__init__(world)
        self._exempt = exempt
        self._reader = Reader()
        self._told: dict[Port, dict[IpPrefix, dict[Port, tuple[int, int]]]] = {}

    def datagram_sent(self, port: Port, datagram: Transmit, airtime_us: int) -> None:
        if datagram.port != BABEL_PORT or not isinstance(port.medium, Edges):
            return
        told = self._told.setdefault(port, {})
        for said in self._reader.read(datagram.data):
            told.pop(said.prefix, None)
        lost = self._reader.retracted(datagram.data)
        if not lost or self.world.faults.active or datagram.destination[0] != 0xFF:
            return
        now, hearers = self.world.now, self._hearers(port)
        for said in lost:
            listed = told.setdefault(said.prefix, {})
            for hearer in hearers:
                listed[hearer] = (listed.get(hearer, (now, now))[0], now)

    def started(self, host: AnyHost) -> None:
        for told in self._told.values():
            for listed in told.values():
                for hearer in [one for one in listed if one.host is host]:
                    del listed[hearer]

    def minute(self) -> None:
        self._judge()

    def finished(self) -> None:
        self._judge()

    def _hearers(self, port: Port) -> list[Port]:
        """Return the ports that hear all that is sent here."""
        found = []
        for host in self.world.hosts:
            other = host.ports.get(port.link)
            if other is not None and other is not port and host.running:
                way = port.medium.way(port, other)
                if way is not None and not way.loss:
                    found.append(other)
        return found

    def _judge(self) -> None:
        now = self.world.now
        if not any(self._told.values()) or self._exempt.garbled(now):
            return
        for host in self.world.hosts:
            if host.running:
                self._deaf(host, now)

    def _deaf(self, host: Host, now: int) -> None:
        """Look for routes that the neighbour took back."""
        for link, neighbour, prefix, *_ in host.node.routing.learnt():
            owner, own = self.world.find(neighbour), host.ports.get(link)
            port = owner.ports.get(link) if owner is not None else None
            if owner is None or port is None or own is None or self._exempt.hostile(owner, now):
                continue
            listed = self._told.get(port, {}).get((prefix.address, prefix.length), {})
            first_us, last_us = listed.get(own, (now, now))
            if last_us - first_us >= AGAIN_US and now - last_us >= ARRIVED_US:
                self.fail(
                    host,
                    f"believes in the route of {owner.name} to {prefix},"
                    f" which {owner.name} took back {(now - first_us) // 1_000_000} s ago",
                )
