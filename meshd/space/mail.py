"""Messages under way in one space: own ones that wait for a receipt, and receipts that are due.

Enters: opened MESSAGE, LETTER and RECEIPT entries. Leaves: what to acknowledge, what was delivered,
and the row that keeps both across a restart. A message is *delivered* when a receipt came in the
feed of the very node it was addressed to, for the very entry: own numbers are used again after a
card was put back, and a receipt for what had the number before delivers nothing. A letter that came
to a receiver without the key for it is given back: it waits on, until who sent it has sent it anew.
So is one behind a fork of the own feed, since its receiver may follow the other branch.
Mail whose row is damaged or gone is in doubt: nothing is delivered until it is made anew.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from json import dumps, loads
from typing import NamedTuple

from meshd.core.errors import WireError
from meshd.core.events import MetaRow
from meshd.core.guard import DAMAGES, guarded, unguarded
from meshd.space.entries import Opened
from meshd.space.record import MAIL_PREFIX, mail_key
from meshd.wire import payload
from meshd.wire.entry import Kind
from meshd.wire.payload import Receipt

OUTBOX_MAX = 1024
"""Own messages without a receipt; a further one is refused to its caller."""
DUE_MAX = 256
"""Receipts that are due; beyond it the oldest of whoever has most here is forgotten, and that one
stays undelivered: who writes much pushes out only its own."""

Name = tuple[bytes, int]
"""An entry by (author, seq)."""


def never(author: bytes, seq: int) -> bool:
    """Say of no entry that it is missing."""
    return False


class _Sent(NamedTuple):
    """Whom an own message is for, and the start of its entry's digest."""

    to: bytes
    mark: bytes


class Mail:
    """Both lists. Bounded by `OUTBOX_MAX` and `DUE_MAX`."""

    __slots__ = (
        *("_astray", "_due", "_fresh", "_held", "_outbox", "_returned"),
        *("doubtful", "overflowed"),
    )

    def __init__(self, *, doubtful: bool = False) -> None:
        self.doubtful = doubtful
        self._due: dict[Name, bytes] = {}
        self._outbox: dict[Name, _Sent] = {}
        self._astray = 0
        self._fresh: list[Name] = []
        self._held: set[Name] = set()
        self._returned: dict[Name, None] = {}
        self.overflowed = 0

    @property
    def due(self) -> int:
        """How many receipts are due."""
        return len(self._due)

    def hold(self, name: Name) -> None:
        """Write no receipt for this one until `release`: its text is not kept yet."""
        if name in self._due:
            self._held.add(name)

    def release(self, name: Name) -> None:
        """Let a receipt be written."""
        self._held.discard(name)

    def due_names(self) -> list[Name]:
        """Return what is to be acknowledged."""
        return list(self._due)

    @property
    def has_room(self) -> bool:
        """Whether one more own message may be sent."""
        return len(self._outbox) < OUTBOX_MAX

    def awaits(self, author: bytes, seq: int) -> bool:
        """Tell whether an own message still waits for its receipt."""
        return self.doubtful or (author, seq) in self._outbox

    def believe(self) -> None:
        """Be in doubt no more: all entries were looked at. What they told once is told already."""
        self.doubtful = False
        self._fresh, self._astray = [], 0

    def settle(self, names: tuple[Name, ...]) -> bool:
        """Write no receipt for these: they were given back."""
        known = [name for name in names if name in self._due]
        for name in known:
            del self._due[name]
            self._held.discard(name)
        return bool(known)

    def give_back(self, names: tuple[Name, ...], node: bytes) -> bool:
        """Note own messages for `node` that it cannot open."""
        new = [name for name in names if node and self._is_for(name, node)]
        self._returned.update(dict.fromkeys(new))
        return bool(new)

    def strand(self, author: bytes, first: int) -> bool:
        """Note own messages that stand on a branch which others do not follow, from `first` on."""
        new = [name for name in self._outbox if name[0] == author and name[1] >= first]
        self._returned.update(dict.fromkeys(new))
        return bool(new)

    def returned(self) -> list[Name]:
        """Return own messages that were given back, until `abandon`."""
        return list(self._returned)

    def abandon(self, author: bytes, seq: int) -> None:
        """Wait no more for the receipt of what was given back."""
        self._outbox.pop((author, seq), None)
        self._returned.pop((author, seq), None)

    def message(
        self, author: bytes, opened: Opened, *, own: bool, node: bytes, digest: bytes
    ) -> bool:
        """Note a MESSAGE or LETTER: an own one waits, one for `node` is to be acknowledged."""
        mark = digest[: payload.ENTRY_MARK_LEN]
        try:
            if opened.kind == Kind.LETTER:
                to = payload.decode_letter(opened.payload).to
            else:
                to = payload.decode_message(opened.payload).to
        except WireError:
            return False
        if own:
            if not self.has_room and not self.doubtful:
                return False
            self._outbox[author, opened.seq] = _Sent(to, mark)
            return True
        if to != node:
            return False
        if len(self._due) >= DUE_MAX and not self.doubtful:
            count = Counter(writer for writer, _ in (*self._due, (author, opened.seq)))
            most = count.most_common(1)[0][0]
            gone = next((one for one in self._due if one[0] == most), next(iter(self._due)))
            del self._due[gone]
            self._held.discard(gone)
            self.overflowed += 1
        self._due[author, opened.seq] = mark
        return True

    def receipt(
        self,
        opened: Opened,
        *,
        own: bool,
        node: bytes,
        missing: Callable[[bytes, int], bool] = never,
    ) -> bool:
        """Note a RECEIPT: an own one settles what was due, another's what waited for `node`.

        `missing` tells of an own entry that is not here: who has a receipt for it wrote it once.
        """
        try:
            received = payload.decode_receipt(opened.payload).received
        except WireError:
            return False
        if own:
            settled = [one[:2] for one in received if self._due.get(one[:2]) == one[2]]
            for name in settled:
                del self._due[name]
            return bool(settled)
        delivered = []
        for author, seq, mark in received:
            name = (author, seq)
            if node and self._outbox.get(name) == (node, mark):
                delivered.append(name)
                self.abandon(*name)
            elif missing(*name) or (node and self._is_for(name, node)):
                self._astray += 1
        self._fresh += delivered
        return bool(delivered)

    def next_receipt(self) -> Receipt | None:
        """Return the receipt to append now, or None when none is due."""
        due = [(*name, mark) for name, mark in self._due.items() if name not in self._held]
        return Receipt(tuple(due[: payload.RECEIPTS_MAX])) if due else None

    def take_delivered(self) -> list[Name]:
        """Return own messages that were delivered since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def take_astray(self) -> int:
        """Return how many receipts since the last call were for own entries that are not here."""
        astray, self._astray = self._astray, 0
        return astray

    def _is_for(self, name: Name, node: bytes) -> bool:
        sent = self._outbox.get(name)
        return sent is not None and sent.to == node

    def row(self, space: bytes) -> MetaRow:
        """Return the row that keeps both lists; while in doubt, one that stays so."""
        key = mail_key(space)
        if self.doubtful:
            return MetaRow(key, b"")
        fields: dict[str, object] = {
            "due": [[author.hex(), seq, mark.hex()] for (author, seq), mark in self._due.items()],
            "outbox": [
                [author.hex(), seq, sent.to.hex(), sent.mark.hex()]
                for (author, seq), sent in self._outbox.items()
            ],
        }
        if self._returned:
            fields["returned"] = [[author.hex(), seq] for author, seq in self._returned]
        return MetaRow(key, guarded(dumps(fields, separators=(",", ":")).encode(), key))


def load_mail(space: bytes, data: bytes | None) -> Mail:
    """Return what was kept of a space; it is in doubt when its row is damaged, or not there.

    The row is written with the space itself: where there is none, one was lost.
    """
    mail = Mail(doubtful=data is None)
    if data is None:
        return mail
    try:
        fields = loads(unguarded(data, mail_key(space)))
        for author, seq, mark in fields["due"]:
            mail._due[bytes.fromhex(author), int(seq)] = bytes.fromhex(mark)
        for author, seq, to, mark in fields["outbox"]:
            sent = _Sent(bytes.fromhex(to), bytes.fromhex(mark))
            mail._outbox[bytes.fromhex(author), int(seq)] = sent
        for author, seq in fields.get("returned", []):
            mail._returned[bytes.fromhex(author), int(seq)] = None
    except (WireError, *DAMAGES):
        return Mail(doubtful=True)
    return mail


def stray_mail(keys: Iterable[str], spaces: Iterable[bytes]) -> list[str]:
    """Return the names of rows of mail that belong to none of these spaces."""
    known = {mail_key(space) for space in spaces}
    return [key for key in keys if key.startswith(MAIL_PREFIX) and key not in known]
