"""Every key of the configuration file: name, type, default, what it does, an example.

One table, read by the loader and by the page of documentation, so that neither can forget a key.
"""

from meshd.config import values
from meshd.config.table import Key, Table, boolean, each, filled, integer, number, parsed, text


def _leaf(value: object) -> bool | str:
    if isinstance(value, bool) or value == "auto":
        return value if isinstance(value, bool) else "auto"
    raise ValueError('must be true, false or "auto"')


def _path(value: object) -> str:
    path = filled(value)
    if not path.startswith("/"):
        raise ValueError(f'"{path}" must be an absolute path')
    return path


def _module_dbm(value: object) -> int:
    if value in values.EBYTE_DBM and isinstance(value, int) and not isinstance(value, bool):
        return value
    known = " or ".join(map(str, values.EBYTE_DBM))
    raise ValueError(f"must be {known}, the number after the T in the module's name")


TOP = Table(
    "",
    "Keys of the node itself, at the top of the file, before the first table.",
    (
        Key(
            "name",
            "text",
            parsed(values.parse_name),
            '""',
            "What people call this node. Its neighbours are told, strangers among them.",
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
            each(values.parse_peer),
            "[]",
            "Nodes to connect to from here, over any network, through NAT. They carry sync only.",
            '["tcp://mesh.example.org:6697"]',
        ),
        Key(
            "listen",
            "text",
            parsed(values.parse_listen),
            '"[::]:6697"',
            "Address and port on which sessions are taken.",
            '"[::]:6697"',
        ),
        Key(
            "admit",
            "list of texts",
            each(values.parse_admit),
            "[]",
            "Ports of this host that the mesh may reach, beside those that meshd itself needs.",
            '["udp/9797"]',
        ),
        Key(
            "lora_ports",
            "list of texts",
            each(values.parse_lora_port),
            "[]",
            "UDP ports that this node lets over its LoRa radios, at either end of a datagram, "
            "beside pings and meshd's own. A datagram of some 180 bytes fits; each costs airtime.",
            '["udp/5683"]',
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
            "read_receipts",
            "true or false",
            boolean,
            "false",
            "Whether who sent a direct message hears that it was shown here by `meshd messages`.",
            "false",
        ),
        Key(
            "log_level",
            "text",
            lambda value: values.choice(text(value), values.LOG_LEVELS),
            '"info"',
            "One of debug, info, warning, error.",
            '"info"',
        ),
        Key(
            "control_group",
            "text",
            text,
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
            parsed(values.parse_interface_name),
            "required",
            "The name of the interface, as `ip -br link` shows it.",
            '"wlan0"',
        ),
        Key(
            "kind",
            "text",
            parsed(values.parse_kind),
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
RADIO = Table(
    "radio",
    "One `[[radio]]` table for each LoRa radio; [radios.md](radios.md) tells what to plug in.",
    (
        Key(
            "port",
            "path",
            _path,
            "required",
            "The serial port. `meshd radio scan` tells the name that stays when plugs change.",
            '"/dev/ttyUSB0"',
        ),
        Key(
            "kind",
            "text",
            parsed(lambda kind: values.choice(kind, values.RADIO_KINDS)),
            '"auto"',
            "What is plugged in: auto asks the port, which takes longer. One of "
            f"{', '.join(values.RADIO_KINDS)}.",
            '"auto"',
        ),
        Key(
            "region",
            "text",
            filled,
            "none",
            "Whose law holds here ([regions.md](regions.md)). Until it is chosen the radio sends "
            "nothing, and `status` says so. All radios of a node are in one region.",
            '"EU868"',
        ),
        Key(
            "frequency_mhz",
            "number",
            number(100, 3000),
            "the middle of the region's most generous band",
            "All nodes of a mesh need the same. In EU868 it is 869.525 where none is given, "
            "868.125 for an Ebyte.",
            "869.525",
        ),
        Key(
            "spreading_factor",
            "integer",
            integer(7, 12),
            "9; 7 for an Ebyte; 7 or 8 where the law bounds a frame",
            "Higher reaches farther and is slower; all nodes of a mesh need the same. Where one "
            "frame may take 400 ms (US915, AU915, AS923, BR902, JP920) it is 7, in CN470 8; an "
            "Ebyte has 7 everywhere.",
            "9",
        ),
        Key(
            "bandwidth_khz",
            "number",
            number(7.8, 500),
            "125; 250 for an Ebyte where one frame may take 400 ms",
            "Wider is faster and reaches less far; all nodes of a mesh need the same. 125, 250 or "
            "500; RNode, MeshCore and Meshtastic take narrower ones too.",
            "125",
        ),
        Key(
            "power_dbm",
            "integer",
            integer(-9, 36),
            "14, or what the law allows",
            "What the module feeds into the antenna.",
            "14",
        ),
        Key(
            "antenna_dbi",
            "number",
            number(-20, 30),
            "2.15",
            "What the antenna gains; the law counts it with the power.",
            "2.15",
        ),
        Key(
            "rssi_scale",
            "text",
            parsed(lambda scale: values.choice(scale, ("full", "half"))),
            '"full"',
            "Ebyte only: whether its byte of signal strength counts whole or half decibels.",
            '"full"',
        ),
        Key(
            "module_dbm",
            "integer",
            _module_dbm,
            "none",
            "Ebyte only, and required there: the number after the T in the module's name, 22 or "
            "30. It can not be read from the module, and a wrong one sends 8 dB too much or more.",
            "22",
        ),
        Key(
            "key_file",
            "path",
            _path,
            "none",
            "A file that all radios of a closed mesh share (`meshd radio key FILE` makes it): only "
            "who has it hears this radio and is heard. Without one it is in the open mesh.",
            '"/etc/meshd/lora.key"',
        ),
    ),
    many=True,
    required=("port",),
)
RELAY = Table(
    "relay",
    "What this node carries for others.",
    (
        Key(
            "quota_mb",
            "integer",
            integer(0, 1_000_000_000),
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
            parsed(values.parse_broker),
            "required",
            "`mqtt://HOST[:PORT]`, or `mqtts://HOST[:PORT]` for TLS.",
            '"mqtt://localhost:1883"',
        ),
        Key("enabled", "true or false", boolean, "true", "false keeps the table, unused.", "true"),
        Key("username", "text", filled, "none", "The broker's name for this node.", '"roof-1"'),
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
TABLES = (INTERFACE, RADIO, RELAY, MQTT)
