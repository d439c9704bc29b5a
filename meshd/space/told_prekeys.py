"""Prekeys that the members of one space have told in their feeds: the newest few of each feed.

Enters: opened PREKEY entries, the rows of the last run. Leaves: public halves by feed, rows. A feed
is signed by its device and taken in order, so an older record never comes after a newer one; and a
number that is not higher than all known of a feed changes nothing. Must not know: what they are
for, private halves.
"""

from struct import Struct

from meshd.core.crypto import KEY_LEN
from meshd.core.events import MetaRow
from meshd.space.record import prekey_key, prekey_start
from meshd.wire.payload import PrekeyRecord

KEPT = 3
"""Prekeys of one feed that are kept: letters under way may be sealed with older ones."""

_ROW = Struct(f"!I{KEY_LEN}s")

Told = tuple[int, bytes]
"""A prekey as others know it: its number, and its public half."""


class ToldPrekeys:
    """The prekeys of one space, by author."""

    __slots__ = ("_space", "_told")

    def __init__(self, space: bytes) -> None:
        self._space = space
        self._told: dict[bytes, tuple[Told, ...]] = {}

    def of(self, author: bytes) -> tuple[Told, ...]:
        """Return what a feed told, the newest first."""
        return self._told.get(author, ())

    def learn(self, author: bytes, said: PrekeyRecord) -> MetaRow | None:
        """Take a record of a feed; return the row that keeps it, None when it is not news."""
        known = self.of(author)
        if known and said.number <= known[0][0]:
            return None
        self._told[author] = told = ((said.number, said.public), *known)[:KEPT]
        return MetaRow(prekey_key(self._space, author), b"".join(_ROW.pack(*one) for one in told))

    def load(self, metas: dict[str, bytes]) -> None:
        """Take what the store held; a damaged row is forgotten until the feed tells the next."""
        self._told = {}
        start = prekey_start(self._space)
        for key in sorted(metas):
            value = metas[key]
            if key.startswith(start) and len(value) in range(_ROW.size, 4096, _ROW.size):
                try:
                    author = bytes.fromhex(key.removeprefix(start))
                except ValueError:
                    continue
                self._told[author] = tuple(_ROW.iter_unpack(value))[:KEPT]
