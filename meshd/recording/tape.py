"""The file of a recording: made for its owner only, bounded, and never in the daemon's way.

Enters: lines. Leaves: a file of whole lines, whatever ends the writing. Each line is in the
kernel's hands before the node acts on it, so that `kill -9` costs at most the last one.
"""

import os
from contextlib import suppress

from meshd.core.errors import Exit, RequestError
from meshd.core.snapshot import Problem

_END_BYTES = 4096
"""Kept free under the bound for the last line."""


class Tape:
    """One new file. `problem` says why it ended before it was asked to."""

    def __init__(self, path: str, *, bytes_max: int) -> None:
        """Create the file. Raises: RequestError when it exists or cannot be made."""
        self.path = path
        self.bytes_total = 0
        self.problem: Problem | None = None
        self._bytes_max = bytes_max
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._fd = os.open(path, flags, 0o600)
            os.fchmod(self._fd, 0o600)
        except FileExistsError as error:
            raise RequestError(
                f"{path} exists: a recording is never written over",
                remedy="name another file, or remove that one",
            ) from error
        except OSError as error:
            raise RequestError(
                f"{path}: the recording cannot be made: {error.strerror}",
                code=Exit.DENIED if isinstance(error, PermissionError) else Exit.ERROR,
                remedy="name a file in a folder that exists and that meshd may write to",
            ) from error

    def write(self, line: bytes, *, last: bool = False) -> bool:
        """Append a line; False when the bound or the disk has ended the tape, at a whole line."""
        if self._fd < 0:
            return False
        room = self._bytes_max - (0 if last else _END_BYTES)
        if self.bytes_total + len(line) > room:
            self._end(_full(self.path, self._bytes_max))
            return False
        try:
            self._write(line)
        except OSError as error:
            self._end(_failed(self.path, error))
            return False
        self.bytes_total += len(line)
        return True

    def close(self) -> None:
        """End the file; calling it again does nothing."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            with suppress(OSError):
                os.close(fd)

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def _end(self, problem: Problem) -> None:
        """Stop; a line that is there in part goes."""
        with suppress(OSError):
            os.ftruncate(self._fd, self.bytes_total)
        self.problem = problem
        self.close()


def _full(path: str, bytes_max: int) -> Problem:
    return Problem(
        "recording-full",
        f"{path} has {bytes_max // 1_000_000} MB, the most it may: recording has ended",
        "keep it as safe as the device key; --record-max-mb allows more at the next start",
    )


def _failed(path: str, error: OSError) -> Problem:
    return Problem(
        "recording-failed",
        f"{path}: recording has ended: {error.strerror or error}",
        "the node goes on; make room, and start it anew with --record and another file",
    )
