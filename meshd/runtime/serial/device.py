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
from contextlib import suppress
from itertools import pairwise
from shlex import quote
from typing import Any

from meshd.core.errors import MeshdError

LISTS = "`meshd radio scan` lists the ports that there are"
_FLAGS, _CHARACTERS = 2, 6


class PortError(MeshdError):
    """A port that can not be opened. `advice` is `WHAT IS WRONG: WHAT TO DO NEXT`.

    `gone`: the port or its device is not there, and may come back.
    """

    def __init__(self, path: str, advice: str, *, gone: bool = False) -> None:
        super().__init__(f"{path}: {advice}")
        self.advice = advice
        self.gone = gone


def open_port(path: str, baud: int) -> Any:
    """Open a port for us alone: a `serial.Serial` that never blocks. Raises: PortError."""
    import serial

    try:
        port = serial.Serial(path, baud, timeout=0, write_timeout=0, exclusive=True)
    except (OSError, termios.error) as error:  # what pyserial raises is an OSError
        raise _trouble(path, _number(error)) from error
    except ValueError as error:
        raise PortError(path, f"no port can be set to {baud} baud here: {error}") from error
    try:
        attributes = termios.tcgetattr(port.fileno())
        attributes[_FLAGS] &= ~termios.HUPCL
        # A read that finds nothing must not look like the end of the port, which reads as nothing.
        attributes[_CHARACTERS][termios.VMIN] = 1
        termios.tcsetattr(port.fileno(), termios.TCSANOW, attributes)
        os.set_blocking(port.fileno(), False)
    except (OSError, termios.error) as error:
        close_port(port)
        raise _trouble(path, _number(error)) from error
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


def _trouble(path: str, number: int) -> PortError:
    """Return why a port can not be had and what to do next."""
    if number == errno.ENOENT:
        return PortError(path, f"there is no such port: plug the radio in; {LISTS}", gone=True)
    if number in (errno.ENXIO, errno.ENODEV, errno.EIO):
        return PortError(
            path, f"the device behind it is gone: plug it in again; {LISTS}", gone=True
        )
    if number in (errno.EBUSY, errno.EAGAIN):
        return PortError(path, _taken(path))
    if number in (errno.EACCES, errno.EPERM):
        group = _group(path)
        what = f"`sudo usermod -aG {group} $USER`, then log in again"
        if not group:
            what = "run as root, or see its owner with `ls -l`"
        return PortError(path, f"this user may not open it: {what}")
    return PortError(path, f"it can not be used as a serial port: {LISTS}")


def _taken(path: str) -> str:
    """Say who has a port open, as far as this user may see it."""
    number, words = _holder(path)
    if not number:
        return f"another program has it open: `sudo fuser {path}` tells which; stop that program"
    if _is_meshd(words, "run"):
        lists = f"`meshd radio list{_place(number, words)}` tells how it is"
        return f"meshd itself has it open (process {number}): {lists}, or stop that process first"
    name = "meshd radio" if _is_meshd(words, "radio") else os.path.basename(words[0])
    patience = ", or wait half a minute, it lets go then" if name == "ModemManager" else ""
    return f"{name} has it open (process {number}): stop it{patience}"


def _place(number: int, words: list[str]) -> str:
    """Return the state directory of a process's command line as an option; "" for the usual one.

    What it names is meant from that process's own folder.
    """
    named = [after for word, after in pairwise(words) if word == "--state-dir"]
    named += [word.partition("=")[2] for word in words if word.startswith("--state-dir=")]
    if not named:
        return ""
    with suppress(OSError):
        named.append(os.path.join(os.readlink(f"/proc/{number}/cwd"), named[-1]))
    return f" --state-dir {quote(named[-1])}"


def _holder(path: str) -> tuple[int, list[str]]:
    """Return the process that has a port open and its command line; 0: none that can be seen."""
    wanted = os.path.realpath(path)
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            files = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{number}/fd")]
            if wanted not in files or int(number) == os.getpid():
                continue
            with open(f"/proc/{number}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").rstrip("\0").split("\0")
        except OSError:
            continue  # It is another user's, or has just ended.
        if not _is_meshd(words, "emulate"):  # which holds both ends of its own port
            return int(number), words
    return 0, []


def _is_meshd(words: list[str], command: str) -> bool:
    """Tell whether a command line is `meshd COMMAND`, however it was started."""
    return any(
        os.path.basename(word) == "meshd" and after == command
        for word, after in pairwise(words[:4])
    )


def _group(path: str) -> str:
    """Return the group that may open a port, "" when none may."""
    try:
        found = os.stat(path)
        name = grp.getgrgid(found.st_gid).gr_name
    except (OSError, KeyError):
        return "dialout"
    return name if found.st_mode & 0o060 == 0o060 and name != "root" else ""
