"""How long things wait in a cast: two profiles, scaled to the airtime of a modulation.

Enters: a modulation. Leaves: times. Must not know: objects, frames.
"""

from typing import NamedTuple

from meshd.core.airtime import LONG_FAST, Modulation, airtime_us
from meshd.wire.lora_items import AGE_STEP_US

SECOND = 1_000_000


class Rules(NamedTuple):
    """The times of a cast, in µs, for one modulation; see `rules_for`.

    own_us       an own object waits up to so long, that others may share its frame
    hold_us      who would reach a single listener waits up to so long before sending on
    slot_us      the least wait, and the step of random ones
    listing_us   what a node has is listed after so long, if no neighbour listed it all before
    young_us     younger objects are on their way: a listing does not name them
    old_us       older objects are not listed any more
    margin_us    how far two nodes may differ about an object's age
    window_us    older objects are forgotten; what is older when it comes is refused
    want_us      who misses an object asks within so long
    """

    own_us: int
    hold_us: int
    slot_us: int
    listing_us: int
    young_us: int
    old_us: int
    margin_us: int
    window_us: int
    want_us: int

    @property
    def spread_us(self) -> int:
        """Return the random part of the wait for a listing: what was young is not yet old then."""
        return self.old_us - self.young_us - self.listing_us - 2 * AGE_STEP_US


def rules_for(modulation: Modulation, *, shared: bool) -> Rules:
    """Return the times for a modulation: `shared` to save airtime, else prompt.

    Measured with LongFast; others wait as much longer or shorter as their frames are, between half
    and twice, since the ages that frames tell have steps and an end.

    Ref: docs/decisions/0009-lora-broadcast.md.
    """
    scale = airtime_us(modulation, 100) / airtime_us(LONG_FAST, 100)
    scale = min(max(scale, 0.5), 2.0)

    def times(seconds: float) -> int:
        return round(seconds * scale * SECOND)

    return Rules(
        own_us=times(30 if shared else 5),
        hold_us=times(160 if shared else 100),
        slot_us=times(0.09),
        listing_us=times(300),
        young_us=times(160 if shared else 120),
        old_us=times(640 if shared else 580),
        margin_us=times(30),
        window_us=times(900),
        want_us=times(3),
    )
