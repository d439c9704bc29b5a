"""simulate: try a plan in virtual time, and tell a person what came of it."""

import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from contextlib import ExitStack
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshd.cli.main import Command
from meshd.cli.outfiles import LogFile, folder_for, write_whole
from meshd.cli.output import say, talk
from meshd.core.errors import Exit, RequestError
from meshd.status.text import visible_json

if TYPE_CHECKING:
    from meshd.simulation.outcome import Outcome
    from meshd.simulation.plan import Plan
    from meshd.simulation.run import Watcher
    from meshd.simulation.world import Tapes

_BAR_WIDTH = 24
_RECORD_BYTES_MAX = 1_000_000_000
_SPARSE_S = 60.0
_EVERY_S = 0.2
_PLOTS = "pip install 'meshd[plots]'"
_SHOWN_MAX = 5
_HOSTS_SHOWN_MAX = 24


def add_simulate(parser: ArgumentParser) -> Command:
    """Add the options of `meshd simulate`."""
    parser.add_argument("plan", nargs="?", metavar="PLAN", help="a plan file, or an example's name")
    parser.add_argument("--list", action="store_true", help="list the example plans")
    parser.add_argument(
        "--seed", type=_seed, default=1, metavar="N", help="another chance; default 1"
    )
    parser.add_argument("--report", metavar="DIR", help="write report.html and outcome.json there")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--log", metavar="FILE", help='one line per event, "-" for stdout')
    parser.add_argument(
        "--record", metavar="NODE", help="record this node, a file a life, for meshd replay"
    )
    parser.add_argument("--real-crypto", action="store_true", help="the daemon's own; slower")
    return _simulate


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ArgumentTypeError(f'"{text}" is not a seed: a number from 0')
    return int(text)


def _simulate(options: Namespace) -> int:
    if options.list:
        say(_listed())
        return Exit.OK
    if not options.plan:
        raise RequestError(
            "which plan?", code=Exit.USAGE, remedy="meshd simulate --list shows the examples"
        )
    if options.json and options.log == "-":
        raise RequestError(
            "--json and --log - would mix on stdout", code=Exit.USAGE, remedy="give --log a FILE"
        )
    plan = find_plan(options.plan)
    if options.real_crypto:
        plan = replace(plan, crypto="real")
    _check_recorded(plan, options.record)
    folder = folder_for(options.report) if options.report else None
    outcome = _run(plan, options)
    value = outcome.as_json()
    if options.json:
        sys.stdout.write(visible_json(outcome.text()))
    elif options.log != "-":
        from meshd.simulation.report.summary import table

        say(table(value))
    if folder is not None:
        _report(folder, outcome, command=_command(options))
    return _verdict(outcome, options)


# --- plans ----------------------------------------------------------------------------------------


def find_plan(name: str) -> "Plan":
    """Return the plan of a file, or the example of that name.

    Raises: ConfigError, or RequestError when there is neither.
    """
    from difflib import get_close_matches

    from meshd.simulation.plan_file import load, parse

    examples = _examples()
    if "/" in name or name.endswith(".toml") or Path(name).is_file():
        return load(name)
    if name in examples:
        return parse(examples[name], f"{name}.toml")
    near = get_close_matches(name, examples, n=1)
    hint = f'did you mean "{near[0]}"? ' if near else ""
    raise RequestError(
        f'"{name}" is no plan file and no example',
        code=Exit.NOT_FOUND,
        remedy=f"{hint}meshd simulate --list shows the examples",
    )


def _examples() -> dict[str, str]:
    """Return the text of each plan that comes with meshd, by name."""
    folder = resources.files("meshd.simulation") / "plans"
    found = sorted(item.name for item in folder.iterdir() if item.name.endswith(".toml"))
    return {name.removesuffix(".toml"): (folder / name).read_text("utf-8") for name in found}


def _listed() -> str:
    from meshd.simulation.plan_file import parse

    lines = []
    for name, text in _examples().items():
        plan = parse(text, name)
        nodes = sum(group.count for group in plan.nodes)
        lines.append(f"{name:<14} {nodes:>5} nodes  {plan.title}")
    return "\n".join(lines)


def _check_recorded(plan: "Plan", name: str | None) -> None:
    """See that there is what `--record` names. Raises: RequestError that lists what there is."""
    if name is None:
        return
    from meshd.simulation.plan import hosts_of

    known = [host for group in plan.nodes for host in hosts_of(group.name, group.count)]
    if name not in known:
        shown = ", ".join(known[:_HOSTS_SHOWN_MAX])
        more = len(known) - _HOSTS_SHOWN_MAX
        raise RequestError(
            f'--record: no host of this plan is called "{name}"',
            code=Exit.NOT_FOUND,
            remedy=f"its hosts: {shown}" + (f" and {more} more" if more > 0 else ""),
        )
    if plan.protocol != "meshd":
        raise RequestError(
            f"--record: the nodes of this plan speak {plan.protocol}, and only meshd is recorded",
            code=Exit.USAGE,
            remedy='leave it out, or play the plan with protocol = "meshd"',
        )


# --- running --------------------------------------------------------------------------------------


def _run(plan: "Plan", options: Namespace) -> "Outcome":
    from meshd.simulation.run import run_plan

    with ExitStack() as open_files:
        watchers: list[Watcher] = []
        file = None
        if options.log:
            file = open_files.enter_context(LogFile(options.log, sys.stdout))
            from meshd.simulation.report.log import Log, legend

            write = file.write
            write(legend(plan, options.seed))
            watchers.append(lambda world, _: Log(world, write))
        with Meter(plan.name) as meter:
            outcome = run_plan(
                plan, options.seed, observers=watchers, progress=meter.update, tapes=_tapes(options)
            )
        if file is not None:
            from meshd.simulation.report.log import broken

            file.write(broken(outcome.violations))
        return outcome


def _tapes(options: Namespace) -> "Tapes":
    """Return what gives the recorded node a new file in this folder for each of its lives."""
    from meshd.recording.tape import Tape

    def tape(name: str, life: int) -> Tape | None:
        if name != options.record:
            return None
        path = f"{name}-seed{options.seed}-life{life}.jsonl"
        return Tape(path, bytes_max=_RECORD_BYTES_MAX)

    return tape


class Meter:
    """How far it is, on stderr: a bar on a terminal, a line a minute elsewhere."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._terminal = sys.stderr.isatty()
        self._began_s = self._told_s = time.monotonic()
        self._shown = False

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def update(self, done_us: int, total_us: int) -> None:
        """Show virtual time, how much faster than life it goes, and when it will be done."""
        now_s = time.monotonic()
        if now_s - self._told_s < (_EVERY_S if self._terminal else _SPARSE_S):
            return
        self._told_s = now_s
        spent_s = max(now_s - self._began_s, 1e-6)
        share = done_us / total_us if total_us else 1.0
        left_s = spent_s / share - spent_s if share else 0.0
        text = (
            f"{share:4.0%}  {_span(done_us / 1e6)} of {_span(total_us / 1e6)}, "
            f"{done_us / 1e6 / spent_s:.0f} times as fast as life, {_span(left_s)} left"
        )
        if not self._terminal:
            sys.stderr.write(f"{self._label} {text}\n")
            return
        filled = int(share * _BAR_WIDTH)
        bar = "#" * filled + "." * (_BAR_WIDTH - filled)
        sys.stderr.write(f"\r{self._label} [{bar}] {text}\x1b[K")
        sys.stderr.flush()
        self._shown = True


def _span(time_s: float) -> str:
    """Return a duration as h:mm:ss, or m:ss."""
    minutes, rest_s = divmod(int(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest_s:02}" if hours else f"{minutes}:{rest_s:02}"


# --- telling --------------------------------------------------------------------------------------


def _command(options: Namespace) -> str:
    words = ["meshd simulate", Path(options.plan).name, f"--seed {options.seed}"]
    return " ".join([*words, "--real-crypto"] if options.real_crypto else words)


def _report(folder: Path, outcome: "Outcome", *, command: str) -> None:
    """Write the outcome, and the page when the plotting library is there."""
    write_whole(folder / "outcome.json", outcome.text())
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise RequestError(
            f"{folder / 'outcome.json'} is written; the page with its charts needs matplotlib",
            remedy=f"{_PLOTS}, and run it again",
        ) from None
    from meshd.simulation.report.page import page

    value: dict[str, Any] = outcome.as_json()
    write_whole(folder / "report.html", page(value, command=command))
    talk(f"report: {folder / 'report.html'}")


def _verdict(outcome: "Outcome", options: Namespace) -> int:
    """Tell what did not hold and what to do about it; return the exit code."""
    if not outcome.finished:
        talk("meshd: interrupted: what is told is what was known by then")
    if outcome.held:
        return Exit.OK if outcome.finished else Exit.INTERRUPTED
    count = sum(outcome.broken.values())
    shown = [
        f"{item.at_us / 1e6:.3f} s, {item.host or 'the mesh'}: {item.checker}: {item.text}"
        for item in outcome.violations[:_SHOWN_MAX]
    ]
    if count > len(shown):
        shown.append(f"and {count - len(shown)} more")
    raise RequestError(
        "\n".join([f"rules were broken {count} times", *shown]),
        remedy=f"{_command(options)} --log FILE shows what led to it; "
        "please report it with the plan and the seed",
    )
