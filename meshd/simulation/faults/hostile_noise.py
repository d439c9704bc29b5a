"""Noise: floods, one radio with ten thousand identities, junk, and old frames once more.

Enters: what the host hears (for replays). Leaves: as many frames as the fault's `count` says, each
with whatever source. Must not know: what the nodes make of it.
"""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from meshd.core.events import Transmit
from meshd.core.ids import ALL_BABEL_ROUTERS, ALL_NODES, NODE_ID_LEN, host_prefix, mesh_address
from meshd.core.limits import BABEL_PORT, MESHD_PORT
from meshd.simulation.faults.hostile import PACKET_MAX, Attack
from meshd.simulation.schedule import SECOND
from meshd.wire.babel import AckRequest, Hello, Ihu, RouteRequest, SeqnoRequest, Tlv, Update, pack
from meshd.wire.echo import TOKEN_LEN, EchoPacket
from meshd.wire.knock import Knock
from meshd.wire.session_records import VERSION, Opening, PatternCode

if TYPE_CHECKING:
    from meshd.simulation.host import Host
    from meshd.simulation.media.medium import Port
    from meshd.simulation.plan.plan import Fault
    from meshd.simulation.world import World

TICKS_A_SECOND = 10
HEARD_MAX = 2_000


class Flood(Attack):
    """`count` frames a second of all that costs its hearers something, in its own name."""

    every_us = SECOND // TICKS_A_SECOND

    def tick(self) -> None:
        for _ in range(max(1, self.planned.count // TICKS_A_SECOND)):
            for port in self.host.ports.values():
                self._one(port, port.address)

    def _one(self, port: Port, source: bytes) -> None:
        number = self.rng.randrange(6)
        if number == 5:
            echo = EchoPacket(self.rng.randbytes(TOKEN_LEN)).encode()
            self.send(port, Transmit(port.link, MESHD_PORT, ALL_NODES, echo), source)
            return
        tlvs: list[Tlv] = [
            Hello(self.rng.randrange(65_536), 400),
            RouteRequest(None),
            AckRequest(self.rng.randrange(65_536), 100),
            self._seqno_request(),
            self._update(source),
        ]
        self.speak([tlvs[number]], source)

    def _seqno_request(self) -> SeqnoRequest:
        address = self.rng.choice(self.world.hosts).node.address
        return SeqnoRequest(host_prefix(address), address[8:], self.rng.randrange(65_536), 64)

    def _update(self, source: bytes) -> Update:
        address = mesh_address(self.world.options.mesh, self.rng.randbytes(NODE_ID_LEN))
        return Update(host_prefix(address), address[8:], 1, 0, 400, source)


class Identities(Flood):
    """One radio that is `count` neighbours: each says hello, knocks, has routes and dials."""

    def __init__(self, world: World, host: Host, fault: Fault) -> None:
        super().__init__(world, host, fault)
        self._next = 0

    def tick(self) -> None:
        for _ in range(max(1, min(self.planned.count // 1_000, 40))):
            self._next = self._next % self.planned.count + 1
            source = b"\xfe\x80" + bytes(5) + b"\xee" + self._next.to_bytes(8, "big")
            for port in self.host.ports.values():
                self._appear(port, source)

    def _appear(self, port: Port, source: bytes) -> None:
        near = [other for other in self._near() if other.link == port.link]
        hears = [Ihu(other.address, 96, 400) for other in near]
        tlvs: list[Tlv] = [
            Hello(self._next & 0xFFFF, 400),
            *hears,
            self._update(source),
            self._update(source),
        ]
        for data in pack(tlvs, source, PACKET_MAX):
            sent = Transmit(port.link, BABEL_PORT, ALL_BABEL_ROUTERS, data)
            self.send(port, sent, source)
        node = self._next.to_bytes(NODE_ID_LEN, "big")
        knock = Knock(self.world.options.mesh, node, MESHD_PORT).encode()
        self.send(port, Transmit(port.link, MESHD_PORT, ALL_NODES, knock), source)
        if near and self.rng.random() < 0.5:
            self._dial(self.rng.choice(near), source)

    def _dial(self, other: Port, source: bytes) -> None:
        """Open a stream and begin a handshake that never ends."""
        host = other.host
        if not host.running:
            return
        stream = host.node.stream_accepted(str(IPv6Address(source)), other.link, host.now)
        if stream is not None:
            opening = Opening(VERSION, PatternCode.XX, self.world.options.mesh).encode()
            host.node.stream_received(stream, opening + self.rng.randbytes(40), host.now)
        host.drain()


class Junk(Attack):
    """Random bytes, and what it heard with some bits flipped, on both ports."""

    every_us = SECOND // TICKS_A_SECOND

    def __init__(self, world: World, host: Host, fault: Fault) -> None:
        super().__init__(world, host, fault)
        self.heard: list[tuple[Port, Transmit]] = []

    def datagram_sent(self, port: Port, datagram: Transmit, airtime_us: int) -> None:
        """Remember what is sent near by; what it cannot hear is left out."""
        own = self.host.ports.get(port.link)
        if own is None or self.over or port is own or own.medium.way(port, own) is None:
            return
        if len(self.heard) < HEARD_MAX:
            self.heard.append((port, datagram))
        else:
            self.heard[self.rng.randrange(HEARD_MAX)] = (port, datagram)

    def begin(self) -> None:
        self.world.watch(self)
        super().begin()

    def tick(self) -> None:
        for _ in range(max(1, self.planned.count // TICKS_A_SECOND)):
            for port in self.host.ports.values():
                number = self.rng.choice((BABEL_PORT, MESHD_PORT))
                data = self._bytes(number)
                destination = self.rng.choice([ALL_NODES, *(one.address for one in self._near())])
                self.send(port, Transmit(port.link, number, destination, data), port.address)

    def _bytes(self, number: int) -> bytes:
        known = [sent.data for _, sent in self.heard[-64:] if sent.port == number]
        if not known or self.rng.random() < 0.3:
            return self.rng.randbytes(self.rng.randrange(200))
        data = bytearray(self.rng.choice(known))
        for _ in range(self.rng.randint(1, 4)):
            data[self.rng.randrange(len(data))] ^= 1 << self.rng.randrange(8)
        return bytes(data)


class Replay(Junk):
    """What it heard, again, later, with the source that it had."""

    def tick(self) -> None:
        for _ in range(max(1, self.planned.count // TICKS_A_SECOND)):
            if self.heard:
                sender, datagram = self.rng.choice(self.heard)
                self.send(self.host.ports[sender.link], datagram, sender.address)
