"""Who is in earshot on one radio, and whom those hear: what relays are chosen by.

Enters: whom a frame came from, and lists of whom neighbours hear. Leaves: who would hear a frame of
this node, or of a neighbour. Short addresses may stand for two nodes, and a key can be ground for
one: so what each says is kept apart, a node listens here when one of them says so, and a relay may
stay silent for it when all do. Must not know: objects, frames.
"""

from meshd.core.crowd import NEIGHBOURS_MAX, giving_way
from meshd.core.ids import SHORT_LEN

LISTED_MAX = 40
"""Neighbours named in one list: a list of 82 bytes. The strongest are named."""

ALIKE_MAX = 8
"""Nodes with one short address whose lists are kept."""

SILENT_US = 3 * 3600 * 1_000_000
"""Who was not heard for so long is no neighbour: twice the slowest beacon and half of one."""


TELLER_US = 600_000_000
"""Who sent an object within that time takes part in the turns; who is only there does not."""


class Neighbour:
    """One short address in earshot. `hears`: whom each node that has it hears, once it said so."""

    __slots__ = ("heard_us", "hears", "proven", "snr_db", "told_us")

    def __init__(self) -> None:
        self.heard_us = 0
        self.snr_db = 0.0
        self.proven = False
        self.hears: dict[bytes, frozenset[bytes]] = {}
        self.told_us: int | None = None


class Neighbours:
    """All nodes in earshot of a radio."""

    def __init__(self, own: bytes) -> None:
        self.own = own
        self.known: dict[bytes, Neighbour] = {}
        self.listeners: tuple[bytes, ...] = ()
        self.version = 0
        """Rises when the list of whom this node hears has changed."""

    def heard(self, short: bytes, snr_db: float, now: int, *, proven: bool = False) -> None:
        """Note a frame of a neighbour; `proven`: it has shown whose key it has."""
        neighbour = self.known.get(short)
        if neighbour is None:
            if len(self.known) >= NEIGHBOURS_MAX:
                del self.known[giving_way(self.known.items())]
                self._reckon()
            neighbour = self.known[short] = Neighbour()
            self.version += 1
        neighbour.heard_us, neighbour.snr_db, neighbour.proven = now, snr_db, proven

    def told(self, short: bytes, hears: tuple[bytes, ...], node: bytes = b"") -> None:
        """Note whom a neighbour says that it hears; `node` is its NodeId."""
        neighbour = self.known.get(short)
        if neighbour is None:
            return
        lists = neighbour.hears
        lists.pop(node, None)
        if len(lists) >= ALIKE_MAX:
            del lists[next(iter(lists))]
        lists[node] = frozenset(hears)
        self._reckon()

    def tells(self, short: bytes, now: int) -> None:
        """Note that a neighbour sent an object."""
        if short in self.known:
            self.known[short].told_us = now

    def tellers(self, now: int) -> int:
        """Return how many neighbours sent objects of late."""
        told = (one.told_us for one in self.known.values())
        return sum(at is not None and now - at <= TELLER_US for at in told)

    def proven(self, short: bytes) -> bool:
        """Tell whether a neighbour has shown whose key it has."""
        return short in self.known and self.known[short].proven

    def restarted(self, node: bytes) -> None:
        """A neighbour has forgotten whom it heard; others with its short address have not."""
        neighbour = self.known.get(node[:SHORT_LEN])
        if neighbour is not None and neighbour.hears.pop(node, None) is not None:
            self._reckon()

    def hears(self, node: bytes) -> bool:
        """Tell whether a node, by its NodeId, says that it hears this one."""
        neighbour = self.known.get(node[:SHORT_LEN])
        return neighbour is not None and self.own in neighbour.hears.get(node, ())

    def gone(self, node: bytes) -> None:
        """Forget a neighbour, but not another one with its short address that has told."""
        self.restarted(node)
        neighbour = self.known.get(node[:SHORT_LEN])
        if neighbour is not None and not neighbour.hears:
            del self.known[node[:SHORT_LEN]]
            self.version += 1

    def expire(self, now: int) -> None:
        """Forget who was silent too long."""
        gone = [short for short, one in self.known.items() if now - one.heard_us > SILENT_US]
        for short in gone:
            del self.known[short]
        if gone:
            self.version += 1
            self._reckon()

    def told_to_others(self, limit: int = LISTED_MAX) -> tuple[bytes, ...]:
        """Return whom this node hears, for its own list; the strongest, if they are too many."""
        known = sorted(self.known, key=lambda short: (-self.known[short].snr_db, short))
        return tuple(sorted(known[: min(limit, LISTED_MAX)]))

    def audience(self, sender: bytes) -> list[bytes]:
        """Return which of this node's listeners hear a neighbour for sure."""
        return [short for short in self.listeners if self._hear(short, sender)]

    def both(self, one: bytes, other: bytes) -> bool:
        """Tell whether a neighbour and another node hear each other, as far as they say."""
        if one not in self.known or not self._hear(one, other):
            return False
        return other not in self.known or self._hear(other, one)

    def only(self, listener: bytes) -> bool:
        """Tell whether a listener hears no neighbour of this node, as far as it said."""
        hears = frozenset[bytes]().union(*self.known[listener].hears.values())
        return not any(short in self.known for short in hears if short != self.own)

    def _listens(self, short: bytes) -> bool:
        return any(self.own in hears for hears in self.known[short].hears.values())

    def _hear(self, short: bytes, sender: bytes) -> bool:
        lists = self.known[short].hears.values()
        return bool(lists) and all(sender in hears for hears in lists)

    def _reckon(self) -> None:
        self.listeners = tuple(sorted(one for one in self.known if self._listens(one)))
