"""Draw an outcome as SVG: the map, deliveries, delays, what was sent. Needs the extra `plots`.

Enters: an outcome as JSON values. Leaves: SVG elements that stand inside a page and take its
colours (CSS variables), byte-identical for equal outcomes. Must not know: worlds, files.
"""

import re
from collections.abc import Sequence
from io import StringIO

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from meshd.simulation.outcome import Json

# Colours that no chart uses otherwise; the page's own take their place.
_INK, _FAINT, _PAPER = "#010203", "#010204", "#010205"
_GOOD, _FAIR, _WEAK, _FAULT, _WALK, _RIDGE = (f"#02030{digit}" for digit in range(6))
_SERIES = tuple(f"#03040{digit}" for digit in range(6))
_VARIABLES = {
    _INK: "ink",
    _FAINT: "faint",
    _PAPER: "paper",
    _GOOD: "good",
    _FAIR: "fair",
    _WEAK: "weak",
    _FAULT: "fault",
    _WALK: "walk",
    _RIDGE: "ridge",
    **{colour: f"series{place}" for place, colour in enumerate(_SERIES)},
}
_SETTINGS = {
    "svg.hashsalt": "meshd",
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "grid.color": _FAINT,
    "grid.alpha": 0.3,
    "path.simplify": False,
    "legend.frameon": False,
}
_WIDTH_IN, _HEIGHT_IN = 6.0, 2.6
_NAMED_MAX = 30
_UNITS = (
    (172_800, 86_400, "days"),
    (7_200, 3_600, "hours"),
    (120, 60, "minutes"),
    (0, 1, "seconds"),
)
QUALITIES = (("good", 0.05, _GOOD, "-"), ("fair", 0.4, _FAIR, "-"), ("weak", 1.0, _WEAK, ":"))
"""Names of links by the share of frames lost on the worse way, up to each bound."""


def map_chart(value: Json) -> str:
    """Draw who stands where, who hears whom, ridges and walkers' paths."""
    chart = value["map"]
    wide, high = chart["width_m"], chart["height_m"]
    with rc_context(_SETTINGS):
        figure = Figure(figsize=(_WIDTH_IN, _WIDTH_IN * min(max(high / wide, 0.35), 1.3) + 0.6))
        axes = figure.add_subplot()
        _links(axes, chart)
        for x1, y1, x2, y2 in chart["ridges"]:
            axes.plot([x1, x2], [y1, y2], color=_RIDGE, linewidth=7, alpha=0.35, zorder=1)
        for walk in chart["walks"]:
            steps = walk["steps"]
            axes.plot(
                [step[1] for step in steps],
                [step[2] for step in steps],
                color=_WALK,
                linewidth=1.4,
                linestyle=(0, (4, 3)),
                zorder=4,
            )
        _hosts(axes, chart)
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xlabel("metres")
        axes.grid(visible=True, zorder=0)
        return _svg(figure, "map")


def _links(axes: Axes, chart: Json) -> None:
    """Draw all links of one quality as one line with gaps: small, however many there are."""
    hosts = chart["hosts"]
    low = 0.0
    many = len(chart["links"]) > 500
    for _, high, colour, style in QUALITIES:
        xs: list[float] = []
        ys: list[float] = []
        for link in chart["links"]:
            loss = link["loss"] if link["both_ways"] else 1.0
            if low <= loss < high or loss == high == 1.0:
                one, other = hosts[link["from"]], hosts[link["to"]]
                xs += [one["x_m"], other["x_m"], float("nan")]
                ys += [one["y_m"], other["y_m"], float("nan")]
        width, alpha = (0.5, 0.35) if many else (1.1, 0.6)
        if xs:
            axes.plot(xs, ys, color=colour, linewidth=width, linestyle=style, alpha=alpha, zorder=2)
        low = high


def _hosts(axes: Axes, chart: Json) -> None:
    hosts = chart["hosts"]
    size = 34 if len(hosts) <= 60 else 12 if len(hosts) <= 300 else 4
    walkers = {walk["name"].rstrip("0123456789") for walk in chart["walks"]}
    for walks, colour, marker in ((False, _INK, "o"), (True, _WALK, "D")):
        chosen = [one for one in hosts if (one["name"].rstrip("0123456789") in walkers) == walks]
        if chosen:
            axes.scatter(
                [one["x_m"] for one in chosen],
                [one["y_m"] for one in chosen],
                s=size,
                color=colour,
                marker=marker,
                edgecolors=_PAPER,
                linewidths=0.6,
                zorder=5,
            )
    if len(hosts) <= _NAMED_MAX:
        for one in hosts:
            axes.annotate(
                one["name"],
                (one["x_m"], one["y_m"]),
                xytext=(4, 4),
                textcoords="offset points",
                fontsize=7,
                zorder=6,
            )


def delivery_chart(value: Json) -> str:
    """Draw the share delivered of what was asked in each stretch of time."""
    with rc_context(_SETTINGS):
        figure, axes = _timed(value, "percent delivered")
        xs, ys = [], []
        for at_s, row in _rows(value):
            if row["due"]:
                xs.append(at_s)
                ys.append(100 * row["delivered"] / row["due"])
        axes.plot(xs, ys, color=_SERIES[0], linewidth=1.8, marker="o", markersize=3)
        axes.set_ylim(min([*ys, 95.0]) * 0.98, 101)
        return _svg(figure, "delivery")


def delay_chart(value: Json) -> str:
    """Draw how long deliveries took: the median, and nine of ten."""
    with rc_context(_SETTINGS):
        figure, axes = _timed(value, "seconds until delivered")
        for place, (name, label) in enumerate((("p50", "half"), ("p90", "nine of ten"))):
            points = [
                (at_s, max(row["delay_ms"][name], 0.1) / 1000)
                for at_s, row in _rows(value)
                if row["delay_ms"]
            ]
            axes.plot(
                [point[0] for point in points],
                [point[1] for point in points],
                color=_SERIES[place],
                linewidth=1.8,
                marker="o",
                markersize=3,
                label=label,
            )
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=7))
        axes.yaxis.set_major_formatter(FuncFormatter(_seconds))
        axes.yaxis.set_minor_formatter(NullFormatter())
        low, high = axes.get_ylim()
        axes.set_ylim(low, high * (high / low) ** 0.25)
        axes.legend(loc="upper right", fontsize=9, ncols=2)
        return _svg(figure, "delay")


def sent_chart(value: Json) -> str:
    """Draw what the nodes sent by purpose: airtime where there is any, else bytes."""
    purposes = sorted(value["sent"]["by_purpose"])
    what = "airtime_us" if value["sent"]["airtime_us"] else "bytes"
    per_s = value["curves"]["bucket_s"]
    scale = per_s * 1e6 / 100 if what == "airtime_us" else per_s * 1000 / 8
    label = "percent of one channel" if what == "airtime_us" else "kbit a second"
    with rc_context(_SETTINGS):
        figure, axes = _timed(value, f"sent by all, {label}")
        xs = [at_s for at_s, _ in _rows(value)]
        layers = [
            [row["sent"].get(purpose, {}).get(what, 0) / scale for _, row in _rows(value)]
            for purpose in purposes
        ]
        if xs and layers:
            colours = [_SERIES[place % len(_SERIES)] for place in range(len(layers))]
            axes.stackplot(xs, layers, labels=purposes, colors=colours, alpha=0.85, linewidth=0)
            axes.legend(loc="upper right", fontsize=9, ncols=2)
            axes.set_ylim(0, max(sum(column) for column in zip(*layers, strict=True)) * 1.3 or 1)
        return _svg(figure, "sent")


def running_chart(value: Json) -> str:
    """Draw how many nodes had power."""
    with rc_context(_SETTINGS):
        figure, axes = _timed(value, "nodes switched on")
        points = [(at_s, row["running"]) for at_s, row in _rows(value)]
        axes.step(
            [point[0] for point in points],
            [point[1] for point in points],
            color=_SERIES[2],
            linewidth=1.8,
            where="mid",
        )
        axes.set_ylim(0, value["nodes"] * 1.08)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        return _svg(figure, "running")


def _rows(value: Json) -> list[tuple[float, Json]]:
    """Return the middle of each stretch of time, in seconds, and what was counted in it."""
    half_s = value["curves"]["bucket_s"] / 2
    return [(row["at_s"] + half_s, row) for row in value["curves"]["rows"]]


def _timed(value: Json, label: str) -> tuple[Figure, Axes]:
    """Return axes over the virtual time of the run, with its faults shaded."""
    end_s = value["duration_s"] + value["settle_s"]
    figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN))
    axes = figure.add_subplot()
    axes.set_title(label, loc="left", fontsize=10)
    for fault in value["faults"]:
        ends_s = end_s if fault["ends_s"] is None else fault["ends_s"]
        axes.axvspan(
            fault["begins_s"], max(ends_s, fault["begins_s"]), color=_FAULT, alpha=0.13, lw=0
        )
    axes.axvline(value["duration_s"], color=_FAINT, linewidth=1, linestyle=":")
    _, unit_s, unit = next(item for item in _UNITS if end_s >= item[0])
    axes.set_xlim(0, end_s)
    step_s = unit_s * max(1, round(end_s / unit_s / 8))
    axes.set_xticks([place * step_s for place in range(int(end_s / step_s) + 1)])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at_s, _: f"{at_s / unit_s:g}"))
    axes.set_xlabel(unit)
    axes.grid(visible=True, axis="y")
    return figure, axes


def _seconds(value: float, _: object) -> str:
    return f"{value:g}"


def _svg(figure: Figure, name: str) -> str:
    """Return the figure as an element that fits its place, with ids and colours of the page."""
    figure.set_layout_engine("constrained")
    FigureCanvasSVG(figure)
    buffer = StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(url\(#|xlink:href="#)', rf"\1{name}-", text)
    text = re.sub(r"font: ([^;\"]*?)'[^;\"]*", r"font: \1sans-serif", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    return text.strip()


def quality_names() -> Sequence[str]:
    """Return the names of links' qualities, best first."""
    return [item[0] for item in QUALITIES]
