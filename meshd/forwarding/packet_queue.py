"""IP packets that wait for one radio: in equal parts of airtime for each ingress, and not for long.

Enters: packets in their short form, each with its ingress (this host, the host's other networks,
a neighbour by LoRa) and its source. Leaves: the next one, of the ingress that had least airtime and
within it of the source that had least; so inventing sources wins nothing beyond the ingress's part.
Of too many waiting, the newest of whoever has most gives way.
Must not know: clocks, what packets hold, routes.
"""

from collections import Counter
from collections.abc import Hashable, Iterable
from typing import NamedTuple

WAITING_MAX = 32
LIFE_US = 15_000_000
"""A packet that waited longer is of no use to anybody."""


class Waiting(NamedTuple):
    """A packet for the neighbour `to`."""

    ingress: bytes
    source: bytes
    to: bytes
    body: bytes
    airtime_us: int
    expires_us: int


class PacketQueue:
    """The packets for one radio."""

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []
        self._ingresses = _Parts()
        self._sources: dict[bytes, _Parts] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def expires_us(self) -> int:
        """Return when the first of those that wait is too old."""
        return min(waiting.expires_us for waiting in self._waiting)

    def put(self, new: Waiting) -> bool:
        """Take a packet; False when one had to give way, whosoever."""
        self._ingresses.join(new.ingress, (one.ingress for one in self._waiting))
        beside = (one.source for one in self._waiting if one.ingress == new.ingress)
        self._sources.setdefault(new.ingress, _Parts()).join(new.source, beside)
        self._waiting.append(new)
        if len(self._waiting) <= WAITING_MAX:
            return True
        self._remove(self._victim())
        return False

    def next(self) -> Waiting:
        """Return the packet whose turn it is; it stays until `served`."""
        return min(
            self._waiting,
            key=lambda one: (
                self._ingresses.had_us(one.ingress),
                self._sources[one.ingress].had_us(one.source),
            ),
        )

    def served(self, waiting: Waiting) -> None:
        """Take out a packet that goes."""
        self._ingresses.serve(waiting.ingress, waiting.airtime_us)
        self._sources[waiting.ingress].serve(waiting.source, waiting.airtime_us)
        self._remove(waiting)

    def expire(self, now: int) -> int:
        """Take out what is too old; return how many."""
        old = [waiting for waiting in self._waiting if waiting.expires_us <= now]
        for waiting in old:
            self._remove(waiting)
        return len(old)

    def _remove(self, waiting: Waiting) -> None:
        self._waiting.remove(waiting)
        if not self._waiting:  # nobody competes: the past does not matter
            self._ingresses = _Parts()
            self._sources.clear()
        elif all(one.ingress != waiting.ingress for one in self._waiting):
            self._sources.pop(waiting.ingress, None)
            self._ingresses.forget_but({one.ingress: None for one in self._waiting})
        else:
            beside = {one.source: None for one in self._waiting if one.ingress == waiting.ingress}
            self._sources[waiting.ingress].forget_but(beside)

    def _victim(self) -> Waiting:
        most = Counter(one.ingress for one in self._waiting).most_common(1)[0][0]
        inside = [one for one in self._waiting if one.ingress == most]
        source = Counter(one.source for one in inside).most_common(1)[0][0]
        return next(one for one in reversed(inside) if one.source == source)


class _Parts:
    """Who had how much, in a reckoning in which nobody saves up while nothing of his waits."""

    __slots__ = ("_had_us", "_level_us")

    def __init__(self) -> None:
        self._had_us: dict[Hashable, int] = {}
        self._level_us = 0

    def join(self, key: Hashable, waiting: Iterable[Hashable]) -> None:
        if key not in waiting:
            self._had_us[key] = max(self._had_us.get(key, 0), self._level_us)

    def had_us(self, key: Hashable) -> int:
        return self._had_us[key]

    def serve(self, key: Hashable, airtime_us: int) -> None:
        self._level_us = self._had_us[key]
        self._had_us[key] += airtime_us

    def forget_but(self, waiting: dict[bytes, None]) -> None:
        """Forget those of whom nothing waits, but not that they were ahead of the others."""
        if len(self._had_us) > 2 * WAITING_MAX:
            self._had_us = {key: us for key, us in self._had_us.items() if key in waiting}
