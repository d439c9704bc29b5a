"""CPU of 100 LoRa nodes with managed flooding for a virtual day, a message a node in 15 minutes."""

import time

from report import Figure
from simulator._lora_field import CALIBRATED, Field

NODES = 100
DAY_S = 86_400
PERIOD_S = 900
SEED = 1


def measure() -> list[Figure]:
    """Run the day."""
    begun = time.process_time()
    field = Field(NODES, SEED, rules=CALIBRATED)
    score = field.run(PERIOD_S, DAY_S)
    cpu_s = time.process_time() - begun
    how = (
        f"process time, seed {SEED}, {score.messages} messages of 40 B, "
        f"{score.sent_per_message:.1f} frames a message, {score.reach:.0f} % of those in reach"
    )
    return [Figure("100 LoRa nodes, a virtual day", cpu_s, "s CPU", 300, how)]
