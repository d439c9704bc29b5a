"""Who leaves a full table of neighbours, so that who comes later is one too.

Anybody can invent neighbours, also such as answer. Those who have proven their key keep their
places from those who have not, but for a quarter of all; of either the one silent longest leaves.
"""

from collections.abc import Iterable
from typing import Protocol, TypeVar

NEIGHBOURS_MAX = 64
"""Neighbours of one radio in each table of them."""


class Row(Protocol):
    """A neighbour: when it was heard last, and whether it has proven its key."""

    heard_us: int
    proven: bool


K = TypeVar("K")


def giving_way(rows: Iterable[tuple[K, Row]]) -> K:
    """Return who leaves a table that is full and not empty."""
    known = list(rows)
    unproven = [one for one in known if not one[1].proven]
    candidates = (
        unproven if 4 * len(unproven) >= len(known) else [one for one in known if one[1].proven]
    )
    return min(candidates, key=lambda one: one[1].heard_us)[0]
