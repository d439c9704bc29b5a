"""Read `hardware/radios/KIND.toml`: what is known of a radio, strictly, all mistakes at once.

Enters: the file that comes with meshd, or text of that form. Leaves: a `RadioFacts`, or one
ConfigError that lists every mistake as `file:line: key: what is wrong`. Dialects hold their own
numbers; a test keeps both equal.
"""

from math import log
from typing import Any, NamedTuple

from meshd.config.facts import read_fact
from meshd.config.reader import Document, Reader, read_document
from meshd.config.table import Key, Table, boolean, each, filled, integer, number, text
from meshd.config.values import AUTO
from meshd.core.airtime import SNR_LIMIT_DB, Modulation
from meshd.core.errors import UsageError

_REMEDY = "mend the file; it comes with meshd and is nobody's configuration"


BANDWIDTHS_KHZ = (7.8, 10.4, 15.6, 20.8, 31.25, 41.7, 62.5, 125.0, 250.0, 500.0)
"""What a LoRa chip can be set to."""

_RATE_RATIO = 1.25
"""An air rate stands for a modulation whose bit rate is nearer to it than this."""


class RadioFacts(NamedTuple):
    """What people and code need to know of a kind of radio. `usb`: "vendor:product" in hex.

    `bands_mhz`: low and high edges, none where it takes all; `channel_mhz`: how far its channels
    are apart, from each low edge on, 0 where it takes any frequency.
    """

    kind: str
    names: tuple[str, ...]
    baud: int
    frame_max: int
    added_bytes: int
    listens: bool
    tells_sent: bool
    signal: tuple[str, ...]
    usb: tuple[str, ...]
    wiring: str
    limits: tuple[str, ...]
    unknown: tuple[str, ...]
    bands_mhz: tuple[tuple[float, float], ...]
    channel_mhz: float
    bandwidths_khz: tuple[float, ...]
    air_rates: tuple[int, ...]
    sources: tuple[tuple[str, str], ...]


def _bands(value: object) -> object:
    """Take pairs of MHz, each from low to high."""
    if not isinstance(value, list):
        raise ValueError("must be a list of [low, high] in MHz")
    for band in value:
        numbers = isinstance(band, list) and all(isinstance(edge, int | float) for edge in band)
        if not numbers or len(band) != 2 or not 100 <= band[0] < band[1] <= 3_000:
            raise ValueError(f"{band} is no [low, high] in MHz")
    return tuple(map(tuple, value))


def _bandwidths(value: object) -> object:
    if not isinstance(value, list) or not set(value) <= set(BANDWIDTHS_KHZ):
        raise ValueError(
            f"must be a list of some of {', '.join(map('{:g}'.format, BANDWIDTHS_KHZ))}"
        )
    return tuple(map(float, value))


def _usb_id(name: str) -> str:
    vendor, _, product = name.partition(":")
    for part in (vendor, product):
        if len(part) != 4 or not set(part) <= set("0123456789abcdef"):
            raise ValueError(f'"{name}" is no USB id: write it as "10c4:ea60"')
    return name


def _rates(value: object) -> object:
    rate = integer(100, 1_000_000)
    if not isinstance(value, list):
        raise ValueError("must be a list of bits per second")
    return tuple(rate(item) for item in value)


_TEXTS = each(str)
RADIO = Table(
    "",
    "A kind of radio.",
    (
        Key("kind", "text", filled, "", "its name in configuration and commands"),
        Key("names", "list", _TEXTS, "", "what is printed on it"),
        Key("baud", "integer", integer(300, 4_000_000), "", "of its serial port, 8N1"),
        Key("frame_max", "integer", integer(1, 255), "", "the longest frame of ours"),
        Key("added_bytes", "integer", integer(0, 255), "", "what it adds on the air"),
        Key("listens", "boolean", boolean, "", "before it sends"),
        Key("tells_sent", "boolean", boolean, "", "that a frame is out"),
        Key("signal", "list", _TEXTS, "", "figures of each frame"),
        Key("usb", "list", each(_usb_id), "", "ids that tell it"),
        Key("wiring", "text", filled, "", "how it is connected"),
        Key("limits", "list", _TEXTS, "", "what one should know"),
        Key("unknown", "list", _TEXTS, "", "what nobody looked at yet"),
        Key("bands_mhz", "list", _bands, "all", "what it can be set to"),
        Key("channel_mhz", "number", number(0, 100), "0", "from one channel to the next; 0: any"),
        Key("bandwidths_khz", "list", _bandwidths, "all", "what it can be set to"),
        Key("air_rates", "list", _rates, "[]", "of modules that name no spreading factor"),
        Key("preamble", "integer", integer(4, 65_535), "", "symbols, where it is fixed"),
        Key("sync_word", "integer", integer(0, 255), "", "where it is fixed"),
        Key("port", "integer", integer(1, 511), "", "of the messages of its network"),
        Key("heartbeat_s", "integer", integer(1, 3_600), "", "how often it wants to hear of us"),
        *(
            Key(name, "text", text, '""', "in words")
            for name in ("framing", "commands", "errors", "fields", "frequency", "own_airtime")
        ),
    ),
    required=(
        *("kind", "names", "baud", "frame_max", "added_bytes", "listens", "tells_sent"),
        *("signal", "usb", "wiring", "limits", "unknown"),
    ),
)
SOURCE = Table(
    "source",
    "Where facts were read.",
    (
        Key("what", "text", filled, "", "document, version, commit"),
        Key("quality", "text", filled, "", "how far it can be trusted"),
    ),
    many=True,
    required=("what", "quality"),
)


def facts_of(kind: str) -> RadioFacts:
    """Return what is known of a kind of radio. Raises: ConfigError."""
    content, place = read_fact(f"radios/{kind}.toml")
    return parse(content, place)


def bandwidth_hz(kind: str, khz: float) -> int:
    """Return a bandwidth that a kind of radio can be set to. Raises: UsageError with those."""
    can = BANDWIDTHS_KHZ if kind == AUTO else facts_of(kind).bandwidths_khz
    if khz not in can:
        *most, last = map("{:g}".format, can)
        who = "LoRa" if kind == AUTO else kind
        raise UsageError(f"{khz:g} kHz: {who} can be set to {', '.join(most)} or {last} kHz")
    return round(khz * 1000)


def check_frequency(kind: str, mhz: float) -> None:
    """Take a frequency that a kind of radio can be set to. Raises: UsageError with the nearest."""
    facts = facts_of(kind)
    if (near_mhz := nearest_mhz(facts, mhz)) != mhz:
        raise UsageError(f"{mhz:g} MHz: {reach_text(facts)}; the nearest is {near_mhz:g} MHz")


def reach_text(facts: RadioFacts) -> str:
    """Return in words where a kind of radio can be set."""
    bands = " and ".join(f"{low:g} to {high:g}" for low, high in facts.bands_mhz)
    apart = f", in steps of {facts.channel_mhz:g} MHz" if facts.channel_mhz else ""
    return f"{facts.kind} can be set to {bands} MHz{apart}"


def nearest_mhz(facts: RadioFacts, mhz: float) -> float:
    """Return the nearest frequency that a kind of radio can be set to: the same one if it can."""
    near_mhz = min(
        (_nearest_mhz(mhz, band, facts.channel_mhz) for band in facts.bands_mhz),
        key=lambda one: abs(one - mhz),
        default=mhz,
    )
    return mhz if abs(near_mhz - mhz) < 1e-6 else near_mhz


def _nearest_mhz(mhz: float, band: tuple[float, float], step_mhz: float) -> float:
    low_mhz, high_mhz = band
    within_mhz = min(max(mhz, low_mhz), high_mhz)
    if not step_mhz:
        return within_mhz
    return low_mhz + step_mhz * round((within_mhz - low_mhz) / step_mhz)


def check_rate(kind: str, modulation: Modulation) -> None:
    """Take a modulation that an air rate stands for, where a kind of radio has such.

    Raises: UsageError with the nearest modulation that can be had.
    """
    if has_rate(facts_of(kind), modulation):
        return
    nearest = nearest_rate(facts_of(kind), modulation)
    known = ", ".join(map(str, facts_of(kind).air_rates))
    raise UsageError(
        f"{modulation.text} is {modulation.bits_per_s:.0f} bit/s: {kind} knows no spreading "
        f"factors, but {known} bit/s; the nearest that can be had is {nearest.text}"
    )


def nearest_rate(facts: RadioFacts, modulation: Modulation) -> Modulation:
    """Return the modulation nearest in bit rate that an air rate stands for."""
    others = (
        modulation._replace(spreading_factor=factor, bandwidth_hz=round(khz * 1000))
        for khz in facts.bandwidths_khz[-3:]
        for factor in SNR_LIMIT_DB
    )
    return min(
        (one for one in others if _is_a_rate(one, facts.air_rates)),
        key=lambda one: abs(log(one.bits_per_s / modulation.bits_per_s)),
    )


def has_rate(facts: RadioFacts, modulation: Modulation) -> bool:
    """Tell whether an air rate stands for a modulation, or the radio takes any."""
    return not facts.air_rates or _is_a_rate(modulation, facts.air_rates)


def _is_a_rate(modulation: Modulation, rates: tuple[int, ...]) -> bool:
    bits_per_s = modulation.bits_per_s
    return any(max(rate / bits_per_s, bits_per_s / rate) < _RATE_RATIO for rate in rates)


def parse(content: str, file: str) -> RadioFacts:
    """Parse TOML text; `file` is its name in messages. Raises: ConfigError."""
    document = read_document(content, file, remedy=_REMEDY)
    reader = Reader(content, file, remedy=_REMEDY)
    read = reader.table(RADIO, document, (), tables=(SOURCE,))
    sources = reader.sections(SOURCE, document)
    if not sources:
        reader.wrong((), "no [[source]] is named")
    reader.finish()
    return _facts(read, sources)


def _facts(read: Document, sources: list[Document]) -> RadioFacts:
    usual = {"bands_mhz": (), "channel_mhz": 0.0, "air_rates": ()}
    read = {**usual, "bandwidths_khz": BANDWIDTHS_KHZ, **read}
    values: dict[str, Any] = {name: read[name] for name in RadioFacts._fields[:-1]}
    named = tuple((str(source["what"]), str(source["quality"])) for source in sources)
    return RadioFacts(**values, sources=named)
