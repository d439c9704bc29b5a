"""How the demo speaks: steps with their times, in colour where that is wanted, and a table.

Enters: what happened. Leaves: lines of at most 80 columns, and the same as JSON.
"""

import os
import textwrap
from enum import StrEnum
from typing import NamedTuple, TextIO

WIDTH = 80


class Held(StrEnum):
    """How a step ended."""

    YES = "held"
    NO = "failed"
    NOT_APPLICABLE = "not applicable"
    LEFT_OUT = "left out"


class Outcome(NamedTuple):
    """One step as told. `seconds` is None where nothing was measured."""

    name: str
    held: Held
    seconds: float | None
    detail: str

    def as_json(self) -> dict[str, object]:
        """Return the step for the report."""
        taken = None if self.seconds is None else round(self.seconds, 3)
        return {"step": self.name, "held": self.held, "seconds": taken, "detail": self.detail}


_COLOURS = {
    Held.YES: "32",
    Held.NO: "31;1",
    Held.NOT_APPLICABLE: "33",
    Held.LEFT_OUT: "33",
}
_MARKS = {Held.YES: "✓", Held.NO: "✗", Held.NOT_APPLICABLE: "–", Held.LEFT_OUT: "–"}
_PLAIN_MARKS = {Held.YES: "+", Held.NO: "!", Held.NOT_APPLICABLE: "-", Held.LEFT_OUT: "-"}


class Teller:
    """Writes to one stream. Colour needs a terminal, and NO_COLOR unset."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        dumb = os.environ.get("TERM") == "dumb"
        self._colour = self._out.isatty() and not os.environ.get("NO_COLOR") and not dumb
        self._wide = "utf" in (getattr(self._out, "encoding", None) or "").lower()
        self._marks = _MARKS if self._wide else _PLAIN_MARKS
        self._count = 0

    def title(self, text: str) -> None:
        """Open the story."""
        self._line()
        self._line(f"  {self._paint(text, '1;36')}")
        self._line()

    def say(self, text: str) -> None:
        """Say something in plain words."""
        for line in textwrap.wrap(text, WIDTH - 4):
            self._line(f"  {line}")

    def picture(self, *lines: str) -> None:
        """Show lines as they are."""
        self._line()
        for line in lines:
            self._line(f"  {self._paint(line, '36')}")
        self._line()

    def begin(self, text: str) -> None:
        """Announce a step before it is tried."""
        self._count += 1
        self._line(f"  {self._paint(f'{self._count:2}', '1')}  {self._paint(text, '1')}")

    def end(self, outcome: Outcome) -> None:
        """Say how the step went."""
        mark = self._paint(f"{self._marks[outcome.held]} {_time(outcome)}", _COLOURS[outcome.held])
        lines = textwrap.wrap(outcome.detail, WIDTH - 20) or [""]
        self._line(f"      {mark}{' ' * max(1, 10 - len(_time(outcome)))}{lines[0]}")
        for line in lines[1:]:
            self._line(" " * 18 + line)
        self._line()

    def still_waiting(self, why: str) -> None:
        """Say that a step takes its time, and what is not so yet."""
        for line in textwrap.wrap(f"still waiting: {why} yet …", WIDTH - 6):
            self._line(f"      {self._paint(line, '2')}")

    def quote(self, text: str) -> None:
        """Show what another program printed."""
        for line in text.splitlines():
            for part in textwrap.wrap(line, WIDTH - 8, subsequent_indent="    "):
                self._line(f"      {self._paint('| ' + part, '2')}")

    def table(self, outcomes: list[Outcome]) -> None:
        """Close with all steps and their times."""
        rule = "  " + "-" * (WIDTH - 4)
        self._line(rule)
        for number, outcome in enumerate(outcomes, 1):
            name = f"{number:2}  {outcome.name} "
            time = "" if outcome.seconds is None else _time(outcome)
            dots = "." * (WIDTH - 29 - len(name))
            held = self._paint(
                f"{self._marks[outcome.held]} {outcome.held.value}", _COLOURS[outcome.held]
            )
            self._line(f"  {name}{self._paint(dots, '2')} {time:>8}  {held}")
        self._line(rule)

    def commands(self, lines: list[tuple[str, str]]) -> None:
        """Show commands to try, each with what it does."""
        for about, command in lines:
            self._line(f"  {self._paint('# ' + about, '2')}")
            self._line(f"  {command}")
        self._line()

    def _line(self, text: str = "") -> None:
        if not self._wide:
            text = text.encode("ascii", "replace").decode()
        self._out.write(text + "\n")
        self._out.flush()

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text


def _time(outcome: Outcome) -> str:
    return "" if outcome.seconds is None else f"{outcome.seconds:.2f} s"
