"""Watches interfaces by netlink: which are up, and with which link-local address.

In: the names of the configured interfaces. Out: a `LinkChange` for each that came, changed or went.
Only the standard library is used, so that the first hello need not wait for an import. It also
notices that the host's own addresses or routes changed, since what may be accepted from the air
depends on them (`Kernel.protected`).

An address is reported once duplicate address detection has passed it (RFC 4862 §5.4): nothing can
be sent from a tentative one. A bridge's own messages about its ports carry the same types as those
of interfaces, under another family: they are not interfaces going away.
Ref: rtnetlink(7).
"""

import errno
import socket
import struct
import sys
from array import array
from collections.abc import Iterable
from typing import NamedTuple

from meshd.core.events import LinkKind
from meshd.core.ids import is_link_local
from meshd.runtime import netlink
from meshd.runtime.netlink import NetlinkSocket, attributes, messages

_GROUP_LINK, _GROUP_IPV6_ADDRESS, _GROUP_IPV6_ROUTE = 0x1, 0x100, 0x400
_IFLA_IFNAME, _IFLA_MTU = 3, 4
_IFA_ADDRESS, _IFA_FLAGS = 1, 8
_IFA_F_OPTIMISTIC, _IFA_F_DADFAILED, _IFA_F_TENTATIVE = 0x04, 0x08, 0x40
_ADDRESS = struct.Struct("=BBBBI")
"""ifaddrmsg: family, prefix length, flags, scope, index."""
_BODY = netlink.HEADER.size
_SO_ATTACH_FILTER = 26


class LinkChange(NamedTuple):
    """One configured interface, as it is now.

    `up`: switched on and with a carrier. `link_local`: the packed address to send from, None while
    there is none that may be used. `gone`: there is no such interface; the other values are empty.
    """

    name: str
    index: int  # type: ignore[assignment]
    up: bool
    link_local: bytes | None
    mtu: int
    gone: bool


class _Seen(NamedTuple):
    """An interface as the kernel last described it."""

    name: str
    up: bool
    mtu: int


class LinkMonitor:
    """Reports the interfaces `names`. Wait for `fileno()` to be readable, then `read()`."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(dict.fromkeys(names))
        self._seen: dict[int, _Seen] = {}
        self._addresses: dict[int, dict[bytes, bool]] = {}
        self._reported: dict[str, LinkChange] = {}
        self._changes: list[LinkChange] = []
        self._host_changed = False
        groups = _GROUP_LINK | _GROUP_IPV6_ADDRESS | _GROUP_IPV6_ROUTE
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self._socket.bind((0, groups))
        _ignore_other_tables(self._socket)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when something changed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop watching."""
        self._socket.close()

    def take_host_changed(self) -> bool:
        """Tell, once, whether addresses or main routes of the host changed since the last call."""
        changed, self._host_changed = self._host_changed, False
        return changed

    def scan(self) -> list[LinkChange]:
        """Read everything anew and report what differs from what was reported before.

        The first call reports every name. Raises: KernelError.
        """
        self._seen.clear()
        self._addresses.clear()
        self._host_changed = True
        source = NetlinkSocket()
        try:
            links = netlink.message(netlink.RTM_GETLINK, 0, netlink.INTERFACE.pack(0, 0, 0, 0, 0))
            for data in source.dump(links):
                self._take_link(data, gone=False, report=False)
            addresses = netlink.message(
                netlink.RTM_GETADDR, 0, _ADDRESS.pack(socket.AF_INET6, 0, 0, 0, 0)
            )
            for data in source.dump(addresses):
                self._take_address(data, gone=False, report=False)
        finally:
            source.close()
        for name in self._names:
            self._report(name)
        return self._take_changes()

    def read(self) -> list[LinkChange]:
        """Take what the kernel told since the last call; never blocks.

        Raises: KernelError.
        """
        while True:
            try:
                buffer = self._socket.recv(1 << 16)
            except BlockingIOError:
                return self._take_changes()
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                earlier = self._take_changes()
                return earlier + self.scan()  # Messages were lost: look at everything.
            for kind, _, _, data in messages(buffer):
                self._take(kind, data)

    def _take(self, kind: int, data: bytes) -> None:
        if kind in (netlink.RTM_NEWLINK, netlink.RTM_DELLINK):
            self._take_link(data, gone=kind == netlink.RTM_DELLINK)
        elif kind in (netlink.RTM_NEWADDR, netlink.RTM_DELADDR):
            self._host_changed = True
            self._take_address(data, gone=kind == netlink.RTM_DELADDR)
        elif kind in (netlink.RTM_NEWROUTE, netlink.RTM_DELROUTE):
            self._host_changed = True

    def _take_link(self, data: bytes, *, gone: bool, report: bool = True) -> None:
        family, _, index, flags, _ = netlink.INTERFACE.unpack_from(data, _BODY)
        if family != socket.AF_UNSPEC:
            return
        found = attributes(data, _BODY + netlink.INTERFACE.size)
        before = self._seen.get(index)
        if gone:
            self._seen.pop(index, None)
            self._addresses.pop(index, None)
            name = ""
        else:
            name = found.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="surrogateescape")
            mtu = int.from_bytes(found.get(_IFLA_MTU, b""), sys.byteorder)
            up = bool(flags & netlink.IFF_UP) and bool(flags & netlink.IFF_LOWER_UP)
            self._seen[index] = _Seen(name, up, mtu)
        if report:
            if before and before.name != name:
                self._report(before.name)
            self._report(name)

    def _take_address(self, data: bytes, *, gone: bool, report: bool = True) -> None:
        _, _, low_flags, _, index = _ADDRESS.unpack_from(data, _BODY)
        found = attributes(data, _BODY + _ADDRESS.size)
        address = found.get(_IFA_ADDRESS, b"")
        if len(address) != 16 or not is_link_local(address):
            return
        flags = int.from_bytes(found.get(_IFA_FLAGS, bytes([low_flags])), sys.byteorder)
        waits = flags & _IFA_F_TENTATIVE and not flags & _IFA_F_OPTIMISTIC
        known = self._addresses.setdefault(index, {})
        if gone:
            known.pop(address, None)
        else:
            known[address] = not waits and not flags & _IFA_F_DADFAILED
        if report and index in self._seen:
            self._report(self._seen[index].name)

    def _report(self, name: str) -> None:
        if name not in self._names:
            return
        before = self._reported.get(name)
        after = self._describe(name, before)
        if before == after:
            return
        if before and not before.gone and not after.gone and before.index != after.index:
            self._changes.append(LinkChange(name, 0, False, None, 0, True))
        self._reported[name] = after
        self._changes.append(after)

    def _describe(self, name: str, before: LinkChange | None) -> LinkChange:
        for index, link in self._seen.items():
            if link.name != name:
                continue
            usable = sorted(item for item, ready in self._addresses.get(index, {}).items() if ready)
            kept = before.link_local if before and before.index == index else None
            address = kept if kept in usable else next(iter(usable), None)
            return LinkChange(name, index, link.up, address, link.mtu, False)
        return LinkChange(name, 0, False, None, 0, True)

    def _take_changes(self) -> list[LinkChange]:
        changes, self._changes = self._changes, []
        return changes


def _ignore_other_tables(listener: socket.socket) -> None:
    """Have the kernel keep back route messages of other tables than main: ours come by thousands.

    A classic BPF program; it reads words big-endian, netlink writes them as the host does.
    """

    def swapped(value: int) -> int:
        return int.from_bytes(value.to_bytes(2, sys.byteorder), "big")

    load_half, load_byte, jump_equal, give_back = 0x28, 0x30, 0x15, 0x06
    program = [
        (load_half, 0, 0, 4),  # nlmsg_type
        (jump_equal, 1, 0, swapped(netlink.RTM_NEWROUTE)),
        (jump_equal, 0, 2, swapped(netlink.RTM_DELROUTE)),
        (load_byte, 0, 0, _BODY + 4),  # rtm_table
        (jump_equal, 0, 1, netlink.RT_TABLE_MAIN),
        (give_back, 0, 0, 0xFFFFFFFF),
        (give_back, 0, 0, 0),
    ]
    code = array("B", b"".join(struct.pack("=HBBI", *step) for step in program))
    listener.setsockopt(
        socket.SOL_SOCKET,
        _SO_ATTACH_FILTER,
        struct.pack("@HP", len(program), code.buffer_info()[0]),
    )


# --- what an interface is -------------------------------------------------------------------------

_NETLINK_GENERIC, _GENL_ID_CTRL, _CTRL_CMD_GETFAMILY = 16, 16, 3
_CTRL_ATTR_FAMILY_ID, _CTRL_ATTR_FAMILY_NAME = 1, 2
_NL80211_CMD_GET_INTERFACE, _NL80211_ATTR_IFINDEX, _NL80211_ATTR_IFTYPE = 5, 3, 5
_NL80211_IFTYPE_ADHOC, _NL80211_IFTYPE_MESH_POINT = 1, 7
_GENERIC = struct.Struct("=BBH")


def detect_kind(name: str) -> LinkKind:
    """Return MESH for an IBSS or 802.11s interface, SHARED for everything else.

    What cannot be asked (no such interface yet, no nl80211) is SHARED.
    """
    source = NetlinkSocket(protocol=_NETLINK_GENERIC)
    try:
        kind = _wireless_type(source, socket.if_nametoindex(name))
    except (OSError, netlink.KernelError):
        return LinkKind.SHARED
    finally:
        source.close()
    mesh = kind in (_NL80211_IFTYPE_ADHOC, _NL80211_IFTYPE_MESH_POINT)
    return LinkKind.MESH if mesh else LinkKind.SHARED


def _wireless_type(source: NetlinkSocket, index: int) -> int | None:
    """Return the nl80211 interface type of an interface, None when it does not say."""
    family = generic_family(source, "nl80211")
    if family is None:
        return None
    answer = source.ask(_generic(family, _NL80211_CMD_GET_INTERFACE, _NL80211_ATTR_IFINDEX, index))
    said = attributes(answer, _BODY + _GENERIC.size).get(_NL80211_ATTR_IFTYPE)
    return int.from_bytes(said, sys.byteorder) if said else None


def generic_family(source: NetlinkSocket, name: str) -> int | None:
    """Return the number of a generic netlink family, None when the kernel has none.

    Raises: KernelError.
    """
    answer = source.ask(_generic(_GENL_ID_CTRL, _CTRL_CMD_GETFAMILY, _CTRL_ATTR_FAMILY_NAME, name))
    said = attributes(answer, _BODY + _GENERIC.size).get(_CTRL_ATTR_FAMILY_ID)
    return int.from_bytes(said, sys.byteorder) if said else None


def _generic(family: int, command: int, attribute: int, value: int | str) -> bytes:
    """Return a generic netlink request with one attribute."""
    data = struct.pack("=I", value) if isinstance(value, int) else value.encode() + b"\0"
    head = netlink.ATTRIBUTE.pack(netlink.ATTRIBUTE.size + len(data), attribute)
    body = _GENERIC.pack(command, 1, 0) + head + data + bytes(-len(data) % 4)
    return netlink.message(family, 0, body)
