"""What all checkers share: a world to look at, and a bounded list of what did not hold.

Enters: what an `Observer` sees. Leaves: `Violation`s. A checker changes nothing, draws nothing from
the world's streams, and judges the nodes by what they do, not by what they think of themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.simulation.observer import Observer, Violation

if TYPE_CHECKING:
    from meshd.simulation.host import Host
    from meshd.simulation.world import World

VIOLATIONS_MAX = 20
"""Kept of one checker; what comes later is only counted."""


class Checker(Observer):
    """An observer with a verdict."""

    name = ""

    def __init__(self, world: World) -> None:
        self.world = world
        self.violations: list[Violation] = []
        self.count = 0

    def fail(self, host: Host | None, text: str) -> None:
        """Note that the rule did not hold at `host` now."""
        self.count += 1
        if len(self.violations) < VIOLATIONS_MAX:
            where = host.name if host is not None else ""
            self.violations.append(Violation(self.world.now, self.name, where, text))
