"""From a plan to a world: media, places, clocks and walkers as the plan says."""

import pytest

from meshd.core.errors import UsageError
from meshd.simulation.build import build_world
from meshd.simulation.plan.plan import MediumPlan, NodeGroup, Plan, Step, Terrain
from meshd.simulation.world import DEFAULT, SECOND

WIFI = MediumPlan("wifi", "ip-radio")
CABLE = MediumPlan("cable", "wire", between=(("roof", "n*"),), delay_us=300)
SMALL = Terrain(width_m=100.0, height_m=100.0)


def test_hosts_are_on_the_media_that_the_plan_says():
    plan = Plan(
        "p",
        terrain=SMALL,
        media=(WIFI, CABLE, MediumPlan("other", "ip-radio", frequency_mhz=5200.0)),
        nodes=(NodeGroup("n", count=2), NodeGroup("roof", media=("other",)), NodeGroup("far")),
    )
    world = build_world(plan, 1)
    assert [(host.name, list(host.ports)) for host in world.hosts] == [
        ("n1", ["wifi", "cable"]),
        ("n2", ["wifi", "cable"]),
        ("roof", ["other", "cable"]),
        ("far", ["wifi"]),
    ]
    tied = {(one.host.name, other.host.name) for one, other, _ in world.media["cable"].ways()}
    assert tied == {("roof", "n1"), ("n1", "roof"), ("roof", "n2"), ("n2", "roof")}


def test_built_world_connects_over_radio_and_wire():
    plan = Plan(
        "p",
        terrain=SMALL,
        media=(WIFI, CABLE, MediumPlan("other", "ip-radio", frequency_mhz=5200.0)),
        nodes=(NodeGroup("n", count=4), NodeGroup("roof", media=("other",))),
    )
    world = build_world(plan, 1)
    assert world.run_until(world.connected, 20 * SECOND)
    hop = world.hosts[0].routes[world.hosts[4].node.address]
    assert hop.link == "cable"


def test_plan_without_media_has_one_radio():
    world = build_world(Plan("p", terrain=SMALL, nodes=(NodeGroup("n", count=3),)), 1)
    assert list(world.media) == [DEFAULT]
    assert world.run_until(world.connected, 20 * SECOND)


def test_clocks_differ_from_host_to_host_and_know_the_time_as_planned():
    groups = (
        NodeGroup("a", clock_ppm=100.0),
        NodeGroup("b", wall_offset_s=-5.0),
        NodeGroup("c", wall_offset_s=None),
    )
    world = build_world(Plan("p", terrain=SMALL, nodes=groups), 1)
    assert len({host.now for host in world.hosts}) == 3
    before = [host.now for host in world.hosts]
    world.run(10 * SECOND)
    gained = [host.now - was - 10 * SECOND for host, was in zip(world.hosts, before, strict=True)]
    assert gained[0] in (1000, 1001) and gained[1:] == [0, 0]
    assert [host.clock.wall_error_us for host in world.hosts] == [0, -5 * SECOND, None]


def test_walker_is_where_its_steps_say():
    walk = (Step(0.0, 0.0, 50.0), Step(10.0, 100.0, 50.0))
    group = NodeGroup("w", walk=walk, walk_again=False)
    world = build_world(Plan("p", terrain=SMALL, nodes=(group,)), 1)
    assert world.hosts[0].position == (0.0, 50.0)
    world.run(5 * SECOND)
    assert world.hosts[0].position == (50.0, 50.0)
    world.run(60 * SECOND)
    assert world.hosts[0].position == (100.0, 50.0)


def test_what_meshd_cannot_run_on_is_refused():
    lora = MediumPlan("air", "lora")
    with pytest.raises(UsageError, match="bandwidth"):
        build_world(Plan("p", media=(lora,), nodes=(NodeGroup("n"),)), 1)
    with pytest.raises(UsageError, match="managed-flood"):
        build_world(Plan("p", protocol="managed-flood"), 1)
