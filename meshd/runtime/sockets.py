"""UDP on all links: one socket a port, the link told apart by the packet's interface index.

Enters: datagrams of ports 6696 and 6697. Leaves: `Datagram` values for the engine.
Must not know: what the datagrams mean.
"""

import errno
import logging
import socket
import struct
from collections.abc import Callable
from typing import NamedTuple

from meshd.core.drops import DropReason, Drops
from meshd.core.errors import Exit, RequestError
from meshd.core.events import Datagram, Transmit
from meshd.core.ids import ALL_BABEL_ROUTERS, ALL_NODES, address_text
from meshd.core.limits import BABEL_PORT, MESHD_PORT

_PACKET_INFO = struct.Struct("=16sI")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_PACKET_INFO.size)
_DATAGRAM_BYTES_MAX = 65535
_BURST_MAX = 64
_INTERNET_CONTROL = 0xC0
"""Traffic class of routing packets (RFC 4594 §3.2)."""
_GROUPS = {BABEL_PORT: ALL_BABEL_ROUTERS, MESHD_PORT: ALL_NODES}
_PASSING = {errno.EAGAIN, errno.EINTR}

_REMEDY = "is IPv6 enabled? See /proc/sys/net/ipv6/conf/all/disable_ipv6"
_REMEDIES = {
    errno.EADDRNOTAVAIL: "this host has no such address; `ip -br addr` lists those it has",
    errno.EACCES: "ports below 1024 are for root; choose another with --listen",
}

log = logging.getLogger("meshd.sockets")

Receive = Callable[[str, Datagram], None]


class _Port(NamedTuple):
    number: int
    socket: socket.socket


class Datagrams:
    """The UDP sockets of a node. Links are known by name; each has an interface index."""

    def __init__(self, ports: tuple[int, ...], receive: Receive) -> None:
        self.drops = Drops()
        """What was not sent; `snapshot` of the daemon adds it to what the engine dropped."""
        self._receive = receive
        self._index_of: dict[str, int] = {}
        self._name_of: dict[int, str] = {}
        self._joined: set[tuple[int, int]] = set()
        self._ports = [_Port(number, _open(number)) for number in ports]
        self._socket_of = {port.number: port.socket for port in self._ports}

    def filenos(self) -> list[int]:
        """Return the sockets to wait on; call `read(fd)` when one is readable."""
        return [port.socket.fileno() for port in self._ports]

    def link_up(self, name: str, index: int) -> None:
        """Join the multicast groups on an interface."""
        self.link_down(name)
        self._index_of[name] = index
        self._name_of[index] = name
        for port in self._ports:
            group = _GROUPS[port.number] + struct.pack("@I", index)
            try:
                port.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    log.warning("multicast not joined link=%s error=%s", name, error)

    def link_down(self, name: str) -> None:
        """Forget an interface; the kernel forgets its groups when it is gone."""
        index = self._index_of.pop(name, None)
        if index is None:
            return
        self._name_of.pop(index, None)
        for port in self._ports:
            group = _GROUPS[port.number] + struct.pack("@I", index)
            try:
                port.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_LEAVE_GROUP, group)
            except OSError:
                continue

    def read(self, fileno: int) -> None:
        """Hand over what waits on one socket, at most a burst at a time."""
        port = next(port for port in self._ports if port.socket.fileno() == fileno)
        for _ in range(_BURST_MAX):
            try:
                data, ancillary, _, source = port.socket.recvmsg(
                    _DATAGRAM_BYTES_MAX, _ANCILLARY_BYTES
                )
            except OSError as error:
                if error.errno not in _PASSING:
                    log.debug("receive failed port=%d error=%s", port.number, error)
                return
            if not ancillary:
                continue
            destination, index = _PACKET_INFO.unpack_from(ancillary[0][2])
            name = self._name_of.get(index, "")
            packed = socket.inet_pton(socket.AF_INET6, source[0].partition("%")[0])
            self._receive(name, Datagram(packed, port.number, data, destination[0] == 0xFF))

    def send(self, datagram: Transmit) -> None:
        """Send one datagram; what the kernel does not take is lost, as on the air, and counted."""
        index = self._index_of.get(datagram.link, 0)
        if datagram.link and not index:
            self.drops.count(DropReason.DATAGRAM_UNSENT, datagram.link)
            return
        target = (address_text(datagram.destination), datagram.port, 0, index)
        try:
            self._socket_of[datagram.port].sendto(datagram.data, target)
        except OSError as error:
            self.drops.count(DropReason.DATAGRAM_UNSENT, datagram.link)
            log.debug("send failed link=%s error=%s", datagram.link, error)

    def close(self) -> None:
        """Close all sockets."""
        for port in self._ports:
            port.socket.close()


def _open(number: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        option = sock.setsockopt
        option(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        option(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        option(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        option(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
        if number == BABEL_PORT:
            option(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 1)
            option(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _INTERNET_CONTROL)
        sock.bind(("::", number))
    except OSError as error:
        sock.close()
        raise busy_port(number, "udp", error) from error
    return sock


def busy_port(number: int, protocol: str, error: OSError) -> RequestError:
    """Return the error to show when a port cannot be had."""
    if error.errno == errno.EADDRINUSE:
        other = " (babeld or another routing daemon?)" if number == BABEL_PORT else ""
        return RequestError(
            f"port {number}/{protocol} is in use by another program{other}",
            remedy=f"stop that program; `ss -lp 'sport = :{number}'` names it",
        )
    return RequestError(
        f"port {number}/{protocol} cannot be opened: {error.strerror}",
        code=Exit.DENIED if error.errno == errno.EACCES else Exit.ERROR,
        remedy=_REMEDIES.get(error.errno or 0, _REMEDY),
    )
