"""Change keys of one table in the text of a TOML file, and leave every other byte as it was.

Enters: text, the table, what its keys shall be. Leaves: new text, and what changed. Comments,
order and line ends stay. A file written in a way that this cannot change for sure, as tables on one
line, is refused: the result is read again and must differ by the wanted keys alone.
Must not know: any key by name, files, what values mean.
"""

import json
import re
from typing import NamedTuple

from meshd.config.locate import Path, lines
from meshd.config.reader import Document, read_document
from meshd.core.errors import ConfigError

Value = str | int | float | bool

_LINE = re.compile(
    r"(?P<head>\s*[\w-]+\s*=\s*)(?P<value>\"(?:\\.|[^\"\\])*\"|'[^']*'|[^\s#\"'\[{]+)"
    r"(?P<space>[ \t]*)(?P<comment>#.*)?$"
)
_BY_HAND = "change it by hand; docs/configuration.md describes every key"


class Change(NamedTuple):
    """A key that became another; None: it did not stand there, or does no more."""

    key: str
    before: Value | None
    after: Value | None


class Edited(NamedTuple):
    """A file's new text, and what is different in it."""

    text: str
    changes: tuple[Change, ...]


def edit_table(
    text: str, file: str, path: tuple[str, int], wanted: dict[str, Value | None]
) -> Edited:
    """Set keys of the table `[[NAME]]` with an index; None takes a key out.

    The table after the last one is made. `file` is the name of the text in messages.

    Raises: ConfigError when the text is no TOML, or is written so that it cannot be changed here.
    """
    document = read_document(text, file, remedy=_BY_HAND)
    name, index = path
    tables = document.get(name, [])
    if not isinstance(tables, list) or any(not isinstance(table, dict) for table in tables):
        raise ConfigError(f"{file}: {name} must be tables [[{name}]]", remedy=_BY_HAND)
    old: Document = tables[index] if index < len(tables) else {}
    changes = tuple(
        Change(key, _plain(old.get(key)), value)
        for key, value in wanted.items()
        if not _same(old.get(key), value)
    )
    if index == len(tables):
        edited = _appended(text, name, changes)
    else:
        edited = _changed(text, file, path, changes)
    expected = {key: value for key, value in old.items() if wanted.get(key, value) is not None}
    expected |= {key: value for key, value in wanted.items() if value is not None}
    whole = {**document, name: [*tables[:index], expected, *tables[index + 1 :]]}
    if read_document(edited, file, remedy=_BY_HAND) != whole:
        raise _unusual(file, name, 1)
    return Edited(edited, changes)


def remove_table(text: str, file: str, path: tuple[str, int]) -> str:
    """Take the table `[[NAME]]` with an index out, and the empty lines after it.

    Raises: ConfigError when the text is no TOML, or is written so that it cannot be changed here.
    """
    name, index = path
    document = read_document(text, file, remedy=_BY_HAND)
    found = lines(text)
    if path not in found:
        raise _unusual(file, name, found.get(path[:1], 1))
    rows = text.splitlines(keepends=True)
    last = max(line for known, line in found.items() if known[: len(path)] == path)
    while last < len(rows) and not rows[last].strip():
        last += 1
    edited = "".join(rows[: found[path] - 1] + rows[last:])
    tables = document.pop(name)
    assert isinstance(tables, list)
    left = [*tables[:index], *tables[index + 1 :]]
    expected = {**document, **({name: left} if left else {})}
    if read_document(edited, file, remedy=_BY_HAND) != expected:
        raise _unusual(file, name, found[path])
    return edited


def _same(old: object, new: Value | None) -> bool:
    return old == new and isinstance(old, bool) == isinstance(new, bool)


def _plain(value: object) -> Value | None:
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _shown(value: Value) -> str:
    """Return a value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return str(int(value)) if value == int(value) else repr(value)


def _end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _appended(text: str, name: str, changes: tuple[Change, ...]) -> str:
    end = _end(text)
    before = text if not text or text.endswith("\n") else text + end
    blank = end if before.strip() else ""
    keys = [f"{key} = {_shown(value)}" for key, _, value in changes if value is not None]
    return before + blank + "".join(line + end for line in (f"[[{name}]]", *keys))


def _changed(text: str, file: str, path: Path, changes: tuple[Change, ...]) -> str:
    """Change, take out and add the lines of one table."""
    found = lines(text)
    rows = text.splitlines(keepends=True)
    if path not in found:
        raise _unusual(file, str(path[0]), found.get(path[:1], 1))
    last = max(line for known, line in found.items() if known[: len(path)] == path)
    if not rows[last - 1].endswith(("\n", "\r")):
        rows[last - 1] += _end(text)
    added = []
    for key, _, value in changes:
        line = found.get((*path, key))
        if line is None:
            assert value is not None
            added.append(f"{key} = {_shown(value)}{_end(text)}")
        else:
            rows[line - 1] = _rewritten(rows[line - 1], value, _unusual(file, key, line))
    rows[last - 1] += "".join(added)
    return "".join(rows)


def _rewritten(row: str, value: Value | None, unusual: ConfigError) -> str:
    """Return a line with another value, or what is left of it without its key: its comment."""
    body = row.rstrip("\r\n")
    match = _LINE.match(body)
    if match is None:
        raise unusual
    end, comment = row[len(body) :], match["comment"] or ""
    if value is None:
        return comment + end if comment else ""
    return match["head"] + _shown(value) + (match["space"] + comment if comment else "") + end


def _unusual(file: str, what: str, line: int) -> ConfigError:
    return ConfigError(
        f"{file}:{line}: {what} is written in a way that this command does not change; nothing was",
        remedy=_BY_HAND,
    )
