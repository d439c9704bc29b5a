"""The store off the event loop: one thread commits, others read and do the work on chunks.

Enters: `StoreAppend` and `StoreRead` of the engine, on the loop's thread. Leaves: calls of the
`StoreListener`, on the loop's thread too. What waits when a commit begins goes into it (at most
`GROUP_MAX` appends), so that under load one fsync serves many and alone nobody waits.

After a failed commit everything that the engine appended before it was told has failed too: its
heads were built on rows that are lost. The store is opened and verified again, and the engine gets
a new image before the next append is taken.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Thread
from typing import Protocol, TypeVar

from meshd.core.errors import UsageError
from meshd.core.events import (
    Answer,
    EntriesQuery,
    StoreAppend,
    StoreImage,
    StoreRead,
)
from meshd.store.interface import Backend, StoreError, StoreFault

GROUP_MAX = 64
QUEUE_MAX = 4096
BULK_THREADS = 2
REOPEN_AFTER_S = 5.0
CLOSE_WITHIN_S = 5.0
"""How long files of people may hold up the end: a stuck share never lets go."""

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class StoreListener(Protocol):
    """What the daemon does with the store's answers; all are called on the loop's thread."""

    def committed(self, up_to: int) -> None:
        """All appends up to this number are durable."""

    def commit_failed(self, number: int, why: str) -> None:
        """This append is not on disk and never will be."""

    def reloaded(self, image: StoreImage) -> None:
        """The store was opened again: this is what it holds."""

    def read_done(self, token: int, answer: Answer) -> None:
        """A read is answered."""

    def read_failed(self, token: int, why: str) -> None:
        """A read cannot be answered."""

    def store_state(self, error: StoreError | None) -> None:
        """The store fails (text and remedy inside), or works again (None)."""


class StoreWorker:
    """Owns a backend and its threads. All methods are for the loop's thread.

    With a `fault`, the backend could not be opened yet; it is tried again until it can be.
    """

    def __init__(
        self, backend: Backend, listener: StoreListener, *, fault: StoreError | None = None
    ) -> None:
        self._backend = backend
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._commits = ThreadPoolExecutor(1, "store-commit")
        self._reads = ThreadPoolExecutor(1, "store-read")
        self._bulk = ThreadPoolExecutor(BULK_THREADS, "store-bulk")
        self._queue: deque[StoreAppend] = deque()
        self._group: list[StoreAppend] = []
        self._down = fault
        self._reopening: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False
        if fault is not None:
            self._reopening = self._loop.call_later(REOPEN_AFTER_S, self._reopen)

    async def load(self) -> StoreImage:
        """Return the image that the engine starts from. Raises: StoreError."""
        return await self._loop.run_in_executor(self._commits, self._backend.load)

    def append(self, append: StoreAppend) -> None:
        """Queue rows; answered by `committed` or `commit_failed`, never from within this call."""
        if self._closed:
            raise UsageError("the store worker is closed")
        if self._down is None and len(self._queue) >= QUEUE_MAX:
            self._fail_from_here(_too_slow())
        if self._down is not None:
            self._loop.call_soon(self._listener.commit_failed, append.number, self._down.text)
            return
        self._queue.append(append)
        self._commit_next()

    def read(self, read: StoreRead) -> None:
        """Answer a query beside the commits; order among reads is not kept."""
        if self._closed:
            raise UsageError("the store worker is closed")
        pool = self._reads if isinstance(read.query, EntriesQuery) else self._bulk
        token = read.token
        self._then(
            pool.submit(self._backend.answer, read.query),
            lambda answer: self._listener.read_done(token, answer),
            lambda error: self._listener.read_failed(token, error.text),
        )

    def register_file(self, fd: int, *, writable: bool) -> int:
        """Take over an open file; return the handle that queries name. Raises: StoreError."""
        return self._backend.add_file(fd, writable=writable)

    def release_file(self, handle: int) -> None:
        """Close the file of a handle, once no query uses it."""
        self._backend.release_file(handle)

    async def close(self) -> bool:
        """Commit what is queued, answer what was asked, release everything.

        False when a query hangs, on a file of a dead network share perhaps: its thread is left,
        and the process can only end by `os._exit`.
        """
        if self._closed:
            return True
        await self._idle.wait()
        self._closed = True
        if self._reopening is not None:
            self._reopening.cancel()
        ended = await self._shut_bulk()
        for pool in (self._reads, self._commits):
            await asyncio.to_thread(pool.shutdown)
        await asyncio.to_thread(self._backend.close)
        return ended

    async def _shut_bulk(self) -> bool:
        """End the threads that touch files of people; tell whether they did within a time."""
        ended = asyncio.Event()

        def shut() -> None:
            self._bulk.shutdown()
            with suppress(RuntimeError):  # the loop is closed: too late
                self._loop.call_soon_threadsafe(ended.set)

        Thread(target=shut, name="store-close", daemon=True).start()
        try:
            await asyncio.wait_for(ended.wait(), CLOSE_WITHIN_S)
        except TimeoutError:
            _log.warning("store hung=bulk after_s=%s", CLOSE_WITHIN_S)
            self._bulk.shutdown(wait=False, cancel_futures=True)
            return False
        return True

    def _commit_next(self) -> None:
        """Start a commit of what is queued, when none runs."""
        if self._group or not self._queue:
            return
        self._idle.clear()
        self._group = [self._queue.popleft() for _ in range(min(GROUP_MAX, len(self._queue)))]
        self._then(
            self._commits.submit(self._backend.commit, [append.rows for append in self._group]),
            lambda _: self._group_done(),
            self._group_failed,
        )

    def _group_done(self) -> None:
        up_to = self._group[-1].number
        self._group = []
        self._listener.committed(up_to)
        if self._down is not None:
            self._reopen()
        else:
            self._commit_next()
            self._rest()

    def _group_failed(self, error: StoreError) -> None:
        failed, self._group = self._group, []
        failed += self._queue
        self._queue.clear()
        self._go_down(error)
        for append in failed:
            self._listener.commit_failed(append.number, error.text)
        self._reopen()

    def _fail_from_here(self, error: StoreError) -> None:
        """Refuse appends until the engine has read its heads again; what is queued has failed."""
        queued = list(self._queue)
        self._queue.clear()
        self._go_down(error)
        for append in queued:
            self._loop.call_soon(self._listener.commit_failed, append.number, error.text)

    def _go_down(self, error: StoreError) -> None:
        if self._down is None or self._down.text != error.text:
            _log.warning("store fault=%s text=%s remedy=%s", error.fault, error.text, error.remedy)
        self._down = error
        self._listener.store_state(error)

    def _reopen(self) -> None:
        """Open and verify the store again in the commit thread; keep trying while it fails."""
        self._reopening = None
        if self._closed:
            return
        self._then(self._commits.submit(self._backend.reopen), self._reopened, self._reopen_failed)

    def _reopened(self, image: StoreImage) -> None:
        self._down = None
        self._listener.reloaded(image)
        self._listener.store_state(None)
        self._commit_next()
        self._rest()

    def _reopen_failed(self, error: StoreError) -> None:
        self._go_down(error)
        self._reopening = self._loop.call_later(REOPEN_AFTER_S, self._reopen)
        self._rest()

    def _rest(self) -> None:
        if not self._group and not self._queue:
            self._idle.set()

    def _then(
        self,
        future: Future[_T],
        done: Callable[[_T], None],
        failed: Callable[[StoreError], None],
    ) -> None:
        """Call `done` or `failed` on the loop's thread when the future is ready.

        Nothing that the future holds may hold the future: its answer, a chunk perhaps, would stay
        in memory until a collection.
        """

        def deliver(future: Future[_T]) -> None:
            error = future.exception()
            if error is None:
                done(future.result())
            elif isinstance(error, StoreError):
                failed(error)
            else:
                _log.error("store bug=%r", error, exc_info=error)
                failed(_bug(error))

        def ready(future: Future[_T]) -> None:
            if future.cancelled():
                return
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(deliver, future)

        future.add_done_callback(ready)


def _too_slow() -> StoreError:
    return StoreError(
        StoreFault.BUSY,
        f"the disk is too slow: {QUEUE_MAX} writes wait",
        remedy="look for a failing or very slow card (dmesg); meshd goes on by itself",
    )


def _bug(error: BaseException) -> StoreError:
    return StoreError(
        StoreFault.BROKEN,
        f"the store failed in an unexpected way ({type(error).__name__}: {error})",
        remedy="please report this with the log; meshd opens the store again by itself",
    )
