"""The file of the airtime ledger on a simulated card: what it holds, and what a card forgets.

Enters: states that a node wants kept, the card's fate while the power was off. Leaves: the state at
the next boot. A write is there or not, never half: the daemon writes two files, each after the
other, and a whole one is left. Whoever boots was off, so no memory outside of the card knows of a
later state. Must not know: what a state says.
"""

from __future__ import annotations

from collections import deque
from random import Random

from meshd.simulation.disk import SNAPSHOT_AGE_US

_OLD_MAX = 1_000


class LedgerCard:
    """`state` is what the card holds; `forgot` the spans of time of which it lost what was sent."""

    def __init__(self, rng: Random) -> None:
        self.state: bytes | None = None
        self.forgot: list[tuple[int, int]] = []
        self._rng = rng
        self._writing: bytes | None = None
        self._old: bytes | None = None
        self._since: deque[tuple[int, bytes]] = deque()

    def begin(self, state: bytes) -> None:
        """A write is under way."""
        self._writing = state

    def written(self, state: bytes, now: int) -> None:
        """A write has ended well."""
        self.state, self._writing = state, None
        self._since.append((now, state))
        if len(self._since) > _OLD_MAX:
            self._age(now)

    def failed(self) -> None:
        """A write has failed."""
        self._writing = None

    def find(self, disk: str, now: int) -> bytes | None:
        """Return what the card holds at a boot, when the disk is found in a state of `DISKS`."""
        if disk == "torn" and self._writing is not None and self._rng.random() < 0.5:
            self.written(self._writing, now)
        elif disk == "rolled-back":
            self._age(now)
            self._forget(self._old, now - SNAPSHOT_AGE_US, now)
        elif disk == "empty":
            self._forget(None, 0, now)
        self._writing = None
        return self.state

    def _forget(self, state: bytes | None, since_us: int, now: int) -> None:
        self.state = self._old = state
        self._since.clear()
        self.forgot.append((since_us, now))

    def _age(self, now: int) -> None:
        while self._since and self._since[0][0] <= now - SNAPSHOT_AGE_US:
            self._old = self._since.popleft()[1]
