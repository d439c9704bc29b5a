"""What is allowed in a plan, but hardly meant: told before a run, and kept with its outcome.

Enters: a plan. Leaves: sentences.
"""

from meshd.simulation.plan.plan import Plan

CROWDED = 16
"""More LoRa radios than this on one channel share its time so that each gets little of it."""
RADIO_SETTLE_S = 150.0
"""What each radio of a crowded channel adds to the time until all is well. Cautious: forty of
SF11 at 250 kHz missed 6 % of their ways 40 minutes after people fell silent."""


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
    crowded, wanted_s = crowded_lora(plan)
    if crowded:
        said.append(
            f"settle_s ({plan.settle_s:g}) is short for meshd with {crowded} LoRa radios on one "
            f'channel: the rule "air" is not checked; settle_s = {wanted_s:g} would have it checked'
        )
    return said


def crowded_lora(plan: Plan) -> tuple[int, float]:
    """Return how many radios share a channel that cannot settle in time, and what they want.

    Zeros where there is no such channel.
    """
    default = plan.media[0].name if plan.media else ""
    for medium in plan.media if plan.protocol == "meshd" else ():
        count = sum(
            group.count for group in plan.nodes if medium.name in (group.media or (default,))
        )
        wanted_s = count * RADIO_SETTLE_S
        if medium.kind == "lora" and count > CROWDED and plan.settle_s < wanted_s:
            return count, wanted_s
    return 0, 0.0
