"""Which hosts could reach each other now, by the links that work: what any protocol could do.

Enters: a world. Leaves: for one host, the hosts to which a chain of links goes both ways, through
running hosts and past no cut of a fault. Kept for a few seconds, since walkers are slow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshd.simulation.host import Host
    from meshd.simulation.world import World

KEPT_US = 5_000_000
LOSS_MAX = 0.9
"""A link that loses more than this carries nothing worth the name."""


class Sight:
    """The islands of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._taken_us = -KEPT_US
        self._island: dict[int, int] = {}

    def connected(self, one: Host, other: Host) -> bool:
        """Tell whether a chain of working links joins two hosts."""
        now = self._world.now
        if now - self._taken_us >= KEPT_US:
            self._island = self._islands()
            self._taken_us = now
        mine = self._island.get(one.number)
        return mine is not None and mine == self._island.get(other.number)

    def _islands(self) -> dict[int, int]:
        beside = self._beside()
        found: dict[int, int] = {}
        for host in self._world.hosts:
            if not host.running or host.number in found:
                continue
            found[host.number] = host.number
            waiting = [host.number]
            while waiting:
                for number in beside.get(waiting.pop(), ()):
                    if number not in found:
                        found[number] = host.number
                        waiting.append(number)
        return found

    def _beside(self) -> dict[int, list[int]]:
        """Return the hosts that each hears and is heard by."""
        one_way: dict[tuple[int, int], None] = {}
        for medium in self._world.media.values():
            for sender, hearer, way in medium.ways():
                one, other = sender.host, hearer.host
                if not (one.running and other.running) or way.loss > LOSS_MAX:
                    continue
                faults = self._world.faults
                if faults is None or not faults.active or not faults.cut(one, other):
                    one_way[one.number, other.number] = None
        beside: dict[int, list[int]] = {}
        for one_number, other_number in one_way:
            if (other_number, one_number) in one_way:
                beside.setdefault(one_number, []).append(other_number)
        return beside
