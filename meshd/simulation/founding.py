"""Found a space before a plan begins: the devices are set up at one table, then carried away.

Enters: the names of members and relays, and the seed that decides their keys. Leaves: what each
device has on its disk afterwards. It runs in a small world of its own, so that nothing of it
counts; each device joins by an invitation of the first, one after another, and in a second round
each hears of those who came after it.
"""

from __future__ import annotations

from collections.abc import Sequence

from meshd.core.errors import UsageError
from meshd.simulation.host import Host
from meshd.simulation.world import SECOND, World
from meshd.store.memory import MemoryStore

SPACE = "village"
_JOIN_US = 60 * SECOND


def found_space(
    world: World, members: Sequence[str], relays: Sequence[str]
) -> dict[str, MemoryStore]:
    """Return the disk of each device by its name; the first member founds the space.

    Raises: UsageError when a device cannot join, which no plan can cause.
    """
    table = World(world.seed, options=world.options)
    first = table.add_host(members[0])
    first.ask("space.create", name=SPACE)
    guests: list[Host] = []
    for role, names in (("writer", members[1:]), ("relay", relays)):
        if names:
            uses = min(len(names), 0xFFFF)
            url = first.ask("invite", space=SPACE, role=role, uses=uses)["url"]
            guests += [_join(table, first, name, url) for name in names]
    for guest in guests:
        _catch_up(table, first, guest)
    return {host.name: host.store for host in (first, *guests)}


def settle_in(world: World, disks: dict[str, MemoryStore]) -> None:
    """Give the hosts of a world that has not begun their disks, and boot them from those."""
    for host in world.hosts:
        if host.name in disks:
            host.crash()
            host.store = disks[host.name]
            host.start()


def _join(table: World, first: Host, name: str, url: object) -> Host:
    """Let a device join, alone with the first one, and switch it off."""
    guest = table.add_host(name)
    table.link(first, guest)
    ticket = guest.request("join", url=url)
    joined = table.run_until(lambda: ticket in guest.replies, _JOIN_US)
    if not joined or guest.replies[ticket].value is None:
        why = guest.replies[ticket].error if joined else "no answer"
        raise UsageError(f"{name} could not join at the table: {why}")
    table.run(SECOND)
    table.cut(first, guest)
    guest.crash()
    return guest


def _catch_up(table: World, first: Host, guest: Host) -> None:
    """Let a device hear of all who joined after it."""
    guest.start()
    table.link(first, guest)
    if not table.run_until(lambda: _lengths(guest) == _lengths(first), _JOIN_US):
        raise UsageError(f"{guest.name} did not hear of everybody at the table")
    table.run(SECOND)
    table.cut(first, guest)
    guest.crash()


def _lengths(host: Host) -> dict[tuple[bytes, bytes], int]:
    return {place: len(feed) for place, feed in host.store.entries.items()}
