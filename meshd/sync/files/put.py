"""Puts a file into a space: chunks sealed by the store, the index, the manifest, the answer.

Enters: a request with an open file, answers of the store. Leaves: store queries, one FILE entry,
progress and the reply, which comes when all of it is on disk: *written*. A put that fails takes
its chunks back. Must not know: peers.
"""

from collections.abc import Callable
from functools import partial

from meshd.core.context import Context
from meshd.core.crypto import KEY_LEN, chunk_name
from meshd.core.errors import Exit, RequestError, WireError
from meshd.core.events import Answer, ForgetQuery, KeepQuery, Progress, Reply, SealQuery
from meshd.core.ids import encode_text
from meshd.core.limits import CHUNK_BYTES
from meshd.space.entries import Draft
from meshd.sync.files.layout import build_index, chunks_of, levels_of, sealed_size
from meshd.sync.reads import Reads
from meshd.wire.entry import Kind
from meshd.wire.file_messages import NAME_LEN
from meshd.wire.payload import FileClear, FileSecret

PUTS_MAX = 8
WINDOW_MAX = 6
"""Chunks of one put that the store works on."""
FORGET_MAX = 1024

Done = Callable[[str, int], None]
Append = Callable[[bytes, Draft, int, Done], int]
"""Appends a draft to the space of that id; returns its seq. Raises: RequestError, WireError."""
Written = Callable[[bytes, bytes, int, int], dict[str, object]]
"""Takes space, root, size, now of a file that is on disk; returns what is said of its way."""


class Put:
    """One file on its way in. `names` grows by 32 bytes a chunk, each at its place."""

    __slots__ = ("done", "handle", "index", "names", "next", "over", "secret", "space", "ticket")

    def __init__(self, space: bytes, secret: FileSecret, handle: int, ticket: int) -> None:
        self.space = space
        self.secret = secret
        self.handle = handle
        self.ticket = ticket
        self.names = bytearray(NAME_LEN * chunks_of(secret.size))
        self.next = 0
        self.done = 0
        self.index: list[bytes] = []
        self.over = False

    def plain_size(self, place: int) -> int:
        """Return the plaintext bytes of a chunk."""
        return min(CHUNK_BYTES, self.secret.size - place * CHUNK_BYTES)

    @property
    def chunks(self) -> int:
        """How many chunks the file takes."""
        return len(self.names) // NAME_LEN


class Puts:
    """All puts under way, at most `PUTS_MAX`."""

    def __init__(
        self, ctx: Context, reads: Reads, append: Append, *, written: Written | None = None
    ) -> None:
        self._ctx = ctx
        self._reads = reads
        self._append = append
        self._done = written
        self._puts: list[Put] = []

    def start(self, space: bytes, meta: FileSecret, handle: int, ticket: int) -> None:
        """Begin to put a file; `meta.key` is made here. Raises: RequestError."""
        if len(self._puts) >= PUTS_MAX:
            raise RequestError(
                f"{PUTS_MAX} files are being put already",
                code=Exit.TEMPORARY,
                remedy="try again when one of them is done",
            )
        put = Put(space, meta._replace(key=self._ctx.entropy(KEY_LEN)), handle, ticket)
        self._puts.append(put)
        self._seal_next(put)

    def _seal_next(self, put: Put) -> None:
        while put.next < put.chunks and put.next - put.done < WINDOW_MAX:
            query = SealQuery(put.handle, put.secret.key, put.next)
            self._reads.ask(query, partial(self._sealed, put, put.next))
            put.next += 1

    def _sealed(self, put: Put, place: int, answer: Answer, why: str, now: int) -> None:
        put.done += 1
        if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], bytes):
            put.names[NAME_LEN * place : NAME_LEN * (place + 1)] = answer[0]
            if answer[1] != put.plain_size(place):
                why = "the file changed while it was read"
        if put.over or why:
            self._fail(put, RequestError(why, remedy="put it again when nothing writes to it"))
            return
        step = max(1, put.chunks // 100)
        if put.done % step == 0 or put.done == put.chunks:
            done = min(put.secret.size, put.done * CHUNK_BYTES)
            self._ctx.emit(Progress(put.ticket, "bytes", done, put.secret.size))
        self._seal_next(put)
        if put.done == put.chunks:
            put.index = list(build_index(bytes(put.names)))
            self._keep_index(put)

    def _keep_index(self, put: Put) -> None:
        data = put.index[0]
        self._reads.ask(KeepQuery(chunk_name(data), data, True), partial(self._index_kept, put))

    def _index_kept(self, put: Put, answer: Answer, why: str, now: int) -> None:
        if why:
            self._fail(put, RequestError(why, remedy="free space on the disk, then put it again"))
            return
        root = chunk_name(put.index[0])
        put.names += root
        del put.index[0]
        if put.index:
            self._keep_index(put)
            return
        size = put.secret.size
        clear = FileClear(root, levels_of(chunks_of(size)), chunks_of(size), sealed_size(size))
        draft = Draft(Kind.FILE, clear.encode(), put.secret.encode())
        value: dict[str, object] = {
            "file": encode_text(root),
            "name": put.secret.name,
            "size": size,
            "state": "written",
        }
        try:
            done = partial(self._written, put, value)
            value["seq"] = self._append(put.space, draft, now, done)
        except RequestError as error:
            self._fail(put, error)
        except WireError as error:
            self._fail(put, RequestError(f"the file's name does not fit: {error}"))

    def _written(self, put: Put, value: dict[str, object], why: str, now: int) -> None:
        if why:
            self._fail(put, RequestError(why, remedy="`meshd status` says what is wrong"))
            return
        self._puts.remove(put)
        root = bytes(put.names[-NAME_LEN:])
        if self._done is not None:
            value |= self._done(put.space, root, put.secret.size, now)
        self._ctx.emit(Reply(put.ticket, value))

    def _fail(self, put: Put, error: RequestError) -> None:
        """Answer once; when nothing is under way any more, take back what was sealed."""
        if not put.over:
            put.over = True
            reply = Reply(put.ticket, None, error.text, int(error.code), error.remedy)
            self._ctx.emit(reply)
        if put.done < put.next:
            return
        self._puts.remove(put)
        starts = range(0, len(put.names), NAME_LEN)
        names = [bytes(put.names[start : start + NAME_LEN]) for start in starts]
        sealed = [name for name in names if any(name)]
        for start in range(0, len(sealed), FORGET_MAX):
            query = ForgetQuery(tuple(sealed[start : start + FORGET_MAX]))
            self._reads.ask(query, lambda answer, why, now: None)
