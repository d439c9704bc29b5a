"""How much of the hour's control is said because of strangers: a fifth, and two for the newly met.

Enters: how long a frame is that would go for nobody who has proven anything, time. Leaves: yes or
no. Noise needs no key, and an invented node one beacon: what both cost this node is a part of what
the law lets it say at all, and the rest stays for routes and for who is here. Who is really new
has sealed a beacon: a part of its own goes to first answers, which noise cannot use up.
Must not know: who it is, what is said.
"""

from meshd.core.law import HOUR_US, SubBand
from meshd.link.ledger import CONTROL_PERCENT

STRANGE_PERCENT, NEW_PERCENT = 20, 40
"""Of control in any hour: half of it at once, and half as the hour goes on."""


def control_us(band: SubBand) -> int:
    """Return how much of an hour is for control."""
    return band.airtime_us_max * CONTROL_PERCENT // 100


class _Part:
    """So much airtime at once, and again so much an hour; the last frame may be longer."""

    __slots__ = ("_at_us", "_share_us", "_spent_us")

    def __init__(self, share_us: int) -> None:
        self._share_us = share_us
        self._spent_us = 0
        self._at_us = 0

    def take(self, airtime_us: int, now: int) -> bool:
        regained_us = max(now - self._at_us, 0) * self._share_us // HOUR_US
        spent_us = max(self._spent_us - regained_us, 0)
        if spent_us >= self._share_us:
            return False
        self._spent_us, self._at_us = spent_us + airtime_us, now
        return True


class StrangerAir:
    """The two parts of one radio."""

    def __init__(self, band: SubBand) -> None:
        control = control_us(band)
        self._strange = _Part(control * STRANGE_PERCENT // 200)
        self._new = _Part(control * NEW_PERCENT // 200)

    def allow(self, airtime_us: int, now: int, *, new: bool = False) -> bool:
        """Take a frame's airtime; `new`: it is a first answer to a beacon that was sealed."""
        return (new and self._new.take(airtime_us, now)) or self._strange.take(airtime_us, now)
