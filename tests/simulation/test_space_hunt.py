"""One space under every fault at once; afterwards whoever may write is heard by everybody.

Cards are copied, torn and rolled back, disks fail, wires are cut. Beyond what the swarm checks: all
replicas have the same membership, forks are frozen everywhere, and new entries of each device,
records among them, reach all. Each seed once failed; the comment says of what.
"""

from copy import deepcopy
from random import Random

import pytest

from meshd.simulation.crypto import primitives
from meshd.simulation.world import SECOND, World

SEEDS = [
    10,  # a failed commit forgot that a feed was forked, and nobody said so again
    29,  # what built on a record of one branch waited for ever where the other was followed
    32,  # the same
    53,  # the same
]
WEIGHTS = {
    "post": 4,
    "send": 3,
    "crash": 4,
    "cut": 3,
    "heal": 2,
    "disk": 3,
    "wait": 4,
    "copy": 2,
    "invite": 3,
    "start": 6,
}
PAUSES_US = (0, 0, 1_000, 20_000, 300_000, 2_000_000)
WRITERS = ("owner", "admin", "writer")


class Village:
    """Three to five hosts in a row or a ring, members of one space, and the card of one of them."""

    def __init__(self, seed):
        self.world = World(seed)
        self.rng = Random(seed)
        self.hosts = self.world.add_line(self.rng.choice([3, 3, 4, 5]))
        if self.rng.random() < 0.5:
            self.world.link(self.hosts[0], self.hosts[-1])
        self.edges = sorted({tuple(sorted(edge)) for edge in self.world.edges})
        self.cuts = []
        self.copies = []
        self.world.run(10 * SECOND)
        self.hosts[0].ask("space.create", name="home")
        self.space = self.hosts[0].node.spaces.all()[0].text_id
        self.roles = {self.hosts[0].name: "owner"}
        for host in self.hosts[1:]:
            role = self.rng.choice(["writer", "writer", "admin", "relay", "reader"])
            self.roles[host.name] = role
            host.ask("join", url=self.hosts[0].ask("invite", space="home", role=role)["url"])
        self.world.run(140 * SECOND)  # older than what a rolled-back card goes back to

    def step(self):
        rng = self.rng
        host = rng.choice(self.hosts + self.copies)
        (what,) = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))
        if what == "wait":
            self.world.run(rng.choice([1, 5, 20, 90, 150]) * SECOND)
        elif what in ("cut", "heal"):
            self.wire(what)
        elif what == "disk":
            host.disk.failing = [] if host.disk.failing else [0.3]
        elif what == "copy" and not self.copies and self.roles[host.name] != "relay":
            self.copy(host)
        elif what == "start":
            host.start(rng.choice(["kept", "torn", "rolled-back"]))
        elif host.running:
            self.act(host, what)
        self.world.run(rng.choice(PAUSES_US))

    def act(self, host, what):
        if what == "crash":
            host.crash()
        elif what == "invite":
            host.request("invite", space=self.space, role="reader")
        elif what in ("post", "send"):
            to = {"to": self.rng.choice(self.hosts).name} if what == "send" else {}
            host.request("post", space=self.space, text=f"{host.name} {self.world.now}", **to)

    def wire(self, what):
        edge = self.rng.choice(self.edges if what == "cut" else self.cuts or self.edges)
        one, other = (self.world.hosts[number] for number in edge)
        if what == "cut" and edge not in self.cuts:
            self.cuts.append(edge)
            self.world.cut(one, other)
        elif what == "heal" and edge in self.cuts:
            self.cuts.remove(edge)
            self.world.link(one, other)

    def copy(self, host):
        copied = self.world.add_host(f"{host.name}-copy")
        copied.crash()
        copied.identity, copied.store = host.identity, deepcopy(host.store)
        copied.start()
        self.world.link(copied, self.rng.choice([each for each in self.hosts if each is not host]))
        self.copies.append(copied)
        self.roles[copied.name] = self.roles[host.name]

    def heal(self):
        for copied in self.copies:
            copied.crash()
        for host in self.hosts:
            host.disk.failing = []
            host.start()
        while self.cuts:
            self.wire("heal")
        self.world.run(360 * SECOND)


@pytest.mark.parametrize("seed", SEEDS)
def test_after_all_faults_whoever_may_write_is_heard_by_everybody(seed):
    with primitives("stand-in"):
        village = Village(seed)
        for _ in range(40):
            village.step()
        village.heal()
        hosts, roles = village.hosts, village.roles
        writers = [host for host in hosts if roles[host.name] in WRITERS]
        for host in writers:
            if roles[host.name] != "writer":
                host.ask("invite", space=village.space, role="reader")
            host.ask("post", space=village.space, text=f"after all, {host.name}")
        village.world.run(120 * SECOND)
        spaces = [host.node.spaces.all()[0] for host in hosts]
        assert len({space.log.digest() for space in spaces}) == 1
        frozen = [{key for key, feed in s.feeds.items() if feed.frozen} for s in spaces]
        assert all(each == frozen[0] for each in frozen)
        heads = [{k: f.hash32 for k, f in s.feeds.items() if not f.frozen} for s in spaces]
        assert all(each == heads[0] for each in heads)
        for host in hosts:
            if roles[host.name] != "relay":
                entries = host.ask("log", space=village.space)["entries"]
                texts = {entry.get("text") for entry in entries}
                assert {f"after all, {writer.name}" for writer in writers} <= texts
