"""One direction of a simulated TCP stream: in order, delayed, stalled by a cut, then broken.

Enters: bytes that one node sent. Leaves: stream inputs of both nodes.
Must not know: what the bytes mean.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from meshd.simulation.host import Host

_BYTES_PER_US = 12
_DELAY_US = (1_000, 4_000)
_RETRY_US = 250_000
_STALL_MAX_US = 20_000_000
_CLOSE_US = 3_000


class End(NamedTuple):
    """A stream as one host numbers it."""

    host: Host
    stream: int


class Pipe:
    """Bytes from `here` to `there`. `link` is "" for a routed stream."""

    def __init__(self, here: End, there: End, link: str) -> None:
        self.here = here
        self.there = there
        self.link = link
        self._queue: deque[bytes] = deque()
        self._stalled_us = 0
        self._closing = False

    def send(self, data: bytes) -> None:
        """Put bytes under way, behind those before."""
        world = self.here.host.world
        world.count(self.here.host, len(data) + 74)
        self._queue.append(data)
        if len(self._queue) == 1:
            self._schedule(len(data))

    def _schedule(self, length: int) -> None:
        world = self.here.host.world
        delay_us = world.rng.randint(*_DELAY_US) + length // _BYTES_PER_US
        world.at(world.now + delay_us, self._arrive)

    def _arrive(self) -> None:
        here, there = self.here, self.there
        if here.host.pipes.get(here.stream) is not self or not self._queue:
            return
        world = here.host.world
        if not reaches(here.host, there.host, self.link):
            self._stalled_us += _RETRY_US
            if self._stalled_us > _STALL_MAX_US:
                self._lose(here)
                self._lose(there)
            else:
                world.at(world.now + _RETRY_US, self._arrive)
            return
        self._stalled_us = 0
        data = self._queue.popleft()
        if self._queue:
            self._schedule(len(self._queue[0]))
        if there.stream in there.host.pipes:
            there.host.input(lambda: there.host.node.stream_received(there.stream, data, world.now))
        if self._closing:
            if not self._queue:
                self.close()
        elif here.stream in here.host.pipes:
            here.host.input(
                lambda: here.host.node.stream_writable(here.stream, len(data), world.now)
            )

    def close(self) -> None:
        """End the stream from here, after what was sent; the other side hears of it."""
        if self._queue and self.here.host.running:
            self._closing = True
            return
        self.here.host.pipes.pop(self.here.stream, None)
        world = self.here.host.world
        world.at(world.now + _CLOSE_US, lambda: self._lose(self.there))

    @staticmethod
    def _lose(end: End) -> None:
        host = end.host
        if host.pipes.pop(end.stream, None) is not None and host.running:
            host.input(lambda: host.node.stream_closed(end.stream, host.world.now))


def reaches(one: Host, other: Host, link: str) -> bool:
    """Tell whether bytes from one host arrive at another, by its link or along routes."""
    if not other.running:
        return False
    if link:
        return (one.number, other.number) in one.world.edges
    return one.world.path(one, other.node.address) is not None
