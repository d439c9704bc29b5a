"""A netlink socket that sends many messages at once, and the messages of routes.

In: whole netlink messages as bytes, and `RouteInstalled`/`RouteRemoved` values. Out: what the
kernel refused, and why, in its own words. Routes are packed by one `Struct`: pyroute2 needs 0.7 ms
of CPU for each, which is a second for a thousand (docs/decisions/0001-route-writes.md). Everything
that is written once (rules, addresses) or read back is built and decoded by pyroute2's own message
classes, loaded here without the rest of that package, which would cost 13 MiB.

This file knows nothing of tables, policies or what belongs to meshd: `runtime/kernel.py` does.
Ref: rtnetlink(7), RFC 3549.
"""

import errno
import importlib.util
import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from meshd.core.errors import Exit, RequestError

NLM_F_REQUEST, NLM_F_MULTI, NLM_F_ACK, NLM_F_DUMP_INTR, NLM_F_DUMP = 0x1, 0x2, 0x4, 0x10, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
NLMSG_ERROR, NLMSG_DONE = 2, 3
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34

HEADER = struct.Struct("=IHHII")
"""Length, type, flags, sequence, port id."""
ATTRIBUTE = struct.Struct("=HH")
INTERFACE = struct.Struct("=BxHiII")
"""ifinfomsg: family, device type, index, flags, change mask."""
IFF_UP, IFF_LOWER_UP = 0x1, 0x10000
RT_TABLE_MAIN = 254
_SOL_NETLINK = 270
_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK = 10, 11, 12
_NLM_F_CAPPED, _NLM_F_ACK_TLVS = 0x100, 0x200
_ROUTE = struct.Struct("=IHHII 8BI HHI HHI HH16s HH16s HH16s HHI")
_BATCH_MAX = 64
_DUMP_TRIES_MAX = 8
_TIMEOUT_S = 10.0


class KernelError(RequestError):
    """The kernel, or a tool that speaks to it, refused; `remedy` says what a person can do."""


class Refusal(NamedTuple):
    """One message of a batch that the kernel refused: its place, errno and words."""

    place: int
    errno: int
    text: str


class RouteKey(NamedTuple):
    """What tells one of our routes from another: table, packed prefix and length."""

    table: int
    prefix: bytes
    length: int


class NextHop(NamedTuple):
    """Where a route leads: a neighbour's packed address, on the interface of that index.

    An empty address: to the interface itself, which knows no neighbours.
    """

    interface: int
    gateway: bytes


def message(kind: int, flags: int, payload: bytes) -> bytes:
    """Return a netlink message; the socket fills in the sequence number."""
    return HEADER.pack(HEADER.size + len(payload), kind, flags | NLM_F_REQUEST, 0, 0) + payload


def messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Split a received buffer; yield type, flags, sequence and the whole message."""
    place = 0
    while place + HEADER.size <= len(data):
        length, kind, flags, sequence, _ = HEADER.unpack_from(data, place)
        if length < HEADER.size or place + length > len(data):
            return
        yield kind, flags, sequence, data[place : place + length]
        place += length + 3 & ~3


def attributes(data: bytes, start: int) -> dict[int, bytes]:
    """Return the attributes of a message from byte `start` on, by type without its flag bits."""
    found = {}
    while start + ATTRIBUTE.size <= len(data):
        length, kind = ATTRIBUTE.unpack_from(data, start)
        if length < ATTRIBUTE.size or start + length > len(data):
            break
        found[kind & 0x3FFF] = data[start + ATTRIBUTE.size : start + length]
        start += length + 3 & ~3
    return found


class NetlinkSocket:
    """A blocking netlink socket: requests in batches, and dumps.

    `protocol` 0 is NETLINK_ROUTE, 16 is generic netlink.
    """

    def __init__(self, *, protocol: int = socket.NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._socket.bind((0, 0))
        self._socket.settimeout(_TIMEOUT_S)
        self._sequence = 0
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK):
            try:
                self._socket.setsockopt(_SOL_NETLINK, option, 1)
            except OSError:
                continue  # An older kernel: longer answers, fewer words, dumps filtered by us.

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def request(self, batch: Sequence[bytes]) -> list[Refusal]:
        """Send messages in order and return those that were refused.

        Only refusals are answered by the kernel, and the last message of every sending.

        Raises: KernelError when the kernel does not answer.
        """
        refused = []
        for start in range(0, len(batch), _BATCH_MAX):
            part = batch[start : start + _BATCH_MAX]
            first = self._sequence + 1
            buffer = bytearray()
            for place, item in enumerate(part):
                at = len(buffer)
                buffer += item
                flags = int.from_bytes(item[6:8], sys.byteorder) & ~NLM_F_ACK
                if place == len(part) - 1:
                    flags |= NLM_F_ACK
                struct.pack_into("=HI", buffer, at + 6, flags, first + place)
            self._sequence += len(part)
            self._send(bytes(buffer))
            refused += [
                Refusal(start + sequence - first, number, text)
                for sequence, number, text in self._answers(self._sequence)
                if first <= sequence
            ]
        return refused

    def ask(self, item: bytes) -> bytes:
        """Send one request and return the one message that answers it.

        Raises: KernelError when the kernel refuses.
        """
        self._sequence += 1
        data = bytearray(item)
        struct.pack_into("=I", data, 8, self._sequence)
        self._send(bytes(data))
        found = self._dump_answers()
        if not found:
            raise KernelError("netlink: no such object")
        return found[0]

    def dump(self, item: bytes) -> list[bytes]:
        """Send a dump request and return the messages of the answer, headers and all.

        Raises: KernelError when the table keeps changing, or the kernel refuses.
        """
        for _ in range(_DUMP_TRIES_MAX):
            self._sequence += 1
            data = bytearray(item)
            flags = int.from_bytes(item[6:8], sys.byteorder) | NLM_F_DUMP
            struct.pack_into("=HI", data, 6, flags, self._sequence)
            self._send(bytes(data))
            found = self._dump_answers()
            if found is not None:
                return found
        raise KernelError("the kernel's tables change faster than they can be read")

    def _send(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except OSError as error:
            raise refused_error("netlink", error.errno or 0, str(error)) from error

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(1 << 17)
        except TimeoutError as error:
            raise KernelError("the kernel did not answer a netlink request") from error

    def _answers(self, last: int) -> Iterator[tuple[int, int, str]]:
        while True:
            for kind, flags, sequence, data in messages(self._receive()):
                if kind != NLMSG_ERROR:
                    continue
                number, text = _parse_error(data, flags)
                if number:
                    yield sequence, number, text
                if sequence == last:
                    return

    def _dump_answers(self) -> list[bytes] | None:
        found: list[bytes] = []
        interrupted = False
        while True:
            for kind, flags, sequence, data in messages(self._receive()):
                if sequence != self._sequence:
                    continue
                interrupted = interrupted or bool(flags & NLM_F_DUMP_INTR)
                if kind == NLMSG_DONE:
                    return None if interrupted else found
                if kind == NLMSG_ERROR:
                    number, text = _parse_error(data, flags)
                    if number == errno.ENOENT:
                        return []  # A table that nobody has used yet.
                    raise refused_error("netlink dump", number, text)
                found.append(data)
                if not flags & NLM_F_MULTI:
                    return found


def _parse_error(data: bytes, flags: int) -> tuple[int, str]:
    """Return errno (0: it was an acknowledgement) and the kernel's words."""
    number = -int(struct.unpack_from("=i", data, HEADER.size)[0])
    if not number:
        return 0, ""
    text = os.strerror(number)
    if flags & _NLM_F_ACK_TLVS:
        start = HEADER.size + 4 + HEADER.size
        if not flags & _NLM_F_CAPPED:
            (length,) = struct.unpack_from("=I", data, HEADER.size + 4)
            start = HEADER.size + 4 + (length + 3 & ~3)
        said = attributes(data, start).get(1)
        if said:
            text = f"{said.rstrip(bytes(1)).decode(errors='replace')} ({text})"
    return number, text


def refused_error(what: str, number: int, text: str) -> KernelError:
    """Return the error for a refused request, with the remedy where the errno tells it."""
    if number in (errno.EPERM, errno.EACCES):
        return KernelError(
            f"{what}: {text}: meshd may not change this host's network",
            code=Exit.DENIED,
            remedy=RIGHTS_REMEDY,
        )
    if number in (errno.EAFNOSUPPORT, errno.EOPNOTSUPP):
        return KernelError(f"{what}: {text}", remedy=IPV6_REMEDY)
    return KernelError(f"{what}: {text}")


RIGHTS_REMEDY = (
    "run it as root or with CAP_NET_ADMIN, or in leaf mode, which syncs but installs no routes"
)
IPV6_REMEDY = (
    "enable IPv6: remove ipv6.disable=1 from the kernel's command line and set"
    " net.ipv6.conf.all.disable_ipv6=0 and net.ipv6.conf.lo.disable_ipv6=0"
)


# --- routes ---------------------------------------------------------------------------------------

ROUTE_METRIC = 1024
"""The one metric of all our routes, so that a replacement finds what it replaces."""
ROUTE_PROTOCOL = 143
"""Our rtm_protocol (42 is Babel's, used by babeld and FRR; the kernel keeps 0 to 4)."""
_RT_TABLE_UNSPEC, _RT_SCOPE_UNIVERSE, _RTN_UNICAST, _RTN_UNREACHABLE = 0, 0, 1, 7
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_PREFSRC, RTA_TABLE = 1, 4, 5, 6, 7, 15
_RTMSG = (_RT_TABLE_UNSPEC, ROUTE_PROTOCOL, _RT_SCOPE_UNIVERSE, _RTN_UNICAST, 0)
_DELETE = struct.Struct("=IHHII 8BI HHI HHI HH16s")
_DEVICE = struct.Struct("=IHHII 8BI HHI HHI HH16s HH16s HHI")
_REPLACE = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE
_RTMSG_UNREACHABLE = (_RT_TABLE_UNSPEC, ROUTE_PROTOCOL, _RT_SCOPE_UNIVERSE, _RTN_UNREACHABLE, 0)


def route_message(key: RouteKey, hop: NextHop, source: bytes) -> bytes:
    """Return the message that installs a route or atomically replaces it.

    One without a neighbour replaces none that has one: remove that first.
    """
    destination, preferred = (20, _RTA_DST, key.prefix), (20, _RTA_PREFSRC, source)
    device = 8, _RTA_OIF, hop.interface
    if not hop.gateway:
        head = _head(_DEVICE.size, RTM_NEWROUTE, _REPLACE, key)
        return _DEVICE.pack(*head, *destination, *preferred, *device)
    head = _head(_ROUTE.size, RTM_NEWROUTE, _REPLACE, key)
    gateway = 20, _RTA_GATEWAY, hop.gateway
    return _ROUTE.pack(*head, *destination, *gateway, *preferred, *device)


def unreachable_message(key: RouteKey) -> bytes:
    """Return the message that installs a route saying there is no way to `key`."""
    head = _head(_DELETE.size, RTM_NEWROUTE, _REPLACE, key, _RTMSG_UNREACHABLE)
    return _DELETE.pack(*head, 20, _RTA_DST, key.prefix)


def route_removal(key: RouteKey) -> bytes:
    """Return the message that deletes a route of ours."""
    head = _head(_DELETE.size, RTM_DELROUTE, NLM_F_REQUEST, key)
    return _DELETE.pack(*head, 20, _RTA_DST, key.prefix)


def _head(
    size: int, kind: int, flags: int, key: RouteKey, rtmsg: tuple[int, ...] = _RTMSG
) -> tuple[int, ...]:
    """Return nlmsghdr and rtmsg of a message about a route, its table and its priority."""
    message = size, kind, flags, 0, 0
    route = socket.AF_INET6, key.length, 0, 0, *rtmsg
    return *message, *route, 8, RTA_TABLE, key.table, 8, _RTA_PRIORITY, ROUTE_METRIC


# --- pyroute2's message classes -------------------------------------------------------------------


class _Package(ModuleType):
    """A package whose own module runs only when somebody asks it for a name.

    `import pyroute2` loads 163 modules (13 MiB, 0.06 to 0.25 s); the three message classes need 8
    of them. Submodules are found by `__path__` as ever, and `from pyroute2 import IPRoute` still
    works, by running the package then.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or self.__spec__ is None or self.__spec__.loader is None:
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


class Codecs(NamedTuple):
    """pyroute2's classes for route, rule and address messages."""

    route: Any
    rule: Any
    address: Any


def load_codecs() -> Codecs:
    """Import pyroute2's message classes, and no more of it.

    Raises: KernelError when pyroute2 is not there.
    """
    if "pyroute2" not in sys.modules:
        spec = importlib.util.find_spec("pyroute2")
        if spec is None:
            raise KernelError("pyroute2 is not installed", remedy="pip install pyroute2")
        sys.modules["pyroute2"] = package = _Package("pyroute2")
        package.__spec__ = spec
        package.__file__ = spec.origin
        package.__path__ = list(spec.submodule_search_locations or ())
    from pyroute2.netlink.rtnl.fibmsg import fibmsg
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

    return Codecs(rtmsg, fibmsg, ifaddrmsg)


def encode(kind: int, flags: int, codec: Any, value: dict[str, Any]) -> bytes:
    """Return the message that `codec` makes of `value`."""
    built = codec()
    for name, item in value.items():
        built[name] = item
    built["header"]["type"] = kind
    built["header"]["flags"] = flags | NLM_F_REQUEST
    built.encode()
    return bytes(built.data)


def decode(codec: Any, data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields and the attributes of a message, as `codec` reads them."""
    read = codec(data)
    read.decode()
    return read, dict(read["attrs"])
