"""Figures: what a measurement leaves, as a table for people and as JSON for the record."""

import json
from dataclasses import dataclass
from pathlib import Path

BUILD = Path("build")


@dataclass(frozen=True)
class Figure:
    """One figure beside its target. `better` is "lower" or "higher"; None means not measured."""

    name: str
    value: float | None
    unit: str
    target: float | None
    how: str
    better: str = "lower"
    rival: tuple[str, float | None] | None = None

    @property
    def met(self) -> bool | None:
        """Tell whether the target is met; None when that cannot be said."""
        if self.value is None or self.target is None:
            return None
        return self.value <= self.target if self.better == "lower" else self.value >= self.target

    def as_json(self) -> dict[str, object]:
        """Return the figure in the form of build/bench-GROUP.json."""
        rival = {"name": self.rival[0], "value": _short(self.rival[1])} if self.rival else None
        return {
            "name": self.name,
            "value": _short(self.value),
            "unit": self.unit,
            "target": _short(self.target),
            "better": self.better,
            "rival": rival,
            "how": self.how,
        }


def table(figures: list[Figure]) -> str:
    """Lay the figures out, each with its target and its rival."""
    rows = [("figure", "value", "target", "", "rival")]
    for figure in figures:
        sign = "<=" if figure.better == "lower" else ">="
        met = {True: "met", False: "MISSED", None: ""}[figure.met]
        rival = f"{figure.rival[0]}: {_text(figure.rival[1])}" if figure.rival else ""
        target = "" if figure.target is None else f"{sign} {_text(figure.target)}"
        rows.append((figure.name, f"{_text(figure.value)} {figure.unit}", target, met, rival))
    widths = [max(len(row[place]) for row in rows) for place in range(5)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "-" * max(len(line) for line in lines))
    return "\n".join(line.rstrip() for line in lines)


def write(group: str, figures: list[Figure]) -> Path:
    """Write build/bench-GROUP.json; return its path."""
    BUILD.mkdir(exist_ok=True)
    path = BUILD / f"bench-{group}.json"
    rows = [figure.as_json() for figure in figures]
    path.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    return path


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _text(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
