"""Choose the command, run it, and turn what went wrong into one clear sentence and an exit code.

Only the module of the chosen command is imported: `meshd status` must not pay for `meshd run`.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable
from importlib import import_module
from typing import NoReturn

from meshd.core.errors import Exit, MeshdError, RequestError

Options = argparse.Namespace
Command = Callable[[Options], int]

COMMANDS = {
    "run": ("node", "run the daemon"),
    "init": ("node", "make the state directory and the device key"),
    "id": ("node", "show this node's id and address"),
    "status": ("show", "how this node is, at a glance"),
    "neighbours": ("show", "the nodes heard directly"),
    "routes": ("show", "the ways to other nodes"),
    "ping": ("ping", "ask a node for an answer, and time it"),
    "watch": ("show", "follow what happens on this node"),
    "version": ("node", "show the version"),
    "space": ("spaces", "create and list spaces and their members"),
    "invite": ("spaces", "invite somebody into a space"),
    "join": ("spaces", "accept an invitation"),
    "message": ("messages", "say something to one node"),
    "messages": ("messages", "what was said to and by this node, and how far it came"),
    "post": ("posts", "write into a space"),
    "log": ("posts", "read a space"),
    "put": ("files", "put a file into a space"),
    "get": ("files", "get a file from a space"),
    "replay": ("replay", "tell a recorded node again what it was told"),
    "demo": ("node", "five nodes on this machine, and a story"),
    "simulate": ("simulate", "try a plan of a mesh in virtual time"),
    "radio": ("radio", "the LoRa radios of this machine"),
    "emulate": ("emulate", "a LoRa modem that is not there, behind a serial port"),
}
_EXITS = """\
exit codes: 0 done, 1 error, 2 wrong usage, 3 daemon not running, 4 not found, 5 no answer in time,
6 denied, 7 bad configuration, 8 works but degraded, 9 hardware missing, 10 a simulated mesh
broke a rule, 75 accepted but not yet delivered, 130 interrupted"""


class Parser(argparse.ArgumentParser):
    """A parser, and of its sub-commands too, that guesses what was meant."""

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong as a RequestError with a next step."""
        from meshd.cli.meant import meant

        chosen = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        unknown = re.search(r"unrecognized arguments: ([^\s=]+)", message)
        verbs, needs = self._verbs(), "arguments are required" in message
        near, help_of = None, f"{self.prog} --help"
        if unknown:
            near, help_of = self._stranger(unknown[1], help_of)
        elif verbs and (chosen or needs):
            near = meant(chosen[1], verbs) if chosen else None
            message = f'"{chosen[1]}" is none of them: ' if chosen else ""
            message += (
                f"after {self.prog} comes {', '.join(verbs[:-1])} or {verbs[-1]}, then options"
            )
            help_of = f"{self.prog} --help says what each does"
        elif chosen:
            near = meant(chosen[1], re.split(r"[', ]+", chosen[2]))
        elif needs:
            help_of = f"{self._example()}; {help_of} tells more"
        raise RequestError(
            message,
            code=Exit.USAGE,
            remedy=f'did you mean "{near}"?' if near else help_of,
        )

    def _stranger(self, word: str, help_of: str) -> tuple[str | None, str]:
        """Return what may be meant by a word that has no place here, or what to do with it."""
        from meshd.cli.meant import RADIO_KEYS, meant

        if self.prog == "meshd run" and word in RADIO_KEYS:
            return None, f"it is a setting of a radio: meshd radio set PORT {word} … writes it"
        words = self._words()
        if word in words and word.startswith("-"):
            return None, f"leave {word} out: this command has none; {help_of} lists what it takes"
        if word.startswith("-"):
            return meant(word, words), help_of
        wanted = {action.dest for action in self._actions if action.required}
        if "text" in wanted:
            example = self._example().replace("TEXT", '"TEXT"')
            return None, f"put the text in quotes: {example}"
        if self.prog == "meshd ping":
            return None, f"one node: {self.prog} {word}; ping -6 is the program of the system"
        return meant(word, words), help_of

    def _verbs(self) -> list[str]:
        """Return the commands that follow this one, as `create` does `meshd space`."""
        chosen = [action.choices for action in self._actions if isinstance(action.choices, dict)]
        return [str(word) for choices in chosen for word in choices]

    def _example(self) -> str:
        """Return the command with what it cannot do without."""
        wanted = [action for action in self._actions if action.required]
        words = [
            " ".join([*action.option_strings[:1], str(action.metavar or action.dest)])
            for action in wanted
        ]
        return " ".join([self.prog, *words])

    def _words(self) -> list[str]:
        words: list[str] = []
        for action in self._actions:
            words += [*action.option_strings, *map(str, action.choices or ())]
            if isinstance(action.choices, dict):
                words += [word for sub in action.choices.values() for word in sub._words()]
        return words


def main(arguments: list[str]) -> int:
    """Run `meshd ARGUMENTS`; return the exit code."""
    options = Options()
    try:
        code = _run(arguments, options)
        sys.stdout.flush()
        return code
    except RequestError as error:
        return report(error, as_json=_wants_json(arguments, options))
    except MeshdError as error:
        return report(RequestError(str(error)), as_json=_wants_json(arguments, options))
    except BrokenPipeError:
        _forget_stdout()
        return Exit.ERROR
    except OSError as error:
        _keep_flushing_quiet()
        where = f"{error.filename}: " if error.filename else ""
        told = RequestError(f"{where}{error.strerror or error}")
        return report(told, as_json=_wants_json(arguments, options))
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def report(error: RequestError, *, as_json: bool = False) -> int:
    """Tell a person what went wrong and what to do next, and a script too; return the exit code."""
    from meshd.status.cells import visible

    if as_json:
        _report_json(error)
    lines = [f"meshd: {line}" for line in error.text.rstrip("\n").split("\n")]
    if error.remedy:
        lines.append(f"  next: {error.remedy}")
    sys.stderr.write(visible("\n".join(lines)) + "\n")
    return int(error.code)


def _wants_json(arguments: list[str], options: Options) -> bool:
    """Tell whether a script reads stdout and has no answer yet: it gets one object, not two."""
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in words and not getattr(options, "answered", False)


def _report_json(error: RequestError) -> None:
    """Print what went wrong where a script reads, in the words of the control socket."""
    from meshd.cli.output import print_json

    try:
        value = {"error": error.text, "code": int(error.code), "remedy": error.remedy}
        print_json("error", value)
    except OSError:
        _forget_stdout()  # Nobody reads it: stderr and the exit code tell it all the same.


def _run(arguments: list[str], options: Options) -> int:
    name = arguments[0] if arguments else ""
    if name not in COMMANDS:
        return _without_command(arguments, options)
    module = import_module(f"meshd.cli.{COMMANDS[name][0]}")
    parser = Parser(
        prog=f"meshd {name}", description=f"meshd {name}: {COMMANDS[name][1]}.", allow_abbrev=False
    )
    command: Command = getattr(module, f"add_{name}")(parser)
    try:
        parser.parse_args(arguments[1:], options)
    except SystemExit as stop:
        return int(stop.code or 0)
    return int(command(options))


def _without_command(arguments: list[str], options: Options) -> int:
    name = arguments[0] if arguments else ""
    if name in ("--version", "-V"):
        return _run(["version"], options)
    if name in ("", "-h", "--help", "help"):
        listed = "\n".join(f"  {item:<12}{about}" for item, (_, about) in COMMANDS.items())
        text = (
            f"usage: meshd COMMAND [options]\n\n{listed}\n\n"
            "Each has --help and --json; those that concern a node have --state-dir DIR.\n"
            f"With --json an error is an object too, meshd.error/1.\n{_EXITS}\n"
        )
        (sys.stdout if name else sys.stderr).write(text)
        return Exit.OK if name else Exit.USAGE
    from meshd.cli.meant import meant

    near = meant(name, COMMANDS)
    hint = f'did you mean "meshd {near}"?' if near else "meshd --help lists the commands"
    raise RequestError(f'"{name}" is not a command', code=Exit.USAGE, remedy=hint)


def _keep_flushing_quiet() -> None:
    """Forget a stdout that takes nothing more: flushed again at exit, it would change our code."""
    try:
        sys.stdout.flush()
    except OSError:
        _forget_stdout()


def _forget_stdout() -> None:
    """Whoever read our output has gone; keep the interpreter from complaining at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
