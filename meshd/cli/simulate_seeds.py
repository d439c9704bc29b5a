"""The same plan with several seeds, on all cores: the median, and how far they lie apart."""

import json
import multiprocessing
import os
import signal
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshd.cli.outfiles import write_whole
from meshd.cli.output import say, talk
from meshd.cli.simulate_run import command, ready_for_report, tell_hints
from meshd.core.errors import Exit, RequestError
from meshd.status.cells import visible_json

if TYPE_CHECKING:
    from meshd.simulation.plan.plan import Plan

Json = dict[str, Any]


def run_seeds(plan: "Plan", options: Namespace) -> int:
    """Run a plan with each of several seeds and tell of all; return the exit code."""
    from meshd.simulation.report import seeds as report
    from meshd.simulation.report.summary import aligned, verdicts

    plots = ready_for_report(options.report)
    tell_hints(plan)
    cores = min(os.cpu_count() or 1, len(options.seeds))
    talk(f"{plan.name}: {len(options.seeds)} seeds, {cores} at a time")
    outcomes: dict[int, Json] = {}
    try:
        for seed, outcome in _each(plan, options.seeds, cores):
            outcomes[seed] = outcome
            words = "; ".join(item.words for item in verdicts(outcome))
            talk(f"{plan.name}: {len(outcomes)} of {len(options.seeds)}, seed {seed}: {words}")
            if options.report:
                _write_seed(Path(options.report), seed, outcome, options, plots=plots)
    except KeyboardInterrupt:
        talk(f"meshd: interrupted: {len(outcomes)} of {len(options.seeds)} seeds are told")
    value = report.together(plan, outcomes, options.seeds)
    if options.json:
        say(visible_json(json.dumps(value, sort_keys=True, ensure_ascii=False)))
    elif outcomes:
        say("\n".join([report.sentence(value), "", *aligned(report.rows(value))]))
    if options.report and outcomes:
        folder = Path(options.report)
        again = command(options).replace(f"--seed {options.seed}", f"--seeds {_span(options)}")
        write_whole(folder / "outcome.json", json.dumps(value, indent=1, sort_keys=True))
        write_whole(folder / "report.html", report.page(value, command=again))
        talk(f"report: {folder / 'report.html'}, and a page for each seed beside it")
    if not value["finished"]:
        return Exit.INTERRUPTED
    return Exit.RULE_BROKEN if any(row["broken"] for row in value["seeds"]) else Exit.OK


def _span(options: Namespace) -> str:
    return f"{options.seeds[0]}-{options.seeds[-1]}"


def _write_seed(folder: Path, seed: int, outcome: Json, options: Namespace, *, plots: bool) -> None:
    from meshd.simulation.report.page import page

    text = page(outcome, command=command(options, seed=seed), plots=plots)
    write_whole(folder / f"seed{seed}.html", text)


def _each(plan: "Plan", seeds: list[int], cores: int) -> Iterator[tuple[int, Json]]:
    """Run the seeds, and give each outcome as soon as it is there.

    Raises: RequestError when a process died, most likely for want of memory.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, mp_context=context, initializer=_leave_to_parent) as pool:
        waiting = {pool.submit(_outcome, plan, seed): seed for seed in seeds}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool as error:
            raise RequestError(
                "a run ended without a word, most likely for want of memory",
                remedy="run fewer at a time: --seed N for one",
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()


def _leave_to_parent() -> None:
    """Ctrl-C reaches all processes of a terminal; the first one decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _outcome(plan: "Plan", seed: int) -> Json:
    from meshd.simulation.run import run_plan

    return run_plan(plan, seed).as_json()
