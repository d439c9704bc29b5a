"""Where the hosts of a group stand at the start.

Enters: a group and the terrain of a plan, and a stream of randomness. Leaves: a place for each
host, within the map. Must not know: media, worlds. The random layouts draw host after host, so that
a group with fewer hosts is the beginning of the larger one.
"""

from collections.abc import Callable
from math import ceil, cos, hypot, pi, sin, sqrt
from random import Random
from typing import NamedTuple

from meshd.simulation.media.place import Place
from meshd.simulation.plan.plan import NodeGroup, Terrain

FULL_REACH_M = 10.0
_CLUSTER_SHARE = 0.1


class Area(NamedTuple):
    """A rectangle by its middle and its reach from there."""

    x_m: float
    y_m: float
    reach_x_m: float
    reach_y_m: float


def places(group: NodeGroup, terrain: Terrain, rng: Random) -> list[Place]:
    """Return a place for each host of the group, by its layout."""
    area = _area(group, terrain)
    return [
        (min(max(x_m, 0.0), terrain.width_m), min(max(y_m, 0.0), terrain.height_m))
        for x_m, y_m in _LAYOUTS[group.layout](group.count, area, rng)
    ]


def reach(group: NodeGroup, terrain: Terrain) -> tuple[float, float, float, float]:
    """Return the west, south, east and north end of the ground that a layout may cover."""
    area = _area(group, terrain)
    x_m, y_m = area.reach_x_m, 0.0 if group.layout == "line" else area.reach_y_m
    if group.count == 1 and group.layout == "line":
        x_m = 0.0
    return area.x_m - x_m, area.y_m - y_m, area.x_m + x_m, area.y_m + y_m


def _area(group: NodeGroup, terrain: Terrain) -> Area:
    x_m = terrain.width_m / 2 if group.x_m is None else group.x_m
    y_m = terrain.height_m / 2 if group.y_m is None else group.y_m
    if group.count == 1 and group.spread_m is None and None not in (group.x_m, group.y_m):
        return Area(x_m, y_m, 0.0, 0.0)
    if group.spread_m is not None:
        return Area(x_m, y_m, group.spread_m, group.spread_m)
    if group.layout == "full":
        return Area(x_m, y_m, FULL_REACH_M, FULL_REACH_M)
    if group.layout == "cluster":
        reach_m = _CLUSTER_SHARE * min(terrain.width_m, terrain.height_m)
        return Area(x_m, y_m, reach_m, reach_m)
    return Area(x_m, y_m, terrain.width_m / 2, terrain.height_m / 2)


def _uniform(count: int, area: Area, rng: Random) -> list[Place]:
    """Anywhere in the rectangle."""
    return [
        (
            area.x_m + area.reach_x_m * rng.uniform(-1, 1),
            area.y_m + area.reach_y_m * rng.uniform(-1, 1),
        )
        for _ in range(count)
    ]


def _grid(count: int, area: Area, rng: Random) -> list[Place]:
    """In the middles of equal cells, as many columns as rows or one more."""
    columns = ceil(sqrt(count))
    rows = ceil(count / columns)
    return [
        (
            area.x_m + area.reach_x_m * ((2 * (number % columns) + 1) / columns - 1),
            area.y_m + area.reach_y_m * ((2 * (number // columns) + 1) / rows - 1),
        )
        for number in range(count)
    ]


def _line(count: int, area: Area, rng: Random) -> list[Place]:
    """West to east, the ends at the reach."""
    step_m = 2 * area.reach_x_m / max(count - 1, 1)
    west_m = area.x_m - area.reach_x_m if count > 1 else area.x_m
    return [(west_m + number * step_m, area.y_m) for number in range(count)]


def _ring(count: int, area: Area, rng: Random) -> list[Place]:
    """At equal steps around an ellipse."""
    return [
        (
            area.x_m + area.reach_x_m * cos(2 * pi * number / count),
            area.y_m + area.reach_y_m * sin(2 * pi * number / count),
        )
        for number in range(count)
    ]


def _cluster(count: int, area: Area, rng: Random) -> list[Place]:
    """Dense in the middle, thin towards the reach: a normal distribution, cut off there."""
    found: list[Place] = []
    while len(found) < count:
        x, y = rng.gauss(0, 0.5), rng.gauss(0, 0.5)
        if hypot(x, y) <= 1:
            found.append((area.x_m + area.reach_x_m * x, area.y_m + area.reach_y_m * y))
    return found


_LAYOUTS: dict[str, Callable[[int, Area, Random], list[Place]]] = {
    "uniform": _uniform,
    "grid": _grid,
    "line": _line,
    "ring": _ring,
    "cluster": _cluster,
    "full": _uniform,
}
