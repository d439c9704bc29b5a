"""Which attack a hostile member commits: from the word in a plan to the code that does it.

Enters: a fault of kind "hostile" and a host. Leaves: an attack that has begun; whoever began it
ends it. Must not know: how any of them works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.simulation.faults.hostile import Attack
from meshd.simulation.faults.hostile_air import AirFlood, AirJunk, AirReplay
from meshd.simulation.faults.hostile_data import Fork, Withhold
from meshd.simulation.faults.hostile_entries import Forge, Usurp
from meshd.simulation.faults.hostile_noise import Flood, Identities, Junk, Replay
from meshd.simulation.faults.hostile_routes import FalseMetric, ForgedOrigin, SeqnoLies

if TYPE_CHECKING:
    from meshd.simulation.host import Host
    from meshd.simulation.plan.plan import Fault
    from meshd.simulation.world import World

ATTACKS: dict[str, type[Attack]] = {
    "forged-origin": ForgedOrigin,
    "false-metric": FalseMetric,
    "seqno-lies": SeqnoLies,
    "withhold": Withhold,
    "fork": Fork,
    "flood": Flood,
    "identities": Identities,
    "junk": Junk,
    "replay": Replay,
    "usurp": Usurp,
    "forge": Forge,
    "air-junk": AirJunk,
    "air-replay": AirReplay,
    "air-flood": AirFlood,
}


def begin(world: World, host: Host, fault: Fault) -> Attack:
    """Let `host` behave as the fault says, until `end` is called on what this returns."""
    attack = ATTACKS[fault.behaviour](world, host, fault)
    attack.begin()
    return attack
