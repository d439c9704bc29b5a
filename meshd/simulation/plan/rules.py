"""What one key of a plan cannot know of another: the mistakes that only the whole shows.

Enters: the converted tables of a file. Leaves: mistakes, told to the reader with their place. What
a run would change or leave out without a word (a house beyond the map's edge, a key that its fault
does not read) is a mistake here. Must not know: TOML, worlds.
"""

from typing import cast

from meshd.config.locate import Path
from meshd.config.radio_fit import has_room
from meshd.config.radios import check_frequency, check_rate, facts_of
from meshd.config.reader import Document, Reader
from meshd.config.values import suggest
from meshd.core.errors import UsageError
from meshd.core.limits import ENTRY_PAYLOAD_MAX, MESSAGE_TEXT_MAX
from meshd.simulation.layout import reach
from meshd.simulation.lora.medium import band_of, setting_of
from meshd.simulation.media.modules import MODULES, kind_of, module_of
from meshd.simulation.plan.plan import (
    AIR_BEHAVIOURS,
    AIR_FAULTS,
    MODEM_MODES,
    PARTITIONS,
    POWER_CUTS,
    Fault,
    MediumPlan,
    NodeGroup,
    Plan,
    Step,
    Terrain,
    Traffic,
    chosen,
    hosts_of,
    means,
)
from meshd.simulation.plan.schema import HOSTS_MAX, MAP_M
from meshd.simulation.plan.uses import FAULT_KEYS, MEDIUM_KEYS, fault_keys
from meshd.simulation.rivals.build import PAYLOAD_MAX, payload_max

REQUESTS_MAX = 1_000_000
DELIVERIES_MAX = 20_000_000
_EDGE_M = 0.5
"""A place may be written with fewer digits than the map it was made for."""
_OWN_DELAY = ("clog", "reorder", "slow-disk", "churn")

Listed = dict[str, list[Document]]


def check(reader: Reader, document: Document, top: Document, listed: Listed) -> None:
    """Tell the reader every mistake that spans several keys; `document` is the file as it is."""
    protocol = str(top.get("protocol", Plan("").protocol))
    end_s = cast(float, top.get("duration_s", Plan("").duration_s))
    names = _hosts(reader, listed["nodes"])
    raw = cast(list[Document], document.get("medium", []))
    _check_media(reader, protocol, list(zip(raw, listed["medium"], strict=False)), names)
    media = [str(item.get("name", "")) for item in listed["medium"]]
    channels = [str(item.get("name")) for item in listed["medium"] if item.get("kind") == "lora"]
    for place, group in enumerate(listed["nodes"]):
        for name in cast(tuple[str, ...], group.get("media", ())):
            if name not in media:
                known = suggest(name, tuple(media)) if media else " (the plan has no [[medium]])"
                reader.wrong(("nodes", place, "media"), f'no medium "{name}"{known}')
        if sum(name in channels for name in cast(tuple[str, ...], group.get("media", ()))) > 1:
            reader.wrong(("nodes", place, "media"), "a host has one LoRa radio")
    _check_map(reader, _terrain(document), listed)
    for kind in ("traffic", "fault"):
        for place, item in enumerate(listed[kind]):
            for key in ("nodes", "to", "other"):
                if key in item:
                    _meant(reader, (kind, place, key), str(item[key]), names)
            check_one = _check_traffic if kind == "traffic" else _check_fault
            check_one(reader, place, item, end_s)
    if not channels:
        _check_no_air(reader, listed["fault"])
    _check_load(reader, listed["traffic"], names, end_s)
    if protocol == "meshd":
        _check_texts(reader, listed["traffic"])
    elif protocol in PAYLOAD_MAX:
        _check_rival(reader, protocol, top, listed)


# --- hosts and media ------------------------------------------------------------------------------


def _hosts(reader: Reader, groups: list[Document]) -> list[str]:
    """Return the names of all hosts; too many, and names that two groups make, are mistakes."""
    found: dict[str, None] = {}
    total = sum(cast(int, group.get("count", 1)) for group in groups)
    if not groups:
        reader.wrong(("nodes",), "a plan has at least one [[nodes]]")
    if total > HOSTS_MAX:
        reader.wrong(("nodes",), f"{total} hosts are more than {HOSTS_MAX}")
        return []
    for place, group in enumerate(groups):
        made = hosts_of(str(group.get("name", "")), cast(int, group.get("count", 1)))
        twice = next((name for name in made if name in found), None)
        if twice:
            reader.wrong(("nodes", place, "name"), f'a host "{twice}" stands there already')
        found.update(dict.fromkeys(made))
    return list(found)


def _meant(reader: Reader, path: Path, pattern: str, names: list[str]) -> None:
    if names and not any(means(pattern, name) for name in names):
        known = tuple(names) if len(names) <= 12 else (*names[:4], "…")
        reader.wrong(path, f'no host is called "{pattern}"{suggest(pattern, known)}')


def _check_media(
    reader: Reader, protocol: str, media: list[tuple[Document, Document]], names: list[str]
) -> None:
    seen: list[str] = []
    for place, (raw, medium) in enumerate(media):
        path: Path = ("medium", place)
        name, kind = str(medium.get("name", "")), str(medium.get("kind", ""))
        if name and name in seen:
            reader.wrong((*path, "name"), f'"{name}" stands there twice')
        seen.append(name)
        if kind not in MEDIUM_KEYS:
            continue
        _unused(reader, path, medium, MEDIUM_KEYS[kind], f"{kind} medium")
        pairs = cast(tuple[tuple[str, str], ...], medium.get("between", ()))
        if kind == "wire" and raw.get("between", []) == []:
            where: Path = (*path, "between") if "between" in raw else path
            reader.wrong(where, 'a wire ties nobody without pairs: between = [["hall", "school"]]')
        for pattern in (pattern for pair in pairs for pattern in pair):
            _meant(reader, (*path, "between"), pattern, names)
        if kind == "lora":
            _check_lora(reader, protocol, path, medium)


def _check_lora(reader: Reader, protocol: str, path: Path, medium: Document) -> None:
    for key in ("duty", "dwell_ms"):
        if key in medium and (protocol == "meshd" or medium.get("region")):
            reader.wrong((*path, key), "has no effect: the region says it")
    plan = MediumPlan(**{"name": "", "kind": "lora", **medium})  # type: ignore[arg-type]
    if plan.modem and plan.modem not in MODULES:
        reader.wrong((*path, "modem"), f'no modem "{plan.modem}"{suggest(plan.modem, MODULES)}')
        return
    try:
        setting = setting_of(plan)
    except UsageError as error:
        reader.wrong(path, f"no LoRa radio can be set so: {error}")
        return
    try:
        if plan.modem:
            check_frequency(kind_of(plan.modem), plan.frequency_mhz)
            check_rate(kind_of(plan.modem), setting.modulation)
    except UsageError as error:
        reader.wrong((*path, "modem"), str(error))
    if protocol == "meshd" and not plan.region:
        reader.wrong(path, '"region" is missing: whose law the radios keep, as "EU868"')
    elif plan.region:
        try:
            band = band_of(plan)
        except UsageError as error:
            reader.wrong((*path, "region"), str(error))
            return
        facts = facts_of(kind_of(plan.modem)) if plan.modem else None
        if protocol == "meshd" and facts and not has_room(facts, setting.modulation, band):
            rate = setting.modulation.text
            text = f"no node takes {rate} here: the law gives a beacon of {facts.kind} too little"
            reader.wrong((*path, "modem"), text)


def _unused(reader: Reader, path: Path, item: Document, used: tuple[str, ...], what: str) -> None:
    """Refuse the keys that have no effect here."""
    for key in item:
        if key not in ("kind", "name", "at_s", "for_s", *used):
            article = "an" if what[0] in "aeiou" else "a"
            reader.wrong((*path, key), f"{article} {what} does not use it{suggest(key, used)}")


# --- the map --------------------------------------------------------------------------------------


def _check_map(reader: Reader, terrain: Terrain, listed: Listed) -> None:
    """Refuse whatever lies outside the map; nothing is moved onto it in silence."""
    for place, ridge in enumerate(listed["ridge"]):
        _inside(reader, terrain, ("ridge", place), ridge)
    for place, group in enumerate(listed["nodes"]):
        path: Path = ("nodes", place)
        if not _inside(reader, terrain, path, group):
            continue
        for step in cast(tuple[Step, ...], group.get("walk", ())):
            if not (_within(step.x_m, terrain.width_m) and _within(step.y_m, terrain.height_m)):
                where = f"at {step.at_s:g} s it is at {step.x_m:g}, {step.y_m:g}"
                reader.wrong((*path, "walk"), f"{where}, outside the map, {_size(terrain)}")
        _check_reach(reader, terrain, path, group)


def _terrain(document: Document) -> Terrain:
    """Return the size of the map; what is wrong in it is told elsewhere."""
    raw = document.get("terrain")
    plain = Terrain()
    found = [plain.width_m, plain.height_m]
    for place, key in enumerate(("width_m", "height_m")):
        value = raw.get(key) if isinstance(raw, dict) else None
        if isinstance(value, int | float) and 0 < value <= MAP_M:
            found[place] = float(value)
    return Terrain(width_m=found[0], height_m=found[1])


def _inside(reader: Reader, terrain: Terrain, path: Path, item: Document) -> bool:
    fits = True
    for key in ("x_m", "y_m", "x1_m", "y1_m", "x2_m", "y2_m"):
        value = item.get(key)
        far_m = terrain.width_m if key[0] == "x" else terrain.height_m
        if isinstance(value, float) and not _within(value, far_m):
            reader.wrong((*path, key), f"{value:g} is outside the map, {_size(terrain)}")
            fits = False
    return fits


def _check_reach(reader: Reader, terrain: Terrain, path: Path, group: Document) -> None:
    known = {
        key: group[key] for key in ("count", "layout", "x_m", "y_m", "spread_m") if key in group
    }
    named = NodeGroup("", **known)  # type: ignore[arg-type]
    west_m, south_m, east_m, north_m = reach(named, terrain)
    fits_x = _within(west_m, terrain.width_m) and _within(east_m, terrain.width_m)
    fits_y = _within(south_m, terrain.height_m) and _within(north_m, terrain.height_m)
    if fits_x and fits_y:
        return
    where = f"{west_m:g} to {east_m:g} west to east and {south_m:g} to {north_m:g} south to north"
    key = "spread_m" if "spread_m" in known else "x_m" if "x_m" in known else "y_m"
    missing = "" if "spread_m" in known else '; "spread_m" says how far they stand from there'
    reader.wrong(
        (*path, key), f"the group reaches from {where}, outside the map, {_size(terrain)}{missing}"
    )


def _within(at_m: float, far_m: float) -> bool:
    return -_EDGE_M <= at_m <= far_m + _EDGE_M


def _size(terrain: Terrain) -> str:
    return f"0 to {terrain.width_m:g} west to east and 0 to {terrain.height_m:g} south to north"


# --- what people do, what goes wrong --------------------------------------------------------------


def _check_traffic(reader: Reader, place: int, item: Document, end_s: float) -> None:
    start = cast(float, item.get("start_s", Traffic("").start_s))
    end = cast(float, item.get("end_s", end_s))
    if start >= end:
        reader.wrong(("traffic", place, "start_s"), f"{start:g} is not before its end, {end:g}")
    if end > end_s:
        reader.wrong(("traffic", place, "end_s"), f"{end:g} is after duration_s, {end_s:g}")


def _check_load(
    reader: Reader, traffic: list[Document], names: list[str], duration_s: float
) -> None:
    """Refuse a plan whose people would ask more than any run could score."""
    requests = deliveries = 0.0
    for place, item in enumerate(traffic):
        known = Traffic(**{"kind": "direct", **item})  # type: ignore[arg-type]
        lasts_s = max((known.end_s or duration_s) - known.start_s, 0.0)
        asked = len(chosen(known.nodes, names)) * lasts_s / known.every_s
        heard_by = len(chosen(known.to, names)) if known.kind == "broadcast" else 1
        requests, deliveries = requests + asked, deliveries + asked * heard_by
        what = ""
        if requests > REQUESTS_MAX:
            what = f"about {requests:.0f} requests in all are more than {REQUESTS_MAX}"
        elif deliveries > DELIVERIES_MAX:
            what = f"about {deliveries:.0f} deliveries in all are more than {DELIVERIES_MAX}"
        if what:
            reader.wrong(("traffic", place, "every_s"), f"{what}: let people ask less often")
            return


def _check_texts(reader: Reader, traffic: list[Document]) -> None:
    longest = {"broadcast": ("note", ENTRY_PAYLOAD_MAX), "message": ("message", MESSAGE_TEXT_MAX)}
    for place, item in enumerate(traffic):
        name, limit = longest.get(str(item.get("kind")), ("", 0))
        if name and cast(int, item.get("size", 0)) > limit:
            said = f'a {name} has at most {limit} bytes; what is larger is a "file"'
            reader.wrong(("traffic", place, "size"), said)


def _check_fault(reader: Reader, place: int, item: Document, end_s: float) -> None:
    kind, mode = str(item.get("kind", "")), str(item.get("mode", ""))
    path: Path = ("fault", place)
    ends = cast(float, item.get("at_s", 0.0)) + cast(float, item.get("for_s", Fault("", 0).for_s))
    if ends > end_s:
        reader.wrong((*path, "for_s"), f"it ends at {ends:g}, after duration_s, {end_s:g}")
    for wanted, key in (("partition", "mode"), ("hostile", "behaviour"), ("modem", "mode")):
        if kind == wanted and not item.get(key):
            reader.wrong(path, f'a {kind} needs "{key}"')
    for wanted, modes in (("partition", PARTITIONS), ("modem", MODEM_MODES)):
        if kind == wanted and mode and mode not in modes:
            reader.wrong((*path, "mode"), f"a {kind} has none called {mode}{suggest(mode, modes)}")
    delay = cast(float, item.get("delay_s", 0.0))
    if kind in _OWN_DELAY and delay <= 0:
        reader.wrong((*path, "delay_s"), f"a {kind} needs a time above 0")
    if kind == "partition" and mode == "uniform" and "nodes" in item:
        what = 'mode "uniform" divides all hosts by "share" and does not use it'
        reader.wrong((*path, "nodes"), f'{what}, did you mean mode "isolate"?')
        item = {key: value for key, value in item.items() if key != "nodes"}
    if kind in FAULT_KEYS:
        shown = f"partition of mode {mode}" if mode and kind == "partition" else kind
        _unused(reader, path, item, fault_keys(kind, mode), shown)


def _check_no_air(reader: Reader, faults: list[Document]) -> None:
    """Refuse faults of LoRa radios where nobody has one."""
    for place, item in enumerate(faults):
        for key, known in (("kind", AIR_FAULTS), ("behaviour", AIR_BEHAVIOURS)):
            if item.get(key) in known:
                what = f"{item[key]} is of LoRa radios"
                reader.wrong(("fault", place, key), f"{what}, and no [[medium]] is of kind lora")


# --- rivals ---------------------------------------------------------------------------------------


def _check_rival(reader: Reader, protocol: str, top: Document, listed: Listed) -> None:
    """Refuse what a rival does not do."""
    if not any(item.get("kind") == "lora" for item in listed["medium"]):
        reader.wrong(("protocol",), f'{protocol} needs a [[medium]] of kind "lora"')
    _check_radios(reader, protocol, listed)
    if top.get("letters"):
        reader.wrong(("letters",), f"{protocol} has no direct messages of this kind")
    if top.get("crowd"):
        reader.wrong(("crowd",), f"{protocol} has no spaces that a crowd could found")
    for place, fault in enumerate(listed["fault"]):
        if fault.get("kind") in FAULT_KEYS and fault["kind"] not in POWER_CUTS:
            only = " and ".join(POWER_CUTS)
            reader.wrong(("fault", place, "kind"), f"{protocol} knows {only} only")
    modems = (item.get("modem", "") for item in listed["medium"] if item.get("kind") == "lora")
    modem = str(next(modems, ""))
    module = module_of(modem if modem in MODULES else "")
    for place, item in enumerate(listed["traffic"]):
        if item.get("kind") == "file":
            reader.wrong(("traffic", place, "kind"), f"{protocol} carries no files")
        limit = payload_max(protocol, module)
        if cast(int, item.get("size", 0)) > limit:
            reader.wrong(("traffic", place, "size"), f"{protocol} takes {limit} bytes at most")


def _check_radios(reader: Reader, protocol: str, listed: Listed) -> None:
    """Refuse hosts that could not say a word."""
    names = [item.get("name") for item in listed["medium"]]
    channels = [item.get("name") for item in listed["medium"] if item.get("kind") == "lora"]
    for place, group in enumerate(listed["nodes"]):
        on = cast(tuple[str, ...], group.get("media", ())) or names[:1]
        if channels and not any(name in channels for name in on):
            what = f"{protocol} goes by LoRa alone, and these have no such radio"
            reader.wrong(("nodes", place), what)
