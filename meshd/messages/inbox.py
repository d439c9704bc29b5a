"""Texts that came for this node: each kept and told once, whatever way brings it again.

Enters: opened texts with their tags, and what the store held at start. Leaves: rows, notices; and,
once a text is on disk, the word that it may be acknowledged. Bounded: texts, and senders whose
numbers are remembered; strangers have a part of their own and push out only each other.
Must not know: how texts travel, keys.
"""

from collections.abc import Callable
from typing import NamedTuple

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.events import MetaRow, Notice, Row
from meshd.core.ids import node_text
from meshd.messages.letter import Got, decode_got, letter_id, rows_of, window_key
from meshd.messages.window import Verdict, Window

GOT_MAX = 256
"""Texts that are kept; the oldest goes, read ones first."""

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


class Inbox:
    """The texts of this node. `knows` tells whether a space is shared with a sender."""

    def __init__(self, ctx: Context, commit: Commit, *, knows: Callable[[bytes], bool]) -> None:
        self.texts: dict[int, Got] = {}
        self._ctx = ctx
        self._commit = commit
        self._knows = knows
        self._windows: dict[bytes, Window] = {}
        self._writing: set[tuple[bytes, int, bytes]] = set()
        self._next = 0

    def load(self, metas: dict[str, bytes]) -> list[str]:
        """Take what the store held; return the names of rows that are damaged."""
        self.texts, self._windows, self._writing, damaged = {}, {}, set(), []
        for key, value in rows_of(metas, "in"):
            try:
                got = decode_got(key, value)
                self.texts[got.place] = got
            except WireError:
                damaged.append(key)
        for key, value in rows_of(metas, "window"):
            try:
                self._windows[bytes.fromhex(key.rpartition("/")[2])] = Window.decode(value)
            except (WireError, ValueError):
                damaged.append(key)
        self._next = max(self.texts, default=-1) + 1
        return damaged

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
        freed = self._admit(taken.node)
        if freed is None:
            self._ctx.drop(DropReason.LETTER_SENDERS_FULL)
            return
        if verdict is Verdict.TWIN:
            fields: dict[str, object] = {"node": node_text(taken.node), "number": taken.number}
            self._ctx.emit(Notice("message-twin", fields, warning=True))
        self._windows[taken.node] = window
        window.take(taken.number, taken.tag)
        got = Got(self._next, taken.node, taken.number, taken.text, time_s)
        self._next += 1
        self._writing.add(name)
        row = MetaRow(window_key(taken.node), window.encode())
        rows = (got.row(), row, *self._make_room(), *freed)
        self.texts[got.place] = got
        self._commit(rows, self._written(name, got, durable))

    def mark(self, got: Got, *, read: bool = False, told: bool = False) -> None:
        """Note that a person has seen a text, or that its sender was told so."""
        got.read, got.told = got.read or read, got.told or told
        if got.place in self.texts:
            self._commit((got.row(),), lambda why, now: None)

    def _written(
        self, name: tuple[bytes, int, bytes], got: Got, durable: Callable[[int], None]
    ) -> Done:
        def finished(why: str, now: int) -> None:
            self._writing.discard(name)
            if why:  # its sender comes again: nobody said that it arrived
                node, number, tag = name
                self.texts.pop(got.place, None)
                if node in self._windows:
                    self._windows[node].forget(number, tag)
                return
            # Notices stand in the system's log, which is not the place for what people say.
            name_text = letter_id(got.node, got.number)
            fields: dict[str, object] = {"id": name_text, "node": node_text(got.node)}
            self._ctx.emit(Notice("message", fields))
            durable(now)

        return finished

    def _make_room(self) -> tuple[MetaRow, ...]:
        if len(self.texts) < GOT_MAX:
            return ()
        place = min(self.texts, key=lambda place: (not self.texts[place].read, place))
        gone = self.texts.pop(place)
        return (MetaRow(gone.row().key, None),)

    def _admit(self, node: bytes) -> tuple[MetaRow, ...] | None:
        """Make room for a sender's window; None: there is none. The table is in order of use."""
        known = self._windows.pop(node, None)
        if known is not None:
            self._windows[node] = known
            return ()
        knows = self._knows(node)
        same = [held for held in self._windows if self._knows(held) == knows]
        if len(same) < (SENDERS_MAX if knows else STRANGERS_MAX):
            return ()
        if knows:
            return None
        del self._windows[same[0]]
        return (MetaRow(window_key(same[0]), None),)
