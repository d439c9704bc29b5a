"""meshd beside its three rivals: one plan for all, the same places, links, seeds and people.

Each figure is the median over the placements, with the span in its text; the rival named beside
one of meshd is managed flood, and each rival has rows of its own. A note is for all others, a
message for one. meshd's note is a signed, encrypted entry that is kept and repaired; rivals send
the bare text. Control counts hellos, beacons, routes, and who has what. BENCH_SEEDS=n plays n
placements (default: five). One takes some five minutes of one core.
"""

import os
import sys
import time
from statistics import median

from report import Figure
from simulator._rivals_field import KINDS, Load, Row, play

from meshd.simulation.plan.plan import PROTOCOLS

SEEDS = int(os.environ.get("BENCH_SEEDS", "5"))
LOADS = (Load(20, 900.0, 1_800.0), Load(50, 900.0, 1_800.0))
NAMES = {"broadcast": "notes to all", "message": "messages to one"}
FLOOD = "managed-flood"
COLUMNS = (
    ("near_percent", "delivered within reach", "%", "higher"),
    ("all_percent", "delivered of all", "%", "higher"),
    ("delay_50_s", "delay, median", "s", "lower"),
    ("delay_90_s", "delay, 9 of 10", "s", "lower"),
    ("frames", "frames each", "", "lower"),
    ("airtime_ms", "airtime per delivery", "ms", "lower"),
    ("control_s", "control airtime a node and hour", "s", "lower"),
)


def measure() -> list[Figure]:
    """Play all placements; return the figures."""
    parts = [(load, kind) for load in LOADS for kind in KINDS]
    rows: dict[tuple[Load, str], dict[str, list[Row]]] = {
        part: {name: [] for name in PROTOCOLS} for part in parts
    }
    for seed in range(1, SEEDS + 1):
        for (load, kind), runs in rows.items():
            for protocol, found in runs.items():
                found.append(_told(load, kind, protocol, seed))
    return [figure for part in parts for figure in _figures(*part, rows[part])]


def _told(load: Load, kind: str, protocol: str, seed: int) -> Row:
    begun = time.process_time()
    row = play(load, kind, protocol, seed)
    took_s = time.process_time() - begun
    shown = " ".join(f"{getattr(row, name):.1f}" for name, *_ in COLUMNS)
    law = "" if row.held else ", against a rule"
    text = (
        f"{load.nodes} nodes, {kind}, {protocol}, placement {seed}: {shown}{law} ({took_s:.0f} s)"
    )
    print(text, file=sys.stderr, flush=True)
    return row


def _figures(load: Load, kind: str, rows: dict[str, list[Row]]) -> list[Figure]:
    found: list[Figure] = []
    for protocol, runs in rows.items():
        for column, text, unit, better in COLUMNS:
            values = [getattr(row, column) for row in runs]
            flood = median(getattr(row, column) for row in rows[FLOOD])
            rival = (FLOOD, flood) if protocol == "meshd" else None
            how = f"{len(values)} placements: {min(values):.1f} to {max(values):.1f}"
            name = f"{load.nodes} nodes, {NAMES[kind]}, {protocol}: {text}"
            found.append(Figure(name, median(values), unit, None, how, better, rival))
    return found
