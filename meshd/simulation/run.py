"""Run a plan from its first microsecond to the end of its time to settle.

Enters: a plan, a seed, makers of observers, a way to tell how far it is. Leaves: an `Outcome`.
Must not know: wall time, files, terminals. Ctrl-C ends it early, with what is known by then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

from meshd.recording.tape import Tape
from meshd.simulation.anyworld import AnyHost, AnyWorld
from meshd.simulation.build import build_world
from meshd.simulation.checks import all_checkers
from meshd.simulation.checks.air import Air
from meshd.simulation.checks.checker import Checker
from meshd.simulation.checks.duty import Duty
from meshd.simulation.correspondents import Correspondents
from meshd.simulation.crowd import Crowd
from meshd.simulation.crypto import primitives
from meshd.simulation.host import Host
from meshd.simulation.lora.medium import radios
from meshd.simulation.observer import Observer, Violation
from meshd.simulation.outcome import Json, Outcome, seconds
from meshd.simulation.plan.hints import crowded_lora, warnings
from meshd.simulation.plan.plan import Plan, hosts_of
from meshd.simulation.rivals.build import build
from meshd.simulation.rivals.people import RivalPeople
from meshd.simulation.schedule import SECOND
from meshd.simulation.score import Score
from meshd.simulation.survey import Survey
from meshd.simulation.tally import Listener, Tally
from meshd.simulation.traffic import People, members_of, relays_of
from meshd.simulation.world import Tapes, World, no_tapes

Progress = Callable[[int, int], None]
"""Is told of virtual time: done and all, in microseconds."""
Watcher = Callable[[AnyWorld[AnyHost], Plan], Observer]

_BUCKETS_MAX = 60
_BUCKETS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
_CALLS = 400
"""How often a whole run tells how far it is."""


class Parts(NamedTuple):
    """What a run is made of; of the rules, rivals have that of the law, and no crowd."""

    world: AnyWorld[AnyHost]
    people: People | RivalPeople
    checkers: Sequence[Checker] = ()
    crowd: Sequence[Observer] = ()


class Span(NamedTuple):
    """How a run is cut into stretches of time for its curves."""

    end_us: int
    bucket_us: int
    buckets: int

    @classmethod
    def of(cls, plan: Plan) -> Span:
        """Choose a round stretch, so that there are at most `_BUCKETS_MAX`."""
        end_us = plan.end_us
        fits = (one for one in _BUCKETS_S if end_us <= one * SECOND * _BUCKETS_MAX)
        bucket_us = next(fits, _BUCKETS_S[-1]) * SECOND
        return cls(end_us, bucket_us, -(-end_us // bucket_us))


class Faults(Observer):
    """Keeps when each fault began and ended."""

    def __init__(self, world: AnyWorld[AnyHost]) -> None:
        self._world = world
        self._seen: list[Json] = []

    def fault(self, kind: str, text: str, *, begins: bool) -> None:
        now_s = seconds(self._world.now)
        if begins:
            self._seen.append({"kind": kind, "text": text, "begins_s": now_s, "ends_s": None})
            return
        for item in self._seen:
            if (item["kind"], item["text"], item["ends_s"]) == (kind, text, None):
                item["ends_s"] = now_s
                return

    def listed(self) -> list[Json]:
        """Return the faults in order of their beginning."""
        return self._seen


def run_plan(
    plan: Plan,
    seed: int,
    *,
    observers: Sequence[Watcher] = (),
    progress: Progress | None = None,
    tapes: Tapes = no_tapes,
) -> Outcome:
    """Run a plan; each of `observers` makes one of the new world, `tapes` records its nodes.

    Raises: UsageError when a plan asks of a rival protocol what it does not do.
    """
    with primitives(plan.crypto):
        return _run(plan, _set_up(plan, seed, tapes), observers, progress, seed=seed)


def _run(
    plan: Plan,
    parts: Parts,
    observers: Sequence[Watcher],
    progress: Progress | None,
    *,
    seed: int,
) -> Outcome:
    span = Span.of(plan)
    world, people, checkers, crowd = parts
    tally, faults = Tally(span.bucket_us, span.buckets), Faults(world)
    made = [watcher(world, plan) for watcher in observers]
    for observer in (people, Listener(world, tally), faults, *checkers, *crowd, *made):
        world.watch(observer)
    people.begin()
    running: list[int] = []
    finished = True
    survey = Survey(world, plan)
    first = survey.islands()
    try:
        _pass(world, span, running, progress)
        for observer in world.observers:
            observer.finished()
    except KeyboardInterrupt:
        finished = False
    for host in world.hosts:
        if isinstance(host, Host):
            host.end_recording()
    value = {
        **_about(plan, seed, world),
        "checked": [checker.name for checker in checkers],
        "delivery": {"total": people.score.total(), "kinds": people.score.kinds()},
        "hosts": people.score.hosts([host.name for host in world.hosts]),
        "islands": {"begin": first, "end": survey.islands(), "by_lora": not world.media},
        "sent": {**tally.totals(), "busiest": survey.busiest(tally, seconds(span.bucket_us))},
        "faults": faults.listed(),
        "warnings": warnings(plan),
        "curves": _curves(span, people.score, tally, running),
        "map": survey.map(),
        "radios": radios(world) if isinstance(world, World) else [],
    }
    return Outcome(value, _violations(checkers), _broken(checkers), finished)


def _set_up(plan: Plan, seed: int, tapes: Tapes) -> Parts:
    """Return the world, its people, and who watches the rules: of rivals, that of the law."""
    if plan.protocol == "meshd":
        world = build_world(plan, seed, tapes=_second_lives(plan, tapes))
        hurried, _ = crowded_lora(plan)
        people, checkers = People(world, plan), all_checkers(world, plan)
        checkers = [one for one in checkers if not (hurried and isinstance(one, Air))]
        crowd: list[Observer] = [Crowd(world, plan)] if plan.crowd else []
        crowd += [Correspondents(world, plan)] if plan.letters else []
        return Parts(world, people, checkers, crowd)
    rivals = build(plan, seed)
    duty = Duty(cast(World, rivals), plan)
    return Parts(rivals, RivalPeople(rivals, plan), (duty,))


def _second_lives(plan: Plan, tapes: Tapes) -> Tapes:
    """Return tapes that leave out a first life that ends before the clock starts.

    Devices boot once with an empty disk, and again with what they got at the table.
    """
    names = [name for group in plan.nodes for name in hosts_of(group.name, group.count)]
    members = members_of(plan, names)
    founded = {*members, *relays_of(plan, names)} if members else set()

    def lives(name: str, life: int) -> Tape | None:
        return None if life == 1 and name in founded else tapes(name, life)

    return lives


def _pass(
    world: AnyWorld[AnyHost], span: Span, running: list[int], progress: Progress | None
) -> None:
    """Let the time pass; note how many hosts run in the middle of each stretch."""
    step_us = max(SECOND, span.end_us // _CALLS)

    def until(time_us: int) -> None:
        while world.now < time_us:
            world.run(min(step_us, time_us - world.now))
            if progress is not None:
                progress(world.now, span.end_us)

    if progress is not None:
        progress(world.now, span.end_us)
    for number in range(span.buckets):
        begins_us = number * span.bucket_us
        ends_us = min(begins_us + span.bucket_us, span.end_us)
        until((begins_us + ends_us) // 2)
        running.append(sum(host.running for host in world.hosts))
        until(ends_us)


def _about(plan: Plan, seed: int, world: AnyWorld[AnyHost]) -> Json:
    return {
        "plan": plan.name,
        "title": plan.title,
        "seed": seed,
        "protocol": plan.protocol,
        "crypto": plan.crypto,
        "nodes": sum(group.count for group in plan.nodes),
        "duration_s": plan.duration_s,
        "settle_s": plan.settle_s,
        "virtual_s": seconds(world.now),
    }


def _curves(span: Span, score: Score, tally: Tally, running: list[int]) -> Json:
    rows = [
        {
            "at_s": seconds(place * span.bucket_us),
            **bucket,
            "sent": tally.bucket(place),
            "running": count,
        }
        for place, (bucket, count) in enumerate(
            zip(score.buckets(span.bucket_us, span.buckets), running, strict=False)
        )
    ]
    return {"bucket_s": seconds(span.bucket_us), "rows": rows}


def _violations(checkers: Sequence[Checker]) -> tuple[Violation, ...]:
    return tuple(sorted(item for checker in checkers for item in checker.violations))


def _broken(checkers: Sequence[Checker]) -> dict[str, int]:
    return {checker.name: checker.count for checker in checkers if checker.count}
