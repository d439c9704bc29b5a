"""What a world of meshd and a world of rivals have in common, as types.

Enters: nothing. Leaves: protocols that `World` and `RivalWorld`, `Host` and `RivalHost` fulfil, for
all that works on either: faults of power, people, sight, the runner, the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from meshd.simulation.faults.network import NetworkFaults
    from meshd.simulation.faults.power import Power
    from meshd.simulation.media.medium import Way
    from meshd.simulation.observer import Observer


class AnyHost(Protocol):
    """A device that stands somewhere, walks, and has power or has none."""

    number: int
    name: str
    x_m: float
    y_m: float
    running: bool
    power: Power

    def move(self, x_m: float, y_m: float) -> None:
        """Stand elsewhere."""


AnHost = TypeVar("AnHost", bound=AnyHost)
SomeHost = TypeVar("SomeHost", bound=AnyHost, covariant=True)


class AnyEnd(Protocol):
    """One end of a link."""

    @property
    def host(self) -> AnyHost:
        """Whose it is."""


class AnyLinks(Protocol):
    """A medium, as far as its links go."""

    def ways(self) -> Iterable[tuple[AnyEnd, AnyEnd, Way]]:
        """Return all directions that work now."""


class AnyWorld(Protocol[SomeHost]):
    """Hosts on media under virtual time."""

    now: int
    observers: list[Observer]
    faults: NetworkFaults

    @property
    def hosts(self) -> Sequence[SomeHost]:
        """All devices, by their numbers."""

    @property
    def media(self) -> Mapping[str, AnyLinks]:
        """What they are on, by name."""

    @property
    def airs(self) -> Mapping[str, AnyLinks]:
        """The LoRa channels beside those, by name."""

    def random(self, name: str) -> Random:
        """Return the stream of randomness of this name."""

    def at(self, when_us: int, action: Callable[..., object], *args: Any) -> None:
        """Call `action(*args)` at a time."""

    def run(self, duration_us: int) -> None:
        """Let virtual time pass."""

    def watch(self, observer: Observer) -> None:
        """Let an observer see what happens from now on."""
