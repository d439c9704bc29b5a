"""The hold on this machine: watches its interfaces, gives the kernel routes to install.

Enters: the configured interfaces, route events. Leaves: links that came and went, problems of the
host. In leaf mode nothing of the machine is changed.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from meshd.config.values import NodeConfig
from meshd.core.errors import Exit, RequestError
from meshd.core.events import Link, LinkKind, RouteInstalled, RouteRemoved
from meshd.core.ids import OPEN_MESH_ID, Prefix, mesh_prefix
from meshd.core.snapshot import LinkStatus, Problem
from meshd.runtime.claim import may_administer
from meshd.runtime.filterwatch import FilterWatch
from meshd.runtime.kernel import Kernel
from meshd.runtime.links import LinkChange, LinkMonitor, detect_kind
from meshd.runtime.netlink import KernelError
from meshd.runtime.tun import TUN_NAME, Tun

log = logging.getLogger("meshd.host")


class HostInputs(Protocol):
    """What the host side tells the daemon."""

    def link_up(self, link: Link, index: int) -> None: ...
    def link_down(self, name: str) -> None: ...
    def protect(self, prefixes: tuple[Prefix, ...]) -> None: ...
    def remember(self, prefixes: tuple[Prefix, ...]) -> None: ...
    def tun_received(self, packet: bytes) -> None: ...
    def problem(self, kind: str, problem: Problem | None) -> None: ...


class HostSide:
    """Interfaces and kernel state of one daemon. `restore` puts the machine back as it was."""

    def __init__(
        self, inputs: HostInputs, config: NodeConfig, *, leaf: bool, address: bytes
    ) -> None:
        self._inputs = inputs
        self._kinds = {item.name: item.kind for item in config.interfaces}
        self._radios = config.radio_names
        self._tun: Tun | None = None
        self._kernel: Kernel | None = None
        self._started = False
        self._up: set[str] = set()
        self._absent: dict[str, LinkStatus] = {}
        self._monitor: LinkMonitor | None = None
        self._filter: FilterWatch | None = None
        if not leaf:
            self._kernel = Kernel(
                state_dir=Path(config.state_dir),
                address=address,
                mesh=mesh_prefix(OPEN_MESH_ID),
                admit=config.admit,
            )

    @staticmethod
    def is_leaf(config: NodeConfig) -> bool:
        """Tell whether this node runs without touching the machine's routes.

        Raises: RequestError when routes are demanded (`leaf = false`) and the rights are missing.
        """
        if config.leaf is True:
            return True
        able = may_administer()
        if config.leaf is False and not able:
            raise RequestError(
                "leaf = false, but this process may not install routes",
                code=Exit.DENIED,
                remedy="run it as root (or with CAP_NET_ADMIN), or leave `leaf` out",
            )
        return not able

    def watch_links(self) -> None:
        """Report the interfaces as they are, and from now on each change."""
        if not self._kinds:
            return
        self._monitor = LinkMonitor(self._kinds)
        asyncio.get_running_loop().add_reader(self._monitor.fileno(), self._changed)
        self._report(self._monitor.scan())

    def take_over(self) -> None:
        """Undo what a crashed run left, then set up addresses, rules, filter and forwarding."""
        if self._kernel is None:
            return
        left = self._kernel.recover()
        if left:
            self._inputs.remember(left)
        self._kernel.start({name: kind for name, kind in self._kinds.items() if kind is not None})
        self._started = True
        self._filter = FilterWatch()
        asyncio.get_running_loop().add_reader(self._filter.fileno(), self._filter_changed)
        if self._radios:
            self._open_tun(self._kernel)
        self._inputs.protect(self._kernel.protected())

    @property
    def absent(self) -> tuple[LinkStatus, ...]:
        """The configured interfaces that cannot be used now."""
        return tuple(self._absent.values())

    @property
    def ready(self) -> bool:
        """Tell whether routes may be written; before, they are kept."""
        return self._started or self._kernel is None

    def apply(self, changes: Sequence[RouteInstalled | RouteRemoved]) -> None:
        """Write routes in one batch; in leaf mode there is nothing to write to."""
        if self._kernel is None:
            return
        with self._watched("routes"):
            for prefix, why in self._kernel.apply([self._by_tun(change) for change in changes]):
                log.warning("route refused prefix=%s error=%s", prefix, why)

    def tun_send(self, packet: bytes) -> None:
        """Give the kernel a packet that came over LoRa."""
        if self._tun is not None:
            self._tun.write(packet)

    def restore(self) -> None:
        """Put the machine back as it was."""
        if self._monitor is not None:
            asyncio.get_running_loop().remove_reader(self._monitor.fileno())
            self._monitor.close()
        if self._filter is not None:
            asyncio.get_running_loop().remove_reader(self._filter.fileno())
            self._filter.close()
        self._close_tun()
        if self._kernel is not None:
            self._kernel.stop()

    # --- LoRa -------------------------------------------------------------------------------------

    def _open_tun(self, kernel: Kernel) -> None:
        """Make the device for packets that go over LoRa; without it radios go on without IP."""
        try:
            self._tun = Tun()
            kernel.link_added(self._tun.name, LinkKind.MESH)
        except KernelError as error:
            self._close_tun()
            with suppress(KernelError):
                kernel.link_removed(TUN_NAME)
            log.warning("tun error=%s", error.text)
            self._inputs.problem("tun", Problem("no-ip-over-lora", error.text, error.remedy))
        else:
            asyncio.get_running_loop().add_reader(self._tun.fileno(), self._tun_readable)

    def _tun_readable(self) -> None:
        assert self._tun is not None
        for packet in self._tun.read():
            self._inputs.tun_received(packet)

    def _close_tun(self) -> None:
        if self._tun is not None:
            asyncio.get_running_loop().remove_reader(self._tun.fileno())
            self._tun.close()
            self._tun = None

    def _by_tun(self, change: RouteInstalled | RouteRemoved) -> RouteInstalled | RouteRemoved:
        """Return a route as the kernel has it: by the one device for all radios, or nowhere."""
        if isinstance(change, RouteRemoved) or change.link not in self._radios:
            return change
        if self._tun is None:
            return change._replace(link="")
        return change._replace(link=self._tun.name, next_hop=b"")

    # --- interfaces -------------------------------------------------------------------------------

    def _changed(self) -> None:
        assert self._monitor is not None
        self._report(self._monitor.read())
        if self._monitor.take_host_changed() and self._kernel is not None and self._started:
            with self._watched("filter"):
                self._inputs.protect(self._kernel.protected())

    def _filter_changed(self) -> None:
        assert self._filter is not None and self._kernel is not None
        if self._filter.lost():
            log.warning("another program removed the packet filter; it is set up again")
            with self._watched("filter"):
                self._kernel.mend_filter()

    def _report(self, changes: list[LinkChange]) -> None:
        for change in changes:
            self._report_one(change)

    def _report_one(self, change: LinkChange) -> None:
        name = change.name
        self._inputs.problem(f"link {name}", _trouble(change))
        self._absent.pop(name, None)
        if change.up and change.link_local is not None:
            kind = self._kinds[name] = self._kinds[name] or detect_kind(name)
            self._up.add(name)
            self._inputs.link_up(Link(name, kind, change.link_local, change.mtu), change.index)
            if self._kernel is not None and self._started:
                with self._watched(f"setup {name}"):
                    self._kernel.link_added(name, kind)
        elif name in self._up:
            self._up.discard(name)
            self._inputs.link_down(name)
        if name not in self._up:
            said = self._kinds[name]
            state = "missing" if change.gone else "down"
            self._absent[name] = LinkStatus(name, said.value if said else "unknown", state)

    @contextmanager
    def _watched(self, kind: str) -> Iterator[None]:
        """Show a refusal of the kernel in `status` until the same thing works again."""
        try:
            yield
        except KernelError as error:
            log.warning("%s error=%s", kind, error.text)
            self._inputs.problem(kind, Problem("host", error.text, error.remedy))
        else:
            self._inputs.problem(kind, None)


def _trouble(change: LinkChange) -> Problem | None:
    name = change.name
    if change.gone:
        return Problem(
            "link-missing",
            f"there is no interface {name}",
            "plug it in or correct its name; `ip -br link` lists what there is",
        )
    if not change.up:
        return Problem(
            "link-down",
            f"interface {name} is down or has no carrier",
            f"`ip link set {name} up`, or look at the cable or radio",
        )
    if change.link_local is None:
        return Problem(
            "link-no-address",
            f"interface {name} has no link-local IPv6 address",
            "that of this machine itself never has one: two nodes here meet by --peer"
            if name == "lo"
            else f"is IPv6 switched off there? See /proc/sys/net/ipv6/conf/{name}/disable_ipv6",
        )
    return None
