"""Trickle: when to say again what others may know already (RFC 6206).

Enters: `now`, consistent and inconsistent news. Leaves: when to be asked next, and whether to
speak. Changed from the RFC: an inconsistency begins a new interval also while the interval is the
shortest and has been spoken in, since who is new has not heard what was said before; at most
`RESETS_MAX` begin one in a minute, so that invented newcomers cannot make a node talk all the time;
the first `EARLY` intervals are all of the shortest kind, since a first word may be lost.
Must not know: what is said.
"""

from collections import deque
from random import Random

RESETS_MAX = 6
RESETS_SPAN_US = 60_000_000
EARLY = 3


class Trickle:
    """One timer. Intervals go from `shortest_us` to that many doublings; `redundancy` is k."""

    def __init__(
        self,
        rng: Random,
        *,
        shortest_us: int,
        doublings: int,
        redundancy: int,
    ) -> None:
        self.shortest_us = shortest_us
        self.longest_us = shortest_us << doublings
        self._rng = rng
        self._redundancy = redundancy
        self._interval_us = shortest_us
        self._end_us = 0
        self._speak_us: int | None = None
        self._heard = 0
        self._early = 0
        self._resets: deque[int] = deque(maxlen=RESETS_MAX)

    def start(self, now: int) -> None:
        """Begin: the first word comes within half of the shortest interval."""
        self._early = EARLY
        self._begin(now, self.shortest_us)
        self._speak_us = now + self._rng.randint(0, self.shortest_us // 2)

    def settle(self) -> None:
        """Somebody is there who asks for what it missed: intervals grow from the next one on."""
        self._early = 0

    @property
    def due_us(self) -> int:
        """Return when `poll` is wanted next."""
        return self._end_us if self._speak_us is None else self._speak_us

    def consistent(self) -> None:
        """Somebody said what this node would say."""
        self._heard += 1

    def inconsistent(self, now: int) -> None:
        """Somebody does not know yet what this node would say."""
        if self._interval_us == self.shortest_us and self._speak_us is not None:
            return
        if len(self._resets) == RESETS_MAX and now < self._resets[0] + RESETS_SPAN_US:
            return
        self._resets.append(now)
        self._begin(now, self.shortest_us)

    def again(self, now: int, doublings: int) -> None:
        """What was said was of use: go on from a short interval, of so many doublings."""
        interval_us = self.shortest_us << doublings
        if self._interval_us > interval_us:
            self._begin(now, interval_us)

    def poll(self, now: int, *, silent: bool) -> bool:
        """Tell whether to speak now. `silent`: nobody heard anything of this node for so long,
        and then it speaks whatever others said.
        """
        if self._speak_us is not None and now >= self._speak_us:
            self._speak_us = None
            return silent or self._heard < self._redundancy
        if self._speak_us is None and now >= self._end_us:
            self._early = max(self._early - 1, 0)
            longer_us = min(2 * self._interval_us, self.longest_us)
            self._begin(now, self.shortest_us if self._early else longer_us)
        return False

    @property
    def interval_us(self) -> int:
        """Return the present interval."""
        return self._interval_us

    def _begin(self, now: int, interval_us: int) -> None:
        self._interval_us = interval_us
        self._heard = 0
        self._speak_us = now + self._rng.randint(interval_us // 2, interval_us - 1)
        self._end_us = now + interval_us
