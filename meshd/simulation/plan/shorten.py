"""A plan made shorter: the same place and people, and only the first part of what goes wrong.

Enters: a plan, how long people shall talk. Leaves: a plan; its time to settle stays.
"""

from dataclasses import replace

from meshd.simulation.plan.plan import Plan


def shortened(plan: Plan, duration_s: float) -> Plan:
    """Return the plan with this duration, or the plan itself when it is no longer than that."""
    if duration_s >= plan.duration_s:
        return plan
    faults = tuple(
        replace(one, for_s=min(one.for_s, duration_s - one.at_s))
        for one in plan.faults
        if one.at_s < duration_s
    )
    traffic = tuple(
        replace(one, end_s=None if one.end_s is None or one.end_s >= duration_s else one.end_s)
        for one in plan.traffic
        if one.start_s < duration_s
    )
    return replace(plan, duration_s=duration_s, faults=faults, traffic=traffic)
