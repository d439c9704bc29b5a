"""A node's snapshot as text for a person; the first line says at a glance how it is.

Enters: the JSON form of a snapshot, as it crossed the control socket. Leaves: lines without colour
or control characters. It imports nothing of size: `meshd status` must start fast.
"""

from meshd.core.spans import span
from meshd.status.cells import (
    SILENT_S,
    Row,
    age,
    ago,
    clean,
    count,
    grouped,
    measured,
    number,
    rows_of,
    size,
    table,
)
from meshd.status.radio_text import duty_text, radios_text

INFINITE, DEAF = 0xFFFF, ("not heard back yet", "not heard")
"""What costs so much cannot be used: a neighbour that hears nothing of here, or is not heard."""


def status_text(value: Row) -> str:
    """Return the whole status."""
    parts = [headline(value), _facts(value)]
    for title, part in (
        ("links", _links(value)),
        ("radios", radios_text(value) + _unheard(value)),
        ("airtime", duty_text(value)),
        ("neighbours", neighbours_text(value) + _silence(value)),
        ("peers", _peers(value)),
        ("sync", _sync(value)),
        ("problems", _problems(value)),
        ("dropped", _drops(value)),
    ):
        if part:
            parts.append(f"\n{title}\n" + "\n".join(f"  {line}" for line in part.splitlines()))
    return "\n".join(parts)


def headline(value: Row) -> str:
    """Return the one line that answers how this node is."""
    problems = len(rows_of(value, "problems"))
    alone = not _near(value) and not _up(value)
    word = "DEGRADED" if problems else "ALONE" if alone else "QUIET" if _quiet(value) else "OK"
    who = grouped(value.get("node")) or "-"
    if value.get("name"):
        who = f"{clean(value['name'])} ({who})"
    thin = _thin(value)
    facts = [
        count(_near(value), "neighbour") + _last_heard(value),
        count(_nodes(value), "node") + (f" ({thin} by a thin path)" if thin else ""),
        "nobody to sync with" if alone else _synced(value),
    ]
    if peers := sum(row.get("state") == "up" for row in _beyond(value)):
        facts.insert(1, count(peers, "peer"))
    if value.get("mode") == "leaf":
        facts.insert(0, "leaf")
    if problems:
        facts.append(count(problems, "problem"))
    return f"{word}  {who}  {', '.join(facts)}"


def _unheard(value: Row) -> str:
    """Say what to look at where a radio is up and no neighbour at all is heard."""
    if _near(value) or not any(row.get("state") == "up" for row in rows_of(value, "radios")):
        return ""
    if foreign := _foreign(value):
        return (
            f"\n{count(foreign, 'frame')} of another mesh heard, none of this one: frequency and"
            "\nantennas are right; have both the same key_file, or both none?"
        )
    return (
        "\nno neighbour is heard: is another radio of the same kind on, with its antenna,"
        "\nset to the same frequency, spreading factor and bandwidth?"
    )


def _foreign(value: Row) -> int:
    """Count the frames of other meshes, where radios heard some and no others; else 0."""
    drops = value.get("drops")
    by_link = drops.get("frame-foreign") if isinstance(drops, dict) else None
    foreign: Row = by_link if isinstance(by_link, dict) else {}
    radios = rows_of(value, "radios")
    if any(number(row, "heard") > number(foreign, str(row.get("name"))) for row in radios):
        return 0
    return int(sum(number(foreign, str(row.get("name"))) for row in radios))


def _last_heard(value: Row) -> str:
    """Say when the last word of anybody was heard, where that is a while ago."""
    rows = rows_of(value, "neighbours")
    since_s = min((number(row, "last_heard_s") for row in rows), default=0)
    if since_s <= SILENT_S:
        return ""
    return f"{', the last one' if len(rows) > 1 else ''} heard {ago(since_s)}"


def _quiet(value: Row) -> bool:
    """Tell whether nobody at all was heard for longer than is usual on a slow radio."""
    return not _up(value) and all(
        number(row, "last_heard_s") > number(row, "usual_silence_s") > 0
        for row in rows_of(value, "neighbours")
    )


def _silence(value: Row) -> str:
    """Say what silence of neighbours by radio means, where all are silent for long."""
    rows = rows_of(value, "neighbours")
    if not rows or not _quiet(value):
        return ""
    usual_s = max(number(row, "usual_silence_s") for row in rows)
    return (
        f"\nnobody was heard for longer than is usual, {span(usual_s)} at most: are the others on,"
        "\nand in range? meshd ping NODE asks one of them"
    )


def _near(value: Row) -> int:
    """Count nodes, not links: one heard on two radios is one neighbour."""
    return len({row.get("node") or row.get("address") for row in rows_of(value, "neighbours")})


def _nodes(value: Row) -> int:
    """Count the other nodes that a route leads to, or a session with."""
    own = value.get("node")
    routes = [row for row in rows_of(value, "routes") if row.get("selected")]
    routed = {row.get("node") or row.get("prefix") for row in routes}
    near = {row.get("node") for row in (*_up(value), *rows_of(value, "neighbours"))}
    return len((routed | near) - {own, None, ""})


def _thin(value: Row) -> int:
    """Count the nodes to which the route in use has a LoRa hop: nothing large goes there."""
    routes = [row for row in rows_of(value, "routes") if row.get("selected") and row.get("thin")]
    return len({row.get("node") or row.get("prefix") for row in routes})


def _up(value: Row) -> list[Row]:
    return [row for row in rows_of(value, "sessions") if row.get("state") == "up"]


def _beyond(value: Row) -> list[Row]:
    """Return the sessions that the table of neighbours does not show."""
    links = {row.get("link") for row in rows_of(value, "neighbours")}
    return [row for row in rows_of(value, "sessions") if row.get("via") not in links]


def sync_percent(value: Row) -> int:
    """Return how much of what peers have is here; 100 only when nothing is missing."""
    spaces = rows_of(value, "spaces")
    behind = sum(number(space, "behind") for space in spaces)
    entries = sum(number(space, "entries") for space in spaces)
    if not behind:
        return 100
    return min(99, int(100 * entries / (entries + behind)))


def _synced(value: Row) -> str:
    """Say how far sync is: that all is here only when nobody says otherwise."""
    spaces = rows_of(value, "spaces")
    percent = sync_percent(value)
    busy = percent == 100 and any(number(space, "unlike") for space in spaces)
    said = "sync under way" if busy else f"sync {percent} %"
    unheld = int(sum(number(space, "unheld") for space in spaces))
    own = "1 own entry" if unheld == 1 else f"{unheld} own entries"
    return f"{said}, {own} not known elsewhere" if unheld else said


def _facts(value: Row) -> str:
    return (
        f"address {clean(value.get('address', '-'))}, mesh {clean(value.get('mesh', '-'))}, "
        f"up {age(number(value, 'uptime_s'))}, boot {int(number(value, 'boot'))}, "
        f"version {clean(value.get('version', '-'))}"
    )


def _links(value: Row) -> str:
    rows = [
        (
            row.get("name"),
            row.get("kind"),
            row.get("state"),
            row.get("protection"),
        )
        for row in rows_of(value, "links")
    ]
    return table(("name", "kind", "state", "protection"), rows) if rows else ""


def neighbours_text(value: Row) -> str:
    """Return the table of neighbours, or nothing; signals where a radio tells any."""
    listed = rows_of(value, "neighbours")
    rows: list[tuple[object, ...]] = [
        (
            grouped(row.get("node")),
            row.get("link"),
            row.get("address"),
            _cost(row.get("cost"), DEAF[number(row, "rxcost") >= INFINITE]),
            f"{number(row, 'reach'):.0%}",
            "yes" if row.get("session") else "no",
            age(number(row, "age_s")),
        )
        for row in listed
    ]
    head: tuple[str, ...] = ("node", "link", "address", "cost", "heard", "session", "known for")
    if any(number(row, "last_heard_s") > SILENT_S for row in listed):
        head = (*head, "last heard")
        for place, row in enumerate(listed):
            heard = ago(number(row, "last_heard_s")) if "last_heard_s" in row else None
            rows[place] = (*rows[place], heard)
    if any(_called(row) for row in listed):
        head = (*head, "name")
        rows = [(*shown, _called(row)) for shown, row in zip(rows, listed, strict=True)]
    if any("snr_db" in row or "rssi_dbm" in row for row in listed):
        head = (*head, "SNR", "RSSI")
        for place, row in enumerate(listed):
            signal = (measured(row, "snr_db", "dB"), measured(row, "rssi_dbm", "dBm"))
            rows[place] = (*rows[place], *signal)
    return table(head, rows) if rows else ""


def _called(row: Row) -> str | None:
    """Return a node's names: those that spaces vouch for, or its own word in quotes."""
    names = row.get("names")
    if isinstance(names, list) and names:
        return ", ".join(clean(name) for name in names)
    own_word = row.get("calls_itself")
    return f'calls itself "{clean(own_word)}"' if own_word else None


def _peers(value: Row) -> str:
    rows = [
        (
            grouped(row.get("node")) or None,
            row.get("via"),
            row.get("state"),
            age(number(row, "age_s")) if row.get("state") == "up" else None,
            size(number(row, "rx_bytes")),
            size(number(row, "tx_bytes")),
        )
        for row in _beyond(value)
    ]
    head = ("node", "by", "state", "for", "received", "sent")
    return table(head, rows) if rows else ""


def routes_text(value: Row) -> str:
    """Return the table of routes, or nothing; `*` marks the ones in use."""
    rows = [
        (
            "*" if row.get("selected") else "",
            row.get("prefix"),
            grouped(row.get("node")),
            row.get("link"),
            row.get("next_hop"),
            _cost(row.get("metric")),
            "yes" if row.get("feasible") else "no",
            age(number(row, "age_s")),
            "thin" if row.get("thin") else "",
        )
        for row in rows_of(value, "routes")
    ]
    head = ("", "to", "node", "link", "next hop", "metric", "feasible", "age", "path")
    shown = len(head) if any(row[-1] for row in rows) else len(head) - 1
    return table(head[:shown], [row[:shown] for row in rows]) if rows else ""


def _cost(cost: object, infinite: str = "unusable") -> object:
    return infinite if isinstance(cost, int) and cost >= INFINITE else cost


def _sync(value: Row) -> str:
    rows = [
        (
            row.get("name") or str(row.get("space", ""))[:16],
            row.get("role"),
            row.get("feeds"),
            row.get("entries"),
            row.get("behind"),
            size(number(row, "bytes")),
            _length(row.get("peers")),
            row.get("kept_by"),
            _length(row.get("forks")),
        )
        for row in rows_of(value, "spaces")
    ]
    head = ("space", "role", "feeds", "entries", "behind", "size", "peers", "kept by", "forks")
    lines = [
        f"{clean(row.get('name') or str(row.get('space', ''))[:16])}: {clean(said)}"
        for row in rows_of(value, "spaces")
        for said in waits_of(row)
    ]
    return "\n".join((table(head, rows), *lines)) if rows else ""


def waits_of(row: Row) -> list[object]:
    """Return the sentences about what is on its way."""
    waits = row.get("waits")
    return waits if isinstance(waits, list) else []


def _length(listed: object) -> int:
    return len(listed) if isinstance(listed, list) else 0


def _problems(value: Row) -> str:
    lines = []
    for row in rows_of(value, "problems"):
        lines.append(f"{clean(row.get('text', '-'))} [{clean(row.get('code', '-'))}]")
        if row.get("remedy"):
            lines.append(f"  next: {clean(row['remedy'])}")
    return "\n".join(lines)


def _drops(value: Row) -> str:
    drops = value.get("drops")
    if not isinstance(drops, dict):
        return ""
    rows = []
    for reason, links in sorted(drops.items()):
        if isinstance(links, dict):
            where = ", ".join(f"{link} {amount}" for link, amount in sorted(links.items()))
            rows.append((reason, sum(links.values()), where))
    return table(("reason", "count", "where"), rows) + "\nsee docs/drops.md" if rows else ""
