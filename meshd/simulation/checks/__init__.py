"""Checkers: rules that must hold in every simulated world, each an observer of its own.

Enters: a world and its plan. Leaves: checkers, to be given to the world with `watch`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.simulation.checks.air import Air
from meshd.simulation.checks.bounds import Bounds
from meshd.simulation.checks.checker import Checker
from meshd.simulation.checks.content import Content
from meshd.simulation.checks.convergence import Convergence
from meshd.simulation.checks.duty import Duty
from meshd.simulation.checks.exempt import Exempt
from meshd.simulation.checks.feasibility import Feasibility
from meshd.simulation.checks.hearsay import Hearsay
from meshd.simulation.checks.ledger import Ledger
from meshd.simulation.checks.letters import Letters
from meshd.simulation.checks.loops import Loops
from meshd.simulation.checks.promises import Promises
from meshd.simulation.checks.requests import Requests
from meshd.simulation.checks.retractions import Retractions
from meshd.simulation.checks.rights import Rights
from meshd.simulation.checks.secrecy import Secrecy
from meshd.simulation.checks.told import Told

if TYPE_CHECKING:
    from meshd.simulation.plan.plan import Plan
    from meshd.simulation.world import World

__all__ = ["Checker", "all_checkers"]


def all_checkers(world: World, plan: Plan) -> list[Checker]:
    """Return one of each checker for a world that runs `plan`."""
    exempt, ledger = Exempt(plan), Ledger()
    return [
        Loops(world, exempt),
        Feasibility(world),
        Hearsay(world, exempt),
        Retractions(world, exempt),
        Requests(world, exempt),
        Bounds(world),
        Duty(world, plan),
        Rights(world, ledger),
        Secrecy(world, ledger),
        Promises(world, plan, ledger),
        Content(world, plan),
        Told(world, plan),
        Letters(world, plan),
        Convergence(world, plan),
        Air(world, plan),
    ]
