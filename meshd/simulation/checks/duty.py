"""No radio sends more than the law grants it: airtime in any hour, and the longest frame.

Enters: each frame's airtime. Leaves: violations. The hour slides; a port's sum is kept with it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from meshd.simulation.checks.checker import Checker

if TYPE_CHECKING:
    from meshd.core.events import Transmit
    from meshd.simulation.media.medium import Port
    from meshd.simulation.plan import Plan
    from meshd.simulation.world import World

HOUR_US = 3_600_000_000


class Duty(Checker):
    """Adds up the last hour of each port whose medium has a limit."""

    name = "duty"

    def __init__(self, world: World, plan: Plan) -> None:
        super().__init__(world)
        self._laws = {
            medium.name: (int(medium.duty * HOUR_US), medium.dwell_ms * 1_000)
            for medium in plan.media
            if medium.duty < 1.0 or medium.dwell_ms
        }
        self._sent: dict[int, deque[tuple[int, int]]] = {}
        self._sum: dict[int, int] = {}

    def datagram_sent(self, port: Port, datagram: Transmit, airtime_us: int) -> None:
        self._count(port, airtime_us)

    def segment_sent(self, port: Port, size: int, airtime_us: int) -> None:
        self._count(port, airtime_us)

    def _count(self, port: Port, airtime_us: int) -> None:
        law = self._laws.get(port.medium.name)
        if law is None:
            return
        granted_us, dwell_us = law
        now, key = self.world.now, id(port)
        sent = self._sent.setdefault(key, deque())
        sent.append((now, airtime_us))
        total = self._sum.get(key, 0) + airtime_us
        while sent[0][0] <= now - HOUR_US:
            total -= sent.popleft()[1]
        self._sum[key] = total
        if total > granted_us:
            self.fail(port.host, f"sent for {total} µs within an hour, of {granted_us} granted")
        if dwell_us and airtime_us > dwell_us:
            self.fail(port.host, f"one frame lasted {airtime_us} µs, of {dwell_us} granted")
