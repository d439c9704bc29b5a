"""One LoRa field as a plan, for meshd and its rivals: same places, links, people; one score.

Places are those of the calibration's fields (15 × 15 km, each station within 2.0 km of one placed
before), LongFast at 869.525 MHz with 27 dBm under the law of EU868. Everybody starts at once, and
people ask for the first time an hour later. Notes and messages are played apart, so that each has
its own airtime. What is scored begins with that hour, and ends ten minutes after the last asking.
"""

from random import Random
from typing import NamedTuple

from simulator._lora_field import ASYMMETRY_DB, SIDE_M, places

from meshd.simulation.lora.purpose import CONTROL, ROUTING, SYNC
from meshd.simulation.outcome import Json
from meshd.simulation.plan.plan import MediumPlan, NodeGroup, Plan, Terrain, Traffic
from meshd.simulation.rivals.engine import CONTROL as HELLOS
from meshd.simulation.run import run_plan

LOSS_EXPONENT = 3.85
"""Gives 27 dBm a range of 2.0 km, as the calibration has."""

WARM_S, SETTLE_S = 3_600.0, 600.0
TEXT_BYTES = 40
KINDS = ("broadcast", "message")
QUIET = frozenset((CONTROL, ROUTING, SYNC, HELLOS))
"""Purposes that carry nothing for people; acknowledgements and repairs are not among them."""

_LONG_FAST = MediumPlan(
    "lora",
    "lora",
    tx_dbm=27.0,
    frequency_mhz=869.525,
    bandwidth_khz=250.0,
    spreading_factor=11,
    region="EU868",
)


class Load(NamedTuple):
    """How many nodes, and how long and how often each asks on average."""

    nodes: int
    every_s: float
    lasts_s: float
    warm_s: float = WARM_S


class Row(NamedTuple):
    """What came of a run. `near_percent` is of pairs that a chain of two-way links joins."""

    near_percent: float
    all_percent: float
    delay_50_s: float
    delay_90_s: float
    frames: float
    """Of any purpose, for each note or message."""

    airtime_ms: float
    """Of all frames, for each delivery."""

    control_s: float
    """Seconds on the air that a node spent in an hour on what carries nothing for people."""

    asked: int
    held: bool


def field(load: Load, kind: str, protocol: str, seed: int) -> Plan:
    """Return the plan: the seed places the nodes, the same for every protocol."""
    spots = places(load.nodes, Random(seed))
    groups = tuple(NodeGroup(f"n{at}", x_m=x_m, y_m=y_m) for at, (x_m, y_m) in enumerate(spots))
    people = Traffic(kind, every_s=load.every_s, size=TEXT_BYTES, start_s=load.warm_s)
    return Plan(
        "field",
        duration_s=load.warm_s + load.lasts_s,
        settle_s=SETTLE_S,
        protocol=protocol,
        terrain=Terrain(SIDE_M, SIDE_M, LOSS_EXPONENT, 0.0, ASYMMETRY_DB),
        media=(_LONG_FAST,),
        nodes=groups,
        traffic=(people,),
    )


def play(load: Load, kind: str, protocol: str, seed: int) -> Row:
    """Run one plan; return its row."""
    value = run_plan(field(load, kind, protocol, seed), seed).as_json()
    (told,) = value["delivery"]["kinds"]
    sent = [row["sent"] for row in value["curves"]["rows"] if row["at_s"] >= load.warm_s]
    frames, airtime_us = _sum(sent, "frames"), _sum(sent, "airtime_us")
    quiet_us = _sum(sent, "airtime_us", QUIET)
    hours = (load.lasts_s + SETTLE_S) / 3_600
    delays = told["delay_ms"] or {"p50": 0.0, "p90": 0.0}
    return Row(
        near_percent=told["reachable"]["percent"] or 0.0,
        all_percent=told["percent"] or 0.0,
        delay_50_s=delays["p50"] / 1_000,
        delay_90_s=delays["p90"] / 1_000,
        frames=frames / max(told["asked"], 1),
        airtime_ms=airtime_us / 1_000 / max(told["delivered"], 1),
        control_s=quiet_us / 1e6 / load.nodes / hours,
        asked=told["asked"],
        held=value["held"],
    )


def _sum(rows: list[Json], what: str, purposes: frozenset[str] | None = None) -> int:
    return sum(
        counts[what]
        for row in rows
        for purpose, counts in row.items()
        if purposes is None or purpose in purposes
    )
