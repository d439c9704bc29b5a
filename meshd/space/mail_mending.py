"""Mail whose row was damaged, or is gone, is made anew from the entries of its space.

Enters: spaces whose mail is in doubt, pages of their feeds from the store. Leaves: mail as it was,
and its row. First all messages are noted, then what receipts and prekeys say of them. Until the end
nothing counts as delivered and nothing is acknowledged. Must not know: how damage is told.
"""

from collections.abc import Callable

from meshd.core.context import Context
from meshd.core.errors import WireError
from meshd.core.events import Answer, EntriesQuery, Row
from meshd.space.entries import Opened
from meshd.space.space import Space
from meshd.wire import payload
from meshd.wire.entry import Kind

PAGE_BYTES = 256 * 1024
_MESSAGES = (Kind.MESSAGE, Kind.LETTER)
_WORDS = (Kind.RECEIPT, Kind.PREKEY)


def first_rows(space: Space) -> tuple[Row, ...]:
    """Return what is written of a space first, together: so a row that is not there is lost."""
    return space.record().row(), space.mail.row(space.id)


class _Job:
    """One space: feeds to be read, each up to an entry, in the first round or the second."""

    __slots__ = ("next", "rounds", "space", "todo")

    def __init__(self, space: Space) -> None:
        self.space = space
        self.rounds = iter((_MESSAGES, _WORDS))
        self.todo: list[tuple[bytes, int]] = []
        self.next = 1


class MailMending:
    """The spaces that are read. `mended(space, now)` hears of each that is whole again."""

    def __init__(self, ctx: Context, mended: Callable[[Space, int], None]) -> None:
        self._ctx = ctx
        self._mended = mended
        self._reads: dict[int, tuple[_Job, tuple[Kind, ...]]] = {}

    def forget(self) -> None:
        """Take no more answers: the spaces were read anew."""
        self._reads = {}

    def start(self, space: Space) -> None:
        """Begin to read a space."""
        self._begin(_Job(space), 0)

    def read_done(self, token: int, answer: Answer, now: int) -> None:
        """Take a page of a feed; what is not of a space that is mended is passed over."""
        job, kinds = self._reads.pop(token, (None, ()))
        if job is None:
            return
        datas = answer if isinstance(answer, tuple) else ()
        author, last = job.todo[0]
        for data in datas:
            if isinstance(data, bytes) and data[1:2] in [bytes([kind]) for kind in kinds]:
                _learn(job.space, author, data)
        job.next += len(datas)
        if not datas or job.next > last:
            job.todo.pop(0)
            job.next = 1
        self._read(job, kinds, now)

    def read_failed(self, token: int) -> None:
        """Leave a space in doubt until the store is opened again."""
        self._reads.pop(token, None)

    def _begin(self, job: _Job, now: int) -> None:
        kinds = next(job.rounds, None)
        if kinds is None:
            job.space.mail.believe()
            self._mended(job.space, now)
            return
        feeds = sorted(job.space.feeds.items())
        job.todo = [(author, feed.durable_seq) for author, feed in feeds if feed.durable_seq]
        self._read(job, kinds, now)

    def _read(self, job: _Job, kinds: tuple[Kind, ...], now: int) -> None:
        if not job.todo:
            self._begin(job, now)
            return
        author, last = job.todo[0]
        query = EntriesQuery(job.space.id, author, job.next, last, PAGE_BYTES)
        self._reads[self._ctx.read("space", query)] = (job, kinds)


def _learn(space: Space, author: bytes, data: bytes) -> None:
    opened, digest = space.open(author, data), space.entry_digest(author, data)
    if opened is None or digest is None:
        return
    mail, own = space.mail, space.is_own(author)
    if opened.kind in _MESSAGES:
        mail.message(author, opened, own=own, node=b"" if own else space.node, digest=digest)
    elif opened.kind == Kind.RECEIPT:
        mail.receipt(opened, own=own, node=space.node_of(author))
    else:
        _learn_prekey(space, author, opened)


def _learn_prekey(space: Space, author: bytes, opened: Opened) -> None:
    try:
        unopened = payload.decode_prekey(opened.payload).unopened
    except WireError:
        return
    if space.is_own(author):
        space.mail.settle(unopened)
    else:
        space.mail.give_back(unopened, space.node_of(author))
