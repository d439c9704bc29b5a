"""Bytes of a stream that are damaged on the way: the session ends by name, another one carries on.

TCP's checksum lets one damaged segment in many pass; a session must find each.
"""

from random import Random

import pytest

from meshd.core.drops import DropReason
from meshd.simulation.faults.network import NetworkFaults, Trouble
from meshd.simulation.host import Host
from meshd.simulation.world import SECOND, World

FOUND = (
    DropReason.RECORD_FORGED,
    DropReason.RECORD_MALFORMED,
    DropReason.HANDSHAKE_FORGED,
    DropReason.HANDSHAKE_MALFORMED,
    DropReason.SESSION_STRANGER,
    DropReason.SESSION_VERSION,
    DropReason.SESSION_OTHER_MESH,
)


def found(hosts: list[Host]) -> dict[str, int]:
    """Return how often each of the reasons above was counted, in all."""
    counted: dict[str, int] = {}
    for host in hosts:
        for reason, links in host.node.snapshot(host.now).drops.items():
            if reason in FOUND:
                counted[reason] = counted.get(reason, 0) + sum(links.values())
    return counted


class Damage(NetworkFaults):
    """Flips bits in the next so many pieces of streams."""

    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self.left = 0
        self.done = 0
        self.begin(Trouble(frozenset()))  # befalls nobody; without a rule nothing is looked at

    def stream_bytes(self, one: Host, other: Host, data: bytes) -> bytes:
        if not self.left:
            return data
        self.left -= 1
        self.done += 1
        return self.flip(data)


def texts(host: Host) -> list[str]:
    entries = host.ask("log", space="camp", limit=500)["entries"]
    assert isinstance(entries, list)
    return sorted(str(entry["text"]) for entry in entries if "text" in entry)


def camp(seed: int) -> tuple[World, list[Host], Damage]:
    world = World(seed)
    world.faults = damage = Damage(world.random("damage"))
    hosts = world.add_line(3)
    assert world.run_until(world.connected, 10 * SECOND)
    hosts[0].ask("space.create", name="camp")
    url = hosts[0].ask("invite", space="camp", role="writer", uses=2)["url"]
    for host in hosts[1:]:
        host.ask("join", url=url)
    world.run(5 * SECOND)
    return world, hosts, damage


@pytest.mark.parametrize("seed", range(6))
def test_session_with_damaged_bytes_ends_by_name_and_another_carries_on(seed):
    world, hosts, damage = camp(seed)
    sessions = {host.name: host.node.snapshot(world.now).sessions for host in hosts}
    assert all(sessions.values()) and not found(hosts)
    damage.left = 1
    hosts[0].ask("post", space="camp", text="water at the school")
    assert world.run_until(lambda: "water at the school" in texts(hosts[2]), 60 * SECOND)
    assert damage.done == 1
    assert sum(found(hosts).values()) >= 1
    hosts[2].ask("post", space="camp", text="thanks")
    assert world.run_until(lambda: texts(hosts[0]) == texts(hosts[2]), 10 * SECOND)
    assert not any(host.node.problems for host in hosts)


@pytest.mark.parametrize("seed", range(3))
def test_line_that_damages_much_recovers_once_it_does_not(seed):
    """Handshakes and records alike, of sessions that come again and again."""
    world, hosts, damage = camp(10 + seed)
    damage.left = 40
    for number in range(10):
        hosts[number % 3].ask("post", space="camp", text=f"note {number}")
        world.run(3 * SECOND)
    damage.left = 0
    assert damage.done >= 10 and sum(found(hosts).values()) >= 3
    everything = [f"note {number}" for number in range(10)]
    assert world.run_until(lambda: all(texts(host) == everything for host in hosts), 90 * SECOND)
