"""Read a TOML document by a schema, strictly: every mistake is found, named and located.

Enters: a path or text, and the tables that it may hold. Leaves: converted keys, and mistakes as
`file:line: key: what is wrong`, all at once in one ConfigError. Must not know: any key by name.
"""

import re
import tomllib

from meshd.config import values
from meshd.config.locate import Path, line_of, lines
from meshd.config.table import Table, type_name
from meshd.core.errors import ConfigError

FILE_BYTES_MAX = 1 << 20
MISTAKES_SHOWN_MAX = 50
GUESSES_MAX = 200
"""Unknown keys for which a known one is looked up; each takes a while."""

_DEEP = re.compile(r"(?<![\w-])(?:(?:[\w-]+|\"[^\"\n]*\"|'[^'\n]*')[ \t]*\.[ \t]*){32}", re.ASCII)
"""A key of tables within tables that no file of ours has, and that takes ever longer to read."""

_LONG = re.compile(r"(?<![0-9_])[0-9](?:_?[0-9]){4300}")
"""A number of more digits than Python reads."""

_KEY_MAX, _SAID_MAX = 120, 600
"""How much is shown of a key, and of what is wrong with it: perhaps all that a law allows."""

Document = dict[str, object]


class Reader:
    """Collects values and mistakes while its user walks the document of one file."""

    def __init__(self, text: str, file: str, *, remedy: str) -> None:
        self._lines = lines(text)
        self._file = file
        self._remedy = remedy
        self._mistakes: list[tuple[int, str]] = []

    def place(self, path: Path, text: str) -> str:
        """Return what is said of a key, with its file and line."""
        return f"{self._file}:{line_of(self._lines, path)}: {_said(path, text)}"

    def wrong(self, path: Path, text: str) -> None:
        """Note a mistake at `path`."""
        self._mistakes.append((line_of(self._lines, path), _said(path, text)))

    def finish(self) -> None:
        """Tell all mistakes.

        Raises: ConfigError.
        """
        if self._mistakes:
            found = sorted(self._mistakes)
            listed = [f"{self._file}:{line}: {what}" for line, what in found[:MISTAKES_SHOWN_MAX]]
            if len(found) > MISTAKES_SHOWN_MAX:
                listed.append(f"and {len(found) - MISTAKES_SHOWN_MAX} more")
            raise ConfigError("\n".join(listed), remedy=self._remedy)

    def table(
        self, table: Table, document: Document, base: Path, *, tables: tuple[Table, ...] = ()
    ) -> Document:
        """Convert the keys of one table; unknown ones and wrong ones become mistakes.

        `tables` are those that may stand inside this one; their user reads them.
        """
        known = {key.name: key for key in table.keys}
        inner = {item.name for item in tables}
        read: Document = {}
        for name, value in document.items():
            if name in known:
                try:
                    read[name] = known[name].convert(value)
                except ValueError as error:
                    self.wrong((*base, name), str(error))
            elif name not in inner:
                guess = ""
                if len(self._mistakes) < GUESSES_MAX:
                    guess = values.suggest(name, (*known, *sorted(inner)))
                self.wrong((*base, name), f"unknown key{guess}")
        for name in table.required:
            if name not in document:
                self.wrong(base, f'"{name}" is missing')
        return read

    def section(self, table: Table, document: Document, base: Path = ()) -> Document | None:
        """Convert a `[table]`; None when the document has none."""
        value = document.get(table.name)
        path = (*base, table.name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.wrong(path, f"must be a table [{table.name}], not {type_name(value)}")
            return None
        return self.table(table, value, path)

    def sections(
        self, table: Table, document: Document, *, tables: tuple[Table, ...] = ()
    ) -> list[Document]:
        """Convert every `[[table]]`, in order; one that is no table at all makes the list empty."""
        name = table.name
        listed = document.get(name, [])
        if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
            self.wrong((name,), f"must be tables [[{name}]], not {type_name(listed)}")
            return []
        return [
            self.table(table, item, (name, index), tables=tables)
            for index, item in enumerate(listed)
        ]


def read_text(path: str, *, remedy: str) -> str:
    """Return the text of the file at `path`.

    Raises: ConfigError.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}", remedy="name a file that can be read"
        ) from error
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(f"{path}: larger than {FILE_BYTES_MAX} bytes", remedy=remedy)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text", remedy=remedy) from error


def read_document(text: str, file: str, *, remedy: str) -> Document:
    """Parse TOML text; `file` is its name in messages.

    Raises: ConfigError.
    """
    deep = _DEEP.search(text)
    if deep is not None:
        line = _line_at(text, deep.start())
        raise ConfigError(f"{file}:{line}: nested too deeply", remedy=remedy)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r" \(at line (\d+), column (\d+)\)", str(error))
        line = int(where.group(1)) if where else text.count("\n") + 1
        what = str(error).split(" (at ")[0]
        raise ConfigError(f"{file}:{line}: not TOML: {what}", remedy=remedy) from error
    except RecursionError as error:
        raise ConfigError(f"{file}:1: nested too deeply", remedy=remedy) from error
    except ValueError as error:
        long = _LONG.search(text)
        line = _line_at(text, long.start()) if long is not None else 1
        found = [path for path, known in lines(text).items() if known == line]
        said = _said(found[-1] if found else (), "a number has too many digits")
        raise ConfigError(f"{file}:{line}: {said}", remedy=remedy) from error


def _said(path: Path, text: str) -> str:
    """Return what is wrong with a key, short enough to be read."""
    shown = _cut(".".join(str(part) for part in path if isinstance(part, str)), _KEY_MAX)
    text = _cut(text, _SAID_MAX)
    return f"{shown}: {text}" if shown else text


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _line_at(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1
