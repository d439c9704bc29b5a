"""IP over LoRa: packets between the host's TUN device and neighbours by radio, hop by hop.

Enters: packets that the kernel routed to the device, items of neighbours, `now`. Leaves: items for
the next hop's radio, packets for the kernel (to this node, or on by another link), ICMPv6 errors to
who sent by IP what LoRa does not carry, drops. Packets have a part of each radio's time, and every
ingress an equal part of that, but no more of an hour than of all that it has sent on.
A packet from the air is not answered by errors: they would cost more air than it did.
Must not know: frames, the law, how routes are found. Ref: docs/wire-format.md#ip-over-lora.
"""

from collections.abc import Callable, Mapping

from meshd.core.buckets import Buckets
from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.events import Link, TunSend
from meshd.core.ids import SHORT_LEN, mesh_address, node_of_address
from meshd.core.options import NodeOptions
from meshd.core.timers import Key
from meshd.forwarding.packet_queue import LIFE_US, PacketQueue, Waiting
from meshd.forwarding.radio_events import LocalHeard
from meshd.forwarding.radios import Radios
from meshd.forwarding.turns import part_of
from meshd.link.account import Share
from meshd.link.ledger import Priority
from meshd.wire import ipv6
from meshd.wire.ip_lora import NotCarried, Packet, Udp
from meshd.wire.lora_frame import FrameKind, overhead
from meshd.wire.lora_payload import LOCAL_HEAD, Local, Sub

PERCENT = 25
"""Packets take no more of a radio's time than this,"""
BURST_US = 10_000_000
"""but so much at once after a pause."""
PRIORITY = Priority.DOCUMENT
"""Behind messages and membership."""
HANDED_MAX = 2
"""So many packets wait with the radio, where they do not get old; the others here."""
RETRY_US = 100_000

OWN, HOST = b"own", b"host"
"""Ingresses beside the neighbours by radio: this node, and what its kernel forwards."""

_ANSWERS: Mapping[DropReason, tuple[int, int]] = {
    DropReason.PACKET_HEADERS: ipv6.PROHIBITED,
    DropReason.PACKET_PROTOCOL: ipv6.PROHIBITED,
    DropReason.PACKET_PORT: ipv6.PROHIBITED,
    DropReason.PACKET_NO_WAY: ipv6.NO_ROUTE,
    DropReason.PACKET_TOO_LONG: ipv6.TOO_BIG,
}
Hop = tuple[Link, bytes, int]
"""A link, the address of the next hop, its metric. By radio the address ends with the NodeId."""


class _Outlet:
    """What waits for one radio, and when all airtime that packets had of it is paid for."""

    __slots__ = ("paid_us", "queue")

    def __init__(self) -> None:
        self.queue = PacketQueue()
        self.paid_us = 0

    def free_us(self) -> int:
        """Return when the next packet may go."""
        return self.paid_us - BURST_US * 100 // PERCENT

    def pay(self, airtime_us: int, now: int) -> None:
        self.paid_us = max(self.paid_us, now) + airtime_us * 100 // PERCENT


class Packets:
    """All packets of one node. `route_to` tells where the selected route to an address leads."""

    def __init__(
        self,
        ctx: Context,
        node: bytes,
        options: NodeOptions,
        *,
        radios: Radios,
        route_to: Callable[[bytes], Hop | None],
    ) -> None:
        self._ctx = ctx
        self._node = node
        self._mesh = options.mesh
        self._ports = frozenset(options.lora_udp_ports)
        self._address = mesh_address(options.mesh, node)
        self._radios = radios
        self._route_to = route_to
        radios.on_local[Sub.PACKET] = self.heard
        self._outlets: dict[str, _Outlet] = {}
        self._answered = Buckets(burst=4, interval_us=500_000, sources_max=64)
        self._answers = Buckets(burst=20, interval_us=50_000, sources_max=1)

    # --- what comes -------------------------------------------------------------------------------

    def from_host(self, data: bytes, now: int) -> None:
        """Take a packet that the kernel sent to the TUN device."""
        try:
            packet = Packet.decode(data, self._mesh)
        except NotCarried as refused:
            self._refuse(refused.reason, data, now)
            return
        hop = self._way(packet)
        ingress = OWN if packet.source == self._node else HOST
        reason = self._send(packet, hop, ingress, now)
        if reason is not None:
            mtu = self._mtu(packet, hop, len(data)) if hop else 0
            self._refuse(reason, data, now, mtu=mtu)

    def heard(self, local: LocalHeard, now: int) -> None:
        """Take a packet that a neighbour sent by radio: for this node, or to be sent on."""
        try:
            packet = Packet.expand(local.body, local.node, self._node)
        except WireError:
            self._ctx.drop(DropReason.PACKET_MALFORMED, local.link)
            return
        reason = self._judge(packet, local)
        if reason is None:
            reason = self._take(packet, local.node, now)
        if reason is not None:
            self._ctx.drop(reason, local.link)

    def handle_timer(self, key: Key, now: int) -> None:
        """Go on with what waits for a radio."""
        self._pump(str(key[1]), now)

    # --- judging ----------------------------------------------------------------------------------

    def _judge(self, packet: Packet, local: LocalHeard) -> DropReason | None:
        if not local.named:
            return DropReason.PACKET_UNNAMED
        if packet.source == self._node:
            return DropReason.PACKET_SPOOFED
        if packet.destination != self._node and not local.trusted:  # it may be a recording
            return DropReason.PACKET_UNPROVEN
        return None

    def _take(self, packet: Packet, sender: bytes, now: int) -> DropReason | None:
        """Deliver a packet from the air, or send it on; None when that was done."""
        hop = self._way(packet)
        if packet.destination == self._node or (hop is not None and not self._is_radio(hop)):
            # The kernel takes it, or routes it on by another link and counts the hop.
            self._ctx.transmit(TunSend(packet.encode(self._mesh)))
            return None
        if hop is None or node_of_address(hop[1]) == sender:  # back to who sent it: a circle
            return DropReason.PACKET_NO_WAY
        if packet.hop_limit <= 1:
            return DropReason.PACKET_HOPS
        return self._send(packet._replace(hop_limit=packet.hop_limit - 1), hop, sender, now)

    def _send(self, packet: Packet, hop: Hop | None, ingress: bytes, now: int) -> DropReason | None:
        """Let a packet wait for its radio, or say why not."""
        content = packet.content
        if isinstance(content, Udp) and not content.of_mesh:
            if not self._ports & {content.source_port, content.destination_port}:
                return DropReason.PACKET_PORT
        if hop is None or not self._is_radio(hop):
            return DropReason.PACKET_NO_WAY
        link, to = hop[0].name, node_of_address(hop[1])
        body, room = packet.compress(self._node, to), self._radios.room(link)
        if len(body) > room:  # no room at all: the radio is gone, and its routes will be
            return DropReason.PACKET_TOO_LONG if room else DropReason.PACKET_NO_WAY
        size = overhead(FrameKind.LOCAL) + LOCAL_HEAD + len(body)
        airtime_us = self._radios.links[link].airtime_us(size)
        if self._over(link, ingress):
            return DropReason.PACKET_FULL
        waiting = Waiting(ingress, packet.source, to, body, airtime_us, now + LIFE_US)
        if not self._outlets.setdefault(link, _Outlet()).queue.put(waiting):
            self._ctx.drop(DropReason.PACKET_FULL, link)
        self._pump(link, now)
        return None

    def _mtu(self, packet: Packet, hop: Hop, size: int) -> int:
        """Return how long a packet like this one may be."""
        body = packet.compress(self._node, node_of_address(hop[1]))
        return size - len(body) + self._radios.room(hop[0].name)

    def _way(self, packet: Packet) -> Hop | None:
        return self._route_to(mesh_address(self._mesh, packet.destination))

    def _is_radio(self, hop: Hop) -> bool:
        return hop[0].name in self._radios.links

    # --- what leaves ------------------------------------------------------------------------------

    def _pump(self, link: str, now: int) -> None:
        """Give the radio what it may have now, and see when to go on."""
        outlet = self._outlets[link]
        queue = outlet.queue
        for _ in range(queue.expire(now)):
            self._ctx.drop(DropReason.PACKET_LATE, link)
        while queue and outlet.free_us() <= now and self._takes(link):
            waiting = queue.next()
            queue.served(waiting)
            item = Local(Sub.PACKET, waiting.body)
            own = waiting.ingress == OWN
            share = Share.OWN if own else Share.RELAYED
            if self._over(link, waiting.ingress) or not self._radios.tell(
                link, item, PRIORITY, now, to=waiting.to, share=share
            ):
                self._ctx.drop(DropReason.PACKET_FULL, link)
                continue
            outlet.pay(waiting.airtime_us, now)
            if not own:
                parts = self._radios.meshes[link].parts
                parts.took(_part(waiting.ingress), waiting.airtime_us, now)
        if queue:
            again_us = max(outlet.free_us(), now + RETRY_US)
            self._ctx.timers.set(("packets", link), min(again_us, queue.expires_us))
        else:
            self._ctx.timers.cancel(("packets", link))

    def _over(self, link: str, ingress: bytes) -> bool:
        """Tell whether an ingress has had its part of what this radio sends for others."""
        mesh = self._radios.meshes.get(link)
        return ingress != OWN and mesh is not None and mesh.parts.over(_part(ingress))

    def _takes(self, link: str) -> bool:
        return self._radios.waiting(link, Sub.PACKET) < HANDED_MAX

    def _refuse(self, reason: DropReason, data: bytes, now: int, *, mtu: int = 0) -> None:
        """Drop a packet of the host, and tell its source why where that helps."""
        self._ctx.drop(reason)
        kind = _ANSWERS.get(reason)
        told_mtu = mtu if kind == ipv6.TOO_BIG else 0
        answer = kind and ipv6.icmp_error(self._address, data, kind, mtu=told_mtu)
        if answer is None:
            return
        source = ipv6.Header.decode(data).source
        if self._answered.allow(source, now) and self._answers.allow(b"", now):
            self._ctx.transmit(TunSend(answer))
        else:
            self._ctx.drop(DropReason.PACKET_UNANSWERED)


def _part(ingress: bytes) -> object:
    """Return whose part of the relaying a packet takes; what a neighbour tells takes the same."""
    return part_of(ingress if ingress == HOST else ingress[:SHORT_LEN])
