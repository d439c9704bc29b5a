"""Add up what was sent, by purpose and by time: frames, bytes, airtime.

Enters: each datagram and each segment of a stream, or a frame whose purpose its sender names.
Leaves: totals, curves, and how long each host was on the air of each medium. What runs inside a
session is encrypted, so all of it counts as sync. What a hostile host sends has a purpose of its
own, whatever it pretends to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from meshd.core.limits import BABEL_PORT, MESHD_PORT
from meshd.simulation.observer import Observer
from meshd.simulation.outcome import Json
from meshd.simulation.world import HEADERS_BYTES
from meshd.wire.datagrams import ECHO_KINDS, KNOCK_KINDS

if TYPE_CHECKING:
    from meshd.core.events import Transmit
    from meshd.simulation.anyworld import AnyHost, AnyWorld
    from meshd.simulation.media.medium import Port

ROUTING, SESSIONS, SYNC, DATA, OTHER = "routing", "sessions", "sync", "data", "other"
HOSTILE = "hostile"


def purpose_of(datagram: Transmit) -> str:
    """Say what a datagram of meshd is for."""
    if datagram.port == BABEL_PORT:
        return ROUTING
    first = datagram.data[0] if datagram.data and datagram.port == MESHD_PORT else None
    if first in KNOCK_KINDS:
        return SESSIONS
    return DATA if first in ECHO_KINDS else OTHER


class Tally:
    """Counts by purpose: [frames, bytes, airtime in µs], and airtime and bytes by bucket."""

    def __init__(self, bucket_us: int, buckets: int) -> None:
        self._bucket_us = bucket_us
        self._totals: dict[str, list[int]] = {}
        self._curves: list[dict[str, list[int]]] = [{} for _ in range(buckets)]
        self._air: dict[tuple[str, int], list[int]] = {}
        self._flights: dict[tuple[str, int], list[tuple[int, int]]] = {}

    def on_air(self, medium: str, host: int, airtime_us: int, now: int) -> None:
        """Note that a host held the channel of a medium; it waits for its turn, maybe."""
        found = self._air.get((medium, host))
        if found is None:
            found = self._air[medium, host] = [0] * len(self._curves)
        found[min(now // self._bucket_us, len(found) - 1)] += airtime_us

    def frame(self, medium: str, host: int, airtime_us: int, now: int) -> None:
        """Note a frame that begins now, whoever sends beside it."""
        self._flights.setdefault((medium, host), []).append((now, now + airtime_us))

    def air(self, medium: str, hosts: Iterable[int]) -> list[int]:
        """Return how long at least one of these hosts was on the air in each stretch, in µs.

        What is sent at once counts once. When a frame that waited its turn began is not known:
        such frames are added up, to a full stretch at most.
        """
        hosts = list(hosts)
        curves = [self._air[medium, host] for host in hosts if (medium, host) in self._air]
        found = [sum(column) for column in zip(*curves, strict=True)] or [0] * len(self._curves)
        flights = [one for host in hosts for one in self._flights.get((medium, host), ())]
        for begins_us, ends_us in _united(flights):
            self._spread(found, begins_us, ends_us)
        return [min(taken_us, self._bucket_us) for taken_us in found]

    def _spread(self, found: list[int], begins_us: int, ends_us: int) -> None:
        """Add a time to the stretches that it lies in."""
        last = min((ends_us - 1) // self._bucket_us, len(found) - 1)
        for place in range(begins_us // self._bucket_us, last + 1):
            here_us = place * self._bucket_us
            found[place] += min(ends_us, here_us + self._bucket_us) - max(begins_us, here_us)

    def add(self, purpose: str, size: int, airtime_us: int, now: int) -> None:
        """Count one frame."""
        place = min(now // self._bucket_us, len(self._curves) - 1)
        for counts in (self._totals, self._curves[place]):
            found = counts.get(purpose)
            if found is None:
                found = counts[purpose] = [0, 0, 0]
            found[0] += 1
            found[1] += size
            found[2] += airtime_us

    def totals(self) -> Json:
        """Return what was sent in all, and by purpose."""
        return {
            **_named([sum(column) for column in zip(*self._totals.values(), strict=True)]),
            "by_purpose": {name: _named(counts) for name, counts in self._totals.items()},
        }

    def bucket(self, place: int) -> Json:
        """Return what was sent in one stretch of time, by purpose."""
        return {name: _named(counts) for name, counts in self._curves[place].items()}


def _united(flights: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Return the times in which there is at least one of these."""
    begins_us = ends_us = 0
    for start_us, stop_us in sorted(flights):
        if start_us > ends_us:
            if ends_us > begins_us:
                yield begins_us, ends_us
            begins_us = start_us
        ends_us = max(ends_us, stop_us)
    if ends_us > begins_us:
        yield begins_us, ends_us


def _named(counts: list[int]) -> Json:
    frames, size, airtime_us = counts or (0, 0, 0)
    return {"frames": frames, "bytes": size, "airtime_us": airtime_us}


class Listener(Observer):
    """Feeds a tally from a world of meshd nodes."""

    def __init__(self, world: AnyWorld[AnyHost], tally: Tally) -> None:
        self._world = world
        self._tally = tally
        self._numbers = {host.name: host.number for host in world.hosts}
        self._lora = next(iter(world.airs or world.media), "")

    def datagram_sent(self, port: Port, datagram: Transmit, airtime_us: int) -> None:
        size = len(datagram.data) + HEADERS_BYTES
        self._add(port, purpose_of(datagram), size, airtime_us)

    def hostile_sent(self, port: Port, size: int, airtime_us: int) -> None:
        self._add(port, HOSTILE, size, airtime_us)

    def segment_sent(self, port: Port, size: int, airtime_us: int) -> None:
        self._add(port, SYNC, size, airtime_us)

    def frame_sent(self, name: str, purpose: str, size: int, airtime_us: int) -> None:
        self._tally.add(purpose, size, airtime_us, self._world.now)
        self._tally.frame(self._lora, self._numbers[name], airtime_us, self._world.now)

    def _add(self, port: Port, purpose: str, size: int, airtime_us: int) -> None:
        now = self._world.now
        self._tally.add(purpose, size, airtime_us, now)
        if airtime_us:
            self._tally.on_air(port.medium.name, port.host.number, airtime_us, now)
