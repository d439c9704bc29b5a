"""LoRa channels of a plan: radios beside IP ports or alone, walkers, the law of a region."""

from dataclasses import replace

import pytest

from meshd.core.airtime import airtime_us
from meshd.core.errors import UsageError
from meshd.simulation.build import build_world
from meshd.simulation.lora.medium import band_of, radios, setting_of
from meshd.simulation.media.modules import MODULES, module_of
from meshd.simulation.observer import Observer
from meshd.simulation.plan.plan import MediumPlan, NodeGroup, Plan, Step, Terrain, Traffic
from meshd.simulation.run import run_plan
from meshd.simulation.world import SECOND

AIR = MediumPlan(
    "air",
    "lora",
    tx_dbm=14.0,
    frequency_mhz=868.3,
    bandwidth_khz=125.0,
    spreading_factor=7,
    preamble=8,
    region="EU868",
)
ROOF = MediumPlan("roof", "ip-radio")
FLAT = Terrain(20_000, 1_000, loss_exponent=2.7, shadowing_db=0.0, asymmetry_db=0.0)


def world_of(*nodes, media=(ROOF, AIR)):
    return build_world(Plan("test", terrain=FLAT, media=media, nodes=nodes), 1)


def at(name, x_m, *media, walk=()):
    return NodeGroup(name, media=media, x_m=x_m, y_m=500.0, walk=walk, walk_again=False)


def heard(world):
    return {one["host"]: [row["host"] for row in one["hears"]] for one in radios(world)}


def test_radios_beside_ports_and_alone_hear_each_other():
    world = world_of(at("one", 100.0, "roof", "air"), at("two", 800.0, "air"))
    one, two = world.hosts
    assert list(one.ports) == ["roof"] and not two.ports
    world.run(10 * SECOND)
    assert heard(world) == {"one": ["two"], "two": ["one"]}


def test_host_of_no_lora_channel_has_no_radio():
    world = world_of(at("one", 100.0, "roof", "air"), at("two", 150.0, "roof"))
    assert world.hosts[1].lora is None
    world.run(5 * SECOND)
    assert heard(world) == {"one": []}


def test_who_walks_into_range_is_heard_then():
    walk = (Step(0, 15_000.0, 500.0), Step(60, 15_000.0, 500.0), Step(61, 500.0, 500.0))
    world = world_of(at("one", 100.0, "air"), at("two", 15_000.0, "air", walk=walk))
    world.run(50 * SECOND)
    assert heard(world) == {"one": [], "two": []}
    assert not list(world.airs["air"].ways())
    world.run(200 * SECOND)
    assert heard(world) == {"one": ["two"], "two": ["one"]}
    assert len(list(world.airs["air"].ways())) == 2


def test_who_has_no_power_is_heard_by_nobody():
    world = world_of(at("one", 100.0, "air"), at("two", 800.0, "air"))
    world.hosts[1].crash()
    world.run(10 * SECOND)
    assert heard(world) == {"one": []}
    world.hosts[1].start()
    world.run(30 * SECOND)
    assert heard(world) == {"one": ["two"], "two": ["one"]}


def test_first_medium_may_be_lora_for_who_names_none():
    world = world_of(at("one", 100.0), media=(AIR,))
    assert world.hosts[0].lora is not None and not world.hosts[0].ports


def test_plan_without_a_region_or_with_two_radios_is_refused():
    with pytest.raises(UsageError, match="no region"):
        band_of(MediumPlan("air", "lora", bandwidth_khz=125.0))
    with pytest.raises(UsageError, match="LoRa radio already"):
        other = MediumPlan(**{**{n: getattr(AIR, n) for n in AIR.__slots__}, "name": "other"})
        world_of(at("one", 100.0, "air", "other"), media=(AIR, other))
    with pytest.raises(UsageError, match="modem"):
        setting_of(MediumPlan("air", "lora", modem="rnod"))


@pytest.mark.parametrize("name", ("", *MODULES))
def test_note_goes_by_every_module_within_its_limits(name):
    media = (replace(AIR, modem=name),)
    people = (Traffic("broadcast", nodes="one", every_s=20.0, size=400, start_s=30.0),)
    places = (at("one", 100.0), at("two", 800.0))
    plan = Plan("test", "", 60.0, 120.0, terrain=FLAT, media=media, nodes=places, traffic=people)
    sizes = Sizes()
    outcome = run_plan(plan, 8, observers=[lambda world, _: sizes.of(world)])
    total = outcome.value["delivery"]["total"]
    assert total["delivered"] == total["due"] > 0 and outcome.held, outcome.violations
    module = module_of(name)
    assert max(sizes.frames) <= module.frame_max
    assert sorted(map(module.on_air, sizes.frames)) == sorted(sizes.air)
    (link,) = {host.node.radios.links["lora0"].radio for host in sizes.hosts}
    assert (link.frame_max, link.listens) == (module.frame_max, module.listens)
    assert link.airtimes_us[100] == airtime_us(link.modulation, module.on_air(100))


class Sizes(Observer):
    """Frames as nodes hand them over, and as they are on the air."""

    def __init__(self):
        self.frames, self.air, self.hosts = [], [], []

    def of(self, world):
        self.hosts = world.hosts
        return self

    def radio_sent(self, host, frame):
        self.frames.append(len(frame))

    def frame_sent(self, name, purpose, size, airtime_us):
        self.air.append(size)


def test_module_that_listens_to_nobody_talks_into_what_is_on_the_air():
    talks = {}
    for name in ("rak3172", "rn2483"):
        world = world_of(at("one", 100.0), at("two", 800.0), media=(replace(AIR, modem=name),))
        world.run(30 * SECOND)
        one, two = (host.lora.radio for host in world.hosts)
        if not one.sending:
            one.transmit(bytes(200), "test")
        world.run(100_000)
        sent = two.sent_frames
        world.hosts[1].lora.transmit(bytes(20))
        talks[name] = two.sent_frames - sent
    assert talks == {"rak3172": 0, "rn2483": 1}


def test_module_has_its_own_bandwidths():
    with pytest.raises(UsageError, match=r"62\.5 kHz: rn2483 can be set to 125, 250 or 500"):
        setting_of(replace(AIR, modem="rn2483", bandwidth_khz=62.5))
