"""Faults of a plan begin and end when they should, and leave nothing behind."""

import itertools

import pytest

from meshd.simulation.build import build_world
from meshd.simulation.observer import Observer
from meshd.simulation.plan.plan import BEHAVIOURS, FAULTS, Fault, NodeGroup, Plan, Terrain
from meshd.simulation.world import SECOND, World


def world_of(*faults: Fault, count: int = 4, seed: int = 1) -> World:
    terrain = Terrain(width_m=60.0, height_m=60.0)
    return build_world(
        Plan("p", terrain=terrain, nodes=(NodeGroup("n", count=count),), faults=faults), seed
    )


class Bells(Observer):
    """Keeps when faults begin and end."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rung: list[tuple[int, str, bool]] = []

    def fault(self, kind: str, text: str, *, begins: bool) -> None:
        self.rung.append((self.world.now // SECOND, f"{kind} {text}", begins))


def test_observers_hear_of_begin_and_end():
    world = world_of(Fault("crash", at_s=5, for_s=10, nodes="n2", disk="torn"))
    bells = Bells(world)
    world.watch(bells)
    world.run(20 * SECOND)
    assert bells.rung == [(5, "crash n2 disk torn", True), (15, "crash n2 disk torn", False)]


@pytest.mark.parametrize("kind", [kind for kind in FAULTS if kind != "hostile"])
def test_every_fault_ends_and_the_world_heals(kind):
    fault = Fault(kind, at_s=10, for_s=20, nodes="n[12]", delay_s=0.2, share=0.05)
    world = world_of(fault)
    world.run(31 * SECOND)
    assert not world.faults.active
    assert all(host.running for host in world.hosts)
    assert all(not host.disk.failing and not host.disk.slower_us for host in world.hosts)
    assert all(host.clock.wall_error_us == 0 for host in world.hosts)
    assert world.run_until(world.connected, 60 * SECOND)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_hostile_hosts_begin_and_end(behaviour):
    world = world_of(Fault("hostile", at_s=5, for_s=10, nodes="n1", behaviour=behaviour))
    world.run(30 * SECOND)


@pytest.mark.parametrize("mode", ["", "uniform", "isolate", "one-way"])
def test_partition_cuts_somebody_off(mode):
    world = world_of(Fault("partition", at_s=20, for_s=90, nodes="n1", mode=mode))
    assert world.run_until(world.connected, 20 * SECOND)
    world.run(21 * SECOND)
    assert not world.connected()


def test_overlapping_crashes_hold_a_host_off_until_the_last_ends():
    world = world_of(
        Fault("crash", at_s=5, for_s=20, nodes="n1"), Fault("crash", at_s=10, for_s=5, nodes="n*")
    )
    world.run(16 * SECOND)
    assert [host.running for host in world.hosts] == [False, True, True, True]
    world.run(10 * SECOND)
    assert world.hosts[0].running


def test_churn_has_one_host_off_at_a_time():
    world = world_of(Fault("churn", at_s=2, for_s=40, delay_s=5.0))
    world.run(3 * SECOND)
    off = []
    for _ in range(7):
        down = [host.name for host in world.hosts if not host.running]
        assert len(down) == 1
        off += down
        world.run(5 * SECOND)
    assert all(one != other for one, other in itertools.pairwise(off))
    world.run(10 * SECOND)
    assert all(host.running for host in world.hosts)


@pytest.mark.parametrize("disk", ["kept", "empty"])
def test_churn_leaves_its_hosts_the_disk_that_the_plan_says(disk):
    world = world_of(Fault("churn", at_s=2, for_s=40, nodes="n[12]", delay_s=5.0, disk=disk))
    before = [host.store for host in world.hosts]
    world.run(50 * SECOND)
    kept = [host.store is store for host, store in zip(world.hosts, before, strict=True)]
    assert kept == [disk == "kept"] * 2 + [True, True]
