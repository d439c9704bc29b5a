"""What a simulated device does to its node: power, disks in every state, clocks."""

import pytest

from meshd.core.errors import UsageError
from meshd.simulation.clock import Clock
from meshd.simulation.world import SECOND, World


def writer(seed: int = 1):
    world = World(seed)
    host = world.add_host("a")
    host.ask("space.create", name="camp")
    return world, host


def texts(host) -> list[str]:
    found = host.ask("log", space="camp", limit=500)["entries"]
    return [str(entry["text"]) for entry in found if "text" in entry]


def post(host, text: str) -> None:
    host.ask("post", space="camp", text=text)


def test_kept_disk_has_what_was_committed_and_nothing_else():
    _, host = writer()
    post(host, "one")
    host.request("post", space="camp", text="two")
    host.crash()
    host.start()
    assert texts(host) == ["one"]
    assert host.node.boot == 2


def test_torn_disk_has_some_first_part_of_what_was_under_way():
    found = set()
    for seed in range(12):
        _, host = writer(seed)
        post(host, "sure")
        for number in range(3):
            host.request("post", space="camp", text=f"note {number}")
        host.crash()
        host.start("torn")
        assert texts(host)[0] == "sure"
        assert texts(host)[1:] == [f"note {number}" for number in range(len(texts(host)) - 1)]
        found.add(len(texts(host)))
    assert len(found) > 1


def test_rolled_back_disk_is_as_it_was_minutes_ago():
    world, host = writer()
    post(host, "old")
    world.run(200 * SECOND)
    post(host, "new")
    host.crash()
    host.start("rolled-back")
    assert texts(host) == ["old"]
    assert host.node.boot == 2
    world.run(300 * SECOND)
    post(host, "newer")
    host.crash()
    host.start("kept")
    assert texts(host) == ["old", "newer"]


def test_roll_back_knows_a_store_that_was_put_in():
    world, host = writer()
    post(host, "from elsewhere")
    other = world.add_host("b")
    other.crash()
    other.store = host.store
    other.start()
    other.crash()
    other.start("rolled-back")
    assert ("from elsewhere" in texts(other)) or other.store.entries


def test_empty_disk_keeps_only_the_keys():
    _, host = writer()
    address = host.node.address
    host.crash()
    host.start("empty")
    assert host.node.address == address and host.node.boot == 1
    assert host.store.entries == {}
    with pytest.raises(UsageError):
        host.crash()
        host.start("wet")


def test_failed_commit_fails_what_waits_and_the_node_goes_on():
    world, host = writer()
    post(host, "one")
    host.disk.failing.append(1.0)
    tickets = [host.request("post", space="camp", text=f"lost {n}") for n in range(3)]
    world.run(SECOND)
    assert [host.replies[ticket].value for ticket in tickets] == [None] * 3
    late = host.request("post", space="camp", text="lost too")
    world.run(SECOND)
    assert host.replies[late].value is None
    host.disk.failing.clear()
    world.run(10 * SECOND)
    post(host, "two")
    assert texts(host) == ["one", "two"]


def test_slow_disk_puts_off_the_answer():
    world, host = writer()
    host.disk.slower_us = 3 * SECOND
    begun = world.now
    post(host, "late")
    assert world.now - begun >= 3 * SECOND


def test_host_boots_when_the_last_reason_to_be_off_is_gone():
    _, host = writer()
    host.power.off("crash")
    host.power.off("battery")
    host.power.off("crash")
    host.power.on("crash", "empty")
    host.power.on("battery")
    assert not host.running
    host.power.on("crash")
    assert host.running and host.store.entries == {}


def test_no_timer_fires_early_by_the_hosts_own_clock():
    world = World(1)
    host = world.add_host(clock=Clock(ppm=80.0, offset_us=10**12))
    late = []
    handle = host.node.handle_timeout
    due = host.node.poll_timeout

    def watched(now: int) -> None:
        late.append(now - due()[0])
        handle(now)

    host.node.handle_timeout = watched
    world.run(120 * SECOND)
    assert late and min(late) >= 0 and max(late) <= 2


def test_wall_clock_can_jump_and_be_unknown():
    world = World(1)
    host = world.add_host()
    assert host.node.spaces.wall_offset_us is None
    host.set_wall_clock(0)
    right = host.node.spaces.wall_offset_us
    host.set_wall_clock(5 * SECOND)
    assert host.node.spaces.wall_offset_us == right + 5 * SECOND
    host.crash()
    host.set_wall_clock(None)
    host.start()
    assert host.node.spaces.wall_offset_us is None


def test_stream_of_a_host_that_lost_power_ends_when_it_is_missed():
    world = World(5)
    one, other = world.add_line(2)
    world.run(5 * SECOND)
    one.ask("space.create", name="camp")
    url = one.ask("invite", space="camp", role="writer")["url"]
    other.ask("join", url=url)
    assert one.pipes and other.pipes
    other.crash()
    assert one.pipes and not other.pipes
    world.run(120 * SECOND)
    assert not one.pipes
