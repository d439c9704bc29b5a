"""One table of named deadlines with one minimum.

A key is a tuple: first the owner ("routing", "session", …), then why, then what tells it apart.
Setting a key again moves it. Time is integer microseconds, monotonic.
"""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush, heapreplace

Key = tuple[object, ...]


class Timers:
    """Deadlines by key. The heap is lazy: stale entries are skipped when they surface.

    A key that moves to later keeps its entry in the heap, and gets its place when that surfaces.
    """

    __slots__ = ("_deadlines", "_heap", "_order", "sooner")

    def __init__(self) -> None:
        self._deadlines: dict[Key, tuple[int, int, int, int]] = {}
        """Deadline and order by key, and those of its entry in the heap, which are not later."""
        self._heap: list[tuple[int, int, Key]] = []
        self._order = 0
        self.sooner = False
        """Set when something was armed before all else; who arms the host's timer clears it."""

    def __len__(self) -> int:
        return len(self._deadlines)

    def set(self, key: Key, deadline_us: int) -> None:
        """Arm or move `key`."""
        self._order = order = self._order + 1
        known = self._deadlines.get(key)
        if known is not None and known[2] <= deadline_us:
            self._deadlines[key] = (deadline_us, order, known[2], known[3])
            return
        self._deadlines[key] = (deadline_us, order, deadline_us, order)
        heap = self._heap
        heappush(heap, (deadline_us, order, key))
        if heap[0][1] == order:
            self.sooner = True
        if len(heap) > 64 and len(heap) > 4 * len(self._deadlines):
            self._sort_again()

    def _sort_again(self) -> None:
        """Rid the heap of stale entries."""
        known = self._deadlines
        self._heap = [(at, order, key) for key, (at, order, _, _) in known.items()]
        heapify(self._heap)
        for at, order, key in self._heap:
            known[key] = (at, order, at, order)

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
        heap, deadlines = self._heap, self._deadlines
        while heap:
            deadline_us, order, key = heap[0]
            known = deadlines.get(key)
            if known is None or known[3] != order:
                heappop(heap)
            elif known[1] == order:
                return deadline_us, key
            else:
                at, order = known[:2]
                deadlines[key] = (at, order, at, order)
                heapreplace(heap, (at, order, key))
        return None

    def expired(self, now_us: int) -> Iterator[Key]:
        """Yield and disarm each key that is due, in order of deadline, then of arming."""
        while (head := self.next()) is not None and head[0] <= now_us:
            heappop(self._heap)
            del self._deadlines[head[1]]
            yield head[1]
