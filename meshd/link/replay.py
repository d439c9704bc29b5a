"""Judge a sender's counters: new, seen, too old to tell, or too far ahead to believe.

Enters: full counters. Leaves: a verdict; a counter is noted only by `take`. One window for each
sender and boot. Must not know: keys, frames, time.
"""

from enum import Enum

WINDOW = 64
"""How far below the highest counter a late frame is still told from a repeated one."""

JUMP_MAX = 4096
"""How far ahead a counter is believed without a challenge."""

_HALF = 1 << 15
_ROUND = 1 << 16
_MASK = (1 << WINDOW) - 1


class Verdict(Enum):
    """What a counter says of its frame."""

    FRESH = "fresh"
    SEEN = "seen"
    OLD = "old"
    BEYOND = "beyond"


class Window:
    """The highest counter heard and the 64 up to it."""

    __slots__ = ("_seen", "highest")

    def __init__(self, highest: int) -> None:
        self.reset(highest)

    def reset(self, highest: int) -> None:
        """Begin anew: all up to `highest` counts as seen."""
        self.highest = highest
        self._seen = _MASK

    def judge(self, counter: int) -> Verdict:
        """Return the verdict on a counter."""
        ahead = counter - self.highest
        if ahead > JUMP_MAX:
            return Verdict.BEYOND
        if ahead > 0:
            return Verdict.FRESH
        if -ahead >= WINDOW:
            return Verdict.OLD
        return Verdict.SEEN if self._seen >> -ahead & 1 else Verdict.FRESH

    def take(self, counter: int) -> None:
        """Note a counter as seen, and move up to it."""
        ahead = counter - self.highest
        if ahead > 0:
            self._seen = (self._seen << min(ahead, WINDOW) | 1) & _MASK
            self.highest = counter
        elif -ahead < WINDOW:
            self._seen |= 1 << -ahead

    def nearest(self, low: int) -> int:
        """Return the counter nearest to the highest that ends in these 16 bits."""
        return nearest(self.highest, low)


def nearest(reference: int, low: int) -> int:
    """Return the counter that is nearest to `reference`, not negative, and ends in `low`."""
    ahead = (low - reference) % _ROUND
    counter = reference + ahead
    return counter - _ROUND if ahead > _HALF and counter >= _ROUND else counter
