"""Count what a node holds: every table of it by name, and all together.

Enters: a node. Leaves: how many items lie in each container that can be reached from it, by the
dotted way of attributes that leads there; containers of like objects are added up under one name
with `*`, and the largest of them is kept too. It stands for memory, which no two machines count
alike. Must not know: what any table is for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import Enum
from functools import cache
from types import MemberDescriptorType
from typing import NamedTuple

_PLAIN = (str, bytes, int, float, bool, type(None), bytearray, memoryview, Enum)
_SHARED = {"_ctx", "ctx", "rng", "entropy", "link"}
_DEPTH_MAX = 12


class Census(NamedTuple):
    """Items by table, the largest single container of each, and all items."""

    items: dict[str, int]
    largest: dict[str, int]
    total: int


def take(node: object) -> Census:
    """Count all containers reachable from `node`, each once; what all parts share comes last."""
    items: dict[str, int] = {}
    largest: dict[str, int] = {}
    seen: set[int] = set()
    queue: deque[tuple[str, object, int]] = deque([("", node, 0)])
    shared: list[tuple[str, object, int]] = []
    while queue or shared:
        if not queue:
            queue.extend(shared)
            shared = []
        way, thing, depth = queue.popleft()
        if isinstance(thing, _PLAIN) or id(thing) in seen or depth > _DEPTH_MAX:
            continue
        seen.add(id(thing))
        if isinstance(thing, dict | list | set | deque):
            count = len(thing)
            items[way] = items.get(way, 0) + count
            largest[way] = max(largest.get(way, 0), count)
            for inner in _inside(thing):
                queue.append((f"{way}.*", inner, depth + 1))
            continue
        for name, value in _attributes(thing):
            entry = (f"{way}.{name}" if way else name, value, depth + 1)
            (shared if name in _SHARED else queue).append(entry)
    return Census(items, largest, sum(items.values()))


def _inside(
    thing: dict[object, object] | list[object] | set[object] | deque[object],
) -> list[object]:
    """Return the elements of a container that may hold containers themselves."""
    elements: Iterable[object] = thing.values() if isinstance(thing, dict) else thing
    return [element for element in elements if not isinstance(element, _PLAIN)]


def _attributes(thing: object) -> list[tuple[str, object]]:
    """Return the fields of an object of our own; others have none that count."""
    if isinstance(thing, tuple):
        return [("*", element) for element in thing if not isinstance(element, _PLAIN)]
    kind = type(thing)
    if not kind.__module__.startswith("meshd."):
        return []
    found = list(getattr(thing, "__dict__", {}).items())
    for name in _slots(kind):  # type: ignore[arg-type]
        value = getattr(thing, name, None)
        if not isinstance(value, _PLAIN):
            found.append((name, value))
    return found


@cache
def _slots(kind: type) -> tuple[str, ...]:
    """Return the slots of a class and of all that it inherits from."""
    return tuple(
        name
        for cls in kind.__mro__
        for name, member in vars(cls).items()
        if isinstance(member, MemberDescriptorType)
    )
