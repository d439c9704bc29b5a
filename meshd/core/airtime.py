"""How long a LoRa frame is on the air, and how weak it may come in.

Enters: a modulation and a size in bytes. Leaves: integer microseconds, decibels. Knows no radio
module and no law: what a module adds to a frame is in `size` already, what may be sent is asked
elsewhere. Ref: Semtech AN1200.13, "LoRa Modem Designer's Guide" (the SX127x and SX126x formula).
"""

from math import log10
from typing import NamedTuple

from meshd.core.errors import UsageError

SNR_LIMIT_DB = {7: -7.5, 8: -10.0, 9: -12.5, 10: -15.0, 11: -17.5, 12: -20.0}
"""The signal to noise ratio below which a spreading factor is not understood."""

FRAME_BYTES_MAX = 255
"""The length field of the explicit header has eight bits."""

THERMAL_NOISE_DBM_HZ = -174.0
_OPTIMISE_FROM_US = 16_000


class Modulation(NamedTuple):
    """What two radios must agree on to hear each other, beside the frequency.

    `coding_rate` is 1 for 4/5 to 4 for 4/8; `preamble` counts symbols without the 4.25 of the
    synchronisation word. Frames have the explicit header and the two bytes of CRC.
    """

    spreading_factor: int = 9
    bandwidth_hz: int = 125_000
    coding_rate: int = 1
    preamble: int = 8

    def checked(self) -> "Modulation":
        """Return itself. Raises: UsageError when no radio can be set so."""
        if self.spreading_factor not in SNR_LIMIT_DB:
            raise UsageError(f"spreading factor {self.spreading_factor}: use 7 to 12")
        if not 7_800 <= self.bandwidth_hz <= 500_000:
            raise UsageError(f"bandwidth {self.bandwidth_hz} Hz: use 7800 to 500000")
        if not 1 <= self.coding_rate <= 4:
            raise UsageError(f"coding rate {self.coding_rate}: use 1 (4/5) to 4 (4/8)")
        if not 6 <= self.preamble <= 65_535:
            raise UsageError(f"preamble of {self.preamble} symbols: use 6 to 65535")
        return self

    @property
    def symbol_us(self) -> int:
        """Return the length of one symbol, rounded."""
        return _quarters_us(self, 4)

    @property
    def preamble_us(self) -> int:
        """Return the time from the first symbol to the end of the synchronisation word."""
        return _quarters_us(self, 4 * self.preamble + 17)

    @property
    def snr_limit_db(self) -> float:
        """Return the weakest ratio of signal to noise that is understood."""
        return SNR_LIMIT_DB[self.spreading_factor]

    @property
    def bits_per_s(self) -> int:
        """Return the rate of payload bits within a frame."""
        bits = self.spreading_factor * self.bandwidth_hz * 4
        return bits // ((1 << self.spreading_factor) * (4 + self.coding_rate))

    @property
    def text(self) -> str:
        """Return it as people say it."""
        return f"SF{self.spreading_factor} at {self.bandwidth_hz / 1000:g} kHz"


LONG_FAST = Modulation(11, 250_000, 1, 16)
"""Meshtastic's default, called LongFast."""


def airtime_us(modulation: Modulation, size: int) -> int:
    """Return how long a frame of `size` bytes, all headers above LoRa's own included, takes."""
    factor, bandwidth_hz, coding_rate, preamble = modulation
    optimised = 1_000_000 << factor >= _OPTIMISE_FROM_US * bandwidth_hz
    bits = 8 * size - 4 * factor + 28 + 16
    a_block = 4 * (factor - 2 * optimised)
    blocks = max(-(-bits // a_block), 0)
    symbols = 8 + blocks * (coding_rate + 4)
    return _quarters_us(modulation, 4 * preamble + 17 + 4 * symbols)


def noise_dbm(bandwidth_hz: int, noise_figure_db: float = 6.0) -> float:
    """Return the noise that a receiver adds up over a bandwidth."""
    return THERMAL_NOISE_DBM_HZ + 10 * log10(bandwidth_hz) + noise_figure_db


def _quarters_us(modulation: Modulation, quarters: int) -> int:
    """Return the length of so many quarters of a symbol, rounded to the microsecond."""
    scaled = quarters * (1 << modulation.spreading_factor) * 1_000_000
    divisor = 4 * modulation.bandwidth_hz
    return (scaled + divisor // 2) // divisor
