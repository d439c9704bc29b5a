"""Calls for help that came before what their authors wrote before them, kept until they have place.

Enters: entries that were proven, the rows of a store, how far feeds are. Leaves: rows. What is in
here is signed by a member, and part of no feed yet: it is shown with a mark, told to nobody else
and never acknowledged. Must not know: who may write, how an entry is proven.
"""

from meshd.core.errors import WireError
from meshd.core.events import MetaRow
from meshd.space.record import early_key, early_start
from meshd.wire import entry as wire

EARLY_EACH = 2
"""Calls of one author that are shown ahead of their order: the latest ones."""
EARLY_MAX = 64
"""The same of all authors of a space."""


class Early(dict[bytes, dict[int, bytes]]):
    """The calls by their author, then by their number."""

    def __init__(self, space: bytes) -> None:
        super().__init__()
        self._space = space

    def takes(self, author: bytes, seq: int) -> bool:
        """Tell whether one more call of an author finds room: none that is older than all does."""
        calls = self.get(author, {})
        if len(calls) >= EARLY_EACH:
            return seq not in calls and seq > min(calls)
        return seq not in calls and len(self.all()) < EARLY_MAX

    def all(self) -> list[tuple[bytes, bytes]]:
        """Return (author, entry) of each call, the latest of an author last."""
        return [(author, calls[seq]) for author, calls in self.items() for seq in sorted(calls)]

    def keep(self, author: bytes, seq: int, data: bytes) -> tuple[MetaRow, ...]:
        """Keep a call, the oldest of its author goes for it; return what changes on the disk."""
        calls = self.get(author, {})
        gone = self.placed(author, min(calls)) if len(calls) >= EARLY_EACH else ()
        self.setdefault(author, {})[seq] = data
        return (*gone, MetaRow(early_key(self._space, author, seq), data))

    def placed(self, author: bytes, up_to: int) -> tuple[MetaRow, ...]:
        """Forget what has its place in its feed now, or lost it; return what goes from the disk."""
        calls = self.get(author, {})
        gone = [seq for seq in calls if seq <= up_to]
        for seq in gone:
            del calls[seq]
        if gone and not calls:
            del self[author]
        return tuple(MetaRow(early_key(self._space, author, seq), None) for seq in gone)

    def ended(self, author: bytes) -> tuple[MetaRow, ...]:
        """Forget all calls of a feed that grows no more, now that its author goes on in another."""
        return self.placed(author, wire.SEQ_MAX)

    def load(self, metas: dict[str, bytes]) -> None:
        """Take what the store held; what is not what its row's name says is left out."""
        start = early_start(self._space)
        for key in sorted(metas):
            if not key.startswith(start):
                continue
            try:
                author = bytes.fromhex(key.removeprefix(start).partition("/")[0])
                seq = wire.decode(metas[key]).head.seq
            except (ValueError, WireError):
                continue
            if early_key(self._space, author, seq) == key:
                self.setdefault(author, {})[seq] = metas[key]
