"""A small state that is kept on a full disk too: two files of full size, rewritten in place.

Enters: a path, states. Leaves: the latest whole state and its number. PATH and PATH.copy have their
full size from the first write on, so no later one needs a block that the disk may not have. The
file whose record is older or damaged is written first, and is on the disk before the other one is
touched: whatever tears a write, a whole record is left, none older than the last write that
returned. A file system that writes to a new place each time (btrfs, f2fs, those of flash chips) may
need room all the same; then a write fails, and nothing is lost. Must not know: what states mean.
"""

import errno
import os
from contextlib import suppress

from meshd.core.errors import WireError
from meshd.runtime.disk import write_atomically
from meshd.wire.kept_record import KeptRecord

COPY = ".copy"
FILE_BYTES_MAX = 1 << 20
_DAMAGED = -1
_BAD = (errno.EIO, errno.EISDIR)
"""A bad block, or a folder where the file should be: another file takes its place."""
_PADDING = b"\xff"
"""No zeros: who copies a file with long runs of them may leave holes, which have no blocks."""


class TwinFiles:
    """Both files. One process holds their folder; `person` says what kind of state they keep."""

    def __init__(self, path: str, *, person: bytes, size_bytes: int) -> None:
        self.path = path
        self._person = person
        self._size_bytes = size_bytes
        self._numbers: dict[str, int] = {}

    def read(self) -> KeptRecord | None:
        """Return the latest whole record; None where there is no file.

        Raises: OSError; WireError where there are files, and no whole record in them.
        """
        found: list[KeptRecord] = []
        damage: WireError | OSError | None = None
        self._numbers = dict.fromkeys(self._paths(), _DAMAGED)
        for path in self._paths():
            try:
                with open(path, "rb") as file:
                    record = KeptRecord.decode(file.read(FILE_BYTES_MAX), self._person)
            except FileNotFoundError:
                continue
            except (WireError, OSError) as error:
                # One that cannot be read may be whole later on: that is worth more to be told.
                damage = damage if isinstance(damage, OSError) else error
                continue
            self._numbers[path] = record.number
            found.append(record)
        if damage is not None and not found:
            raise damage
        return max(found, default=None)

    def write(self, record: KeptRecord) -> None:
        """Make a record durable in both files, each after the other. Raises: OSError."""
        if not self._numbers:
            with suppress(WireError, OSError):
                self.read()
        data = record.encode(self._person)
        for path in sorted(self._paths(), key=self._numbers.__getitem__):
            self._numbers[path] = _DAMAGED
            self._write(path, data)
            self._numbers[path] = record.number

    def _paths(self) -> tuple[str, str]:
        return self.path, self.path + COPY

    def _write(self, path: str, data: bytes) -> None:
        """Write in place; make the file anew where that cannot be, or its place is bad."""
        try:
            fits = self._rewritten(path, data)
        except OSError as error:
            if error.errno not in _BAD:
                raise
            fits = False
        if not fits:
            with suppress(OSError):
                os.rmdir(path)
            self._make(path, data)

    def _rewritten(self, path: str, data: bytes) -> bool:
        """Write in place, or tell that the file is missing or too short for that."""
        try:
            opened = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            fits = os.fstat(opened).st_size >= max(len(data), self._size_bytes)
            if fits:
                _rewrite(opened, data)
        finally:
            os.close(opened)
        return fits

    def _make(self, path: str, data: bytes) -> None:
        size = -(-len(data) // self._size_bytes) * self._size_bytes
        write_atomically(path, data.ljust(size, _PADDING), mode=0o600)


def _rewrite(opened: int, data: bytes) -> None:
    written = 0
    while written < len(data):
        written += os.pwrite(opened, data[written:], written)
    os.fdatasync(opened)
