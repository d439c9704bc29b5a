"""Files that people opened and lent to the daemon: a handle for each, safe across threads.

Enters: file descriptors. Leaves: whole reads and writes at a place. A descriptor is closed when
its handle was released and no thread uses it any more, so that a number that the system gives out
again is never written by mistake. Must not know: chunks and keys.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from stat import S_ISREG
from threading import Lock

from meshd.store.direct import open_again, write_blocks
from meshd.store.faults import os_error
from meshd.store.interface import StoreError, StoreFault

HANDLES_MAX = 64


class _File:
    __slots__ = ("direct", "fd", "released", "users", "writable")

    def __init__(self, fd: int, *, writable: bool) -> None:
        self.fd = fd
        self.direct = open_again(fd) if writable else None
        self.writable = writable
        self.users = 0
        self.released = False

    def close(self) -> None:
        os.close(self.fd)
        if self.direct is not None:
            os.close(self.direct)


class FileHandles:
    """At most `HANDLES_MAX` open files by handle."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}
        self._numbers = count(1)
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._files)

    def add(self, fd: int, *, writable: bool) -> int:
        """Take over `fd`. Raises: StoreError, and then `fd` is still the caller's."""
        with self._lock:
            if len(self._files) >= HANDLES_MAX:
                raise StoreError(
                    StoreFault.BUSY,
                    f"{HANDLES_MAX} files are being put or fetched already",
                    remedy="wait until one of them is done, then try again",
                )
            handle = next(self._numbers)
            self._files[handle] = _File(fd, writable=writable)
            return handle

    def release(self, handle: int) -> None:
        """Forget `handle`; its file is closed once no thread uses it."""
        with self._lock:
            file = self._files.pop(handle, None)
            if file is None:
                return
            file.released = True
            if not file.users:
                file.close()

    def close(self) -> None:
        """Release all."""
        for handle in list(self._files):
            self.release(handle)

    def read_into(self, handle: int, offset: int, buffer: memoryview) -> int:
        """Fill `buffer`; return how many bytes came, fewer only at the end of the file.

        Nothing is read past the size that the system states: a file of the kernel's, such as
        /proc/kmsg, says 0 and a read of it may never return. Raises: StoreError.
        """
        with self._use(handle, writing=False) as file:
            length = 0
            about = os.fstat(file.fd)
            if S_ISREG(about.st_mode):
                buffer = buffer[: max(0, about.st_size - offset)]
            while rest := buffer[length:]:
                came = os.preadv(file.fd, [rest], offset + length)
                if not came:
                    break
                length += came
            return length

    def write(self, handle: int, offset: int, data: bytes | memoryview) -> None:
        """Write all of `data` at `offset`. Raises: StoreError."""
        with self._use(handle, writing=True) as file:
            done = 0 if file.direct is None else write_blocks(file.direct, data, offset)
            rest = memoryview(data)[done:]
            while rest:
                offset += done
                done = os.pwrite(file.fd, rest, offset)
                rest = rest[done:]

    def sync(self, handle: int) -> None:
        """Make what was written durable. Raises: StoreError."""
        with self._use(handle, writing=True) as file:
            os.fsync(file.fd)

    @contextmanager
    def _use(self, handle: int, *, writing: bool) -> Iterator[_File]:
        with self._lock:
            file = self._files.get(handle)
            if file is None or (writing and not file.writable):
                raise StoreError(
                    StoreFault.BROKEN,
                    "the file was closed" if file is None else "the file is not open for writing",
                    remedy="start the command again",
                )
            file.users += 1
        try:
            yield file
        except OSError as error:
            raise os_error(error, _name(file.fd)) from error
        finally:
            with self._lock:
                file.users -= 1
                if file.released and not file.users:
                    file.close()


def _name(fd: int) -> Path:
    try:
        return Path(f"/proc/self/fd/{fd}").readlink()
    except OSError:
        return Path("the file")
