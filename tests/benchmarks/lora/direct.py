"""Direct messages with true acknowledgements: routes told before, on demand, and managed flood.

US LongFast, 15 × 15 km, one message of 50 bytes a node every 15 minutes to a random other; same
positions, links, times and receivers for all. Medians over the seeds, their spread in `how`.
"""

from collections.abc import Callable
from random import Random
from statistics import median

from direct_station import DirectStation
from lora._direct_field import Make, Played, Sent
from report import Figure
from simulator._lora_field import LONG_FAST

from meshd.wire.lora_frame import FrameKind, overhead
from meshd.wire.lora_routes import Answer, Direct

SEEDS = range(1, 11)
PERIOD_S = 900
DURATION_S = 1800
TWO_HOPS = 38
"""The metric, in steps, of two weak links."""


def told_before(number: int, random: Random) -> DirectStation:
    """Every station tells of all that it knows."""
    return DirectStation(number, LONG_FAST, random)


def on_demand(number: int, random: Random) -> DirectStation:
    """Stations tell of two hops, and ask for what is further."""
    return DirectStation(number, LONG_FAST, random, reach=TWO_HOPS)


def played(count: int, make: Make | None, seeds: range = SEEDS) -> list[Played]:
    """Run all seeds."""
    return [Sent(count, seed, make).play(PERIOD_S, DURATION_S) for seed in seeds]


def spread(rows: list[Played], what: Callable[[Played], float]) -> tuple[float, str]:
    """Return the median over the seeds, and from where to where they go."""
    values = [what(row) for row in rows]
    return median(values), f"{min(values):.3g} to {max(values):.3g} over {len(values)} seeds"


def measure() -> list[Figure]:
    """Measure 50 stations with all three; 20 and 100 with routes; bytes; quiet stations."""
    figures = _sizes()
    rival = played(50, None)
    ours = played(50, told_before)
    share, how = spread(ours, lambda row: row.acknowledged)
    flooded = ("managed flood", median(row.delivered for row in rival))
    name = "direct, 50 nodes, acknowledged"
    how += f"; {median(row.possible for row in ours):.4g} have a way that works in both directions"
    figures.append(Figure(name, share, "%", 95, how, "higher", flooded))
    frames, how = spread(ours, lambda row: row.frames)
    sent = ("managed flood", median(row.frames for row in rival))
    figures.append(Figure("direct, 50 nodes, transmissions", frames, "", 10, how, rival=sent))
    for what in ("air_s", "delay_50_s", "delay_95_s", "control_frames"):
        value, how = spread(ours, lambda row, what=what: getattr(row, what))
        there = ("managed flood", median(getattr(row, what) for row in rival))
        figures.append(Figure(f"direct, 50 nodes, {what}", value, "", None, how, rival=there))
    figures += _others()
    quiet = [Sent(50, seed, told_before).quiet(7200, 4 * 3600) for seed in SEEDS]
    how = f"of the time, as a station hears it; {min(quiet):.3g} to {max(quiet):.3g}"
    figures.append(Figure("control airtime, 50 quiet nodes", median(quiet), "%", 1, how))
    return figures


def _sizes() -> list[Figure]:
    message = Direct(b"\0\0", 0, 0, 1, bytes(50 + 8)).encode()
    answer = Answer(0, 1, bytes(8)).encode()
    routed = overhead(FrameKind.ROUTED)
    how = "whole frame, tags of hop and ends included"
    text = Figure("direct, 50 bytes of text", routed + len(message), "B", 90, how)
    return [text, Figure("direct, its answer", routed + len(answer), "B", 30, how)]


def _others() -> list[Figure]:
    figures = []
    rows = ((20, told_before), (20, on_demand), (50, on_demand), (100, told_before))
    for count, make in rows:
        some = played(count, make, SEEDS if count < 100 else range(1, 4))
        name = f"direct, {count} nodes, {make.__name__.replace('_', ' ')}"
        share, how = spread(some, lambda row: row.acknowledged)
        figures.append(Figure(f"{name}, acknowledged", share, "%", None, how, "higher"))
        frames, how = spread(some, lambda row: row.frames)
        figures.append(Figure(f"{name}, transmissions", frames, "", None, how))
    return figures
