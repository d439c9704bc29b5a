"""Read `hardware/regions.toml`: the radio law of each region, strictly, all mistakes at once.

Enters: the file that comes with meshd, or text of that form. Leaves: a `Law` for each region, or
one ConfigError that lists every mistake as `file:line: key: what is wrong`. The file is data, not
configuration: no option loosens it.
"""

from difflib import get_close_matches
from typing import Any, cast

from meshd.config.facts import read_fact
from meshd.config.reader import Document, Reader, read_document
from meshd.config.table import Key, Table, boolean, each, filled, integer, number, parsed, text
from meshd.config.values import choice
from meshd.core.errors import UsageError
from meshd.core.law import Law, SubBand

BANDS_MAX = 16
"""Sub-bands of one region; the ledger on disk has room for no more."""

_REMEDY = "mend the file; it comes with meshd and is nobody's configuration"
_HERTZ = integer(100_000_000, 3_000_000_000)
_NUMBERS = (
    *("low_hz", "high_hz", "power_dbm", "power", "duty_percent"),
    *("dwell_ms", "dwell_below_hz", "listen_first"),
)


def _parse_unverified(name: str) -> str:
    return choice(name, _NUMBERS)


def _region_name(name: str) -> str:
    if not name or not name.isascii() or not name.isalnum() or name != name.upper():
        raise ValueError(f'"{name}" must be upper-case letters and digits')
    return name


REGION = Table(
    "region",
    "A region by the name that people know.",
    (
        Key("name", "text", parsed(_region_name), "", "as it is chosen"),
        Key("where", "text", filled, "", "who it is for"),
    ),
    many=True,
    required=("name", "where"),
)
BAND = Table(
    "band",
    "A range of frequencies under one rule.",
    (
        Key("region", "text", filled, "", "the region it belongs to"),
        Key("name", "text", filled, "", "as its source calls it"),
        Key("low_hz", "integer", _HERTZ, "", "where it begins"),
        Key("high_hz", "integer", _HERTZ, "", "where it ends"),
        Key("power_dbm", "number", number(-20, 36), "", "the most that may be radiated"),
        Key("power", "text", parsed(lambda kind: choice(kind, ("erp", "eirp"))), "", "how"),
        Key("duty_percent", "number", number(0.001, 100), "", "share of any hour"),
        Key("dwell_ms", "integer", integer(1, 3_600_000), "no bound", "the longest frame"),
        Key("dwell_below_hz", "integer", integer(1, 3_000_000), "all", "narrower ones only"),
        Key("listen_first", "boolean", boolean, "false", "only radios that listen first"),
        Key("source", "text", filled, "", "where this was read"),
        Key("note", "text", text, '""', "what one should know"),
        Key("unverified", "list", each(_parse_unverified), "[]", "keys that no law confirmed"),
    ),
    many=True,
    required=(
        "region",
        "name",
        "low_hz",
        "high_hz",
        "power_dbm",
        "power",
        "duty_percent",
        "source",
    ),
)


def laws() -> dict[str, Law]:
    """Return the law of each region that meshd knows, by name."""
    content, place = read_fact("regions.toml")
    return parse(content, place)


def places() -> dict[str, str]:
    """Return who each region is for, in words, in the order of the file."""
    content, place = read_fact("regions.toml")
    document = read_document(content, place, remedy=_REMEDY)
    found = Reader(content, place, remedy=_REMEDY).sections(REGION, document)
    return {cast(str, region["name"]): cast(str, region["where"]) for region in found}


def law_of(region: str) -> Law:
    """Return the law of a region by its name, however it is capitalised.

    Raises: UsageError that names the regions there are.
    """
    known = laws()
    law = known.get(region.strip().upper())
    if law is None:
        near = _near(region.strip().upper(), tuple(known))
        meant = " or ".join(f'"{name}"' for name in near)
        hint = f", did you mean {meant}?" if near else f" (known: {', '.join(known)})"
        raise UsageError(f'"{region}" is no region{hint}')
    return law


def _near(word: str, known: tuple[str, ...]) -> list[str]:
    """Return what may be meant: a slip, the letters or digits of a name, or a country."""
    letters = word.rstrip("0123456789")
    if not letters:
        return [name for name in known if word and word in name]
    return (
        get_close_matches(word, known, n=1, cutoff=0.6)
        or [name for name in known if name.startswith(letters)]
        or [name for name, where in places().items() if letters in where.upper().split(", ")]
    )


def parse(content: str, file: str) -> dict[str, Law]:
    """Parse TOML text; `file` is its name in messages.

    Raises: ConfigError.
    """
    document = read_document(content, file, remedy=_REMEDY)
    reader = Reader(content, file, remedy=_REMEDY)
    reader.table(Table("", "", ()), document, (), tables=(REGION, BAND))
    regions = reader.sections(REGION, document)
    found: dict[str, list[SubBand]] = {}
    for index, region in enumerate(regions):
        name = cast(str, region.get("name", ""))
        if name in found:
            reader.wrong(("region", index, "name"), f'"{name}" stands there twice')
        found[name] = []
    for index, read in enumerate(reader.sections(BAND, document)):
        _take(reader, index, read, found)
    for index, region in enumerate(regions):
        name = cast(str, region.get("name", ""))
        count = len(found[name])
        if "name" in region and not 1 <= count <= BANDS_MAX:
            reader.wrong(("region", index), f"{name} has {count} bands; 1 to {BANDS_MAX} fit")
    reader.finish()
    return {name: Law(name, tuple(bands)) for name, bands in sorted(found.items())}


def _take(reader: Reader, index: int, read: Document, found: dict[str, list[SubBand]]) -> None:
    """Add one band to its region, or note what is wrong with it."""
    path = ("band", index)
    region = cast(str, read.get("region", ""))
    if "region" in read and region not in found:
        reader.wrong((*path, "region"), f'"{region}" is no region of this file')
    if "dwell_below_hz" in read and "dwell_ms" not in read:
        reader.wrong((*path, "dwell_below_hz"), "bounds nothing without dwell_ms")
    if any(name not in read for name in BAND.required) or region not in found:
        return
    band = _band(read)
    if band.low_hz >= band.high_hz:
        reader.wrong((*path, "high_hz"), "must be above low_hz")
    for other in found[region]:
        if other.name == band.name:
            reader.wrong((*path, "name"), f'{region} has a band "{band.name}" already')
        if other.low_hz < band.high_hz and band.low_hz < other.high_hz:
            reader.wrong((*path, "low_hz"), f'overlaps "{other.name}" of {region}')
    found[region].append(band)


def _band(read: dict[str, Any]) -> SubBand:
    return SubBand(
        read["name"],
        read["low_hz"],
        read["high_hz"],
        read["power_dbm"],
        read["power"],
        int(read["duty_percent"] * 10_000 + 1e-6),
        read.get("dwell_ms", 0) * 1000,
        read.get("dwell_below_hz", 0),
        read.get("listen_first", False),
        read["source"],
        read.get("note", ""),
        read.get("unverified", ()),
    )
