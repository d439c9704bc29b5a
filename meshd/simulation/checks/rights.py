"""Nothing is stored that its author did not sign, or had no right to write.

Enters: each entry that any host commits. Leaves: violations. Each is judged once: its signature by
the primitives of the world, its author's rights by `ledger`. What causes what is left to the nodes:
only what nobody may ever do is found here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.core.errors import WireError
from meshd.core.events import EntryRow
from meshd.simulation.checks.checker import Checker
from meshd.simulation.checks.entries import Entry, name_of
from meshd.simulation.checks.ledger import Ledger
from meshd.simulation.crypto import true_verify
from meshd.space.membership import decode_record, proof_statement, successor_statement
from meshd.wire import entry as wire
from meshd.wire.entry import MEMBERSHIP_KINDS, Kind
from meshd.wire.membership import Admit, Founding, Invite, Rank, RevokeInvite, Successor

if TYPE_CHECKING:
    from meshd.core.events import Row
    from meshd.simulation.anyworld import AnyHost
    from meshd.simulation.host import Host
    from meshd.simulation.world import World


class Rights(Checker):
    """Judges each entry where it is first stored."""

    name = "rights"

    def __init__(self, world: World, ledger: Ledger) -> None:
        super().__init__(world)
        self._ledger = ledger
        self._judged: set[tuple[Entry, bytes]] = set()
        for host in world.hosts:
            self.started(host)

    def started(self, host: AnyHost) -> None:
        if host.running:
            self._ledger.learn_disk(self.world.hosts[host.number])

    def committed(self, host: Host, rows: tuple[Row, ...]) -> None:
        for row in rows:
            if not isinstance(row, EntryRow):
                continue
            entry = Entry(row.space, row.author, row.seq)
            if (entry, row.data) not in self._judged:
                self._judged.add((entry, row.data))
                wrong = self._wrong(host, row)
                if wrong:
                    self.fail(host, f"stored {name_of(entry)}, which {wrong}")
            self._ledger.learn_rows(host, (row,))
        self._ledger.learn_rows(host, tuple(row for row in rows if not isinstance(row, EntryRow)))

    def _wrong(self, host: Host, row: EntryRow) -> str:
        """Say what is wrong with an entry; nothing when all is well."""
        try:
            entry = wire.decode(row.data)
            record = decode_record(entry.head.kind, entry.clear)
        except WireError:
            return "is no entry"
        if entry.head.seq != row.seq:
            return "has another number"
        if not true_verify(row.author, entry.statement(row.space, row.author), entry.signature):
            return "its author did not sign"
        space = host.node.spaces.get(row.space)
        if space is not None:
            self._ledger.founders.setdefault(row.space, space.founder)
        kind = entry.head.kind
        rank = self._ledger.rank(row.space, row.author)
        if kind >= MEMBERSHIP_KINDS:
            least = Rank.READER if kind == Kind.RECEIPT else Rank.WRITER
            return "" if rank is not None and rank >= least else "its author may not write"
        match record:
            case Founding():
                allowed = rank is Rank.OWNER and row.seq == 1
            case Invite():
                allowed = rank is not None and rank >= Rank.ADMIN
            case RevokeInvite():
                by, _ = self._ledger.invites.get((row.space, record.invite), (b"", None))
                allowed = rank is not None and (rank >= Rank.ADMIN or by == row.author)
            case Admit():
                allowed = rank is not None and self._invited(row.space, record)
            case Successor():
                old = self._ledger.rank(row.space, record.old)
                said = successor_statement(row.space, row.author, record)
                allowed = old is not None and true_verify(record.old, said, record.signature)
            case _:
                allowed = False
        return "" if allowed else "its author had no right to decide"

    def _invited(self, space: bytes, record: Admit) -> bool:
        _, invite = self._ledger.invites.get((space, record.invite), (b"", None))
        if invite is None or invite.rank != record.rank:
            return False
        said = proof_statement(space, invite.public, record.author, record.commitment)
        return true_verify(invite.public, said, record.proof) and true_verify(
            record.author, said, record.consent
        )
