"""Plans as TOML text: read strictly, all mistakes at once, and written back without loss.

Enters: a path or text, or a Plan. Leaves: a Plan, one ConfigError that lists every mistake as
`file:line: key: what is wrong`, or text. `parse(dump(plan))` is `plan`.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, TypeVar, cast

from meshd.config.reader import Document, Reader, read_document, read_text
from meshd.config.table import Table
from meshd.config.values import suggest
from meshd.simulation import plan_schema as schema
from meshd.simulation.plan import (
    Fault,
    MediumPlan,
    NodeGroup,
    Plan,
    Ridge,
    Sun,
    Terrain,
    Traffic,
    hosts_of,
    means,
)
from meshd.simulation.plan_schema import HOSTS_MAX, toml

_Made = TypeVar("_Made")
_REMEDY = "mend the plan and try again; docs/simulator.md describes every key"
_OWN_DELAY = ("clog", "reorder", "slow-disk", "churn")


def load(path: str) -> Plan:
    """Read the plan at `path`.

    Raises: ConfigError.
    """
    return parse(read_text(path, remedy=_REMEDY), path)


def parse(text: str, file: str) -> Plan:
    """Parse TOML text; `file` is its name in messages.

    Raises: ConfigError.
    """
    document = read_document(text, file, remedy=_REMEDY)
    reader = Reader(text, file, remedy=_REMEDY)
    top = reader.table(schema.TOP, document, (), tables=schema.TABLES)
    terrain = reader.section(schema.TERRAIN, document) or {}
    listed = {
        table.name: reader.sections(table, document, tables=_inner(table))
        for table in schema.TABLES
        if table.many
    }
    _suns(reader, document, listed["nodes"])
    _check(reader, top, listed)
    reader.finish()
    # Each value was converted by its key, so the types hold; the tables cannot tell mypy so.
    made: dict[str, Any] = dict(top)
    return Plan(
        **made,
        terrain=Terrain(**cast(Any, terrain), ridges=_all(Ridge, listed["ridge"])),
        media=_all(MediumPlan, listed["medium"]),
        nodes=_all(NodeGroup, listed["nodes"]),
        traffic=_all(Traffic, listed["traffic"]),
        faults=_all(Fault, listed["fault"]),
    )


def dump(plan: Plan) -> str:
    """Return the text of a plan; what has its default is left out."""
    terrain = _lines(schema.TERRAIN, plan.terrain)
    parts = [_lines(schema.TOP, plan)]
    if terrain:
        parts.append(["[terrain]", *terrain])
    several: tuple[tuple[Table, Sequence[object]], ...] = (
        (schema.RIDGE, plan.terrain.ridges),
        (schema.MEDIUM, plan.media),
        (schema.NODES, plan.nodes),
        (schema.TRAFFIC, plan.traffic),
        (schema.FAULT, plan.faults),
    )
    for table, items in several:
        parts += [[f"[[{table.name}]]", *_lines(table, item)] for item in items]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _lines(table: Table, value: object) -> list[str]:
    """Return `key = value` for what a planner would have written."""
    defaults = {field.name: field.default for field in fields(value)}  # type: ignore[arg-type]
    found: list[str] = []
    for key in table.keys:
        item = getattr(value, key.name)
        if item == defaults[key.name]:
            continue
        # Of all keys only a host's time of day has a default that None replaces.
        found.append(f"{key.name} = {toml('unknown' if item is None else item)}")
    if isinstance(value, NodeGroup) and value.sun is not None:
        found.append(f"sun = {{ {', '.join(_lines(schema.SUN, value.sun))} }}")
    return found


def _all(of: Callable[..., _Made], items: list[Document]) -> tuple[_Made, ...]:
    return tuple(of(**item) for item in items)


def _inner(table: Table) -> tuple[Table, ...]:
    return (schema.SUN,) if table is schema.NODES else ()


def _suns(reader: Reader, document: Document, groups: list[Document]) -> None:
    """Convert the `sun` of each group, which stands inside it."""
    for place, group in enumerate(groups):
        raw = cast(list[Document], document["nodes"])[place]
        read = reader.section(schema.SUN, raw, ("nodes", place))
        if read is not None and not set(schema.SUN.required) - set(read):
            group["sun"] = Sun(**cast(Any, read))


# --- what one key cannot know of another ----------------------------------------------------------


def _check(reader: Reader, top: Document, listed: dict[str, list[Document]]) -> None:
    media = _unique(reader, "medium", [str(item.get("name", "")) for item in listed["medium"]])
    names = _hosts(reader, listed["nodes"])
    for place, group in enumerate(listed["nodes"]):
        for name in cast(tuple[str, ...], group.get("media", ())):
            if name not in media:
                known = suggest(name, tuple(media)) if media else " (the plan has no [[medium]])"
                reader.wrong(("nodes", place, "media"), f'no medium "{name}"{known}')
    for place, medium in enumerate(listed["medium"]):
        for pair in cast(tuple[tuple[str, str], ...], medium.get("between", ())):
            for pattern in pair:
                _meant(reader, ("medium", place, "between"), pattern, names)
    end_s = cast(float, top.get("duration_s", Plan("").duration_s))
    for kind in ("traffic", "fault"):
        for place, item in enumerate(listed[kind]):
            for key in ("nodes", "to", "other"):
                if key in item:
                    _meant(reader, (kind, place, key), str(item[key]), names)
            check = _check_traffic if kind == "traffic" else _check_fault
            check(reader, place, item, end_s)


def _unique(reader: Reader, table: str, names: list[str]) -> list[str]:
    for place, name in enumerate(names):
        if name and name in names[:place]:
            reader.wrong((table, place, "name"), f'"{name}" stands there twice')
    return names


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


def _meant(reader: Reader, path: tuple[str | int, ...], pattern: str, names: list[str]) -> None:
    if names and not any(means(pattern, name) for name in names):
        known = tuple(names) if len(names) <= 12 else (*names[:4], "…")
        reader.wrong(path, f'no host is called "{pattern}"{suggest(pattern, known)}')


def _check_traffic(reader: Reader, place: int, item: Document, end_s: float) -> None:
    start = cast(float, item.get("start_s", Traffic("").start_s))
    end = cast(float, item.get("end_s", end_s))
    if start >= end:
        reader.wrong(("traffic", place, "start_s"), f"{start:g} is not before its end, {end:g}")
    if end > end_s:
        reader.wrong(("traffic", place, "end_s"), f"{end:g} is after duration_s, {end_s:g}")


def _check_fault(reader: Reader, place: int, item: Document, end_s: float) -> None:
    kind = str(item.get("kind", ""))
    ends = cast(float, item.get("at_s", 0.0)) + cast(float, item.get("for_s", Fault("", 0).for_s))
    if ends > end_s:
        reader.wrong(("fault", place, "for_s"), f"it ends at {ends:g}, after duration_s, {end_s:g}")
    for wanted, key in (("partition", "mode"), ("hostile", "behaviour")):
        if kind == wanted and not item.get(key):
            reader.wrong(("fault", place), f'a {kind} needs "{key}"')
    delay = cast(float, item.get("delay_s", 0.0))
    if kind in _OWN_DELAY and delay <= 0:
        reader.wrong(("fault", place, "delay_s"), f"a {kind} needs a time above 0")
