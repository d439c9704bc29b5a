"""The clocks of one simulated host: a monotonic one that drifts, and a wall clock that may be off.

Enters: world time. Leaves: the host's own time, and the way back. All is integer arithmetic: with
r = (10⁹ + ppb) / 10⁹, local = ⌊world × r⌋ + offset, and the way back is the first world time whose
local time is not before the one asked for. So no timer fires early in local time, nor a microsecond
later than it must.
"""

from random import Random

_BILLION = 1_000_000_000
_SHOWS_US = (1_000_000, 30 * 86_400_000_000)
EPOCH_US = 1_767_225_600_000_000
"""The wall clock of a right host at world time 0: 2026-01-01, 00:00 UTC."""


class Clock:
    """A crystal that is `ppm` fast. `wall_error_us` is None while nobody knows the time.

    With `boots`, each boot lets the monotonic clock begin anew at a time drawn from there.
    """

    __slots__ = ("_boots", "_offset_us", "_ppb", "wall_error_us")

    def __init__(
        self,
        *,
        ppm: float = 0.0,
        offset_us: int = 0,
        wall_error_us: int | None = None,
        boots: Random | None = None,
    ) -> None:
        self._ppb = round(ppm * 1000)
        self._offset_us = offset_us
        self._boots = boots
        self.wall_error_us = wall_error_us

    def local(self, world_us: int) -> int:
        """Return the host's monotonic time at a world time."""
        if self._ppb:
            world_us = world_us * (_BILLION + self._ppb) // _BILLION
        return world_us + self._offset_us

    def world(self, local_us: int) -> int:
        """Return the first world time at which the host's clock shows this or more."""
        local_us -= self._offset_us
        if self._ppb:
            return -(-local_us * _BILLION // (_BILLION + self._ppb))
        return local_us

    def boot(self, world_us: int) -> None:
        """Begin the monotonic clock anew, anywhere, as a reboot does, when there are `boots`."""
        if self._boots is not None:
            self._offset_us += self._boots.randint(*_SHOWS_US) - self.local(world_us)

    def wall_offset_us(self, world_us: int) -> int | None:
        """Return how far the wall clock is ahead of the monotonic one now, None when unknown."""
        if self.wall_error_us is None:
            return None
        return EPOCH_US + world_us + self.wall_error_us - self.local(world_us)
