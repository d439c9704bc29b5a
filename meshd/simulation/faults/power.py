"""Power: why a device is off, and the battery that the sun fills as one reason among others.

Enters: reasons that come and go; a `Sun`, virtual time. Leaves: crashes and starts. A battery is
off when it is empty, on again when there is enough. The sky is clear; over a day the panel gives
the upper half of a sine wave from sunrise to as long before midnight, `panel_w` at its highest.
What a host that is off takes is neglected.
Must not know: hosts, and what a power cut does to them.
"""

from collections.abc import Callable
from math import cos, pi

from meshd.simulation.plan.plan import Sun
from meshd.simulation.schedule import SECOND

WAKE_SHARE = 0.1
"""A host boots again when its battery holds this much: not at the first ray, to go off again."""

_STEPS_A_DAY = 1_440
_BATTERY = "battery"


class Power:
    """Why one device is off: it crashes for the first reason, and boots when the last is gone."""

    __slots__ = ("_crash", "_disk", "_reasons", "_start")

    def __init__(self, crash: Callable[[], None], start: Callable[[str], None]) -> None:
        self._crash = crash
        self._start = start
        self._reasons: dict[str, int] = {}
        self._disk = "kept"

    def off(self, why: str) -> None:
        """Take the power away for a reason, or for one more time for the same."""
        self._reasons[why] = self._reasons.get(why, 0) + 1
        self._crash()

    def on(self, why: str, disk: str = "kept") -> None:
        """Take a reason back; boot when it was the last, with the last disk that was not kept."""
        left = self._reasons.pop(why, 0) - 1
        if left > 0:
            self._reasons[why] = left
        if disk != "kept":
            self._disk = disk
        if not self._reasons:
            found, self._disk = self._disk, "kept"
            self._start(found)


class Battery:
    """How much is in it, and whether the host can run."""

    __slots__ = ("charge_wh", "on", "sun")

    def __init__(self, sun: Sun) -> None:
        self.sun = sun
        self.charge_wh = sun.battery_wh * sun.charge
        self.on = self.charge_wh > 0

    def pass_time(self, from_s: float, to_s: float) -> bool:
        """Fill and drain over a stretch that is short beside the day; tell whether it is on."""
        used_wh = self.sun.load_w * (to_s - from_s) / 3_600 if self.on else 0.0
        charge_wh = self.charge_wh + harvest_wh(self.sun, from_s, to_s) - used_wh
        self.charge_wh = min(max(charge_wh, 0.0), self.sun.battery_wh)
        if self.on:
            self.on = self.charge_wh > 0
        else:
            self.on = 0 < WAKE_SHARE * self.sun.battery_wh <= self.charge_wh
        return self.on


def harvest_wh(sun: Sun, from_s: float, to_s: float) -> float:
    """Return what the panel gives between two times."""
    return _since_start_wh(sun, to_s) - _since_start_wh(sun, from_s)


def _since_start_wh(sun: Sun, at_s: float) -> float:
    light_s = max(sun.day_s - 2 * sun.sunrise_s, 0.0)
    a_day_wh = sun.panel_w * light_s * 2 / pi / 3_600
    days, in_day_s = divmod(at_s, sun.day_s)
    lit_s = min(max(in_day_s - sun.sunrise_s, 0.0), light_s)
    today = (1 - cos(pi * lit_s / light_s)) / 2 if light_s else 0.0
    return a_day_wh * (days + today)


class SunPower:
    """Gives and takes the power of one device by its battery. `at` is the world's."""

    __slots__ = ("_at", "_power", "_step_us", "battery")

    def __init__(
        self, sun: Sun, at: Callable[[int, Callable[[], None]], None], power: Power
    ) -> None:
        self.battery = Battery(sun)
        self._at = at
        self._power = power
        self._step_us = max(round(sun.day_s * SECOND / _STEPS_A_DAY), 1)

    def begin(self, now_us: int) -> None:
        """Start at a time; a host whose battery is empty is switched off at once."""
        if not self.battery.on:
            self._power.off(_BATTERY)
        self._next(now_us)

    def _next(self, now_us: int) -> None:
        self._at(now_us + self._step_us, lambda: self._step(now_us))

    def _step(self, from_us: int) -> None:
        now_us, was = from_us + self._step_us, self.battery.on
        if self.battery.pass_time(from_us / SECOND, now_us / SECOND) != was:
            (self._power.on if self.battery.on else self._power.off)(_BATTERY)
        self._next(now_us)
