"""Random cruel plans of islands that only LoRa joins.

Enters: a seed. Leaves: a `Plan`: some islands of a few hosts each, near or far from each other, one
or two LoRa radios on each, hosts that have nothing but a radio, and what goes wrong with radios
beside all that goes wrong elsewhere: jammers, modems that fail in each way they can, somebody who
sends junk, recordings, or the well-sealed claims of nodes that are none. Time to settle is long,
since what LoRa has to say waits for the hour that law grants.
"""

from random import Random

from meshd.simulation.plan.plan import (
    AIR_BEHAVIOURS,
    DISKS,
    IP_BEHAVIOURS,
    MODEM_MODES,
    PARTITIONS,
    Fault,
    MediumPlan,
    NodeGroup,
    Plan,
    Terrain,
    Traffic,
)
from meshd.simulation.plan.uses import plain_fault

ROOF, AIR = "roof", "lora"
SETTLE_S = 1_800.0
_REACH_M = 60.0
_YEAR_S = 31_536_000.0
_SETTINGS = ((7, 250.0), (7, 250.0), (7, 125.0), (9, 250.0), (9, 125.0))
_KINDS = (
    *("crash", "crash", "churn", "partition", "lose", "slow-disk", "failing-disk", "clock"),
    *("jam", "jam", "modem", "modem", "modem", "hostile", "air", "air", "air"),
)


def islands(seed: int) -> Plan:
    """Return the plan of a seed."""
    rng = Random(f"islands {seed}")
    factor, bandwidth_khz = rng.choice(_SETTINGS)
    width_m = rng.choice((1_000.0, 4_000.0, 12_000.0))
    nodes = _nodes(rng, width_m)
    names = [group.name for group in nodes]
    duration_s = float(rng.choice((200, 400, 900)))
    lora = MediumPlan(
        AIR,
        "lora",
        tx_dbm=14.0,
        frequency_mhz=869.525,
        bandwidth_khz=bandwidth_khz,
        spreading_factor=factor,
        preamble=rng.choice((8, 16)),
        region="EU868",
    )
    terrain = Terrain(
        width_m,
        width_m,
        shadowing_db=rng.choice((0.0, 4.0)),
        asymmetry_db=rng.choice((0.0, 3.0)),
    )
    faults = [_fault(rng, names, duration_s) for _ in range(rng.choice((0, 1, 2, 3, 4, 6)))]
    return Plan(
        f"islands-{seed}",
        duration_s=duration_s,
        settle_s=SETTLE_S,
        crowd=rng.random() < 0.3,
        letters=rng.random() < 0.8,
        terrain=terrain,
        media=(MediumPlan(ROOF, "ip-radio"), lora),
        nodes=nodes,
        traffic=_traffic(rng, len(nodes)),
        faults=tuple(plain_fault(one) for one in sorted(faults, key=lambda one: one.at_s)),
    )


def _nodes(rng: Random, width_m: float) -> tuple[NodeGroup, ...]:
    """Return hosts one by one: on each island one or two have a radio, or it is one radio alone."""
    groups: list[NodeGroup] = []
    for _ in range(rng.choice((2, 2, 2, 3, 3, 4))):
        x_m, y_m = rng.uniform(0, width_m), rng.uniform(0, width_m)
        size, radios = rng.choice((1, 1, 2, 3)), rng.choice((1, 1, 2))
        for place in range(size):
            media = (ROOF, AIR) if place < radios else (ROOF,)
            group = NodeGroup(
                f"n{len(groups) + 1}",
                media=(AIR,) if size == 1 and rng.random() < 0.6 else media,
                x_m=_near(rng, x_m, width_m),
                y_m=_near(rng, y_m, width_m),
                clock_ppm=rng.choice((0.0, 0.0, 50.0, -200.0)),
                wall_offset_s=rng.choice((0.0, 0.0, 0.0, 3_600.0, 5 * _YEAR_S, None)),
                relay_only=len(groups) > 1 and rng.random() < 0.15,
            )
            groups.append(group)
    return tuple(groups)


def _near(rng: Random, at_m: float, width_m: float) -> float:
    return round(min(max(at_m + rng.uniform(-_REACH_M, _REACH_M), 0.0), width_m), 1)


def _traffic(rng: Random, count: int) -> tuple[Traffic, ...]:
    found = []
    if rng.random() < 0.9:
        every_s = rng.choice((20.0, 60.0, 200.0)) * count
        size = rng.choice((20, 60, 200, 600))
        found.append(Traffic("broadcast", every_s=every_s, size=size, start_s=5.0))
    if rng.random() < 0.4:
        found.append(Traffic("direct", every_s=60.0 * count, start_s=30.0))
    if rng.random() < 0.3:
        size = rng.choice((200, 1_500, 6_000))
        found.append(Traffic("file", every_s=150.0 * count, size=size, start_s=20.0))
    return tuple(found)


def _fault(rng: Random, names: list[str], duration_s: float) -> Fault:
    kind = rng.choice(_KINDS)
    at_s = round(rng.uniform(0.5, duration_s * 0.9), 1)
    for_s = round(min(rng.choice((1.0, 20.0, 60.0, 200.0)), duration_s - at_s), 1)
    nodes = rng.choice((*names, *names, "*", "n[1-3]"))
    share = rng.choice((0.1, 0.5, 1.0))
    if kind in ("air", "hostile"):
        behaviour = rng.choice(AIR_BEHAVIOURS if kind == "air" else IP_BEHAVIOURS)
        count = 10_000 if behaviour == "identities" else rng.choice((1, 5, 20))
        return Fault(
            "hostile", at_s, for_s, nodes=rng.choice(names), behaviour=behaviour, count=count
        )
    mode = {"modem": MODEM_MODES, "partition": PARTITIONS}.get(kind, ("",))
    return Fault(
        kind,
        at_s,
        for_s,
        nodes=nodes,
        share=share,
        mode=rng.choice(mode),
        delay_s=rng.choice((2.0, 15.0, 60.0)),
        disk=rng.choice((*DISKS, "kept", "kept")),
    )
