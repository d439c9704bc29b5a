"""The three words: written, kept by N, delivered; and who waits to hear them.

Enters: acknowledgements of peers for feeds, waits of local callers. Leaves: replies. *Kept* is said
for a relay that holds an entry under its lease, *delivered* for a member's device that holds it
durably. Only own feeds are counted. Who went away still holds what it acknowledged.
"""

from typing import NamedTuple

from meshd.core.context import Context
from meshd.core.errors import Exit, RequestError
from meshd.core.events import Reply
from meshd.core.ids import node_text
from meshd.space.spaces import Spaces

WAITS_MAX = 256
"""Callers that wait at a time."""
TIMEOUT_MAX_S = 3600


class Delivery(NamedTuple):
    """Who holds an entry: relays under a lease, and members' devices, by NodeId."""

    kept_by: tuple[bytes, ...]
    delivered_to: tuple[bytes, ...]


class Waiting(NamedTuple):
    """A caller that waits until enough nodes hold an entry.

    A `message` is delivered when its receiver's receipt came, by whatever way.
    """

    ticket: int
    space: bytes
    author: bytes
    seq: int
    kept: int
    to: bytes | None
    message: bool = False


class Deliveries:
    """The waits on acknowledgements, which each space remembers."""

    __slots__ = ("_ctx", "_spaces", "_waits")

    def __init__(self, ctx: Context, spaces: Spaces) -> None:
        self._ctx = ctx
        self._spaces = spaces
        self._waits: dict[int, Waiting] = {}

    def acknowledged(self, space: bytes, author: bytes) -> None:
        """A peer holds more of an own feed than before."""
        for waiting in tuple(self._waits.values()):
            if waiting.space == space and waiting.author == author:
                self._check(waiting)

    def of(self, space_id: bytes, author: bytes, seq: int) -> Delivery:
        """Return who holds an entry."""
        space = self._spaces.get(space_id)
        held = space.acks.holders(author, seq).items() if space else ()
        return Delivery(
            tuple(node for node, kept in held if kept),
            tuple(node for node, kept in held if not kept),
        )

    def wait(self, waiting: Waiting, until: int) -> bool:
        """Answer `waiting` when its condition holds, at `until` at the latest; True if it waits.

        Raises: RequestError when too many wait.
        """
        if len(self._waits) >= WAITS_MAX:
            raise RequestError(
                f"{WAITS_MAX} callers wait already", code=Exit.TEMPORARY, remedy="try again later"
            )
        self._waits[waiting.ticket] = waiting
        self._ctx.timers.set(("sync", "waited", waiting.ticket), until)
        self._check(waiting)
        return waiting.ticket in self._waits

    def applied(self, space: bytes) -> None:
        """A new entry of this space may have been a receipt."""
        for waiting in tuple(self._waits.values()):
            if waiting.message and waiting.space == space:
                self._check(waiting)

    def over(self, ticket: int) -> Waiting | None:
        """Give up a wait: tell the caller how far it came."""
        waiting = self._waits.pop(ticket, None)
        if waiting is None:
            return None
        held = self.of(waiting.space, waiting.author, waiting.seq)
        wanted = f"kept by {waiting.kept}" if waiting.kept else "delivered"
        text = (
            f"entry {waiting.seq} is written, kept by {len(held.kept_by)}, "
            f"delivered to {len(held.delivered_to)}: not yet {wanted}"
        )
        remedy = "it stays queued and goes on by itself; wait longer or move nearer to a member"
        reached = _shown(waiting, held)
        self._ctx.emit(Reply(ticket, None, text, Exit.TEMPORARY, remedy, reached))
        return waiting

    def waiting(self, ticket: int) -> bool:
        """Tell whether a caller still waits."""
        return ticket in self._waits

    def _check(self, waiting: Waiting) -> None:
        held = self.of(waiting.space, waiting.author, waiting.seq)
        if waiting.kept:
            reached = len(held.kept_by) >= waiting.kept
        elif waiting.message:
            space = self._spaces.get(waiting.space)
            reached = space is None or not space.mail.awaits(waiting.author, waiting.seq)
        else:
            reached = waiting.to in held.delivered_to if waiting.to else bool(held.delivered_to)
        if not reached:
            return
        self._waits.pop(waiting.ticket, None)
        self._ctx.timers.cancel(("sync", "waited", waiting.ticket))
        if waiting.message and not waiting.kept and waiting.to:
            held = held._replace(delivered_to=tuple({*held.delivered_to, waiting.to}))
        self._ctx.emit(Reply(waiting.ticket, _shown(waiting, held)))


def _shown(waiting: Waiting, held: Delivery) -> dict[str, object]:
    """Return what people see of an entry that is waited for."""
    return {
        "seq": waiting.seq,
        "written": True,
        "kept_by": [node_text(node) for node in held.kept_by],
        "delivered_to": [node_text(node) for node in sorted(held.delivered_to)],
    }
