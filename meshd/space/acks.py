"""Which nodes hold how much of this node's own feeds, by their word.

Enters: acknowledgements. Leaves: who holds an entry, and whether under a lease. Bounded; forgotten
with a restart. Must not know: who may say so.
"""

from collections.abc import Callable

KEPT_NODES_MAX = 256
"""Nodes whose acknowledgements are remembered; the one that keeps least is forgotten."""


class Acks:
    """The acknowledgements of one space. `is_own` tells which authors are this node."""

    __slots__ = ("_begun", "_is_own", "_kept")

    def __init__(self, is_own: Callable[[bytes], bool]) -> None:
        self._is_own = is_own
        self._begun: dict[bytes, int] = {}
        self._kept: dict[bytes, dict[bytes, tuple[int, bool]]] = {}

    def __contains__(self, node: bytes) -> bool:
        return node in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def note(self, node: bytes, author: bytes, seq: int, leased: bool) -> None:
        """Remember that `node` has our feed `author` durably up to `seq`, under a lease or not."""
        if not self._is_own(author):
            return
        kept = self._kept
        known_seq, known_leased = kept.get(node, {}).get(author, (0, leased))
        if known_seq >= seq and known_leased == leased:
            return
        if node not in kept and len(kept) >= KEPT_NODES_MAX:
            del kept[min(kept, key=lambda known: max(kept[known].values()))]
        kept.setdefault(node, {})[author] = (seq, leased)

    def began(self, author: bytes, seq: int) -> None:
        """Note how long an own feed was at the start: who held that is not known any more."""
        self._begun.setdefault(author, seq)

    def unheld(self, author: bytes, seq: int) -> int:
        """Return how many of an own feed's entries since the start nobody else said to hold."""
        held = max((feeds.get(author, (0, False))[0] for feeds in self._kept.values()), default=0)
        return max(0, seq - max(held, self._begun.get(author, 0)))

    def holders(self, author: bytes, seq: int) -> dict[bytes, bool]:
        """Return the nodes that hold an own entry durably, in order: whether under a lease."""
        acks = ((node, feeds.get(author, (0, False))) for node, feeds in sorted(self._kept.items()))
        return {node: leased for node, (held, leased) in acks if held >= seq}

    def kept_by(self, author: bytes, seq: int) -> int:
        """Return how many nodes keep an own entry under a lease."""
        return sum(self.holders(author, seq).values())
