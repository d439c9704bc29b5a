"""Whole nodes in a row: real routing, sessions, spaces, files and sync, under virtual time."""

import pytest

from meshd.simulation.world import SECOND, World

SEEDS = [1, 2, 3]


def row(seed, count=5):
    """A row of nodes: the first founds a space, the last is a writer, those between are relays."""
    world = World(seed)
    hosts = world.add_line(count)
    world.run(20 * SECOND)
    hosts[0].ask("space.create", name="home")
    for place, host in enumerate(hosts[1:], 1):
        role = "writer" if place == count - 1 else "relay"
        url = hosts[0].ask("invite", space="home", role=role)["url"]
        host.ask("join", url=url)
    world.run(20 * SECOND)
    return world, hosts


def texts(host):
    entries = host.ask("log", space="home")["entries"]
    return [entry["text"] for entry in entries if "text" in entry]


@pytest.mark.parametrize("seed", SEEDS)
def test_note_is_read_four_hops_away_and_soon(seed):
    world, hosts = row(seed)
    first, last = hosts[0], hosts[-1]
    (space,) = last.node.spaces.all()
    author = first.node.spaces.all()[0].author
    before = space.feeds[author].seq
    first.ask("post", space="home", text="hello over there")
    start = world.now
    assert world.run_until(lambda: space.feeds[author].seq > before, SECOND)
    assert world.now - start <= 200_000
    world.run(SECOND)
    assert texts(last) == ["hello over there"]
    kept = first.ask("wait", space="home", seq=before + 1, kept=1)
    assert kept["kept_by"]


@pytest.mark.parametrize("seed", SEEDS)
def test_cut_row_is_written_on_both_sides_and_heals_to_the_same(seed):
    world, hosts = row(seed)
    world.cut(hosts[2], hosts[3])
    hosts[0].ask("post", space="home", text="left")
    hosts[-1].ask("post", space="home", text="right")
    world.run(30 * SECOND)
    assert texts(hosts[0]) == ["left"]
    assert texts(hosts[-1]) == ["right"]
    world.link(hosts[2], hosts[3])
    world.run(60 * SECOND)
    assert sorted(texts(hosts[0])) == sorted(texts(hosts[-1])) == ["left", "right"]
    heads = [
        {author: feed.hash32 for author, feed in host.node.spaces.all()[0].feeds.items()}
        for host in hosts
    ]
    assert all(each == heads[0] for each in heads)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_that_was_written_is_lost_by_a_crash_during_sync(seed):
    world, hosts = row(seed, count=3)
    first, relay, last = hosts
    for number in range(30):
        first.ask("post", space="home", text=f"note {number}")
        if number % 7 == seed:
            relay.crash()
            world.run(SECOND // 10)
            relay.start()
    world.run(60 * SECOND)
    assert texts(last) == [f"note {number}" for number in range(30)]


@pytest.mark.parametrize("seed", SEEDS)
def test_far_members_who_found_each_other_in_pairs_hear_of_all(seed):
    """Between any two members stands a node that has nothing to do with their space."""
    world = World(seed)
    members = world.add_line(11)[::2]
    assert world.run_until(world.connected, 20 * SECOND)
    members[0].ask("space.create", name="home")
    url = members[0].ask("invite", space="home", role="writer", uses=9)["url"]
    for member in members[1:]:
        member.ask("join", url=url)
    world.run(60 * SECOND)
    for member in members:
        member.request("post", space="home", text=f"{member.name} is here")
    world.run(300 * SECOND)
    assert {len(texts(member)) for member in members} == {6}
    ups = [sum(notice.kind == "session-up" for notice in member.notices) for member in members]
    assert max(ups) < 20


def test_relay_far_from_all_members_is_kept_up_to_date():
    """It cannot read who the members are, but knows with whom it shared the space."""
    world = World(3)
    hosts = world.add_line(4)
    assert world.run_until(world.connected, 20 * SECOND)
    hosts[0].ask("space.create", name="home")
    for host, role in ((hosts[1], "writer"), (hosts[3], "relay")):
        url = hosts[0].ask("invite", space="home", role=role)["url"]
        host.ask("join", url=url)
    world.run(5 * SECOND)
    for number in range(3):
        hosts[0].ask("post", space="home", text=f"note {number}")
        world.run(20 * SECOND)
    assert hosts[3].store.entries == hosts[0].store.entries


@pytest.mark.parametrize("seed", SEEDS)
def test_pairs_of_neighbours_beyond_strangers_hear_of_each_other(seed):
    """Each of four members has a neighbour that carries the space: and yet looks further."""
    world = World(seed)
    hosts = world.add_line(6)
    assert world.run_until(world.connected, 20 * SECOND)
    members = [hosts[place] for place in (0, 1, 4, 5)]
    members[0].ask("space.create", name="home")
    url = members[0].ask("invite", space="home", role="writer", uses=9)["url"]
    for member in members[1:]:
        member.ask("join", url=url)
    world.run(400 * SECOND)
    for member in members:
        member.ask("post", space="home", text=f"{member.name} is here")
    assert world.run_until(lambda: {len(texts(each)) for each in members} == {4}, 600 * SECOND)


def test_relay_that_forgot_its_members_by_a_restart_is_found_by_them():
    """The members beside each other have no need of it, and it does not know whom to ask."""
    world = World(4)
    hosts = world.add_line(4)
    assert world.run_until(world.connected, 20 * SECOND)
    hosts[0].ask("space.create", name="home")
    for host, role in ((hosts[1], "writer"), (hosts[3], "relay")):
        url = hosts[0].ask("invite", space="home", role=role)["url"]
        host.ask("join", url=url)
    world.run(5 * SECOND)
    hosts[3].crash()
    hosts[3].start()
    hosts[0].ask("post", space="home", text="news")
    assert world.run_until(lambda: hosts[3].store.entries == hosts[0].store.entries, 300 * SECOND)
