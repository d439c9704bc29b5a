"""Which hosts have a right to reach each other now, by the links alone.

Enters: a world. Leaves: groups of running hosts joined by links that are good both ways. What a
link of middling quality allows is left open: nobody is promised anything over it. A *faint* link
carries hellos but not data of full length; link costs come from hellos, so a route may choose one
(RFC 8966 leaves the estimate open), and who depends on it is promised nothing either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.simulation.sight import islands

if TYPE_CHECKING:
    from meshd.simulation.anyworld import AnyHost
    from meshd.simulation.host import Host
    from meshd.simulation.media.medium import Port
    from meshd.simulation.plan.plan import Plan
    from meshd.simulation.world import World

LOSS_MAX = 0.1
CLEAN = 0.02
QUIET_US = 60_000_000
"""The last minute of a run: nothing is asked for any more, and nothing new goes wrong."""
WALKED_US = 180_000_000
"""Who walked so lately is not judged: the others may still hold what was true on its way."""


def groups(world: World, without: frozenset[int] = frozenset()) -> list[list[Host]]:
    """Return the groups that good links join, each in order of number, the largest first.

    Who has no settled place is left out: its links come and go.
    """
    return sorted(islands(world, LOSS_MAX, without=without), key=len, reverse=True)


def walkers(plan: Plan) -> frozenset[int]:
    """Return the numbers of the hosts that still walk shortly before a plan's end."""
    found: set[int] = set()
    first = 0
    for group in plan.nodes:
        stops_us = group.walk[-1].at_s * 1e6 if group.walk else 0
        if group.walk and (group.walk_again or stops_us > plan.end_us - WALKED_US):
            found.update(range(first, first + group.count))
        first += group.count
    return frozenset(found)


class Unsettled:
    """The numbers of hosts that have no settled place yet: who walks, and who booted lately."""

    def __init__(self, plan: Plan) -> None:
        self.numbers = walkers(plan)
        self._quiet_from = plan.end_us - QUIET_US

    def power(self, host: AnyHost, now: int) -> None:
        """Note that a host booted or lost its power, as those on the sun do at any time."""
        if now >= self._quiet_from:
            self.numbers |= {host.number}


def is_clean(world: World) -> bool:
    """Tell whether no link of any medium loses frames to speak of."""
    return all(way.loss <= CLEAN for medium in world.media.values() for _, _, way in medium.ways())


def is_faint(world: World, one: Host, address: bytes) -> bool:
    """Tell whether the way that the routes of `one` go towards an address meets a faint link."""
    here, seen = one, {one.number}
    while (hop := here.routes.get(address)) is not None:
        other, port = world.find(hop.next_hop), here.ports.get(hop.link)
        if other is None:
            return False
        if port is not None:  # else it is a radio
            there = other.ports.get(hop.link)
            if there is None:
                return False
            if port.medium.hears(port, there) and not (_good(port, there) and _good(there, port)):
                return True
        if other.number in seen:
            return False
        here = other
        seen.add(here.number)
    return False


def _good(port: Port, other: Port) -> bool:
    way = port.medium.way(port, other)
    return way is not None and way.loss <= LOSS_MAX


def leans_on_faint(world: World, group: list[Host]) -> bool:
    """Tell whether a route within a group goes over a faint link."""
    return any(
        is_faint(world, one, other.node.address)
        for one in group
        for other in group
        if one is not other
    )
