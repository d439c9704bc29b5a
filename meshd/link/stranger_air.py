"""How much of the hour's control is said because of strangers, by what it is that is said.

Enters: how long a frame is that would go for nobody who has proven anything, why, time. Leaves: yes
or no. Noise needs no key, and an invented node one beacon: what both cost this node is a part of
what the law lets it say at all, and the rest stays for routes and for who is here. Who is really
new has sealed a beacon. The own one, which every newcomer in earshot can use, has the largest part,
most of it as the hour goes on: however many are invented, who comes later waits for the next one
only. Nodes in earshot of each other say it at about one time, and one frame answers them all.
Must not know: who it is, what is said.
"""

from enum import IntEnum

from meshd.core.law import CONTROL_PERCENT, HOUR_US, SubBand


class Why(IntEnum):
    """Why something is said to who has proven nothing."""

    NOISE = 0
    """A question, or an answer to who may be nobody."""

    WORDS = 1
    """A first answer to who has sealed a beacon."""

    BEACON = 2
    """The own beacon, for that one."""


PERCENT = {Why.NOISE: (5, 10), Why.WORDS: (5, 10), Why.BEACON: (8, 35)}
"""Of an hour's control: so much at once, and so much as the hour goes on."""


def control_us(band: SubBand) -> int:
    """Return how much of an hour is for control."""
    return band.airtime_us_max * CONTROL_PERCENT // 100


class _Part:
    """So much airtime at once, and so much an hour; the last frame may be longer."""

    __slots__ = ("_at_us", "_burst_us", "_hourly_us", "_spent_us")

    def __init__(self, burst_us: int, hourly_us: int) -> None:
        self._burst_us = burst_us
        self._hourly_us = hourly_us
        self._spent_us = 0
        self._at_us = 0

    def take(self, airtime_us: int, now: int) -> bool:
        regained_us = max(now - self._at_us, 0) * self._hourly_us // HOUR_US
        spent_us = max(self._spent_us - regained_us, 0)
        if spent_us >= self._burst_us:
            return False
        self._spent_us, self._at_us = spent_us + airtime_us, now
        return True


class StrangerAir:
    """The parts of one radio."""

    def __init__(self, band: SubBand) -> None:
        control = control_us(band)
        self._parts = {
            why: _Part(control * burst // 100, control * hourly // 100)
            for why, (burst, hourly) in PERCENT.items()
        }

    def allow(self, airtime_us: int, now: int, why: Why) -> bool:
        """Take a frame's airtime; who has sealed a beacon gets that of noise too."""
        noise = self._parts[Why.NOISE]
        return self._parts[why].take(airtime_us, now) or noise.take(airtime_us, now)
