"""What is damaged in the store, or had to be begun anew: told in `status`, in notices, in the log.

Enters: what was found while the store was read. Leaves: problems, each with what to do, and
notices. Must not know: how rows are written.
"""

from meshd.core.context import Context
from meshd.core.events import Notice
from meshd.core.ids import encode_text
from meshd.core.snapshot import Problem
from meshd.space.space import Space
from meshd.space.telling import mail_damaged

PROBLEMS_MAX = 16
_REMEDY = (
    "stop meshd and put a copy of store.db back if there is one; "
    "else join the space again with a new invitation"
)


class Damages:
    """The damages of one store, until it is read again; the log has all of them."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._problems: dict[str, Problem] = {}

    def told(self) -> tuple[Problem, ...]:
        """Return what `status` shows."""
        return tuple(self._problems.values())

    def forget(self) -> None:
        """Forget all: the store is read again."""
        self._problems.clear()

    def row(self, key: str, why: str) -> None:
        """Tell of a row that cannot be read."""
        self._ctx.emit(Notice("space-damaged", {"row": key, "why": why}, warning=True))
        self._warn("space-damaged", f"the store's row {key[:80]!r} is damaged: {why}")

    def lost(self, space: bytes) -> None:
        """Tell of entries whose space is not known any more."""
        name = encode_text(space)
        self._ctx.emit(Notice("space-lost", {"space": name}, warning=True))
        text = f"the store holds entries of the space {name}, but its record is damaged or gone"
        self._warn("space-lost", text)

    def feeds(self, space: Space, authors: list[bytes]) -> None:
        """Tell of feeds that are frozen, as what is kept of them does not fit together."""
        for author in authors:
            fields: dict[str, object] = {"space": space.text_id, "author": author.hex()}
            self._ctx.emit(Notice("feed-damaged", fields, warning=True))
            who = space.person_of(author) or author.hex()[:16]
            self._warn(
                "feed-damaged", f"the feed of {who} in {space.name} is damaged: it is frozen"
            )

    def restarted(self, space: Space, problem: Problem) -> None:
        """Tell that the own feed of a space goes on under a new key, and why."""
        self._problems[f"feed-restarted {space.text_id}"] = problem

    def mail(self, space: Space) -> None:
        """Tell that what is under way in a space is damaged, and made anew."""
        self._ctx.emit(Notice("mail-damaged", {"space": space.text_id}, warning=True))
        self._warn("mail-damaged", mail_damaged(space))

    def mail_mended(self, space: Space) -> None:
        """Tell that it has been made anew."""
        self._problems.pop(mail_damaged(space), None)
        self._ctx.emit(Notice("mail-mended", {"space": space.text_id}))

    def _warn(self, code: str, text: str) -> None:
        if len(self._problems) < PROBLEMS_MAX:
            self._problems[text] = Problem(code, text, _REMEDY)
