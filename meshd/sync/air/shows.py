"""Stubs that wait to be shown by the radios: each once for all, and ever more seldom.

Enters: entries that somebody should see signed, stubs heard of others. Leaves: what is shown now.
A stub proves itself, so who showed it makes no difference: what all in earshot have heard from
another is left out. Bounded: what waits, and what is remembered. Must not know: why it is shown.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from meshd.wire.air_entry import Thin

WAITING_MAX = 32
SHOWN_MAX = 256
AGAIN_US = 25_000_000
AGAIN_DOUBLINGS = 8
"""A stub is shown again after so long, twice that, …, whoever asks."""
HEARD_US = 600_000_000
GIVERS_MAX = 16
"""Who showed one stub; of more, who invents nodes could make any number."""


class Show(NamedTuple):
    """A stub that waits; `far`: for the whole mesh. `least`: so many givers make it needless."""

    thin: Thin
    far: bool
    due_us: int
    least: int = 1


class _Shown:
    """When a stub was on the air of a radio: by this node, how often, and by others."""

    __slots__ = ("at_us", "givers", "heard_us", "times")

    def __init__(self) -> None:
        self.at_us: int | None = None
        self.times = 0
        self.heard_us = 0
        self.givers: set[bytes] = set()


class Shows:
    """The stubs of all radios. `reached(link, node)`: all in earshot are known to hear `node`."""

    def __init__(self, reached: Callable[[str, bytes], bool]) -> None:
        self._reached = reached
        self._waiting: dict[tuple[str, bytes], Show] = {}
        self._shown: OrderedDict[tuple[str, bytes], _Shown] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, link: str, show: Show, now: int) -> bool:
        """Show a stub by a radio when it is due; False when there is no room."""
        name = (link, show.thin.signature)
        known = self._shown.get(name)
        if known is not None and not self._is_due(link, known, show.least, now):
            return True
        waiting = self._waiting.get(name)
        if waiting is not None:
            due_us = min(waiting.due_us, show.due_us)
            far, least = show.far or waiting.far, max(show.least, waiting.least)
            self._waiting[name] = show._replace(due_us=due_us, far=far, least=least)
            return True
        if len(self._waiting) >= WAITING_MAX:
            return False
        self._waiting[name] = show
        return True

    def heard(self, link: str, thin: Thin, node: bytes, now: int) -> None:
        """Note a stub that a neighbour showed; who shows what all have heard need not."""
        known = self._note(link, thin)
        if now - known.heard_us > HEARD_US:
            known.givers.clear()
        known.heard_us = now
        if len(known.givers) < GIVERS_MAX:
            known.givers.add(node)
        waiting = self._waiting.get((link, thin.signature))
        if waiting is not None and self._was_heard(link, known, waiting.least, now):
            del self._waiting[link, thin.signature]

    def due_us(self, link: str) -> int | None:
        """Return when `next` has something for a radio."""
        dues = (show.due_us for (name, _), show in self._waiting.items() if name == link)
        return min(dues, default=None)

    def next(self, link: str, now: int) -> Show | None:
        """Return what to show now by a radio."""
        for (name, signature), show in self._waiting.items():
            if name == link and show.due_us <= now:
                del self._waiting[name, signature]
                known = self._note(link, show.thin)
                known.at_us = now
                known.times += 1
                return show
        return None

    def later(self, link: str, show: Show, due_us: int, now: int) -> None:
        """Try again then: the radio has no room."""
        known = self._note(link, show.thin)
        known.times -= 1
        known.at_us = None
        self.add(link, show._replace(due_us=due_us), now)

    def _note(self, link: str, thin: Thin) -> _Shown:
        name = (link, thin.signature)
        known = self._shown.pop(name, None) or _Shown()
        self._shown[name] = known
        if len(self._shown) > SHOWN_MAX:
            self._shown.popitem(last=False)
        return known

    def _is_due(self, link: str, known: _Shown, least: int, now: int) -> bool:
        pause_us = AGAIN_US << min(max(known.times - 1, 0), AGAIN_DOUBLINGS)
        said = known.at_us is not None and now - known.at_us < pause_us
        return not said and not self._was_heard(link, known, least, now)

    def _was_heard(self, link: str, known: _Shown, least: int, now: int) -> bool:
        if now - known.heard_us >= AGAIN_US or len(known.givers) < least:
            return False
        return any(self._reached(link, node) for node in sorted(known.givers))
