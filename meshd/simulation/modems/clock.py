"""Real time as a schedule: the clock of asyncio, one heap, streams of randomness by name.

Enters: calls to make at a time. Leaves: those calls, in order of time and then of asking, as soon
as their time has come. While a call is made the time is the one that it was asked for, so that a
loaded host blurs no model of the air. It is the only wall clock of the simulation: emulated modems
behind pseudo-terminals live by it.
"""

import asyncio
from collections.abc import Callable
from hashlib import blake2b
from heapq import heappop, heappush
from random import Random
from typing import Any


class RealTime:
    """What a `Schedule` is in virtual time."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._loop = asyncio.get_running_loop()
        self._heap: list[tuple[int, int, Callable[..., object], tuple[Any, ...]]] = []
        self._order = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_us = 0
        self._at_us: int | None = None
        self._streams: dict[str, Random] = {}

    @property
    def now(self) -> int:
        """Return the time in microseconds."""
        return int(self._loop.time() * 1e6) if self._at_us is None else self._at_us

    def at(self, when_us: int, action: Callable[..., object], *args: Any) -> None:
        """Call `action(*args)` at a time."""
        self._order += 1
        heappush(self._heap, (when_us, self._order, action, args))
        self._arm()

    def random(self, name: str) -> Random:
        """Return the stream of this name."""
        if name not in self._streams:
            drawn = blake2b(f"{self.seed}\n{name}".encode(), digest_size=32).digest()
            self._streams[name] = Random(int.from_bytes(drawn, "big"))
        return self._streams[name]

    def catch_up(self) -> None:
        """Make the calls whose time has come; also before anything from outside is let in."""
        real_us = int(self._loop.time() * 1e6)
        try:
            while self._heap and self._heap[0][0] <= real_us:
                self._at_us, _, action, args = heappop(self._heap)
                action(*args)
        finally:
            self._at_us = None
            self._arm()

    def close(self) -> None:
        """Forget what was to come."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if not self._heap or self._at_us is not None:
            return
        due_us = self._heap[0][0]
        if self._timer is not None:
            if self._timer_us == due_us and not self._timer.cancelled():
                return
            self._timer.cancel()
        self._timer_us = due_us
        self._timer = self._loop.call_at(due_us / 1e6, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.catch_up()
