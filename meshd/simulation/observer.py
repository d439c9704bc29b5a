"""Who watches a simulated world: checkers, the event log, curves and reports are all observers.

Enters: what happened, as it happens, in virtual time. Leaves: whatever an observer makes of it.
Must not: change the world. An observer overrides only what it cares for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from meshd.core.events import Notice, Reply, Row, Transmit

if TYPE_CHECKING:
    from meshd.simulation.anyworld import AnyHost
    from meshd.simulation.host import Host
    from meshd.simulation.media.medium import Port


class Violation(NamedTuple):
    """A rule that did not hold: when (microseconds), which checker, which host, in words."""

    at_us: int
    checker: str
    host: str
    text: str


class Observer:
    """Sees everything and does nothing; `now` is `world.now`."""

    def route_changed(self, host: Host, address: bytes) -> None:
        """A host's kernel route to a packed address was set, replaced or removed."""

    def datagram_sent(self, port: Port, datagram: Transmit, airtime_us: int) -> None:
        """A host put a datagram on a medium; `airtime_us` is 0 on a wire."""

    def hostile_sent(self, port: Port, size: int, airtime_us: int) -> None:
        """A hostile host put a frame on a medium that its node knows nothing of."""

    def datagram_heard(self, port: Port, datagram: Transmit) -> None:
        """A host is about to take a datagram that was for it alone, as it arrived."""

    def datagram_taken(self, port: Port) -> None:
        """The host has done and sent all that this datagram called for."""

    def stream_sent(self, host: Host, data: bytes) -> None:
        """A host gave bytes to a stream."""

    def segment_sent(self, port: Port, size: int, airtime_us: int) -> None:
        """A host put a segment of a stream on a medium, for itself or as a router."""

    def frame_sent(self, name: str, purpose: str, size: int, airtime_us: int) -> None:
        """The LoRa radio of a host put a frame on the air; its sender named the purpose."""

    def radio_sent(self, host: Host, frame: bytes) -> None:
        """A node gave a frame to its LoRa radio."""

    def asked(self, host: Host, verb: str, args: dict[str, object], ticket: int) -> None:
        """Somebody asks a node for something; `reply` carries the same ticket."""

    def notice(self, host: Host, notice: Notice) -> None:
        """A node told something."""

    def reply(self, host: Host, reply: Reply) -> None:
        """A node answered a request."""

    def committed(self, host: Host, rows: tuple[Row, ...]) -> None:
        """Rows are on a host's disk, and its node is about to be told so."""

    def started(self, host: AnyHost) -> None:
        """A host booted."""

    def crashed(self, host: AnyHost) -> None:
        """A host lost its power or was killed."""

    def fault(self, kind: str, text: str, *, begins: bool) -> None:
        """A planned fault begins or ends; `text` says where, for people."""

    def minute(self) -> None:
        """Another minute of virtual time has passed: the time for full sweeps."""

    def finished(self) -> None:
        """The run is over, and the time to settle after the last fault too."""
