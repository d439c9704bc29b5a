"""A pseudo-terminal in the place of a serial port, with a link that has the name of a port.

Enters: bytes of an emulated modem, and of the program that opened the port. Leaves: the same at the
other end. As on a real line, bytes that nobody reads are lost, and a program that set another
speed reads and writes nonsense. Closing it is what pulling the plug is to the program.
"""

import asyncio
import errno
import os
import stat
import termios
import tty
from collections.abc import Callable
from contextlib import suppress
from random import Random

from meshd.core.errors import Exit, RequestError

_READ_BYTES = 4_096
_SPEED_FIELD = 4


class PinPipes:
    """Mode pins beside a port, PATH.m0 and PATH.m1: pipes that "0" and "1" are written to."""

    def __init__(self, path: str, taken: Callable[[bool, bool], None]) -> None:
        self._levels = [False, False]
        self._taken = taken
        self._paths = [f"{path}.m0", f"{path}.m1"]
        self._files: list[int] = []
        self._loop = asyncio.get_running_loop()
        for number, name in enumerate(self._paths):
            with suppress(FileNotFoundError):
                if stat.S_ISFIFO(os.lstat(name).st_mode):
                    os.unlink(name)  # of an emulator that was killed
            os.mkfifo(name, 0o600)
            file = os.open(name, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            self._files.append(file)
            self._loop.add_reader(file, self._readable, number)

    def close(self) -> None:
        """Remove the pins."""
        for name, file in zip(self._paths, self._files, strict=True):
            self._loop.remove_reader(file)
            os.close(file)
            with suppress(OSError):
                os.unlink(name)

    def _readable(self, number: int) -> None:
        said = os.read(self._files[number], _READ_BYTES).strip()
        if said[-1:] in (b"0", b"1"):
            self._levels[number] = said[-1:] == b"1"
            self._taken(*self._levels)


class PseudoTerminal:
    """A port at `path` for as long as it is open. `taken` gets what the program writes.

    Raises: RequestError when there is something else at `path`.
    """

    def __init__(self, path: str, baud: int, taken: Callable[[bytes], None]) -> None:
        self.path = path
        self._speed: int = getattr(termios, f"B{baud}")
        self._taken = taken
        self._noise = Random(0)
        self._loop = asyncio.get_running_loop()
        self._master, self._slave = os.openpty()
        try:
            tty.setraw(self._slave)
            os.set_blocking(self._master, False)
            self.device = os.ttyname(self._slave)
            _link(path, self.device)
        except (OSError, RequestError):
            self._shut()
            raise
        self._loop.add_reader(self._master, self._readable)

    def write(self, data: bytes) -> None:
        """Give the program bytes; what it does not read in time is lost."""
        try:
            os.write(self._master, self._at_speed(data))
        except BlockingIOError:
            return

    def close(self) -> None:
        """Pull the plug, and remove the link if it is still ours."""
        self._loop.remove_reader(self._master)
        self._shut()
        try:
            if os.readlink(self.path) == self.device:
                os.unlink(self.path)
        except OSError:
            return

    def _readable(self) -> None:
        try:
            data = os.read(self._master, _READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return
        if data:
            self._taken(self._at_speed(data))

    def _at_speed(self, data: bytes) -> bytes:
        """Return what arrives where the other end has its speed set: nonsense, at another one."""
        if termios.tcgetattr(self._slave)[_SPEED_FIELD] == self._speed:
            return data
        return self._noise.randbytes((len(data) + 1) // 2)

    def _shut(self) -> None:
        os.close(self._master)
        os.close(self._slave)


def _link(path: str, device: str) -> None:
    """Put a link to the device at `path`; replaces only a link that leads nowhere."""
    if os.path.islink(path) and not os.path.exists(path):
        os.unlink(path)
    try:
        os.symlink(device, path)
    except FileExistsError as error:
        target = f", a link to {os.readlink(path)}" if os.path.islink(path) else ""
        raise RequestError(
            f"{path} is there already{target}", remedy="choose another --port, or remove it"
        ) from error
    except OSError as error:
        raise RequestError(
            f"{path} cannot be made: {error.strerror}",
            code=Exit.DENIED if error.errno in (errno.EACCES, errno.EPERM) else Exit.ERROR,
            remedy="give --port a name in a folder that you may write to",
        ) from error
