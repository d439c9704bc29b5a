"""A seqno request goes on with fewer hops than it came with, and does not circulate.

Ref: RFC 8966 §3.8.1.2.

Enters: the packets that hosts hear and send one to one, read by `updates`. Leaves: violations. Who
sends a request on does so while it takes the packet with it: so what a host sends between the two
ends of taking the same request is not its own. A request may go on again at once only when it
reaches farther than before; that of a flood may do so too, since its memory is bounded. So may one
that was answered by another router-id of its prefix, which none but garbled packets bring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.core.limits import BABEL_PORT
from meshd.simulation.checks.checker import Checker
from meshd.simulation.checks.updates import Reader

if TYPE_CHECKING:
    from meshd.core.events import Transmit
    from meshd.simulation.checks.exempt import Exempt
    from meshd.simulation.host import Host
    from meshd.simulation.media.medium import Port
    from meshd.simulation.world import World

AGAIN_US = 350_000
"""The nodes let the same request rest for 400 ms of their own clocks."""

Wanted = tuple[tuple[bytes, int], bytes, int]


class Requests(Checker):
    """Compares what comes with what goes on."""

    name = "requests"

    def __init__(self, world: World, exempt: Exempt) -> None:
        super().__init__(world)
        self._exempt = exempt
        self._reader = Reader()
        self._taking: dict[int, dict[Wanted, int]] = {}
        self._last: dict[tuple[int, Wanted], tuple[int, int]] = {}
        self._open: dict[int, dict[Wanted, None]] = {}  # sent on while packets may be garbled

    def datagram_heard(self, port: Port, datagram: Transmit) -> None:
        if datagram.port == BABEL_PORT and (found := self._reader.asked(datagram.data)):
            self._taking[port.host.number] = {asked[:3]: asked.hops for asked in found}

    def datagram_taken(self, port: Port) -> None:
        self._taking.pop(port.host.number, None)
        self._look(port.host)

    def route_changed(self, host: Host, address: bytes) -> None:
        self._look(host)

    def datagram_sent(self, port: Port, datagram: Transmit, airtime_us: int) -> None:
        if datagram.port != BABEL_PORT or datagram.destination[0] == 0xFF:
            return
        host, now = port.host, self.world.now
        self._look(host)
        taking = self._taking.get(host.number)
        if taking is None:
            return
        for asked in self._reader.asked(datagram.data):
            wanted: Wanted = asked[:3]
            came = taking.get(wanted)
            if came is None:
                continue
            if asked.hops >= came:
                self.fail(host, f"sent a request on with {asked.hops} hops that came with {came}")
            hops, at_us = self._last.get((host.number, wanted), (0, -AGAIN_US))
            if now - at_us < AGAIN_US and asked.hops <= hops and not self._excused(host, wanted):
                self.fail(host, f"sent a request on twice within {now - at_us} µs")
            self._last[host.number, wanted] = (asked.hops, now)
            if self._exempt.garbled(now):
                self._open.setdefault(host.number, {})[wanted] = None

    def _excused(self, host: Host, wanted: Wanted) -> bool:
        now = self.world.now
        answered = wanted not in self._open.get(host.number, ())
        return self._exempt.anybody_hostile(now) or (self._exempt.garbled(now) and answered)

    def _look(self, host: Host) -> None:
        """Forget what has its answer, or may go on again."""
        if waits := self._open.get(host.number):
            for wanted in [one for one in waits if self._settled(host, one)]:
                del waits[wanted]

    def _settled(self, host: Host, wanted: Wanted) -> bool:
        """Tell whether a request that was sent on rested long enough, or has such an answer."""
        prefix, router_id, _ = wanted
        route = host.node.routing.distance_to(prefix[0])
        answered = route is not None and route[0] != router_id
        return answered or self.world.now - self._last[host.number, wanted][1] >= AGAIN_US
