"""Which prefixes are held after they lost their route, and whose route that was.

Enters: prefixes as they are lost and found again. Leaves: what must be let go early when there are
too many, for whoever has routes come and go could fill the memory. The table is shared by the
neighbour that the lost route came from: who has most held gives up the oldest.
Must not know: how long anything is held, what holding does.
"""

from collections.abc import Iterator

from meshd.core.ids import Prefix
from meshd.neighbour.table import Neighbour

HELD_MAX = 4096
"""As many as routes: a table that is lost as a whole is held as a whole."""


class Held:
    """Prefixes by the neighbour whose route to them was lost, the oldest first."""

    __slots__ = ("_by_cause", "_causes", "held_max")

    def __init__(self, held_max: int = HELD_MAX) -> None:
        self._causes: dict[Prefix, Neighbour] = {}
        self._by_cause: dict[Neighbour, dict[Prefix, None]] = {}
        self.held_max = held_max

    def __len__(self) -> int:
        return len(self._causes)

    def __iter__(self) -> Iterator[Prefix]:
        return iter(self._causes)

    def add(self, prefix: Prefix, cause: Neighbour) -> Prefix | None:
        """Note a prefix, lost now; return another one that must go for it."""
        self.discard(prefix)
        self._causes[prefix] = cause
        self._by_cause.setdefault(cause, {})[prefix] = None
        if len(self._causes) <= self.held_max:
            return None
        most = max(self._by_cause.values(), key=len)
        victim = next(iter(most))
        self.discard(victim)
        return victim

    def discard(self, prefix: Prefix) -> None:
        """Forget a prefix: it has a route again, or was held long enough."""
        cause = self._causes.pop(prefix, None)
        if cause is not None:
            listed = self._by_cause[cause]
            del listed[prefix]
            if not listed:
                del self._by_cause[cause]
