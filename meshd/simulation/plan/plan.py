"""A plan: the whole of a simulated world as frozen values, which a seed turns into one run.

Enters: a TOML file (`file.py`) or a swarm's choice. Leaves: values. Times are seconds of virtual
time from the start, distances metres. `nodes` fields name hosts by shell patterns ("roof*", "n3").
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from meshd.simulation.schedule import SECOND

PROTOCOLS = ("meshd", "managed-flood", "source-path-flood", "distance-vector")
LAYOUTS = ("uniform", "grid", "line", "ring", "cluster", "full")
MEDIA = ("ip-radio", "lora", "wire")
TRAFFIC = ("broadcast", "direct", "message", "file")
PARTITIONS = ("uniform", "isolate", "one-way")
DISKS = ("kept", "torn", "rolled-back", "empty")
MODEM_MODES = ("gone", "deaf", "mute", "refusing", "silent", "garbled")
IP_BEHAVIOURS = (
    *("forged-origin", "false-metric", "withhold", "fork", "flood", "identities"),
    *("seqno-lies", "junk", "replay", "usurp", "forge"),
)
AIR_BEHAVIOURS = ("air-junk", "air-replay", "air-flood")
"""What a hostile host does by a second LoRa radio of its own."""
BEHAVIOURS = (*IP_BEHAVIOURS, *AIR_BEHAVIOURS)


@dataclass(frozen=True, slots=True)
class Ridge:
    """A line on the map that costs a signal `loss_db` when it crosses it."""

    x1_m: float
    y1_m: float
    x2_m: float
    y2_m: float
    loss_db: float


@dataclass(frozen=True, slots=True)
class Terrain:
    """Where the hosts stand, and what the ground does to a signal.

    Loss at distance d: free space to 1 m, then 10 × `loss_exponent` × log10(d), plus a fixed random
    part a pair (`shadowing_db`, standard deviation), plus one a direction (`asymmetry_db`).
    """

    width_m: float = 1_000.0
    height_m: float = 1_000.0
    loss_exponent: float = 2.7
    shadowing_db: float = 4.0
    asymmetry_db: float = 2.0
    ridges: tuple[Ridge, ...] = ()


@dataclass(frozen=True, slots=True)
class MediumPlan:
    """One medium. Fields that its kind does not know are left alone.

    `duty` is the share of an hour that law grants a sender (1.0: no limit); `dwell_ms` the longest
    frame, 0 for no limit. `wire`: hosts named in `between`, pair by pair; `delay_us`, `loss`.
    """

    name: str
    kind: str
    tx_dbm: float = 20.0
    frequency_mhz: float = 2437.0
    noise_figure_db: float = 6.0
    bandwidth_khz: float = 20_000.0
    rate_max_mbit_s: float = 54.0
    multicast_loss: float = 0.02
    spreading_factor: int = 11
    coding_rate: int = 1
    preamble: int = 16
    modem: str = ""
    region: str = ""
    duty: float = 1.0
    dwell_ms: int = 0
    between: tuple[tuple[str, str], ...] = ()
    delay_us: int = 2_000
    loss: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """A walker is at this place at this time, and goes straight from step to step."""

    at_s: float
    x_m: float
    y_m: float


@dataclass(frozen=True, slots=True)
class Sun:
    """A host on a battery that the sun fills; it is off while the battery is empty."""

    battery_wh: float
    panel_w: float
    load_w: float = 2.0
    charge: float = 0.5
    day_s: float = 86_400.0
    sunrise_s: float = 21_600.0


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """Hosts of one kind: `name` alone when `count` is 1, else name1, name2, …

    `x_m`, `y_m` is the middle of the layout (the map's by default), `spread_m` its reach; a single
    host whose middle is told and no reach stands just there. `walk` begins again at its end when
    `walk_again`. `relay_only`: carries spaces, is member of none.
    """

    name: str
    count: int = 1
    media: tuple[str, ...] = ()
    layout: str = "uniform"
    x_m: float | None = None
    y_m: float | None = None
    spread_m: float | None = None
    walk: tuple[Step, ...] = ()
    walk_again: bool = True
    sun: Sun | None = None
    clock_ppm: float = 0.0
    wall_offset_s: float | None = 0.0
    relay_only: bool = False


@dataclass(frozen=True, slots=True)
class Traffic:
    """What people do. `broadcast`: a post to all members; `direct`: to one, answered at once;
    `message`: to one, kept until it arrives; `file`.

    Each of `nodes` does it every `every_s` on average (exponential), from `start_s` to `end_s`
    (None: the end of the faults), each to a random one of `to` when it needs a target.
    """

    kind: str
    nodes: str = "*"
    to: str = "*"
    every_s: float = 600.0
    size: int = 40
    start_s: float = 60.0
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong at `at_s` for `for_s`. What a kind reads:

    partition   mode (PARTITIONS); nodes = one side; uniform: a random half of all by `share`
    clog        nodes × other: frames wait `delay_s` more
    duplicate   share of frames that come twice
    reorder     share of frames that come up to `delay_s` later
    corrupt     share of frames with flipped bits
    lose        share of frames lost; a radio that waits for acknowledgements tries again
    crash       nodes lose power for `for_s`; disk (DISKS) says what they find on their disk
    slow-disk   commits take `delay_s` more
    failing-disk  share of commits that fail
    clock       wall clocks of nodes jump by `delay_s` (may be negative), monotonic ones go on
    jam         share of what the LoRa radios of nodes hear is spoiled, as often it seems taken
    modem       the LoRa modems of nodes fail as mode says (MODEM_MODES), on share of the frames
    hostile     nodes behave as `behaviour` says; `count` sizes it (identities, frames a second)
    churn       one of nodes at a time, random, is off; every `delay_s` another; disk as in a crash
    """

    kind: str
    at_s: float
    for_s: float = 60.0
    nodes: str = "*"
    other: str = "*"
    mode: str = ""
    share: float = 0.5
    delay_s: float = 0.0
    disk: str = "kept"
    behaviour: str = ""
    count: int = 1


IP_FAULTS = (
    *("partition", "clog", "duplicate", "reorder", "corrupt", "lose", "crash", "slow-disk"),
    *("failing-disk", "clock", "hostile", "churn"),
)
AIR_FAULTS = ("jam", "modem")
"""The faults of LoRa radios."""
FAULTS = (*IP_FAULTS, *AIR_FAULTS)
POWER_CUTS = ("crash", "churn")
"""The faults that take power away, and read `disk`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole. Faults and traffic end by `duration_s`; then it must hold within `settle_s`."""

    name: str
    title: str = ""
    duration_s: float = 600.0
    settle_s: float = 240.0
    protocol: str = "meshd"
    crypto: str = "stand-in"
    crowd: bool = False
    letters: bool = False
    terrain: Terrain = field(default_factory=Terrain)
    media: tuple[MediumPlan, ...] = ()
    nodes: tuple[NodeGroup, ...] = ()
    traffic: tuple[Traffic, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def faults_end_us(self) -> int:
        """When people stop asking and the last fault has ended, in virtual time."""
        return round(self.duration_s * SECOND)

    @property
    def end_us(self) -> int:
        """When the time to settle is over too."""
        return round((self.duration_s + self.settle_s) * SECOND)


def hosts_of(name: str, count: int) -> list[str]:
    """Return the names of the hosts of a group."""
    return [name] if count == 1 else [f"{name}{number}" for number in range(1, count + 1)]


def means(pattern: str, name: str) -> bool:
    """Tell whether a pattern names this host."""
    return fnmatchcase(name, pattern)


def chosen(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the names that a pattern means, in their order."""
    return [name for name in names if fnmatchcase(name, pattern)]
