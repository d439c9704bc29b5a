"""Limit how often each source may do something: token buckets in a bounded table.

Enters: a source and the time. Leaves: yes or no. Must not know what is limited.
"""

from collections import OrderedDict
from collections.abc import Hashable


class Buckets:
    """One bucket per source: `burst` at once, then one each `interval_us`.

    A bucket is one number, the time at which it would be full again. Beyond `sources_max` the
    source that was quiet longest is forgotten, which gives it a full bucket: put a bucket for the
    whole ingress beside this one where sources cost nothing to invent.
    """

    __slots__ = ("_burst", "_full_at", "_interval_us", "_sources_max")

    def __init__(self, *, burst: int, interval_us: int, sources_max: int) -> None:
        self._burst = burst
        self._interval_us = interval_us
        self._sources_max = sources_max
        self._full_at: OrderedDict[Hashable, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def allow(self, source: Hashable, now: int) -> bool:
        """Take a token of `source`; False when it has none."""
        full_at = max(self._full_at.get(source, now), now)
        if full_at - now > (self._burst - 1) * self._interval_us:
            self._full_at.move_to_end(source)
            return False
        self._full_at[source] = full_at + self._interval_us
        self._full_at.move_to_end(source)
        if len(self._full_at) > self._sources_max:
            self._full_at.popitem(last=False)
        return True
