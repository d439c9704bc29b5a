"""One table of named deadlines with one minimum.

A key is a tuple: first the owner ("routing", "session", …), then why, then what tells it apart.
Setting a key again moves it. Time is integer microseconds, monotonic.
"""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

Key = tuple[object, ...]


class Timers:
    """Deadlines by key. The heap is lazy: stale entries are skipped when they surface."""

    __slots__ = ("_deadlines", "_heap", "_order", "sooner")

    def __init__(self) -> None:
        self._deadlines: dict[Key, tuple[int, int]] = {}
        self._heap: list[tuple[int, int, Key]] = []
        self._order = 0
        self.sooner = False
        """Set when something was armed before all else; who arms the host's timer clears it."""

    def __len__(self) -> int:
        return len(self._deadlines)

    def set(self, key: Key, deadline_us: int) -> None:
        """Arm or move `key`."""
        self._order += 1
        self._deadlines[key] = (deadline_us, self._order)
        heappush(self._heap, (deadline_us, self._order, key))
        if self._heap[0][1] == self._order:
            self.sooner = True
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._deadlines):
            self._heap = [(at, order, key) for key, (at, order) in self._deadlines.items()]
            heapify(self._heap)

    def set_earlier(self, key: Key, deadline_us: int) -> None:
        """Arm `key`, or move it only if that brings it forward."""
        known = self._deadlines.get(key)
        if known is None or deadline_us < known[0]:
            self.set(key, deadline_us)

    def cancel(self, key: Key) -> None:
        """Disarm `key`; no error if it is not armed."""
        self._deadlines.pop(key, None)

    def deadline(self, key: Key) -> int | None:
        """Return when `key` is due, or None."""
        known = self._deadlines.get(key)
        return known[0] if known else None

    def next(self) -> tuple[int, Key] | None:
        """Return the earliest (deadline, key), or None when nothing is armed."""
        heap = self._heap
        while heap:
            deadline_us, order, key = heap[0]
            known = self._deadlines.get(key)
            if known is not None and known[1] == order:
                return deadline_us, key
            heappop(heap)
        return None

    def expired(self, now_us: int) -> Iterator[Key]:
        """Yield and disarm each key that is due, in order of deadline, then of arming."""
        while (head := self.next()) is not None and head[0] <= now_us:
            heappop(self._heap)
            del self._deadlines[head[1]]
            yield head[1]
