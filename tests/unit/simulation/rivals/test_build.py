"""Rivals as plans: the same places, links and people score each."""

from dataclasses import replace

import pytest

from meshd.core.errors import UsageError
from meshd.simulation.build import build_world
from meshd.simulation.observer import Observer
from meshd.simulation.plan.plan import (
    PROTOCOLS,
    Fault,
    MediumPlan,
    NodeGroup,
    Plan,
    Step,
    Sun,
    Terrain,
    Traffic,
)
from meshd.simulation.rivals.build import PAYLOAD_MAX, build
from meshd.simulation.run import run_plan
from meshd.simulation.schedule import SECOND

RADIO = MediumPlan(
    "l0", "lora", tx_dbm=14.0, frequency_mhz=868.1, bandwidth_khz=250.0, spreading_factor=9
)
VALLEY = Plan(
    "valley",
    duration_s=1800.0,
    settle_s=300.0,
    protocol="managed-flood",
    terrain=Terrain(3_000.0, 3_000.0, 3.5),
    media=(RADIO,),
    nodes=(NodeGroup("n", 12),),
    traffic=(Traffic("broadcast", every_s=600.0), Traffic("direct", every_s=900.0)),
)
RIVALS = sorted(PAYLOAD_MAX)


def plan(protocol, **changes):
    return replace(VALLEY, protocol=protocol, **changes)


@pytest.mark.parametrize("protocol", RIVALS)
def test_plan_of_a_rival_runs_and_is_scored(protocol):
    value = run_plan(plan(protocol), 1).as_json()
    kinds = {item["kind"]: item for item in value["delivery"]["kinds"]}
    assert kinds["broadcast"]["asked"] > 20 and kinds["direct"]["asked"] > 10
    assert kinds["broadcast"]["reachable"]["percent"] > 50
    assert kinds["direct"]["reachable"]["percent"] > 40
    assert value["sent"]["by_purpose"]["data"]["airtime_us"] > 0
    assert value["map"]["links"] and value["held"]


@pytest.mark.parametrize("protocol", RIVALS)
def test_two_runs_of_one_seed_are_equal(protocol):
    short = plan(protocol, duration_s=600.0)
    assert run_plan(short, 4).text() == run_plan(short, 4).text()


def test_every_protocol_sees_the_same_places_links_and_people():
    outcomes = [run_plan(plan(protocol, duration_s=600.0), 2).as_json() for protocol in RIVALS]
    assert outcomes[0]["map"] == outcomes[1]["map"] == outcomes[2]["map"]
    asked = [
        [(item["kind"], item["asked"], item["due"]) for item in one["delivery"]["kinds"]]
        for one in outcomes
    ]
    assert asked[0] == asked[1] == asked[2]


FIELD = replace(
    VALLEY,
    duration_s=900.0,
    terrain=Terrain(30_000.0, 3_000.0, 3.5),
    nodes=(
        NodeGroup("n", 8, x_m=1_500.0, y_m=1_500.0, spread_m=1_500.0),
        NodeGroup("far", x_m=29_000.0, y_m=1_500.0),
    ),
    media=(replace(RADIO, frequency_mhz=869.525, tx_dbm=20.0, region="EU868"),),
    traffic=(Traffic("broadcast", every_s=900.0), Traffic("message", every_s=900.0)),
)


def test_one_plan_is_played_and_scored_for_meshd_and_each_rival():
    runs = {name: run_plan(replace(FIELD, protocol=name), 2).as_json() for name in PROTOCOLS}
    asked = []
    for name, value in runs.items():
        assert value["held"], (name, value["violations"][:2])
        kinds = {item["kind"]: item for item in value["delivery"]["kinds"]}
        asked.append(
            [(one["asked"], one["due"], one["reachable"]["due"]) for one in kinds.values()]
        )
        assert all(one["delivered"] > 0 for one in kinds.values()), name
    assert asked[1:] == asked[:-1] and 0 < asked[0][0][2] < asked[0][0][1]
    maps = [value["map"] for value in runs.values()]
    assert [[one["hosts"], one["links_total"]] for one in maps] == [
        [maps[0]["hosts"], maps[0]["links_total"]]
    ] * len(maps)
    message = {item["kind"]: item for item in runs["meshd"]["delivery"]["kinds"]}["message"]
    assert message["reachable"]["percent"] == 100.0


def test_rivals_stand_where_meshd_would():
    mesh = build_world(replace(VALLEY, protocol="meshd", media=()), 3)
    rivals = build(VALLEY, 3)
    assert [(host.name, host.position) for host in mesh.hosts] == [
        (host.name, (host.x_m, host.y_m)) for host in rivals.hosts
    ]


class Lives(Observer):
    def __init__(self):
        self.seen = []

    def started(self, host):
        self.seen.append(("started", host.name))

    def crashed(self, host):
        self.seen.append(("crashed", host.name))


@pytest.mark.parametrize("protocol", RIVALS)
def test_station_without_power_is_silent_and_forgets(protocol):
    line = (NodeGroup("n", 3, layout="line", spread_m=300.0),)
    crash = (Fault("crash", 600.0, 60.0, nodes="n2"),)
    world = build(plan(protocol, nodes=line, faults=crash), 1)
    lives = Lives()
    world.watch(lives)
    world.run(601 * SECOND)
    host = world.hosts[1]
    sent = host.radio.sent_frames
    with pytest.raises(UsageError, match="n2 is off"):
        host.send_broadcast(b"x")
    world.hosts[0].send_broadcast(b"x")
    world.run(58 * SECOND)
    assert host.radio.sent_frames == sent
    world.run(600 * SECOND)
    assert host.running
    assert lives.seen == [("crashed", "n2"), ("started", "n2")]


def test_walker_is_heard_where_it_comes_to():
    far = (Step(0.0, 0.0, 0.0), Step(600.0, 3_000.0, 3_000.0))
    groups = (
        NodeGroup("home", x_m=3_000.0, y_m=3_000.0, spread_m=0.0),
        NodeGroup("walker", walk=far, walk_again=False),
    )
    world = build(plan("managed-flood", nodes=groups), 1)
    got = []
    world.happened = lambda host, event: got.append((host.name, type(event).__name__))
    walker = world.hosts[1]
    walker.send_broadcast(b"far")
    world.run(300 * SECOND)
    assert ("home", "Delivered") not in got
    world.run(400 * SECOND)
    walker.send_broadcast(b"near")
    world.run(60 * SECOND)
    assert ("home", "Delivered") in got


def test_station_lives_by_the_sun():
    night = Sun(battery_wh=1.0, panel_w=0.0, load_w=1.0)
    world = build(plan("managed-flood", nodes=(NodeGroup("n", 2, sun=night),)), 1)
    world.run(4 * 3_600 * SECOND)
    assert [host.running for host in world.hosts] == [False, False]


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"protocol": "meshd"}, "no rival"),
        ({"media": ()}, "needs a medium"),
        ({"faults": (Fault("clog", 1.0),)}, "no fault 'clog'"),
        ({"traffic": (Traffic("file"),)}, "no files"),
        ({"traffic": (Traffic("broadcast", size=500),)}, "500 bytes"),
        ({"media": (replace(RADIO, modem="pigeon"),)}, "pigeon"),
        ({"media": (replace(RADIO, spreading_factor=13),)}, "spreading factor 13"),
    ],
)
def test_plan_that_a_rival_cannot_do_is_refused(changes, says):
    with pytest.raises(UsageError, match=says):
        build(replace(VALLEY, **changes), 1)
