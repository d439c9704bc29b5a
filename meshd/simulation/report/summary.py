"""Say in plain words what a run came to, what a person cares about first.

Enters: an outcome as JSON values. Leaves: a verdict, sentences and tables, for a terminal and for
the report. Must not know: worlds.
"""

from typing import NamedTuple

from meshd.core.spans import span
from meshd.simulation.outcome import Json
from meshd.simulation.report.words import amount, counted, delay, listed, share, whole

WORDS = {
    "broadcast": "notes to all",
    "direct": "calls to one",
    "message": "messages to one",
    "file": "files",
    "total": "everything",
}
_RADIOS_MAX, _HEARD_MAX = 4, 4
_GOOD, _FAIR = 99.0, 90.0
_ISLANDS_MAX = 4
_WORST_MAX = 5
_NEVER = "never"


class Verdict(NamedTuple):
    """Some words, and how good that is: good, fair, weak, or none of these."""

    tone: str
    words: str


def verdicts(value: Json) -> list[Verdict]:
    """Return what a person wants to know at a glance: what arrived, who is cut off, the rules."""
    found = []
    if not value["finished"]:
        whole_s = value["duration_s"] + value["settle_s"]
        found.append(
            Verdict("none", f"interrupted after {span(value['virtual_s'])} of {span(whole_s)}")
        )
    found.append(_arrived(value["delivery"]["total"]))
    lost = cut_off(value)
    if lost and value["delivery"]["total"]["delivered"]:
        found.append(Verdict("weak", f"{counted(len(lost), 'node')} cut off"))
    if not value["held"]:
        found.append(Verdict("weak", f"rules broken {_times(sum(value['broken'].values()))}"))
    elif value["checked"]:
        done = value["finished"]
        words = "every rule held" if done else "no rule broken until then"
        found.append(Verdict("good" if done else "none", words))
    return found


def _arrived(total: Json) -> Verdict:
    if not total["due"]:
        asked = "nothing was due" if total["asked"] else "nobody asked for anything"
        return Verdict("none", asked)
    if total["delivered"] == total["due"]:
        return Verdict("good", "everything arrived")
    if not total["delivered"]:
        return Verdict("weak", "nothing arrived")
    percent = total["percent"]
    tone = "good" if percent >= _GOOD else "fair" if percent >= _FAIR else "weak"
    return Verdict(tone, f"{share(total['delivered'], total['due'])} arrived")


def cut_off(value: Json) -> list[str]:
    """Return the names of those from whom and to whom nothing came, though it should have."""
    return [
        one["name"]
        for one in value["hosts"]
        if one["sent"]["due"] + one["received"]["due"]
        and not one["sent"]["delivered"] + one["received"]["delivered"]
    ]


def worst(value: Json) -> list[Json]:
    """Return the hosts, the worst off first: by the smaller share of what they sent and got."""

    def share_of(one: Json) -> float:
        shares = [one[way]["percent"] for way in ("sent", "received")]
        return min((found for found in shares if found is not None), default=101.0)

    return sorted(value["hosts"], key=share_of)


def sentences(value: Json) -> list[str]:
    """Return what a person should know first, in the order of what matters."""
    said = [*_delivered(value), *_apart(value)]
    for item in value["sent"]["busiest"]:
        said.append(
            f"The air of {item['medium']} was fullest around {item['host']}, "
            f"{whole(item['percent'])} {_when(item['at_s'])}."
        )
    said += _radios(value.get("radios", []))
    virtual = f"{value['nodes']} nodes, {span(value['virtual_s'])} of virtual time"
    said.append(f"{virtual}, {counted(len(value['faults']), 'fault')}.")
    if not value["checked"]:
        said.append("A rival is scored; its rules are not checked.")
    elif not value["held"]:
        broken = [f"{name} {_times(count)}" for name, count in sorted(value["broken"].items())]
        said.append(f"Rules were broken: {', '.join(broken)}.")
    elif value["finished"]:
        said.append("Every rule that was checked held.")
    if not value["finished"]:
        said.append(
            "The run was interrupted: this is what was known by then, and what must hold in the "
            "end was not checked."
        )
    return said


def _radios(radios: list[Json]) -> list[str]:
    """Tell of each radio where there are few, else of all in one sentence."""
    if len(radios) <= _RADIOS_MAX:
        return [_heard_by_radio(one) for one in radios]
    near = sorted(len(one["hears"]) for one in radios)
    most = max(radios, key=lambda one: float(one["hour_s"]))
    return [
        f"By LoRa each of {len(radios)} radios hears {near[0]} to {near[-1]} others, half of them "
        f"at least {near[len(near) // 2]}; {most['host']} sent most, {most['hour_s']:g} s of the "
        "last hour."
    ]


def _heard_by_radio(one: Json) -> str:
    near = [f"{row['host']} ({row['snr_db']:g} dB)" for row in one["hears"]]
    whom = ", ".join(near[:_HEARD_MAX]) + (", …" if len(near) > _HEARD_MAX else "")
    spent = f"{counted(one['frames'], 'frame')}, {one['hour_s']:g} s of the last hour"
    return f"By LoRa {one['host']} hears {whom or 'nobody'}, and sent {spent}."


def _delivered(value: Json) -> list[str]:
    total = value["delivery"]["total"]
    if not total["due"]:
        return [] if total["asked"] else ["Nobody asked for anything."]
    times = total["delay_ms"]
    took = ""
    if times:
        took = (
            f", half of it within {delay(times['p50'])}, nine of ten within {delay(times['p90'])}"
        )
    shown = share(total["delivered"], total["due"])
    said = [f"Of {total['due']} deliveries that were due, {shown} arrived{took}."]
    near = total["reachable"]
    if near["due"] not in (0, total["due"]):
        said.append(
            "Where a chain of working links joined the two when they asked, it was "
            f"{share(near['delivered'], near['due'])}."
        )
    lost = cut_off(value)
    if lost:
        said.append(f"Nothing came from or to {listed(lost)}.")
    row = next((one for one in worst(value) if one["name"] not in lost), None)
    if row is not None and _percent(row["received"]) < _FAIR:
        got = f"{row['received']['delivered']} of {row['received']['due']}"
        said.append(f"Of the others {row['name']} is worst off: it got {got}.")
    return said


def _percent(counts: Json) -> float:
    return 100.0 if counts["percent"] is None else float(counts["percent"])


def _apart(value: Json) -> list[str]:
    """Tell who was apart from whom, at the beginning and in the end."""
    said = []
    begin, end = value["islands"]["begin"], value["islands"]["end"]
    if len(begin) > 1:
        links = "links"
        if value.get("radios") and not value["islands"].get("by_lora"):
            links += " other than LoRa"
        said.append(f"At the beginning {links} joined the nodes into {_islands(begin)}.")
    if len(end) > 1 and end != begin:
        said.append(f"In the end they were {_islands(end)}.")
    return said


def _islands(islands: list[list[str]]) -> str:
    shown = [
        f"{len(one)} around {one[0]}" if len(one) > 3 else listed(one)
        for one in islands[:_ISLANDS_MAX]
    ]
    left = len(islands) - len(shown)
    return f"{len(islands)} islands: {'; '.join(shown)}{f'; and {left} more' if left else ''}"


def rows(value: Json) -> list[list[str]]:
    """Return the table of traffic, its head first."""
    found = [["what", "asked", "due", "arrived", "in reach", "median", "9 of 10", "slowest"]]
    kinds = value["delivery"]["kinds"]
    tables = kinds if len(kinds) == 1 else [*kinds, value["delivery"]["total"]]
    for table in tables:
        times = table["delay_ms"] or {}
        near = table["reachable"]
        found.append(
            [
                WORDS[table.get("kind", "total")],
                str(table["asked"]),
                str(table["due"]),
                share(table["delivered"], table["due"]),
                share(near["delivered"], near["due"]),
                *(delay(times.get(name)) for name in ("p50", "p90", "max")),
            ]
        )
    return found


def host_rows(hosts: list[Json]) -> list[list[str]]:
    """Return the table of these hosts, its head first."""
    found = [["node", "its own arrived", "it reached", "it got", "median", _NEVER]]
    for one in hosts:
        left = one["wanted"] - one["reached"] - len(one["unreached"])
        never = [*one["unreached"], *([f"{left} others"] if left else [])]
        sent, received = one["sent"], one["received"]
        found.append(
            [
                one["name"],
                share(sent["delivered"], sent["due"]),
                f"{one['reached']} of {one['wanted']}" if one["wanted"] else "-",
                share(received["delivered"], received["due"]),
                delay(one["delay_ms"]),
                listed(never, 4) or "-",
            ]
        )
    return found


def refusals(value: Json) -> list[str]:
    """Return what did not arrive and why, and what was never asked, in words."""
    said = []
    for table in value["delivery"]["kinds"]:
        name = WORDS[table["kind"]]
        reasons = sorted(table["undelivered"].items(), key=lambda item: (-item[1], item[0]))
        said += [f"{name}: {count} did not arrive: {why}" for why, count in reasons]
        said += [
            f"{name}: {count} asked in vain: {why}"
            for why, count in sorted(table["failed"].items())
            if f"refused: {why}" not in table["undelivered"]
        ]
        if table["skipped"]:
            said.append(f"{name}: {table['skipped']} not asked, the device was off")
        if table["absent"]:
            said.append(f"{name}: {table['absent']} not due, the receiver had no power")
    return said


def table(value: Json) -> str:
    """Return the whole for a terminal."""
    head = "; ".join(item.words for item in verdicts(value))
    lines = [f"{value['title'] or value['plan']}: {head}", *sentences(value)]
    if len(rows(value)) > 1:
        lines += ["", *aligned(rows(value))]
    bad = [one for one in worst(value) if min(map(_percent, (one["sent"], one["received"]))) < 100]
    if bad:
        lines += ["", "worst off:", *aligned(host_rows(bad[:_WORST_MAX]))]
    sent = value["sent"]["by_purpose"]
    if sent:
        ranked = sorted(sent.items(), key=lambda item: (-item[1]["bytes"], item[0]))
        said = ", ".join(f"{name} {amount(counts['bytes'])}" for name, counts in ranked)
        lines += ["", f"sent: {said}"]
    return "\n".join([*lines, *refusals(value)])


def aligned(shown: list[list[str]]) -> list[str]:
    """Return the lines of a table for a terminal."""
    widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 or shown[0][place] == _NEVER else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in shown
    ]


def _when(at_s: float) -> str:
    return f"at {span(at_s)}" if at_s else "at the beginning"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
