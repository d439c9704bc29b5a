"""Measure store and files without a network: commits, put, and get from another node's disk.

    PYTHONPATH=.:tests python tests/benchmarks/files_local.py [MIB] [FOLDER]

Two nodes in one process, each with its own SQLite store, chunk folder and worker threads; sessions
are queues of the size that real ones have, without Noise. Prints one JSON object. Everything is
counted: hash, cipher, copies, fsync. Nothing here is asserted.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from random import Random

from devices.file_devices import Antenna, household, sync

from meshd.core.context import Context
from meshd.core.events import EntriesQuery, EntryRow, MetaRow, Reply, StoreAppend, StoreRead
from meshd.runtime.store_worker import StoreWorker
from meshd.space.spaces import Spaces
from meshd.store.sqlite import SqliteStore
from meshd.sync.files.files import Files

ROOM_BYTES = 512 * 1024


class Host:
    """A node's spaces and files on a real disk; also the listener of its store worker."""

    def __init__(self, device, folder):
        self.backend = SqliteStore(folder)
        copy_rows(device.store, self.backend)
        image = self.backend.load()
        self.ctx = Context(rng=Random(1), entropy=os.urandom)
        self.spaces = Spaces(self.ctx, identity=device.identity, image=image)
        self.files = Files(self.ctx, self.spaces, self, Antenna(), image=image)
        self.worker = StoreWorker(self.backend, self)
        self.replies = {}
        self.peer = None
        self.queue = deque()
        self.queued = 0
        self.full = self.planned = False

    def now(self):
        return time.monotonic_ns() // 1000

    def drain(self):
        while self.ctx.events:
            event = self.ctx.events.popleft()
            if isinstance(event, StoreAppend):
                self.worker.append(event)
            elif isinstance(event, StoreRead):
                self.worker.read(event)
            elif isinstance(event, Reply):
                self.replies[event.ticket].set_result(event)
        while (event := self.spaces.poll_event()) is not None:
            self.files.space_event(event, self.now())

    # the store's answers

    def committed(self, up_to):
        self.spaces.committed(up_to, self.now())
        self.files.committed(up_to, self.now())
        self.drain()

    def read_done(self, token, answer):
        self.ctx.read_finished(token)
        self.files.read_done(token, answer, self.now())
        self.drain()

    def commit_failed(self, number, why):
        raise SystemExit(why)

    def read_failed(self, token, why):
        raise SystemExit(why)

    def store_state(self, error):
        pass

    def reloaded(self, image):
        pass

    # the session's port

    def room(self, session):
        return ROOM_BYTES - self.queued

    def send(self, session, record):
        return self._push(record, None)

    def send_bulk(self, session, head, data):
        return self._push(head, data)

    def _push(self, head, data):
        size = len(head) + len(data or b"")
        if size > self.room(1):
            self.full = True
            return False
        self.queue.append((head, data))
        self.queued += size
        self.full = self.full or self.queued > ROOM_BYTES // 2
        if not self.planned:
            self.planned = True
            asyncio.get_running_loop().call_soon(self._carry)
        return True

    def _carry(self):
        self.planned = False
        for _ in range(min(4, len(self.queue))):
            head, data = self.queue.popleft()
            self.queued -= len(head) + len(data or b"")
            if data is None:
                self.peer.files.record(1, head, self.now())
            else:
                self.peer.files.bulk(1, head, data, self.now())
        self.peer.drain()
        if self.full and self.queued <= ROOM_BYTES // 2:
            self.full = False
            self.files.session_room(1, self.now())
            self.drain()
        if self.queue and not self.planned:
            self.planned = True
            asyncio.get_running_loop().call_soon(self._carry)

    # a person

    async def request(self, verb, path, flags, **args):
        handle = self.worker.register_file(os.open(path, flags, 0o600), writable=bool(flags))
        ticket = len(self.replies) + 1
        self.replies[ticket] = asyncio.get_running_loop().create_future()
        arguments = {"space": "home", "handle": handle, **args}
        self.files.requests[verb](arguments, ticket, self.now())
        self.drain()
        reply = await self.replies[ticket]
        self.worker.release_file(handle)
        assert reply.value, reply


def copy_rows(memory, backend):
    rows = [MetaRow(key, value) for key, value in memory.metas.items()]
    flagged = {(row.space, row.author, row.seq) for row in memory.membership}
    for (space, author), feed in memory.entries.items():
        for seq, data in sorted(feed.items()):
            rows.append(EntryRow(space, author, seq, data, (space, author, seq) in flagged))
    backend.commit([tuple(rows)])


def commits(folder, group, count):
    """Return entries a second when so many share a commit."""
    store = SqliteStore(folder)
    begin = time.perf_counter()
    for start in range(0, count, group):
        store.commit(
            [(EntryRow(bytes(32), bytes(32), start + n + 1, bytes(300)),) for n in range(group)]
        )
    rate = count / (time.perf_counter() - begin)
    store.close()
    return round(rate)


async def main(mib, folder):
    figures = {f"entries_per_s_group_{n}": commits(folder / f"c{n}", n, 640) for n in (1, 64)}
    anna_device, ben_device = household("anna", "ben")
    sync(anna_device, ben_device)
    anna, ben = Host(anna_device, folder / "anna"), Host(ben_device, folder / "ben")
    anna.peer, ben.peer = ben, anna
    source, target = folder / "source", folder / "target"
    source.write_bytes(os.urandom(mib << 20))
    begin, cpu = time.perf_counter(), time.process_time()
    await anna.request("put", source, os.O_RDONLY, name="file", size=mib << 20)
    took = time.perf_counter() - begin
    figures["put_mb_per_s"] = round((mib << 20) / 1e6 / took, 1)
    figures["put_cpu_ms_per_mib"] = round(1000 * (time.process_time() - cpu) / mib, 2)

    (space,) = anna.spaces.all()
    for seq in range(1, space.feeds[space.author].seq + 1):
        (data,) = anna.backend.answer(EntriesQuery(space.id, space.author, seq, seq, 1))
        ben.spaces.accept(ben.spaces.get(space.id), space.author, data, ben.now())
    for host in (anna, ben):
        host.files.share_opened(1, space.id, host.now())
        host.drain()
    while ben.spaces.get(space.id).feeds[space.author].durable_seq < seq:
        await asyncio.sleep(0.01)
    begin, cpu = time.perf_counter(), time.process_time()
    await ben.request("get", target, os.O_RDWR | os.O_CREAT, name="file")
    took = time.perf_counter() - begin
    figures["get_mb_per_s"] = round((mib << 20) / 1e6 / took, 1)
    figures["get_cpu_ms_per_mib"] = round(1000 * (time.process_time() - cpu) / mib, 2)
    assert source.read_bytes() == target.read_bytes()
    for host in (anna, ben):
        await host.worker.close()
    print(json.dumps({"mib": mib, **figures}))


if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    where = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory(dir=where) as made:
        asyncio.run(main(size, Path(made)))
