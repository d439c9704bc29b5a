"""radio: the LoRa radios of this machine."""

import asyncio
import os
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from shlex import quote

from meshd.cli import radio_set, radio_trial
from meshd.cli.main import Command
from meshd.cli.output import common, connect, say, show, talk
from meshd.core.errors import Exit
from meshd.runtime.key_file import make_key
from meshd.runtime.serial.scan import Found, ports, scan
from meshd.status.cells import rows_of
from meshd.status.radio_text import advice_text, duty_text, radios_text, spent_text

_NONE = (
    "no USB serial port is there: plug the radio in, with a cable that carries data; "
    "name other ports with --port"
)


def add_radio(parser: ArgumentParser) -> Command:
    """Add the commands of `meshd radio`."""
    commands = parser.add_subparsers(dest="what", metavar="COMMAND", required=True)
    scanning = commands.add_parser("scan", help="tell what is plugged in, and where")
    common(scanning, of_a_node=False)
    scanning.add_argument(
        "--port",
        action="append",
        default=[],
        metavar="PATH",
        help="ask this port only; may be given again",
    )
    listing = commands.add_parser("list", help="what the daemon's radios are, and how they are")
    common(listing, timeout_s=10.0)
    duty = commands.add_parser("duty", help="how long they have sent, and what the law leaves")
    common(duty, timeout_s=10.0)
    setting = commands.add_parser("set", help="write a radio into the configuration, or change it")
    radio_set.add_options(setting)
    key = commands.add_parser("key", help="make a key of your own, so that strangers read nothing")
    common(key, of_a_node=False)
    key.add_argument("file", metavar="FILE", help="where to write it; it must not be there yet")
    trying = commands.add_parser(
        "test", help="listen, or send a few frames, and tell what is heard"
    )
    radio_trial.add_options(trying)
    return _radio


def _radio(options: Namespace) -> int:
    if options.what == "test":
        return radio_trial.run_test(options)
    if options.what == "key":
        return _key(options)
    if options.what == "set":
        return radio_set.run_set(options)
    if options.what in ("list", "duty"):
        return _ask(options)
    return asyncio.run(_scan(options))


def _key(options: Namespace) -> int:
    """Make the key of a closed mesh."""
    path = os.path.abspath(options.file)
    make_key(path)
    next_step = f"copy {path} to each node, and there: meshd radio set PORT --key-file {path}"
    text = f"made {path}: who has it can read, send and relay by the radios that use it"
    show(options, "radio.key", {"file": path, "next": next_step}, f"{text}\nnext: {next_step}")
    return Exit.OK


def _ask(options: Namespace) -> int:
    """Show what the running daemon knows of its radios."""
    with connect(options) as client:
        status = client.call("status")
    value: dict[str, object] = {"radios": rows_of(status, "radios")}
    tables = (radios_text, advice_text) if options.what == "list" else (duty_text, spent_text)
    text = "\n".join(part for part in (table(value) for table in tables) if part)
    if not options.json and not value["radios"]:
        talk("no radio is configured: meshd radio scan finds yours, meshd radio set names it")
    elif not options.json and not text:
        where = f" --state-dir {quote(options.state_dir)}" if options.state_dir else ""
        talk(f"no radio may send yet; meshd radio list{where} tells why")
    show(options, f"radio.{options.what}", value, text)
    return Exit.OK


async def _scan(options: Namespace) -> int:
    """Ask the ports; the exit code says whether a radio was found."""
    asked, others = ports(options.port)
    if asked and not options.json:
        names = ", ".join(found.port for found in asked)
        talk(f"asking {names}; this takes some seconds, half a minute where nobody answers")
    answers = await scan(asked, lambda found: None if options.json else say(_line(found)))
    value = {
        "radios": [asdict(found) for found in answers if found.kind],
        "others": [asdict(found) for found in answers if not found.kind],
        "not_asked": [found.port for found in others],
    }
    lines = [] if asked else [_NONE]
    for found in answers:
        if found.kind:
            words = f"{found.stable or found.port} --kind {found.kind} --region NAME"
            lines.append(f"to use it: meshd radio set {words}")
    if others:
        names = ", ".join(found.port for found in others)
        lines.append(f"not asked, since they are no USB ports: {names} (--port asks one)")
    show(options, "radio.scan", value, "\n".join(lines))
    return Exit.OK if value["radios"] else Exit.HARDWARE


def _line(found: Found) -> str:
    """Say what is on one port."""
    about = f" ({found.about})" if found.about else ""
    if not found.kind:
        return f"{found.port}{about}: {found.problem}"
    firmware = f", firmware {found.firmware}" if found.firmware else ""
    stable = f"\n  its lasting name: {found.stable}" if found.stable else ""
    return f"{found.port}{about}: {found.kind}, {found.model}{firmware}, {found.baud} baud{stable}"
