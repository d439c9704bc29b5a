"""CPU of 100 LoRa nodes for a virtual day, a message a node in 15 minutes.

The target is for the medium: its stations are those of managed flooding, whose engine costs next to
nothing. Beside it the daemon's own nodes in the same field, for their first 80 minutes: what they
cost is their keys, routes and repair.
"""

import time

from lora._broadcast_field import SETTLE_S, WARM_S, Load
from lora._node_field import NodesTold
from report import Figure
from simulator._lora_field import CALIBRATED, Field

NODES = 100
DAY_S = 86_400
HOUR_S = 3_600
PERIOD_S = 900
SEED = 1


def measure() -> list[Figure]:
    """Run the day, and the beginning of one of the daemon's nodes."""
    return [_stations(), _nodes()]


def _stations() -> Figure:
    begun = time.process_time()
    score = Field(NODES, SEED, rules=CALIBRATED).run(PERIOD_S, DAY_S)
    cpu_s = time.process_time() - begun
    how = (
        f"stations of managed flood, seed {SEED}, {score.messages} messages of 40 B, "
        f"{score.sent_per_message:.1f} frames a message, {score.reach:.0f} % of those in reach"
    )
    return Figure("100 LoRa stations, a virtual day", cpu_s, "s CPU", 300, how)


def _nodes() -> Figure:
    begun = time.process_time()
    played = NodesTold(NODES, SEED).play(Load(NODES, PERIOD_S, HOUR_S))
    cpu_s = time.process_time() - begun
    minutes = (WARM_S + HOUR_S + SETTLE_S) // 60
    how = (
        f"seed {SEED}, from their start on, {played.frames:.1f} frames a message, "
        f"{played.reach:.0f} % of those in reach"
    )
    return Figure(f"100 LoRa nodes of meshd, {minutes} virtual minutes", cpu_s, "s CPU", None, how)
