"""Count airtime between two frequencies over one sliding hour, never too little.

Enters: airtime by share with the time when it ended at the latest. Leaves: sums over the last hour.
Airtime is kept in buckets of half a minute and forgotten when the whole bucket is older than an
hour: up to 30 s late, never early. Knows no law.
"""

from collections import deque
from enum import IntEnum

from meshd.core.law import HOUR_US
from meshd.wire.ledger_state import MICROSECONDS_MAX, Bucket

BUCKET_US = 30_000_000
RECENT_US = 15_000_000
_SECOND_US = 1_000_000


class Share(IntEnum):
    """Whose airtime it is. UNKNOWN: spent, or perhaps spent, before a restart."""

    CONTROL = 0
    RELAYED = 1
    OWN = 2
    UNKNOWN = 3


class Spending:
    """What was sent between `low_hz` and `high_hz`."""

    __slots__ = ("_buckets", "_recent", "high_hz", "low_hz", "total_us", "totals_us")

    def __init__(self, low_hz: int, high_hz: int) -> None:
        self.low_hz = low_hz
        self.high_hz = high_hz
        self.totals_us = [0, 0, 0, 0]
        self.total_us = 0
        self._buckets: dict[int, list[int]] = {}
        self._recent: deque[tuple[int, int]] = deque()

    def overlaps(self, low_hz: int, high_hz: int) -> bool:
        """Tell whether a frequency between the two is also this account's."""
        return self.low_hz < high_hz and low_hz < self.high_hz

    def add(self, share: Share, airtime_us: int, end_us: int) -> None:
        """Count airtime that ended at `end_us` or before."""
        bucket = self._buckets.setdefault(end_us // BUCKET_US, [0, 0, 0, 0])
        # The store's fields hold more than an hour: what is cut off could never matter.
        airtime_us = min(airtime_us, MICROSECONDS_MAX - bucket[share])
        bucket[share] += airtime_us
        self.totals_us[share] += airtime_us
        self.total_us += airtime_us

    def sent(self, airtime_us: int, now: int) -> None:
        """Remember for `recent_us` what was sent just now; the hour is counted by `add`."""
        second = now // _SECOND_US
        before_us = self._recent.pop()[1] if self._recent and self._recent[-1][0] == second else 0
        self._recent.append((second, before_us + airtime_us))
        self.recent_us(now)

    def recent_us(self, now: int) -> int:
        """Return the airtime of the last 15 s, by whole seconds."""
        while self._recent and (self._recent[0][0] + 1) * _SECOND_US <= now - RECENT_US:
            self._recent.popleft()
        return sum(airtime_us for _, airtime_us in self._recent)

    def expire(self, now: int) -> None:
        """Forget what is wholly older than an hour."""
        for number in [number for number in self._buckets if _end_us(number) <= now]:
            for share, airtime_us in enumerate(self._buckets.pop(number)):
                self.totals_us[share] -= airtime_us
                self.total_us -= airtime_us

    def when_free(self, needed_us: int, *, share: Share | None) -> int | None:
        """Return when so much (of one share) is forgotten, None: that much there is not."""
        for number in sorted(self._buckets):
            bucket = self._buckets[number]
            needed_us -= sum(bucket) if share is None else bucket[share]
            if needed_us <= 0:
                return _end_us(number)
        return None

    def buckets(self) -> tuple[Bucket, ...]:
        """Return everything of the hour, oldest first."""
        return tuple(Bucket(number, *self._buckets[number]) for number in sorted(self._buckets))


def since_us(spending: Spending, start_us: int) -> int:
    """Return the airtime that ended after a time, by whole buckets: never too little."""
    return sum(
        sum(bucket[1:]) for bucket in spending.buckets() if (bucket[0] + 1) * BUCKET_US > start_us
    )


def _end_us(number: int) -> int:
    """Return when nothing that ended in a bucket matters any more."""
    return (number + 1) * BUCKET_US + HOUR_US
