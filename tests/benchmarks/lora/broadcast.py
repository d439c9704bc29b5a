"""Objects for everybody: the daemon's own nodes beside managed flood, same fields and traffic.

Each figure is the median over the placements, with the span in its text. Air counts all frames of
either side from the first message on: of the nodes beacons, routes, lists and the rest of the cold
start too, and ten minutes of repair after the last message. *Data alone* are the frames that carry
an object. Rows of the bare engine, whose neighbours are all known and believed from the start, show
what is owed to objects and what to everything else; *an hour later* the nodes have been there for
an hour when the traffic begins. Managed flood sends no control here; with the notices that its
nodes send by default it is a row of its own; so is the bare engine with waits ordered by SNR.

Where the air of nodes goes in a calm field, with shorter starts and the mean of three placements,
310 ms a delivery: objects 160, their seals 75, routes 28, seals of frames without objects 17, lists
15, beacons 7, echoes 4, who hears whom 3. Believing all whom one hears it is 274, without routes
262, without the cold start 21 less. The bare engine of objects, counted the same way, takes 196.

Placements are played by two processes, with a line on stderr for each. BENCH_SEEDS=n plays n
placements (default: ten). One takes nearly two minutes of one core, ten nine minutes of two.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from random import Random
from statistics import median

from lora._broadcast_field import WARM_S, Load, Played, Told
from lora._node_field import NodesTold
from lora._noticed_field import Noticed
from lora._snr_station import SnrStation
from report import Figure

from meshd.core.airtime import LONG_FAST
from meshd.forwarding.rules import rules_for

SEEDS = int(os.environ.get("BENCH_SEEDS", "10"))
WORKERS = 2
CALM = Load(50, 900, 1800)
BUSY = Load(50, 100, 900)
WIDE = Load(100, 900, 1200)
LOADS = {"calm": CALM, "busy": BUSY, "wide": WIDE}
NAMES = {
    "calm": "50 nodes, one per 900 s",
    "busy": "50 nodes, one per 100 s",
    "wide": "100 nodes, one per 900 s",
}
REACH = {"calm": 97.0, "busy": 70.0, "wide": 94.0}
FLOOD, NODES, PROMPT, SHARED = "managed flood", "nodes", "bare, prompt", "bare, shared"
BY_SNR = "bare, shared, by SNR"
SETTLED, SETTLED_S = "nodes, an hour later", 3600
NAMED, PLACED = "managed flood with NodeInfo", "managed flood with NodeInfo and position"
FLOODS = (FLOOD, NAMED, PLACED)
WHAT = {
    "calm": (FLOOD, NODES, SETTLED, PROMPT, SHARED, BY_SNR, NAMED, PLACED),
    "busy": (FLOOD, NODES, SHARED),
    "wide": (FLOOD, NODES, SHARED),
}
FRAMES = {
    ("calm", NODES): 14.0,
    ("calm", SETTLED): 14.0,
    ("calm", PROMPT): 14.0,
    ("calm", SHARED): 8.0,
}
"""Transmissions a message, at most."""

Job = tuple[str, str, int]


def measure() -> list[Figure]:
    """Play all placements; return the figures beside their targets."""
    jobs = [
        (load, what, seed) for seed in range(1, SEEDS + 1) for load in WHAT for what in WHAT[load]
    ]
    runs: dict[tuple[str, str], dict[int, Played]] = {}
    with multiprocessing.get_context("fork").Pool(WORKERS, maxtasksperchild=1) as pool:
        for (load, what, seed), run, took_s in pool.imap_unordered(_play, jobs):
            runs.setdefault((load, what), {})[seed] = run
            text = f"{load}, placement {seed}, {what}: reach {run.reach:.1f} %"
            text += f", {run.frames:.1f} frames, {run.air_ms:.0f} ms a delivery ({took_s:.0f} s)"
            print(text, file=sys.stderr, flush=True)
    figures: list[Figure] = []
    for load, kinds in WHAT.items():
        flood = [runs[load, FLOOD][seed] for seed in sorted(runs[load, FLOOD])]
        for what in kinds[1:]:
            ours = [runs[load, what][seed] for seed in sorted(runs[load, what])]
            figures += _rows(load, what, ours, flood)
    return figures


class ToldBySnr(Told):
    """Waits in the order of SNR."""

    engine = SnrStation


def mixed(chance: Random) -> int:
    """Return a priority: most is small text, some is more and some less urgent."""
    return chance.choices((0, 1, 3, 4), (2, 58, 20, 20))[0]


def _text(_chance: Random) -> int:
    return 1


def _play(job: Job) -> tuple[Job, Played, float]:
    """Play one placement once."""
    name, what, seed = job
    began_s, load = time.process_time(), LOADS[name]
    if what in (NODES, SETTLED):
        field: Told = NodesTold(load.count, seed, SETTLED_S if what == SETTLED else WARM_S)
    elif what in (NAMED, PLACED):
        field = Noticed(load.count, seed, position=what == PLACED)
    elif what == FLOOD:
        field = Told(load.count, seed, None)
    else:
        made = ToldBySnr if what == BY_SNR else Told
        field = made(load.count, seed, rules_for(LONG_FAST, shared=what != PROMPT))
    priority: Callable[[Random], int] = mixed if load is BUSY else _text
    return job, field.play(load, priority), time.process_time() - began_s


def _rows(load: str, what: str, ours: list[Played], flood: list[Played]) -> list[Figure]:
    name = f"{NAMES[load]}: {what}"

    def figure(
        text: str, unit: str, field: str, target: float | None = None, better: str = "lower"
    ) -> Figure:
        values = [getattr(run, field) for run in ours]
        theirs = [getattr(run, field) for run in flood]
        rival = (FLOOD, median(theirs))
        how = f"{_span(values)}; {FLOOD} {_span(theirs)}"
        return Figure(f"{name}: {text}", median(values), unit, target, how, better, rival)

    def ratio(text: str, field: str, target: float | None) -> Figure:
        pairs = zip(ours, flood, strict=True)
        values = [getattr(one, field) / getattr(other, field) for one, other in pairs]
        text = f"{name}: {text} beside managed flood"
        return Figure(text, median(values), "x", target, _span(values, 2))

    alone, theirs = what in (NODES, SETTLED), what in FLOODS
    if theirs:
        return [
            figure("reach within four links", "%", "reach", None, "higher"),
            figure("transmissions a message", "", "frames"),
            figure("airtime per delivery", "ms", "air_ms"),
            ratio("airtime per delivery", "air_ms", None),
        ]
    figures = [
        figure("reach within four links", "%", "reach", REACH[load], "higher"),
        figure("reach of all nodes", "%", "everybody", None, "higher"),
        figure("transmissions a message", "", "frames", FRAMES.get((load, what))),
        *([figure("of them with data", "", "data_frames")] if alone else []),
        figure("airtime per delivery", "ms", "air_ms"),
        *([figure("airtime per delivery, data alone", "ms", "data_air_ms")] if alone else []),
        ratio("airtime per delivery", "air_ms", 0.8 if load == "calm" else None),
        *([ratio("airtime per delivery, data alone", "data_air_ms", None)] if alone else []),
        figure("delay, median", "s", "delay_50_s"),
        figure("delay, 95 %", "s", "delay_95_s"),
    ]
    for priority in sorted(ours[0].by_priority) if load == "busy" else ():
        values = [run.by_priority[priority] for run in ours]
        text = f"{name}: reach of priority {priority} in 300 s"
        figures.append(Figure(text, median(values), "%", None, _span(values), "higher"))
    return figures


def _span(values: list[float], digits: int = 1) -> str:
    low, mid, high = min(values), median(values), max(values)
    return f"{len(values)} runs: {low:.{digits}f} to {high:.{digits}f}, median {mid:.{digits}f}"
