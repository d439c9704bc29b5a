"""The plans that come with meshd, shortened: people, radios and faults as there, less time."""

from dataclasses import replace

from meshd.cli.simulate import find_plan
from meshd.simulation.plan.plan import PROTOCOLS
from meshd.simulation.report.summary import sentences
from meshd.simulation.run import run_plan

THINNED = {"convergence"}
"""What a place may fail at of which only some houses are left: their links are at the edge."""


def shortened(name, seconds, *, keep=1):
    """Return an example's first seconds, with one of `keep` hosts of each larger group."""
    plan = find_plan(name)
    return replace(
        plan,
        duration_s=seconds,
        settle_s=60.0,
        nodes=tuple(replace(group, count=-(-group.count // keep)) for group in plan.nodes),
        traffic=tuple(
            replace(item, start_s=30.0, every_s=seconds / 2, end_s=None) for item in plan.traffic
        ),
        faults=tuple(
            replace(fault, at_s=fault.at_s * seconds / plan.duration_s, for_s=seconds / 10)
            for fault in plan.faults
        ),
    )


def test_hamlet_holds_to_its_end_and_reaches_everybody():
    outcome = run_plan(find_plan("hamlet"), 1)
    total = outcome.value["delivery"]["total"]
    assert outcome.finished and outcome.held, outcome.violations[:3]
    assert total["delivered"] >= 0.95 * total["due"] > 0
    assert outcome.value["islands"]["begin"] == outcome.value["islands"]["end"]


def test_islands_find_each_other_by_lora_again_after_a_power_cut_within_the_law():
    outcome = run_plan(find_plan("islands"), 1)
    assert outcome.finished and outcome.held, outcome.violations[:3]
    assert "duty" in outcome.value["checked"]
    kinds = outcome.value["delivery"]["kinds"]
    (notes,) = (one for one in kinds if one["kind"] == "broadcast")
    assert notes["due"] > 0 and notes["delivered"] == notes["due"], "they cross the ridge"
    mill, church = outcome.value["radios"]
    assert [one["host"] for one in (mill, church)] == ["mill", "church"]
    assert [row["host"] for row in mill["hears"]] == ["church"]
    assert [row["host"] for row in church["hears"]] == ["mill"]
    assert 0 < church["hour_s"] < 360 and 0 < church["left_s"] < 360
    links = outcome.value["map"]["links"]
    assert [link["both_ways"] for link in links if link["medium"] == "lora"] == [True]
    assert any(one["medium"] == "lora" for one in outcome.value["sent"]["busiest"])
    assert any("By LoRa mill hears church" in said for said in sentences(outcome.as_json()))


def test_first_minutes_of_a_small_village():
    outcome = run_plan(shortened("village", 90.0, keep=4), 2)
    total = outcome.value["delivery"]["total"]
    assert outcome.finished and set(outcome.broken) <= THINNED, outcome.violations[:3]
    assert len(outcome.value["faults"]) == 4
    assert total["due"] and total["delivered"] >= 0.9 * total["reachable"]["due"]


def test_couriers_carry_notes_between_camps():
    outcome = run_plan(shortened("camp", 1500.0, keep=5), 1)
    total = outcome.value["delivery"]["total"]
    assert outcome.finished and set(outcome.broken) <= THINNED, outcome.violations[:3]
    assert total["delivered"] > total["reachable"]["due"], "nothing was carried further"


def test_villages_of_a_valley_reach_each_other_over_the_mountain():
    outcome = run_plan(shortened("valley", 60.0, keep=8), 1)
    total = outcome.value["delivery"]["total"]
    assert outcome.finished and set(outcome.broken) <= THINNED, outcome.violations[:3]
    assert total["reachable"]["due"] > 0
    assert total["delivered"] >= 0.9 * total["reachable"]["due"]


def test_stations_that_flood_and_the_same_hour_under_each_other_protocol():
    asked = set()
    for protocol in PROTOCOLS:
        plan = replace(find_plan("lora-flood", protocol), duration_s=1200.0, faults=())
        groups = tuple(replace(group, count=8, spread_m=2000.0) for group in plan.nodes)
        outcome = run_plan(replace(plan, nodes=groups, settle_s=300.0), 1)
        assert outcome.finished and outcome.held, outcome.violations[:3]
        kinds = outcome.value["delivery"]["kinds"]
        asked.add(tuple((one["asked"], one["due"], one["reachable"]["due"]) for one in kinds))
        notes = kinds[0]["reachable"]
        assert notes["delivered"] >= 0.6 * notes["due"] > 0, protocol
    assert len(asked) == 1
