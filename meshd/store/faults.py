"""From the system's errors to a `StoreError` that names the file and what to do next.

Enters: OSError and sqlite3.Error. Leaves: StoreError. Knows no table and no row.
"""

import errno
import sqlite3
from contextlib import suppress
from pathlib import Path

from meshd.store.interface import StoreError, StoreFault

_PROBE_BYTES = 65536
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM}
_SQLITE = {
    "SQLITE_FULL": StoreFault.FULL,
    "SQLITE_READONLY": StoreFault.READ_ONLY,
    "SQLITE_CANTOPEN": StoreFault.DENIED,
    "SQLITE_PERM": StoreFault.DENIED,
    "SQLITE_AUTH": StoreFault.DENIED,
    "SQLITE_CORRUPT": StoreFault.CORRUPT,
    "SQLITE_NOTADB": StoreFault.CORRUPT,
    "SQLITE_BUSY": StoreFault.BUSY,
    "SQLITE_LOCKED": StoreFault.BUSY,
    "SQLITE_CONSTRAINT": StoreFault.CONFLICT,
}


def store_error(fault: StoreFault, path: Path, detail: str) -> StoreError:
    """Return the error that people read for `fault` at `path`."""
    said, remedy = _words(fault, path)
    return StoreError(fault, f"{path}: {said} ({detail})", remedy=remedy)


def os_error(error: OSError, path: Path) -> StoreError:
    """Return the StoreError of a failed system call on `path`."""
    fault = StoreFault.BROKEN
    if error.errno in _FULL:
        fault = StoreFault.FULL
    elif error.errno == errno.EROFS:
        fault = StoreFault.READ_ONLY
    elif error.errno in _DENIED:
        fault = StoreFault.DENIED
    return store_error(fault, path, error.strerror or type(error).__name__)


def sqlite_error(error: sqlite3.Error, path: Path) -> StoreError:
    """Return the StoreError of a failed SQLite call on the database at `path`."""
    name: str = getattr(error, "sqlite_errorname", None) or ""
    fault = StoreFault.BROKEN
    for start, known in _SQLITE.items():
        if name.startswith(start):
            fault = known
    if name.startswith("SQLITE_IOERR"):
        fault = _io_fault(path)
    return store_error(fault, path, str(error) or name)


def _io_fault(path: Path) -> StoreFault:
    """Tell a full disk or a limit from a broken disk: SQLite says "disk I/O error" for all."""
    probe = path.with_name("probe.tmp")
    log = path.with_name(path.name + "-wal")
    try:
        end = max(file.stat().st_size for file in (path, log) if file.exists())
        with probe.open("wb") as file:
            file.seek(end)
            file.write(bytes(_PROBE_BYTES))
    except OSError as error:
        return StoreFault.FULL if error.errno in _FULL else StoreFault.BROKEN
    except ValueError:
        return StoreFault.BROKEN
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return StoreFault.BROKEN


def _words(fault: StoreFault, path: Path) -> tuple[str, str]:
    folder = path.parent
    aside = f"stop meshd, keep the file for a look (mv {path} {path}.aside), start meshd again"
    return {
        StoreFault.FULL: (
            "no room left to write",
            f"free space on the disk of {folder} (df -h {folder}), or raise the limit or quota "
            "of the account; meshd goes on by itself",
        ),
        StoreFault.READ_ONLY: (
            "the disk is read-only",
            f"look for disk errors (dmesg) and mount it writable: mount -o remount,rw {folder}",
        ),
        StoreFault.DENIED: (
            "may not be opened or written",
            f"give the account that runs meshd the folder: chown -R USER {folder}, "
            "or choose another one with --state-dir",
        ),
        StoreFault.CORRUPT: (
            "the database is damaged",
            f"{aside}; other members and relays then give back what they hold",
        ),
        StoreFault.NEWER: (
            "written by a newer meshd",
            "install the newer meshd again, or choose another --state-dir",
        ),
        StoreFault.BUSY: (
            "another program holds the database",
            f"find it (fuser {path}) and stop it, or wait until it is done",
        ),
        StoreFault.CONFLICT: (
            "another entry stands there already",
            "nothing: meshd reads its heads again; report it if it comes back",
        ),
        StoreFault.BROKEN: (
            "the disk or the file does not answer as it should",
            f"look for disk errors (dmesg), check the disk; {aside}",
        ),
    }[fault]
