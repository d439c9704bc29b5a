"""Messages under way in one space: own ones that wait for a receipt, and receipts that are due.

Enters: opened MESSAGE, LETTER and RECEIPT entries. Leaves: what to acknowledge, what was delivered,
and the row that keeps both across a restart. A message is *delivered* when a receipt came in the
feed of the very node it was addressed to. A letter that came to a receiver without the key for it
is given back: it waits on, until who sent it has sent it anew.
"""

from collections import Counter
from json import JSONDecodeError, dumps, loads

from meshd.core.errors import WireError
from meshd.core.events import MetaRow
from meshd.space.entries import Opened
from meshd.space.record import mail_key
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


class Mail:
    """Both lists. Bounded by `OUTBOX_MAX` and `DUE_MAX`."""

    __slots__ = ("_due", "_fresh", "_held", "_outbox", "_returned", "overflowed")

    def __init__(self) -> None:
        self._due: dict[Name, None] = {}
        self._outbox: dict[Name, bytes] = {}
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
        return (author, seq) in self._outbox

    def settle(self, names: tuple[Name, ...]) -> bool:
        """Write no receipt for these: they were given back."""
        known = [name for name in names if name in self._due]
        for name in known:
            del self._due[name]
            self._held.discard(name)
        return bool(known)

    def give_back(self, names: tuple[Name, ...], node: bytes) -> bool:
        """Note own messages for `node` that it cannot open."""
        new = [name for name in names if node and self._outbox.get(name) == node]
        self._returned.update(dict.fromkeys(new))
        return bool(new)

    def returned(self) -> list[Name]:
        """Return own messages that were given back, until `abandon`."""
        return list(self._returned)

    def abandon(self, author: bytes, seq: int) -> None:
        """Wait no more for the receipt of what was given back."""
        self._outbox.pop((author, seq), None)
        self._returned.pop((author, seq), None)

    def message(self, author: bytes, opened: Opened, *, own: bool, node: bytes) -> bool:
        """Note a MESSAGE or LETTER: an own one waits, one for `node` is to be acknowledged."""
        try:
            if opened.kind == Kind.LETTER:
                to = payload.decode_letter(opened.payload).to
            else:
                to = payload.decode_message(opened.payload).to
        except WireError:
            return False
        if own:
            if not self.has_room:
                return False
            self._outbox[author, opened.seq] = to
            return True
        if to != node:
            return False
        if len(self._due) >= DUE_MAX:
            count = Counter(writer for writer, _ in (*self._due, (author, opened.seq)))
            most = count.most_common(1)[0][0]
            gone = next((one for one in self._due if one[0] == most), next(iter(self._due)))
            del self._due[gone]
            self._held.discard(gone)
            self.overflowed += 1
        self._due[author, opened.seq] = None
        return True

    def receipt(self, opened: Opened, *, own: bool, node: bytes) -> bool:
        """Note a RECEIPT: an own one settles what was due, another's what waited for `node`."""
        try:
            received = payload.decode_receipt(opened.payload).received
        except WireError:
            return False
        if own:
            settled = [name for name in received if name in self._due]
            for name in settled:
                del self._due[name]
            return bool(settled)
        delivered = [name for name in received if node and self._outbox.get(name) == node]
        for name in delivered:
            self.abandon(*name)
        self._fresh += delivered
        return bool(delivered)

    def next_receipt(self) -> Receipt | None:
        """Return the receipt to append now, or None when none is due."""
        names = [name for name in self._due if name not in self._held][: payload.RECEIPTS_MAX]
        return Receipt(tuple(names)) if names else None

    def take_delivered(self) -> list[Name]:
        """Return own messages that were delivered since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def row(self, space: bytes) -> MetaRow:
        """Return the row that keeps both lists."""
        fields: dict[str, object] = {
            "due": [[author.hex(), seq] for author, seq in self._due],
            "outbox": [[author.hex(), seq, to.hex()] for (author, seq), to in self._outbox.items()],
        }
        if self._returned:
            fields["returned"] = [[author.hex(), seq] for author, seq in self._returned]
        return MetaRow(mail_key(space), dumps(fields, separators=(",", ":")).encode())


def load_mail(data: bytes | None) -> Mail:
    """Return what was kept; empty lists when nothing was, or when it is damaged."""
    mail = Mail()
    if data is None:
        return mail
    try:
        fields = loads(data)
        for author, seq in fields["due"]:
            mail._due[bytes.fromhex(author), int(seq)] = None
        for author, seq, to in fields["outbox"]:
            mail._outbox[bytes.fromhex(author), int(seq)] = bytes.fromhex(to)
        for author, seq in fields.get("returned", []):
            mail._returned[bytes.fromhex(author), int(seq)] = None
    except (JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        return Mail()
    return mail
