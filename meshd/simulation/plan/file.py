"""Plans as TOML text: read strictly, all mistakes at once, and written back without loss.

Enters: a path or text, or a Plan. Leaves: a Plan, one ConfigError that lists every mistake as
`file:line: key: what is wrong`, or text. `parse(dump(plan))` is `plan`, but for keys of faults and
media that have no effect.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, TypeVar, cast

from meshd.config.reader import Document, Reader, read_document, read_text
from meshd.config.table import Table
from meshd.simulation.plan import schema
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
from meshd.simulation.plan.rules import check
from meshd.simulation.plan.schema import toml
from meshd.simulation.plan.uses import plain_fault, plain_medium

_Made = TypeVar("_Made")
_REMEDY = "mend the plan and try again; docs/simulator.md describes every key"


def load(path: str, *, protocol: str = "") -> Plan:
    """Read the plan at `path`; see `parse`.

    Raises: ConfigError.
    """
    return parse(read_text(path, remedy=_REMEDY), path, protocol=protocol)


def parse(text: str, file: str, *, protocol: str = "") -> Plan:
    """Parse TOML text; `file` is its name in messages, `protocol` stands for what it says itself.

    Raises: ConfigError.
    """
    document = read_document(text, file, remedy=_REMEDY)
    reader = Reader(text, file, remedy=_REMEDY)
    top = reader.table(schema.TOP, document, (), tables=schema.TABLES)
    if protocol:
        top["protocol"] = protocol
    terrain = reader.section(schema.TERRAIN, document) or {}
    listed = {
        table.name: reader.sections(table, document, tables=_inner(table))
        for table in schema.TABLES
        if table.many
    }
    _suns(reader, document, listed["nodes"])
    check(reader, document, top, listed)
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
    """Return the text of a plan; what has its default, or no effect, is left out."""
    terrain = _lines(schema.TERRAIN, plan.terrain)
    parts = [_lines(schema.TOP, plan)]
    if terrain:
        parts.append(["[terrain]", *terrain])
    several: tuple[tuple[Table, Sequence[object]], ...] = (
        (schema.RIDGE, plan.terrain.ridges),
        (schema.MEDIUM, tuple(map(plain_medium, plan.media))),
        (schema.NODES, plan.nodes),
        (schema.TRAFFIC, plan.traffic),
        (schema.FAULT, tuple(map(plain_fault, plan.faults))),
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
