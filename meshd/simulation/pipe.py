"""One direction of a simulated TCP stream: in order, delayed, slowed by loss, stalled by a cut.

Enters: bytes that one node sent. Leaves: stream inputs of both nodes, and frames on each medium of
the way. Must not know: what the bytes mean. A piece of the stream is cut into segments; each goes
over every hop with that hop's loss, lost ones go again after a round trip, or after the retransmit
timeout when none got through. Acknowledgements cost nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from meshd.simulation.host import Host
    from meshd.simulation.media.medium import Port
    from meshd.simulation.world import World

SEGMENT_BYTES = 1_220
HEADERS_BYTES = 74
_TIMEOUT_US = 200_000
_TIMEOUT_MAX_US = 3_200_000
_RETRY_US = 250_000
_STALL_MAX_US = 20_000_000
_CLOSE_US = 3_000


class End(NamedTuple):
    """A stream as one host numbers it."""

    host: Host
    stream: int


class Pipe:
    """Bytes from `here` to `there`. `link` is "" for a routed stream."""

    __slots__ = (
        "_closing",
        "_left",
        "_queue",
        "_stalled_us",
        "_timeout_us",
        "here",
        "link",
        "there",
    )

    def __init__(self, here: End, there: End, link: str) -> None:
        self.here = here
        self.there = there
        self.link = link
        self._queue: deque[bytes] = deque()
        self._left = 0
        self._stalled_us = 0
        self._timeout_us = _TIMEOUT_US
        self._closing = False

    def send(self, data: bytes) -> None:
        """Put bytes under way, behind those before."""
        self._queue.append(data)
        if len(self._queue) == 1:
            self._begin()

    def _begin(self) -> None:
        self._left = len(self._queue[0])
        self._fly()

    def _fly(self) -> None:
        """Send what is left of the first piece over every hop there is now."""
        here, there = self.here, self.there
        if here.host.pipes.get(here.stream) is not self or not self._queue:
            return
        world = here.host.world
        way = world.way_between(here.host, there.host, self.link)
        if way is None:
            self._stalled_us += _RETRY_US
            if self._stalled_us > _STALL_MAX_US:
                lose(here)
                lose(there)
            else:
                world.at(world.now + _RETRY_US, self._fly)
            return
        lost, delay_us = _carry(world, way, self._left)
        if lost == self._left:
            self._stalled_us += self._timeout_us
            world.at(world.now + self._timeout_us, self._fly)
            self._timeout_us = min(2 * self._timeout_us, _TIMEOUT_MAX_US)
            return
        self._stalled_us, self._timeout_us, self._left = 0, _TIMEOUT_US, lost
        if lost:
            world.at(world.now + 2 * delay_us, self._fly)
        else:
            world.at(world.now + delay_us, self._arrive, way)

    def _arrive(self, way: Sequence[tuple[Port, Port]]) -> None:
        here, there = self.here, self.there
        if here.host.pipes.get(here.stream) is not self or not self._queue:
            return
        if not there.host.running:
            self._begin()
            return
        data = self._queue.popleft()
        faults = here.host.world.faults
        if faults.active:
            for port, other in way:
                data = faults.stream_bytes(port.host, other.host, data)
        if self._queue:
            self._begin()
        if there.stream in there.host.pipes:
            there.host.input(there.host.node.stream_received, there.stream, data)
        if self._closing:
            if not self._queue:
                self.close()
        elif here.stream in here.host.pipes:
            here.host.input(here.host.node.stream_writable, here.stream, len(data))

    def close(self) -> None:
        """End the stream from here, after what was sent; the other side hears of it."""
        if self._queue and self.here.host.running:
            self._closing = True
            return
        self.here.host.pipes.pop(self.here.stream, None)
        world = self.here.host.world
        world.at(world.now + _CLOSE_US, lose, self.there)


def lose(end: End) -> None:
    """Tell a host that its stream is gone, when it has it still."""
    host = end.host
    if host.pipes.pop(end.stream, None) is not None and host.running:
        host.input(host.node.stream_closed, end.stream)


def _carry(world: World, way: Sequence[tuple[Port, Port]], length: int) -> tuple[int, int]:
    """Send `length` bytes in segments over every hop; return (bytes lost, delay of the rest).

    The delay is that of the first segment that arrives, and the time that all take at the rate of
    the slowest hop.
    """
    lost, delay_us = 0, -1
    for start in range(0, length, SEGMENT_BYTES):
        size = min(SEGMENT_BYTES, length - start)
        took_us = 0
        for port, other in way:
            hop_us = world.carry_segment(port, other, size + HEADERS_BYTES)
            if hop_us is None:
                lost += size
                break
            took_us += hop_us
        else:
            delay_us = took_us if delay_us < 0 else delay_us
    ways = [port.medium.way(port, other) for port, other in way]
    rate = min((found.bits_per_s for found in ways if found is not None), default=0)
    return lost, max(delay_us, 0) + length * 8_000_000 // max(rate, 1_000)
