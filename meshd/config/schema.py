"""Every key of the configuration file: name, type, default, what it does, an example.

One table, read by the loader and by the page of documentation, so that neither can forget a key.
"""

from collections.abc import Callable
from typing import NamedTuple

from meshd.config import values


class Key(NamedTuple):
    """One key. `convert` takes what TOML held and raises ValueError with one sentence."""

    name: str
    shape: str
    convert: Callable[[object], object]
    default: str
    about: str
    example: str


class Table(NamedTuple):
    """A table of keys; `many` for an array of tables, `required` names keys it cannot lack."""

    name: str
    about: str
    keys: tuple[Key, ...]
    many: bool = False
    required: tuple[str, ...] = ()


_TYPE_NAMES = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a table",
}


def type_name(value: object) -> str:
    """Return what a person calls the type of a TOML value."""
    return _TYPE_NAMES.get(type(value), "a date or time")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text in quotes, not {type_name(value)}")
    return value


def _filled(value: object) -> str:
    if not _text(value):
        raise ValueError("must not be empty")
    return _text(value)


def _parsed(parse: Callable[[str], object]) -> Callable[[object], object]:
    return lambda value: parse(_text(value))


def _each(parse: Callable[[str], object]) -> Callable[[object], object]:
    def convert(value: object) -> object:
        if not isinstance(value, list):
            raise ValueError(f"must be a list of texts, not {type_name(value)}")
        items = tuple(parse(_text(item)) for item in value)
        for place, item in enumerate(items):
            if item in items[:place]:
                raise ValueError(f'"{item}" stands there twice')
        return items

    return convert


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {type_name(value)}")
    return value


def _leaf(value: object) -> bool | str:
    if isinstance(value, bool) or value == "auto":
        return value if isinstance(value, bool) else "auto"
    raise ValueError('must be true, false or "auto"')


def _quota(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be an integer, not {type_name(value)}")
    if not 0 <= value <= 1_000_000_000:
        raise ValueError(f"{value} is not between 0 and 1000000000")
    return value


def _path(value: object) -> str:
    text = _filled(value)
    if not text.startswith("/"):
        raise ValueError(f'"{text}" must be an absolute path')
    return text


TOP = Table(
    "",
    "Keys of the node itself, at the top of the file, before the first table.",
    (
        Key(
            "name",
            "text",
            _parsed(values.parse_name),
            '""',
            "What people call this node.",
            '"roof-1"',
        ),
        Key(
            "state_dir",
            "path",
            _path,
            "/var/lib/meshd for root, else ~/.local/state/meshd",
            "Where the device key, the store and the control socket live. "
            "The other commands find it by `--state-dir` or `MESHD_STATE_DIR`.",
            '"/var/lib/meshd"',
        ),
        Key(
            "peers",
            "list of texts",
            _each(values.parse_peer),
            "[]",
            "Nodes to connect to from here, over any network, through NAT. They carry sync only.",
            '["tcp://mesh.example.org:6697"]',
        ),
        Key(
            "listen",
            "text",
            _parsed(values.parse_listen),
            '"[::]:6697"',
            "Address and port on which sessions are taken.",
            '"[::]:6697"',
        ),
        Key(
            "admit",
            "list of texts",
            _each(values.parse_admit),
            "[]",
            "Ports of this host that the mesh may reach, beside those that meshd itself needs.",
            '["udp/9797"]',
        ),
        Key(
            "leaf",
            'true, false or "auto"',
            _leaf,
            '"auto"',
            "A leaf syncs with its neighbours and installs no routes. "
            '"auto" means: only when the rights for routes are missing.',
            '"auto"',
        ),
        Key(
            "log_level",
            "text",
            lambda value: values.choice(_text(value), values.LOG_LEVELS),
            '"info"',
            "One of debug, info, warning, error.",
            '"info"',
        ),
        Key(
            "control_group",
            "text",
            _text,
            '"meshd-admin"',
            "Members of this group of the system may use every command. Where the group "
            'does not exist, or with "", only the daemon\'s own user and root may.',
            '"meshd-admin"',
        ),
    ),
)
INTERFACE = Table(
    "interface",
    "One `[[interface]]` table for each network interface to use.",
    (
        Key(
            "name",
            "text",
            _parsed(values.parse_interface_name),
            "required",
            "The name of the interface, as `ip -br link` shows it.",
            '"wlan0"',
        ),
        Key(
            "kind",
            "text",
            _parsed(values.parse_kind),
            "recognised",
            "mesh: only mesh nodes are there (IBSS, 802.11s, point-to-point). "
            "shared: others are there too (access point, hotspot, LAN). "
            "wired: a cable between nodes. "
            "Left out, IBSS and 802.11s are recognised as mesh and all else is shared.",
            '"mesh"',
        ),
    ),
    many=True,
    required=("name",),
)
RELAY = Table(
    "relay",
    "What this node carries for others.",
    (
        Key(
            "quota_mb",
            "integer",
            _quota,
            "256",
            "Megabytes of other people's encrypted data to keep; 0 keeps none.",
            "256",
        ),
    ),
)
MQTT = Table(
    "mqtt",
    "Publish this node's status to an MQTT broker. Without this table nothing is published.",
    (
        Key(
            "url",
            "text",
            _parsed(values.parse_broker),
            "required",
            "`mqtt://HOST[:PORT]`, or `mqtts://HOST[:PORT]` for TLS.",
            '"mqtt://localhost:1883"',
        ),
        Key("enabled", "true or false", _boolean, "true", "false keeps the table, unused.", "true"),
        Key("username", "text", _filled, "none", "The broker's name for this node.", '"roof-1"'),
        Key(
            "password_file",
            "path",
            _path,
            "none",
            "A file whose first line is the password; read at each connection.",
            '"/etc/meshd/mqtt-password"',
        ),
        Key(
            "ca_file",
            "path",
            _path,
            "the system's authorities",
            "Certificates to trust, for `mqtts`.",
            '"/etc/meshd/broker-ca.pem"',
        ),
    ),
    required=("url",),
)
TABLES = (INTERFACE, RELAY, MQTT)
