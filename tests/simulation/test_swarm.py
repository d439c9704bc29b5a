"""Random cruel plans that must hold, the plans that once failed, and how a failure is shrunk."""

from dataclasses import replace
from pathlib import Path

import pytest

from meshd.core.airtime import airtime_us
from meshd.simulation.lora.medium import band_of, setting_of
from meshd.simulation.observer import Observer
from meshd.simulation.plan.file import dump, load, parse
from meshd.simulation.plan.plan import AIR_BEHAVIOURS, MODEM_MODES
from meshd.simulation.run import run_plan
from meshd.simulation.swarm.crueller import BANDS, EBYTE_ELSEWHERE, EBYTE_EUROPE, MODEMS
from meshd.simulation.swarm.draws import CRUELLER, LATER, random_plan
from meshd.simulation.swarm.judge import judge
from meshd.simulation.swarm.shrink import shrink

SEEDS = (
    *(7, 10, 12, 21, 23, 26, 27, 28, 30, 33, 402, 403, 404, 405, 407, 409, 410, 411, 412, 414),
    *(415, 416, 417, 418, 419, 420, 421, 422, 423, 425),
    *(10_000, 10_027, 10_030, 10_033, 10_042, 10_045, 10_048),
)
BEACON = 129
"""Bytes of a beacon's frame that echoes nothing."""
REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*.toml"))


@pytest.mark.parametrize("seed", SEEDS)
def test_random_plan_breaks_no_rule(seed):
    assert judge(random_plan(seed), seed) == []


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: path.stem)
def test_plan_that_once_failed_holds(path):
    """The number at the end of a file's name is its seed."""
    assert judge(load(str(path)), int(path.stem.rsplit("-", 1)[1])) == []


@pytest.mark.parametrize("seed", [*range(200, 240), *range(10_000, 10_040)])
def test_plan_of_a_seed_is_the_same_as_a_file(seed):
    plan = random_plan(seed)
    assert random_plan(seed) == plan
    assert parse(dump(plan), "x") == plan


def test_random_plans_have_large_files_stations_under_law_and_walkers_that_stop():
    plans = [random_plan(seed) for seed in range(1, 400)]
    sizes = [item.size for plan in plans for item in plan.traffic]
    assert sum(size > 1_000_000 for size in sizes) > 5
    stations = [plan for plan in plans if plan.protocol != "meshd"]
    assert len(stations) == 8
    assert all(medium.duty < 1 for plan in stations for medium in plan.media)
    for plan in plans:
        for group in plan.nodes:
            assert not group.walk or group.walk[-1].at_s <= plan.duration_s


def test_later_plans_have_islands_of_lora_with_all_that_befalls_radios():
    plans = [random_plan(seed) for seed in range(LATER, LATER + 600)]
    islands = [plan for plan in plans if any(one.kind == "lora" for one in plan.media)]
    islands = [plan for plan in islands if plan.protocol == "meshd"]
    assert len(islands) == 200
    faults = [fault for plan in islands for fault in plan.faults]
    assert {fault.mode for fault in faults if fault.kind == "modem"} == {*MODEM_MODES}
    assert {fault.behaviour for fault in faults} >= {*AIR_BEHAVIOURS}
    assert any(fault.kind == "jam" for fault in faults)
    media = {group.media for plan in islands for group in plan.nodes}
    assert media == {("roof", "lora"), ("lora",), ("roof",)}
    kinds = [item.kind for plan in islands for item in plan.traffic]
    assert {"broadcast", "direct", "file"} == {*kinds}
    assert sum(plan.letters for plan in islands) > 100
    assert sum(plan.letters for plan in plans if plan not in islands) > 100
    assert not any(random_plan(seed).letters for seed in range(LATER - 200, LATER))


def test_crueller_plans_have_all_laws_and_modules_and_a_frame_that_holds_a_beacon():
    """Seed 14101: 57 bytes were left under 400 ms, and no beacon ever went out."""
    plans = [random_plan(seed) for seed in range(CRUELLER + 2, CRUELLER + 400, 3)]
    islands = [plan for plan in plans if plan.name.startswith("islands")]
    assert {plan.media[1].modem for plan in islands} == {*MODEMS}
    kinds = {fault.kind for plan in islands for fault in plan.faults}
    assert kinds >= {"lose", "duplicate", "reorder", "corrupt", "clog", "partition"}
    assert max(len(plan.nodes) for plan in islands) > 12
    assert any(group.walk for plan in islands for group in plan.nodes)
    laws = set()
    for plan in islands:
        air = plan.media[1]
        laws.add((air.region, air.frequency_mhz, air.spreading_factor, air.bandwidth_khz))
        setting, most_us = setting_of(air), band_of(air).frame_us_max(air.bandwidth_khz * 1_000)
        assert airtime_us(setting.modulation, setting.module.on_air(BEACON)) <= most_us
        dumped = dump(plan)
        assert parse(dumped, "again.toml") == plan
    known = {(one.region, one.frequency_mhz, one.factor, one.bandwidth_khz) for one in BANDS}
    assert laws - known == {
        (one.region, one.frequency_mhz, one.factor, one.bandwidth_khz)
        for one in (EBYTE_EUROPE, EBYTE_ELSEWHERE)
    }
    assert known <= laws


def test_crowd_of_a_plan_file_founds_spaces_of_its_own():
    founded = []

    class Watch(Observer):
        def __init__(self, world, plan):
            self.world = world

        def finished(self):
            spaces = {space.id for host in self.world.hosts for space in host.node.spaces.all()}
            founded.append(len(spaces))

    text = """
    name = "two"
    crowd = true
    duration_s = 90
    settle_s = 10
    [[medium]]
    name = "cable"
    kind = "wire"
    between = [["n1", "n2"]]
    [[nodes]]
    name = "n"
    count = 2
    [[traffic]]
    kind = "broadcast"
    """
    plan = parse(text, "x")
    run_plan(plan, 1, observers=(Watch,))
    run_plan(replace(plan, crowd=False), 1, observers=(Watch,))
    assert founded[0] > founded[1] == 1


def test_failure_is_shrunk_to_what_causes_it():
    plan = next(
        plan
        for plan in map(random_plan, range(500))
        if len(plan.nodes) > 5 and {fault.kind for fault in plan.faults} >= {"crash", "partition"}
    )
    plan = replace(
        plan,
        crowd=True,
        letters=True,
        faults=tuple(replace(fault, nodes="n2", at_s=1.0) for fault in plan.faults),
    )

    def fails(plans):
        for place, one in enumerate(plans):
            if any(fault.kind == "crash" for fault in one.faults) and len(one.nodes) > 1:
                return place
        return None

    small = shrink(plan, fails, 500)
    assert [fault.kind for fault in small.faults] == ["crash"]
    assert (len(small.nodes), small.traffic) == (2, ())
    assert not small.crowd and not small.letters
    assert small.duration_s < plan.duration_s
