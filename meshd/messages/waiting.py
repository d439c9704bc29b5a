"""Callers that wait until an own text got as far as they ask. Bounded.

Enters: the request "message.wait", states of own texts, time. Leaves: replies. Must not know: what
is done for a text.
"""

from typing import NamedTuple

from meshd.core.arguments import Args, seconds_of, text_of
from meshd.core.context import Context
from meshd.core.errors import Exit, RequestError
from meshd.core.events import Reply
from meshd.messages.letter import ENDED, Letter, State, letter_id
from meshd.messages.outbox import Outbox

WAITS_MAX = 64
"""Callers that wait for a state at a time."""

_WAITABLE = {"sent": State.SENT, "delivered": State.DELIVERED, "read": State.READ}


class _Waiting(NamedTuple):
    number: int
    state: State


class Waits:
    """Who waits for which text of this node to come how far, by ticket."""

    def __init__(self, ctx: Context, outbox: Outbox, *, node: bytes) -> None:
        self._ctx = ctx
        self._outbox = outbox
        self._node = node
        self._waits: dict[int, _Waiting] = {}

    def wait(self, args: Args, ticket: int, now: int) -> None:
        """Answer when the own text `number` got as far as `state`, or after `timeout_s`."""
        letter = self._outbox.find(args)
        word = text_of(args, "state", "delivered")
        timeout_s = seconds_of(args, "timeout_s", default=60.0, most=3600)
        if word not in _WAITABLE:
            raise RequestError("wait for sent, delivered or read", code=Exit.USAGE)
        if len(self._waits) >= WAITS_MAX:
            raise RequestError(
                f"{WAITS_MAX} callers wait already", code=Exit.TEMPORARY, remedy="try again later"
            )
        self._waits[ticket] = _Waiting(letter.number, _WAITABLE[word])
        self._ctx.timers.set(("messages", "wait", ticket), now + int(timeout_s * 1e6))
        self.changed(letter, now)

    def changed(self, letter: Letter, now: int) -> None:
        """Answer who waited for what a text came to, and who waits for what will never be."""
        for ticket, waiting in list(self._waits.items()):
            if waiting.number != letter.number:
                continue
            if letter.reached >= waiting.state:
                self._drop(ticket)
                self._ctx.emit(Reply(ticket, letter.shown(self._node)))
            elif letter.state in ENDED:
                self.over(ticket)

    def over(self, ticket: int) -> None:
        """Wait no longer: tell the caller how far it came."""
        waiting = self._waits.get(ticket)
        self._drop(ticket)
        letter = self._outbox.letters.get(waiting.number) if waiting else None
        if waiting is None or letter is None:
            return
        text = (
            f"message {letter_id(self._node, letter.number)} is {letter.state.text}: "
            f"not yet {waiting.state.text}"
        )
        remedy = "it goes on by itself; `meshd messages` shows how far it is"
        if letter.state in ENDED:
            remedy = "nothing more is tried; write it again if it is still wanted"
        elif letter.state is State.DELIVERED:
            remedy = "a receiver tells that it was read only with `read_receipts = true`"
        reached = letter.shown(self._node)
        self._ctx.emit(Reply(ticket, None, text, int(Exit.TEMPORARY), remedy, reached))

    def _drop(self, ticket: int) -> None:
        self._waits.pop(ticket, None)
        self._ctx.timers.cancel(("messages", "wait", ticket))
