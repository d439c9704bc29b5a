"""Who is heard by one radio, how strong, and how much of it: told by signals and counter gaps.

Enters: beacons and frames that opened, with their counters and signal figures. Leaves: statuses.
One row a device; who leaves a full table: `core/crowd.py`.
Must not know: keys, frames, airtime.
"""

from collections.abc import Iterator

from meshd.core.crowd import NEIGHBOURS_MAX, giving_way
from meshd.core.ids import NODE_ID_LEN

COUNTED_MAX = 64
"""Frames after which old ones count half."""
GAP_MAX = 32
"""Lost frames that one gap counts for: a node may have been away for a while."""
_SMOOTHING = 4
YOUNG_FRAMES = 8
"""Who is met with a counter up to that has just begun, so its beacons still come often."""


class LoraNeighbour:
    """One device as this radio hears it. Signals are smoothed; None where the modem tells none."""

    __slots__ = (
        *("began_us", "boot", "counter", "gap_us", "heard_us", "lost", "met_us", "node", "proven"),
        *("received", "rssi_dbm", "snr_db"),
    )

    def __init__(self, node: bytes, now: int) -> None:
        assert len(node) == NODE_ID_LEN
        self.node = node
        self.met_us = self.heard_us = now
        self.began_us: int | None = None
        self.gap_us = 0
        self.boot = self.counter = -1
        self.proven = False
        self.received = self.lost = 0
        self.rssi_dbm: float | None = None
        self.snr_db: float | None = None

    @property
    def reach(self) -> float:
        """Return the share of its frames that came here."""
        return self.received / max(self.received + self.lost, 1)

    def frame(self, counter: int) -> None:
        """Count a frame, and those missing before it; the first of a boot tells how old that is."""
        if self.counter < 0:
            self.began_us = self.heard_us if counter <= YOUNG_FRAMES else None
        if self.counter >= 0 and counter > self.counter:
            self.lost += min(counter - self.counter - 1, GAP_MAX)
        elif 0 <= counter < self.counter and self.lost:
            self.lost -= 1  # it is one that was taken for lost
        self.received += 1
        self.counter = max(counter, self.counter)
        if self.received + self.lost > COUNTED_MAX:
            self.received, self.lost = (self.received + 1) // 2, self.lost // 2

    def signal(self, rssi_dbm: float | None, snr_db: float | None) -> None:
        """Note how strong a frame came in."""
        self.rssi_dbm = _smooth(self.rssi_dbm, rssi_dbm)
        self.snr_db = _smooth(self.snr_db, snr_db)


class LoraNeighbours:
    """The table of one radio, in the order in which they were last heard."""

    def __init__(self) -> None:
        self._known: dict[bytes, LoraNeighbour] = {}

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[LoraNeighbour]:
        return iter(self._known.values())

    def heard(self, node: bytes, now: int) -> LoraNeighbour:
        """Return the row of a device that was heard now, a new one if need be."""
        found = self._known.pop(node, None) or LoraNeighbour(node, now)
        if len(self._known) >= NEIGHBOURS_MAX:
            del self._known[giving_way(self._known.items())]
        self._known[node] = found
        found.gap_us = max(found.gap_us, now - found.heard_us)
        found.heard_us = now
        return found

    def expire(self, before_us: int) -> list[LoraNeighbour]:
        """Remove and return those not heard since."""
        gone = [one for one in self._known.values() if one.heard_us < before_us]
        for one in gone:
            del self._known[one.node]
        return gone


def _smooth(old: float | None, new: float | None) -> float | None:
    if new is None or old is None:
        return old if new is None else float(new)
    return old + (new - old) / _SMOOTHING
