"""One run of a plan: what must be there is looked for first, then it runs, then it is told."""

import json
import os
import sys
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from meshd.cli.meter import Meter
from meshd.cli.outfiles import LogFile, folder_for, write_whole
from meshd.cli.output import say, talk
from meshd.core.errors import Exit, RequestError
from meshd.status.cells import visible_json

if TYPE_CHECKING:
    from meshd.simulation.outcome import Outcome
    from meshd.simulation.plan.plan import Plan
    from meshd.simulation.run import Watcher
    from meshd.simulation.world import Tapes

_RECORD_BYTES_MAX = 1_000_000_000
_SHOWN_MAX = 5
_HOSTS_SHOWN_MAX = 24


def run_once(plan: "Plan", options: Namespace) -> int:
    """Run a plan with one seed and tell what came of it; return the exit code."""
    from meshd.core.spans import span

    plots = ready_for_report(options.report)
    _check_recording(plan, options)
    tell_hints(plan)
    recorded: list[str] = []
    try:
        outcome = _run(plan, options, recorded)
    except KeyboardInterrupt:
        return _never_began(plan, options)
    value = outcome.as_json()
    if options.json:
        sys.stdout.write(visible_json(outcome.text()))
    elif options.log != "-":
        from meshd.simulation.report.summary import table

        say(table(value))
    sys.stdout.flush()
    if not outcome.finished:
        where = f"{span(value['virtual_s'])} of {span(plan.end_us / 1e6)}"
        talk(f"meshd: interrupted at {where}: what is told is what was known by then")
    if options.report:
        from meshd.simulation.report.page import page

        folder = Path(options.report)
        write_whole(folder / "outcome.json", outcome.text())
        text = page(value, command=command(options), plots=plots)
        write_whole(folder / "report.html", text)
        talk(f"report: {folder / 'report.html'}")
    for path in recorded:
        talk(f"recorded: {path}; `meshd replay {path}` tells it again")
    return _verdict(outcome, options)


# --- before the run -------------------------------------------------------------------------------


def ready_for_report(folder: str | None) -> bool:
    """Make the folder of the report; tell whether its curves can be drawn.

    Raises: RequestError when nothing can be written there: better now than after the run.
    """
    if not folder:
        return False
    folder_for(folder)
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        here = f"{sys.executable} -m pip install matplotlib"
        talk(f"meshd: the report will have no curves: they need matplotlib ({here})")
        return False
    return True


def tell_hints(plan: "Plan") -> None:
    """Say what a planner hardly meant."""
    from meshd.simulation.plan.hints import warnings

    for said in warnings(plan):
        talk(f"meshd: {said}")


def _check_recording(plan: "Plan", options: Namespace) -> None:
    """Refuse what could not be recorded, before anything runs. Raises: RequestError."""
    if options.record is None:
        return
    from meshd.simulation.plan.plan import hosts_of

    known = [name for group in plan.nodes for name in hosts_of(group.name, group.count)]
    if options.record not in known:
        shown = ", ".join(known[:_HOSTS_SHOWN_MAX])
        more = len(known) - _HOSTS_SHOWN_MAX
        raise RequestError(
            f'--record: no host of this plan is called "{options.record}"',
            code=Exit.NOT_FOUND,
            remedy=f"its hosts: {shown}" + (f" and {more} more" if more > 0 else ""),
        )
    if plan.protocol != "meshd":
        raise RequestError(
            f"--record: the nodes of this plan speak {plan.protocol}, and only meshd is recorded",
            code=Exit.USAGE,
            remedy='leave it out, or play the plan with protocol = "meshd"',
        )
    first = _recording(options, 1)
    if os.path.lexists(first):
        raise RequestError(
            f"{first} exists: a recording is never written over",
            remedy="remove it, or run in another folder",
        )


def _recording(options: Namespace, life: int) -> str:
    return f"{options.record}-seed{options.seed}-life{life}.jsonl"


# --- running --------------------------------------------------------------------------------------


def _run(plan: "Plan", options: Namespace, recorded: list[str]) -> "Outcome":
    from meshd.core.spans import span
    from meshd.simulation.run import run_plan

    nodes = sum(group.count for group in plan.nodes)
    about = f"{nodes} nodes, {span(plan.end_us / 1e6)} of virtual time; setting up"
    with ExitStack() as open_files:
        watchers: list[Watcher] = []
        file = None
        if options.log:
            file = open_files.enter_context(LogFile(options.log, sys.stdout))
            from meshd.simulation.report.log import Log, legend

            write = file.write
            write(legend(plan, options.seed))
            watchers.append(lambda world, _: Log(world, write))
        with Meter(plan.name, about) as meter:
            outcome = run_plan(
                plan,
                options.seed,
                observers=watchers,
                progress=meter.update,
                tapes=_tapes(options, recorded),
            )
        if file is not None:
            from meshd.simulation.report.log import broken

            file.write(broken(outcome.violations))
        return outcome


def _tapes(options: Namespace, recorded: list[str]) -> "Tapes":
    """Return what gives the recorded node a new file in this folder for each of its lives."""
    from meshd.recording.tape import Tape

    def tape(name: str, life: int) -> Tape | None:
        if name != options.record:
            return None
        recorded.append(_recording(options, len(recorded) + 1))
        return Tape(recorded[-1], bytes_max=_RECORD_BYTES_MAX)

    return tape


# --- telling --------------------------------------------------------------------------------------


def command(options: Namespace, *, seed: int | None = None) -> str:
    """Return the command that leads to the same again."""
    words = ["meshd simulate", Path(options.plan).name]
    words.append(f"--seed {options.seed if seed is None else seed}")
    if options.protocol:
        words.append(f"--protocol {options.protocol}")
    if options.lasting:
        words.append(f"--for {options.lasting[1]}")
    return " ".join([*words, "--real-crypto"] if options.real_crypto else words)


def _never_began(plan: "Plan", options: Namespace) -> int:
    """Tell of a run that was interrupted while the devices were set up."""
    from meshd.simulation.outcome import SCHEMA

    if options.json:
        value = {"plan": plan.name, "seed": options.seed, "finished": False, "virtual_s": 0.0}
        rules = {"held": True, "broken": {}, "violations": []}
        say(visible_json(json.dumps({"schema": SCHEMA, **value, **rules})))
    talk("meshd: interrupted before the clock began: there is nothing to tell yet")
    return Exit.INTERRUPTED


def _verdict(outcome: "Outcome", options: Namespace) -> int:
    """Tell what did not hold and what to do about it; return the exit code."""
    if outcome.broken:
        shown = [
            f"{item.at_us / 1e6:.3f} s, {item.host or 'the mesh'}: {item.checker}: {item.text}"
            for item in outcome.violations[:_SHOWN_MAX]
        ]
        left = sum(outcome.broken.values()) - len(shown)
        lines = [*shown, f"and {left} more"] if left else shown
        talk("\n".join(f"meshd: {line}" for line in lines))
        talk(
            f"  next: {command(options)} --log FILE shows what led to it; "
            "please report it with the plan and the seed"
        )
    if not outcome.finished:
        return Exit.INTERRUPTED
    return Exit.OK if outcome.held else Exit.RULE_BROKEN
