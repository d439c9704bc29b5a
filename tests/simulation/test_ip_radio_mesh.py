"""Real nodes on a simulated WiFi channel: a village finds itself, a courier changes islands."""

import pytest

from meshd.core.events import Transmit
from meshd.simulation.media.ip_radio import IpRadio
from meshd.simulation.media.medium import Reception
from meshd.simulation.media.place import PathLoss, Walker
from meshd.simulation.plan.plan import MediumPlan, Step, Terrain
from meshd.simulation.tally import Listener, Tally
from meshd.simulation.world import SECOND, World

ROOFS = Terrain(loss_exponent=4.0, shadowing_db=1.0, asymmetry_db=1.0)
STEP_M = 40.0


def radio_world(seed, *places, terrain=ROOFS, loss=0.02):
    world = World(seed)
    plan = MediumPlan("w0", "ip-radio", multicast_loss=loss)
    world.add_medium(IpRadio(plan, PathLoss(terrain, seed), world))
    for place in places:
        world.add_host(media=("w0",), at=place)
    return world


def street(count, x_m=0.0):
    return [(x_m + STEP_M * number, 0.0) for number in range(count)]


def reached(world, host):
    return {
        other.name
        for other in world.hosts
        if other is not host
        and world.path(host, other.node.address)
        and world.path(other, host.node.address)
    }


def connected_within(world, limit_s):
    for _ in range(limit_s // 5):
        world.run(5 * SECOND)
        if world.connected():
            return True
    return False


def test_village_of_fifty_finds_itself():
    places = [(STEP_M * (number % 10), STEP_M * (number // 10)) for number in range(50)]
    world = radio_world(1, *places)
    tally = Tally(SECOND, 1)
    world.watch(Listener(world, tally))
    assert connected_within(world, 60), "seed 1"
    radio = world.media["w0"]
    assert radio.full == 0
    airtime_us = tally.totals()["airtime_us"]
    assert 0 < airtime_us / 50 < 0.05 * world.now, "airtime of each, on average"


@pytest.mark.parametrize("seed", [1, 2])
def test_courier_is_handed_from_island_to_island(seed):
    world = radio_world(seed, *street(3), *street(3, x_m=2_000.0))
    courier = world.add_host("courier", media=("w0",), at=(0, 20))
    walk = (Step(0, 40, 20), Step(30, 40, 20), Step(60, 2_040, 20), Step(90, 2_040, 20))
    Walker(walk, world.at, lambda place: courier.move(*place), again=False).begin(0)
    world.run(29 * SECOND)
    assert reached(world, courier) == {"n0", "n1", "n2"}, f"seed {seed}"
    world.run(16 * SECOND)
    assert reached(world, courier) == set(), f"seed {seed}"
    world.run(40 * SECOND)
    assert reached(world, courier) == {"n3", "n4", "n5"}, f"seed {seed}"
    assert reached(world, world.hosts[0]) == {"n1", "n2"}, f"seed {seed}"


def test_two_runs_of_a_seed_are_equal():
    def run(seed):
        world = radio_world(seed, *street(5), loss=0.2)
        tally = Tally(SECOND, 20)
        world.watch(Listener(world, tally))
        world.run(20 * SECOND)
        return [tally.bucket(place) for place in range(20)], world.processed

    assert run(3) == run(3) != run(4)


def test_half_of_all_multicast_lost_and_still_connected():
    world = radio_world(5, *street(5), loss=0.5)
    assert connected_within(world, 60), "seed 5"


@pytest.mark.parametrize(("spoiled", "times"), [(False, [5_000]), (True, [])])
def test_frame_that_is_put_off_arrives_once_and_then(spoiled, times):
    world = radio_world(1, *street(2))
    one, other = world.hosts
    seen = []
    other.hear = lambda port, source, datagram, *, multicast: seen.append(world.now)
    reception = Reception(other.ports["w0"], 1_000)
    sent = Transmit("w0", 5_353, other.ports["w0"].address, b"x")
    world.bring(one.ports["w0"], reception, sent, source=one.ports["w0"].address)
    one.crash()
    reception.arrives_us = 5_000
    world.at(3_000, lambda: setattr(reception, "spoiled", spoiled))
    world.run(10_000)
    assert seen == times
