"""emulate: a LoRa modem that is not there, behind a serial port that is.

Enters: the kind of a modem, the path of its port, its air and place. Leaves: a port that answers
until it is told to stop.
"""

import asyncio
import os
import re
import secrets
import signal
from argparse import Action, ArgumentParser, Namespace, RawDescriptionHelpFormatter

from meshd.cli.main import Command
from meshd.cli.output import argument, common, print_json, talk
from meshd.core.errors import Exit
from meshd.simulation.modems.air import Wanted
from meshd.simulation.modems.kinds import EMULATORS
from meshd.simulation.modems.meeting import take_part

_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_FAR_M = 10_000_000.0


def add_emulate(parser: ArgumentParser) -> Command:
    """Add the options of `meshd emulate`."""
    common(parser, of_a_node=False)
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.epilog = "meshd emulate KIND --help lists the faults of a kind"
    parser.add_argument(
        "kind",
        action=_Kind,
        choices=tuple(EMULATORS),
        metavar="KIND",
        help=", ".join(EMULATORS),
    )
    parser.add_argument("--port", required=True, metavar="PATH", help="where to link the port")
    parser.add_argument(
        "--air",
        type=argument(_air),
        metavar="NAME",
        help="modems that name the same air hear each other; without it this one is alone",
    )
    parser.add_argument(
        "--at",
        type=argument(_place),
        default=(0.0, 0.0),
        metavar="X,Y",
        help="where it stands, in metres; default 0,0",
    )
    parser.add_argument(
        "--fault", action="append", default=[], metavar="NAME", help="an ugly case, see below"
    )
    parser.add_argument("--seed", type=int, help="what chance does; default: never the same")
    return _emulate


class _Kind(Action):
    """Takes the kind; from then on --help shows its faults."""

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        namespace.kind = values
        parser.epilog = _faults(str(values))


def _faults(kind: str) -> str:
    lines = [f"  {name:<20}{about}" for name, about in EMULATORS[kind].FAULTS.items()]
    return "\n".join([f"faults of {kind}:", *lines])


def _air(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f'"{text}" is no name: use up to 32 letters, digits, - and _')
    return text


def _place(text: str) -> tuple[float, float]:
    parts = text.split(",")
    try:
        x_m, y_m = (float(part) for part in parts)
    except ValueError:
        raise ValueError(f'"{text}" is no place: write X,Y in metres, as --at 0,1500') from None
    if not (abs(x_m) <= _FAR_M and abs(y_m) <= _FAR_M):
        raise ValueError(f'"{text}" is too far away')
    return x_m, y_m


def _emulate(options: Namespace) -> int:
    wanted = Wanted(options.kind, os.path.abspath(options.port), options.at, tuple(options.fault))
    seed = secrets.randbits(32) if options.seed is None else options.seed
    return asyncio.run(_hold(options, wanted, seed))


async def _hold(options: Namespace, wanted: Wanted, seed: int) -> int:
    """Keep the modem until a signal comes."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    try:
        async for up in take_part(wanted, options.air or "", seed):
            value = {**up, "air": options.air}
            if options.json:
                print_json("emulate", value)
            else:
                air = f'the air "{options.air}"' if options.air else "an air of its own"
                x_m, y_m = wanted.at
                talk(
                    f"{wanted.kind} at {options.port} ({up['device']}, {up['baud']} baud), "
                    f"{x_m:g},{y_m:g} on {air}; Ctrl-C ends it"
                )
    except asyncio.CancelledError:
        pass
    return Exit.OK
