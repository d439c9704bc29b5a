"""Make the page that a person looks at after a run: one HTML file that needs nothing else.

Enters: an outcome as JSON values, and the command that leads to it again. Leaves: text, the same
for the same outcome. Without the plotting library the curves are left out, and the page says so.
Must not know: worlds, files, wall time.
"""

import re
from html import escape

from meshd.core.spans import span
from meshd.simulation.outcome import Json
from meshd.simulation.report.map import QUALITIES, map_picture, sample
from meshd.simulation.report.style import STYLE
from meshd.simulation.report.summary import (
    cut_off,
    host_rows,
    refusals,
    rows,
    sentences,
    verdicts,
    worst,
)
from meshd.simulation.report.words import amount, whole

PLOTS = "pip install matplotlib"
_NUMBERS_MAX = 200
_WORST_MAX = 8
_UNIT = re.compile(r"(?<=\d) (?=(?:%|ms|s|min|h|d|B|kB|MB|GB|of|times)\b|%)")
_SENT_KEY = "By all nodes together. Shaded: a fault. Dotted: people fall silent, and it may settle."


def page(value: Json, *, command: str, plots: bool = True) -> str:
    """Return the whole page; `plots` tells whether the plotting library may be used."""
    title = value["title"] or value["plan"]
    curves = _curves(value) if plots else {}
    parts = [
        _head(value, title),
        f'<p class="lead">{_text(" ".join(sentences(value)))}</p>',
        _warnings(value, plots),
        _violations(value),
        '<div class="grid">',
        _figure("Who hears whom", _map(value), _map_key(value)),
        f"<div>{''.join(curves[name] for name in ('delivery', 'delay') if name in curves)}</div>",
        "</div>",
        _traffic(value),
        _hosts(value),
        '<div class="grid">',
        f"<div>{''.join(curves[name] for name in ('sent', 'running') if name in curves)}</div>",
        _sent(value),
        "</div>",
        _faults(value),
        _again(command),
    ]
    return document(title, "\n".join(part for part in parts if part and part != "<div></div>"))


def document(title: str, body: str) -> str:
    """Return a whole HTML document."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _text(words: str) -> str:
    """Return words for HTML; a figure and its unit stay on one line."""
    return _UNIT.sub("\N{NO-BREAK SPACE}", escape(words))


def _head(value: Json, title: str) -> str:
    badges = " ".join(
        f'<span class="badge {item.tone}">{_text(item.words)}</span>' for item in verdicts(value)
    )
    about = (
        f"plan {value['plan']}, seed {value['seed']}, {value['nodes']} nodes speaking "
        f"{value['protocol']}"
    )
    if value["checked"]:
        crypto = "the daemon's own" if value["crypto"] == "real" else "stand-in"
        about += f", cryptography: {crypto}"
    quiet = f'<p class="quiet">{escape(about)}</p>'
    return f"<header><h1>{escape(title)}</h1><p>{badges}</p>{quiet}</header>"


def _warnings(value: Json, plots: bool) -> str:
    said = list(value["warnings"])
    if not plots:
        said.append(f"The curves are missing: matplotlib is not installed. {PLOTS} brings it.")
    listed = "".join(f"<li>{_text(one)}</li>" for one in said)
    return f'<ul class="notes">{listed}</ul>' if said else ""


def _figure(title: str, chart: str, caption: str) -> str:
    return f"<figure><h2>{escape(title)}</h2>\n{chart}\n<figcaption>{caption}</figcaption></figure>"


# --- pictures -------------------------------------------------------------------------------------


def _curves(value: Json) -> dict[str, str]:
    """Return the figures that have something to show."""
    from meshd.simulation.report import charts

    total, found = value["delivery"]["total"], {}
    asked_at = [row for row in value["curves"]["rows"] if row["due"]]
    if len(asked_at) > 1:
        chart = charts.delivery_chart(value)
        found["delivery"] = _figure("What arrived", chart, "By the time of asking.")
        if total["delivered"]:
            caption = "Of what arrived, by the time of asking."
            found["delay"] = _figure("How long it took", charts.delay_chart(value), caption)
    if value["sent"]["frames"] and len(value["curves"]["rows"]) > 1:
        found["sent"] = _figure("What was sent", charts.sent_chart(value), _SENT_KEY)
    if any(row["running"] != value["nodes"] for row in value["curves"]["rows"]):
        chart = charts.running_chart(value)
        found["running"] = _figure("Power", chart, "How many nodes were switched on.")
    return found


def _map(value: Json) -> str:
    return map_picture(value, lost=frozenset(cut_off(value)))


def _map_key(value: Json) -> str:
    words = {
        "good": "loses at most 5 % of frames",
        "fair": "up to 40 %",
        "weak": "more, or one way only",
    }
    marks = [(name, words[name]) for name, _ in QUALITIES]
    if value["map"]["walks"]:
        marks.append(("walk", "somebody walks"))
    if value["map"]["ridges"]:
        marks.append(("ridge", "a ridge"))
    shown = "".join(f"<span>{sample(name)} {_text(text)}</span>" for name, text in marks)
    left_out = value["map"]["links_total"] - len(value["map"]["links"])
    more = f" {left_out} links are not drawn." if left_out else ""
    lost = " Red: nothing came from or to it." if cut_off(value) else ""
    when = "As it is at the beginning; point at a node or a link to learn more."
    return f'<span class="key">{shown}</span><br>{when}{lost}{more}'


# --- tables ---------------------------------------------------------------------------------------


def table(shown: list[list[str]], *, words: int = -1) -> str:
    """Return rows as a table, the head first; `words` is a column of running text.

    On a narrow screen each row stands for itself, and each cell says what it is.
    """
    head = shown[0]
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = []
    for row in shown[1:]:
        cells = [f'<th scope="row">{escape(row[0])}</th>']
        for place, cell in enumerate(row[1:], 1):
            names = [*(["words"] if place == words else []), *(["none"] if cell == "-" else [])]
            kind = f' class="{" ".join(names)}"' if names else ""
            cells.append(f'<td{kind} data-is="{escape(head[place])}">{_text(cell)}</td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    body = "\n".join(lines)
    kind = ' class="plain"' if words >= 0 else ""
    return f"<table{kind}>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"


def _traffic(value: Json) -> str:
    if len(rows(value)) == 1:
        return ""
    said = "".join(f"<li>{_text(line)}</li>" for line in refusals(value))
    listed = f'<ul class="quiet">{said}</ul>' if said else ""
    return (
        f"<section><h2>What people did</h2>\n{table(rows(value))}{listed}\n"
        '<p class="quiet">Due: a message and somebody who should have it. In reach: only where a '
        "chain of working links joined the two at the time of asking.</p></section>"
    )


def _hosts(value: Json) -> str:
    """Return a table of those who are worst off, and of all the others behind a click."""
    ranked = [one for one in worst(value) if one["sent"]["due"] or one["received"]["due"]]
    if not ranked:
        return ""
    first, rest = ranked[:_WORST_MAX], ranked[_WORST_MAX : _WORST_MAX + _NUMBERS_MAX]
    more = ""
    if rest:
        inside = table(host_rows(rest), words=5)
        left = len(ranked) - len(first) - len(rest)
        note = f'<p class="quiet">{left} more are in outcome.json.</p>' if left else ""
        head = f"<summary>the other {len(ranked) - len(first)}</summary>"
        more = f"<details>{head}{inside}{note}</details>"
    return (
        f"<section><h2>Node by node, the worst off first</h2>\n{table(host_rows(first), words=5)}"
        f'{more}<p class="quiet">Never: whom nothing of it reached, though something was due.</p>'
        "</section>"
    )


def _sent(value: Json) -> str:
    counts = value["sent"]["by_purpose"]
    if not counts:
        return ""
    shown = [["purpose", "frames", "bytes", "airtime"]]
    for name in sorted(counts, key=lambda name: (-counts[name]["bytes"], name)):
        one = counts[name]
        airtime = span(one["airtime_us"] / 1e6) if one["airtime_us"] else "-"
        shown.append([name, str(one["frames"]), amount(one["bytes"]), airtime])
    busiest = [["medium", "fullest", "around", "at"]]
    for item in value["sent"]["busiest"]:
        busiest.append([item["medium"], whole(item["percent"]), item["host"], span(item["at_s"])])
    air = f"<h2>How full the air was</h2>\n{table(busiest)}" if len(busiest) > 1 else ""
    return f"<section><h2>What it was for</h2>\n{table(shown)}{air}</section>"


def _faults(value: Json) -> str:
    if not value["faults"]:
        return ""
    shown = [["what", "from", "to", "where"]]
    for fault in value["faults"][:_NUMBERS_MAX]:
        ends = "the end" if fault["ends_s"] is None else span(fault["ends_s"])
        shown.append([fault["kind"], span(fault["begins_s"]), ends, fault["text"]])
    return f"<section><h2>What went wrong, as planned</h2>\n{table(shown, words=3)}</section>"


def _violations(value: Json) -> str:
    if value["held"]:
        return ""
    shown = [["rule", "at", "node", "what"]]
    for item in value["violations"][:_NUMBERS_MAX]:
        shown.append([item["checker"], f"{item['at_s']:.3f} s", item["host"] or "-", item["text"]])
    return f"<section><h2>Rules that did not hold</h2>\n{table(shown, words=3)}</section>"


def _again(command: str) -> str:
    return (
        f"<section><h2>The same again</h2><p><code>{escape(command)}</code></p>"
        '<p class="quiet">The plan and the seed decide everything: the same two give this very '
        "page. Another seed gives the same place another day. All figures are in outcome.json, "
        "beside this page.</p></section>"
    )
