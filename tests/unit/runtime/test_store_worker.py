"""The store off the loop: groups, order, failure of all that hung on a lost commit, coming back."""

import asyncio
import gc
import os
import threading
import weakref

import pytest
from devices.seeded_bytes import bytes_of

from meshd.core.errors import UsageError
from meshd.core.events import (
    ChunkQuery,
    EntriesQuery,
    EntryRow,
    MetaRow,
    SealQuery,
    StoreAppend,
    StoreRead,
    SyncFileQuery,
    UnsealQuery,
)
from meshd.runtime import store_worker
from meshd.runtime.store_worker import GROUP_MAX, StoreWorker
from meshd.store.interface import StoreError, StoreFault
from meshd.store.memory import MemoryStore
from meshd.store.sqlite import SqliteStore

SPACE, ANN = b"s" * 32, b"a" * 32
FULL = StoreError(StoreFault.FULL, "no room", remedy="free some")


class Listener:
    """Writes down what it is told, and lets a test wait for it."""

    def __init__(self):
        self.told = []
        self.loop_thread = threading.get_ident()
        self._changed = asyncio.Event()

    def __getattr__(self, verb):
        def note(*args):
            assert threading.get_ident() == self.loop_thread
            self.told.append((verb, *args))
            self._changed.set()

        return note

    def of(self, verb):
        return [item[1:] for item in self.told if item[0] == verb]

    async def until(self, verb, *args):
        async with asyncio.timeout(20):
            while (verb, *args) not in self.told if args else not self.of(verb):
                self._changed.clear()
                await self._changed.wait()


class GatedStore(MemoryStore):
    """A store whose commits wait for the test, and which notes how many came in each."""

    def __init__(self):
        super().__init__()
        self.gate = threading.Semaphore(0)
        self.groups = []

    def commit(self, groups):
        self.gate.acquire()
        self.groups.append(len(groups))
        super().commit(groups)


def put(number):
    return StoreAppend(number, (EntryRow(SPACE, ANN, number, b"entry %d" % number),))


def run(scenario, backend, *, fault=None):
    """Run a coroutine function (worker, listener, backend) and close the worker."""

    async def main():
        listener = Listener()
        worker = StoreWorker(backend, listener, fault=fault)
        await worker.load()
        try:
            await scenario(worker, listener)
        finally:
            if isinstance(backend, GatedStore):
                backend.gate.release(10_000)
            await worker.close()

    asyncio.run(main())


def test_appends_that_wait_share_one_commit():
    backend = GatedStore()

    async def scenario(worker, listener):
        for number in range(1, 6):
            worker.append(put(number))
        backend.gate.release(2)
        await listener.until("committed", 5)
        assert backend.groups == [1, 4]
        assert listener.of("committed") == [(1,), (5,)]

    run(scenario, backend)


def test_group_is_bounded():
    backend = GatedStore()

    async def scenario(worker, listener):
        for number in range(1, GROUP_MAX + 12):
            worker.append(put(number))
        backend.gate.release(3)
        await listener.until("committed", GROUP_MAX + 11)
        assert backend.groups == [1, GROUP_MAX, 10]

    run(scenario, backend)


def test_failed_commit_takes_along_what_was_queued_behind_it():
    backend = GatedStore()

    async def scenario(worker, listener):
        worker.append(put(1))
        backend.gate.release()
        await listener.until("committed", 1)
        backend.fail_next = FULL
        for number in (2, 3, 4):
            worker.append(put(number))
        backend.gate.release(9)
        await listener.until("reloaded")
        assert listener.of("commit_failed") == [(2, "no room"), (3, "no room"), (4, "no room")]
        assert listener.of("reloaded")[0][0].feeds[0].seq == 1
        assert listener.of("store_state") == [(FULL,), (None,)]
        worker.append(StoreAppend(5, (EntryRow(SPACE, ANN, 2, b"again"),)))
        await listener.until("committed", 5)

    run(scenario, backend)


def test_store_that_does_not_open_again_refuses_and_is_tried_again(monkeypatch):
    monkeypatch.setattr(store_worker, "REOPEN_AFTER_S", 0.01)
    broken = StoreError(StoreFault.CORRUPT, "damaged", remedy="move it")

    class Broken(MemoryStore):
        tries = 0

        def reopen(self):
            self.tries += 1
            if self.tries < 3:
                raise broken
            return super().reopen()

    backend = Broken()
    backend.fail_next = FULL

    async def scenario(worker, listener):
        worker.append(put(1))
        await listener.until("store_state", broken)
        worker.append(put(2))
        await listener.until("commit_failed", 2, "damaged")
        await listener.until("store_state", None)
        assert backend.tries == 3
        worker.append(StoreAppend(3, (MetaRow("a", b"b"),)))
        await listener.until("committed", 3)

    run(scenario, backend)


def test_store_that_was_never_open_is_tried_without_being_asked(monkeypatch):
    monkeypatch.setattr(store_worker, "REOPEN_AFTER_S", 0.01)

    async def scenario(worker, listener):
        worker.append(put(1))
        await listener.until("commit_failed", 1, "no room")
        await listener.until("store_state", None)
        assert len(listener.of("reloaded")) == 1

    run(scenario, MemoryStore(), fault=FULL)


def test_queue_is_bounded_and_comes_back(monkeypatch):
    monkeypatch.setattr(store_worker, "QUEUE_MAX", 8)
    backend = GatedStore()

    async def scenario(worker, listener):
        for number in range(1, 12):
            worker.append(put(number))
        assert listener.of("commit_failed") == [], "never from within the call"
        backend.gate.release(99)
        await listener.until("store_state", None)
        assert sorted(number for number, _ in listener.of("commit_failed")) == list(range(2, 12))
        assert listener.of("committed") == [(1,)]
        assert listener.of("reloaded")[0][0].feeds[0].seq == 1

    run(scenario, backend)


def test_unexpected_error_is_reported_and_survived():
    class Buggy(MemoryStore):
        def answer(self, query):
            raise ZeroDivisionError("a bug")

    async def scenario(worker, listener):
        worker.read(StoreRead(7, ChunkQuery(b"x" * 32, 0, 0)))
        await listener.until("read_failed")
        assert "a bug" in listener.of("read_failed")[0][1]
        worker.append(put(1))
        await listener.until("committed", 1)

    run(scenario, Buggy())


def test_bulk_does_not_delay_commits():
    release = threading.Event()

    class SlowBulk(MemoryStore):
        def answer(self, query):
            if isinstance(query, ChunkQuery):
                release.wait(20)
            return super().answer(query)

    async def scenario(worker, listener):
        for token in range(5):
            worker.read(StoreRead(token, ChunkQuery(b"x" * 32, 0, 0)))
        worker.append(put(1))
        await listener.until("committed", 1)
        worker.read(StoreRead(9, EntriesQuery(SPACE, ANN, 1, 1, 100)))
        await listener.until("read_done", 9, (b"entry 1",))
        release.set()
        await listener.until("read_done", 4, None)

    run(scenario, SlowBulk())


def test_answer_is_free_without_a_collection_once_it_was_told():
    class Chunk:
        pass

    told = []
    asked = threading.Event()

    class Store(MemoryStore):
        def answer(self, query):
            asked.wait(20)
            chunk = Chunk()
            told.append(weakref.ref(chunk))
            return chunk

    async def scenario(worker, listener):
        worker.read(StoreRead(1, ChunkQuery(b"x" * 32, 0, 0)))
        asked.set()
        await listener.until("read_done")
        listener.told.clear()
        await worker.close()
        assert told[0]() is None

    gc.disable()
    try:
        run(scenario, Store())
    finally:
        gc.enable()


def test_close_does_not_wait_for_a_query_that_hangs(monkeypatch):
    monkeypatch.setattr(store_worker, "CLOSE_WITHIN_S", 0.05)
    gate = threading.Event()

    class Stuck(MemoryStore):
        def answer(self, query):
            gate.wait(20)
            return super().answer(query)

    async def talk():
        worker = StoreWorker(Stuck(), Listener())
        for token in range(5):
            worker.read(StoreRead(token, ChunkQuery(bytes(32), 0, 1)))
        assert not await worker.close()
        gate.set()
        assert await worker.close(), "a second time is nothing"

    asyncio.run(talk())


def test_close_commits_what_is_queued(tmp_path):
    async def main():
        listener = Listener()
        worker = StoreWorker(SqliteStore(tmp_path), listener)
        for number in range(1, 101):
            worker.append(put(number))
        await worker.close()
        assert listener.of("committed")[-1] == (100,)
        with pytest.raises(UsageError):
            worker.append(put(101))
        await worker.close()

    asyncio.run(main())
    assert SqliteStore(tmp_path).load().feeds[0].seq == 100


def test_file_goes_in_and_out_through_the_threads(tmp_path):
    plain = bytes_of(3_000_000)
    (tmp_path / "in").write_bytes(plain)
    key = b"k" * 32

    async def scenario(worker, listener):
        source = worker.register_file(os.open(tmp_path / "in", os.O_RDONLY), writable=False)
        out = os.open(tmp_path / "out", os.O_RDWR | os.O_CREAT)
        target = worker.register_file(out, writable=True)
        for place in range(3):
            worker.read(StoreRead(place, SealQuery(source, key, place)))
        names = {}
        for place in range(3):
            while place not in names:
                await listener.until("read_done")
                names |= {token: answer[0] for token, answer in listener.of("read_done")}
                await asyncio.sleep(0)
        for place in range(3):
            worker.read(StoreRead(10 + place, UnsealQuery(target, key, place, names[place])))
        for place, length in enumerate((1 << 20, 1 << 20, 3_000_000 - (2 << 20))):
            await listener.until("read_done", 10 + place, length)
        worker.read(StoreRead(20, SyncFileQuery(target)))
        await listener.until("read_done", 20, True)
        worker.release_file(source)
        worker.release_file(target)

    run(scenario, SqliteStore(tmp_path / "state"))
    assert (tmp_path / "out").read_bytes() == plain
