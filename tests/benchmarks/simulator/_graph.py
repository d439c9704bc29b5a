"""Who is near whom: graphs of nodes by number, for the meshes that are measured.

Enters: spots in a plane. Leaves: for each node the numbers of those it hears, lowest first.
"""

from collections import deque

Graph = list[list[int]]
Spot = tuple[float, float]


def near(spots: list[Spot], distance2: float) -> Graph:
    """Return who is nearer than a distance, given as its square; by boxes of that size."""
    size = distance2**0.5
    boxes: dict[tuple[int, int], list[int]] = {}
    for number, (x, y) in enumerate(spots):
        boxes.setdefault((int(x / size), int(y / size)), []).append(number)
    found: Graph = []
    for number, (x, y) in enumerate(spots):
        column, row = int(x / size), int(y / size)
        around = ((column + a, row + b) for a in (-1, 0, 1) for b in (-1, 0, 1))
        others = (other for box in around for other in boxes.get(box, ()) if other != number)
        found.append(sorted(other for other in others if apart2((x, y), spots[other]) < distance2))
    return found


def join(graph: Graph, spots: list[Spot]) -> None:
    """Link each island to the nearest node of the first, as people would set up a relay."""
    while len(main := island(graph)) < len(graph):
        rest = [number for number in range(len(graph)) if number not in main]
        _, one, other = min((apart2(spots[a], spots[b]), a, b) for a in main for b in rest)
        graph[one].append(other)
        graph[other].append(one)


def island(graph: Graph, start: int = 0) -> set[int]:
    """Return all that hang together with a node."""
    return {number for number, count in enumerate(hops(graph, start)) if count >= 0}


def hops(graph: Graph, start: int) -> list[int]:
    """Return the fewest hops from a node to each, -1 where there is no way."""
    found, queue = [-1] * len(graph), deque([start])
    found[start] = 0
    while queue:
        here = queue.popleft()
        for other in graph[here]:
            if found[other] < 0:
                found[other] = found[here] + 1
                queue.append(other)
    return found


def apart2(one: Spot, other: Spot) -> float:
    """Return the square of the distance of two spots."""
    return (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2
