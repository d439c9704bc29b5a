"""A field of LoRa stations with managed flooding, as the published simulator sets it up.

US LongFast, 30 dBm, 15 × 15 km; each station placed at random where it reaches one placed before;
3GPP suburban loss with antennas at 1 m (2.0 km of range), an extra loss a direction of 3 dB
standard deviation, hop limit 3, 6 dB capture, detection 3 dB below hearing.
"""

from dataclasses import dataclass, replace
from math import hypot, log10
from random import Random

from meshd.core.airtime import LONG_FAST, noise_dbm
from meshd.simulation.media.lora import LoraAir, Radio, RadioSetting
from meshd.simulation.rivals.engine import Delivered, Settled
from meshd.simulation.rivals.managed_flood import OVERHEAD_BYTES, ManagedFlood, Rules
from meshd.simulation.rivals.station import Station
from meshd.simulation.schedule import Schedule

SECOND = 1_000_000
SIDE_M = 15_000.0
TX_DBM = 30.0
FREQUENCY_MHZ = 908.75
ASYMMETRY_DB = 3.0
HOPS = 4
"""Links that a message can pass: its own sending and three repetitions."""

AIR_BYTES = 40 + 16
"""The published simulator counts 16 bytes of header; our packets have 24, so 8 less inside."""

STRANGERS = 0.1
"""Published as 5 %, but drawn there in tenths, one of which counts: a tenth."""

FIRMWARE_2_1 = Rules(slot_symbols=8.5, window_min=2, snr_max_db=15.0, offset_slots=0)
"""What the published simulator models: longer slots, no offset, a window of four to begin with."""

CALIBRATED = replace(FIRMWARE_2_1, snr_min_db=-25.25, snr_max_db=9.75)
"""There the noise is taken 5.25 dB lower than a noise figure of 6 dB makes it."""


def suburban_loss_db(distance_m: float) -> float:
    """3GPP suburban macro cell, both antennas at 1 m. Ref: 3GPP TR 25.996 (COST 231 Hata)."""
    slope = 44.9 * (log10(max(distance_m, 1.0)) - 3.0)
    return slope + 45.5 + 34.36 * log10(FREQUENCY_MHZ) + 0.7


def places(count: int, chance: Random) -> list[tuple[float, float]]:
    """Place stations at random, each within nominal range of one placed before."""
    range_db = TX_DBM - noise_dbm(LONG_FAST.bandwidth_hz) - LONG_FAST.snr_limit_db
    placed: list[tuple[float, float]] = []
    while len(placed) < count:
        here = (chance.uniform(0, SIDE_M), chance.uniform(0, SIDE_M))
        near = (hypot(here[0] - x, here[1] - y) for x, y in placed)
        if not placed or any(suburban_loss_db(distance) <= range_db for distance in near):
            placed.append(here)
    return placed


@dataclass
class Score:
    """What came of a run; shares in percent."""

    degree: float
    everybody: float
    reach: float
    sent_per_message: float
    heard: float
    messages: int


class Field:
    """Stations, their links, and the messages they send each other."""

    def __init__(self, count: int, seed: int, *, rules: Rules = CALIBRATED) -> None:
        self.schedule = Schedule(seed)
        self.place = places(count, self.schedule.random("places"))
        chance = self.schedule.random("asymmetry")
        self.offset_db = [[chance.gauss(0, ASYMMETRY_DB) for _ in self.place] for _ in self.place]
        self.air = LoraAir(self.schedule, self.loss_db, strangers=STRANGERS)
        setting = RadioSetting(LONG_FAST, round(FREQUENCY_MHZ * 1e6), TX_DBM)
        self.stations = []
        self.messages: dict[tuple[int, int], int] = {}
        self.got = 0
        self.due = 0
        self.expected = 0
        for number in range(count):
            radio = Radio(str(number), setting)
            self.air.attach(radio)
            random = self.schedule.random(f"engine {number}")
            engine = ManagedFlood(number, LONG_FAST, random, rules=rules)
            self.stations.append(Station(self.schedule, radio, engine))
        links = [
            [int(other.name) for other in self.air.audible(radio)] for radio in self.air.radios
        ]
        self.degree = sum(map(len, links)) / count
        self.reach = [_reach(links, number) for number in range(count)]

    def loss_db(self, sender: Radio, hearer: Radio) -> float:
        """Return the loss of one direction."""
        one, other = int(sender.name), int(hearer.name)
        (x, y), (u, v) = self.place[one], self.place[other]
        return suburban_loss_db(hypot(x - u, y - v)) + self.offset_db[one][other]

    def run(self, period_s: float, duration_s: float, *, direct: bool = False) -> Score:
        """Let each station send one message after the other, at random times; return the score.

        Each is for all, or with `direct` for a random other. The next wait begins when the last
        message is acknowledged or given up, as there.
        """
        end_us = round(duration_s * SECOND)

        def wait(number: int) -> None:
            chance = self.schedule.random(f"traffic {number}")
            due_us = self.schedule.now + round(chance.expovariate(1 / period_s) * SECOND)
            if due_us < end_us:
                self.schedule.at(due_us, send, number)

        def send(number: int) -> None:
            station, payload = self.stations[number], bytes(AIR_BYTES - OVERHEAD_BYTES)
            others = [other for other in range(len(self.stations)) if other != number]
            if direct:
                others = [self.schedule.random(f"targets {number}").choice(others)]
                message = station.send_direct(others[0], payload)
            else:
                message = station.send_broadcast(payload)
            self.messages[number, message] = 0
            self.due += len(others)
            self.expected += len(self.reach[number].intersection(others))

        def happened(number: int, event: Delivered | Settled) -> None:
            if isinstance(event, Settled):
                wait(number)
            else:
                self.messages[event.origin, event.message] += 1
                self.got += 1

        for number, station in enumerate(self.stations):
            station.happened = lambda event, number=number: happened(number, event)
            wait(number)
        self.schedule.run(end_us)
        return self._score(duration_s)

    def _score(self, duration_s: float) -> Score:
        count, messages = len(self.stations), len(self.messages)
        radios = self.air.radios
        taken_us = sum(radio.heard_us + radio.sent_us for radio in radios)
        return Score(
            self.degree,
            100 * self.got / self.due,
            100 * self.got / self.expected,
            sum(radio.sent_frames for radio in radios) / messages,
            100 * taken_us / (count * duration_s * SECOND),
            messages,
        )


def _reach(links: list[list[int]], origin: int) -> set[int]:
    """Return who is within the hop limit of a station by links that work that way."""
    found, edge = {origin}, [origin]
    for _ in range(HOPS):
        edge = [there for here in edge for there in links[here] if there not in found]
        found.update(edge)
    return found - {origin}
