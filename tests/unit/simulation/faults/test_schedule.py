"""Faults of a plan begin and end when they should, and leave nothing behind."""

import itertools

import pytest

from meshd.simulation.anyworld import AnyHost
from meshd.simulation.build import build_world
from meshd.simulation.media.medium import Port
from meshd.simulation.observer import Observer
from meshd.simulation.plan.plan import FAULTS, IP_BEHAVIOURS, Fault, NodeGroup, Plan, Terrain
from meshd.simulation.world import SECOND, World

IN_SPACES = ("withhold", "fork", "usurp", "forge")


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


class Boots(Observer):
    """Keeps which hosts start, and when."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen: list[tuple[str, int]] = []

    def started(self, host: AnyHost) -> None:
        self.seen.append((host.name, self.world.now // SECOND))


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


class HostileFrames(Observer):
    """Keeps who sent hostile frames, and in which seconds."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sent: list[tuple[str, int]] = []

    def hostile_sent(self, port: Port, size: int, airtime_us: int) -> None:
        self.sent.append((port.host.name, self.world.now // SECOND))


@pytest.mark.parametrize("behaviour", [kind for kind in IP_BEHAVIOURS if kind not in IN_SPACES])
def test_hostile_hosts_send_from_begin_to_end(behaviour):
    world = world_of(Fault("hostile", at_s=5, for_s=10, nodes="n1", behaviour=behaviour))
    frames = HostileFrames(world)
    world.watch(frames)
    world.run(30 * SECOND)
    assert {name for name, _ in frames.sent} == {"n1"}
    seconds = [second for _, second in frames.sent]
    assert (min(seconds), max(seconds)) == (5, 14)


def test_copy_of_a_card_runs_from_begin_to_end():
    world = world_of(Fault("hostile", at_s=5, for_s=10, nodes="n1", behaviour="fork"))
    world.run(4 * SECOND)
    assert len(world.hosts) == 4
    world.run(6 * SECOND)
    assert world.hosts[4].running and world.hosts[4].identity == world.hosts[0].identity
    world.run(6 * SECOND)
    assert [host.running for host in world.hosts] == [True, True, True, True, False]


@pytest.mark.parametrize("behaviour", ["withhold", "usurp", "forge"])
def test_hostile_members_go_on_to_the_end(behaviour):
    world = world_of(Fault("hostile", at_s=5, for_s=10, nodes="n1", behaviour=behaviour))
    boots = Boots(world)
    world.watch(boots)
    world.run(30 * SECOND)
    assert boots.seen == [("n1", 15)], "its sessions begin anew when it is honest again"


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
