"""Whole nodes in a line that share a space, in a simulated world."""

from meshd.simulation.host import Host
from meshd.simulation.world import SECOND, World


def camp(world: World, count: int) -> list[Host]:
    """Build a line whose ends are writers of one space and whose middle are its relays."""
    hosts = world.add_line(count)
    assert world.run_until(world.connected, 10 * SECOND)
    world.run(2 * SECOND)
    hosts[0].ask("space.create", name="camp")
    url = hosts[0].ask("invite", space="camp", role="relay", uses=count)["url"]
    for host in hosts[1:-1]:
        host.ask("join", url=url)
    url = hosts[0].ask("invite", space="camp", role="writer")["url"]
    hosts[-1].ask("join", url=url)
    world.run(2 * SECOND)
    return hosts
