"""Say in plain words what a run came to.

Enters: an outcome as JSON values. Leaves: sentences and a short table, for a terminal and for the
report. Must not know: worlds.
"""

from meshd.simulation.outcome import Json

WORDS = {
    "broadcast": "notes to all",
    "direct": "calls to one",
    "file": "files",
    "total": "everything",
}


def span(time_s: float) -> str:
    """Return a duration in the unit that people would use."""
    for unit, length_s in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if time_s >= 2 * length_s:
            return f"{time_s / length_s:.3g} {unit}"
    return f"{time_s:.3g} seconds" if time_s < 1000 else f"{time_s:.0f} seconds"


def delay(time_ms: float | None) -> str:
    """Return a delay."""
    if time_ms is None:
        return "-"
    return f"{time_ms:.3g} ms" if time_ms < 1000 else span(time_ms / 1000).replace("seconds", "s")


def amount(count: float) -> str:
    """Return bytes in the unit that people would use."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def percent(table: Json) -> str:
    """Return a share delivered."""
    found = table["percent"]
    if found is None:
        return "-"
    return "100 %" if table["delivered"] == table["due"] else f"{min(found, 99.9):.1f} %"


def sentences(value: Json) -> list[str]:
    """Return what a person should know first."""
    total, sent = value["delivery"]["total"], value["sent"]
    said = [
        f"{value['nodes']} nodes, {span(value['virtual_s'])} of virtual time, "
        f"{_count(len(value['faults']), 'fault')}."
    ]
    if total["due"]:
        said.append(
            f"Of {total['due']} deliveries that were due, {percent(total)} were made"
            + (
                f", half of them within {delay(total['delay_ms']['p50'])} and nine of ten "
                f"within {delay(total['delay_ms']['p90'])}."
                if total["delay_ms"]
                else "."
            )
        )
        near = total["reachable"]
        if near["due"] not in (0, total["due"]):
            said.append(
                f"Where a chain of working links joined the two when they asked, it was "
                f"{percent(near)}."
            )
    elif total["asked"] == 0:
        said.append("Nobody asked for anything.")
    per_node = sent["bytes"] / max(value["nodes"], 1) / max(value["virtual_s"], 1)
    said.append(f"Each node sent {amount(per_node)} a second on average.")
    if not value["checked"]:
        said.append("A rival is scored; its rules are not checked.")
    elif value["held"]:
        said.append("Every rule that was checked held.")
    else:
        listed = ", ".join(f"{name} {count}" for name, count in sorted(value["broken"].items()))
        said.append(f"Rules were broken: {listed}.")
    if not value["finished"]:
        said.append("The run was interrupted; this is what was known by then.")
    return said


def rows(value: Json) -> list[list[str]]:
    """Return the table of traffic, its head first."""
    found = [["what", "asked", "due", "delivered", "in reach", "median", "9 of 10", "slowest"]]
    kinds = value["delivery"]["kinds"]
    tables = kinds if len(kinds) == 1 else [*kinds, value["delivery"]["total"]]
    for table in tables:
        times = table["delay_ms"] or {}
        found.append(
            [
                WORDS[table.get("kind", "total")],
                str(table["asked"]),
                str(table["due"]),
                percent(table),
                percent(table["reachable"]),
                *(delay(times.get(name)) for name in ("p50", "p90", "max")),
            ]
        )
    return found


def refusals(value: Json) -> list[str]:
    """Return what was asked and refused, or never asked, in words."""
    said = []
    for table in value["delivery"]["kinds"]:
        name = WORDS[table["kind"]]
        said += [
            f"{name}: {count} refused: {why}" for why, count in sorted(table["failed"].items())
        ]
        if table["skipped"]:
            said.append(f"{name}: {table['skipped']} not asked, the device was off")
        if table["absent"]:
            said.append(f"{name}: {table['absent']} not due, the receiver had no power")
    return said


def table(value: Json) -> str:
    """Return the whole for a terminal."""
    lines = [value["title"] or value["plan"], *sentences(value)]
    shown = rows(value)
    if len(shown) > 1:
        widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))]
        lines.append("")
        for row in shown:
            cells = (
                cell.ljust(width) if place == 0 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            lines.append("  ".join(cells))
    sent = value["sent"]["by_purpose"]
    if sent:
        ranked = sorted(sent.items(), key=lambda item: (-item[1]["bytes"], item[0]))
        said = ", ".join(f"{name} {amount(counts['bytes'])}" for name, counts in ranked)
        lines += ["", f"sent: {said}"]
    return "\n".join([*lines, *refusals(value)])


def _count(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
