"""From a plan and a seed to a world of meshd nodes that has not begun.

Enters: a `Plan` of protocol "meshd", a seed. Leaves: a `World` with its media, all hosts in place
and running, walkers under way, faults on the heap. Must not know: what people do (`traffic`).
A plan without media has one radio. A wire takes in whom its pairs name. LoRa channels are no media
of the world: what checkers promise, they promise over IP alone.
"""

from collections.abc import Sequence

from meshd.core.errors import UsageError
from meshd.core.events import LinkKind
from meshd.simulation.anyworld import AnyHost
from meshd.simulation.clock import Clock
from meshd.simulation.faults.power import SunPower
from meshd.simulation.faults.schedule import apply_faults
from meshd.simulation.layout import places
from meshd.simulation.lora.medium import LoraMedium
from meshd.simulation.media.edges import Edge, Edges
from meshd.simulation.media.ip_radio import IpRadio
from meshd.simulation.media.medium import Medium
from meshd.simulation.media.place import PathLoss, Place, Walker
from meshd.simulation.plan.plan import MediumPlan, NodeGroup, Plan, hosts_of, means
from meshd.simulation.schedule import Schedule
from meshd.simulation.world import DEFAULT, SECOND, Tapes, World, no_tapes

_RADIO = MediumPlan(DEFAULT, "ip-radio")


def build_world(plan: Plan, seed: int, *, tapes: Tapes = no_tapes) -> World:
    """Return the world of a plan at time 0. Equal plans and seeds give equal worlds.

    Raises: UsageError when a medium or the protocol is not one that meshd runs on.
    """
    if plan.protocol != "meshd":
        raise UsageError(f"protocol {plan.protocol!r} has a builder of its own")
    world = World(seed, tapes=tapes)
    media = plan.media or (_RADIO,)
    law = PathLoss(plan.terrain, seed)
    for medium in media:
        if medium.kind == "lora":
            world.airs[medium.name] = LoraMedium(medium, law, world)
        else:
            world.add_medium(_medium(world, medium, law))
    for group in plan.nodes:
        _add_group(world, plan, group, media)
    for medium in media:
        _tie(world, medium)
    apply_faults(world, plan)
    return world


def _medium(world: World, plan: MediumPlan, law: PathLoss) -> Medium:
    if plan.kind == "ip-radio":
        return IpRadio(plan, law, world)
    if plan.kind == "wire":
        return Edges(plan.name, world, kind=LinkKind.WIRED)
    raise UsageError(f"meshd does not run on a medium of kind {plan.kind!r}")


def _add_group(world: World, plan: Plan, group: NodeGroup, media: Sequence[MediumPlan]) -> None:
    names = hosts_of(group.name, group.count)
    where = places(group, plan.terrain, world.stream(f"places of {group.name}"))
    error_us = None if group.wall_offset_s is None else round(group.wall_offset_s * SECOND)
    for name, place in zip(names, where, strict=True):
        clock = Clock(
            ppm=group.clock_ppm, wall_error_us=error_us, boots=world.stream(f"boots of {name}")
        )
        on = list(group.media or (media[0].name,))
        on += [wire.name for wire in media if wire.name not in on and _named(wire, name)]
        ported = [each for each in on if each not in world.airs]
        host = world.add_host(name, media=ported or None, at=place, clock=clock)
        for each in on:
            if each in world.airs:
                world.airs[each].add(host)
        set_going(world, host, group)


def set_going(schedule: Schedule, host: AnyHost, group: NodeGroup) -> None:
    """Let a host walk, and live by the sun, when its group does."""

    def move(place: Place) -> None:
        host.move(*place)

    if group.walk:
        Walker(group.walk, schedule.at, move, again=group.walk_again).begin(schedule.now)
    if group.sun is not None:
        SunPower(group.sun, schedule.at, host.power).begin(schedule.now)


def _named(medium: MediumPlan, name: str) -> bool:
    return any(means(pattern, name) for pair in medium.between for pattern in pair)


def _tie(world: World, plan: MediumPlan) -> None:
    """Tie the hosts of a wire, pair by pair."""
    wire = world.media.get(plan.name)
    if not isinstance(wire, Edges):
        return
    edge = Edge(plan.delay_us, plan.delay_us // 10, plan.loss)
    for near, far in plan.between:
        for one in world.hosts:
            for other in world.hosts:
                if one is other or not means(near, one.name):
                    continue
                if means(far, other.name):
                    wire.hear(one, other, edge)
                    wire.hear(other, one, edge)
