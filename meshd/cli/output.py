"""What every command shares: its common options, JSON on stdout, talk on stderr, tables, progress.

The same value is printed as text or as JSON: `{"schema": "meshd.NAME/1", …}`. All that a command
says leaves here, or by `main.report`, and nothing in it acts on the terminal.
"""

import json
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable

from meshd.cli.client import Client, state_dir
from meshd.core.errors import RequestError
from meshd.status.cells import clean, size, visible, visible_json

SPACE_HELP = "a space's name, or the beginning of its id"
_BAR_WIDTH = 24


def common(
    parser: ArgumentParser,
    *,
    timeout_s: float | None = None,
    of_a_node: bool = True,
    json: str = "one JSON object on stdout",
) -> None:
    """Add the options that every command has; `timeout_s` is the default of --timeout.

    A command that is not `of_a_node` has no state directory. `json` says what --json prints.
    """
    if of_a_node:
        parser.add_argument("--state-dir", metavar="DIR", help="where the node keeps its state")
    parser.add_argument("--json", action="store_true", help=json)
    if timeout_s is not None:
        shown = f"default {timeout_s:g}" if timeout_s else "default: no limit"
        parser.add_argument(
            "--timeout",
            type=seconds,
            default=timeout_s,
            metavar="SECONDS",
            help=f"how long to wait for an answer, 0 for ever; {shown}",
        )


def connect(options: Namespace) -> Client:
    """Connect to the daemon that the options mean."""
    return Client(state_dir(options.state_dir), timeout_s=getattr(options, "timeout", 10.0) or None)


def seconds(text: str) -> float:
    """Parse a number of seconds, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise ArgumentTypeError(f'"{text}" is not a number of seconds')
    return value


def positive(text: str) -> int:
    """Parse a count of 1 or more."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:10]) < 1_000_000:
        raise ArgumentTypeError(f'"{text}" is not a count of 1 or more')
    return int(text)


def argument(parse: Callable[[str], object]) -> Callable[[str], object]:
    """Turn a parser that raises ValueError into one whose reason argparse prints."""

    def convert(text: str) -> object:
        try:
            return parse(text)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from error

    return convert


def show(
    options: Namespace,
    name: str,
    value: dict[str, object],
    text: str,
    *,
    paint: Callable[[str], str] | None = None,
) -> None:
    """Print the answer: `value` as JSON under its schema, or `text`; `paint` may colour it then."""
    options.answered = True
    if options.json:
        print_json(name, value)
    elif text:
        shown = visible(text)
        print(paint(shown) if paint else shown)


def show_late(options: Namespace, name: str, value: dict[str, object], late: RequestError) -> None:
    """Print what is written though a wait for more ended: how far it came, and the error.

    It is one object, with the fields of meshd.error/1 in it; the caller raises `late` then.
    """
    told = {"error": late.text, "code": int(late.code), "remedy": late.remedy}
    show(options, name, {**value, **(late.reached or {}), **told}, "")
    sys.stdout.flush()


def say(text: str) -> None:
    """Print a line of data for people, at once."""
    print(visible(text), flush=True)


def print_json(name: str, value: dict[str, object]) -> None:
    """Print one JSON object on a line of its own, at once."""
    text = json.dumps({"schema": f"meshd.{name}/1", **value}, ensure_ascii=False)
    print(visible_json(text), flush=True)


def talk(text: str) -> None:
    """Say something to the person; it is not data."""
    sys.stderr.write(visible(text) + "\n")


def use_colour() -> bool:
    """Tell whether stdout is a terminal whose person did not refuse colour."""
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def awaited(what: str, timeout_s: float) -> str:
    """Return what a command says before it waits for something that it does not hurry."""
    return f"waiting up to {timeout_s:g} s until it is {what}; Ctrl-C ends the waiting alone"


def bar(share: float) -> str:
    """Return a bar that is full to a share from 0 to 1."""
    filled = int(share * _BAR_WIDTH)
    return f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}]"


class ProgressBar:
    """A bar on stderr when it is a terminal; elsewhere it says only what is waited for."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._shown = False
        self._on = sys.stderr.isatty()
        self._waits = Waits()

    def update(self, what: str, done: int, total: int) -> None:
        """Show how far it is."""
        if not self._on:
            self._waits.update(what, done, total)
            return
        share = min(1.0, done / total) if total else 0.0
        amount = f"{size(done)} of {size(total)}"
        if what.startswith("waits"):
            amount = f"{amount}; {what}"
        elif what != "bytes":
            amount = f"{done} of {total} {what}"
        sys.stderr.write(f"\r{clean(self._label)} {bar(share)} {share:4.0%}  {clean(amount)}\x1b[K")
        sys.stderr.flush()
        self._shown = True

    def close(self) -> None:
        """Leave the line."""
        if self._shown:
            sys.stderr.write("\n")
            self._shown = False


class Waits:
    """Says on stderr what a request waits for, each time that it is something else."""

    def __init__(self) -> None:
        self._said = ""

    def update(self, what: str, done: int, total: int) -> None:
        """Take word of a request's progress."""
        if what.startswith("waits") and what != self._said:
            self._said = what
            talk(f"it {what}")
