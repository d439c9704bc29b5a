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

Document = dict[str, object]


class Reader:
    """Collects values and mistakes while its user walks the document of one file."""

    def __init__(self, text: str, file: str, *, remedy: str) -> None:
        self._lines = lines(text)
        self._file = file
        self._remedy = remedy
        self._mistakes: list[tuple[int, str]] = []

    def wrong(self, path: Path, text: str) -> None:
        """Note a mistake at `path`."""
        shown = ".".join(str(part) for part in path if isinstance(part, str))
        place = f"{shown}: " if shown else ""
        self._mistakes.append((line_of(self._lines, path), f"{place}{text}"))

    def finish(self) -> None:
        """Tell all mistakes.

        Raises: ConfigError.
        """
        if self._mistakes:
            listed = (f"{self._file}:{line}: {what}" for line, what in sorted(self._mistakes))
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
                choices = (*known, *sorted(inner))
                self.wrong((*base, name), f"unknown key{values.suggest(name, choices)}")
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
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r" \(at line (\d+), column (\d+)\)", str(error))
        line = int(where.group(1)) if where else text.count("\n") + 1
        what = str(error).split(" (at ")[0]
        raise ConfigError(f"{file}:{line}: not TOML: {what}", remedy=remedy) from error
    except RecursionError as error:
        raise ConfigError(f"{file}:1: nested too deeply", remedy=remedy) from error
