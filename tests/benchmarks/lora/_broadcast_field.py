"""The field of the calibration with open-loop traffic: the same for managed flood and for `Cast`.

Messages come at times drawn beforehand (Poisson), whatever became of the last one. Reach counts
whom an origin reaches within the flood's hop limit by links that work that way; `everybody` counts
all stations, which hop limit or not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from radios.cast_station import CastStation
from simulator._lora_field import AIR_BYTES, SECOND, Field

from meshd.forwarding.rules import Rules
from meshd.simulation.rivals.engine import CONTROL, Delivered, Settled
from meshd.simulation.rivals.managed_flood import OVERHEAD_BYTES
from meshd.simulation.rivals.station import Station

WARM_S = 600
"""Stations get to know their neighbours before the traffic; airtime counts from then on."""

SETTLE_S = 600
"""What repairs after the last message count too, air and deliveries."""

TEXT_BYTES = 40

SOON_S = 300
"""Within this, reach is told by priority: what is shed under load comes later, or never."""


@dataclass
class Load:
    """How many stations tell how often, and for how long."""

    count: int
    period_s: float
    duration_s: float


@dataclass
class Played:
    """What came of one run. Shares in percent, air in ms, delays in s.

    Of all frames, and of those alone that carry data.
    """

    reach: float
    everybody: float
    frames: float
    air_ms: float
    data_frames: float
    data_air_ms: float
    copies_bytes: float
    delay_50_s: float
    delay_95_s: float
    by_priority: dict[int, float]
    """Reach within `SOON_S`."""


class Told(Field):
    """Stations that tell everybody, at times fixed beforehand."""

    engine = CastStation

    def __init__(self, count: int, seed: int, rules: Rules | None, warm_s: int = WARM_S) -> None:
        super().__init__(count, seed)
        self.rules = rules
        self.warm_s = warm_s
        self.frames = self.air_us = self.bytes = self.data_frames = self.data_us = 0
        self.born: dict[tuple[int, int], tuple[int, int]] = {}
        self.arrived: dict[tuple[int, int], dict[int, int]] = {}
        self.air.told = self._told
        if rules is not None:
            for number, station in enumerate(self.stations):
                engine = self.engine(number, self.schedule.random(f"cast {number}"), rules)
                self.stations[number] = Station(self.schedule, station.radio, engine)

    def play(self, load: Load, priority: Callable[[Random], int] = lambda _: 1) -> Played:
        """Run warm-up, traffic and what comes after; return the figures."""
        start_us = self.warm_s * SECOND
        end_us = start_us + round(load.duration_s * SECOND)
        chance = self.schedule.random("open traffic")
        for number, station in enumerate(self.stations):
            station.happened = lambda event, number=number: self._happened(number, event)
            due_us = start_us + round(chance.expovariate(1 / load.period_s) * SECOND)
            while due_us < end_us:
                self.schedule.at(due_us, self._send, number, priority(chance))
                due_us += round(chance.expovariate(1 / load.period_s) * SECOND)
        self.schedule.run(start_us)
        self.frames = self.air_us = self.bytes = self.data_frames = self.data_us = 0
        self.schedule.run(end_us + SETTLE_S * SECOND - start_us)
        return self._played()

    def _told(self, _radio: object, purpose: str, size: int, airtime_us: int) -> None:
        self.frames += 1
        self.air_us += airtime_us
        self.bytes += size
        if purpose != CONTROL:
            self.data_frames += 1
            self.data_us += airtime_us

    def _send(self, number: int, priority: int) -> None:
        station, now = self.stations[number], self.schedule.now
        if self.rules is None:
            message = station.send_broadcast(bytes(AIR_BYTES - OVERHEAD_BYTES))
        else:
            message = station.send_broadcast(bytes([priority]) + bytes(TEXT_BYTES - 1))
        self.born[number, message] = (now, priority)

    def _happened(self, number: int, event: Delivered | Settled) -> None:
        if isinstance(event, Delivered) and event.origin != number:
            key = (event.origin, event.message)
            self.arrived.setdefault(key, {}).setdefault(number, self.schedule.now)

    def _played(self) -> Played:
        count, delays = len(self.stations), []
        got: dict[int, list[int]] = {}
        total = hit = 0
        for key, (born_us, priority) in self.born.items():
            arrived = self.arrived.get(key, {})
            tally = got.setdefault(priority, [0, 0])
            near = self.reach[key[0]]
            soon_us = born_us + SOON_S * SECOND
            tally[0] += sum(arrived.get(number, soon_us) < soon_us for number in near)
            tally[1] += len(near)
            hit += len(near & arrived.keys())
            delays += [at_us - born_us for at_us in arrived.values()]
            total += len(arrived)
        delays.sort()
        messages = len(self.born)
        due = sum(tally[1] for tally in got.values())
        return Played(
            100 * hit / due,
            100 * total / (messages * (count - 1)),
            self.frames / messages,
            self.air_us / 1000 / max(total, 1),
            self.data_frames / messages,
            self.data_us / 1000 / max(total, 1),
            self.bytes / messages,
            delays[len(delays) // 2] / SECOND,
            delays[len(delays) * 19 // 20] / SECOND,
            {priority: 100 * tally[0] / tally[1] for priority, tally in sorted(got.items())},
        )
