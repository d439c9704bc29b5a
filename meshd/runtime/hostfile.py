"""What meshd changed on the host, kept on disk before it is changed, to be undone.

In: settings that are about to change, each with its value before and the value meshd sets. Out:
`STATE_DIR/host.json`, complete on the disk before the first of them changes, so that the start
after a `kill -9` or a power cut can undo them. A file of an earlier boot or of another network
namespace describes a host that is gone: it is ignored.

This file never touches the host itself: `runtime/sysctl.py` and `runtime/kernel.py` do.
"""

import json
import socket
from pathlib import Path
from typing import NamedTuple

from meshd.config.paths import BOOT_ID
from meshd.runtime.disk import sync_folder, write_atomically
from meshd.runtime.netlink import KernelError

_SO_NETNS_COOKIE = 71
_NAMESPACE = Path("/proc/self/ns/net")


class Setting(NamedTuple):
    """A file under /proc/sys: its value before meshd, and the value that meshd gave it."""

    path: str
    before: str
    after: str


def host_token() -> str:
    """Return what tells this boot and network namespace from every other one."""
    boot = Path(BOOT_ID).read_text().strip()
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            cookie = int.from_bytes(probe.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8), "big")
        except OSError:  # Before Linux 5.14: an inode number, which may be used again.
            cookie = _NAMESPACE.stat().st_ino
    return f"{boot}/{cookie:x}"


class HostFile:
    """The record of one state directory. `settings` are kept in the order of their first change."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "host.json"
        self.settings: dict[str, Setting] = {}
        self.loopback_was_down = False

    def load(self) -> bool:
        """Read the record of a run that ended without undoing its changes; tell if there is one.

        A file that cannot be read as a record is set aside under another name.

        Raises: KernelError.
        """
        try:
            kept = json.loads(self._path.read_text())
            known = str(kept["host"]) == host_token()
            settings = [Setting(*(str(part) for part in item)) for item in kept["settings"]]
            down = bool(kept["loopback_was_down"])
        except FileNotFoundError:
            return False
        except (ValueError, TypeError, KeyError):
            self._path.replace(self._path.with_name("host.json.unreadable"))
            return False
        except OSError as error:
            raise self._refused(error) from error
        if known:
            self.settings = {setting.path: setting for setting in settings}
            self.loopback_was_down = down
        return known

    def save(self) -> None:
        """Write the record so that it survives a power cut, or delete it when it is empty.

        Raises: KernelError.
        """
        try:
            if self.settings or self.loopback_was_down:
                write_atomically(str(self._path), self._encode(), mode=0o644)
            elif self._path.exists():
                self._path.unlink()
                sync_folder(str(self._path.parent))
        except OSError as error:
            raise self._refused(error) from error

    def _encode(self) -> bytes:
        record = {
            "host": host_token(),
            "loopback_was_down": self.loopback_was_down,
            "settings": list(self.settings.values()),
        }
        return json.dumps(record, indent=1).encode()

    def _refused(self, error: OSError) -> KernelError:
        return KernelError(
            f"{self._path}: {error.strerror}",
            remedy="make the state directory writable, or name another with --state-dir",
        )
