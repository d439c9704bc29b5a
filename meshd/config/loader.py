"""Read a TOML file into a NodeConfig, strictly: every mistake is found, named and located.

Enters: a path or text. Leaves: a NodeConfig, or one ConfigError that lists all mistakes, each as
`file:line: key: what is wrong`.
"""

from typing import cast

from meshd.config.paths import default_state_dir
from meshd.config.radio_mend import mending
from meshd.config.radio_plan import PlanError, Unfit, clash, radio_config, unfit_config
from meshd.config.reader import Document, Reader, read_document, read_text
from meshd.config.schema import INTERFACE, MQTT, RADIO, RELAY, TABLES, TOP
from meshd.config.values import Interface, MqttConfig, NodeConfig, RadioConfig
from meshd.core.events import LinkKind
from meshd.core.limits import RADIOS_MAX

_REMEDY = "mend the file and start again; docs/configuration.md describes every key"


def load(path: str) -> NodeConfig:
    """Read the file at `path`; a radio whose settings are unfit for use is one of it, and says so.

    Raises: ConfigError.
    """
    return parse(read_text(path, remedy=_REMEDY), path, unfit=True)


def parse(text: str, file: str, *, unfit: bool = False) -> NodeConfig:
    """Parse TOML text; `file` is its name in messages.

    `unfit`: a radio that can not be set so, or may not, is no mistake of the file: it stays closed,
    and the node does all else.

    Raises: ConfigError.
    """
    document = read_document(text, file, remedy=_REMEDY)
    reader = Reader(text, file, remedy=_REMEDY)
    top = reader.table(TOP, document, (), tables=TABLES)
    interfaces = _interfaces(reader, document)
    radios = _radios(reader, document, unfit=unfit)
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
    reader.finish()
    if "quota_mb" in relay:
        top["relay_quota_mb"] = relay["quota_mb"]
    top.setdefault("state_dir", default_state_dir())
    # Each value was converted by its key, so the types hold; the table cannot tell mypy so.
    return NodeConfig(
        interfaces=interfaces,
        radios=radios,
        mqtt=_mqtt(mqtt),
        **top,  # type: ignore[arg-type]
    )


def _interfaces(reader: Reader, document: Document) -> tuple[Interface, ...]:
    """Convert every `[[interface]]`."""
    found: list[Interface] = []
    for index, read in enumerate(reader.sections(INTERFACE, document)):
        if "name" not in read:
            continue
        one = Interface(cast(str, read["name"]), cast(LinkKind | None, read.get("kind")))
        if any(one.name == other.name for other in found):
            reader.wrong(("interface", index, "name"), f'"{one.name}" stands there twice')
        found.append(one)
    return tuple(found)


def _radios(reader: Reader, document: Document, *, unfit: bool) -> tuple[RadioConfig, ...]:
    """Convert every `[[radio]]`, and hold each against the law of its region."""
    found: list[RadioConfig] = []
    tables = reader.sections(RADIO, document)
    if len(tables) > RADIOS_MAX:
        reader.wrong(("radio", RADIOS_MAX), f"{len(tables)} radios; {RADIOS_MAX} are the most")
    for index, read in enumerate(tables[:RADIOS_MAX]):
        path = ("radio", index)
        if "port" not in read:
            continue
        try:
            one = radio_config(read)
        except PlanError as error:
            where = (*path, error.key) if error.key in read else path
            if not unfit or not isinstance(error, Unfit):
                reader.wrong(where, error.text)
                continue
            one = unfit_config(read, reader.place(where, error.text), mending(read, error))
        wrong = clash(one, found)
        if wrong is not None:
            reader.wrong((*path, wrong.key), wrong.text)
        found.append(one)
    return tuple(found)


def _mqtt(read: Document | None) -> MqttConfig | None:
    if read is None or read.pop("enabled", True) is False:
        return None
    host, port, tls = cast(tuple[str, int, bool], read.pop("url"))
    return MqttConfig(host, port, tls, **cast(dict[str, str], read))
