"""Draw the curves of an outcome as SVG: deliveries, delays, what was sent. Needs `plots`.

Enters: an outcome as JSON values. Leaves: SVG elements that stand inside a page and take its
colours (CSS variables), byte-identical for equal outcomes. Must not know: worlds, files.
"""

import re
from io import StringIO

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from meshd.simulation.outcome import Json
from meshd.simulation.report.words import delay

# Colours that no chart uses otherwise; the page's own take their place.
_INK, _FAINT = "#010203", "#010204"
_FAULT = "#020300"
_SERIES = tuple(f"#03040{digit}" for digit in range(6))
_VARIABLES = {
    _INK: "ink",
    _FAINT: "faint",
    _FAULT: "fault",
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
_MARKS_MAX = 6
_ROUND_S = (
    *(step * 10.0**power for power in (-4, -3, -2, -1) for step in (1, 3)),
    *(1.0, 3.0, 10.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 28_800.0, 86_400.0, 604_800.0),
)
_UNITS = (
    (172_800, 86_400, "days"),
    (7_200, 3_600, "hours"),
    (120, 60, "minutes"),
    (0, 1, "seconds"),
)


def delivery_chart(value: Json) -> str:
    """Draw the share delivered of what was asked in each stretch of time."""
    with rc_context(_SETTINGS):
        figure, axes = _timed(value, "percent of what was asked then")
        xs, ys = [], []
        for at_s, row in _rows(value):
            if row["due"]:
                xs.append(at_s)
                ys.append(100 * row["delivered"] / row["due"])
        axes.plot(xs, ys, color=_SERIES[0], linewidth=1.8, marker="o", markersize=3)
        axes.set_ylim(0 if min(ys) < 60 else min([*ys, 94.0]) - 1, 101)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5, steps=[1, 2, 5, 10]))
        return _svg(figure, "delivery")


def delay_chart(value: Json) -> str:
    """Draw how long deliveries took: the median, and nine of ten."""
    with rc_context(_SETTINGS):
        figure, axes = _timed(value, "time until it arrived")
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
        axes.yaxis.set_major_formatter(FuncFormatter(lambda time_s, _: delay(time_s * 1000)))
        axes.yaxis.set_minor_locator(NullLocator())
        low, high = axes.get_ylim()
        low = max((one for one in _ROUND_S if one <= low), default=low)
        high = min((one for one in _ROUND_S if one >= high), default=high)
        marks = [one for one in _ROUND_S if low <= one <= high] or [low, high]
        axes.yaxis.set_major_locator(FixedLocator(marks[:: -(-len(marks) // _MARKS_MAX)]))
        axes.set_ylim(low * 0.9, high * max(high / low, 2.0) ** 0.25)
        axes.legend(loc="upper right", fontsize=9, ncols=2)
        return _svg(figure, "delay")


def sent_chart(value: Json) -> str:
    """Draw what the nodes sent by purpose: airtime where there is any, else bytes."""
    what = "airtime_us" if value["sent"]["airtime_us"] else "bytes"
    total = value["sent"]["by_purpose"]
    named = sorted(total, key=lambda purpose: (-total[purpose][what], purpose))
    layered = {purpose: [purpose] for purpose in named}
    if len(named) > len(_SERIES):
        layered = {purpose: [purpose] for purpose in named[: len(_SERIES) - 1]}
        layered["the rest"] = named[len(_SERIES) - 1 :]
    per_s = value["curves"]["bucket_s"]
    scale = per_s * 1e6 / 100 if what == "airtime_us" else per_s * 1000 / 8
    label = "percent of one channel" if what == "airtime_us" else "kbit a second"
    with rc_context(_SETTINGS):
        figure, axes = _timed(value, f"sent by all, {label}")
        xs = [at_s for at_s, _ in _rows(value)]
        layers = [
            [
                sum(row["sent"].get(purpose, {}).get(what, 0) for purpose in purposes) / scale
                for _, row in _rows(value)
            ]
            for purposes in layered.values()
        ]
        if xs and layers:
            colours = _SERIES[: len(layers)]
            axes.stackplot(xs, layers, labels=layered, colors=colours, alpha=0.85, linewidth=0)
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
