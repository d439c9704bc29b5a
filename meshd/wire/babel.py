"""Babel packets (RFC 8966 §4) as values, and their encoder. The decoder is `wire/babel_parser.py`.

Enters: TLV values. Leaves: the bytes of one packet, or of as many as a size limit asks for.
Router-Id and Next Hop TLVs and omitted prefix bytes are the packet's own shorthand: past `wire/`
each `Update` names its router-id and next hop itself, so encoder and decoder take the source
address of the packet, which is the next hop when none is said.
Must not know: neighbours, tables, costs. Ref: docs/wire-format.md#babel.
"""

from collections.abc import Iterable
from struct import Struct
from typing import NamedTuple

from meshd.core.drops import DropReason
from meshd.core.ids import Prefix, is_link_local

INFINITY = 0xFFFF
CS_US = 10_000
"""Intervals are told in centiseconds."""
MAGIC = 42
VERSION = 2
HEADER_LEN = 4

T_PAD1, T_PADN, T_ACK_REQUEST, T_ACK, T_HELLO, T_IHU = 0, 1, 2, 3, 4, 5
T_ROUTER_ID, T_NEXT_HOP, T_UPDATE, T_ROUTE_REQUEST, T_SEQNO_REQUEST = 6, 7, 8, 9, 10
AE_WILDCARD, AE_IPV4, AE_IPV6, AE_LINK_LOCAL, AE_V4_VIA_V6 = 0, 1, 2, 3, 4
FLAG_UNICAST = 0x8000
FLAG_PREFIX = 0x80
FLAG_ROUTER_ID = 0x40
LINK_LOCAL_HEAD = bytes.fromhex("fe80000000000000")

HEADER = Struct("!BBH")
ACK_REQUEST = Struct("!BBHHH")
ACK = Struct("!BBH")
HELLO = Struct("!BBHHH")
IHU = Struct("!BBBBHH")
ROUTER_ID = Struct("!BBH8s")
NEXT_HOP = Struct("!BBBB")
UPDATE = Struct("!BBBBBBHHH")
ROUTE_REQUEST = Struct("!BBBB")
SEQNO_REQUEST = Struct("!BBBBHBB8s")
SUB_THIN = 113
"""A sub-TLV of an Update whose route has LoRa hops; from the experimental, not mandatory range."""

THIN = Struct("!BBH")


class AckRequest(NamedTuple):
    """Asks for an `Ack` with the same opaque value within `interval_cs`."""

    opaque: int
    interval_cs: int


class Ack(NamedTuple):
    """Answers an `AckRequest`."""

    opaque: int


class Hello(NamedTuple):
    """A scheduled hello promises the next one within `interval_cs`; 0 promises nothing."""

    seqno: int
    interval_cs: int
    unicast: bool = False


class Ihu(NamedTuple):
    """I Heard You. `address` is whom the sender heard (16 or 4 bytes), None for everybody."""

    address: bytes | None
    rxcost: int
    interval_cs: int


class Update(NamedTuple):
    """A route at a finite metric. `thin` is 0, or LoRa hops × 256 + their rate class."""

    prefix: Prefix
    router_id: bytes
    seqno: int
    metric: int
    interval_cs: int
    next_hop: bytes
    thin: int = 0


class Retraction(NamedTuple):
    """A route withdrawn; `prefix` None withdraws all routes of the sender on this link.

    `origin` says that the router-id is the low 64 bits of the prefix, and that `seqno` is the last
    one known of it; otherwise the seqno means nothing.
    """

    prefix: Prefix | None
    seqno: int
    interval_cs: int
    origin: bool = False


class RouteRequest(NamedTuple):
    """Asks for an update of one prefix, or, with None, of the whole table."""

    prefix: Prefix | None


class SeqnoRequest(NamedTuple):
    """Asks for a route to `prefix` with another router-id, or with `seqno` or a later one."""

    prefix: Prefix
    router_id: bytes
    seqno: int
    hop_count: int


Tlv = AckRequest | Ack | Hello | Ihu | Update | Retraction | RouteRequest | SeqnoRequest


class Packet(NamedTuple):
    """What a packet said, in order, and why parts of it were ignored."""

    tlvs: tuple[Tlv, ...]
    ignored: tuple[DropReason, ...] = ()


def encode(tlvs: Iterable[Tlv], source: bytes) -> bytes:
    """Return one packet with all of `tlvs`, as sent from `source` (16 bytes)."""
    packets = pack(tlvs, source, INFINITY)
    return packets[0] if packets else HEADER.pack(MAGIC, VERSION, 0)


def pack(tlvs: Iterable[Tlv], source: bytes, size_max: int) -> list[bytes]:
    """Return as few packets of at most `size_max` bytes as hold `tlvs` in order."""
    packets = []
    writer = _Writer(source)
    for tlv in tlvs:
        if not writer.add(tlv, size_max):
            packets.append(writer.finish())
            writer = _Writer(source)
            writer.add(tlv, size_max)
    if len(writer.body) > HEADER_LEN:
        packets.append(writer.finish())
    return packets


def joined(front: bytes, page: bytes) -> bytes:
    """Return one packet of two, of which the first says hellos and IHUs only."""
    body = front[HEADER_LEN:] + page[HEADER_LEN:]
    return HEADER.pack(MAGIC, VERSION, len(body)) + body


class _Writer:
    """One packet in the making, with the state of its shorthand."""

    __slots__ = ("body", "next_hop", "prefix", "router_id")

    def __init__(self, source: bytes) -> None:
        self.body = bytearray(HEADER_LEN)
        self.prefix: bytes | None = None
        self.router_id: bytes | None = None
        self.next_hop = source

    def add(self, tlv: Tlv, size_max: int) -> bool:
        """Append `tlv`; False, and nothing changed, when a packet with content would overflow."""
        before = len(self.body), self.prefix, self.router_id, self.next_hop
        if isinstance(tlv, Update):
            self._update(tlv)
        elif isinstance(tlv, Retraction):
            self._retraction(tlv)
        else:
            self.body += self._other(tlv)
        if len(self.body) <= size_max or before[0] == HEADER_LEN:
            return True
        del self.body[before[0] :]
        _, self.prefix, self.router_id, self.next_hop = before
        return False

    def finish(self) -> bytes:
        HEADER.pack_into(self.body, 0, MAGIC, VERSION, len(self.body) - HEADER_LEN)
        return bytes(self.body)

    def _update(self, update: Update) -> None:
        prefix, router_id, seqno, metric, interval_cs, next_hop, thin = update
        if next_hop != self.next_hop:
            self.next_hop = next_hop
            self.body += _next_hop(next_hop)
        flags = 0
        if router_id != self.router_id:
            self.router_id = router_id
            if router_id == prefix.address[8:]:
                flags = FLAG_ROUTER_ID
            else:
                self.body += ROUTER_ID.pack(T_ROUTER_ID, 10, 0, router_id)
        more = THIN.pack(SUB_THIN, 2, thin) if thin else b""
        self._prefixed(prefix, flags, (interval_cs, seqno, metric), more)

    def _prefixed(
        self, prefix: Prefix, flags: int, numbers: tuple[int, int, int], more: bytes = b""
    ) -> None:
        address, length = prefix
        octets = (length + 7) // 8
        omitted = common(address, self.prefix, octets) if self.prefix is not None else 0
        if not omitted:
            self.prefix = address
            flags |= FLAG_PREFIX
        tail = address[omitted:octets] + more
        head = (T_UPDATE, 10 + len(tail), AE_IPV6, flags, length, omitted)
        self.body += UPDATE.pack(*head, *numbers) + tail

    def _other(self, tlv: Tlv) -> bytes:
        match tlv:
            case Hello(seqno, interval_cs, unicast):
                flags = FLAG_UNICAST if unicast else 0
                return HELLO.pack(T_HELLO, 6, flags, seqno, interval_cs)
            case Ihu(address, rxcost, interval_cs):
                ae, data = _address(address)
                return IHU.pack(T_IHU, 6 + len(data), ae, 0, rxcost, interval_cs) + data
            case RouteRequest(None):
                return ROUTE_REQUEST.pack(T_ROUTE_REQUEST, 2, AE_WILDCARD, 0)
            case RouteRequest(Prefix(address, length)):
                data = address[: (length + 7) // 8]
                return ROUTE_REQUEST.pack(T_ROUTE_REQUEST, 2 + len(data), AE_IPV6, length) + data
            case SeqnoRequest(prefix, router_id, seqno, hop_count):
                data = prefix.address[: (prefix.length + 7) // 8]
                head = (T_SEQNO_REQUEST, 14 + len(data), AE_IPV6, prefix.length)
                return SEQNO_REQUEST.pack(*head, seqno, hop_count, 0, router_id) + data
            case AckRequest(opaque, interval_cs):
                return ACK_REQUEST.pack(T_ACK_REQUEST, 6, 0, opaque, interval_cs)
            case Ack(opaque):
                return ACK.pack(T_ACK, 2, opaque)
        raise AssertionError(tlv)

    def _retraction(self, tlv: Retraction) -> None:
        numbers = (tlv.interval_cs, tlv.seqno, INFINITY)
        if tlv.prefix is None:
            self.body += UPDATE.pack(T_UPDATE, 10, AE_WILDCARD, 0, 0, 0, *numbers)
            return
        if tlv.origin:
            self.router_id = tlv.prefix.address[8:]
        self._prefixed(tlv.prefix, FLAG_ROUTER_ID if tlv.origin else 0, numbers)


def common(address: bytes, other: bytes, most: int) -> int:
    """Return how many leading bytes two addresses share, at most `most`."""
    start = 6 if address[:6] == other[:6] else 0
    for place in range(start, most):
        if address[place] != other[place]:
            return place
    return most


def _next_hop(address: bytes) -> bytes:
    ae, data = _address(address)
    return NEXT_HOP.pack(T_NEXT_HOP, 2 + len(data), ae, 0) + data


def _address(address: bytes | None) -> tuple[int, bytes]:
    """Return address encoding and bytes."""
    if address is None:
        return AE_WILDCARD, b""
    if len(address) == 4:
        return AE_IPV4, address
    if is_link_local(address) and address[:8] == LINK_LOCAL_HEAD:
        return AE_LINK_LOCAL, address[8:]
    return AE_IPV6, address
