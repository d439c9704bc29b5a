"""The field of the calibration with direct messages in an open loop, for flood and for routes.

Times and receivers are drawn beforehand, whatever became of the last message. Delivered counts
what arrives, and for routes what their origin knows to have arrived, among receivers within the
flood's hop limit by links that work that way. What routes cost counts from the first message on;
the hour before it, in which stations get to know each other, is told apart.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from simulator._lora_field import SECOND, Field

from meshd.simulation.media.lora import Radio
from meshd.simulation.rivals.engine import CONTROL, Delivered, Engine, Settled
from meshd.simulation.rivals.managed_flood import OVERHEAD_BYTES
from meshd.simulation.rivals.station import Station

WARM_S = 3600
SETTLE_S = 120
TEXT_BYTES = 50
Make = Callable[[int, Random], Engine]


@dataclass
class Played:
    """What came of one run. Shares in percent, delays in s, frames and air (in s) a message."""

    delivered: float
    acknowledged: float
    frames: float
    control_frames: float
    air_s: float
    delay_50_s: float
    delay_95_s: float
    channel: float
    """How long a station finds the channel taken, itself included."""

    possible: float
    """The share of these receivers to whom a way leads of links that work both ways."""


class Sent(Field):
    """Stations that send each other direct messages. `make` None: the flood that is calibrated."""

    def __init__(self, count: int, seed: int, make: Make | None) -> None:
        super().__init__(count, seed)
        self.air.told = self._told
        if make is not None:
            for number, station in enumerate(self.stations):
                engine = make(number, self.schedule.random(f"direct {number}"))
                self.stations[number] = Station(self.schedule, station.radio, engine)
        self.flood = make is None
        self.frames = self.control = self.air_us = 0
        self.born: dict[tuple[int, int], tuple[int, int]] = {}
        self.arrived_us: dict[tuple[int, int], int] = {}
        self.known: set[tuple[int, int]] = set()

    def play(self, period_s: float, duration_s: float) -> Played:
        """Warm up, send, settle; return the figures."""
        chance = self.schedule.random("open traffic")
        start_us = WARM_S * SECOND
        end_us = start_us + round(duration_s * SECOND)
        for number, station in enumerate(self.stations):
            station.happened = lambda event, number=number: self._happened(number, event)
            due_us = start_us + round(chance.expovariate(1 / period_s) * SECOND)
            while due_us < end_us:
                to = chance.choice([one for one in range(len(self.stations)) if one != number])
                self.schedule.at(due_us, self._send, number, to)
                due_us += round(chance.expovariate(1 / period_s) * SECOND)
        self.schedule.run(start_us)
        self.frames = self.control = self.air_us = 0
        taken_us = self._taken_us()
        self.schedule.run(end_us + SETTLE_S * SECOND - start_us)
        over_us = (end_us + SETTLE_S * SECOND - start_us) * len(self.stations)
        return self._played(100 * (self._taken_us() - taken_us) / over_us)

    def quiet(self, warm_s: int, duration_s: int) -> float:
        """Say nothing; return how long a station finds the channel taken, in percent."""
        self.schedule.run(warm_s * SECOND)
        taken_us = self._taken_us()
        self.schedule.run(duration_s * SECOND)
        return 100 * (self._taken_us() - taken_us) / (duration_s * SECOND * len(self.stations))

    def _taken_us(self) -> int:
        return sum(radio.heard_us + radio.sent_us for radio in self.air.radios)

    def _told(self, radio: Radio, purpose: str, size: int, airtime_us: int) -> None:
        self.frames += 1
        self.control += purpose == CONTROL
        self.air_us += airtime_us

    def _send(self, number: int, to: int) -> None:
        # The published simulator counts eight bytes of header less than our flood's packets have.
        payload = bytes(TEXT_BYTES - (OVERHEAD_BYTES - 16) * self.flood)
        message = self.stations[number].send_direct(to, payload)
        self.born[number, message] = (self.schedule.now, to)

    def _happened(self, number: int, event: Delivered | Settled) -> None:
        if isinstance(event, Settled):
            if event.acknowledged:
                self.known.add((number, event.message))
            return
        key = (event.origin, event.message)
        if key in self.born and self.born[key][1] == number:
            self.arrived_us.setdefault(key, self.schedule.now)

    def _played(self, channel: float) -> Played:
        messages = max(len(self.born), 1)
        near = [key for key, (_, to) in self.born.items() if to in self.reach[key[0]]]
        delays = sorted(at - self.born[key][0] for key, at in self.arrived_us.items()) or [0]
        return Played(
            delivered=100 * sum(key in self.arrived_us for key in near) / max(len(near), 1),
            acknowledged=100 * sum(key in self.known for key in near) / max(len(near), 1),
            frames=self.frames / messages,
            control_frames=self.control / messages,
            air_s=self.air_us / SECOND / messages,
            delay_50_s=delays[len(delays) // 2] / SECOND,
            delay_95_s=delays[len(delays) * 95 // 100] / SECOND,
            channel=channel,
            possible=100 * self._possible(near) / max(len(near), 1),
        )

    def _possible(self, near: list[tuple[int, int]]) -> int:
        """Count the messages to whose receivers a way leads of links that work both ways."""
        island = islands(self)
        return sum(island[key[0]] == island[self.born[key][1]] for key in near)


def islands(field: Field) -> dict[int, int]:
    """Return by station the least one that it reaches by links that work both ways."""
    air = field.air
    hears = [{int(one.name) for one in air.audible(radio)} for radio in air.radios]
    island: dict[int, int] = {}
    for first in range(len(hears)):
        edge = [first]
        while edge:
            here = edge.pop()
            if here not in island:
                island[here] = first
                edge += [there for there in hears[here] if here in hears[there]]
    return island
