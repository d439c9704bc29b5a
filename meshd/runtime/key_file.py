"""The file that the radios of a closed mesh share: one line, 64 hex digits of a 32-byte link key.

Enters: its path. Leaves: the key, or what is wrong with the file, and what to do about it.
Must not know: what the key seals.
"""

import os
import stat

from meshd.core.crypto import KEY_LEN
from meshd.core.errors import Exit, RequestError
from meshd.runtime.disk import sync_folder

_MAKE = "copy it from a node of that mesh, or begin a mesh with: meshd radio key {path}"


def read_key(path: str) -> bytes:
    """Return the link key in a file. Raises: RequestError where there is none, or all may read it.

    A key that everybody on the machine may read is refused; the daemon's group may.
    """
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            line = file.readline(256)
    except OSError as error:
        raise _wrong(path, str(error.strerror), _MAKE.format(path=path)) from error
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise _wrong(path, "everybody on this machine may read or write it", f"chmod o-rwx {path}")
    try:
        key = bytes.fromhex(line.strip().decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_LEN or not any(key):
        text = f"its first line is not a key of {2 * KEY_LEN} hex digits"
        raise _wrong(path, text, _MAKE.format(path=path))
    return key


def key_doubt(path: str, key: bytes) -> RequestError | None:
    """Return what is wrong with the file of a key in use; None: it is as it was read."""
    try:
        same = read_key(path) == key
    except RequestError as error:
        return error
    remedy = "start meshd again to use it, or put the old one back"
    return None if same else _wrong(path, "another key stands in it now", remedy)


def make_key(path: str) -> None:
    """Write a new key into a new file, for its owner only. Raises: RequestError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        opened = os.open(path, flags, 0o600)
    except FileExistsError as error:
        raise RequestError(
            f"{path}: there is one already, and it stays",
            code=Exit.USAGE,
            remedy="name another file; a mesh whose key is replaced falls silent",
        ) from error
    except OSError as error:
        remedy = "name a file in a folder that is there and that you may write"
        raise _wrong(path, str(error.strerror), remedy) from error
    with open(opened, "w", encoding="ascii") as file:
        file.write(os.urandom(KEY_LEN).hex() + "\n")
        file.flush()
        os.fsync(opened)
    sync_folder(os.path.dirname(os.path.abspath(path)))


def _wrong(path: str, text: str, remedy: str) -> RequestError:
    return RequestError(f"{path}: {text}", code=Exit.CONFIG, remedy=remedy)
