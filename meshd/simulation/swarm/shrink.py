"""From a plan that fails to the shortest one found that still fails in the same way.

Enters: a plan, and a way to try several others at once. Leaves: a smaller plan. What is tried, in
this order until nothing helps any more: fewer faults, less traffic, fewer hosts, shorter times,
plainer hosts and media. Must not know: how a plan is run, what a failure is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from meshd.simulation.plan.plan import Fault, NodeGroup, Plan, Terrain, Traffic, means

Try = Callable[[Sequence[Plan]], int | None]
"""Tries plans; returns the place of the first that fails as before, or None."""

DURATION_MIN_S = 10.0
_T = TypeVar("_T")


def shrink(plan: Plan, fails: Try, tries_max: int) -> Plan:
    """Return the smallest plan found with at most about `tries_max` runs."""
    tried = 0
    helped = True
    while helped and tried < tries_max:
        helped = False
        for smaller in _WAYS:
            while tried < tries_max:
                plans = [one for one in smaller(plan) if one != plan and _sound(one)]
                found = fails(plans) if plans else None
                tried += len(plans) if found is None else found + 1
                if found is None:
                    break
                plan, helped = plans[found], True
    return plan


def _without(items: Sequence[_T]) -> Iterator[tuple[_T, ...]]:
    """Leave out a half, then each alone."""
    half = len(items) // 2
    if half > 1:
        yield tuple(items[half:])
        yield tuple(items[:half])
    for place in range(len(items)):
        yield (*items[:place], *items[place + 1 :])


def _faults(plan: Plan) -> Iterator[Plan]:
    for faults in _without(plan.faults):
        yield replace(plan, faults=faults)


def _traffic(plan: Plan) -> Iterator[Plan]:
    for traffic in _without(plan.traffic):
        yield replace(plan, traffic=traffic)
    if plan.crowd:
        yield replace(plan, crowd=False)
    if plan.letters:
        yield replace(plan, letters=False)
    for place, item in enumerate(plan.traffic):
        if item.every_s < plan.duration_s:
            calmer = replace(item, every_s=item.every_s * 3)
            yield replace(plan, traffic=_put(plan.traffic, place, calmer))


def _hosts(plan: Plan) -> Iterator[Plan]:
    for nodes in _without(plan.nodes):
        if nodes:
            yield _only(plan, nodes)


def _only(plan: Plan, nodes: tuple[NodeGroup, ...]) -> Plan:
    """Keep some hosts, and what still speaks of somebody."""
    names = [group.name for group in nodes]
    media = tuple(
        replace(
            medium,
            between=tuple(pair for pair in medium.between if set(pair) <= set(names)),
        )
        for medium in plan.media
    )
    media = tuple(medium for medium in media if medium.kind != "wire" or medium.between)
    faults = tuple(fault for fault in plan.faults if _meant(fault.nodes, names))
    faults = tuple(
        fault if _meant(fault.other, names) else replace(fault, other="*") for fault in faults
    )
    traffic = tuple(item for item in plan.traffic if _meant(item.nodes, names))
    return replace(plan, nodes=nodes, media=media, faults=faults, traffic=traffic)


def _meant(pattern: str, names: Sequence[str]) -> bool:
    return any(means(pattern, name) for name in names)


def _times(plan: Plan) -> Iterator[Plan]:
    for share in (0.25, 0.5, 0.8):
        cut_s = round(plan.duration_s * share, 1)
        if cut_s >= DURATION_MIN_S:
            faults = tuple(_ending(fault, cut_s) for fault in plan.faults if fault.at_s < cut_s)
            traffic = tuple(item for item in plan.traffic if item.start_s < cut_s)
            yield replace(plan, duration_s=cut_s, faults=faults, traffic=traffic)
    for place, fault in enumerate(plan.faults):
        if fault.for_s > 1:
            shorter = replace(fault, for_s=round(fault.for_s / 3, 1))
            yield replace(plan, faults=_put(plan.faults, place, shorter))


def _ending(fault: Fault, end_s: float) -> Fault:
    return replace(fault, for_s=round(min(fault.for_s, end_s - fault.at_s), 3))


def _plainer(plan: Plan) -> Iterator[Plan]:
    plain = Terrain(plan.terrain.width_m, plan.terrain.height_m, shadowing_db=0, asymmetry_db=0)
    if plan.terrain != plain:
        yield replace(plan, terrain=plain)
    for place, medium in enumerate(plan.media):
        if medium.loss or medium.multicast_loss:
            clean = replace(medium, loss=0.0, multicast_loss=0.0)
            yield replace(plan, media=_put(plan.media, place, clean))
    for place, group in enumerate(plan.nodes):
        bare = NodeGroup(group.name, media=group.media, x_m=group.x_m, y_m=group.y_m)
        if group != bare:
            yield replace(plan, nodes=_put(plan.nodes, place, bare))


def _put(items: tuple[_T, ...], place: int, item: _T) -> tuple[_T, ...]:
    return (*items[:place], item, *items[place + 1 :])


def _sound(plan: Plan) -> bool:
    """Tell whether everything in the plan ends in time and speaks of somebody."""
    names = [group.name for group in plan.nodes]
    things: list[Fault | Traffic] = [*plan.faults, *plan.traffic]
    return bool(names) and all(_meant(thing.nodes, names) for thing in things)


_WAYS: tuple[Callable[[Plan], Iterator[Plan]], ...] = (_faults, _traffic, _hosts, _times, _plainer)
