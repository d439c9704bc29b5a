"""A second opinion on who may do what in each space, from the membership records on all disks.

Enters: stored rows of any host. Leaves: the highest rank that a key was ever given anywhere. It is
simpler than the nodes' own log, and shares no judgement with it: whatever a node lawfully applied
is on some disk, so who has no rank here has none. Must not know: causal pasts, order, time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.core.errors import WireError
from meshd.core.events import EntryRow, MetaRow
from meshd.space.membership import decode_record
from meshd.wire import entry as wire
from meshd.wire import genesis
from meshd.wire.entry import MEMBERSHIP_KINDS
from meshd.wire.membership import Admit, Invite, Rank, Record, Successor

if TYPE_CHECKING:
    from meshd.core.events import Row
    from meshd.simulation.host import Host

_ASIDE = "aside/"


class Ledger:
    """Ranks and invitations of all spaces."""

    def __init__(self) -> None:
        self.founders: dict[bytes, bytes] = {}
        self.invites: dict[tuple[bytes, bytes], tuple[bytes, Invite]] = {}
        self._ranks: dict[tuple[bytes, bytes], Rank] = {}
        self._heirs: dict[tuple[bytes, bytes], list[bytes]] = {}
        self._seen: set[tuple[bytes, bytes, bytes]] = set()

    def learn_disk(self, host: Host) -> None:
        """Take in all that a host finds on its disk."""
        for space in host.node.spaces.all():
            self.founders[space.id] = genesis.decode(space.genesis).founder
        for row in host.store.membership:
            self.learn(row.space, row.author, row.data)
        for key, value in sorted(host.store.metas.items()):
            self._learn_aside(key, value)

    def learn_rows(self, host: Host, rows: tuple[Row, ...]) -> None:
        """Take in what a host commits."""
        for row in rows:
            if isinstance(row, EntryRow) and row.membership:
                if row.space not in self.founders:
                    space = host.node.spaces.get(row.space)
                    if space is not None:
                        self.founders[row.space] = genesis.decode(space.genesis).founder
                self.learn(row.space, row.author, row.data)
            elif isinstance(row, MetaRow) and row.value is not None:
                self._learn_aside(row.key, row.value)

    def rank(self, space: bytes, author: bytes) -> Rank | None:
        """Return the most that a key may do in a space."""
        if self.founders.get(space) == author:
            return Rank.OWNER
        return self._ranks.get((space, author))

    def learn(self, space: bytes, author: bytes, data: bytes) -> None:
        """Take in one entry."""
        if (space, author, data) in self._seen:
            return
        self._seen.add((space, author, data))
        try:
            entry = wire.decode(data)
            record = decode_record(entry.head.kind, entry.clear)
        except WireError:
            return
        if record is not None and entry.head.kind < MEMBERSHIP_KINDS:
            self._apply(space, author, record, entry.digest(space, author))

    def _apply(self, space: bytes, author: bytes, record: Record, digest: bytes) -> None:
        if isinstance(record, Admit):
            self._give(space, record.author, record.rank)
        elif isinstance(record, Invite):
            self.invites[space, digest] = (author, record)
        elif isinstance(record, Successor):
            self._heirs.setdefault((space, record.old), []).append(author)
            rank = self.rank(space, record.old)
            if rank is not None:
                self._give(space, author, rank)

    def _give(self, space: bytes, author: bytes, rank: Rank) -> None:
        """Raise a key to a rank, and who inherited from it."""
        known = self.rank(space, author)
        if known is not None and known >= rank:
            return
        self._ranks[space, author] = rank
        for heir in self._heirs.get((space, author), ()):
            self._give(space, heir, rank)

    def _learn_aside(self, key: str, value: bytes) -> None:
        if key.startswith(_ASIDE):
            space, author, _ = key.removeprefix(_ASIDE).split("/")
            self.learn(bytes.fromhex(space), bytes.fromhex(author), value)
