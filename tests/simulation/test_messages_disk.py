"""Texts of whole nodes whose disks are slow, fail and are torn by crashes: what was told holds."""

import pytest
from worlds.camp import camp

from meshd.core.ids import node_text
from meshd.simulation.world import SECOND, World

ROUNDS = 8


class Writer:
    """Who writes texts, takes some back, and remembers what it was told of each."""

    def __init__(self, world, host, reader):
        self.world, self.host, self.reader = world, host, reader
        self.written, self.taken_back, self.unsure = {}, set(), set()

    def ask(self, verb, **args):
        """Return the reply, None when the host crashed before, or did not answer in time."""
        ticket = self.host.request(verb, **args)
        self.world.run_until(lambda: ticket in self.host.replies, 3 * SECOND)
        return self.host.replies.get(ticket)

    def write(self, text):
        reply = self.ask("message", node=node_text(self.reader.node.id), text=text)
        if reply is not None and reply.value is not None:
            self.written[reply.value["number"]] = text
        return reply

    def take_back(self, number):
        reply = self.ask("message.cancel", number=number)
        if reply is None:
            self.unsure.add(self.written[number])
        elif reply.value is not None:
            self.taken_back.add(self.written[number])


def crash(world, host, chance):
    host.crash()
    world.run(SECOND)
    host.start(chance.choice(("kept", "torn")))


def texts(host):
    return sorted(row["text"] for row in host.ask("messages", peek=True)["messages"])


def delivered(host):
    rows = host.ask("messages", peek=True)["messages"]
    return {row["text"] for row in rows if row["state"] == "delivered"}


@pytest.mark.parametrize("shares", [True, False], ids=["by a space too", "by mesh alone"])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_taken_back_is_shown_and_nothing_else_is_lost_on_any_disk(seed, shares):
    world = World(900 + seed)
    first, relay, last = camp(world, 3) if shares else world.add_line(3)
    chance = world.random("disks of this test")
    writer = Writer(world, first, last)
    for host in (first, last):
        host.disk.failing.append(0.15)
        host.disk.slower_us = 200_000
    for turn in range(ROUNDS):
        away = chance.random() < 0.5
        if away:
            world.cut(first, relay)
            world.run(60 * SECOND)
        writer.write(f"text {turn}")
        if chance.random() < 0.4:
            crash(world, first, chance)
        if chance.random() < 0.6 and writer.written:
            world.run(chance.randint(0, 500_000))
            writer.take_back(max(writer.written))
        if away:
            world.link(first, relay)
        world.run(chance.randint(0, 6 * SECOND))
        if chance.random() < 0.4:
            crash(world, first, chance)
    for host in (first, last):
        host.disk.failing.clear()
        host.disk.slower_us = 0
    wanted = set(writer.written.values()) - writer.taken_back - writer.unsure
    assert world.run_until(lambda: wanted <= delivered(first), 4_000 * SECOND), wanted - delivered(
        first
    )
    shown = texts(last)
    assert wanted <= set(shown) and not writer.taken_back & set(shown)
    assert delivered(first) <= set(shown) and len(shown) == len(set(shown))
    assert wanted and (shares or writer.taken_back)


def test_relay_whose_disk_takes_nothing_still_relays():
    world = World(950)
    first, relay, last = camp(world, 3)
    world.run(60 * SECOND)
    relay.disk.failing.append(1.0)
    first.ask("post", space="camp", text="so that it notices")
    world.run(5 * SECOND)
    writer = Writer(world, first, last)
    assert writer.write("over the roof").value["state"]
    assert world.run_until(lambda: texts(last) == ["over the roof"], 60 * SECOND)
    assert world.run_until(lambda: delivered(first) == {"over the roof"}, 60 * SECOND)
    assert world.path(first, last.node.address)
