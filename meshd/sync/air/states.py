"""What this node holds of each space, as one number, and which entries made it so.

Enters: entries as they are applied, feeds that were forked. Leaves: states of 16 bytes: the sum of
one hash a feed, over its author, number and last entry. Equal states, equal spaces. Of a forked
feed only that counts, since each branch is followed by some and neither grows. The last states are
remembered with the entry that ended each: a neighbour that is still in one of them lacks exactly
what came since, and is told so without a question. How old entries were when the broadcast brought
them is remembered too: twice as long is waited before one is taken for missing.
"""

from collections import deque
from collections.abc import Callable, Iterator
from heapq import nlargest
from typing import NamedTuple

from meshd.core.crypto import digest
from meshd.space.space import Space
from meshd.wire.air_messages import FORKED

HISTORY_MAX = 256
"""States remembered of one space."""
_LEN = 16
_MODULUS = 1 << 8 * _LEN

ARRIVALS_MAX = 8
ARRIVALS_US = 900_000_000
"""Arrivals by broadcast that are remembered, and for how long."""
BUSY = 3
"""So many that came while another may be on its way: hardly two nodes hold the same then."""
SETTLE_US = 120_000_000, 600_000_000
"""What is younger is taken to be on its way: at least, and however late entries come."""

LONG_AGO_US = -(1 << 62)
"""The time of an entry that is told to who lacks it though it may be on its way."""


class Change(NamedTuple):
    """The state before an entry, and the entry; FORKED for the proof of a fork."""

    before: bytes
    author: bytes
    seq: int
    at_us: int


class State:
    """The present state of one space and how it came about."""

    __slots__ = ("_arrivals", "_feeds", "_total", "history")

    def __init__(self, space: Space) -> None:
        self.history: deque[Change] = deque(maxlen=HISTORY_MAX)
        self._arrivals: deque[tuple[int, int]] = deque(maxlen=ARRIVALS_MAX)
        self._feeds: dict[bytes, int] = {}
        self._total = 0
        for author, feed in space.feeds.items():
            if author in space.log.forked:
                self._put(author, _forked_term(author))
            elif feed.seq:
                self._put(author, _term(author, feed.seq, feed.digest))

    @property
    def now(self) -> bytes:
        """Return the state."""
        return self._total.to_bytes(_LEN, "big")

    def applied(self, author: bytes, seq: int, entry: bytes, now: int) -> None:
        """Note one more entry; `entry` is its hash."""
        self.history.append(Change(self.now, author, seq, now))
        self._put(author, _term(author, seq, entry))

    def arrived(self, age_us: int, now: int) -> None:
        """Note that the broadcast brought an entry, and how old."""
        self._arrivals.append((now, age_us))

    def settle_us(self, now: int) -> int:
        """Return how long entries may be on their way: twice what most took lately."""
        least_us, most_us = SETTLE_US
        ages = (age_us for at_us, age_us in self._arrivals if at_us > now - ARRIVALS_US)
        usual_us = 2 * [*nlargest(2, ages), 0, 0][1]
        return max(least_us, min(usual_us, most_us))

    def busy(self, now: int) -> bool:
        """Tell whether so much comes that hardly two nodes hold the same."""
        since_us = now - self.settle_us(now)
        return sum(at_us > since_us for at_us, _ in self._arrivals) >= BUSY

    def forked(self, author: bytes, now: int) -> None:
        """Note that a feed was forked: who is in an earlier state lacks the proof."""
        self.history.append(Change(self.now, author, FORKED, now))
        self._put(author, _forked_term(author))

    def since(self, fits: Callable[[bytes], bool]) -> list[Change] | None:
        """Return what came after the state that fits, oldest first; None when none does.

        The newest that fits counts: an empty list for the present one.
        """
        if fits(self.now):
            return []
        for place, change in enumerate(reversed(self.history), 1):
            if fits(change.before):
                return list(self._last(place))
        return None

    def young(self, after_us: int) -> set[tuple[bytes, int]]:
        """Return the entries that came after a time, as (author, seq)."""
        return {(one.author, one.seq) for one in self.history if one.at_us > after_us}

    def _last(self, count: int) -> Iterator[Change]:
        start = len(self.history) - count
        return (self.history[place] for place in range(start, len(self.history)))

    def _put(self, author: bytes, term: int) -> None:
        self._total = (self._total - self._feeds.get(author, 0) + term) % _MODULUS
        self._feeds[author] = term


def _term(author: bytes, seq: int, entry: bytes) -> int:
    text = author + seq.to_bytes(4, "big") + entry
    return int.from_bytes(digest(text, size=_LEN, person=b"meshd-air-feed"), "big")


def _forked_term(author: bytes) -> int:
    return _term(author, FORKED, b"forked")
