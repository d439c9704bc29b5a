"""Which hosts could reach each other now, by the links that work: what any protocol could do.

Enters: a world. Leaves: the islands of running hosts that links join both ways, past no cut of a
fault. `Sight` keeps them for a few seconds, since walkers are slow, and counts LoRa channels beside
the media. Must not know: routes.
"""

from __future__ import annotations

from meshd.simulation.anyworld import AnHost, AnyHost, AnyWorld

KEPT_US = 5_000_000
LOSS_MAX = 0.9
"""A link that loses more than this carries nothing worth the name."""


class Sight:
    """Who is on whose island."""

    def __init__(self, world: AnyWorld[AnyHost]) -> None:
        self._world = world
        self._taken_us = -KEPT_US
        self._island: dict[int, int] = {}

    def connected(self, one: AnyHost, other: AnyHost) -> bool:
        """Tell whether a chain of working links joins two hosts."""
        now = self._world.now
        if now - self._taken_us >= KEPT_US:
            found = enumerate(islands(self._world, LOSS_MAX, by_lora=True))
            self._island = {host.number: place for place, group in found for host in group}
            self._taken_us = now
        mine = self._island.get(one.number)
        return mine is not None and mine == self._island.get(other.number)


def islands(
    world: AnyWorld[AnHost],
    loss_max: float,
    *,
    without: frozenset[int] = frozenset(),
    by_lora: bool = False,
) -> list[list[AnHost]]:
    """Return the hosts that links of at most this loss join, each island in order of number.

    Hosts `without` are left out, by number, and join nobody. LoRa joins none but `by_lora`.
    """
    beside = _beside(world, loss_max, by_lora=by_lora)
    there = [host.number for host in world.hosts if host.running and host.number not in without]
    joins = {
        number: [other for other in beside.get(number, ()) if other not in without]
        for number in there
    }
    return [[world.hosts[number] for number in sorted(group)] for group in joined(joins)]


def joined(joins: dict[int, list[int]]) -> list[set[int]]:
    """Return the numbers that hang together, each group in the order of its first."""
    found: list[set[int]] = []
    seen: set[int] = set()
    for first in joins:
        if first in seen:
            continue
        group, waiting = {first}, [first]
        while waiting:
            for number in joins.get(waiting.pop(), ()):
                if number not in group:
                    group.add(number)
                    waiting.append(number)
        seen |= group
        found.append(group)
    return found


def _beside(world: AnyWorld[AnyHost], loss_max: float, *, by_lora: bool) -> dict[int, list[int]]:
    """Return the hosts that each hears and is heard by; what cuts IP links cuts no LoRa."""
    faults = world.faults
    one_way: dict[tuple[int, int], None] = {}
    for medium in world.media.values():
        for sender, hearer, way in medium.ways():
            one, other = sender.host, hearer.host
            if not (one.running and other.running) or way.loss > loss_max:
                continue
            if not (faults.active and faults.cut(one, other)):
                one_way[one.number, other.number] = None
    for air in world.airs.values() if by_lora else ():
        for sender, hearer, _ in air.ways():
            one_way[sender.host.number, hearer.host.number] = None
    beside: dict[int, list[int]] = {}
    for one_number, other_number in one_way:
        if (other_number, one_number) in one_way:
            beside.setdefault(one_number, []).append(other_number)
    return beside
