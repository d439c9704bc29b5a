"""What came by LoRa and cannot be used yet: entries before their time, and parts of long ones.

Enters: thin entries and parts. Leaves: the same once they are wanted or whole. Nothing in here is
verified, so it is bounded, the oldest goes first, and nothing is told or sent on from it.
"""

from collections import Counter

from meshd.sync.air.offers import Key
from meshd.wire.air_entry import Part, Thin

ASIDE_MAX = 64
"""Entries kept whose predecessors or authors are not known yet."""
ASSEMBLIES_MAX = 24
"""Long entries of which parts came."""

_Wanted = tuple[bytes, int, int]


class Aside:
    """Entries that wait for the one before them, for membership, or for their author."""

    def __init__(self) -> None:
        self._kept: dict[Key, tuple[Thin, str]] = {}
        self._strangers: dict[bytes, tuple[Thin, str]] = {}

    def __len__(self) -> int:
        return len(self._kept) + len(self._strangers)

    def keep(self, key: Key, thin: Thin, link: str) -> bool:
        """Keep an entry that came by `link`; False when another one had to go for it."""
        self._kept.pop(key, None)
        fits = len(self._kept) < ASIDE_MAX
        if not fits:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (thin, link)
        return fits

    def keep_stranger(self, thin: Thin, link: str) -> None:
        """Keep an entry of an author not known here: most are of spaces that are not held."""
        self._strangers.pop(thin.signature, None)
        if len(self._strangers) >= ASIDE_MAX // 4:
            del self._strangers[next(iter(self._strangers))]
        self._strangers[thin.signature] = (thin, link)

    def take(self, key: Key) -> tuple[Thin, str] | None:
        """Return the entry of this name, and forget it."""
        return self._kept.pop(key, None)

    def take_strangers(self) -> list[tuple[Thin, str]]:
        """Return all entries of unknown authors, and forget them."""
        strangers, self._strangers = list(self._strangers.values()), {}
        return strangers

    def counts(self, space: bytes) -> Counter[bytes]:
        """Return how many entries of a space are kept, by author."""
        return Counter(author for named, author, _ in self._kept if named == space)

    def of(self, space: bytes) -> list[Key]:
        """Return which entries of a space are kept."""
        return [key for key in self._kept if key[0] == space]


class Parts:
    """Long entries being put together."""

    def __init__(self) -> None:
        self._open: dict[_Wanted, dict[int, bytes]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, part: Part) -> bytes | None:
        """Take a part; return the entry when it was the last that was missing."""
        name = (part.author, part.seq, part.parts)
        pieces = self._open.pop(name, {})
        if len(self._open) >= ASSEMBLIES_MAX:
            del self._open[next(iter(self._open))]
        pieces[part.place] = part.data
        if len(pieces) == part.parts:
            return b"".join(pieces[place] for place in range(part.parts))
        self._open[name] = pieces
        return None
