"""Chunks as files: chunks/ab/<hex name>, each written aside, checked, and renamed into place.

Enters: ciphertext with its name. Leaves: the same bytes, or nothing. A chunk's name is the
BLAKE2b-256 of its bytes, so a torn or rotten file is found when it is read: it is removed and
reported as not held. Safe to call from several threads. Must not know: files, keys, spaces.
"""

import os
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Lock

from meshd.core.crypto import chunk_name
from meshd.store.direct import open_again, write_blocks
from meshd.store.faults import os_error
from meshd.wire.file_messages import NAME_LEN


class ChunkFolder:
    """The chunks of one node under `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._aside = path / "tmp"
        self._numbers = count()
        self._folders = Lock()
        self._folders_new = False

    def open(self) -> None:
        """Make the folder, and remove what an interrupted write left. Raises: StoreError."""
        try:
            self.path.mkdir(exist_ok=True, mode=0o700)
            self._aside.mkdir(exist_ok=True, mode=0o700)
            for leftover in self._aside.iterdir():
                leftover.unlink()
            _sync_folder(self.path)
        except OSError as error:
            raise os_error(error, self.path) from error

    def keep(self, name: bytes, data: bytes | memoryview, *, durable: bool) -> bool:
        """Keep `data`; False when it is not what `name` says. Raises: StoreError."""
        if len(name) != NAME_LEN or chunk_name(data) != name:
            return False
        path = self._path(name)
        try:
            if not self._keep_again(path, data, durable=durable):
                self._write(path, data, durable=durable)
        except OSError as error:
            raise os_error(error, path) from error
        return True

    def size(self, name: bytes) -> int | None:
        """Return the size of a chunk that is held, else None."""
        try:
            return self._path(name).stat().st_size
        except OSError:
            return None

    def read(self, name: bytes) -> bytes | None:
        """Return a whole chunk after checking it, or None when it is not held."""
        data = self.read_unchecked(name)
        if data is None or chunk_name(data) == name:
            return data
        self._remove(self._path(name))
        return None

    def read_unchecked(self, name: bytes) -> bytes | None:
        """Return what lies under a name, for who checks it by other means."""
        path = self._path(name)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise os_error(error, path) from error

    def forget(self, name: bytes) -> int:
        """Remove a chunk; return the bytes that freed."""
        size = self.size(name)
        if size is None:
            return 0
        self._remove(self._path(name))
        return size

    def read_part(self, name: bytes, offset: int, length: int) -> tuple[int, bytes] | None:
        """Return (size, part) of a chunk; a part that is the whole is checked, others are not."""
        size = self.size(name)
        if size is None:
            return None
        if length == 0:
            return size, b""
        if offset == 0 and length >= size:
            data = self.read(name)
            return None if data is None else (len(data), data)
        path = self._path(name)
        try:
            with path.open("rb", buffering=0) as file:
                return size, os.pread(file.fileno(), length, offset)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise os_error(error, path) from error

    def _path(self, name: bytes) -> Path:
        text = name.hex()
        return self.path / text[:2] / text

    def _keep_again(self, path: Path, data: bytes | memoryview, *, durable: bool) -> bool:
        """Make a chunk that is there already as good as asked; False when it must be written."""
        try:
            held = path.read_bytes()
        except FileNotFoundError:
            return False
        if held != data:
            self._remove(path)
            return False
        if durable:
            with path.open("rb") as file:
                os.fsync(file.fileno())
            self._sync_folders(path)
        return True

    def _write(self, path: Path, data: bytes | memoryview, *, durable: bool) -> None:
        aside = self._aside / str(next(self._numbers))
        try:
            with aside.open("xb", buffering=0) as file:
                self._fill(file.fileno(), data, durable=durable)
            if not path.parent.exists():
                with self._folders:
                    path.parent.mkdir(exist_ok=True, mode=0o700)
                    self._folders_new = True
            aside.rename(path)
        except OSError:
            aside.unlink(missing_ok=True)
            raise
        if durable:
            self._sync_folders(path)

    def _fill(self, fd: int, data: bytes | memoryview, *, durable: bool) -> None:
        """Write a chunk; past the page cache when it came by and is not to be read soon."""
        direct = None if durable else open_again(fd)
        done = 0
        if direct is not None:
            try:
                done = write_blocks(direct, data, 0)
            finally:
                os.close(direct)
        rest = memoryview(data)[done:]
        while rest:
            written = os.pwrite(fd, rest, done)
            rest, done = rest[written:], done + written
        if durable:
            os.fsync(fd)

    def _sync_folders(self, path: Path) -> None:
        """Make the way to a chunk durable, that of chunks kept in passing before it too."""
        with self._folders:
            if self._folders_new:
                _sync_folder(self.path)
                self._folders_new = False
        _sync_folder(path.parent)

    def _remove(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink()


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
