"""The configuration of one node as frozen values, and the text forms of its parts.

Enters: text of a file or of an option. Leaves: values that need no further check. A parser here
raises ValueError with one sentence that says what is wrong; its caller adds where.
"""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from meshd.config.paths import CONTROL_GROUP
from meshd.core.airtime import Modulation
from meshd.core.alike import nearest
from meshd.core.events import LinkKind
from meshd.core.law import DIPOLE_DBI, NO_LAW, Law
from meshd.core.limits import MESHD_PORT
from meshd.core.names import shows

LOG_LEVELS = ("debug", "info", "warning", "error")
USUAL_RATE = Modulation(9, 125_000)
AUTO = "auto"
RADIO_KINDS = (
    AUTO,
    *("rnode", "meshcore", "meshtastic", "rak3172", "reyax", "rn2483", "ebyte"),
)
EBYTE_DBM = (22, 30)
"""What an Ebyte's name says after its T, and meshd knows the steps of power of."""

INTERFACE_NAME_MAX = 15
NAME_MAX = 32
MQTT_PORT = 1883
MQTT_TLS_PORT = 8883


class Endpoint(NamedTuple):
    """A literal IP address and a port to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Interface(NamedTuple):
    """A network interface to use; `kind` None means: recognise it."""

    name: str
    kind: LinkKind | None = None


class Admit(NamedTuple):
    """A port of this host that the mesh may reach; `protocol` is "tcp" or "udp"."""

    protocol: str
    port: int

    def __str__(self) -> str:
        return f"{self.protocol}/{self.port}"


LISTEN_ALL = Endpoint("::", MESHD_PORT)


@dataclass(frozen=True, slots=True)
class MqttConfig:
    """The broker to publish to. The password is read from its file at each connection."""

    host: str
    port: int = MQTT_PORT
    tls: bool = False
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class RadioConfig:
    """A LoRa radio on a serial port. Without a region its law is empty, and it stays silent.

    `key_file` holds the link key of a closed mesh; it is read when the radio is opened. `unfit`
    says why it can not work as it is set, or may not, and where that stands: it stays closed;
    `mend`, the options of `radio set` that open it.
    """

    port: str
    kind: str = "auto"
    law: Law = NO_LAW
    frequency_hz: int = 0
    modulation: Modulation = USUAL_RATE
    tx_dbm: int = 0
    antenna_dbi: float = DIPOLE_DBI
    rssi_scale: str = "full"
    module_dbm: int | None = None
    key_file: str | None = None
    unfit: str = ""
    mend: str = ""

    @property
    def usable(self) -> bool:
        """Tell whether it may be opened."""
        return bool(self.law.region) and not self.unfit

    @property
    def channel(self) -> tuple[int, Modulation]:
        """Return what two radios must share to hear each other."""
        return self.frequency_hz, self.modulation


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """Everything that a file or an option may say. `mqtt` is None when it is off.

    `record` can only be said as an option: a recording is for one run that a person watches.
    """

    state_dir: str
    name: str = ""
    interfaces: tuple[Interface, ...] = ()
    radios: tuple[RadioConfig, ...] = ()
    peers: tuple[str, ...] = ()
    listen: Endpoint = LISTEN_ALL
    admit: tuple[Admit, ...] = ()
    lora_ports: tuple[int, ...] = ()
    leaf: bool | str = "auto"
    read_receipts: bool = False
    log_level: str = "info"
    control_group: str = CONTROL_GROUP
    relay_quota_mb: int = 256
    mqtt: MqttConfig | None = None
    record: str = ""
    record_mb_max: int = 64

    @property
    def radio_names(self) -> tuple[str, ...]:
        """Return what the radios are called, in their order."""
        return tuple(radio_name(number) for number in range(len(self.radios)))


def radio_name(number: int) -> str:
    """Return what the radio of this place in the configuration is called."""
    return f"lora{number}"


def suggest(word: str, known: tuple[str, ...]) -> str:
    """Return `, did you mean "…"?` for a near miss, else the list of what is known."""
    near = nearest(word, known)
    if near:
        return f', did you mean "{near}"?'
    return f" (known: {', '.join(known)})"


def choice(text: str, known: tuple[str, ...]) -> str:
    """Return `text` if it is one of `known`."""
    if text not in known:
        raise ValueError(f'"{text}" is not a choice{suggest(text, known)}')
    return text


def parse_port(text: str) -> int:
    """Return a port number from 1 to 65535."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= 65535:
        raise ValueError(f'"{text}" is not a port (1 to 65535)')
    return int(text)


def split_host(text: str, port: int) -> tuple[str, int]:
    """Split `host:port`, `[v6]:port` or a bare host, which gets `port`."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError(f'"{text}" is not [ADDRESS]:PORT')
        return host, parse_port(rest[1:]) if rest else port
    if text.count(":") > 1:
        raise ValueError(f'"{text}": write an IPv6 address in brackets, as [::1]:{port}')
    host, colon, rest = text.partition(":")
    return host, parse_port(rest) if colon else port


def parse_listen(text: str) -> Endpoint:
    """Parse a literal address and an optional port."""
    host, port = split_host(text, MESHD_PORT)
    try:
        ip_address(host)
    except ValueError:
        raise ValueError(f'"{host}" is not an IP address; "[::]:{port}" means all') from None
    return Endpoint(host, port)


def parse_peer(text: str) -> str:
    """Parse `tcp://host[:port]` and return it with its port."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme != "tcp":
        raise ValueError(f'"{text}" is not a peer; write tcp://HOST:{MESHD_PORT}')
    host, port = split_host(rest, MESHD_PORT)
    if not host or any(letter.isspace() or letter in "/@?#" for letter in host):
        raise ValueError(f'"{text}" has no usable host; write tcp://HOST:{MESHD_PORT}')
    if rest.startswith("["):
        try:
            address = IPv6Address(host)
        except ValueError:
            raise ValueError(f'"{host}" is not an IPv6 address') from None
        if address.is_link_local:
            raise ValueError(f'"{text}": neighbours on a link are found without being named')
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def parse_admit(text: str) -> Admit:
    """Parse `udp/9797` or `tcp/22`."""
    protocol, slash, port = text.partition("/")
    if not slash or protocol not in ("tcp", "udp"):
        raise ValueError(f'"{text}" is not a port to admit; write udp/9797 or tcp/22')
    return Admit(protocol, parse_port(port))


def parse_lora_port(text: str) -> int:
    """Parse `udp/5683`: the short form of packets has room for UDP alone."""
    protocol, slash, port = text.partition("/")
    if protocol == "tcp":
        raise ValueError(f'"{text}": TCP does not go over LoRa; posts, files and messages do')
    if not slash or protocol != "udp":
        raise ValueError(f'"{text}" is not a port to carry; write udp/5683')
    return parse_port(port)


def parse_kind(text: str) -> LinkKind:
    """Parse the kind of an interface."""
    return LinkKind(choice(text, tuple(kind.value for kind in LinkKind)))


def parse_interface_name(text: str) -> str:
    """Return `text` if Linux could name an interface so."""
    bad = any(letter.isspace() or letter in "/:" or not letter.isprintable() for letter in text)
    if not 1 <= len(text.encode()) <= INTERFACE_NAME_MAX or bad or text in (".", ".."):
        raise ValueError(f'"{text}" is not the name of an interface; `ip -br link` lists yours')
    return text


def parse_interface(text: str) -> Interface:
    """Parse `NAME` or `NAME:kind`."""
    name, colon, kind = text.partition(":")
    return Interface(parse_interface_name(name), parse_kind(kind) if colon else None)


def parse_radio(text: str) -> tuple[str, str]:
    """Parse `PORT` or `PORT:kind` into both; a port's own name may hold colons too."""
    port, _, kind = text.rpartition(":")
    if not port or not (kind.isalnum() and kind[0].isalpha()):
        port, kind = text, RADIO_KINDS[0]
    if not port or not port.isprintable():
        raise ValueError(f'"{text}" is not PORT or PORT:KIND; `meshd radio scan` tells yours')
    return port, choice(kind, RADIO_KINDS)


def parse_name(text: str) -> str:
    """Return a node name that is short and printable."""
    if len(text) > NAME_MAX or not shows(text) or text != text.strip():
        raise ValueError(f"a name has at most {NAME_MAX} printable characters")
    return text


def parse_broker(text: str) -> tuple[str, int, bool]:
    """Parse `mqtt://host[:port]` or `mqtts://…` into host, port and whether TLS is used."""
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError(f'"{text}" is not a broker; write mqtt://HOST:{MQTT_PORT}') from None
    if url.username is not None or url.password is not None:
        raise ValueError("a broker's URL holds no credentials; use username and password_file")
    if url.scheme not in ("mqtt", "mqtts") or not url.hostname or url.path.strip("/") or url.query:
        raise ValueError(f'"{text}" is not a broker; write mqtt://HOST:{MQTT_PORT} or mqtts://HOST')
    tls = url.scheme == "mqtts"
    return url.hostname, port or (MQTT_TLS_PORT if tls else MQTT_PORT), tls
