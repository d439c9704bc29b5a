"""No radio sends more than the law grants it: airtime in any hour, and the longest frame.

Enters: each frame's airtime. Leaves: violations. The hour slides; a radio's sum is kept with it. A
plan has one channel of LoRa at most; every frame on it counts, whose protocol it may be. What was
sent in a time that a card forgot is left out: who loses power and finds its card as it was before
has nothing else that remembers (docs/security.md). Without power cuts a card forgets nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from meshd.core.law import HOUR_US
from meshd.simulation.checks.checker import Checker
from meshd.simulation.host import Host
from meshd.simulation.lora.medium import band_of

if TYPE_CHECKING:
    from meshd.core.events import Transmit
    from meshd.simulation.media.medium import Port
    from meshd.simulation.plan.plan import Plan
    from meshd.simulation.world import World


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
        for medium in plan.media:
            if medium.region:
                band = band_of(medium)
                self._laws[medium.name] = (band.airtime_us_max, band.dwell_us)
        lora = (medium.name for medium in plan.media if medium.kind == "lora")
        self._lora = next(lora, "")
        self._sent: dict[tuple[str, str], deque[tuple[int, int]]] = {}
        self._sum: dict[tuple[str, str], int] = {}

    def datagram_sent(self, port: Port, datagram: Transmit, airtime_us: int) -> None:
        self._count(port.medium.name, port.host.name, airtime_us)

    def segment_sent(self, port: Port, size: int, airtime_us: int) -> None:
        self._count(port.medium.name, port.host.name, airtime_us)

    def frame_sent(self, name: str, purpose: str, size: int, airtime_us: int) -> None:
        self._count(self._lora, name, airtime_us)

    def _count(self, medium: str, name: str, airtime_us: int) -> None:
        law = self._laws.get(medium)
        if law is None:
            return
        granted_us, dwell_us = law
        now, key = self.world.now, (medium, name)
        sent = self._sent.setdefault(key, deque())
        sent.append((now, airtime_us))
        total = self._sum.get(key, 0) + airtime_us
        while sent[0][0] <= now - HOUR_US:
            total -= sent.popleft()[1]
        self._sum[key] = total
        if total > granted_us:
            total -= self._forgotten_us(name, sent)
        if total > granted_us:
            self._fail(name, f"sent for {total} µs within an hour, of {granted_us} granted")
        if dwell_us and airtime_us > dwell_us:
            self._fail(name, f"one frame lasted {airtime_us} µs, of {dwell_us} granted")

    def _forgotten_us(self, name: str, sent: Iterable[tuple[int, int]]) -> int:
        """Return how much of it was sent in times of which the card of a host lost what it knew."""
        host = self._host(name)
        radio = host.lora if isinstance(host, Host) else None
        spans = radio.card.forgot if radio is not None else ()
        return sum(
            airtime_us
            for at_us, airtime_us in sent
            if any(begin <= at_us < end for begin, end in spans)
        )

    def _host(self, name: str) -> Host | None:
        return next((host for host in self.world.hosts if host.name == name), None)

    def _fail(self, name: str, text: str) -> None:
        self.fail(self._host(name), text)
