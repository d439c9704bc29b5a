"""Opens and closes serial ports, and says what to do when one can not be had.

Enters: a path and a speed. Leaves: a port in raw mode that is ours alone, or a PortError with
advice. Opening and closing may block, in drivers that wait for the last byte to leave: call them in
a thread. Must not know: what is on the port.

A port is closed without hanging up: many boards restart when the line that says "terminal ready"
falls, and would lose their settings each time (HUPCL, termios(3)).
"""

import errno
import grp
import os
import termios
from typing import Any

from meshd.core.errors import MeshdError

_NOT_THERE = "`meshd radio scan` lists the ports that there are"
_FLAGS, _CHARACTERS = 2, 6


class PortError(MeshdError):
    """A port that can not be opened; the text says what to do."""


def open_port(path: str, baud: int) -> Any:
    """Open a port for us alone: a `serial.Serial` that never blocks. Raises: PortError."""
    import serial

    try:
        port = serial.Serial(path, baud, timeout=0, write_timeout=0, exclusive=True)
    except (OSError, termios.error) as error:  # what pyserial raises is an OSError
        raise PortError(f"{path}: {_trouble(path, _number(error))}") from error
    except ValueError as error:
        raise PortError(f"{path}: no port can be set to {baud} baud here: {error}") from error
    try:
        attributes = termios.tcgetattr(port.fileno())
        attributes[_FLAGS] &= ~termios.HUPCL
        # A read that finds nothing must not look like the end of the port, which reads as nothing.
        attributes[_CHARACTERS][termios.VMIN] = 1
        termios.tcsetattr(port.fileno(), termios.TCSANOW, attributes)
        os.set_blocking(port.fileno(), False)
    except (OSError, termios.error) as error:
        close_port(port)
        raise PortError(f"{path}: {_trouble(path, _number(error))}") from error
    return port


def close_port(port: Any) -> None:
    """Close a port; what was not written yet is left, since nobody may be there to take it."""
    try:
        termios.tcflush(port.fileno(), termios.TCIOFLUSH)
    except (OSError, termios.error):
        pass  # It is gone already.
    try:
        port.close()
    except (OSError, termios.error):
        return


def _number(error: BaseException) -> int:
    """Return the errno of what pyserial and termios raise, 0 when they do not say."""
    number = getattr(error, "errno", None)
    if number is None and error.args and isinstance(error.args[0], int):
        number = error.args[0]
    return number or 0


def _trouble(path: str, number: int) -> str:
    """Say why a port can not be had and what to do next."""
    if number == errno.ENOENT:
        return f"there is no such port; is the radio plugged in? {_NOT_THERE}"
    if number in (errno.EACCES, errno.EPERM):
        group = _group(path)
        return (
            f"this user may not open it: `sudo usermod -aG {group} $USER`, then log in again"
            if group
            else "this user may not open it: run as root, or see its owner with `ls -l`"
        )
    if number in (errno.EBUSY, errno.EAGAIN):
        return f"another program has it open: `fuser {path}` tells which; stop that program"
    if number in (errno.ENXIO, errno.ENODEV, errno.EIO):
        return f"the device behind it is gone; plug it in again. {_NOT_THERE}"
    return f"it can not be used as a serial port. {_NOT_THERE}"


def _group(path: str) -> str:
    """Return the group that may open a port, "" when none may."""
    try:
        found = os.stat(path)
        name = grp.getgrgid(found.st_gid).gr_name
    except (OSError, KeyError):
        return "dialout"
    return name if found.st_mode & 0o060 == 0o060 and name != "root" else ""
