"""The host's IPv6 settings: changed only with their old value on disk, and put back.

In: paths below /proc/sys/net/ipv6 and the values that meshd needs. Out: changed settings, and the
`HostFile` record that undoes them. A setting is put back only while it still has the value that
meshd gave it: what somebody else changed since is theirs.

Forwarding is switched on in one of two ways. From Linux 6.17 on, `force_forwarding` of the
interfaces of the mesh is all that changes. Before it, only `all/forwarding` makes the kernel
forward; writing it changes `forwarding` of every interface and deletes the default routes learned
by router advertisement, unless `accept_ra` is 2 at that moment. So `accept_ra` is raised for that
moment and everything but `all/forwarding` is set back: the kernel asks nothing else when it
forwards, and the host stays a host towards its own routers.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from meshd.core.errors import Exit
from meshd.runtime.hostfile import HostFile, Setting
from meshd.runtime.netlink import IPV6_REMEDY, RIGHTS_REMEDY, KernelError

_ROOT = Path("/proc/sys/net/ipv6")
_ALL_FORWARDING = "conf/all/forwarding"


def read(path: str) -> str | None:
    """Return a setting below net/ipv6, or None when there is no such setting or interface."""
    try:
        return (_ROOT / path).read_text().strip()
    except (FileNotFoundError, OSError):
        return None


def require_ipv6() -> None:
    """Refuse a host without IPv6.

    Raises: KernelError.
    """
    if read(_ALL_FORWARDING) is None:
        raise KernelError("this kernel has IPv6 disabled", remedy=IPV6_REMEDY)
    for name in ("all", "lo"):
        if read(f"conf/{name}/disable_ipv6") == "1":
            raise KernelError(f"net.ipv6.conf.{name}.disable_ipv6 is 1", remedy=IPV6_REMEDY)


def host_forwards() -> bool:
    """Tell whether the host forwards IPv6 between all its interfaces already."""
    return read(_ALL_FORWARDING) == "1"


def can_force(name: str) -> bool:
    """Tell whether forwarding can be switched on for this interface alone (Linux 6.17)."""
    return read(f"conf/{name}/force_forwarding") is not None


class Sysctl:
    """Changes settings through the record, and undoes them."""

    def __init__(self, record: HostFile) -> None:
        self._record = record

    def set(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Give settings their values, in order, after all old values are on the disk.

        A setting that does not exist (its interface is gone, the kernel is older) is left out.

        Raises: KernelError.
        """
        changes = []
        for path, value in wanted:
            before = read(path)
            if before is None or before == value:
                continue
            changes.append(Setting(path, before, value))
        if not changes:
            return
        for change in changes:
            self._record.settings[change.path] = change
        self._record.save()
        for change in changes:
            _write(change.path, change.after)

    def forward_everywhere(self) -> None:
        """Make the kernel forward IPv6, and change nothing else (before Linux 6.17).

        Raises: KernelError.
        """
        if host_forwards():
            return
        lowered = [path for name in _interfaces() if read(path := f"conf/{name}/forwarding") == "0"]
        raised = self._keep_routers()
        for path in lowered:
            self._record.settings[path] = Setting(path, "0", "1")
        self.set([(_ALL_FORWARDING, "1")])
        for path in lowered:
            _write(path, "0")
            self._record.settings.pop(path, None)
        self._let_routers_go(raised)

    def _keep_routers(self) -> list[Setting]:
        """Raise `accept_ra`, so that writing `forwarding` spares the routes learned by it."""
        self.set(
            (path, "2") for name in _interfaces() if read(path := f"conf/{name}/accept_ra") == "1"
        )
        settings = self._record.settings.values()
        return [item for item in settings if item.path.endswith("accept_ra") and item.after == "2"]

    def _let_routers_go(self, raised: list[Setting]) -> None:
        for setting in raised:
            _write(setting.path, setting.before)
            self._record.settings.pop(setting.path, None)
        self._record.save()

    def undo(self, names: Iterable[str] | None = None) -> None:
        """Put settings back: all of them, or those of the interfaces `names` only.

        Raises: KernelError.
        """
        chosen = None if names is None else set(names)
        for setting in reversed(list(self._record.settings.values())):
            if chosen is not None and setting.path.split("/")[-2] not in chosen:
                continue
            if read(setting.path) == setting.after:
                self._put_back(setting)
            self._record.settings.pop(setting.path, None)
        self._record.save()

    def _put_back(self, setting: Setting) -> None:
        if setting.path != _ALL_FORWARDING:
            _write(setting.path, setting.before)
            return
        # Writing it writes `forwarding` of every interface: those that differ keep theirs.
        kept = {path: read(path) for path in (f"conf/{name}/forwarding" for name in _interfaces())}
        _write(setting.path, setting.before)
        changed = [
            (path, value)
            for path, value in kept.items()
            if value and read(path) != value and path not in self._record.settings
        ]
        if changed:
            raised = self._keep_routers()
            for path, value in changed:
                _write(path, value)
            self._let_routers_go(raised)


def _interfaces() -> list[str]:
    """Return the interfaces, and `default`, which those to come are copied from."""
    return [name for name in os.listdir(_ROOT / "conf") if name != "all"]


def _write(path: str, value: str) -> None:
    try:
        (_ROOT / path).write_text(value)
    except FileNotFoundError:
        return  # The interface went at this very moment: its settings went with it.
    except OSError as error:
        raise KernelError(
            f"/proc/sys/net/ipv6/{path} cannot be set to {value}: {error.strerror}",
            code=Exit.DENIED,
            remedy=f"{RIGHTS_REMEDY}; in a container, make /proc/sys/net writable",
        ) from error
