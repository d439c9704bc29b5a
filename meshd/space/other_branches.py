"""Membership records of branches that a space does not follow, kept beside those it does.

Enters: records that were judged, the rows of a store. Leaves: rows. Others built on these records
before they knew of the fork, so they count. Must not know: who may write, what a record says.
"""

from meshd.core.errors import WireError
from meshd.core.events import EntryRow, MetaRow
from meshd.space.record import aside_key, aside_start
from meshd.wire import entry as wire

ASIDE_MAX = 64
"""Membership records of one forked feed that are kept beside the branch that is followed."""


class OtherBranches(dict[bytes, dict[bytes, bytes]]):
    """The records by their author, then by their digest."""

    def __init__(self, space: bytes) -> None:
        super().__init__()
        self._space = space

    def is_full(self, author: bytes) -> bool:
        """Tell whether one more record of an author is too many."""
        return len(self.get(author, {})) >= ASIDE_MAX

    def holds(self, author: bytes, digest: bytes) -> bool:
        """Tell whether a record is here."""
        return digest in self.get(author, {})

    def keep(self, author: bytes, digest: bytes, data: bytes) -> MetaRow:
        """Keep a record; return its row."""
        self.setdefault(author, {})[digest] = data
        return MetaRow(aside_key(self._space, author, digest), data)

    def load(self, metas: dict[str, bytes]) -> None:
        """Take what the store held; what is not what its row's name says is left out."""
        start = aside_start(self._space)
        for key in sorted(metas):
            if not key.startswith(start):
                continue
            author_text, _, named = key.removeprefix(start).partition("/")
            try:
                author = bytes.fromhex(author_text)
                digest = wire.decode(metas[key]).digest(self._space, author)
            except (ValueError, WireError):
                continue
            if digest.hex() == named:
                self.setdefault(author, {})[digest] = metas[key]

    def rows(self) -> list[EntryRow]:
        """Return the records as the store returns those of the branch that is followed."""
        return [
            EntryRow(self._space, author, 0, data, True)
            for author, kept in self.items()
            for data in kept.values()
        ]
