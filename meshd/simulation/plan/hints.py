"""What is allowed in a plan, but hardly meant: told before a run, and kept with its outcome.

Enters: a plan. Leaves: sentences.
"""

from meshd.simulation.plan.plan import Plan


def warnings(plan: Plan) -> list[str]:
    """Return what a planner should look at again."""
    said = []
    if not plan.traffic:
        said.append("nobody asks for anything: the plan has no [[traffic]], so nothing can arrive")
    for group in plan.nodes:
        round_s = group.walk[-1].at_s if group.walk and group.walk_again else 0.0
        if round_s > plan.settle_s:
            said.append(
                f"a round of {group.name} takes {round_s:g} s, longer than settle_s "
                f"({plan.settle_s:g}): what it carries last cannot be there by the end"
            )
    return said
