"""Figures as people say them: times, bytes, shares, lists of names.

Enters: numbers. Leaves: text. Must not know: outcomes.
"""

from collections.abc import Sequence

from meshd.core.spans import span

_NAMES_MAX = 8


def delay(time_ms: float | None) -> str:
    """Return a delay."""
    if time_ms is None:
        return "-"
    return f"{time_ms:.3g} ms" if time_ms < 999.5 else span(time_ms / 1000)


def amount(count: float) -> str:
    """Return bytes in the unit that people would use."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def share(delivered: int, due: int) -> str:
    """Return a share; it is 100 % only when nothing is missing, and 0 % only when all is."""
    if not due:
        return "-"
    if delivered in (0, due):
        return "100 %" if delivered else "0 %"
    return f"{min(max(100 * delivered / due, 0.1), 99.9):.1f} %"


def whole(percent: float) -> str:
    """Return a share as whole percents; a little is not nothing."""
    return "under 1 %" if 0 < percent < 1 else f"{percent:.0f} %"


def counted(count: int, what: str) -> str:
    """Return "no faults", "1 fault", "2 faults"."""
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"


def listed(names: Sequence[str], most: int = _NAMES_MAX) -> str:
    """Return names as a list in a sentence."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1] if names else "")))
