"""When direct messages are tried again on one radio, and from where on they cannot arrive.

Enters: the airtime of a long frame, what a hop costs. Leaves: rules. Must not know: messages, ways.
"""

from typing import NamedTuple

from meshd.wire.lora_routes import DISTANCE_MAX, DISTANCE_STEP

HOP_LIMIT = 7


class Rules(NamedTuple):
    """Times in µs for one modulation.

    frame_us     the airtime of a long message
    tries        how often a hop is tried, of them `named` with a next hop by name
    attempts     how often the origin begins anew
    life_us      after which a message is given up
    far          distances from which on the hop limit ends it: perhaps, so that one attempt is
                 enough, and for sure
    """

    frame_us: int
    tries: int = 4
    named: int = 2
    attempts: int = 4
    life_us: int = 600_000_000
    hop_limit: int = HOP_LIMIT
    far: tuple[int, int] = (DISTANCE_MAX, DISTANCE_MAX + 1)


def rules_for(frame_us: int, hop_cost: int) -> Rules:
    """Return the rules where a hop costs so much, and one of a weak link a quarter more."""
    cost = (HOP_LIMIT + 1) * hop_cost
    strong, weak = -(-cost // DISTANCE_STEP), -(-cost * 5 // (4 * DISTANCE_STEP))
    return Rules(frame_us, far=(strong + 1, weak + 1))
