"""Each attack really happens, and when it is over the others are as they were before."""

import pytest

from meshd.simulation.checks import all_checkers
from meshd.simulation.faults import attacks
from meshd.simulation.faults.network import Split
from meshd.simulation.plan.plan import BEHAVIOURS, Fault, Plan
from meshd.simulation.world import SECOND, World

SETTLE_S = 280
"""A copy of a card begins 64 seqnos later; who heard it forgets that 180 s after it is gone."""


def camp(count=4):
    """A line of members of one space, the last one goes bad later."""
    world = World(5)
    hosts = world.add_line(count)
    assert world.run_until(world.connected, 10 * SECOND)
    hosts[0].ask("space.create", name="camp")
    url = hosts[0].ask("invite", space="camp", role="writer", uses=count)["url"]
    for host in hosts[1:]:
        host.ask("join", url=url)
    world.run(2 * SECOND)
    return world, hosts


def attack(world, behaviour, **more):
    fault = Fault("hostile", 0, 50, nodes="n3", behaviour=behaviour, **more)
    plan = Plan(behaviour, duration_s=80, settle_s=SETTLE_S, faults=(fault,))
    checkers = all_checkers(world, plan)
    for checker in checkers:
        world.watch(checker)
    return attacks.begin(world, world.hosts[3], fault), checkers


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_world_is_whole_after_an_attack(behaviour):
    world, hosts = camp()
    begun, checkers = attack(world, behaviour, count=50, other="n0")
    if behaviour == "fork":
        world.link(begun.twin, hosts[1])
    for number in range(8):
        hosts[number % 4].request("post", space="camp", text=f"during the attack, {number}")
        world.run(5 * SECOND)
    begun.end()
    world.run((SETTLE_S + 40) * SECOND)
    for checker in checkers:
        checker.finished()
    assert [checker.violations for checker in checkers if checker.violations] == []


def test_forged_origin_draws_the_traffic_of_its_victim():
    world, hosts = camp()
    begun, _ = attack(world, "forged-origin", other="n0")
    world.run(5 * SECOND)
    assert hosts[2].node.routing.route_to(hosts[0].node.address)[1] == hosts[3].ports["w0"].address
    begun.end()


def test_one_radio_is_many_neighbours():
    world, hosts = camp()
    begun, _ = attack(world, "identities", count=10_000)
    world.run(10 * SECOND)
    begun.end()
    assert len(hosts[2].node.routing.neighbours(hosts[2].now)) > 40
    assert hosts[2].node.snapshot(hosts[2].now).drops


def test_withheld_entries_do_not_pass():
    world, hosts = camp()
    begun, _ = attack(world, "withhold")
    hosts[3].request("post", space="camp", text="kept to myself")
    world.run(10 * SECOND)
    feeds = [len(feed) for feed in hosts[3].store.entries.values()]
    assert sum(feeds) == sum(len(feed) for feed in hosts[0].store.entries.values()) + 1
    begun.end()


def test_copied_card_is_named():
    world, hosts = camp()
    begun, _ = attack(world, "fork")
    world.link(begun.twin, hosts[1])
    world.run(40 * SECOND)
    begun.end()
    assert world.notices("node-twin") or world.notices("fork")


def test_attacker_reaches_nobody_past_a_partition():
    world, hosts = camp()
    world.faults.begin(Split(frozenset({3})))
    before = hosts[2].node.snapshot(hosts[2].now).drops
    begun, _ = attack(world, "junk", count=50)
    world.run(10 * SECOND)
    begun.end()
    assert hosts[2].node.snapshot(hosts[2].now).drops == before
