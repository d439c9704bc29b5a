"""Own texts and what became of them: kept, numbered, told when their state changes.

Enters: texts of people, what happened to them, and what the store held at start. Leaves: rows,
notices, and which texts wait. Numbers rise by one and are on disk before a text leaves.
Must not know: keys, ways.
"""

from collections.abc import Callable
from dataclasses import replace

from meshd.core.arguments import Args, number_of
from meshd.core.context import Context
from meshd.core.errors import Exit, RequestError, WireError
from meshd.core.events import MetaRow, Notice
from meshd.core.guard import guarded, unguarded
from meshd.core.ids import node_text
from meshd.messages.inbox import Commit
from meshd.messages.letter import (
    FINAL,
    KEEPERS_MAX,
    NEXT_KEY,
    Letter,
    State,
    decode_letter,
    letter_id,
    number_in,
    out_key,
    rows_of,
)
from meshd.wire.letters import NUMBER_MAX

WAITING_MAX = 128
"""Own texts that are not delivered or given up; a further one is refused."""

SENT_MAX = 256
"""Own texts that are kept in all; the oldest that nobody waits for goes."""


_NEXT_LEN = 5
"""Bytes of the next number, which is one beyond `NUMBER_MAX` at the very end."""


class Outbox:
    """The own texts of this node, by number."""

    def __init__(self, ctx: Context, commit: Commit, *, node: bytes) -> None:
        self.letters: dict[int, Letter] = {}
        self._ctx = ctx
        self._commit = commit
        self._node = node
        self._next = 1
        self._unwritten: set[int] = set()
        self._behind: dict[int, None] = {}

    def load(self, metas: dict[str, bytes]) -> list[str]:
        """Take what the store holds; return the names of rows that are damaged.

        What this run knows of a text stays: after a failed commit the disk is older than the truth.
        """
        known, damaged, rows = self.letters, [], rows_of(metas, "out")
        found, self._behind = dict(known), dict.fromkeys(known)
        for key, value in rows:
            number = number_in(key)
            if number in self._unwritten:  # nobody was told that it is kept
                self._behind[number] = None
            elif number in known:
                if known[number].row().value == value:
                    del self._behind[number]
            else:
                try:
                    letter = decode_letter(key, value)
                    found[letter.number] = letter
                except WireError:
                    damaged.append(key)
        self.letters = dict(sorted(found.items()))
        self._next = max(self._next, max((number_in(key) for key, _ in rows), default=0) + 1)
        if NEXT_KEY in metas:
            try:
                kept = int.from_bytes(unguarded(metas[NEXT_KEY], NEXT_KEY), "big")
                self._next = max(self._next, kept)
            except WireError:
                damaged.append(NEXT_KEY)
        return damaged

    @property
    def is_behind(self) -> bool:
        """Whether the disk has other rows than it should: `catch_up` writes them."""
        return bool(self._behind)

    def catch_up(self) -> None:
        """Have the rows written that a failed commit left behind."""
        behind, self._behind = self._behind, {}
        texts = [(number, self.letters.get(number)) for number in behind]
        rows = [text.row() if text else MetaRow(out_key(number), None) for number, text in texts]
        if rows:
            self._commit(tuple(rows), lambda why, now: None)

    def waiting(self) -> list[Letter]:
        """Return the texts for which something is still to be done."""
        return [letter for letter in self.letters.values() if letter.state not in FINAL]

    def reached(self) -> set[bytes]:
        """Return the nodes that got a text."""
        came = (State.DELIVERED, State.READ)
        return {letter.to for letter in self.letters.values() if letter.reached in came}

    def find(self, args: Args) -> Letter:
        """Return the own text that a request means by its `number`. Raises: RequestError."""
        number = number_of(args, "number", default=0, least=1, most=NUMBER_MAX)
        letter = self.letters.get(number)
        if letter is None:
            raise RequestError(
                f"no message {number} of this node",
                code=Exit.NOT_FOUND,
                remedy="`meshd messages --waiting` shows what waits, with its number",
            )
        return letter

    def add(
        self,
        to: bytes,
        text: str,
        time_s: int,
        done: Callable[[Letter, str, int], None],
        *,
        loose: bool,
    ) -> Letter:
        """Keep a text; `done(letter, why not, now)` when it is on disk, or is not.

        `loose`: it will leave at once, so that this is written with it.

        Raises: RequestError when too many wait.
        """
        if len(self.waiting()) >= WAITING_MAX or self._next > NUMBER_MAX:
            raise RequestError(
                f"{WAITING_MAX} messages wait already",
                code=Exit.TEMPORARY,
                remedy="wait until some are delivered; `meshd messages` shows them",
            )
        letter = Letter(self._next, to, text, time_s, loose=loose)
        self._next += 1
        self.letters[letter.number] = letter
        following = guarded(self._next.to_bytes(_NEXT_LEN, "big"), NEXT_KEY)
        rows = (letter.row(), MetaRow(NEXT_KEY, following))

        def finished(why: str, now: int) -> None:
            if why:
                self.letters.pop(letter.number, None)
                self._unwritten.add(letter.number)
            done(letter, why, now)

        self._commit((*rows, *self._make_room()), finished)
        return letter

    def advance(self, letter: Letter, state: State, **told: object) -> bool:
        """Let a text go on to a state, keep that, and tell it; False when it is no step forward."""
        if letter.number not in self.letters or not letter.advance(state):
            return False
        self.keep(letter)
        fields: dict[str, object] = {
            "id": letter_id(self._node, letter.number),
            "node": node_text(letter.to),
            "state": state.text,
        }
        self._ctx.emit(Notice("message-state", fields | told))
        return True

    def kept_by(self, letter: Letter, nodes: list[bytes]) -> None:
        """Note who holds a stored text."""
        new = [node for node in nodes if node not in letter.kept_by]
        if not new or letter.state in FINAL or len(letter.kept_by) >= KEEPERS_MAX:
            return
        letter.kept_by = (letter.kept_by + new)[:KEEPERS_MAX]
        names = [node_text(node) for node in letter.kept_by]
        if not self.advance(letter, State.KEPT, kept_by=names):
            self.keep(letter)

    def keep(self, letter: Letter, *rows: MetaRow) -> None:
        """Have the row of a text written, and others with it."""
        self._commit((letter.row(), *rows), lambda why, now: None)

    def end(self, letter: Letter, state: State, done: Callable[[str, int], None]) -> None:
        """Have the last state of a text written, before anybody is told; `done(why not, now)`."""
        self._commit((replace(letter, state=state).row(),), done)

    def let_loose(self, letter: Letter, done: Callable[[str, int], None]) -> None:
        """Have it written that a text may leave, before it does; `done(why not, now)`."""
        letter.loose = True

        def finished(why: str, now: int) -> None:
            letter.loose = not why
            done(why, now)

        self._commit((letter.row(),), finished)

    def _make_room(self) -> tuple[MetaRow, ...]:
        rows = []
        done = [letter for letter in self.letters.values() if letter.state in FINAL]
        for letter in done[: max(len(self.letters) - SENT_MAX, 0)]:
            del self.letters[letter.number]
            rows.append(MetaRow(out_key(letter.number), None))
        return tuple(rows)
