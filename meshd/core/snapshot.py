"""Frozen values that describe a node at one moment: what CLI, MQTT and the page are given.

`to_json` turns any of them into plain JSON values: bytes never appear, ids are text, units stand in
the names, what is unknown is absent.
"""

from dataclasses import dataclass, field, fields, is_dataclass


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One interface. `state` is "up", "down" or "missing"; `protection` is what guards the link:
    "unknown" where the interface's own password, if any, is not ours to see.
    """

    name: str
    kind: str
    state: str
    address: str | None = None
    protection: str = "unknown"


@dataclass(frozen=True, slots=True)
class NeighbourStatus:
    """One neighbour on one link. Costs as in Babel; `reach` is the share of hellos heard.

    `names` are those that spaces vouch for; `calls_itself` is its own word, and nobody else's.
    `last_heard_s` ago something of it was heard; over LoRa, `usual_silence_s` is how long one that
    is there may well be silent.
    """

    link: str
    address: str
    node: str | None
    rxcost: int
    txcost: int
    cost: int
    reach: float
    age_s: float
    session: bool
    snr_db: float | None = None
    rssi_dbm: float | None = None
    names: tuple[str, ...] = ()
    calls_itself: str | None = None
    last_heard_s: float | None = None
    usual_silence_s: int | None = None


@dataclass(frozen=True, slots=True)
class RadioStatus:
    """One LoRa radio. `state` is "up", or says in a few words why it is not; `advice` what to do.

    Airtime is of its sub-band and of all radios of the node; `left_ms` is for distress, and own
    messages and files may use `left_text_ms` and `left_file_ms` of it. `hour_…_ms` is what the hour
    was spent for; unknown: before a restart.
    """

    name: str
    port: str
    state: str
    kind: str
    model: str | None = None
    firmware: str | None = None
    advice: str | None = None
    region: str | None = None
    frequency_mhz: float | None = None
    spreading_factor: int | None = None
    bandwidth_khz: float | None = None
    tx_dbm: int | None = None
    noise_dbm: float | None = None
    protection: str | None = None
    band: str | None = None
    airtime_15_s_ms: int | None = None
    airtime_hour_ms: int | None = None
    airtime_hour_max_ms: int | None = None
    left_ms: int | None = None
    sent: int = 0
    heard: int = 0
    waiting: int = 0
    left_text_ms: int | None = None
    left_file_ms: int | None = None
    hour_control_ms: int | None = None
    hour_relayed_ms: int | None = None
    hour_own_ms: int | None = None
    hour_unknown_ms: int | None = None


@dataclass(frozen=True, slots=True)
class RouteStatus:
    """One selected or alternative route. `thin`: LoRa hops lie on the way, so no streams go."""

    prefix: str
    node: str | None
    link: str
    next_hop: str
    metric: int
    seqno: int
    router_id: str
    selected: bool
    feasible: bool
    age_s: float
    thin: bool = False


@dataclass(frozen=True, slots=True)
class SpaceStatus:
    """One space on this node. `behind` counts entries that peers have and this node lacks.

    `unheld` counts own entries since this start that no other node said to hold; `unlike` the LoRa
    neighbours whose last word of the space is not what is here: they lack something, or this node.
    `waits` has a sentence for each entry on its way by LoRa, and for what waits for it.
    """

    space: str
    name: str | None
    role: str
    feeds: int
    entries: int
    behind: int
    bytes: int
    forks: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    kept_by: int = 0
    unheld: int = 0
    unlike: int = 0
    waits: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """One encrypted session with another node."""

    node: str
    via: str
    state: str
    age_s: float
    rx_bytes: int
    tx_bytes: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not well, and what a person can do about it."""

    code: str
    text: str
    remedy: str


@dataclass(frozen=True, slots=True)
class NodeSnapshot:
    """The whole node. `mode` is "router" or "leaf"; `seq` rises with each snapshot of one boot.

    `name` is what people call it, and the host fills it in: the engine knows ids only.
    """

    node: str
    address: str
    mesh: str
    version: str
    mode: str
    boot: int
    seq: int
    uptime_s: float
    links: tuple[LinkStatus, ...] = ()
    neighbours: tuple[NeighbourStatus, ...] = ()
    routes: tuple[RouteStatus, ...] = ()
    sessions: tuple[SessionStatus, ...] = ()
    spaces: tuple[SpaceStatus, ...] = ()
    problems: tuple[Problem, ...] = ()
    drops: dict[str, dict[str, int]] = field(default_factory=dict)
    radios: tuple[RadioStatus, ...] = ()
    name: str | None = None


def to_json(value: object) -> object:
    """Return `value` as JSON-able objects; fields that are None are left out."""
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((item.name, getattr(value, item.name)) for item in fields(value))
        return {name: to_json(item) for name, item in pairs if item is not None}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    return value
