"""A store in memory, with the very contract of the one on disk: for the simulator and for tests.

Enters and leaves: see `store.interface`. Files are byte arrays lent by `lend`. Nothing survives
the process; a simulated crash keeps the object and calls `reopen`.
"""

from collections.abc import Sequence

from meshd.core.crypto import chunk_name
from meshd.core.errors import UsageError
from meshd.core.events import (
    Answer,
    EntriesQuery,
    EntryRow,
    FeedImage,
    MetaRow,
    Query,
    Row,
    StoreImage,
)
from meshd.store.bulk import answer_bulk
from meshd.store.interface import StoreError, StoreFault


class MemoryStore:
    """Rows, chunks and lent files of one simulated node. `fail_next` makes one commit fail."""

    def __init__(self) -> None:
        self.metas: dict[str, bytes] = {}
        self.entries: dict[tuple[bytes, bytes], dict[int, bytes]] = {}
        self.membership: list[EntryRow] = []
        self.chunks = MemoryChunks()
        self.files = MemoryFiles()
        self.fail_next: StoreError | None = None

    def load(self) -> StoreImage:
        """Return what the engine keeps in memory."""
        feeds = tuple(
            FeedImage(space, author, max(feed), feed[max(feed)], sum(map(len, feed.values())))
            for (space, author), feed in self.entries.items()
        )
        return StoreImage(dict(self.metas), feeds, tuple(self.membership))

    def commit(self, groups: Sequence[tuple[Row, ...]]) -> None:
        """Take all groups or none. Raises: StoreError."""
        if self.fail_next is not None:
            error, self.fail_next = self.fail_next, None
            raise error
        new: set[tuple[bytes, bytes, int]] = set()
        for row in (row for rows in groups for row in rows):
            if isinstance(row, EntryRow):
                place = (row.space, row.author, row.seq)
                if place in new or row.seq in self.entries.get(place[:2], {}):
                    raise StoreError(StoreFault.CONFLICT, "another entry is there", remedy="")
                new.add(place)
        for rows in groups:
            for row in rows:
                self._apply(row)

    def answer(self, query: Query) -> Answer:
        """Answer a query. Raises: StoreError."""
        if not isinstance(query, EntriesQuery):
            return answer_bulk(query, self.chunks, self.files)
        feed = self.entries.get((query.space, query.author), {})
        found: list[bytes] = []
        room = query.bytes_max
        for seq in range(query.first, min(query.last, max(feed, default=0)) + 1):
            data = feed.get(seq)
            if data is None or (found and len(data) > room):
                break
            found.append(data)
            room -= len(data)
        return tuple(found)

    def reopen(self) -> StoreImage:
        """Load again."""
        return self.load()

    def add_file(self, fd: int, *, writable: bool) -> int:
        """Refuse: there are no descriptors in a simulation. Raises: UsageError."""
        raise UsageError("a store in memory takes byte arrays: use files.lend")

    def release_file(self, handle: int) -> None:
        """Forget a lent byte array."""
        self.files.lent.pop(handle, None)

    def close(self) -> None:
        """Do nothing."""

    def _apply(self, row: Row) -> None:
        if isinstance(row, EntryRow):
            self.entries.setdefault((row.space, row.author), {})[row.seq] = row.data
            if row.membership:
                self.membership.append(row)
        elif isinstance(row, MetaRow) and row.value is not None:
            self.metas[row.key] = row.value
        else:
            self.metas.pop(row.key, None)


class MemoryChunks:
    """Chunks by name."""

    def __init__(self) -> None:
        self.held: dict[bytes, bytes] = {}

    def keep(self, name: bytes, data: bytes | memoryview, *, durable: bool) -> bool:
        """Keep a chunk; False when the bytes are not of that name."""
        if chunk_name(data) != name:
            return False
        self.held[name] = bytes(data)
        return True

    def read(self, name: bytes) -> bytes | None:
        """Return a chunk; one that does not fit its name is removed."""
        data = self.held.get(name)
        if data is not None and chunk_name(data) != name:
            del self.held[name]
            return None
        return data

    def read_unchecked(self, name: bytes) -> bytes | None:
        """Return what lies under a name."""
        return self.held.get(name)

    def forget(self, name: bytes) -> int:
        """Remove a chunk; return the bytes that freed."""
        return len(self.held.pop(name, b""))

    def read_part(self, name: bytes, offset: int, length: int) -> tuple[int, bytes] | None:
        """Return (size, part)."""
        data = self.read(name)
        return None if data is None else (len(data), data[offset : offset + length])


class MemoryFiles:
    """Byte arrays that stand for open files."""

    def __init__(self) -> None:
        self.lent: dict[int, bytearray] = {}
        self.synced: set[int] = set()
        self._lent_ever = 0

    def lend(self, data: bytes = b"") -> int:
        """Return a handle to a new byte array that starts as `data`."""
        self._lent_ever += 1
        handle = self._lent_ever
        self.lent[handle] = bytearray(data)
        return handle

    def read_into(self, handle: int, offset: int, buffer: memoryview) -> int:
        """Read at a place; return how many bytes came. Raises: StoreError."""
        data = self._get(handle)[offset : offset + len(buffer)]
        buffer[: len(data)] = data
        return len(data)

    def write(self, handle: int, offset: int, data: bytes | memoryview) -> None:
        """Write at a place, zeros before it. Raises: StoreError."""
        file = self._get(handle)
        file.extend(bytes(max(0, offset - len(file))))
        file[offset : offset + len(data)] = data
        self.synced.discard(handle)

    def sync(self, handle: int) -> None:
        """Note that the file was made durable. Raises: StoreError."""
        self._get(handle)
        self.synced.add(handle)

    def _get(self, handle: int) -> bytearray:
        file = self.lent.get(handle)
        if file is None:
            raise StoreError(StoreFault.BROKEN, "the file was closed", remedy="start again")
        return file
