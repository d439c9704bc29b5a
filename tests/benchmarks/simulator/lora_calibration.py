"""How far managed flooding in our LoRa air is from the published simulator, in points of delivery.

Published: two placements a size, each with its mean degree; for direct messages one. Each is
compared with placements of ours within 0.4 of that degree, ten a figure; delivery is to whom a hop
limit of 3 can reach.
"""

from statistics import mean
from typing import NamedTuple

from report import Figure
from simulator._lora_field import Field, Score

PLACEMENTS = 10
DEGREE_WITHIN = 0.4
SEED_LIMIT = 400
TARGET = 5


class Published(NamedTuple):
    """One row of the published figures."""

    nodes: int
    period_s: int
    duration_s: int
    degree: float
    reach: float


CALM = [
    (Published(20, 900, 1800, 6.3, 92.3), Published(20, 900, 1800, 4.3, 77.9)),
    (Published(50, 900, 1800, 9.5, 81.7), Published(50, 900, 1800, 7.2, 80.7)),
    (Published(100, 900, 1200, 10.5, 75.0), Published(100, 900, 1200, 11.3, 76.8)),
]
BUSY = [
    (Published(20, 100, 1800, 6.3, 85.4), Published(20, 100, 1800, 4.3, 71.5)),
    (Published(50, 100, 1800, 9.5, 53.6), Published(50, 100, 1800, 7.2, 58.0)),
    (Published(100, 100, 400, 10.5, 41.0), Published(100, 100, 400, 11.3, 38.4)),
]
# One placement each: ours differ from each other by more than the target, so there is none here.
DIRECT = [
    (Published(20, 900, 1800, 6.3, 93.0),),
    (Published(50, 900, 1800, 9.5, 79.2),),
    (Published(100, 900, 900, 10.5, 71.4),),
]


def measure() -> list[Figure]:
    """Compare, for each size, the mean over placements like the published ones."""
    figures = [_figure(rows) for rows in CALM + BUSY]
    return figures + [_figure(rows, direct=True) for rows in DIRECT]


def ours(rows: tuple[Published, ...], *, direct: bool = False) -> list[Score]:
    """Run the first placements whose mean degree is near the published ones."""
    found: list[Score] = []
    for row in rows:
        wanted = len(found) + PLACEMENTS // len(rows)
        for seed in range(1, SEED_LIMIT):
            field = Field(row.nodes, seed)
            if abs(field.degree - row.degree) <= DEGREE_WITHIN:
                found.append(field.run(row.period_s, row.duration_s, direct=direct))
            if len(found) == wanted:
                break
    return found


def _figure(rows: tuple[Published, ...], *, direct: bool = False) -> Figure:
    nodes, period_s, duration_s, *_ = rows[0]
    scores = ours(rows, direct=direct)
    got = mean(score.reach for score in scores)
    published = mean(row.reach for row in rows)
    kind = "direct messages" if direct else "messages to all"
    name = f"LoRa, {nodes} nodes, {kind}, one a node in {period_s} s: delivery off by"
    how = (
        f"{len(scores)} placements of {duration_s} s; ours {got:.1f} %, published {published:.1f} %"
    )
    target = None if direct else TARGET
    return Figure(name, abs(got - published), "points", target, how)
