"""Judge a sender's frames by their counters: new, seen, too old to tell, too far ahead to believe.

Enters: full counters and tags. Leaves: a verdict; a frame is noted only by `take`. One window for
each sender and boot. In the open mesh anybody can seal frames as a sender: with counters that it
uses next, or far ahead. So the frames themselves are remembered for a while, by their tags: one
that never came is no replay, though its counter was seen or has become old.
Must not know: keys, time.
"""

from enum import Enum

from meshd.wire.lora_frame import TAG_LEN

WINDOW = 64
"""How far below the highest counter a late frame is still told from a repeated one."""

JUMP_MAX = 4096
"""How far ahead a counter is believed without a challenge."""

HEARD_MAX = 2 * WINDOW
"""Frames that are remembered."""

_HALF = 1 << 15
_ROUND = 1 << 16
_MASK = (1 << WINDOW) - 1


class Verdict(Enum):
    """What a counter says of its frame."""

    FRESH = "fresh"
    SEEN = "seen"
    OLD = "old"
    BEYOND = "beyond"

    BESIDE = "beside"
    """It never came, but another under its counter did: one of the two is forged."""

    BEHIND = "behind"
    """It never came and is late, or those far ahead are forged."""


class Window:
    """The highest counter heard and the 64 up to it, and the frames of late.

    Up to `_floor` frames may have come that are not remembered.
    """

    __slots__ = ("_floor", "_heard", "_seen", "highest")

    def __init__(self, highest: int) -> None:
        self.reset(highest)

    def reset(self, highest: int) -> None:
        """Begin anew: all up to `highest` counts as seen."""
        self.highest = self._floor = highest
        self._seen = _MASK
        self._heard: dict[int, None] = {}

    def judge(self, counter: int, tag: bytes) -> Verdict:
        """Return the verdict on a frame."""
        verdict = self._by_counter(counter)
        if counter > self._floor and _name(counter, tag) not in self._heard:
            other = {Verdict.SEEN: Verdict.BESIDE, Verdict.OLD: Verdict.BEHIND}
            return other.get(verdict, verdict)
        return verdict

    def _by_counter(self, counter: int) -> Verdict:
        ahead = counter - self.highest
        if ahead > JUMP_MAX:
            return Verdict.BEYOND
        if ahead > 0:
            return Verdict.FRESH
        if -ahead >= WINDOW:
            return Verdict.OLD
        return Verdict.SEEN if self._seen >> -ahead & 1 else Verdict.FRESH

    def take(self, counter: int, tag: bytes) -> None:
        """Note a frame, its counter as seen, and move up to it."""
        self._heard[_name(counter, tag)] = None
        if len(self._heard) > HEARD_MAX:
            oldest = next(iter(self._heard))
            del self._heard[oldest]
            self._floor = max(self._floor, oldest >> 8 * TAG_LEN)
        ahead = counter - self.highest
        if ahead > 0:
            self._seen = (self._seen << min(ahead, WINDOW) | 1) & _MASK
            self.highest = counter
        elif -ahead < WINDOW:
            self._seen |= 1 << -ahead

    def nearest(self, low: int) -> int:
        """Return the counter nearest to the highest that ends in these 16 bits."""
        return nearest(self.highest, low)


def _name(counter: int, tag: bytes) -> int:
    return counter << 8 * TAG_LEN | int.from_bytes(tag)


def nearest(reference: int, low: int) -> int:
    """Return the counter that is nearest to `reference`, not negative, and ends in `low`."""
    ahead = (low - reference) % _ROUND
    counter = reference + ahead
    return counter - _ROUND if ahead > _HALF and counter >= _ROUND else counter
