"""Judge one plan by all rules there are.

Enters: a plan and a seed. Leaves: every rule that was broken. Must not know: how plans are drawn.
"""

from meshd.simulation.checks.nonces import watched
from meshd.simulation.observer import Violation
from meshd.simulation.plan.plan import Plan
from meshd.simulation.run import run_plan


def judge(plan: Plan, seed: int) -> list[Violation]:
    """Run a plan; return every rule that it broke, by time."""
    with watched() as nonces:
        outcome = run_plan(plan, seed)
    repeated = [Violation(plan.end_us, "secrecy", "", text) for text in nonces.repeated]
    return [*outcome.violations, *repeated]
