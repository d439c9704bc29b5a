"""Run random cruel plans on all cores, and shrink each failure to the shortest that still fails.

Enters: how many seeds, from which on; or plan files to judge once more. Leaves: lines on stdout,
for each failure a plan file under `build/swarm` and the command that shows it again, exit code 1
when anything failed. With `--log FILE` a line there for each seed, by which a hunt that was ended
goes on: seeds that it names are not judged again. A failure is a rule that a checker found broken,
an exception in a node, a repeated nonce, or a plan that does not end (`HANG_S`, and more for many
hosts). Must not know: what the rules are.
"""

import argparse
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import cpu_count, get_context
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from meshd.simulation.observer import Violation
from meshd.simulation.plan.file import dump, load
from meshd.simulation.plan.plan import Plan
from meshd.simulation.swarm.draws import random_plan
from meshd.simulation.swarm.judge import judge
from meshd.simulation.swarm.shrink import shrink

HANG_S = 60
"""What a plan of little work may take of a processor; more of it by `HANG_S_EACH`."""
HANG_S_EACH = 0.03
"""Seconds more for each second of virtual time of each host: twenty hosts for ten minutes, 360."""
TRIES_MAX = 80
SHOWN_MAX = 4
FOLDER = Path("build") / "swarm"


class Failure(NamedTuple):
    """What is wrong with a plan: a short name of the kind of fault, and what there is to say."""

    kind: str
    lines: tuple[str, ...]


def _judge_in_time(plan: Plan, seed: int) -> list[Violation]:
    """Judge in a worker, where an alarm ends what does not end by itself."""
    limit_s = HANG_S + HANG_S_EACH * (plan.end_us / 1e6) * sum(one.count for one in plan.nodes)

    def hang(*_: object) -> None:
        raise TimeoutError(f"no end after {limit_s:.0f} s of work")

    signal.signal(signal.SIGVTALRM, hang)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
    try:
        return judge(plan, seed)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _failure(done: Future[list[Violation]]) -> Failure | None:
    """Say how a run failed; None when it held."""
    error = done.exception()
    if error is not None:
        trace = str(error.__cause__ or error).strip().strip('"').strip().splitlines()
        return Failure(type(error).__name__, tuple(trace[-8:]))
    found = done.result()
    if not found:
        return None
    lines = tuple(f"{one.at_us / 1e6:.3f} s {one.host} {one.text}" for one in found)
    return Failure(found[0].checker, lines)


class Swarm:
    """The workers, and what came of the seeds."""

    def __init__(self, pool: ProcessPoolExecutor, log: Path | None = None) -> None:
        self._pool = pool
        self._log = log
        self.kinds: Counter[str] = Counter()

    def run(self, plans: Iterable[tuple[int, Plan]], total: int) -> None:
        """Judge all plans; tell each failure as it comes, shrunk."""
        began, done_count = monotonic(), 0
        waiting = {
            self._pool.submit(_judge_in_time, plan, seed): (seed, plan) for seed, plan in plans
        }
        failed: list[tuple[int, Plan, Failure]] = []
        for done in as_completed(waiting):
            done_count += 1
            failure = _failure(done)
            seed, plan = waiting.pop(done)
            self._note(seed, plan, failure)
            if failure is not None:
                self.kinds[failure.kind] += 1
                failed.append((seed, plan, failure))
                _say(f"seed {seed}: {failure.kind}: {failure.lines[0] if failure.lines else ''}")
            if done_count % 50 == 0 or done_count == total:
                _say(f"{done_count} of {total} plans, {monotonic() - began:.0f} s")
        shrunk: Counter[str] = Counter()
        for seed, plan, failure in sorted(failed, key=lambda one: one[0]):
            shrunk[failure.kind] += 1
            small = self.smallest(seed, plan, failure) if shrunk[failure.kind] <= 3 else plan
            _report(seed, small, failure)

    def _note(self, seed: int, plan: Plan, failure: Failure | None) -> None:
        """Write what became of a seed to the log at once."""
        if self._log is not None:
            what = "held" if failure is None else f"{failure.kind}: {' | '.join(failure.lines[:1])}"
            with self._log.open("a") as log:
                log.write(f"{seed} {plan.name} {what}\n")

    def smallest(self, seed: int, plan: Plan, failure: Failure) -> Plan:
        """Shrink a failure, trying as many plans at once as there are cores."""

        def fails(plans: Sequence[Plan]) -> int | None:
            width = cpu_count()
            for start in range(0, len(plans), width):
                batch = [
                    self._pool.submit(_judge_in_time, one, seed)
                    for one in plans[start : start + width]
                ]
                for place, done in enumerate(batch):
                    found = _failure(done)
                    if found is not None and found.kind == failure.kind:
                        return start + place
            return None

        return shrink(plan, fails, TRIES_MAX)


def _report(seed: int, plan: Plan, failure: Failure) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"seed-{seed}.toml"
    path.write_text(dump(plan))
    _say(f"\nseed {seed} breaks {failure.kind}; smallest plan: {path}")
    for line in failure.lines[:SHOWN_MAX]:
        _say(f"    {line}")
    _say(f"  again: python -m meshd.simulation.swarm --plan {path} --first {seed}")


def _judged(log: Path | None) -> set[int]:
    """Return the seeds that a log names."""
    if log is None or not log.exists():
        return set()
    return {int(line.split(maxsplit=1)[0]) for line in log.read_text().splitlines()}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _again(paths: Sequence[str], seed: int) -> int:
    """Judge plan files in this process, so that an exception shows where it came from."""
    broken = 0
    for path in paths:
        found = judge(load(path), seed)
        broken += bool(found)
        _say(f"{path}: {'broken' if found else 'holds'}")
        for one in found[:20]:
            _say(f"    {one.at_us / 1e6:.6f} s {one.checker} {one.host} {one.text}")
    return 1 if broken else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m meshd.simulation.swarm")
    parser.add_argument("--seeds", type=int, default=200, help="how many plans")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--plan", action="append", default=[], help="judge this file, not seeds")
    parser.add_argument("--show", action="store_true", help="write the first seed's plan instead")
    parser.add_argument("--jobs", type=int, default=cpu_count())
    parser.add_argument("--log", type=Path, help="a line for each seed; those there are left out")
    chosen = parser.parse_args(argv)
    if chosen.show:
        _say(dump(random_plan(chosen.first)))
        return 0
    if chosen.plan:
        return _again(chosen.plan, chosen.first)
    with ProcessPoolExecutor(chosen.jobs, mp_context=get_context("spawn")) as pool:
        swarm = Swarm(pool, chosen.log)
        known = _judged(chosen.log)
        wanted = range(chosen.first, chosen.first + chosen.seeds)
        seeds = [seed for seed in wanted if seed not in known]
        swarm.run(((seed, random_plan(seed)) for seed in seeds), len(seeds))
    failed = sum(swarm.kinds.values())
    _say(f"{len(seeds)} plans, {failed} failed: {dict(swarm.kinds)}" if failed else "all held")
    return 1 if failed else 0
