"""The daemon's own Node, a hundred at a time, under virtual time: routing."""

from random import Random

import pytest

from meshd.simulation.world import SECOND, Edge, World

SEEDS = (1, 2, 3)


def pairs_without_path(world: World) -> list[tuple[str, str]]:
    return [
        (one.name, other.name)
        for one in world.hosts
        for other in world.hosts
        if one is not other and world.path(one, other.node.address) is None
    ]


def loops(world: World) -> list[str]:
    """Return destinations towards which somebody's packets would go round."""
    found = []
    for target in world.hosts:
        for start in world.hosts:
            here, seen = start, set()
            while here is not None and here is not target and here.number not in seen:
                seen.add(here.number)
                hop = here.routes.get(target.node.address)
                here = world.find(hop.next_hop) if hop else None
            if here is not None and here is not target:
                found.append(f"{start.name} to {target.name}")
    return found


def test_hundred_nodes_in_one_process_reach_each_other():
    world = World(1)
    world.add_grid(10, 10)
    assert world.run_until(world.connected, 10 * SECOND), pairs_without_path(world)[:5]
    world.run(60 * SECOND)
    assert world.connected()
    assert loops(world) == []


def test_same_seed_gives_the_same_run():
    def play(seed: int) -> list[object]:
        world = World(seed)
        hosts = world.add_grid(3, 3)
        world.run(30 * SECOND)
        world.cut(hosts[0], hosts[1])
        world.run(60 * SECOND)
        return [world.processed, [host.routes for host in hosts]]

    assert play(5) == play(5)
    assert play(5) != play(6)


@pytest.mark.parametrize("seed", SEEDS)
def test_silent_cut_is_routed_around_without_a_loop(seed):
    world = World(seed)
    hosts = world.add_grid(4, 4)
    assert world.run_until(world.connected, 10 * SECOND)
    world.run(20 * SECOND)
    world.cut(hosts[5], hosts[6])
    for _ in range(600):
        world.run(SECOND // 10)
        assert loops(world) == []
    assert world.connected(), pairs_without_path(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_churn_and_loss_never_make_a_loop_and_heal(seed):
    world = World(seed)
    hosts = world.add_grid(4, 4)
    world.run(10 * SECOND)
    rng = Random(seed)
    pairs = [(one, other) for one, other in world.edges if one < other]
    down: list[tuple[int, int]] = []
    for _ in range(40):
        if len(down) > 3:
            one, other = down.pop(rng.randrange(len(down)))
            world.link(hosts[one], hosts[other], Edge(loss=rng.choice((0.0, 0.2))))
        pick = rng.choice(pairs)
        if pick not in down and pick in world.edges:
            world.cut(hosts[pick[0]], hosts[pick[1]])
            down.append(pick)
        for _ in range(5):
            world.run(SECOND)
            assert loops(world) == [], f"seed {seed}"
    for one, other in pairs:
        world.link(hosts[one], hosts[other])
    assert world.run_until(world.connected, 120 * SECOND), pairs_without_path(world)


@pytest.mark.parametrize("rolled_back", [False, True])
@pytest.mark.parametrize("down_us", [SECOND // 2, 5 * SECOND])
def test_node_that_lost_power_is_reachable_again_within_a_second(rolled_back, down_us):
    world = World(7)
    hosts = world.add_grid(3, 3)
    assert world.run_until(world.connected, 10 * SECOND)
    before = dict(hosts[4].store.metas)
    for _ in range(3):
        world.run(30 * SECOND)
        hosts[4].crash()
        world.run(SECOND)
        hosts[4].start()
    world.run(30 * SECOND)
    hosts[4].crash()
    if rolled_back:
        hosts[4].store.metas.clear()
        hosts[4].store.metas.update(before)
    world.run(down_us)
    hosts[4].start()
    reached = world.run_until(
        lambda: all(
            world.path(host, hosts[4].node.address) and world.path(hosts[4], host.node.address)
            for host in hosts
            if host is not hosts[4]
        ),
        SECOND,
    )
    assert reached, pairs_without_path(world)


def test_partition_ends_and_both_halves_meet_again():
    world = World(3)
    hosts = world.add_line(6)
    assert world.run_until(world.connected, 10 * SECOND)
    world.cut(hosts[2], hosts[3])
    world.run(120 * SECOND)
    assert world.path(hosts[0], hosts[5].node.address) is None
    assert hosts[0].routes.keys() == {host.node.address for host in hosts[1:3]}
    world.link(hosts[2], hosts[3])
    assert world.run_until(world.connected, 10 * SECOND)


def test_lossy_multicast_still_converges():
    world = World(9)
    hosts = [world.add_host() for _ in range(16)]
    for place, host in enumerate(hosts):
        if (place + 1) % 4:
            world.link(host, hosts[place + 1], Edge(loss=0.4))
        if place + 4 < 16:
            world.link(host, hosts[place + 4], Edge(loss=0.4))
    assert world.run_until(world.connected, 60 * SECOND), pairs_without_path(world)


def test_all_that_lies_beyond_the_last_link_is_had_back_together():
    """Two ways lead to many nodes; when the short one goes, nothing that is left is feasible."""
    world = World(1)
    near, short, long, longer, *hubs = (world.add_host() for _ in range(6))
    for one, other in [(near, short), (short, hubs[0]), (near, long), (long, longer)]:
        world.link(one, other)
    world.link(longer, hubs[0])
    world.link(*hubs)
    for hub in hubs:
        for _ in range(40):
            world.link(hub, world.add_host())
    assert world.run_until(world.connected, 10 * SECOND)
    world.run(40 * SECOND)
    short.input(short.node.stop)
    world.run(SECOND)
    short.crash()
    world.run(SECOND)
    rest = [host for host in world.hosts if host is not short]
    assert world.connected(rest), len(near.routes)
