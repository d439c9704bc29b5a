"""How often and at what cost routes are told over one LoRa radio: times and costs by its data rate.

Enters: a modulation. Leaves: rules. Must not know: routes, frames.
Ref: docs/decisions/0010-lora-routes.md.
"""

from typing import NamedTuple

from meshd.core.airtime import FRAME_BYTES_MAX, Modulation, airtime_us

SOON_BYTES = 2_350
"""Changes are told after the airtime of so many bytes: 20 s of LongFast."""

SOON_MIN_US = 2_000_000
HOP_STEPS_MIN = 12


class Rules(NamedTuple):
    """Times in µs, costs in steps of 256.

    soon_us      a change is told between one and two of it later, and again after four to eight
    want_us      what somebody waits for is asked and told between one and two of it later
    period_us    all that is known is told once in this time, or more seldom: see `share`
    byte_us      airtime of one byte, about
    share        of the channel that all in earshot together may use for it
    hop_cost     of a link with margin; one with less than `margin_db` costs a quarter more
    rate_class   a hop carries at least 2 to the power of it in bits a second
    """

    soon_us: int
    want_us: int = 1_500_000
    period_us: int = 3_600_000_000
    byte_us: int = 10_000
    share: float = 0.006
    hop_cost: int = 15
    margin_db: float = 3.0
    rate_class: int = 10


def rules_for(modulation: Modulation) -> Rules:
    """Return the rules for a radio: 12 steps a hop at SF7 to 16 at SF12, times by its airtime."""
    byte_us = airtime_us(modulation, FRAME_BYTES_MAX) // FRAME_BYTES_MAX
    soon_us = max(SOON_BYTES * byte_us, SOON_MIN_US)
    cost = HOP_STEPS_MIN + (4 * (modulation.spreading_factor - 7) + 2) // 5
    rate_class = modulation.bits_per_s.bit_length() - 1
    want_us = max(soon_us // 13, 250_000)
    return Rules(soon_us, want_us, byte_us=byte_us, hop_cost=cost, rate_class=rate_class)
