"""Virtual time: one heap of things to come, and the named streams of randomness of one seed.

Enters: a seed, and calls to make at a time. Leaves: those calls, in order of time and then of
asking, so that two runs of one seed are equal. Must not know: what is simulated. Time is integer
microseconds from 0. A stream belongs to one purpose, so that a draw more here shifts nothing there.
"""

from collections.abc import Callable
from hashlib import blake2b
from heapq import heappop, heappush
from random import Random
from typing import Any

SECOND = 1_000_000
CHECK_US = 10_000


class Schedule:
    """The clock, the heap and the randomness of a run."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now = 0
        self.processed = 0
        self._heap: list[tuple[int, int, Callable[..., object], tuple[Any, ...]]] = []
        self._order = 0
        self._streams: dict[str, Random] = {}

    def stream(self, name: str) -> Random:
        """Return a new stream of randomness that (seed, name) alone decide."""
        drawn = blake2b(f"{self.seed}\n{name}".encode(), digest_size=32).digest()
        return Random(int.from_bytes(drawn, "big"))

    def random(self, name: str) -> Random:
        """Return the stream of this name: the same object whenever it is asked for."""
        found = self._streams.get(name)
        if found is None:
            found = self._streams[name] = self.stream(name)
        return found

    def at(self, when_us: int, action: Callable[..., object], *args: Any) -> None:
        """Call `action(*args)` at a time; equal times go by order of asking."""
        self._order += 1
        heappush(
            self._heap, (when_us if when_us > self.now else self.now, self._order, action, args)
        )

    def run(self, duration_us: int) -> None:
        """Let virtual time pass."""
        end = self.now + duration_us
        heap = self._heap
        while heap and heap[0][0] <= end:
            self.now, _, action, args = heappop(heap)
            self.processed += 1
            action(*args)
        self.now = end

    def run_until(self, condition: Callable[[], bool], limit_us: int) -> bool:
        """Let time pass until `condition` holds, checked every 10 ms; tell whether it did."""
        end = self.now + limit_us
        while not condition():
            if self.now >= end:
                return False
            self.run(min(CHECK_US, end - self.now))
        return True
