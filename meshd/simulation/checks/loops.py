"""No packet goes round: each route change is walked to its end, and all routes each minute.

Enters: route changes of all hosts. Leaves: violations. Feasibility makes each instant free of
loops, however late or lost the updates are (RFC 8966 §2.4), so there is no grace for what is under
way.
Two things are exempt, and no more:

- a host that lost its memory: it may take a route that what it announced before it lost power
  forbids. A loop is forgiven while a host on it booted less than `FORGOT_US` ago, since until then
  its neighbours may hold routes through it from its earlier life (their hold time is 84 s).
- what `exempt` excuses: loops through a host that is hostile, and destinations about whose seqno
  somebody lied. Forged origins and metrics close no loop among honest hosts, so they excuse none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.simulation.checks.checker import Checker

if TYPE_CHECKING:
    from meshd.simulation.anyworld import AnyHost
    from meshd.simulation.checks.exempt import Exempt
    from meshd.simulation.host import Host
    from meshd.simulation.world import World

FORGOT_US = 90_000_000


class Loops(Checker):
    """Walks the kernel routes of hosts as packets would go."""

    name = "loops"

    def __init__(self, world: World, exempt: Exempt) -> None:
        super().__init__(world)
        self._exempt = exempt
        self._started: dict[int, int] = {}
        self._told: set[tuple[bytes, frozenset[int]]] = set()

    def started(self, host: AnyHost) -> None:
        self._started[host.number] = self.world.now

    def route_changed(self, host: Host, address: bytes) -> None:
        self._walk(host, address)

    def minute(self) -> None:
        for host in self.world.hosts:
            if host.running:
                for address in list(host.routes):
                    self._walk(host, address)

    finished = minute

    def _walk(self, start: Host, address: bytes) -> None:
        here, seen = start, [start]
        while (hop := here.routes.get(address)) is not None:
            other = self.world.find(hop.next_hop)
            if other is None or not other.running or other.node.address == address:
                return
            if other in seen:
                self._judge(seen[seen.index(other) :], address)
                return
            here = other
            seen.append(other)

    def _judge(self, loop: list[Host], address: bytes) -> None:
        now, target = self.world.now, self.world.find(address)
        if self._exempt.lied_about(target, now):
            return
        if any(self._exempt.hostile(host, now) for host in loop):
            return
        since = now - FORGOT_US
        if any(0 < self._started.get(host.number, 0) > since for host in loop):
            return
        key = (address, frozenset(host.number for host in loop))
        if key not in self._told:
            self._told.add(key)
            way = " → ".join(host.name for host in (*loop, loop[0]))
            self.fail(loop[0], f"packets to {target.name if target else address.hex()} go {way}")
