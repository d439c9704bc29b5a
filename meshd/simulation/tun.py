"""The TUN device of a simulated host, and the little of a kernel that is behind it.

Enters: datagrams whose route leads by a radio, packets that the node got over LoRa. Leaves: IPv6
packets for the node, datagrams for the world's routes, answers to echoes. An ICMPv6 message travels
the world as a datagram of port `ICMP`: a real port is never 0.
Must not know: how packets are made short, or where routes lead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from meshd.core.events import Datagram, Transmit
from meshd.wire import ipv6
from meshd.wire.ip_lora import Echo, Udp

if TYPE_CHECKING:
    from meshd.simulation.host import Host

ICMP = 0
HOPS_MAX = 64
_ECHO_HEAD = 8


class Answer(NamedTuple):
    """An ICMPv6 message that came for a host: an answer to an echo, or an error."""

    source: bytes
    kind: int
    body: bytes
    at_us: int


class SimTun:
    """One device."""

    def __init__(self, host: Host) -> None:
        self.answers: list[Answer] = []
        self._host = host
        self._number = 0

    def ping(self, address: bytes, data: bytes = b"") -> None:
        """Send an ICMPv6 echo as `ping` does; what comes back is in `answers`."""
        self._number += 1
        echo = Echo(self._host.number, self._number, data)
        header = ipv6.Header(self._host.node.address, address, ipv6.ICMPV6)
        self._host.world.transmit(self._host, Transmit("", ICMP, address, echo.payload(header)))

    # --- what the world and the node do -----------------------------------------------------------

    def take(self, source: bytes, datagram: Transmit, hops: int) -> None:
        """Give the node a packet whose route leads by its radio."""
        host = self._host
        of_icmp = datagram.port == ICMP
        protocol = ipv6.ICMPV6 if of_icmp else ipv6.UDP
        header = ipv6.Header(source, datagram.destination, protocol, HOPS_MAX - hops)
        content = Udp(datagram.port, datagram.port, datagram.data)
        payload = datagram.data if of_icmp else content.payload(header)
        host.input(host.node.tun_received, header.packet(payload))

    def deliver(self, packet: bytes) -> None:
        """Do with a packet of the node what a kernel does: it is for this host, or goes on."""
        header, payload = ipv6.Header.decode(packet), packet[ipv6.HEADER_LEN :]
        port = ICMP
        if header.next_header == ipv6.UDP:
            port = int.from_bytes(payload[2:4], "big")
            payload = payload[ipv6.UDP_LEN :]
        datagram = Transmit("", port, header.destination, payload)
        host = self._host
        if header.destination == host.node.address:
            host.world.at(host.world.now, self.received, header.source, datagram)
        elif header.hop_limit > 1:
            host.world.route_on(host, header.source, datagram, HOPS_MAX - header.hop_limit + 1)

    def received(self, source: bytes, datagram: Transmit) -> None:
        """Take a routed datagram for this host: answer an echo, note an answer."""
        host = self._host
        if not host.running:
            return
        if datagram.port != ICMP:
            host.take("", Datagram(source, datagram.port, datagram.data))
            return
        kind = datagram.data[0]
        if kind != ipv6.ECHO_REQUEST:
            body = datagram.data[_ECHO_HEAD:]
            self.answers.append(Answer(source, kind, body, host.world.now))
            return
        words = datagram.data[4:8]
        echo = Echo(
            int.from_bytes(words[:2], "big"),
            int.from_bytes(words[2:], "big"),
            datagram.data[_ECHO_HEAD:],
            reply=True,
        )
        header = ipv6.Header(host.node.address, source, ipv6.ICMPV6)
        host.world.transmit(host, Transmit("", ICMP, source, echo.payload(header)))
