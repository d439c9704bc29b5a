"""Cold start: from all links up at once until all 600 pairs of a 5x5 grid reach each other.

Ours waits for no timer, so it takes what the processors take: of a busy machine it tells little.
"""

import os
import time

from daemons.field import Field, Probes, grid
from daemons.routers import BabeldFast, Meshd, Router
from report import Figure

RUNS = 5
SETTLE_S = 6.0


def once(kind: type[Router]) -> float | None:
    """Return the seconds until the last pair, or None when a pair never came."""
    with Field(kind, grid(5, 5), up=False) as field:
        field.start()
        probes = Probes(field)
        time.sleep(SETTLE_S)
        begun = time.monotonic()
        field.raise_radios()
        reached, _ = probes.all_pairs(begun)
        probes.close()
        return reached


def measure() -> list[Figure]:
    """Take turns, and compare the worst."""
    ours, theirs = [], []
    for _ in range(RUNS):
        theirs.append(once(BabeldFast))
        ours.append(once(Meshd))
    rival = worst(theirs)
    busy = f"load {os.getloadavg()[0]:.0f} on {os.cpu_count()} processors at its end"
    how = f"worst of {RUNS}: {shown(ours)}; babeld -h 1: {shown(theirs)}; {busy}"
    return [
        Figure(
            "cold start, 5x5 grid, all pairs",
            worst(ours),
            "s",
            rival,
            how,
            rival=(BabeldFast.name, rival),
        )
    ]


def worst(values: list[float | None]) -> float | None:
    """Return the largest, or None when one is missing."""
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None


def shown(values: list[float | None]) -> str:
    """Return the values for people."""
    return ", ".join("never" if value is None else f"{value:.2f}" for value in values)
