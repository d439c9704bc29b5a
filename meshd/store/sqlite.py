"""The store on disk: SQLite for rows, a folder of files for chunks.

Enters: groups of rows and queries. Leaves: answers. WAL with synchronous=FULL: what `commit`
returned from survives a power cut. Entries are appended by rowid under one (feed, seq) index,
which wears a flash card least. Nothing is ever deleted or repaired behind a person's back. Secrets
have a table that fills no second page, so that no copy of one is left where a page was divided.
Ref: docs/wire-format.md#store.
"""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

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
from meshd.store.chunks import ChunkFolder
from meshd.store.faults import os_error, sqlite_error, store_error
from meshd.store.handles import FileHandles
from meshd.store.interface import StoreError, StoreFault

SCHEMA_VERSION = 1
APPLICATION_ID = 0x6D736864
DATABASE = "store.db"
CHUNKS = "chunks"
CHECK_AT_START_BYTES_MAX = 16 * 1024 * 1024
"""A larger database is verified only after a failed commit: the check reads every page."""
BUSY_TIMEOUT_S = 2.0
ROOM_BYTES_MIN = 64 * 1024
"""After a failed commit, writes are taken again when the disk has this much room."""

_SECRETS = (
    "CREATE TABLE IF NOT EXISTS secrets (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
)
_SCHEMA = f"""
BEGIN;
CREATE TABLE metas (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE feeds (
  id INTEGER PRIMARY KEY, space BLOB NOT NULL, author BLOB NOT NULL,
  seq INTEGER NOT NULL, bytes_total INTEGER NOT NULL, UNIQUE (space, author));
CREATE TABLE entries (
  id INTEGER PRIMARY KEY, feed INTEGER NOT NULL, seq INTEGER NOT NULL,
  membership INTEGER NOT NULL, data BLOB NOT NULL);
CREATE UNIQUE INDEX entries_by_seq ON entries (feed, seq);
CREATE INDEX entries_of_membership ON entries (id) WHERE membership = 1;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""


class SqliteStore:
    """The store under one state directory. The caller holds the directory's lock."""

    def __init__(self, folder: Path) -> None:
        """Open or create. Raises: StoreError."""
        self.path = folder / DATABASE
        self._chunks = ChunkFolder(folder / CHUNKS)
        self._files = FileHandles()
        self._reading = Lock()
        self._feeds: dict[tuple[bytes, bytes], int] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.touch(mode=0o600)
        except OSError as error:
            raise os_error(error, self.path) from error
        self._open(verify=_size(self.path) <= CHECK_AT_START_BYTES_MAX)

    def load(self) -> StoreImage:
        """Return what the engine keeps in memory. Raises: StoreError."""
        try:
            metas = dict(
                self._writer.execute(
                    "SELECT key, value FROM metas UNION ALL SELECT key, value FROM secrets"
                )
            )
            feeds = tuple(
                FeedImage(*row)
                for row in self._writer.execute(
                    "SELECT space, author, feeds.seq, data, bytes_total FROM feeds"
                    " JOIN entries ON feed = feeds.id AND entries.seq = feeds.seq"
                    " ORDER BY feeds.id"
                )
            )
            membership = tuple(
                EntryRow(space, author, seq, data, membership=True)
                for space, author, seq, data in self._writer.execute(
                    "SELECT space, author, entries.seq, data FROM entries"
                    " JOIN feeds ON feeds.id = feed WHERE membership = 1 ORDER BY entries.id"
                )
            )
        except sqlite3.Error as error:
            raise sqlite_error(error, self.path) from error
        return StoreImage(metas, feeds, membership)

    def commit(self, groups: Sequence[tuple[Row, ...]]) -> None:
        """Write all groups in one transaction, durably. Raises: StoreError."""
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            self._write(row for rows in groups for row in rows)
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")
            self._feeds.clear()
            raise sqlite_error(error, self.path) from error
        if self._erasing:
            with suppress(sqlite3.Error):  # what was committed stays so; the next commit tries anew
                self._erase()

    def answer(self, query: Query) -> Answer:
        """Answer a query, from any thread. Raises: StoreError."""
        if not isinstance(query, EntriesQuery):
            return answer_bulk(query, self._chunks, self._files)
        try:
            with self._reading:
                return self._entries(query)
        except sqlite3.Error as error:
            raise sqlite_error(error, self.path) from error

    def reopen(self) -> StoreImage:
        """Close, open again, verify, and load. Raises: StoreError.

        Until that succeeds the old reader answers: what was written can be read on a full disk.
        """
        with suppress(sqlite3.Error):
            self._writer.close()
        _require_room(self.path)
        earlier = self._reader
        self._open(verify=True)
        with self._reading, suppress(sqlite3.Error):
            earlier.close()
        return self.load()

    def add_file(self, fd: int, *, writable: bool) -> int:
        """Take over an open file descriptor. Raises: StoreError."""
        return self._files.add(fd, writable=writable)

    def release_file(self, handle: int) -> None:
        """Close the file of a handle, once no query uses it."""
        self._files.release(handle)

    def close(self) -> None:
        """Release everything."""
        self._files.close()
        with self._reading:
            self._close_database()

    def _open(self, *, verify: bool) -> None:
        self._chunks.open()
        self._feeds.clear()
        self._erasing = False
        try:
            self._writer = _connect(self.path)
            try:
                _prepare(self._writer, self.path, verify=verify)
                self._reader = _connect(self.path)
            except (sqlite3.Error, StoreError):
                self._writer.close()
                raise
        except sqlite3.Error as error:
            raise sqlite_error(error, self.path) from error

    def _close_database(self) -> None:
        for connection in (self._reader, self._writer):
            with suppress(sqlite3.Error):
                connection.close()

    def _write(self, rows: Iterable[Row]) -> None:
        heads: dict[int, tuple[int, int]] = {}
        for row in rows:
            if isinstance(row, EntryRow):
                feed = self._feed(row.space, row.author)
                self._writer.execute(
                    "INSERT INTO entries (feed, seq, membership, data) VALUES (?, ?, ?, ?)",
                    (feed, row.seq, row.membership, row.data),
                )
                seq, size = heads.get(feed, (0, 0))
                heads[feed] = (max(seq, row.seq), size + len(row.data))
            else:
                self._write_meta(row)
        self._writer.executemany(
            "UPDATE feeds SET seq = max(seq, ?), bytes_total = bytes_total + ? WHERE id = ?",
            ((seq, size, feed) for feed, (seq, size) in heads.items()),
        )

    def _write_meta(self, row: MetaRow) -> None:
        table = "secrets" if row.secret else "metas"
        if row.value is None:
            self._writer.execute(f"DELETE FROM {table} WHERE key = ?", (row.key,))
            self._erasing = self._erasing or row.secret
        else:
            self._writer.execute(
                f"INSERT INTO {table} (key, value) VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (row.key, row.value),
            )

    def _erase(self) -> None:
        """Empty the log of writes: it has the pages as they were before a secret was deleted."""
        with self._reading:
            (busy, *_) = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self._erasing = bool(busy)

    def _feed(self, space: bytes, author: bytes) -> int:
        """Return the number of a feed, made when it is new."""
        known = self._feeds.get((space, author))
        if known is not None:
            return known
        found = self._writer.execute(
            "SELECT id FROM feeds WHERE space = ? AND author = ?", (space, author)
        ).fetchone()
        if found is None:
            found = self._writer.execute(
                "INSERT INTO feeds (space, author, seq, bytes_total) VALUES (?, ?, 0, 0)"
                " RETURNING id",
                (space, author),
            ).fetchone()
        self._feeds[space, author] = number = int(found[0])
        return number

    def _entries(self, query: EntriesQuery) -> tuple[bytes, ...]:
        found: list[bytes] = []
        room = query.bytes_max
        expected = query.first
        rows = self._reader.execute(
            "SELECT entries.seq, data FROM entries JOIN feeds ON feeds.id = feed"
            " WHERE space = ? AND author = ? AND entries.seq BETWEEN ? AND ?"
            " ORDER BY entries.seq",
            (query.space, query.author, query.first, query.last),
        )
        for seq, data in rows:
            if seq != expected or (found and len(data) > room):
                break
            found.append(data)
            room -= len(data)
            expected += 1
        rows.close()
        return tuple(found)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, *, verify: bool) -> None:
    """Check whose database this is and that it is sound; lay out a new one."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if version > SCHEMA_VERSION:
        raise store_error(StoreFault.NEWER, path, f"schema {version}, known: {SCHEMA_VERSION}")
    if objects and owner != APPLICATION_ID:
        raise store_error(StoreFault.CORRUPT, path, "not a database of meshd")
    if verify and objects:
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise store_error(StoreFault.CORRUPT, path, said)
    connection.execute("PRAGMA journal_mode = WAL")
    if not objects:
        connection.executescript(_SCHEMA)
    # A card that has become read-only opens and reads well: find out now, not at the first entry.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute(_SECRETS)
    connection.execute("COMMIT")
    # A crash may have come between the deletion of a secret and the emptying of the log.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _require_room(path: Path) -> None:
    """Refuse to go on with so little room that the next writes fail again."""
    disk = os.statvfs(path.parent)
    room = disk.f_bavail * disk.f_frsize
    if room < ROOM_BYTES_MIN:
        raise store_error(StoreFault.FULL, path, f"{room} bytes left")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
