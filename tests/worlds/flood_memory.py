"""What two members hold while a radio with very many identities is beside one of them."""

import gc
from sys import getsizeof
from types import FunctionType, ModuleType
from typing import NamedTuple

from worlds.flood_field import found

from meshd.simulation.checks import bounds, census
from meshd.simulation.faults import attacks
from meshd.simulation.host import Host
from meshd.simulation.plan.plan import Fault
from meshd.simulation.world import SECOND, World

_SHARED = (type, ModuleType, FunctionType)


class Held(NamedTuple):
    """What the fuller of two members holds, and which tables are beyond their bounds."""

    items: int
    size: int
    beyond: tuple[str, ...]


def grow(seconds: int, identities: int, seed: int = 3) -> tuple[Held, Held, Held]:
    """Let the flood last so long; return what is held before it, at half time, and in the end."""
    world = World(seed)
    far, near, radio = world.add_line(3)
    assert world.run_until(world.connected, 10 * SECOND)
    found(world, [far, near])
    world.run(20 * SECOND)
    before = _held([far, near])
    order = Fault("hostile", 0, seconds, behaviour="identities", count=identities)
    begun = attacks.begin(world, radio, order)
    world.run(seconds * SECOND // 2)
    half = _held([far, near])
    world.run(seconds * SECOND // 2)
    begun.end()
    return before, half, _held([far, near])


def _held(hosts: list[Host]) -> Held:
    counts = [census.take(host.node) for host in hosts]
    beyond = tuple(text for count in counts for text in bounds.beyond(count))
    size = max(size_of(host.node) for host in hosts)
    return Held(max(count.total for count in counts), size, beyond)


def size_of(root: object) -> int:
    """Return the bytes of an object and of all that can be reached from it but code and worlds."""
    seen: set[int] = set()
    waiting, total = [root], 0
    while waiting:
        thing = waiting.pop()
        world = type(thing).__module__.startswith("meshd.simulation")
        if id(thing) in seen or world or isinstance(thing, _SHARED):
            continue
        seen.add(id(thing))
        total += getsizeof(thing)
        waiting.extend(gc.get_referents(thing))
    return total
