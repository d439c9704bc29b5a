"""The joins under way at one node, and the requests of others to be let in.

Enters: links from people, requests and answers from peers. Leaves: requests to send, spaces joined,
`JoinAnswered` once an admission is durable. A join keeps its signing key on disk until it works.
Must not know: whom to ask and how often, which is `sync/join_talk.py`.
Ref: docs/wire-format.md#invitations.
"""

from typing import NamedTuple

from meshd.core import crypto
from meshd.core.drops import DropReason
from meshd.core.errors import RequestError, WireError
from meshd.core.events import MetaRow
from meshd.space import invitations
from meshd.space.feed import JoinAnswered
from meshd.space.ports import Done, Joinable
from meshd.space.record import JoiningRecord, joining_key
from meshd.space.space import Space
from meshd.wire import invitation as wire

JOININGS_MAX = 64
"""Joins whose signing key is kept until they work; the one not asked for longest is forgotten."""


class Joining(NamedTuple):
    """A join under way: the space, nodes that may answer, and the request to send to them."""

    space: bytes
    hints: tuple[bytes, ...]
    request: bytes


class Joins:
    """Keeps the joins of one node until their spaces are here."""

    def __init__(self, spaces: Joinable) -> None:
        self._spaces = spaces
        self._waiting: dict[bytes, JoiningRecord] = {}

    def load(self, waiting: dict[bytes, JoiningRecord]) -> None:
        """Replace all by what the store holds; those whose space let us in are over."""
        self._waiting = waiting
        for space in self._spaces.all():
            if space.rank is not None:
                self._waiting.pop(space.id, None)

    def start(self, link: str, person: str) -> Joining:
        """Begin, or begin again, to join by a link; the signing key stays the same until it works.

        Raises: RequestError when the link cannot be used or the space is here already.
        """
        spaces = self._spaces
        invitation = invitations.parse_link(link)
        known = spaces.get(invitation.space)
        if known is not None and known.rank is not None:
            name = known.name or known.text_id[:8]
            raise RequestError(f"this node is in {name} already", remedy=f"meshd log {name}")
        if spaces.closed:
            raise invitations.refusal(DropReason.STORE_CLOSED)
        waiting = self._waiting.pop(invitation.space, None) or (known and known.record())
        if known is None:
            spaces.check_room()
        if len(self._waiting) >= JOININGS_MAX:
            self.drop(next(iter(self._waiting)))
        seed = waiting.seed if waiting else spaces.ctx.entropy(crypto.KEY_LEN)
        record = JoiningRecord(invitation.encode(), seed, person)
        self._waiting[invitation.space] = record
        spaces.commit((record.row(invitation.space),), _ignore)
        return self._joining(invitation.space)

    def all(self) -> list[Joining]:
        """Return the joins that wait for an answer, those from before a restart too."""
        return [self._joining(space) for space in self._waiting]

    def unheard(self) -> list[Joining]:
        """Return the joins that were answered though no record of our admission is here."""
        spaces = self._spaces
        return [self._joining(one) for one in self._waiting if spaces.get(one) is not None]

    def finish(self, space_id: bytes, answer: bytes, done: Done) -> Space | DropReason:
        """Take the answer to a join; `done` hears when the space is on disk.

        The space then has no entries yet: `Space.rank` is None until sync has brought them. Until
        then the join is kept: whoever answered may not have let us in.
        """
        record = self._waiting.get(space_id)
        if record is None:
            return DropReason.JOIN_ANSWER
        if self._spaces.closed:
            return DropReason.STORE_CLOSED
        kept = invitations.accept_answer(record, answer)
        return kept if isinstance(kept, DropReason) else self._spaces.adopt(kept, done)

    def answer(self, request: bytes, token: int, now: int) -> DropReason | None:
        """Judge a join request. `JoinAnswered(token, …)` follows when the admission is durable."""
        if self._spaces.closed:
            return DropReason.STORE_CLOSED
        try:
            decoded = wire.decode_request(request)
        except WireError:
            return DropReason.JOIN_MALFORMED
        refused = DropReason.INVITE_UNKNOWN
        for space in self._spaces.all():
            admission = invitations.admit(space, decoded, self._spaces.wall_s(now))
            if admission is DropReason.INVITE_UNKNOWN:
                continue
            if isinstance(admission, DropReason):
                refused = admission
                continue
            return self._let_in(space, admission, token, now)
        return refused

    def drop(self, space_id: bytes) -> None:
        """Forget a join: it worked, or there are too many."""
        if self._waiting.pop(space_id, None) is not None:
            self._spaces.commit((MetaRow(joining_key(space_id), None),), _ignore)

    def _joining(self, space_id: bytes) -> Joining:
        record, spaces = self._waiting[space_id], self._spaces
        nonce = spaces.ctx.entropy(crypto.XNONCE_LEN)
        request = invitations.join_request(record, spaces.identity, nonce)
        return Joining(space_id, invitations.parse_link(record.link).hints, request)

    def _let_in(
        self, space: Space, admission: invitations.Admission, token: int, now: int
    ) -> DropReason | None:
        events = self._spaces.events
        if admission.draft is None:
            events.append(JoinAnswered(token, admission.answer))
            return None

        def finished(why: str, at: int) -> None:
            refused = DropReason.STORE_CLOSED.value if why else ""
            events.append(JoinAnswered(token, b"" if why else admission.answer, refused))

        taken = space.write(admission.draft, time_s=self._spaces.wall_s(now) or 0)
        if isinstance(taken, DropReason):
            return taken
        self._spaces.commit_own(space, space.author, taken, finished)
        return None


def _ignore(why: str, now: int) -> None:
    return
