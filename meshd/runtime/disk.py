"""Small files that survive a power cut: replaced whole, and on the disk before the call returns.

Enters: paths, bytes. Leaves: files. Used by commands too, so it loads nothing else.
"""

import os
from contextlib import suppress


def write_atomically(path: str, data: bytes, *, mode: int) -> None:
    """Replace a file so that a crash leaves the old content or the new, and nothing between."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.new")
    with suppress(FileNotFoundError):
        os.unlink(temporary)
    opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(opened, "wb") as file:
            os.fchmod(opened, mode)
            file.write(data)
            file.flush()
            os.fsync(opened)
        os.rename(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_folder(folder)


def sync_folder(path: str) -> None:
    """Make what was created, renamed or removed in a folder durable."""
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
