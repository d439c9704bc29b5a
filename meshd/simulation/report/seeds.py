"""Several seeds of one plan side by side: a row for each, their median and their spread.

Enters: a plan, its outcomes as JSON values by seed. Leaves: JSON values, a table, a page that leads
to the pages of the seeds. Must not know: worlds, files.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from statistics import median
from typing import Any

from meshd.simulation.outcome import Json
from meshd.simulation.plan.plan import Plan
from meshd.simulation.report.page import document, table
from meshd.simulation.report.summary import cut_off
from meshd.simulation.report.words import delay

SCHEMA = "meshd.simulations/1"
_Shown = Callable[[Any], str]


def _percent(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f} %" if value in (0, 100) else f"{min(max(value, 0.1), 99.9):.1f} %"


_COLUMNS: tuple[tuple[str, str, _Shown], ...] = (
    ("percent", "arrived", _percent),
    ("reachable_percent", "in reach", _percent),
    ("p50_ms", "median", delay),
    ("p90_ms", "9 of 10", delay),
    ("cut_off", "cut off", lambda count: f"{count:g}"),
    ("broken", "rules broken", lambda count: f"{count:g}"),
)


def together(plan: Plan, outcomes: Mapping[int, Json], seeds: Sequence[int]) -> Json:
    """Return all outcomes as rows, and the median and the spread of each figure."""
    found = [_row(seed, outcomes[seed]) for seed in seeds if seed in outcomes]
    figures = {
        name: sorted(row[name] for row in found if row[name] is not None) for name, *_ in _COLUMNS
    }
    return {
        "schema": SCHEMA,
        "plan": plan.name,
        "title": plan.title,
        "finished": len(found) == len(seeds),
        "seeds": found,
        "median": {
            name: round(median(some), 2) if some else None for name, some in figures.items()
        },
        "spread": {name: [some[0], some[-1]] if some else None for name, some in figures.items()},
    }


def _row(seed: int, value: Json) -> Json:
    total = value["delivery"]["total"]
    times = total["delay_ms"] or {}
    return {
        "seed": seed,
        "percent": total["percent"],
        "reachable_percent": total["reachable"]["percent"],
        "p50_ms": times.get("p50"),
        "p90_ms": times.get("p90"),
        "cut_off": len(cut_off(value)),
        "cut_off_names": cut_off(value),
        "broken": sum(value["broken"].values()),
        "rules": value["broken"],
    }


def rows(value: Json) -> list[list[str]]:
    """Return the table of the seeds, its head first; then the median, the least and the most."""
    found = [["seed", *(head for _, head, _ in _COLUMNS)]]
    for row in value["seeds"]:
        found.append([str(row["seed"]), *(shown(row[name]) for name, _, shown in _COLUMNS)])
    ends: tuple[tuple[str, Callable[[str], Any]], ...] = (
        ("median", lambda name: value["median"][name]),
        ("least", lambda name: (value["spread"][name] or [None])[0]),
        ("most", lambda name: (value["spread"][name] or [None])[-1]),
    )
    for word, figure in ends:
        cells = [
            "-" if figure(name) is None else shown(figure(name)) for name, _, shown in _COLUMNS
        ]
        found.append([word, *cells])
    return found


def sentence(value: Json) -> str:
    """Return what a person should know first."""
    name = value["title"] or value["plan"]
    if value["spread"]["percent"] is None:
        return f"{name}: nothing was due."
    low, high = value["spread"]["percent"]
    if low == 100:
        return f"{name}, {len(value['seeds'])} seeds: with each of them everything arrived."
    often = sum(1 for row in value["seeds"] if row["cut_off"])
    cut = f"; in {often} of them somebody was cut off" if often else "; nobody was ever cut off"
    return (
        f"{name}, {len(value['seeds'])} seeds: {_percent(value['median']['percent'])} arrived in "
        f"the median, {_percent(low)} at worst, {_percent(high)} at best{cut}."
    )


def page(value: Json, *, command: str) -> str:
    """Return the page that leads to those of the seeds."""
    title = value["title"] or value["plan"]
    shown = table(rows(value))
    for row in value["seeds"]:
        seed = row["seed"]
        link = f'<a href="seed{seed}.html">seed {seed}</a>'
        shown = shown.replace(f'<th scope="row">{seed}</th>', f'<th scope="row">{link}</th>', 1)
    body = (
        f"<h1>{escape(title)}</h1>\n"
        f'<p class="lead">{escape(sentence(value))}</p>\n<section>{shown}</section>\n'
        f"<section><h2>The same again</h2><p><code>{escape(command)}</code></p></section>"
    )
    return document(title, body)
