"""Say that the disk of the state directory is nearly full, while there is still time.

Enters: the path, what the system says of its disk. Leaves: a problem with its next step, or that it
is over. Members of a space have no quota on its readers' disks: this is how people hear of it.
Must not know: what lies there.
"""

import asyncio
import os
from collections.abc import Callable
from functools import partial

from meshd.core.snapshot import Problem

CHECK_EVERY_S = 10.0
FLOOR_PERCENT = 5
FLOOR_BYTES = 64_000_000
"""Nearly full is less room than both: a router's small flash has a floor of its own size."""

_OVER = 5, 4
"""It is over when there is a quarter more, so that it does not come and go."""

Tell = Callable[[str, Problem | None], None]


def problem_of(path: str, free: int, total: int, *, told: bool = False) -> Problem | None:
    """Return what to say of a disk with so many bytes; `told`: something is said already."""
    floor = min(total * FLOOR_PERCENT // 100, FLOOR_BYTES)
    if told:
        floor = floor * _OVER[0] // _OVER[1]
    if free >= floor:
        return None
    return Problem(
        "disk-nearly-full",
        f"{path}: the disk is nearly full; once it is, nothing more is written, "
        "nor taken from others",
        f"make room on it (df -h {path}); `meshd status` shows how large each space is, and "
        "files that others shared are in `chunks`",
    )


class DiskWatch:
    """Looks every few seconds until `stop`. `tell(kind, problem)` hears what there is."""

    def __init__(self, path: str, tell: Tell) -> None:
        self._path = path
        self._tell = partial(tell, "disk")
        self._told = False
        self._timer: asyncio.TimerHandle | None = None

    def look(self) -> None:
        """Look now, and again later."""
        try:
            disk = os.statvfs(self._path)
        except OSError:  # the store says what is wrong
            found = None
        else:
            free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
            found = problem_of(self._path, free, total, told=self._told)
        if found is not None or self._told:
            self._tell(found)
        self._told = found is not None
        self._timer = asyncio.get_running_loop().call_later(CHECK_EVERY_S, self.look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
