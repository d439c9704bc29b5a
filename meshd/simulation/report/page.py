"""Make the page that a person looks at after a run: one HTML file that needs nothing else.

Enters: an outcome as JSON values, and the command that leads to it again. Leaves: text, the same
for the same outcome. Must not know: worlds, files, wall time.
"""

from html import escape

from meshd.simulation.outcome import Json
from meshd.simulation.report import charts
from meshd.simulation.report.summary import amount, refusals, rows, sentences, span

_STYLE = """\
:root { color-scheme: light dark; --ink:#1d2733; --faint:#8a96a3; --paper:#fbfaf7; --card:#ffffff;
 --good:#2a8f6d; --fair:#d9912b; --weak:#c0453e; --fault:#c0453e; --walk:#7a4fc0; --ridge:#8a6b3d;
 --series0:#2f6fb7; --series1:#d9912b; --series2:#2a8f6d; --series3:#7a4fc0; --series4:#c0453e;
 --series5:#5b6b7a; --line:#e4e1d8; }
@media (prefers-color-scheme: dark) { :root { --ink:#e3e8ee; --faint:#7d8896; --paper:#12171d;
 --card:#1a2129; --good:#4cc79c; --fair:#f0b354; --weak:#f0776f; --fault:#f0776f; --walk:#b692f5;
 --ridge:#c9a469; --series0:#6aaaf0; --series1:#f0b354; --series2:#4cc79c; --series3:#b692f5;
 --series4:#f0776f; --series5:#93a1b0; --line:#2b343f; } }
* { box-sizing: border-box; }
body { margin:0; background:var(--paper); color:var(--ink);
 font:16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width:1080px; margin:0 auto; padding:2rem 1rem 4rem; }
h1 { font-size:1.8rem; line-height:1.2; margin:0 0 .3rem; }
h2 { font-size:1.1rem; margin:0 0 .6rem; }
.quiet, figcaption { color:var(--faint); font-size:.9rem; }
.lead { font-size:1.1rem; max-width:46rem; }
.badge { display:inline-block; padding:.15rem .7rem; border-radius:1rem; font-weight:600;
 font-size:.9rem; color:var(--card); background:var(--good); }
.badge.bad { background:var(--weak); }
.grid { display:grid; gap:1rem; align-items:start;
 grid-template-columns:repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
section, figure { background:var(--card); border:1px solid var(--line); border-radius:12px;
 padding:1rem; margin:0 0 1rem; }
.grid { margin-bottom:1rem; }
.grid > * { margin:0; }
.grid figure + figure { margin-top:1rem; }
svg { width:100%; height:auto; display:block; }
.scroll { overflow-x:auto; }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; font-size:.95rem; }
th, td { text-align:right; padding:.3rem .6rem; border-bottom:1px solid var(--line);
 white-space:nowrap; }
th { font-weight:600; color:var(--faint); }
th:first-child, td:first-child { text-align:left; }
.words { white-space:normal; text-align:left; }
table.plain th, table.plain td { text-align:left; }
code { font-size:.95em; overflow-wrap:anywhere; }
.key span { margin-right:1rem; white-space:nowrap; }
.key i { display:inline-block; width:1.4em; height:.3em; margin-right:.4em; vertical-align:middle;
 border-radius:.2em; }
"""
_NUMBERS_MAX = 200


def page(value: Json, *, command: str) -> str:
    """Return the whole page."""
    title = escape(value["title"] or value["plan"])
    parts = [
        _head(value, title),
        f'<p class="lead">{escape(" ".join(sentences(value)))}</p>',
        _violations(value),
        '<div class="grid">',
        _figure("Who hears whom", charts.map_chart(value), _map_key(value)),
        _deliveries(value),
        "</div>",
        _traffic(value),
        '<div class="grid">',
        _figure("What was sent", charts.sent_chart(value), _SENT_KEY),
        _sent(value),
        "</div>",
        _faults(value),
        _again(value, command),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _head(value: Json, title: str) -> str:
    if not value["checked"]:
        badge = ""
    elif value["held"]:
        badge = '<span class="badge">every rule held</span>'
    else:
        count = sum(value["broken"].values())
        badge = f'<span class="badge bad">rules broken {count} times</span>'
    about = (
        f"plan {value['plan']}, seed {value['seed']}, {value['nodes']} nodes speaking "
        f"{value['protocol']}"
    )
    if value["checked"]:
        crypto = "the daemon's own" if value["crypto"] == "real" else "stand-in"
        about += f", cryptography: {crypto}"
    return f'<header><h1>{title}</h1><p class="quiet">{escape(about)}</p><p>{badge}</p></header>'


_SENT_KEY = (
    "By all nodes together. Shaded: a fault. Dotted: people fall silent, and the mesh may settle."
)


def _figure(title: str, chart: str, caption: str) -> str:
    return f"<figure><h2>{escape(title)}</h2>\n{chart}\n<figcaption>{caption}</figcaption></figure>"


def _map_key(value: Json) -> str:
    words = {
        "good": "loses at most 5 % of frames",
        "fair": "up to 40 %",
        "weak": "more, or one way only",
    }
    marks = [(name, words[name]) for name in charts.quality_names()]
    if value["map"]["walks"]:
        marks.append(("walk", "somebody walks"))
    if value["map"]["ridges"]:
        marks.append(("ridge", "a ridge"))
    shown = "".join(
        f'<span><i style="background:var(--{name})"></i>{escape(text)}</span>'
        for name, text in marks
    )
    left_out = value["map"]["links_total"] - len(value["map"]["links"])
    more = f" {left_out} links are not drawn." if left_out else ""
    return f'<span class="key">{shown}</span>At the beginning.{more}'


def _deliveries(value: Json) -> str:
    shown = [("What arrived", charts.delivery_chart(value), "Of what was asked at that time.")]
    if value["delivery"]["total"]["delivered"]:
        shown.append(("How long it took", charts.delay_chart(value), "By the time of asking."))
    if any(row["running"] != value["nodes"] for row in value["curves"]["rows"]):
        shown.append(("Power", charts.running_chart(value), "Nodes without power are off."))
    return f"<div>{''.join(_figure(*item) for item in shown)}</div>"


def _table(table: list[list[str]], *, words: int = -1) -> str:
    """Return rows as a table, the head first; `words` is a column of running text."""

    def row(cells: list[str], tag: str) -> str:
        shown = "".join(
            f"<{tag}{' class=words' if place == words else ''}>{escape(cell)}</{tag}>"
            for place, cell in enumerate(cells)
        )
        return f"<tr>{shown}</tr>"

    body = "\n".join(row(cells, "td") for cells in table[1:])
    kind = ' class="plain"' if words >= 0 else ""
    return f'<div class="scroll"><table{kind}>\n{row(table[0], "th")}\n{body}\n</table></div>'


def _traffic(value: Json) -> str:
    said = "".join(f"<li>{escape(line)}</li>" for line in refusals(value))
    listed = f'<ul class="quiet">{said}</ul>' if said else ""
    return (
        f"<section><h2>What people did</h2>\n{_table(rows(value))}{listed}\n"
        '<p class="quiet">Due: a message and somebody who should have it. In reach: only where a '
        "chain of working links joined the two at the time of asking.</p></section>"
    )


def _sent(value: Json) -> str:
    counts = value["sent"]["by_purpose"]
    table = [["purpose", "frames", "bytes", "airtime"]]
    for name in sorted(counts, key=lambda name: (-counts[name]["bytes"], name)):
        one = counts[name]
        airtime = span(one["airtime_us"] / 1e6) if one["airtime_us"] else "-"
        table.append([name, str(one["frames"]), amount(one["bytes"]), airtime])
    return f"<section><h2>By purpose</h2>\n{_table(table)}</section>"


def _faults(value: Json) -> str:
    if not value["faults"]:
        return ""
    table = [["from", "to", "what", "where"]]
    for fault in value["faults"][:_NUMBERS_MAX]:
        ends = "the end" if fault["ends_s"] is None else span(fault["ends_s"])
        table.append([span(fault["begins_s"]), ends, fault["kind"], fault["text"]])
    return f"<section><h2>What went wrong, as planned</h2>\n{_table(table, words=3)}</section>"


def _violations(value: Json) -> str:
    if value["held"]:
        return ""
    table = [["at", "rule", "node", "what"]]
    for item in value["violations"][:_NUMBERS_MAX]:
        table.append([f"{item['at_s']:.3f} s", item["checker"], item["host"] or "-", item["text"]])
    return f"<section><h2>Rules that did not hold</h2>\n{_table(table, words=3)}</section>"


def _again(value: Json, command: str) -> str:
    return (
        f"<section><h2>The same again</h2><p><code>{escape(command)}</code></p>"
        '<p class="quiet">The plan and the seed decide everything: the same two give this very '
        "page. Another seed gives the same place another day. All figures are in outcome.json, "
        "beside this page.</p></section>"
    )
