"""Objects for everybody: `Cast` beside managed flood, in the same fields with the same traffic.

Ten placements a row; each figure is the median over them, with the span in its text. Air counts
all frames of either side from the first message on: for `Cast` listings, wants and lists of
neighbours too, and ten minutes of repair after the last message. Rows of the daemon's own nodes
stand beside those of the bare engine, three placements each: all their control counts too.
"""

from collections.abc import Callable
from random import Random
from statistics import median

from lora._broadcast_field import Load, Played, Told
from lora._node_field import NodesTold
from report import Figure

from meshd.core.airtime import LONG_FAST
from meshd.forwarding.rules import Rules, rules_for

SEEDS = range(1, 11)
SHARED = rules_for(LONG_FAST, shared=True)
PROMPT = rules_for(LONG_FAST, shared=False)
CALM = Load(50, 900, 1800)
BUSY = Load(50, 100, 900)
WIDE = Load(100, 900, 1200)

NODE_SEEDS = range(1, 4)

FLOOD = "managed flood"


def measure() -> list[Figure]:
    """Play all rows; return the figures beside their targets."""
    flood, shared = play(CALM, None), play(CALM, SHARED)
    figures = _rows("50 nodes, one per 900 s", shared, flood, reach=97, frames=8)
    prompt = play(CALM, PROMPT)
    figures += _rows("50 nodes, one per 900 s, prompt", prompt, flood, reach=97, frames=14)
    flood, shared = play(BUSY, None), play(BUSY, SHARED, mixed)
    figures += _rows("50 nodes, one per 100 s", shared, flood, reach=70, frames=None)
    for priority in sorted(shared[0].by_priority):
        values = [run.by_priority[priority] for run in shared]
        name = f"50 nodes, one per 100 s: reach of priority {priority} in 300 s"
        figures.append(Figure(name, median(values), "%", None, _span(values), "higher"))
    figures += _node_rows("the daemon's nodes, 50, one per 900 s", CALM, reach=97, frames=14)
    figures += _node_rows("the daemon's nodes, 50, one per 100 s", BUSY, reach=70, frames=None)
    flood, shared = play(WIDE, None), play(WIDE, SHARED)
    return figures + _rows("100 nodes, one per 900 s", shared, flood, reach=94, frames=None)


def play(
    load: Load, rules: Rules | None, priority: Callable[[Random], int] = lambda _: 1
) -> list[Played]:
    """Play each placement once; without rules it is managed flood that tells."""
    return [Told(load.count, seed, rules).play(load, priority) for seed in SEEDS]


def _node_rows(name: str, load: Load, *, reach: float, frames: float | None) -> list[Figure]:
    """Play real nodes, cold start and control included."""
    priority = mixed if load is BUSY else _text
    runs = [NodesTold(load.count, seed).play(load, priority) for seed in NODE_SEEDS]

    def figure(what: str, unit: str, values: list[float], target: float | None) -> Figure:
        better = "higher" if unit == "%" else "lower"
        return Figure(f"{name}: {what}", median(values), unit, target, _span(values), better)

    figures = [
        figure("reach within four links", "%", [run.reach for run in runs], reach),
        figure("reach of all nodes", "%", [run.everybody for run in runs], None),
        figure("transmissions a message", "", [run.frames for run in runs], frames),
        figure("airtime per delivery", "ms", [run.air_ms for run in runs], None),
        figure("delay, median", "s", [run.delay_50_s for run in runs], None),
        figure("delay, 95 %", "s", [run.delay_95_s for run in runs], None),
    ]
    for one in sorted(runs[0].by_priority) if load is BUSY else ():
        values = [run.by_priority[one] for run in runs]
        figures.append(figure(f"reach of priority {one} in 300 s", "%", values, None))
    return figures


def _text(_chance: Random) -> int:
    return 1


def mixed(chance: Random) -> int:
    """Return a priority: most is small text, some is more and some less urgent."""
    return chance.choices((0, 1, 3, 4), (2, 58, 20, 20))[0]


def _rows(
    name: str, ours: list[Played], flood: list[Played], *, reach: float, frames: float | None
) -> list[Figure]:
    def figure(
        what: str, unit: str, field: str, target: float | None, better: str = "lower"
    ) -> Figure:
        values = [getattr(run, field) for run in ours]
        theirs = [getattr(run, field) for run in flood]
        rival = (FLOOD, median(theirs))
        how = f"{_span(values)}; {FLOOD} {_span(theirs)}"
        return Figure(f"{name}: {what}", median(values), unit, target, how, better, rival)

    ratios = [one.air_ms / other.air_ms for one, other in zip(ours, flood, strict=True)]
    ratio = Figure(
        f"{name}: airtime per delivery beside managed flood",
        median(ratios),
        "x",
        0.8 if frames is not None else None,
        _span(ratios, 2),
    )
    return [
        figure("reach within four links", "%", "reach", reach, "higher"),
        figure("reach of all nodes", "%", "everybody", None, "higher"),
        figure("transmissions a message", "", "frames", frames),
        figure("airtime per delivery", "ms", "air_ms", None),
        ratio,
        figure("delay, median", "s", "delay_50_s", None),
        figure("delay, 95 %", "s", "delay_95_s", None),
    ]


def _span(values: list[float], digits: int = 1) -> str:
    low, mid, high = min(values), median(values), max(values)
    return f"{len(values)} runs: {low:.{digits}f} to {high:.{digits}f}, median {mid:.{digits}f}"
