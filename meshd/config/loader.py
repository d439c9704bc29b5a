"""Read a TOML file into a NodeConfig, strictly: every mistake is found, named and located.

Enters: a path or text. Leaves: a NodeConfig, or one ConfigError that lists all mistakes, each as
`file:line: key: what is wrong`.
"""

import re
import tomllib
from typing import cast

from meshd.config import values
from meshd.config.locate import Path, line_of, lines
from meshd.config.paths import default_state_dir
from meshd.config.schema import INTERFACE, MQTT, RELAY, TABLES, TOP, Table, type_name
from meshd.config.values import Interface, MqttConfig, NodeConfig
from meshd.core.errors import ConfigError
from meshd.core.events import LinkKind

FILE_BYTES_MAX = 1 << 20
_REMEDY = "mend the file and start again; docs/configuration.md describes every key"


class _Reader:
    """Collects values and mistakes while it walks the document."""

    def __init__(self, text: str) -> None:
        self.lines = lines(text)
        self.mistakes: list[tuple[int, str]] = []

    def wrong(self, path: Path, text: str) -> None:
        shown = ".".join(str(part) for part in path if isinstance(part, str))
        self.mistakes.append((line_of(self.lines, path), f"{shown}: {text}"))

    def table(self, table: Table, document: dict[str, object], base: Path) -> dict[str, object]:
        """Convert the keys of one table; unknown ones and wrong ones become mistakes."""
        known = {key.name: key for key in table.keys}
        tables = {item.name for item in TABLES} if not base else set()
        read: dict[str, object] = {}
        for name, value in document.items():
            if name in known:
                try:
                    read[name] = known[name].convert(value)
                except ValueError as error:
                    self.wrong((*base, name), str(error))
            elif name not in tables:
                choices = (*known, *sorted(tables))
                self.wrong((*base, name), f"unknown key{values.suggest(name, choices)}")
        for name in table.required:
            if name not in document:
                self.wrong(base, f'"{name}" is missing')
        return read

    def section(self, table: Table, document: dict[str, object]) -> dict[str, object] | None:
        """Convert a `[table]`; None when the document has none."""
        value = document.get(table.name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.wrong((table.name,), f"must be a table [{table.name}], not {type_name(value)}")
            return None
        return self.table(table, value, (table.name,))

    def interfaces(self, document: dict[str, object]) -> tuple[Interface, ...]:
        """Convert every `[[interface]]`."""
        name = INTERFACE.name
        listed = document.get(name, [])
        if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
            self.wrong((name,), f"must be tables [[{name}]], not {type_name(listed)}")
            return ()
        found: list[Interface] = []
        for index, item in enumerate(listed):
            read = self.table(INTERFACE, item, (name, index))
            if "name" not in read:
                continue
            one = Interface(cast(str, read["name"]), cast(LinkKind | None, read.get("kind")))
            if any(one.name == other.name for other in found):
                self.wrong((name, index, "name"), f'"{one.name}" stands there twice')
            found.append(one)
        return tuple(found)


def load(path: str) -> NodeConfig:
    """Read the file at `path`.

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
        raise ConfigError(f"{path}: larger than {FILE_BYTES_MAX} bytes", remedy=_REMEDY)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text", remedy=_REMEDY) from error
    return parse(text, path)


def parse(text: str, file: str) -> NodeConfig:
    """Parse TOML text; `file` is its name in messages.

    Raises: ConfigError.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r" \(at line (\d+), column (\d+)\)", str(error))
        line = int(where.group(1)) if where else text.count("\n") + 1
        what = str(error).split(" (at ")[0]
        raise ConfigError(f"{file}:{line}: not TOML: {what}", remedy=_REMEDY) from error
    except RecursionError as error:
        raise ConfigError(f"{file}:1: nested too deeply", remedy=_REMEDY) from error
    reader = _Reader(text)
    top = reader.table(TOP, document, ())
    interfaces = reader.interfaces(document)
    relay = reader.section(RELAY, document) or {}
    mqtt = reader.section(MQTT, document)
    if mqtt and "password_file" in mqtt and "username" not in mqtt:
        reader.wrong(("mqtt", "password_file"), "needs a username beside it")
    if (
        mqtt
        and "ca_file" in mqtt
        and "url" in mqtt
        and not cast(tuple[str, int, bool], mqtt["url"])[2]
    ):
        reader.wrong(("mqtt", "ca_file"), "is for mqtts:// only")
    if reader.mistakes:
        listed = (f"{file}:{line}: {what}" for line, what in sorted(reader.mistakes))
        raise ConfigError("\n".join(listed), remedy=_REMEDY)
    if "quota_mb" in relay:
        top["relay_quota_mb"] = relay["quota_mb"]
    top.setdefault("state_dir", default_state_dir())
    # Each value was converted by its key, so the types hold; the table cannot tell mypy so.
    return NodeConfig(interfaces=interfaces, mqtt=_mqtt(mqtt), **top)  # type: ignore[arg-type]


def _mqtt(read: dict[str, object] | None) -> MqttConfig | None:
    if read is None or read.pop("enabled", True) is False:
        return None
    host, port, tls = cast(tuple[str, int, bool], read.pop("url"))
    return MqttConfig(host, port, tls, **cast(dict[str, str], read))
