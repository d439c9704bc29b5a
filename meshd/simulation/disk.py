"""One host's disk: what was committed, what was under way when the power went, and older states.

Enters: groups of rows, in the order of commits. Leaves: a `MemoryStore` for the next life. Rows are
sure to be there only once the host told `committed`. Must not know: what rows mean.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from random import Random

from meshd.core.events import Row
from meshd.store.interface import StoreError
from meshd.store.memory import MemoryStore

SNAPSHOT_AGE_US = 120_000_000
_COMMIT_US = (500, 20_000)
_READ_US = (100, 5_000)
_JOURNAL_MAX = 1_000

Group = tuple[Row, ...]


class Disk:
    """How fast a disk is and whether it fails.

    Faults add to `slower_us`, and shares of commits that fail to `failing`, and take them back.
    """

    __slots__ = ("_fails", "_rng", "failing", "slower_us")

    def __init__(self, rng: Random, fails: Random) -> None:
        self.slower_us = 0
        self.failing: list[float] = []
        self._rng = rng
        self._fails = fails

    def delay_us(self) -> int:
        """Return how long the next commit takes."""
        return self._rng.randint(*_COMMIT_US) + self.slower_us

    def read_us(self) -> int:
        """Return how long the next read takes."""
        return self._rng.randint(*_READ_US)

    def fails(self) -> bool:
        """Tell whether the commit that ends now fails."""
        return any(self._fails.random() < share for share in self.failing)


class Journal:
    """The store as it was some minutes ago, and what came since: a card that is rolled back.

    Chunks are not rows: the files of a card that is rolled back stay as they are.
    """

    __slots__ = ("_old", "_since", "store")

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self._old = MemoryStore()
        _copy(store, self._old)
        self._since: deque[tuple[int, Group]] = deque()

    def note(self, groups: list[Group], now: int) -> None:
        """Take note of what was committed."""
        self._since.extend((now, rows) for rows in groups)
        if len(self._since) > _JOURNAL_MAX:
            self._age(now)

    def roll_back(self, now: int) -> None:
        """Make the store what it was `SNAPSHOT_AGE_US` ago."""
        self._age(now)
        self._since.clear()
        _copy(self._old, self.store)

    def _age(self, now: int) -> None:
        since = self._since
        while since and since[0][0] <= now - SNAPSHOT_AGE_US:
            with suppress(StoreError):  # somebody swapped cards under a host: keep the older entry
                self._old.commit([since.popleft()[1]])


def _copy(one: MemoryStore, other: MemoryStore) -> None:
    other.metas = dict(one.metas)
    other.entries = {place: dict(feed) for place, feed in one.entries.items()}
    other.membership = list(one.membership)
