"""Which hosts could reach each other now, by the media alone.

Enters: a world. Leaves: groups of running hosts connected by links that are good both ways. What a
link of middling quality allows is left open: nobody is promised anything over it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshd.simulation.host import Host
    from meshd.simulation.world import World

LOSS_MAX = 0.3
CLEAN = 0.02


def groups(world: World) -> list[list[Host]]:
    """Return the connected groups, each in order of number, the largest first."""
    good: set[tuple[int, int]] = set()
    for medium in world.media.values():
        for one, other, way in medium.ways():
            if way.loss <= LOSS_MAX and one.host.running and other.host.running:
                good.add((one.host.number, other.host.number))
    beside: dict[int, list[int]] = {}
    for one_number, other_number in sorted(good):
        if (other_number, one_number) in good:
            beside.setdefault(one_number, []).append(other_number)
    found: list[list[Host]] = []
    seen: set[int] = set()
    for host in world.hosts:
        if host.number in seen or not host.running:
            continue
        group, queue = {host.number}, [host.number]
        while queue:
            for number in beside.get(queue.pop(), ()):
                if number not in group:
                    group.add(number)
                    queue.append(number)
        seen |= group
        found.append([world.hosts[number] for number in sorted(group)])
    return sorted(found, key=len, reverse=True)


def is_clean(world: World) -> bool:
    """Tell whether no link of any medium loses frames to speak of."""
    return all(way.loss <= CLEAN for medium in world.media.values() for _, _, way in medium.ways())
