"""CPU and memory of 1,000 nodes for one virtual hour in one process, with nodes that come and go.

Each node is the daemon's own engine. A node goes off every minute and comes back 90 s later, so
that one is switched every 30 s. At the end every pair must reach each other. A run that has used
up its CPU before the hour is over ends there, and says what the whole hour would have taken: what
was used until nodes began to come and go, and for the rest what each second since then took.
"""

import gc
import sys

from report import Figure
from simulator._mesh import LargePages, Mesh, Meter

from meshd.simulation.world import SECOND

NODES = 1000
VIRTUAL_S = 3600
SEED = 1
CHURN_FROM_S = 60
STEP_S = 5
COLD_STEP_US = SECOND // 500
"""In a cold start much memory is used in little virtual time; it is gathered meanwhile."""

CPU_LIMIT_S = 900


def measure() -> list[Figure]:
    """Run a random mesh from cold for an hour."""
    gc.disable()  # nothing here is a circle; to look for some in five million values is not free
    meter = Meter()
    mesh = Mesh(NODES, SEED)
    mesh.churn(VIRTUAL_S, CHURN_FROM_S)
    world, begun_cpu_s, pages = mesh.world, 0.0, LargePages()
    while world.now < STEP_S * SECOND:
        world.run(COLD_STEP_US)
        pages.gather(meter)
    _tell(STEP_S, meter)
    while world.now < VIRTUAL_S * SECOND and meter.cpu_s < CPU_LIMIT_S:
        world.run(STEP_S * SECOND)
        pages.gather(meter)
        passed_s = world.now // SECOND
        if passed_s <= CHURN_FROM_S:
            begun_cpu_s = meter.cpu_s
        if passed_s % CHURN_FROM_S == 0:
            _tell(passed_s, meter)
    cpu_s, memory_mib = meter.cpu_s, meter.memory_mib
    how = f"random mesh of degree {mesh.degree:.1f}, {mesh.switched} switches, seed {SEED}"
    if world.now < VIRTUAL_S * SECOND:
        how += f"; PROJECTED from {world.now // SECOND} virtual seconds"
        left = (VIRTUAL_S - CHURN_FROM_S) / max(world.now / SECOND - CHURN_FROM_S, STEP_S)
        cpu_s = begun_cpu_s + (cpu_s - begun_cpu_s) * left
    elif (reached := mesh.reachable()) < 1.0:
        raise RuntimeError(f"only {reached:.2%} of the pairs reach each other after the churn")
    return [
        Figure("1,000 nodes, one virtual hour", cpu_s, "s CPU", 900, how),
        Figure("1,000 nodes, one virtual hour: memory", memory_mib, "MiB", 2048, how),
    ]


def _tell(passed_s: int, meter: Meter) -> None:
    """Say how far it is: the whole takes a quarter of an hour, or more."""
    line = f"  {passed_s:,} of {VIRTUAL_S:,} virtual seconds: {meter.cpu_s:.0f} s CPU"
    print(f"{line}, {meter.now_mib:,.0f} MiB", file=sys.stderr, flush=True)
