"""Texts that came for this node: each kept and told once, whatever way brings it again.

Enters: opened texts with their tags, and what the store held at start. Leaves: rows, notices; and,
once a text is on disk, the word that it may be acknowledged. Bounded: texts, and senders whose
numbers are remembered; members and strangers have parts of their own, and each sender a share. What
was acknowledged and not read yet stays: a text without room is refused before it is acknowledged.
Must not know: how texts travel, keys.
"""

from collections.abc import Callable
from typing import NamedTuple

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.events import MetaRow, Notice, Row
from meshd.core.guard import guarded, unguarded
from meshd.core.ids import node_text
from meshd.messages.letter import Got, decode_got, letter_id, number_in, rows_of, window_key
from meshd.messages.window import Verdict, Window

GOT_MAX = 256
"""Texts of members of shared spaces that are kept; the oldest that was read makes room."""

STRANGERS_GOT_MAX = 64
"""Texts of all others that are kept."""

STRANGER_UNREAD_MAX = 16

SENDERS_MAX = 256
"""Senders known to spaces, whose numbers are remembered; one more is refused."""

STRANGERS_MAX = 64
"""Others; who has been silent for longest is forgotten, and what it sent could be shown again."""

Done = Callable[[str, int], None]
Commit = Callable[[tuple[Row, ...], Done], None]


class Taken(NamedTuple):
    """An authentic text: who sent it, and the tag that tells it from others."""

    node: bytes
    number: int
    tag: bytes
    text: str
    stored: bool
    """It came as a signed entry of a feed, which nobody can play again."""
    keys: str = ""


class Inbox:
    """The texts of this node. `knows` tells whether a space is shared with a sender."""

    def __init__(self, ctx: Context, commit: Commit, *, knows: Callable[[bytes], bool]) -> None:
        self.texts: dict[int, Got] = {}
        self.turned_away = False
        """A text that a space holds found no room: look there again once some are read."""
        self._ctx = ctx
        self._commit = commit
        self._knows = knows
        self._windows: dict[bytes, Window] = {}
        self._writing: set[tuple[bytes, int, bytes]] = set()
        self._leaving: set[int] = set()
        self._forgotten: set[bytes] = set()
        self._next = 0

    def load(self, metas: dict[str, bytes]) -> list[str]:
        """Take what the store held; return the names of rows that are damaged."""
        self.texts, self._windows, self._writing, damaged = {}, {}, set(), []
        self._leaving, self._forgotten, self.turned_away = set(), set(), False
        for key, value in rows_of(metas, "in"):
            try:
                got = decode_got(key, value)
                self.texts[got.place] = got
            except WireError:
                damaged.append(key)
        for key, value in rows_of(metas, "window"):
            try:
                node = bytes.fromhex(key.rpartition("/")[2])
                self._windows[node] = Window.decode(unguarded(value, key))
            except (WireError, ValueError):
                damaged.append(key)
        places = (number_in(key) for key, _ in rows_of(metas, "in"))
        self._next = max(places, default=-1) + 1  # beyond damaged rows: they are told of again
        return damaged

    def senders(self) -> set[bytes]:
        """Return the nodes that texts came from."""
        return {got.node for got in self.texts.values()}

    def take(self, taken: Taken, time_s: int, durable: Callable[[int], None], now: int) -> None:
        """Keep a text; call `durable(now)` when it is on disk, or was already."""
        name = (taken.node, taken.number, taken.tag)
        window = self._windows.get(taken.node) or Window()
        verdict = window.judge(taken.number, taken.tag)
        if name in self._writing:
            return
        if verdict is Verdict.AGAIN:
            durable(now)
            return
        if verdict is Verdict.OLD and not taken.stored:
            self._ctx.drop(DropReason.LETTER_OLD)
            return
        gone = self._room(taken.node)
        if gone is None:
            self.turned_away = self.turned_away or taken.stored
            self._ctx.drop(DropReason.LETTER_FULL)
            return
        forgotten = self._admit(taken.node)
        if forgotten is None:
            self._ctx.drop(DropReason.LETTER_SENDERS_FULL)
            return
        if verdict is Verdict.TWIN:
            fields: dict[str, object] = {"node": node_text(taken.node), "number": taken.number}
            self._ctx.emit(Notice("message-twin", fields, warning=True))
        self._windows[taken.node] = window
        before = window.take(taken.number, taken.tag)
        got = Got(self._next, taken.node, taken.number, taken.text, time_s, keys=taken.keys)
        self._next += 1
        self._writing.add(name)
        self._leaving.update(text.place for text in gone)
        self._forgotten.update(forgotten)
        rows = [got.row(), _window_row(taken.node, window)]
        rows += [MetaRow(text.row().key, None) for text in gone]
        rows += [MetaRow(window_key(node), None) for node in forgotten]
        self.texts[got.place] = got

        def finished(why: str, at: int) -> None:
            self._writing.discard(name)
            self._leave(gone, forgotten, written=not why)
            if why:  # its sender comes again: nobody said that it arrived
                self.texts.pop(got.place, None)
                window.restore(taken.number, taken.tag, before)
                self._correct(taken.node, window)
            else:
                self._tell(got)
                durable(at)

        self._commit(tuple(rows), finished)

    def mark(self, got: Got, *, read: bool = False, told: bool = False) -> None:
        """Note that a person has seen a text, or that its sender was told so."""
        got.read, got.told = got.read or read, got.told or told
        if got.place in self.texts and got.place not in self._leaving:
            self._commit((got.row(),), lambda why, now: None)

    def _correct(self, node: bytes, window: Window) -> None:
        """Forget an empty window; write any other again, as later rows may name what was lost."""
        if len(window):
            self._commit((_window_row(node, window),), lambda why, now: None)
        elif self._windows.get(node) is window:
            del self._windows[node]

    def _tell(self, got: Got) -> None:
        # Notices stand in the system's log, which is not the place for what people say.
        fields: dict[str, object] = {
            "id": letter_id(got.node, got.number),
            "node": node_text(got.node),
        }
        self._ctx.emit(Notice("message", fields))

    def _leave(self, gone: list[Got], forgotten: list[bytes], *, written: bool) -> None:
        """Let go of what made room, once the disk has let go of it too; else it stays."""
        for got in gone:
            self._leaving.discard(got.place)
            if written:
                self.texts.pop(got.place, None)
        for node in forgotten:
            if written and node in self._forgotten:
                self._windows.pop(node, None)
            self._forgotten.discard(node)

    def _room(self, node: bytes) -> list[Got] | None:
        """Return what makes room for a text: a read one of the same part. None: there is none.

        Nobody has more unread texts than there are places left, so that who writes much leaves
        half of the room to who comes next.
        """
        knows = self._knows(node)
        kinds = {node: knows}
        part = []
        for got in self.texts.values():
            if got.node not in kinds:
                kinds[got.node] = self._knows(got.node)
            if kinds[got.node] is knows and got.place not in self._leaving:
                part.append(got)
        most = GOT_MAX if knows else STRANGERS_GOT_MAX
        unread = [got.node for got in part if not got.read]
        left = most - len(unread)
        if unread.count(node) >= (left if knows else min(left, STRANGER_UNREAD_MAX)):
            return None
        if len(part) < most:
            return []
        read = [got for got in part if got.read]
        return [min(read, key=lambda got: got.place)] if read else None

    def _admit(self, node: bytes) -> list[bytes] | None:
        """Return whose window makes room for a sender's; None: no room. The oldest used goes."""
        self._forgotten.discard(node)
        known = self._windows.pop(node, None)
        if known is not None:
            self._windows[node] = known
            return []
        knows = self._knows(node)
        same = [
            held
            for held in self._windows
            if held not in self._forgotten and self._knows(held) == knows
        ]
        if len(same) < (SENDERS_MAX if knows else STRANGERS_MAX):
            return []
        return None if knows else same[:1]


def _window_row(node: bytes, window: Window) -> MetaRow:
    key = window_key(node)
    return MetaRow(key, guarded(window.encode(), key))
