"""802.11 OFDM as arithmetic: how long a frame takes, at which rate, and how often it arrives.

Enters: sizes, rates, signal-to-noise ratios. Leaves: microseconds, shares. Tables hold all that a
frame needs; nothing is worked out by powers and logarithms a frame.
Must not know: who sends, places.
Ref: IEEE Std 802.11-2016 §17.4.3 (TXTIME), §18.3.2.4 and §18.5.4 (2.4 GHz), table 17-18
(sensitivities: 10 % of frames of 1,000 octets lost, with 10 dB noise figure and 5 dB margin; the
ratios below are these levels without both, because a plan states the noise figure itself).
"""

from functools import cache
from math import exp, log, log10
from typing import NamedTuple

from meshd.simulation.plan.plan import MediumPlan


class Rate(NamedTuple):
    """A rate of a 20 MHz channel, and the ratio at which 1 of 10 frames of 1,000 octets is lost."""

    mbit_s: float
    bits_per_symbol: int
    snr_db: float


RATES = (
    *(Rate(6, 24, 4), Rate(9, 36, 5), Rate(12, 48, 7), Rate(18, 72, 9)),
    *(Rate(24, 96, 12), Rate(36, 144, 16), Rate(48, 192, 20), Rate(54, 216, 21)),
)
TRIES_MAX = 7
"""How often a unicast frame is sent: the short retry limit."""

WINDOW = 16
WINDOW_MAX = 1_024
ACK_BYTES = 14
MAC_BYTES = 22
"""What 802.11 adds to a frame counted with its Ethernet header: 24 + 8 + 4 instead of 14."""

BUCKET_BYTES = 64
_BUCKETS = 41
_STEPS_PER_DB = 4
_SNR_MAX_DB = 30
_STEEPNESS = 1.5
"""How fast the rate of errors falls, e-fold a dB: from 9 of 10 frames lost to 1 of 10 in 2 dB."""

_RESERVED_BITS = 22
_THERMAL_DBM_PER_HZ = -174.0


class Timing(NamedTuple):
    """The times of one band, in µs; narrow channels stretch preamble and symbols."""

    slot_us: int
    sifs_us: int
    difs_us: int
    extension_us: int
    stretch: int


def timing(plan: MediumPlan) -> Timing:
    """Return the times of ad-hoc stations: long slots below 5 GHz, where 802.11b may be near."""
    stretch = max(round(20_000.0 / plan.bandwidth_khz), 1)
    if plan.frequency_mhz < 4_000.0:
        return Timing(20, 10, 50, 6, stretch)
    return Timing(9, 16, 34, 0, stretch)


def noise_dbm(plan: MediumPlan) -> float:
    """Return the noise of a receiver in its channel."""
    thermal = _THERMAL_DBM_PER_HZ + 10.0 * log10(plan.bandwidth_khz * 1_000.0)
    return thermal + plan.noise_figure_db


def airtime_us(octets: int, rate: Rate, times: Timing) -> int:
    """Return how long a frame of `octets` (MAC header to checksum) is on the air."""
    symbols = -(-(_RESERVED_BITS + 8 * octets) // rate.bits_per_symbol)
    return (20 + 4 * symbols) * times.stretch + times.extension_us


def success(snr_db: float, rate: Rate, octets: float) -> float:
    """Return the share of frames that arrive when nobody disturbs them.

    Errors are independent and get rarer by a constant factor a decibel: a model, not the standard.
    """
    errors = -log(0.9) * exp(min(_STEEPNESS * (rate.snr_db - snr_db), 60.0))
    return exp(-errors * octets / 1_000.0)


def bucket(size: int) -> int:
    """Return the column of the tables for a frame of `size` bytes."""
    found = (size + MAC_BYTES) // BUCKET_BYTES
    return found if found < _BUCKETS else _BUCKETS - 1


@cache
def arrivals(rate: int, step: int) -> tuple[float, ...]:
    """Return the share that arrives at a rate and a ratio (see `snr_step`), by bucket of size."""
    snr_db = step / _STEPS_PER_DB
    middles = (BUCKET_BYTES * (column + 0.5) for column in range(_BUCKETS))
    return tuple(success(snr_db, RATES[rate], octets) for octets in middles)


def snr_step(snr_db: float) -> int:
    """Return the row of the tables for a ratio of 0 dB or more."""
    return min(int(snr_db * _STEPS_PER_DB), _SNR_MAX_DB * _STEPS_PER_DB)


@cache
def best_rate(step: int, rates: int, times: Timing) -> int:
    """Return which of the first `rates` rates carries most at a ratio, as good adaptation finds."""
    octets = 1_000 + MAC_BYTES
    wait_us = times.difs_us + times.slot_us * WINDOW // 2 + times.sifs_us

    def carried(rate: int) -> float:
        share = arrivals(rate, step)[bucket(1_000)]
        return share / (wait_us + airtime_us(octets, RATES[rate], times))

    return max(range(rates), key=lambda rate: (carried(rate), -rate))
