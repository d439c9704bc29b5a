"""Direct messages with true acknowledgements: the daemon's own nodes, managed flood, bare engines.

US LongFast, 15 × 15 km, one message of 50 bytes a node every 15 minutes to a random other; same
positions, links, times and receivers for all. Medians over the seeds, their spread in `how`. Rows
of *nodes* are of all that a daemon does; those of the *bare engine* of routes and forwarding alone,
by stations that believe all whom they hear from the start. BENCH_SEEDS=n plays n placements
(default: ten), nodes by two processes, with a line on stderr for each.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable
from dataclasses import fields
from random import Random
from statistics import median

from lora._direct_field import Make, Played, Sent
from lora._direct_nodes import Nodes, NodesPlayed, Quiet
from radios.direct_station import DirectStation
from report import Figure
from simulator._lora_field import LONG_FAST

from meshd.wire.lora_frame import FrameKind, overhead
from meshd.wire.lora_routes import Answer, Direct

SEEDS = range(1, int(os.environ.get("BENCH_SEEDS", "10")) + 1)
WORKERS = 2
PERIOD_S = 900
DURATION_S = 1800


def station(number: int, random: Random) -> DirectStation:
    """Return a station that tells of all that it knows."""
    return DirectStation(number, LONG_FAST, random)


def played(count: int, make: Make | None, seeds: range = SEEDS) -> list[Played]:
    """Run all seeds."""
    return [Sent(count, seed, make).play(PERIOD_S, DURATION_S) for seed in seeds]


def spread(rows: list[Played], what: Callable[[Played], float]) -> tuple[float, str]:
    """Return the median over the seeds, and from where to where they go."""
    values = [what(row) for row in rows]
    return median(values), f"{min(values):.3g} to {max(values):.3g} over {len(values)} seeds"


def measure() -> list[Figure]:
    """Measure 50 nodes beside the flood; bare engines of 20, 50, 100; bytes; quiet ones."""
    rival = played(50, None)
    figures = _sizes() + _nodes(rival)
    ours = played(50, station)
    share, how = spread(ours, lambda row: row.acknowledged)
    flooded = ("managed flood", median(row.delivered for row in rival))
    name = "bare engine, 50 stations, acknowledged"
    how += f"; {median(row.possible for row in ours):.4g} have a way that works in both directions"
    figures.append(Figure(name, share, "%", 95, how, "higher", flooded))
    frames, how = spread(ours, lambda row: row.frames)
    sent = ("managed flood", median(row.frames for row in rival))
    figures.append(
        Figure("bare engine, 50 stations, transmissions", frames, "", 10, how, rival=sent)
    )
    for what in ("air_s", "delay_50_s", "delay_95_s", "control_frames"):
        value, how = spread(ours, lambda row, what=what: getattr(row, what))
        there = ("managed flood", median(getattr(row, what) for row in rival))
        figures.append(
            Figure(f"bare engine, 50 stations, {what}", value, "", None, how, rival=there)
        )
    figures += _others()
    quiet = [Sent(50, seed, station).quiet(7200, 4 * 3600) for seed in SEEDS]
    how = f"of the time, as a station hears it; {min(quiet):.3g} to {max(quiet):.3g}"
    figures.append(Figure("bare engine, control airtime, 50 quiet", median(quiet), "%", 1, how))
    return figures


def _nodes(rival: list[Played]) -> list[Figure]:
    """Return what real nodes do on the same fields, and while nobody says anything."""
    with multiprocessing.get_context("fork").Pool(WORKERS, maxtasksperchild=1) as pool:
        runs = pool.map(_play, SEEDS, chunksize=1)
    return _sent([sent for sent, _ in runs], rival) + _quiet([quiet for _, quiet in runs])


def _play(seed: int) -> tuple[NodesPlayed, Quiet]:
    runs = Nodes(50, seed).play(PERIOD_S, DURATION_S), Nodes(50, seed).quiet()
    print(f"placement {seed}: {runs[0]}; {runs[1]}", file=sys.stderr, flush=True)
    return runs


def _sent(runs: list[NodesPlayed], rival: list[Played]) -> list[Figure]:
    figures = []
    told = f"; {median(run.possible for run in runs):.4g} have a way that works in both directions"
    rows: tuple[tuple[str, str, str, float | None, float | None], ...] = (
        ("acknowledged", "acknowledged within 120 s of the last", "%", 95, None),
        ("late", "acknowledged within 600 s of the last", "%", 95, None),
        ("frames", "transmissions, all counted", "", 10, median(row.frames for row in rival)),
        ("routed", "transmissions of messages and answers", "", None, None),
        ("delay_50_s", "delay, 50 %", "s", None, median(row.delay_50_s for row in rival)),
        ("delay_95_s", "delay, 95 %", "s", None, median(row.delay_95_s for row in rival)),
    )
    flooded = median(row.delivered for row in rival)
    for what, name, unit, target, there in rows:
        values = [getattr(run, what) for run in runs]
        how = f"{min(values):.3g} to {max(values):.3g} over {len(values)} seeds"
        share = unit == "%"
        figures.append(
            Figure(
                f"nodes, 50, direct: {name}",
                median(values),
                unit,
                target,
                how + (told if share else ""),
                "higher" if share else "lower",
                ("managed flood", flooded if share else there),
            )
        )
    return figures


def _quiet(runs: list[Quiet]) -> list[Figure]:
    """Return what nobody's silence costs by the time since all started at once."""
    figures = []
    for field in fields(Quiet):
        values = [getattr(run, field.name) for run in runs]
        how = f"of the time, as a node hears it; {min(values):.3g} to {max(values):.3g}"
        target = None if field.name == "first_half" else 1.0
        name = f"nodes, 50 quiet, control airtime, {field.name.replace('_', ' ')}"
        name += "" if field.name.endswith("half") else " hour"
        figures.append(Figure(name, median(values), "%", target, how))
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
    for count in (20, 100):
        some = played(count, station, SEEDS if count < 100 else SEEDS[:3])
        name = f"bare engine, {count} stations"
        share, how = spread(some, lambda row: row.acknowledged)
        figures.append(Figure(f"{name}, acknowledged", share, "%", None, how, "higher"))
        frames, how = spread(some, lambda row: row.frames)
        figures.append(Figure(f"{name}, transmissions", frames, "", None, how))
    return figures
