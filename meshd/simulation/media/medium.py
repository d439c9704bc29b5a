"""The border between a world and what carries its frames.

Enters: a port that sends a frame of some size. Leaves: receptions, each with its time. A medium
knows physics only: no packet format, no faults that a plan asks for (the world adds those).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from meshd.core.events import LinkKind

if TYPE_CHECKING:
    from meshd.simulation.host import Host


class Port:
    """One interface of one host on one medium. `address` is its link-local address, packed."""

    __slots__ = ("address", "host", "kind", "link", "medium", "number")

    def __init__(
        self, host: Host, link: str, medium: Medium, *, number: int, address: bytes
    ) -> None:
        self.host = host
        self.link = link
        self.kind: LinkKind = medium.kind
        self.medium = medium
        self.number = number
        self.address = address


class Reception:
    """A frame on its way to one port. Until `arrives_us` it may yet be spoiled, or put off.

    `tries`: how often its sender would send it again by itself, were it lost.
    """

    __slots__ = ("arrives_us", "port", "spoiled")
    tries = 0

    def __init__(self, port: Port, arrives_us: int) -> None:
        self.port = port
        self.arrives_us = arrives_us
        self.spoiled = False


class Way(NamedTuple):
    """How one direction of a link fares at present: for maps, costs and checkers."""

    delay_us: int
    bits_per_s: int
    loss: float


class Medium(Protocol):
    """What the ports of one link are attached to."""

    name: str
    kind: LinkKind
    mtu: int

    def attach(self, port: Port) -> None:
        """Take a port in; its host has a position already."""

    def detach(self, port: Port) -> None:
        """Take a port out: switched off, or gone."""

    def moved(self, host: Host) -> None:
        """Note that a host's position changed."""

    def broadcast(self, port: Port, size: int) -> tuple[int, Iterable[Reception]]:
        """Send `size` bytes to all; return the airtime in µs, and who may hear it."""

    def unicast(self, port: Port, other: Port, size: int) -> tuple[int, Reception | None]:
        """Send `size` bytes to one, with the link's own retries; None when it is lost."""

    def way(self, port: Port, other: Port) -> Way | None:
        """Return how a frame to `other` would fare now, or None when none can arrive."""

    def hears(self, port: Port, other: Port) -> bool:
        """Tell whether anything at all of `port` may arrive at `other`, be it only short frames."""

    def ways(self) -> Iterable[tuple[Port, Port, Way]]:
        """Return all directions that work now."""
