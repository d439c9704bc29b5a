"""Every key of a plan file: type, range, default and what it does.

One table, read by the loader, the writer and the page of documentation. Names and defaults are
those of the values in `plan`; here stand their ranges and their meaning for a planner.
"""

from dataclasses import MISSING, fields

from meshd.config.table import Convert, Key, Table, boolean, each, integer, number, parsed, text
from meshd.config.table import type_name as kind_of
from meshd.config.values import choice
from meshd.simulation.plan import plan as values
from meshd.simulation.plan.plan import (
    Fault,
    MediumPlan,
    NodeGroup,
    Plan,
    Ridge,
    Sun,
    Terrain,
    Traffic,
)

HOSTS_MAX = 20_000
TIME_S_MAX = 366 * 86_400.0
_WALK_STEPS_MAX = 10_000
MAP_M = 1e6
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")

_SHARE = number(0, 1)
_TIME = number(0, TIME_S_MAX)
_LASTING = number(0, TIME_S_MAX, above=True)
_PLACE = number(-MAP_M, MAP_M)
_COUNT = integer(1, 1_000_000)
_PATTERN = "names"


def _one_of(known: tuple[str, ...]) -> Convert:
    return parsed(lambda word: choice(word, known))


def _name(word: str) -> str:
    if not 1 <= len(word) <= 32 or not _LETTERS.issuperset(word):
        raise ValueError(f'"{word[:40]}" is not a name: 1 to 32 letters a-z, digits, "-" and "_"')
    return word


def _title(value: object) -> str:
    if len(text(value)) > 200 or not text(value).isprintable():
        raise ValueError("has at most 200 printable characters")
    return text(value)


def _pattern(word: str) -> str:
    if not word or not word.isprintable():
        raise ValueError('names hosts by a pattern, as "roof*"; "*" means all')
    return word


def _pairs(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list) or not all(
        isinstance(pair, list) and len(pair) == 2 for pair in value
    ):
        raise ValueError('must be a list of pairs, as [["hall", "school"], ["school", "mill"]]')
    return tuple((_pattern(text(one)), _pattern(text(other))) for one, other in value)


def _walk(value: object) -> tuple[values.Step, ...]:
    shape = "must be a list of [seconds, x in metres, y in metres]"
    if not isinstance(value, list) or len(value) > _WALK_STEPS_MAX:
        raise ValueError(shape)
    steps: list[values.Step] = []
    for item in value:
        if not isinstance(item, list) or len(item) != 3:
            raise ValueError(shape)
        at_s, x_m, y_m = item
        step = values.Step(_number(_TIME, at_s), _number(_PLACE, x_m), _number(_PLACE, y_m))
        if steps and step.at_s <= steps[-1].at_s:
            raise ValueError(f"its times must rise, but {step.at_s:g} comes after")
        steps.append(step)
    return tuple(steps)


def _number(convert: Convert, value: object) -> float:
    found = convert(value)
    assert isinstance(found, float)
    return found


def _wall(value: object) -> float | None:
    if value == "unknown":
        return None
    if isinstance(value, str):
        raise ValueError('must be a number, or "unknown"')
    return _number(number(-TIME_S_MAX * 100, TIME_S_MAX * 100), value)


def _default(of: type, name: str) -> str:
    for field in fields(of):
        if field.name == name and field.default is not MISSING:
            return "none" if field.default is None else toml(field.default)
    return "required"


def toml(value: object) -> str:
    """Return a value as TOML writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case int() | float():
            return repr(value)
        case values.Step():
            return toml((value.at_s, value.x_m, value.y_m))
        case list() | tuple():
            return f"[{', '.join(toml(item) for item in value)}]"
    raise TypeError(f"TOML has no {kind_of(value)}")


def _table(
    name: str, of: type, about: str, rows: tuple[tuple[str, str, Convert, str], ...]
) -> Table:
    keys = tuple(
        Key(key, shape, convert, _default(of, key), said) for key, shape, convert, said in rows
    )
    required = tuple(key.name for key in keys if key.default == "required")
    return Table(name, about, keys, name in ARRAYS, required)


ARRAYS = ("ridge", "medium", "nodes", "traffic", "fault")
TOP = _table(
    "",
    Plan,
    "Keys of the whole, at the top of the file.",
    (
        ("name", "name", parsed(_name), "A short name of the plan."),
        ("title", "text", _title, "What people read above the report."),
        ("duration_s", "seconds", _LASTING, "How long people talk and things go wrong."),
        ("settle_s", "seconds", _TIME, "How long after that all must be well again."),
        (
            "protocol",
            "choice",
            _one_of(values.PROTOCOLS),
            f"What the nodes speak: {', '.join(values.PROTOCOLS)}.",
        ),
        (
            "crypto",
            "choice",
            _one_of(("stand-in", "real")),
            "`stand-in` is quick and keeps no secret; `real` is the daemon's own.",
        ),
        (
            "crowd",
            "true or false",
            boolean,
            "Beside the traffic, people ask for anything at the worst time: spaces, invitations, "
            "posts just after a boot. Needs `broadcast` traffic.",
        ),
        (
            "letters",
            "true or false",
            boolean,
            "People send each other direct messages too, and take invitations back.",
        ),
    ),
)
TERRAIN = _table(
    "terrain",
    Terrain,
    "The ground. A signal loses 10 × `loss_exponent` dB each time the distance grows tenfold, and "
    "a random part that stays the same for a pair of places.",
    (
        ("width_m", "metres", number(0, MAP_M, above=True), "The map, west to east."),
        ("height_m", "metres", number(0, MAP_M, above=True), "The map, south to north."),
        ("loss_exponent", "number", number(1, 8), "2: free sight. 2.7: village. 3.5: dense town."),
        ("shadowing_db", "dB", number(0, 30), "Spread of the random part of a pair."),
        ("asymmetry_db", "dB", number(0, 30), "Spread between the two directions of a pair."),
    ),
)
RIDGE = _table(
    "ridge",
    Ridge,
    "One `[[ridge]]` for each line on the map (a hill, a dam) that weakens what crosses it.",
    (
        ("x1_m", "metres", _PLACE, "One end."),
        ("y1_m", "metres", _PLACE, "One end."),
        ("x2_m", "metres", _PLACE, "The other end."),
        ("y2_m", "metres", _PLACE, "The other end."),
        ("loss_db", "dB", number(0, 200), "What it costs to cross it."),
    ),
)
MEDIUM = _table(
    "medium",
    MediumPlan,
    "One `[[medium]]` for each kind of link. A key that its kind does not use is a mistake.",
    (
        ("name", "name", parsed(_name), "How nodes name it."),
        ("kind", "choice", _one_of(values.MEDIA), f"{', '.join(values.MEDIA)}."),
        ("tx_dbm", "dBm", number(-50, 60), "Power that leaves the antenna."),
        ("frequency_mhz", "MHz", number(1, 100_000), "Decides the loss of the first metre."),
        ("noise_figure_db", "dB", number(0, 40), "Noise that a receiver adds."),
        ("bandwidth_khz", "kHz", number(1, 1_000_000), "Width of the channel."),
        (
            "rate_max_mbit_s",
            "Mbit/s",
            number(0.001, 100_000),
            "ip-radio: the rate at best; less as the signal weakens.",
        ),
        ("multicast_loss", "share", _SHARE, "ip-radio: multicast lost beside that of the signal."),
        ("spreading_factor", "integer", integer(5, 12), "lora: 5 to 12; one more doubles airtime."),
        ("coding_rate", "integer", integer(1, 4), "lora: 1 is 4/5, 4 is 4/8."),
        ("preamble", "symbols", integer(6, 65_535), "lora: length of the preamble."),
        (
            "modem",
            "name",
            _title,
            "lora: the modem that all have, by its name in radios.md: its longest frame, the bytes "
            "that it adds, whether it listens first, its frequencies and bandwidths.",
        ),
        (
            "region",
            "name",
            _title,
            "lora: whose law holds, as EU868. meshd needs and keeps it, a rival is judged by it.",
        ),
        (
            "duty",
            "share",
            number(0, 1, above=True),
            "lora under a rival, and no region: the share of an hour that law lets one send.",
        ),
        (
            "dwell_ms",
            "ms",
            integer(0, 1_000_000),
            "lora under a rival, and no region: the longest frame by law; 0: no limit.",
        ),
        ("between", "list of pairs", _pairs, "wire: who is tied to whom; at least one pair."),
        ("delay_us", "µs", integer(0, 3_600_000_000), "wire: how long a frame takes."),
        ("loss", "share", _SHARE, "wire: share of frames lost."),
    ),
)
NODES = _table(
    "nodes",
    NodeGroup,
    "One `[[nodes]]` for each group of hosts of one kind: `name` itself when `count` is 1, else "
    "name1, name2 and so on.",
    (
        ("name", "name", parsed(_name), "The name, or what the names begin with."),
        ("count", "integer", integer(1, HOSTS_MAX), "How many."),
        ("media", "list of names", each(_name), "Media it is on; none named: the first medium."),
        ("layout", "choice", _one_of(values.LAYOUTS), f"{', '.join(values.LAYOUTS)}."),
        ("x_m", "metres", _PLACE, "The middle of the layout; none: that of the map."),
        ("y_m", "metres", _PLACE, "The middle of the layout; none: that of the map."),
        (
            "spread_m",
            "metres",
            number(0, MAP_M),
            "How far the layout reaches from its middle; left out, a single host whose x and y are "
            "told stands just there, and other layouts fill the map.",
        ),
        ("walk", "list of [s, x, y]", _walk, "Where a walker is and when; straight in between."),
        ("walk_again", "true or false", boolean, "Whether the walk begins again at its end."),
        ("clock_ppm", "ppm", number(-100_000, 100_000), "How much too fast its clock runs."),
        (
            "wall_offset_s",
            'seconds or "unknown"',
            _wall,
            "How far its time of day is ahead; `unknown`: it does not know the time.",
        ),
        ("relay_only", "true or false", boolean, "Carries what others write, can read none of it."),
    ),
)
SUN = _table(
    "sun",
    Sun,
    "Inside `[[nodes]]`, as `sun = { battery_wh = 40, panel_w = 10 }`: hosts on a battery that the "
    "sun fills; they are off while it is empty.",
    (
        ("battery_wh", "Wh", number(0, 1e6, above=True), "What the battery holds."),
        ("panel_w", "W", number(0, 1e6), "What the panel gives at noon."),
        ("load_w", "W", number(0, 1e6), "What the host draws."),
        ("charge", "share", _SHARE, "How full the battery is at the start."),
        ("day_s", "seconds", number(60, TIME_S_MAX), "The length of a day."),
        ("sunrise_s", "seconds", _TIME, "When the sun rises, from the beginning of a day."),
    ),
)
TRAFFIC = _table(
    "traffic",
    Traffic,
    "One `[[traffic]]` for each thing that people do.",
    (
        (
            "kind",
            "choice",
            _one_of(values.TRAFFIC),
            "broadcast: a note to all; direct: a call to one, answered at once or lost; message: "
            "to one, kept until it arrives; file: put for all, then got.",
        ),
        ("nodes", _PATTERN, parsed(_pattern), "Who does it."),
        ("to", _PATTERN, parsed(_pattern), "To whom: each time a random one, or all of these."),
        (
            "every_s",
            "seconds",
            _LASTING,
            "How often each does it, on average; a million requests at most in all.",
        ),
        (
            "size",
            "bytes",
            integer(1, 1 << 30),
            "How much. A note has at most 32768 bytes, a message 69 less; a call has a size for a "
            "rival only.",
        ),
        ("start_s", "seconds", _TIME, "From when."),
        ("end_s", "seconds", _TIME, "Until when; none: to the end of `duration_s`."),
    ),
)
FAULT = _table(
    "fault",
    Fault,
    "One `[[fault]]` for each thing that goes wrong. The last table tells which keys "
    "a kind uses; another one is a mistake.",
    (
        ("kind", "choice", _one_of(values.FAULTS), f"{', '.join(values.FAULTS)}."),
        ("at_s", "seconds", _TIME, "When it begins."),
        ("for_s", "seconds", _LASTING, "How long it lasts."),
        ("nodes", _PATTERN, parsed(_pattern), "Whom it befalls."),
        ("other", _PATTERN, parsed(_pattern), "clog: towards whom. hostile: its victims."),
        (
            "mode",
            "choice",
            _one_of(("", *values.PARTITIONS, *values.MODEM_MODES)),
            "partition: isolate (`nodes` and all others do not hear each other), one-way (all "
            "others do not hear `nodes`, who hear them), uniform (all hosts fall in two parts, a "
            "random `share` of them on one side). modem: gone (unplugged), deaf (hears nothing), "
            "mute (says sent, and nothing leaves), refusing, silent (no answer), garbled (flips "
            "bits).",
        ),
        (
            "share",
            "share",
            _SHARE,
            "lose, duplicate, reorder, corrupt: of the frames of `nodes`. failing-disk: of their "
            "commits. partition, uniform: of all hosts. jam, modem: of the frames of a LoRa radio.",
        ),
        (
            "delay_s",
            "seconds",
            number(-TIME_S_MAX * 100, TIME_S_MAX),
            "clog, reorder, slow-disk, churn: how long. clock: how far it jumps.",
        ),
        ("disk", "choice", _one_of(values.DISKS), f"crash, churn: {', '.join(values.DISKS)}."),
        (
            "behaviour",
            "choice",
            _one_of(("", *values.BEHAVIOURS)),
            f"hostile: {', '.join(values.BEHAVIOURS)}.",
        ),
        ("count", "integer", _COUNT, "hostile: how many identities, or frames a second."),
    ),
)
TABLES = (TERRAIN, RIDGE, MEDIUM, NODES, TRAFFIC, FAULT)
