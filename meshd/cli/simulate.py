"""simulate: try a plan in virtual time, and tell a person what came of it."""

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from meshd.cli.main import Command
from meshd.cli.output import print_json, say, talk
from meshd.core.errors import ConfigError, Exit, RequestError

if TYPE_CHECKING:
    from meshd.simulation.plan.plan import Plan

_SEEDS_MAX = 1_000
_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}
_EPILOG = """\
exit codes: 0 done and every rule held, 10 done and a rule of the mesh was broken, 130 interrupted
(what is told is what was known by then), 7 the plan has mistakes, 4 no such plan or node,
2 wrong usage, 1 error

try: meshd simulate hamlet --report hamlet, then open hamlet/report.html"""


def add_simulate(parser: ArgumentParser) -> Command:
    """Add the options of `meshd simulate`."""
    parser.epilog, parser.formatter_class = _EPILOG, RawDescriptionHelpFormatter
    parser.add_argument("plan", nargs="?", metavar="PLAN", help="a plan file, or an example's name")
    parser.add_argument("--list", action="store_true", help="list the example plans")
    seeds = parser.add_mutually_exclusive_group()
    seeds.add_argument(
        "--seed", type=_seed, default=1, metavar="N", help="another chance; default 1"
    )
    seeds.add_argument(
        "--seeds", type=_seeds, metavar="A-B", help="several chances: median and spread"
    )
    parser.add_argument(
        "--for",
        dest="lasting",
        metavar="TIME",
        type=_lasting,
        help="only the first 5m (or 90s, 2h) of a plan, and its time to settle",
    )
    parser.add_argument(
        "--protocol",
        metavar="NAME",
        default="",
        help="the same plan under meshd, managed-flood, source-path-flood or distance-vector",
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


def _seeds(text: str) -> list[int]:
    first, dash, last = text.partition("-")
    found = list(range(_seed(first), _seed(last if dash else first) + 1))
    if not 1 <= len(found) <= _SEEDS_MAX:
        raise ArgumentTypeError(f'"{text}" is not 1 to {_SEEDS_MAX} seeds, as 1-20')
    return found


def _lasting(text: str) -> tuple[float, str]:
    found = re.fullmatch(r"(\d{1,8}(?:\.\d{1,3})?)(s|m|min|h|)", text, re.ASCII)
    time_s = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if time_s <= 0:
        raise ArgumentTypeError(f'"{text}" is not a time, as 90s, 5m or 2h')
    return time_s, text


def _simulate(options: Namespace) -> int:
    if options.list:
        _list(options)
        return Exit.OK
    _check(options)
    plan = find_plan(options.plan, options.protocol)
    if options.lasting:
        from meshd.simulation.plan.shorten import shortened

        begins_s = min((one.start_s for one in plan.traffic), default=0.0)
        if options.lasting[0] <= begins_s:
            raise RequestError(
                f"--for {options.lasting[1]} ends before anybody asks for anything",
                code=Exit.USAGE,
                remedy=f"give it more than {begins_s:g}s, as --for {2 * begins_s:g}s",
            )
        plan = shortened(plan, options.lasting[0])
    if options.real_crypto:
        plan = replace(plan, crypto="real")
    if options.seeds:
        from meshd.cli.simulate_seeds import run_seeds

        return run_seeds(plan, options)
    from meshd.cli.simulate_run import run_once

    return run_once(plan, options)


def _check(options: Namespace) -> None:
    if not options.plan:
        raise RequestError(
            "which plan?", code=Exit.USAGE, remedy="meshd simulate --list shows the examples"
        )
    if options.protocol:
        from meshd.config.values import choice
        from meshd.simulation.plan.plan import PROTOCOLS

        try:
            choice(options.protocol, PROTOCOLS)
        except ValueError as error:
            raise RequestError(
                f"--protocol: {error}",
                code=Exit.USAGE,
                remedy=f"take one of {', '.join(PROTOCOLS)}, or leave it out for the plan's own",
            ) from error
    if options.json and options.log == "-":
        raise RequestError(
            "--json and --log - would mix on stdout", code=Exit.USAGE, remedy="give --log a FILE"
        )
    for name in ("log", "record"):
        if options.seeds and getattr(options, name):
            raise RequestError(
                f"--{name} is of one run", code=Exit.USAGE, remedy="take --seed for it"
            )


# --- plans ----------------------------------------------------------------------------------------


def find_plan(name: str, protocol: str = "") -> "Plan":
    """Return the plan of a file, or the example of that name, under a protocol if one is said.

    Raises: ConfigError, or RequestError when there is neither.
    """
    from meshd.core.alike import nearest
    from meshd.simulation.plan.file import load, parse

    examples = _examples()
    if "/" in name or name.endswith(".toml") or Path(name).is_file():
        try:
            return load(name, protocol=protocol)
        except ConfigError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            raise RequestError(
                f"{name}: no such file",
                code=Exit.NOT_FOUND,
                remedy="check the path; meshd simulate --list shows the examples",
            ) from error
    if name in examples:
        return parse(examples[name], f"{name}.toml", protocol=protocol)
    near = nearest(name, examples)
    hint = f'did you mean "{near}"? ' if near else ""
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


def _list(options: Namespace) -> None:
    """Print the examples, the smallest first."""
    from meshd.core.spans import span
    from meshd.simulation.plan.file import parse

    plans = [(name, parse(text, name)) for name, text in _examples().items()]
    sizes = {name: sum(group.count for group in plan.nodes) for name, plan in plans}
    plans.sort(key=lambda item: (item[1].protocol != "meshd", sizes[item[0]]))
    if options.json:
        listed: list[dict[str, object]] = [
            {
                "name": name,
                "title": plan.title,
                "nodes": sizes[name],
                "protocol": plan.protocol,
                "duration_s": plan.duration_s,
                "settle_s": plan.settle_s,
            }
            for name, plan in plans
        ]
        print_json("simulate.list", {"plans": listed})
        return
    for name, plan in plans:
        say(f"{name:<11} {sizes[name]:>5} nodes  {span(plan.end_us / 1e6):<11} {plan.title}")
    where = resources.files("meshd.simulation") / "plans"
    talk(f"\nmeshd simulate NAME runs one; copy its file from {where} to change it")
