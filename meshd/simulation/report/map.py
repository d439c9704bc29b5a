"""Draw the map of an outcome as SVG: who stands where, who hears whom, ridges, walkers' paths.

Enters: an outcome as JSON values. Leaves: one SVG element in the page's colours (CSS variables),
whose parts say what they are when pointed at. It needs no library. Must not know: worlds, files.
"""

from collections.abc import Iterator
from html import escape
from math import floor, log10
from typing import NamedTuple

from meshd.simulation.outcome import Json
from meshd.simulation.report.words import amount, share

QUALITIES = (("good", 0.05), ("fair", 0.4), ("weak", 1.0))
"""Names of links by the share of frames lost on the worse way, up to each bound."""

_WIDTH, _HEIGHT_MAX = 440.0, 520.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 14.0, 12.0, 34.0
_TITLED_MAX = 600
_NAMED_MAX = 60
_LETTER, _LINE = 4.9, 9.0
_TICKS = 6


class _Scale(NamedTuple):
    """From metres to the picture; north is up."""

    per_m: float
    left: float
    bottom: float

    def at(self, x_m: float, y_m: float) -> tuple[float, float]:
        """Return a place in the picture."""
        return self.left + x_m * self.per_m, self.bottom - y_m * self.per_m


def map_picture(value: Json, *, lost: frozenset[str] = frozenset()) -> str:
    """Return the map; `lost` names hosts that nothing came from or to."""
    chart = value["map"]
    wide_m, high_m = chart["width_m"], chart["height_m"]
    per_m = min((_WIDTH - _LEFT - _RIGHT) / wide_m, (_HEIGHT_MAX - _TOP - _BOTTOM) / high_m)
    left = _LEFT + (_WIDTH - _LEFT - _RIGHT - wide_m * per_m) / 2
    high = high_m * per_m + _TOP + _BOTTOM
    scale = _Scale(per_m, left, _TOP + high_m * per_m)
    parts = [
        *_grid(scale, wide_m, high_m),
        *_links(scale, chart),
        *_ridges(scale, chart),
        *_walks(scale, chart),
        *_hosts(scale, value, lost),
    ]
    body = "\n".join(parts)
    return (
        f'<svg class="map" viewBox="0 0 {_WIDTH:.0f} {high:.0f}" role="img" '
        f'aria-label="map of {len(chart["hosts"])} nodes">\n{body}\n</svg>'
    )


def sample(name: str) -> str:
    """Return a short line as the map draws it: a link's quality, `walk` or `ridge`."""
    line = '<path d="M1 3H14"/>'
    drawn = f'<g class="links {name}">{line}</g>'
    if name in ("walk", "ridge"):
        drawn = line.replace("<path", f'<path class="{name}"')
    return f'<svg class="map" viewBox="0 0 15 6" aria-hidden="true">{drawn}</svg>'


def _grid(scale: _Scale, wide_m: float, high_m: float) -> Iterator[str]:
    """Draw lines at round metres along both sides, with their figures."""
    step_m = _round_step(max(wide_m, high_m) / _TICKS)
    lines, words = [], []
    for number in range(int(wide_m / step_m) + 1):
        x, low = scale.at(number * step_m, 0.0)
        lines.append(f"M{x:.1f} {low:.1f}V{scale.at(0.0, high_m)[1]:.1f}")
        words.append(
            f'<text x="{x:.1f}" y="{low + 13:.1f}" text-anchor="middle">{number * step_m:g}</text>'
        )
    for number in range(int(high_m / step_m) + 1):
        x, y = scale.at(0.0, number * step_m)
        lines.append(f"M{x:.1f} {y:.1f}H{scale.at(wide_m, 0.0)[0]:.1f}")
        words.append(
            f'<text x="{x - 5:.1f}" y="{y + 3:.1f}" text-anchor="end">{number * step_m:g}</text>'
        )
    end, low = scale.at(wide_m, 0.0)
    words.append(f'<text x="{end:.1f}" y="{low + 26:.1f}" text-anchor="end">metres</text>')
    yield f'<path d="{"".join(lines)}" class="grid-lines"/>'
    yield f'<g class="ticks">{"".join(words)}</g>'


def _round_step(least_m: float) -> float:
    power = 10.0 ** floor(log10(least_m))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= least_m)


def _links(scale: _Scale, chart: Json) -> Iterator[str]:
    """Draw the links, the good ones last; many of them as one path for each quality."""
    many = len(chart["links"]) > _TITLED_MAX
    for name, _ in reversed(QUALITIES):
        found = [link for link in chart["links"] if quality(link) == name]
        if not found:
            continue
        drawn = []
        for link in found:
            one, other = chart["hosts"][link["from"]], chart["hosts"][link["to"]]
            x1, y1 = scale.at(one["x_m"], one["y_m"])
            x2, y2 = scale.at(other["x_m"], other["y_m"])
            line = f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"
            title = f"<title>{_link_title(link, one, other)}</title>"
            drawn.append(line if many else f'<path d="{line}">{title}</path>')
        inside = f'<path d="{"".join(drawn)}"/>' if many else "".join(drawn)
        thin = " thin" if many else ""
        yield f'<g class="links {name}{thin}">{inside}</g>'


def quality(link: Json) -> str:
    """Return the name of a link's quality."""
    if not link["both_ways"]:
        return QUALITIES[-1][0]
    return next(name for name, bound in QUALITIES if link["loss"] < bound or bound == 1.0)


def _link_title(link: Json, one: Json, other: Json) -> str:
    fares = f"loses {100 * link['loss']:.0f} % of frames" if link["both_ways"] else "one way only"
    speed = f"{amount(link['bits_per_s'] / 8)}/s"
    return escape(f"{one['name']} – {other['name']} by {link['medium']}: {fares}, {speed}")


def _ridges(scale: _Scale, chart: Json) -> Iterator[str]:
    for x1, y1, x2, y2 in chart["ridges"]:
        one, other = scale.at(x1, y1), scale.at(x2, y2)
        line = f"M{one[0]:.1f} {one[1]:.1f}L{other[0]:.1f} {other[1]:.1f}"
        yield f'<path class="ridge" d="{line}"><title>a ridge</title></path>'


def _walks(scale: _Scale, chart: Json) -> Iterator[str]:
    for walk in chart["walks"]:
        points = [scale.at(x_m, y_m) for _, x_m, y_m in walk["steps"]]
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        yield f'<path class="walk" d="M{line}"><title>{escape(walk["name"])} walks</title></path>'


# --- hosts and their names ------------------------------------------------------------------------


def _hosts(scale: _Scale, value: Json, lost: frozenset[str]) -> Iterator[str]:
    hosts = value["map"]["hosts"]
    radius = 4.0 if len(hosts) <= 60 else 2.6 if len(hosts) <= 300 else 1.6
    walkers = {walk["name"].rstrip("0123456789") for walk in value["map"]["walks"]}
    places = [scale.at(one["x_m"], one["y_m"]) for one in hosts]
    yield '<g class="hosts">'
    for one, (x, y), row in zip(hosts, places, value["hosts"], strict=True):
        kind = "lost" if one["name"] in lost else ""
        if one["name"].rstrip("0123456789") in walkers:
            kind = "walker"
        yield (
            f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">'
            f"<title>{escape(_host_title(one['name'], row))}</title></circle>"
        )
    yield "</g>"
    yield '<g class="names">'
    yield from _names(hosts, places, lost)
    yield "</g>"


def _host_title(name: str, row: Json) -> str:
    sent, received = row["sent"], row["received"]
    return (
        f"{name}: {share(sent['delivered'], sent['due'])} of its own arrived, it got "
        f"{share(received['delivered'], received['due'])} of others'"
    )


def _names(
    hosts: list[Json], places: list[tuple[float, float]], lost: frozenset[str]
) -> Iterator[str]:
    """Write names where there is room: those that are lost or have no number go first."""
    named = [
        place
        for place, one in enumerate(hosts)
        if len(hosts) <= _NAMED_MAX or one["name"] in lost or not one["name"][-1].isdigit()
    ]
    named.sort(
        key=lambda place: (hosts[place]["name"] not in lost, hosts[place]["name"][-1:].isdigit())
    )
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in places] if len(hosts) <= _NAMED_MAX else []
    for place in named[:_NAMED_MAX]:
        name, (x, y) = hosts[place]["name"], places[place]
        wide = _LETTER * len(name)
        for left, base in (
            (x + 6, y + 3),
            (x - 6 - wide, y + 3),
            (x - wide / 2, y - 7),
            (x - wide / 2, y + 13),
        ):
            box = (left, base - _LINE + 1, left + wide, base + 1)
            if left < 0 or left + wide > _WIDTH or any(_overlap(box, other) for other in taken):
                continue
            taken.append(box)
            yield f'<text x="{left:.1f}" y="{base:.1f}">{escape(name)}</text>'
            break


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
