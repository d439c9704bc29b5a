"""The file of a recording: made for its owner only, and bounded.

Enters: lines. Leaves: a file of whole lines, whatever ends the writing. `Tape` writes at once, for
a simulation; a daemon writes by the thread of `runtime.tape_worker`.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from meshd.core.errors import Exit, RequestError
from meshd.core.snapshot import Problem

_END_BYTES = 4096
"""Kept free under the bound for the last line."""


LINE_BYTES_MAX = 4 << 20
"""The longest line is a chunk of a file that the store read: 1.4 MB in base64."""

IMAGE_BYTES_MAX = 64 << 20
"""The same of a line that holds what a store held: the first, and one after a failed commit."""


class Lines(Protocol):
    """Where the lines of a recording go. `problem` says why it ended before it was asked to."""

    problem: Problem | None

    def write(self, line: bytes, *, last: bool = False) -> bool:
        """Append a line; False when the recording has ended."""

    def close(self) -> object:
        """End it; calling it again does nothing."""


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
        return self.write_all((line,), last=last)

    def write_all(self, lines: Sequence[bytes], *, last: bool = False) -> bool:
        """Append lines, of which the last may be that of the recording, by one write if it can."""
        if self._fd < 0:
            return False
        room = self._bytes_max - self.bytes_total - (0 if last else _END_BYTES)
        fits = 0
        for line in lines:
            if len(line) > room or len(line) > IMAGE_BYTES_MAX:
                break
            room -= len(line)
            fits += 1
        try:
            self._write(b"".join(lines[:fits]))
        except OSError as error:
            self._end(_failed(self.path, error))
            return False
        if fits < len(lines):
            self._end(_full(self.path, self._bytes_max))
        return fits == len(lines)

    def close(self) -> None:
        """End the file; calling it again does nothing."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            with suppress(OSError):
                os.close(fd)

    def _write(self, data: bytes) -> None:
        """Write lines; `bytes_total` counts those that are there whole, also when this fails."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        finally:
            self.bytes_total += data.rfind(b"\n", 0, len(data) - len(rest)) + 1

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
        "the node goes on; make room, and start it again with --record and another file",
    )
