"""Values of a snapshot as words for a person, and tables of them.

Enters: values in JSON form, as they crossed the control socket, and text from anywhere. Leaves:
words without control characters, lines, tables. It imports nothing of size: commands must start
fast. Must not know: what the values mean.
"""

import json
import time
from collections.abc import Iterable, Mapping

from meshd.core.spans import span

Row = Mapping[str, object]


def table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    """Lay out columns two blanks apart; what is unknown is shown as a dash."""
    cells = [head, *(tuple("-" if cell is None else clean(cell) for cell in row) for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(head))]
    lines = []
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def clean(text: object) -> str:
    """Make text from elsewhere safe for a terminal: printable characters and nothing else."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in shown
    )


def visible(text: str) -> str:
    """Show what a terminal would act on as an escape: the last thing done to a text for people.

    Lines stay lines; where one value is all there is, `clean` takes the line ends too.
    """
    if _harmless(text):
        return text
    return "".join(
        letter if letter == "\n" or letter.isprintable() else ascii(letter)[1:-1] for letter in text
    )


def visible_json(text: str) -> str:
    """Do the same to JSON, where only texts can hold such letters: it stays the same JSON."""
    if _harmless(text):
        return text
    return "".join(
        letter if letter == "\n" or letter.isprintable() else json.dumps(letter)[1:-1]
        for letter in text
    )


def _harmless(text: str) -> bool:
    return text.replace("\n", "").isprintable()


def rows_of(value: Row, key: str) -> list[Row]:
    """Return the list of objects under `key`, or nothing."""
    listed = value.get(key)
    return [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []


def number(row: Row, key: str) -> float:
    """Return a number under `key`; 0 when there is none."""
    found = row.get(key)
    return found if isinstance(found, int | float) else 0


def grouped(text: object) -> str | None:
    """Return an id in groups of four, as people read it."""
    if not isinstance(text, str):
        return None
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def size(count: float) -> str:
    """Return a size in bytes as a person reads it."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{int(count)} B" if unit == "B" else f"{value:.1f} {unit}"


def age(value_s: float) -> str:
    """Return a length of time."""
    return span(int(value_s))


SILENT_S = 120
"""Who was heard within that time is heard now, as people say it."""


def ago(value_s: float) -> str:
    """Return how long ago something was, to the minute where it was not just now."""
    return f"{span(value_s // 60 * 60 if value_s > SILENT_S else int(value_s))} ago"


def count(amount: int, word: str) -> str:
    """Return `1 node`, `2 nodes`."""
    return f"{amount} {word}" if amount == 1 else f"{amount} {word}s"


def measured(row: Row, key: str, unit: str) -> str | None:
    """Return a number under `key` with its unit, None when there is none."""
    return f"{number(row, key):g} {unit}" if key in row else None


def when(seconds: object) -> str:
    """Return UTC; authors' clocks may lie, and some have none."""
    if not isinstance(seconds, int | float) or not 0 < seconds < 1 << 36:
        return "(no clock)       "
    return time.strftime("%Y-%m-%d %H:%MZ", time.gmtime(seconds))
