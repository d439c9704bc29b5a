"""The log that a person reads: entries of all feeds of a space, decrypted, newest last.

Enters: a request and the store's answers. Leaves: one `Reply` a request. Entries are ordered by the
author's clock, then author and number; the clock may lie, so nothing but the order shown hangs on
it. Only what is on disk is shown.
"""

from collections import deque
from dataclasses import dataclass, field
from json import dumps

from meshd.core.context import Context
from meshd.core.errors import Exit, RequestError, WireError
from meshd.core.events import Answer, EntriesQuery, Reply
from meshd.core.ids import node_text
from meshd.space.entries import Opened
from meshd.space.space import Space
from meshd.wire import entry as wire
from meshd.wire import payload
from meshd.wire.entry import Kind, kind_name

LOGS_MAX = 8
"""Logs being read at once; a further one is refused to its caller."""
PAGES_MAX = 32
"""Pages read of one feed for one log, so that a feed of receipts does not keep it reading."""
_PAGE_BYTES = 256 * 1024
_REPLY_BYTES = 40 * 1024
_TEXT_MAX = 4096
_SHOWN = {Kind.POST, Kind.DISTRESS, Kind.MESSAGE, Kind.FILE}

Item = dict[str, object]


@dataclass(slots=True)
class _Feed:
    """How far one feed has been read.

    Pages go backwards until enough was found or `floor` is reached; within a page, `start` to
    `last`, the store may need several answers, `next` being the first entry still to come.
    """

    author: bytes
    floor: int
    start: int
    next: int
    last: int
    pages: int = 0
    found: deque[tuple[int, int, Item]] = field(default_factory=deque)
    page: list[tuple[int, int, Item]] = field(default_factory=list)


@dataclass(slots=True)
class _Job:
    space: Space
    limit: int
    ticket: int
    cursor: dict[str, int]
    waits: tuple[str, ...] = ()
    feeds: list[_Feed] = field(default_factory=list)
    waiting: int = 0


class LogReader:
    """Logs under way, by the token of each store read."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._reads: dict[int, tuple[_Job, _Feed]] = {}
        self._jobs = 0

    def start(
        self,
        space: Space,
        *,
        limit: int,
        after: dict[bytes, int],
        ticket: int,
        waits: tuple[str, ...] = (),
    ) -> None:
        """Read the last `limit` entries, of each feed only those above its number in `after`.

        `waits` says what is on its way, and is told with them.

        Raises: RequestError when too many logs are being read.
        """
        if self._jobs >= LOGS_MAX:
            raise RequestError(
                "too many logs are being read", code=Exit.TEMPORARY, remedy="try again in a moment"
            )
        heads = {author: feed.durable_seq for author, feed in space.feeds.items()}
        cursor = {author.hex(): seq for author, seq in sorted(heads.items()) if seq}
        job = _Job(space, limit, ticket, cursor, waits)
        self._jobs += 1
        for author, seq in sorted(heads.items()):
            floor = after.get(author, 0) + 1
            if seq >= floor:
                start = max(floor, seq - limit + 1)
                feed = _Feed(author, floor, start, start, seq)
                job.feeds.append(feed)
                self._read(job, feed)
        if not job.waiting:
            self._finish(job)

    def read_done(self, token: int, answer: Answer) -> None:
        """Take one page of one feed."""
        job, feed = self._reads.pop(token, (None, None))
        if job is None or feed is None:
            return
        job.waiting -= 1
        datas = answer if isinstance(answer, tuple) else ()
        for data in datas:
            item = _item(job.space, feed.author, data) if isinstance(data, bytes) else None
            if item is not None:
                feed.page.append(item)
        feed.next += len(datas)
        feed.pages += 1
        if not datas or feed.next > feed.last:
            self._end_page(job, feed)
        if feed.next <= feed.last and feed.pages < PAGES_MAX and datas:
            self._read(job, feed)
        if not job.waiting:
            self._finish(job)

    def read_failed(self, token: int, why: str) -> None:
        """Answer with an error; what else arrives for that log is ignored."""
        job, _ = self._reads.pop(token, (None, None))
        if job is None:
            return
        self._reads = {known: held for known, held in self._reads.items() if held[0] is not job}
        self._jobs -= 1
        remedy = "see `meshd status` for the state of the store"
        self._ctx.emit(
            Reply(job.ticket, None, f"the log cannot be read: {why}", int(Exit.ERROR), remedy)
        )

    def _read(self, job: _Job, feed: _Feed) -> None:
        query = EntriesQuery(job.space.id, feed.author, feed.next, feed.last, _PAGE_BYTES)
        self._reads[self._ctx.read("space", query)] = (job, feed)
        job.waiting += 1

    def _end_page(self, job: _Job, feed: _Feed) -> None:
        """Keep a whole page, and turn to the one before when too little could be shown."""
        feed.found.extendleft(reversed(feed.page))
        feed.page = []
        while len(feed.found) > job.limit:
            feed.found.popleft()
        if len(feed.found) < job.limit and feed.start > feed.floor:
            feed.last = feed.start - 1
            feed.start = feed.next = max(feed.floor, feed.last - job.limit + 1)

    def _finish(self, job: _Job) -> None:
        self._jobs -= 1
        rows = ((feed.author, row) for feed in job.feeds for row in (*feed.found, *feed.page))
        merged = sorted(rows, key=lambda row: (row[1][0], row[0], row[1][1]))
        shown: deque[Item] = deque()
        ahead = _ahead(job.space)
        room = _REPLY_BYTES - len(dumps(ahead))
        for _, (_, _, item) in reversed(merged[-job.limit :]):
            room -= len(dumps(item))
            if room < 0 and shown:
                break
            shown.appendleft(item)
        value: Item = {
            "space": job.space.text_id,
            "name": job.space.name,
            "entries": list(shown),
            "more": len(shown) < len(merged) or any(feed.start > feed.floor for feed in job.feeds),
            "cursor": job.cursor,
        }
        if ahead:
            value["ahead"] = ahead
        if job.waits:
            value["waits"] = list(job.waits)
        self._ctx.emit(Reply(job.ticket, value))


def _ahead(space: Space) -> list[Item]:
    """Return calls for help that have no place in their feed yet, the newest that find room."""
    shown: deque[Item] = deque()
    room = _REPLY_BYTES // 2
    for author, data in reversed(space.early.all()):
        found = _item(space, author, data)
        if found is not None and (room := room - len(dumps(found[2]))) > 0:
            shown.appendleft(found[2] | {"ahead": True})
    return list(shown)


def _item(space: Space, author: bytes, data: bytes) -> tuple[int, int, Item] | None:
    """Return (time, seq, what to show) of a kept entry; None for what people do not read."""
    try:
        entry = wire.decode(data)
    except WireError:
        return None
    head = entry.head
    if head.kind not in _SHOWN:
        return None
    node = space.node_of(author)
    item: Item = {
        "author": author.hex(),
        "node": node_text(node) if node else None,
        "by": space.person_of(author),
        "seq": head.seq,
        "time": head.time_s or None,
        "kind": kind_name(head.kind),
        "own": space.is_own(author),
    }
    opened = space.open(author, data)
    if opened is None:
        item["sealed"] = len(entry.sealed)
    else:
        _fill(item, opened)
    if item["own"]:
        item |= {"written": True, "kept": space.acks.kept_by(author, head.seq)}
        members = {one.node for one in space.members() if one.role != "relay"}
        held = (node for node in space.acks.holders(author, head.seq) if node in members)
        item["delivered_to"] = [node_text(node) for node in held]
        if head.kind == Kind.MESSAGE:
            item["delivered"] = not space.mail.awaits(author, head.seq)
    return head.time_s, head.seq, item


def _fill(item: Item, opened: Opened) -> None:
    try:
        if opened.kind in (Kind.POST, Kind.DISTRESS):
            _put_text(item, payload.decode_post(opened.payload).text)
        elif opened.kind == Kind.MESSAGE:
            message = payload.decode_message(opened.payload)
            item["to"] = node_text(message.to)
            _put_text(item, message.text)
        else:
            file = payload.decode_file_secret(opened.payload)
            item |= {"file": file.name, "size": file.size, "media_type": file.media_type}
    except WireError as error:
        item["damaged"] = str(error)


def _put_text(item: Item, text: str) -> None:
    item["text"] = text[:_TEXT_MAX]
    if len(text) > _TEXT_MAX:
        item["cut"] = len(text)
