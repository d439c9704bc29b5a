"""Feeds whose search for a fork came to nothing: left alone for a while, then ever longer.

Enters: feeds that were searched in vain. Leaves: which are not to be searched now. Bounded.
Must not know: who suspects, or why.
"""

from collections import OrderedDict

from meshd.sync.air.names import Feed

QUIET_US = 120_000_000
QUIET_MAX = 256


class Quiet:
    """The feeds that one kind of suspicion leaves alone: 2 minutes, 4, …, `doublings` times."""

    def __init__(self, doublings: int) -> None:
        self._doublings = doublings
        self._feeds: OrderedDict[Feed, tuple[int, int]] = OrderedDict()

    def has(self, feed: Feed, now: int) -> bool:
        """Tell whether a feed is left alone now."""
        return now < self._feeds.get(feed, (0, 0))[0]

    def add(self, feed: Feed, now: int) -> None:
        """Leave a feed alone: it was searched in vain once more."""
        _, times = self._feeds.pop(feed, (0, 0))
        if len(self._feeds) >= QUIET_MAX:
            self._feeds.popitem(last=False)
        self._feeds[feed] = (now + (QUIET_US << min(times, self._doublings)), times + 1)

    def forget(self, feed: Feed) -> None:
        """A fork of it is proven."""
        self._feeds.pop(feed, None)
