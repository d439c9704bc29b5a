"""A new own feed for one that cannot go on: our card went back in time, or a twin of us lives.

Enters: evidence that others hold entries of our own feed that we do not. Leaves: a new signing key,
whose first entry is a SUCCESSOR record that the old key signed too, so that every replica hands it
the old key's rights. Ref: docs/wire-format.md#membership.
"""

from meshd.core import crypto
from meshd.core.drops import DropReason
from meshd.core.events import Notice
from meshd.core.snapshot import Problem
from meshd.space.entries import Draft
from meshd.space.membership import successor_statement
from meshd.space.ports import Held
from meshd.space.space import Space
from meshd.wire.entry import Kind
from meshd.wire.membership import Successor

_REMEDY = (
    "look in `meshd log SPACE` on another node for posts that others miss, and write them again; "
    "where a copy runs, stop it, delete its state directory and join it anew"
)
_EVIDENCE = {DropReason.ENTRY_GAP, DropReason.FORK_SUSPECTED}


class Succession:
    """Made when the node has booted: it remembers how far each own feed was then."""

    def __init__(self, spaces: Held) -> None:
        self._spaces = spaces
        self._booted = {space.id: (space.author, _own_seq(space)) for space in spaces.all()}

    def refused(self, space: Space, reason: DropReason, now: int) -> None:
        """Start anew when an entry of our own, from a peer, was refused for what we do not know."""
        if reason in _EVIDENCE:
            forked = reason is DropReason.FORK_SUSPECTED
            self.start(space, now, forked_at=self._forked_at(space, forked=forked))

    def start(self, space: Space, now: int, *, forked_at: int | None = None) -> None:
        """Start a new own feed; after a fork it does not build on our own branch."""
        old, spaces = space.feeds.get(space.author), self._spaces
        if space.rank is None or space.carries_only:
            return
        seed = spaces.ctx.entropy(crypto.KEY_LEN)
        running = old.hash32 if old else space.first_running(space.author)
        seq = old.seq if old else 0
        frontier = space.log.frontier(space.author)
        if forked_at is not None:
            frontier = space.log.frontier_before(space.author, forked_at)
        record = Successor(frontier, space.author, seq, running, b"")
        statement = successor_statement(space.id, crypto.sign_public(seed), record)
        record = record._replace(signature=space.sign_with_own(statement))
        draft = Draft(Kind.SUCCESSOR, record.encode(), b"")
        taken = space.write(draft, time_s=spaces.wall_s(now) or 0, seed=seed)
        if isinstance(taken, DropReason):
            spaces.ctx.drop(taken)
            return
        before = space.author
        kept = space.succeed(seed).row()
        taken = taken._replace(rows=(kept, *taken.rows))
        spaces.commit_own(space, space.author, taken, None)
        fields: dict[str, object] = {"space": space.text_id, "old": before.hex()}
        fields |= {"new": space.author.hex()}
        spaces.ctx.emit(Notice("feed-restarted", fields, warning=True))
        spaces.damages.restarted(space, _problem(space))

    def _forked_at(self, space: Space, *, forked: bool) -> int | None:
        """Return from where on nobody else may hold our own feed; None: from nowhere we know.

        Others hold entries of it that we do not: our card went back in time. So what we wrote since
        this boot stands on a branch of its own, though we may not have seen yet where it began.
        """
        held = _own_seq(space)
        author, seq = self._booted.get(space.id, (b"", 0))
        if author == space.author and seq < held:
            return seq + 1
        return held if forked else None


def _problem(space: Space) -> Problem:
    name = space.name or space.text_id[:8]
    text = (
        f"others hold entries of this node in {name} that are not here: an old state of its card "
        "was put back, or a copy of the card runs elsewhere. This node goes on under a new key "
        "there, and all get what it writes from now on"
    )
    return Problem("feed-restarted", text, _REMEDY)


def _own_seq(space: Space) -> int:
    feed = space.feeds.get(space.author)
    return feed.seq if feed is not None else 0
