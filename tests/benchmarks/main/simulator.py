"""CPU of 100 nodes for ten virtual minutes in one process, in the simulator."""

import time

from report import Figure

from meshd.simulation.world import SECOND, World

VIRTUAL_S = 600
SEED = 1


def measure() -> list[Figure]:
    """Run a 10x10 grid from cold."""
    begun = time.process_time()
    world = World(SEED)
    world.add_grid(10, 10)
    world.run(VIRTUAL_S * SECOND)
    cpu_s = time.process_time() - begun
    connected = world.connected()
    if not connected:
        raise RuntimeError("100 nodes did not converge")
    how = f"process time, 10x10 grid, seed {SEED}, {world.processed} inputs; all pairs connected"
    return [Figure("100 nodes, ten virtual minutes", cpu_s, "s CPU", 60, how)]
