"""Random cruel plans: a seed decides a small world, what people do in it, and what goes wrong.

Enters: a seed. Leaves: a `Plan` of a minute to some minutes, small enough for a second or two of
work, in which several things go wrong at once. Sizes and kinds are drawn so that the rare meets the
rare: a rolled-back card in a one-way partition beside a member gone bad. Every fourth is a storm: a
few hosts on wires that hardly stop posting, while cards are rolled back again and again. Every
fiftieth is of LoRa stations that speak another protocol, under the law of a band. From seed
`LATER` on every third is of islands that only LoRa joins (`islands`), from `CRUELLER` on under many
laws (`crueller`), and in half of the others people write letters too. All of it ends before the
time to settle begins; walkers stand still then.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from meshd.simulation.plan.plan import (
    DISKS,
    IP_BEHAVIOURS,
    IP_FAULTS,
    LAYOUTS,
    PARTITIONS,
    PROTOCOLS,
    Fault,
    MediumPlan,
    NodeGroup,
    Plan,
    Ridge,
    Step,
    Sun,
    Terrain,
    Traffic,
)
from meshd.simulation.plan.uses import plain_fault
from meshd.simulation.swarm.crueller import crueller
from meshd.simulation.swarm.islands import islands

RADIO, WIRE = "air", "wire"
RANGE_M = 300.0
SETTLE_S = 260.0
STORM_SETTLE_S = 150.0
FLOOD_COUNTS = (5, 20, 60)
_BLOWS = ("failing-disk", "slow-disk", "partition", "hostile", "lose")
YEAR_S = 31_536_000.0
BIG_BYTES = 2_500_000
"""A file of several chunks."""
STATIONS_SETTLE_S = 300.0


LATER, CRUELLER = 10_000, 14_000
"""Earlier seeds keep the plans that they had when their failures were found."""


def random_plan(seed: int) -> Plan:
    """Return the plan of a seed."""
    if seed >= LATER and seed % 3 == 1:
        return islands(seed) if seed < CRUELLER else crueller(islands(seed), seed)
    plan = _first_plan(seed)
    letters = seed >= LATER and plan.protocol == "meshd" and Random(f"{seed}").random() < 0.5
    return replace(plan, letters=True) if letters else plan


def _first_plan(seed: int) -> Plan:
    if seed % 50 == 25:
        return _stations(seed)
    return _storm(seed) if seed % 4 == 0 else _mixture(seed)


def _mixture(seed: int) -> Plan:
    rng = Random(f"swarm {seed}")
    count = rng.choice((2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 6, 7, 9, 14, 20))
    duration_s = float(rng.choice((25, 40, 40, 60, 60, 90, 150, 300)))
    names = [f"n{number}" for number in range(1, count + 1)]
    kind = rng.choice(("radio", "radio", "wire", "wire", "both"))
    media, terrain = _media(rng, kind, names)
    return Plan(
        f"swarm-{seed}",
        duration_s=duration_s,
        settle_s=SETTLE_S,
        crypto="real" if rng.random() < 0.05 else "stand-in",
        crowd=True,
        terrain=terrain,
        media=media,
        nodes=_nodes(rng, kind, count, terrain, duration_s=duration_s),
        traffic=_traffic(rng, count, duration_s),
        faults=_faults(rng, names, duration_s),
    )


def _stations(seed: int) -> Plan:
    """Return LoRa stations of a rival, whose duty the law watches."""
    rng = Random(f"stations {seed}")
    count = rng.choice((3, 8, 20))
    duration_s = float(rng.choice((1_800, 5_400)))
    width_m = rng.choice((2_000.0, 8_000.0))
    faults = [
        Fault("crash", rng.uniform(1, duration_s / 2), 300.0, nodes=f"n{rng.randint(1, count)}"),
        Fault("churn", 60.0, duration_s / 2, nodes="n*", delay_s=rng.choice((60.0, 600.0))),
    ]
    medium = MediumPlan(
        "lora",
        "lora",
        tx_dbm=27.0,
        frequency_mhz=869.525,
        bandwidth_khz=250.0,
        spreading_factor=rng.choice((7, 9, 11)),
        duty=0.5,
        dwell_ms=10_000,
    )
    return Plan(
        f"stations-{seed}",
        duration_s=duration_s,
        settle_s=STATIONS_SETTLE_S,
        protocol=rng.choice(PROTOCOLS[1:]),
        terrain=Terrain(width_m, width_m, loss_exponent=3.4),
        media=(medium,),
        nodes=(NodeGroup("n", count=count),),
        traffic=(
            Traffic("broadcast", every_s=rng.choice((60.0, 600.0)), size=40),
            Traffic("direct", every_s=600.0, size=40),
        ),
        faults=tuple(rng.sample(faults, rng.randint(0, 2))),
    )


def _storm(seed: int) -> Plan:
    rng = Random(f"storm {seed}")
    names = [f"n{number}" for number in range(1, rng.choice((2, 3, 3, 4, 4, 5)) + 1)]
    duration_s = float(rng.choice((40, 80, 160)))
    traffic = [Traffic("broadcast", every_s=rng.choice((0.5, 2.0, 5.0)), size=20, start_s=0.0)]
    if rng.random() < 0.3:
        size = rng.choice((500, 100_000, 100_000, BIG_BYTES))
        traffic.append(Traffic("file", every_s=20.0, size=size, start_s=5.0))
    faults = [_blow(rng, names, duration_s) for _ in range(rng.randint(3, 9))]
    return Plan(
        f"storm-{seed}",
        duration_s=duration_s,
        settle_s=STORM_SETTLE_S,
        crowd=True,
        media=tuple(_wires(rng, "wire", names)),
        nodes=tuple(
            NodeGroup(name, relay_only=place > 1 and rng.random() < 0.25)
            for place, name in enumerate(names)
        ),
        traffic=tuple(traffic),
        faults=tuple(plain_fault(one) for one in sorted(faults, key=lambda one: one.at_s)),
    )


def _blow(rng: Random, names: list[str], duration_s: float) -> Fault:
    """Return one fault of a storm: half are crashes, half of these on a card that goes back."""
    kind = rng.choice((*["crash"] * 4, *_BLOWS))
    at_s = round(rng.uniform(1, duration_s * 0.9), 1)
    for_s = round(min(rng.choice((0.3, 1.0, 5.0, 20.0)), duration_s - at_s), 2)
    nodes = rng.choice((*names, "*"))
    fault = Fault(kind, at_s, for_s, nodes=nodes, share=rng.choice((0.1, 0.5)))
    if kind == "crash":
        return _with(fault, disk=rng.choice((*DISKS, "rolled-back", "rolled-back")))
    if kind == "slow-disk":
        return _with(fault, delay_s=rng.choice((0.2, 2.0)))
    if kind == "hostile":
        behaviour = rng.choice(("withhold", "fork", "replay"))
        return _with(fault, nodes=rng.choice(names), behaviour=behaviour, count=10)
    return _partition(rng, fault) if kind == "partition" else fault


def _media(rng: Random, kind: str, names: list[str]) -> tuple[tuple[MediumPlan, ...], Terrain]:
    width_m = rng.uniform(0.7, 1.2) * RANGE_M * max(1.0, len(names) ** 0.5 * rng.choice((0.6, 1)))
    ridge = Ridge(width_m / 2, 0.0, width_m / 2, width_m * rng.uniform(0.3, 1.0), 15.0)
    terrain = Terrain(
        round(width_m, 1),
        round(width_m, 1),
        shadowing_db=rng.choice((0.0, 4.0, 8.0)),
        asymmetry_db=rng.choice((0.0, 2.0, 6.0)),
        ridges=(ridge,) if rng.random() < 0.2 else (),
    )
    media = []
    if kind != "wire":
        media.append(MediumPlan(RADIO, "ip-radio", multicast_loss=rng.choice((0.0, 0.02, 0.2))))
    if kind != "radio":
        media += _wires(rng, kind, names)
    return tuple(media), terrain


def _wires(rng: Random, kind: str, names: list[str]) -> list[MediumPlan]:
    """Return wires of two ends that tie all (a tree and some more), or beside a radio, some."""
    pairs = [(names[rng.randrange(place)], names[place]) for place in range(1, len(names))]
    if kind == "both":
        pairs = rng.sample(pairs, min(len(pairs), rng.randint(1, 3)))
    for _ in range(rng.randint(0, len(names) // 2)):
        one, other = sorted(rng.sample(names, 2))
        if (one, other) not in pairs and (other, one) not in pairs:
            pairs.append((one, other))
    return [
        MediumPlan(
            f"{WIRE}{number}",
            "wire",
            between=(pair,),
            delay_us=rng.choice((500, 2_000, 2_000, 50_000, 400_000)),
            loss=rng.choice((0.0, 0.0, 0.0, 0.02, 0.1)),
        )
        for number, pair in enumerate(pairs)
    ]


def _nodes(
    rng: Random, kind: str, count: int, terrain: Terrain, *, duration_s: float
) -> tuple[NodeGroup, ...]:
    """Return hosts one by one, so that each may be odd, and shrinking can leave one out."""
    layout = rng.choice(LAYOUTS)
    place = Random(rng.getrandbits(32))
    media = () if kind == "wire" else (RADIO,)
    groups = []
    for number in range(1, count + 1):
        x_m, y_m = _spot(layout, number, count, terrain.width_m, place)
        group = NodeGroup(
            f"n{number}",
            media=media,
            x_m=_on_map(x_m, terrain),
            y_m=_on_map(y_m, terrain),
            walk=_walk(rng, terrain, duration_s) if rng.random() < 0.08 else (),
            walk_again=False,
            sun=_sun(rng) if rng.random() < 0.06 else None,
            clock_ppm=rng.choice((0.0, 0.0, 50.0, -200.0)),
            wall_offset_s=rng.choice((0.0, 0.0, 0.0, 3_600.0, -YEAR_S, 5 * YEAR_S, None)),
            relay_only=number > 2 and rng.random() < 0.2,
        )
        groups.append(group)
    return tuple(groups)


def _on_map(at_m: float, terrain: Terrain) -> float:
    """Return a coordinate on the map, which is a square."""
    return round(min(max(at_m, 0.0), terrain.width_m), 1)


def _spot(
    layout: str, number: int, count: int, width_m: float, place: Random
) -> tuple[float, float]:
    if layout == "line":
        return width_m * number / count, width_m / 2 + place.uniform(-20, 20)
    if layout == "grid":
        side = max(1, round(count**0.5))
        return width_m * (number % side) / side, width_m * (number // side) / side
    reach = 0.15 if layout in ("cluster", "full") else 0.5
    middle = width_m * place.choice((0.2, 0.8)) if layout == "cluster" else width_m / 2
    spread = width_m * reach
    return middle + place.uniform(-spread, spread), width_m / 2 + place.uniform(-spread, spread)


def _walk(rng: Random, terrain: Terrain, duration_s: float) -> tuple[Step, ...]:
    last = round(duration_s)
    times = sorted({0, *(rng.randrange(10, last) for _ in range(rng.randint(1, 4)))})
    width_m = terrain.width_m
    return tuple(
        Step(float(at_s), round(rng.uniform(0, width_m), 1), round(rng.uniform(0, width_m), 1))
        for at_s in times
    )


def _sun(rng: Random) -> Sun:
    return Sun(
        rng.choice((0.05, 0.2)), rng.choice((3.0, 6.0)), day_s=200.0, sunrise_s=50.0, charge=0.6
    )


def _traffic(rng: Random, count: int, duration_s: float) -> tuple[Traffic, ...]:
    found = []
    if rng.random() < 0.9:
        every_s = rng.choice((1.5, 6.0, 15.0, 40.0)) * max(1, count / 3)
        size = rng.choice((20, 200, 2_000))
        found.append(
            Traffic("broadcast", every_s=every_s, size=size, start_s=rng.choice((0.0, 20.0)))
        )
    if rng.random() < 0.5:
        found.append(Traffic("direct", every_s=rng.choice((10.0, 60.0)) * count / 4, start_s=5.0))
    if rng.random() < 0.3:
        size = rng.choice((500, 40_000, 200_000, BIG_BYTES if count <= 7 else 200_000))
        found.append(Traffic("file", every_s=duration_s, size=size, start_s=10.0))
    return tuple(found)


def _faults(rng: Random, names: list[str], duration_s: float) -> tuple[Fault, ...]:
    found = []
    for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 3, 4, 5, 7))):
        kind = rng.choice(
            (*IP_FAULTS, "crash", "crash", "crash", "hostile", "hostile", "partition")
        )
        at_s = round(rng.uniform(0.5, duration_s * 0.9), 1)
        for_s = round(min(rng.choice((0.3, 3.0, 20.0, 60.0, 200.0)), duration_s - at_s), 1)
        fault = Fault(
            kind,
            at_s,
            for_s,
            nodes=_some(rng, names),
            other=_some(rng, names),
            share=rng.choice((0.05, 0.3, 0.7)),
        )
        found.append(_MORE[kind](rng, fault) if kind in _MORE else fault)
    return tuple(plain_fault(fault) for fault in sorted(found, key=lambda fault: fault.at_s))


def _some(rng: Random, names: list[str]) -> str:
    """Return a pattern for one host, a tenth of them, or all."""
    if rng.random() < 0.7:
        return rng.choice(names)
    return rng.choice(("*", "n*1", "n[1-4]", "n[2468]"))


def _partition(rng: Random, fault: Fault) -> Fault:
    return _with(fault, mode=rng.choice(PARTITIONS))


def _crash(rng: Random, fault: Fault) -> Fault:
    return _with(fault, disk=rng.choice(DISKS))


def _corrupt(rng: Random, fault: Fault) -> Fault:
    return _with(fault, share=rng.choice((0.005, 0.03)))


def _delayed(rng: Random, fault: Fault) -> Fault:
    return _with(fault, delay_s=rng.choice((0.01, 0.2, 2.0, 6.0)))


def _clock(rng: Random, fault: Fault) -> Fault:
    return _with(fault, delay_s=rng.choice((-YEAR_S, -60.0, 5.0, YEAR_S)))


def _churn(rng: Random, fault: Fault) -> Fault:
    return _with(fault, delay_s=rng.choice((3.0, 15.0)), disk=rng.choice(DISKS))


def _hostile(rng: Random, fault: Fault) -> Fault:
    one = rng.choice(("n1", "n2", "n3"))
    behaviour = rng.choice(IP_BEHAVIOURS)
    count = 10_000 if behaviour == "identities" else rng.choice(FLOOD_COUNTS)
    return _with(fault, nodes=one, behaviour=behaviour, count=count)


def _with(fault: Fault, **changes: object) -> Fault:
    fields = {name: getattr(fault, name) for name in Fault.__slots__}
    return Fault(**{**fields, **changes})


_MORE: dict[str, Callable[[Random, Fault], Fault]] = {
    "partition": _partition,
    "corrupt": _corrupt,
    "clog": _delayed,
    "reorder": _delayed,
    "slow-disk": _delayed,
    "crash": _crash,
    "clock": _clock,
    "churn": _churn,
    "hostile": _hostile,
}
