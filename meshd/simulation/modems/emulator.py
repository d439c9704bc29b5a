"""What every emulated modem has: a radio on an air, a serial line, power, mode pins.

Enters: bytes from the host, frames from the `Radio`. Leaves: bytes to the host by `written`, frames
on the air. Time comes from the schedule of the air: virtual in tests, real behind a
pseudo-terminal.
The line (`line.py`) models the baud rate; an emulator writes at once and never blocks.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from meshd.core.airtime import Modulation
from meshd.simulation.media.lora import Radio, RadioSetting, TimeAndChance

TOLD_SNR_MAX_DB = 14.0
"""Chips tell no more, however near the sender is."""


class Emulator(ABC):
    """One modem. Subclasses take the host's bytes apart and answer as the module would.

    `faults` names ugly cases to show (each emulator lists those it knows in `FAULTS`, with a
    sentence): a module that never answers, that prints its boot log, that leaves out a report.
    """

    kind = ""
    baud = 115_200
    has_pins = False
    """Whether it has mode pins, which the host sets beside the line."""

    factory: ClassVar[RadioSetting] = RadioSetting(Modulation())
    """How its radio is set before anybody sets it."""

    FAULTS: ClassVar[dict[str, str]] = {}

    def __init__(self, radio: Radio, schedule: TimeAndChance, faults: frozenset[str]) -> None:
        unknown = sorted(faults - self.FAULTS.keys())
        if unknown:
            raise ValueError(f"{self.kind} does not know the fault {unknown[0]!r}")
        self.radio = radio
        self.schedule = schedule
        self.faults = faults
        self.written: Callable[[bytes], None] = _nowhere
        self.listening = False
        radio.received = self._received
        radio.sent = self._sent

    def power_on(self) -> None:  # noqa: B027
        """Begin as after plugging in; may write a boot log."""

    @staticmethod
    def told_snr_db(snr_db: float) -> float:
        """Return what a chip would say of this signal to noise ratio."""
        return min(snr_db, TOLD_SNR_MAX_DB)

    @abstractmethod
    def receive(self, data: bytes) -> None:
        """Take bytes from the host, cut anywhere."""

    def pins(self, *, m0: bool, m1: bool) -> None:  # noqa: B027
        """The host set the mode pins (Ebyte only)."""

    @abstractmethod
    def _received(self, frame: bytes, rssi_dbm: float, snr_db: float) -> None:
        """A frame came in from the air."""

    @abstractmethod
    def _sent(self) -> None:
        """What the radio was sending is out."""


def _nowhere(_: bytes) -> None:
    """No host is connected yet."""
