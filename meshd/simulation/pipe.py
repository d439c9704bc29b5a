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
SEGMENT_HEADERS_BYTES = 74
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
        *("_closing", "_left", "_queue", "_stalled_us", "_timeout_us"),
        *("here", "link", "peer", "there"),
    )

    def __init__(self, here: End, there: End, link: str) -> None:
        self.here = here
        self.there = there
        self.link = link
        self.peer: Pipe
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
        if not self.open or not self._queue:
            return
        world = here.host.world
        way = world.way_between(here.host, there.host, self.link)
        if way is None:
            self._stall(_RETRY_US)
            return
        lost, delay_us = _carry(world, way, self._left)
        if lost == self._left:
            self._stall(self._timeout_us)
            self._timeout_us = min(2 * self._timeout_us, _TIMEOUT_MAX_US)
            return
        self._stalled_us, self._timeout_us, self._left = 0, _TIMEOUT_US, lost
        if lost:
            world.at(world.now + 2 * delay_us, self._fly)
        else:
            world.at(world.now + delay_us, self._arrive, way)

    def _stall(self, again_us: int) -> None:
        """Try again later, unless it has been too long: then this side gives up."""
        self._stalled_us += again_us
        if self._stalled_us > _STALL_MAX_US:
            self.lose()
        else:
            world = self.here.host.world
            world.at(world.now + again_us, self._fly)

    def _arrive(self, way: Sequence[tuple[Port, Port]]) -> None:
        here, there = self.here, self.there
        if not self.open or not self._queue:
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
        if not self.peer.open:  # it booted since, or has closed: a reset comes back
            world = here.host.world
            world.at(world.now + _CLOSE_US, self.lose)
            return
        there.host.input(there.host.node.stream_received, there.stream, data)
        if self._closing:
            if not self._queue:
                self.close()
        elif self.open:
            here.host.input(here.host.node.stream_writable, here.stream, len(data))

    @property
    def open(self) -> bool:
        """Tell whether the host at this end has it still; a number may be another stream's now."""
        return self.here.host.pipes.get(self.here.stream) is self

    def close(self) -> None:
        """End the stream from here, after what was sent; the other side hears of it."""
        if self._queue:
            self._closing = True
            return
        self.here.host.pipes.pop(self.here.stream, None)
        world = self.here.host.world
        world.at(world.now + _CLOSE_US, self.peer.lose)

    def lose(self) -> None:
        """Tell the host at this end that its stream is gone, when it has it still."""
        host = self.here.host
        if self.open:
            del host.pipes[self.here.stream]
            host.input(host.node.stream_closed, self.here.stream)


def join(one: End, other: End, link: str) -> None:
    """Open a stream between two hosts."""
    there, back = Pipe(one, other, link), Pipe(other, one, link)
    there.peer, back.peer = back, there
    one.host.pipes[one.stream] = there
    other.host.pipes[other.stream] = back


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
            hop_us = world.carry_segment(port, other, size + SEGMENT_HEADERS_BYTES)
            if hop_us is None:
                lost += size
                break
            took_us += hop_us
        else:
            delay_us = took_us if delay_us < 0 else delay_us
    ways = [port.medium.way(port, other) for port, other in way]
    rate = min((found.bits_per_s for found in ways if found is not None), default=0)
    return lost, max(delay_us, 0) + length * 8_000_000 // max(rate, 1_000)
