"""Islands made crueller: other laws and modems, more hosts, faults of the network on the air.

Enters: a plan of islands, a seed. Leaves: another plan. Bands of 1 % have an hour more to settle,
since whoever has used up its hour is silent for as long. Under a longest frame of 400 ms some
settings leave half a frame, and modules that add bytes of their own leave less.
"""

from dataclasses import replace
from random import Random
from typing import NamedTuple

from meshd.simulation.plan.plan import Fault, MediumPlan, NodeGroup, Plan, Step
from meshd.simulation.plan.uses import plain_fault


class Band(NamedTuple):
    """A setting that a region allows."""

    region: str
    frequency_mhz: float
    tx_dbm: float
    factor: int
    bandwidth_khz: float
    scarce: bool = False
    tight: bool = False
    """scarce: a hundredth of the hour is all that there is. tight: the longest frame holds a
    beacon, and no bytes of a module beside."""


BANDS = (
    Band("EU868", 869.525, 14.0, 7, 250.0),
    Band("EU868", 869.525, 14.0, 9, 125.0),
    Band("EU868", 868.3, 14.0, 7, 125.0, scarce=True),
    Band("EU868", 866.0, 14.0, 7, 250.0, scarce=True),
    Band("EU433", 433.5, 10.0, 8, 250.0, scarce=True),
    Band("US915", 906.875, 20.0, 7, 250.0),
    Band("US915", 906.875, 20.0, 9, 250.0, tight=True),
    Band("US915", 908.0, 20.0, 9, 500.0),
    Band("AU915", 917.0, 20.0, 7, 125.0),
    Band("AS923", 923.6, 13.0, 7, 125.0, scarce=True),
    Band("AS923", 923.6, 13.0, 8, 250.0, scarce=True),
    Band("JP920", 922.0, 10.0, 7, 125.0),
    Band("JP920", 922.0, 10.0, 8, 250.0),
    Band("KR920", 922.6, 11.0, 9, 125.0),
    Band("TH920", 921.0, 14.0, 9, 250.0),
)
MODEMS = (
    *("", "", "", "rnode", "meshcore", "rak3172", "reyax", "rn2483", "ebyte"),
    *("meshtastic", "meshtastic-signed"),
)
EBYTE_EUROPE = Band("EU868", 868.125, 14.0, 7, 125.0, scarce=True)
EBYTE_ELSEWHERE = Band("AU915", 917.125, 20.0, 7, 250.0)
"""What an Ebyte takes, whose channels are 1 MHz apart."""
_DEAF, _LISTEN_FIRST = ("reyax", "rn2483"), ("JP920", "KR920")
"""Modules that do not listen before they talk, and where law demands it."""
SCARCE_S = 3_600.0
_KINDS = ("lose", "duplicate", "reorder", "corrupt", "clog", "partition")
_HOSTS_MAX = 16


def crueller(plan: Plan, seed: int) -> Plan:
    """Return the plan under a law, with a modem, and with more that goes wrong."""
    rng = Random(f"crueller {seed}")
    band = rng.choice(BANDS)
    roof, lora = plan.media
    nodes = _more(rng, plan) if rng.random() < 0.1 else plan.nodes
    nodes = _walking(rng, nodes, plan) if rng.random() < 0.1 else nodes
    names = [group.name for group in nodes]
    faults = [_fault(rng, names, plan.duration_s) for _ in range(rng.choice((0, 1, 1, 2)))]
    modem = rng.choice(_modems(band))
    if modem == "ebyte":
        band = EBYTE_EUROPE if band.region.startswith("EU") else EBYTE_ELSEWHERE
    return replace(
        plan,
        settle_s=plan.settle_s + (SCARCE_S if band.scarce else 0.0),
        media=(roof, _set(lora, band, modem)),
        nodes=nodes,
        faults=tuple(sorted((*plan.faults, *faults), key=lambda one: one.at_s)),
    )


def _modems(band: Band) -> tuple[str, ...]:
    """Return the modules that law and frames of a band allow."""
    if band.tight:
        return ("",)
    listening = tuple(modem for modem in MODEMS if modem not in _DEAF)
    return listening if band.region in _LISTEN_FIRST else MODEMS


def _set(lora: MediumPlan, band: Band, modem: str) -> MediumPlan:
    return replace(
        lora,
        region=band.region,
        frequency_mhz=band.frequency_mhz,
        tx_dbm=band.tx_dbm,
        spreading_factor=band.factor,
        bandwidth_khz=band.bandwidth_khz,
        modem=modem,
    )


def _more(rng: Random, plan: Plan) -> tuple[NodeGroup, ...]:
    """Return twice the hosts and more, each near to one that there is, or far from all."""
    groups = list(plan.nodes)
    while len(groups) < min(3 * len(plan.nodes), _HOSTS_MAX):
        like = rng.choice(plan.nodes)
        x_m, y_m = like.x_m or 0.0, like.y_m or 0.0
        if rng.random() < 0.5:
            x_m, y_m = rng.uniform(0, plan.terrain.width_m), rng.uniform(0, plan.terrain.height_m)
        groups.append(
            replace(like, name=f"n{len(groups) + 1}", x_m=round(x_m, 1), y_m=round(y_m, 1))
        )
    return tuple(groups)


def _walking(rng: Random, nodes: tuple[NodeGroup, ...], plan: Plan) -> tuple[NodeGroup, ...]:
    """Let one host go to another place while the others talk."""
    place = rng.randrange(len(nodes))
    times = sorted({0, *(rng.randrange(10, round(plan.duration_s)) for _ in range(3))})
    width_m, height_m = plan.terrain.width_m, plan.terrain.height_m
    walk = tuple(
        Step(float(at_s), round(rng.uniform(0, width_m), 1), round(rng.uniform(0, height_m), 1))
        for at_s in times
    )
    walker = replace(nodes[place], walk=walk, walk_again=False)
    return (*nodes[:place], walker, *nodes[place + 1 :])


def _fault(rng: Random, names: list[str], duration_s: float) -> Fault:
    kind = rng.choice(_KINDS)
    at_s = round(rng.uniform(0.5, duration_s * 0.9), 1)
    fault = Fault(
        kind,
        at_s,
        round(min(rng.choice((20.0, 60.0, 200.0)), duration_s - at_s), 1),
        nodes=rng.choice((*names, "*")),
        other=rng.choice((*names, "*")),
        share=rng.choice((0.05, 0.3, 0.8)),
        delay_s=rng.choice((0.5, 5.0, 30.0)),
        mode=rng.choice(("uniform", "isolate", "one-way")) if kind == "partition" else "",
    )
    return plain_fault(fault)
