"""CPU and memory of 1,000 nodes for one virtual hour in one process, with nodes that come and go.

Each node is the daemon's own engine. A node goes off every minute and comes back 90 s later, so
that one is switched every 30 s. At the end every pair must reach each other.
"""

import gc

from report import Figure
from simulator._mesh import Mesh, Meter

from meshd.simulation.world import SECOND

NODES = 1000
VIRTUAL_S = 3600
SEED = 1


def measure() -> list[Figure]:
    """Run a random mesh from cold for an hour."""
    gc.disable()  # nothing here is a circle; to look for some in five million values is not free
    meter = Meter()
    mesh = Mesh(NODES, SEED)
    mesh.churn(VIRTUAL_S)
    mesh.world.run(VIRTUAL_S * SECOND)
    cpu_s, memory_mib = meter.cpu_s, meter.memory_mib
    reached = mesh.reachable()
    if reached < 1.0:
        raise RuntimeError(f"only {reached:.2%} of the pairs reach each other after the churn")
    how = f"random mesh of degree {mesh.degree:.1f}, {mesh.switched} switches, seed {SEED}"
    return [
        Figure("1,000 nodes, one virtual hour", cpu_s, "s CPU", 900, how),
        Figure("1,000 nodes, one virtual hour: memory", memory_mib, "MiB", 2048, how),
    ]
