"""The state directory: who may look in, who holds it, and the device key.

Enters: a path. Leaves: a held directory, the Identity, the `address` file. Nothing here ever
overwrites a device key: what cannot be read is an error with its remedy.
"""

import fcntl
import grp
import os
import stat
from contextlib import suppress

from meshd.config.paths import ADDRESS_FILE, BALLAST_FILE, KEY_FILE, LOCK_FILE
from meshd.core.crypto import KEY_LEN, digest
from meshd.core.errors import Exit, RequestError
from meshd.core.identity import Identity
from meshd.runtime.disk import write_atomically

BALLAST_BYTES = 256 * 1024
"""Room that is held while there is some, and given up so that a start on a full disk succeeds."""

_PLENTY_BYTES = 16 * BALLAST_BYTES
_KEY_BYTES_MAX = 4096


def group_id(name: str) -> int | None:
    """Return the id of a group of this system, or None when there is none of that name."""
    try:
        return grp.getgrnam(name).gr_gid if name else None
    except KeyError:
        return None


class StateDir:
    """A state directory that this process holds until `close`. `notes` are repairs to report."""

    def __init__(self, path: str, lock: int) -> None:
        self.path = path
        self.notes: list[str] = []
        self._lock = lock

    def file(self, name: str) -> str:
        """Return the path of a file in the directory."""
        return os.path.join(self.path, name)

    def identity(self) -> Identity:
        """Return the device's identity; made from the system's entropy if there is no key yet."""
        path = self.file(KEY_FILE)
        if not os.path.lexists(path):
            identity = Identity(os.urandom(KEY_LEN), os.urandom(KEY_LEN))
            try:
                write_atomically(path, _encode_key(identity), mode=0o600)
            except OSError as error:
                raise _unusable(self.path, error) from error
            return identity
        mode = stat.S_IMODE(os.lstat(path).st_mode)
        identity = read_identity(self.path)
        if mode & 0o177:
            os.chmod(path, 0o600)
            self.notes.append(f"{path}: others could read it (mode {mode:04o}); now 0600")
        return identity

    def write_address(self, text: str) -> None:
        """Tell scripts the node's address; it also says that the daemon is up."""
        write_atomically(self.file(ADDRESS_FILE), text.encode() + b"\n", mode=0o644)

    def remove_address(self) -> None:
        """Take the `address` file away."""
        with suppress(FileNotFoundError):
            os.unlink(self.file(ADDRESS_FILE))

    def close(self) -> None:
        """Let another daemon have the directory."""
        os.close(self._lock)


def open_state_dir(path: str, *, group: str = "") -> StateDir:
    """Create the directory if need be, set its mode and hold it.

    Members of `group`, where it exists, may pass through to the control socket: 0710, else 0700.

    Raises: RequestError.
    """
    gid = group_id(group)
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        owner = os.stat(path).st_uid
        if owner != os.geteuid():
            raise RequestError(
                f"{path}: belongs to user {owner}, and this process is user {os.geteuid()}",
                code=Exit.DENIED,
                remedy="run meshd as that user, or choose another --state-dir",
            )
        lock = _hold(path)
    except OSError as error:
        raise _unusable(path, error) from error
    found = StateDir(path, lock)
    try:
        _set_mode(found, gid)
        found.remove_address()
        _tend_ballast(found)
    except OSError as error:
        found.close()
        raise _unusable(path, error) from error
    return found


def _unusable(path: str, error: OSError) -> RequestError:
    denied = isinstance(error, PermissionError)
    return RequestError(
        f"{path}: the state directory cannot be used: {error.strerror or error}",
        code=Exit.DENIED if denied else Exit.ERROR,
        remedy="choose a directory that can be written, with --state-dir",
    )


def _set_mode(found: StateDir, gid: int | None) -> None:
    before = stat.S_IMODE(os.stat(found.path).st_mode)
    wanted = 0o700
    if gid is not None:
        with suppress(PermissionError):
            os.chown(found.path, -1, gid)
            wanted = 0o710
    if before != wanted:
        os.chmod(found.path, wanted)
    if before & 0o067:
        found.notes.append(f"{found.path}: mode was {before:04o}; now {wanted:04o}")


def _tend_ballast(found: StateDir) -> None:
    """Hold some room while there is plenty; give it up when there is none, and note that."""
    name = found.file(BALLAST_FILE)
    disk = os.statvfs(found.path)
    room = disk.f_bavail * disk.f_frsize
    held = os.path.lexists(name)
    if held and room < BALLAST_BYTES:
        os.unlink(name)
        found.notes.append(f"{found.path}: the disk is full; the ballast gave way to this start")
    elif not held and room >= _PLENTY_BYTES:
        with suppress(OSError):
            write_atomically(name, os.urandom(BALLAST_BYTES), mode=0o600)


def _hold(path: str) -> int:
    name = os.path.join(path, LOCK_FILE)
    lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with suppress(OSError):  # the number is for people only, and the disk may be full
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError as error:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise RequestError(
            f"{path}: a daemon already runs on this state directory (process {holder})",
            remedy="stop that one first, or give this one its own --state-dir",
        ) from error
    except BaseException:
        os.close(lock)
        raise
    return lock


# --- the device key -------------------------------------------------------------------------------


def read_identity(path: str) -> Identity:
    """Read the device key of the state directory at `path`.

    Raises: RequestError; NOT_FOUND when there is no key yet.
    """
    name = os.path.join(path, KEY_FILE)
    try:
        opened = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise RequestError(
            f"{name}: no device key yet",
            code=Exit.NOT_FOUND,
            remedy=f"make one with: meshd init --state-dir {path}",
        ) from error
    except OSError as error:
        raise RequestError(
            f"{name}: cannot be read: {error.strerror}",
            code=Exit.DENIED if isinstance(error, PermissionError) else Exit.ERROR,
            remedy="run this as the user who owns the state directory",
        ) from error
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise _corrupt(name)
    with open(opened, "rb") as file:
        data = file.read(_KEY_BYTES_MAX)
    return _decode_key(data, name)


def _encode_key(identity: Identity) -> bytes:
    parts = (*identity, _guard(*identity))
    return b"".join(part.hex().encode() + b"\n" for part in parts)


def _guard(device_seed: bytes, session_secret: bytes) -> bytes:
    return digest(device_seed + session_secret, person=b"meshd-key-file")


def _decode_key(data: bytes, name: str) -> Identity:
    """Parse three hex lines: device seed, session secret, and their digest, against damage."""
    try:
        parts = [bytes.fromhex(line) for line in data.decode("ascii").splitlines()]
    except ValueError:
        raise _corrupt(name) from None
    if [len(part) for part in parts] != [KEY_LEN] * 3 or _guard(parts[0], parts[1]) != parts[2]:
        raise _corrupt(name)
    return Identity(parts[0], parts[1])


def _corrupt(name: str) -> RequestError:
    return RequestError(
        f"{name}: this is not a device key, or it is damaged; it was left as it is",
        remedy="put your copy of it back; or move it away and start again as a new node",
    )
