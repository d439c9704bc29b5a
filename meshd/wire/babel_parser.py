"""The decoder of Babel packets (RFC 8966 §4): bytes to `wire/babel.py` values.

Enters: the bytes of one datagram and its source address. Leaves: a `Packet`, whose `ignored` names
each TLV that was not understood or not legal. Only a packet without a sound frame (magic, version,
lengths) is a `WireError`. IPv4 prefixes and those of RFC 9229 are parsed for the state that they
leave behind, and ignored; so are TLVs with an unknown mandatory sub-TLV (RFC 9079's too).
What was read of late is kept for the next who hears the same bytes: triggered updates are said
three times, and in a simulated mesh all who are in reach share one reading. Values never change.
Must not know: neighbours, tables, costs.
"""

from collections.abc import Callable
from functools import lru_cache

from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.ids import Prefix
from meshd.wire import babel
from meshd.wire.babel import (
    AE_IPV4,
    AE_IPV6,
    AE_LINK_LOCAL,
    AE_V4_VIA_V6,
    AE_WILDCARD,
    FLAG_PREFIX,
    FLAG_ROUTER_ID,
    HEADER_LEN,
    INFINITY,
    LINK_LOCAL_HEAD,
    T_PAD1,
    T_PADN,
    T_UPDATE,
    Packet,
    Retraction,
    Tlv,
    Update,
)

_MALFORMED = DropReason.BABEL_TLV_MALFORMED
_BAD_IDS = (bytes(8), b"\xff" * 8)
_ADDRESS_LEN = {AE_WILDCARD: 0, AE_IPV4: 4, AE_IPV6: 16, AE_LINK_LOCAL: 8}
_ZEROS = bytes(16)


KEPT = 64
KEPT_LEN_MAX = 1500
"""Only ordinary packets are kept, so that what is kept is bounded: two MB at the worst."""

PREFIXES_KEPT = 4096


def decode(data: bytes, source: bytes) -> Packet:
    """Decode a packet that came from `source` (16 bytes).

    Raises: WireError when magic, version or a length does not fit.
    """
    return _kept(data, source) if len(data) <= KEPT_LEN_MAX else _decode(data, source)


@lru_cache(maxsize=KEPT)
def _kept(data: bytes, source: bytes) -> Packet:
    return _decode(data, source)


@lru_cache(maxsize=PREFIXES_KEPT)
def host_of(address: bytes) -> Prefix:
    """Return the /128 of an address: one value for all the routes to it."""
    return Prefix(address, 128)


def _decode(data: bytes, source: bytes) -> Packet:
    if len(data) < HEADER_LEN or data[0] != babel.MAGIC or data[1] != babel.VERSION:
        raise WireError("not a Babel packet of version 2")
    end = HEADER_LEN + (data[2] << 8 | data[3])
    if end > len(data):
        raise WireError("the Babel packet is shorter than its body")
    parser = _Parser(data, source)
    at = HEADER_LEN
    while at < end:
        kind = data[at]
        if kind == T_PAD1:
            at += 1
            continue
        if at + 2 > end or (after := at + 2 + data[at + 1]) > end:
            raise WireError("a Babel TLV is longer than the packet")
        if kind == T_UPDATE:
            parser.update(at, after)
        elif kind != T_PADN:
            parser.other(kind, at, after)
        at = after
    return Packet(tuple(parser.tlvs), tuple(parser.ignored))


class _Parser:
    """The parser state of RFC 8966 §4.5, and what was read so far."""

    __slots__ = ("data", "ignored", "next_hop", "prefix", "router_id", "tlvs")

    def __init__(self, data: bytes, source: bytes) -> None:
        self.data = data
        self.tlvs: list[Tlv] = []
        self.ignored: list[DropReason] = []
        self.next_hop = source
        self.router_id: bytes | None = None
        self.prefix: dict[int, bytes] = {}

    def update(self, at: int, after: int) -> None:
        """Read an Update: state first, then what it says (RFC 8966 §4.6.9)."""
        if after - at < 12:
            self.ignored.append(_MALFORMED)
            return
        data = self.data
        _, _, ae, flags, length, omitted, interval_cs, seqno, metric = babel.UPDATE.unpack_from(
            data, at
        )
        if length == 128 and ae == AE_IPV6 and after - at == 28 - omitted and interval_cs:
            self._host_update(at, after, (flags, omitted, interval_cs, seqno, metric))
            return
        octets = (length + 7) >> 3
        body = at + 12 + (octets - omitted if octets > omitted else 0)
        if ae != AE_IPV6 or length > 128 or omitted > octets or body > after:
            self._odd_update(at, after, ae)
            return
        if omitted:
            default = self.prefix.get(AE_IPV6)
            if default is None:
                self.ignored.append(_MALFORMED)
                return
            address = default[:omitted] + data[at + 12 : body]
        else:
            address = data[at + 12 : body]
        if octets < 16:
            if length & 7:
                address = address[:-1] + bytes((address[-1] & 0xFF00 >> (length & 7),))
            address += _ZEROS[octets:]
        if flags & FLAG_PREFIX:
            self.prefix[AE_IPV6] = address
        if flags & FLAG_ROUTER_ID:
            router_id = address[8:]
            self.router_id = router_id if router_id not in _BAD_IDS else None
        if body != after and (why := self._refused(body, after)):
            self.ignored.append(why)
            return
        prefix = Prefix(address, length)
        if not interval_cs:
            self.ignored.append(_MALFORMED)
        elif metric == INFINITY:
            origin = flags & FLAG_ROUTER_ID != 0
            self.tlvs.append(Retraction(prefix, seqno, interval_cs, origin))
        elif self.router_id is None:
            self.ignored.append(_MALFORMED)
        else:
            self.tlvs.append(
                Update(
                    prefix,
                    self.router_id,
                    seqno,
                    metric,
                    interval_cs,
                    self.next_hop,
                    thin=self._thin(body, after) if body != after else 0,
                )
            )

    def _host_update(self, at: int, after: int, numbers: tuple[int, int, int, int, int]) -> None:
        """Read an Update as most are: sound, without sub-TLVs, for the address of one node."""
        flags, omitted, interval_cs, seqno, metric = numbers
        address = self.data[at + 12 : after]
        if omitted:
            default = self.prefix.get(AE_IPV6)
            if default is None:
                self.ignored.append(_MALFORMED)
                return
            address = default[:omitted] + address
        if flags & FLAG_PREFIX:
            self.prefix[AE_IPV6] = address
        if flags & FLAG_ROUTER_ID:
            router_id = address[8:]
            self.router_id = router_id if router_id not in _BAD_IDS else None
        if metric == INFINITY:
            origin = flags & FLAG_ROUTER_ID != 0
            self.tlvs.append(Retraction(host_of(address), seqno, interval_cs, origin))
        elif self.router_id is None:
            self.ignored.append(_MALFORMED)
        else:
            update = (
                host_of(address),
                self.router_id,
                seqno,
                metric,
                interval_cs,
                self.next_hop,
                0,
            )
            self.tlvs.append(Update._make(update))

    def other(self, kind: int, at: int, after: int) -> None:
        """Read any TLV but an Update."""
        handler = _HANDLERS.get(kind)
        if handler is None:
            self.ignored.append(DropReason.BABEL_TLV_UNKNOWN)
            return
        need, read = handler
        if after - at < need:
            self.ignored.append(_MALFORMED)
            return
        read(self, at, after)

    # --- one reader each --------------------------------------------------------------------------

    def _ack_request(self, at: int, after: int) -> None:
        _, _, _, opaque, interval_cs = babel.ACK_REQUEST.unpack_from(self.data, at)
        self._keep(babel.AckRequest(opaque, interval_cs), at + 8, after, sound=interval_cs > 0)

    def _ack(self, at: int, after: int) -> None:
        _, _, opaque = babel.ACK.unpack_from(self.data, at)
        self._keep(babel.Ack(opaque), at + 4, after)

    def _hello(self, at: int, after: int) -> None:
        _, _, flags, seqno, interval_cs = babel.HELLO.unpack_from(self.data, at)
        unicast = flags & babel.FLAG_UNICAST != 0
        self._keep(babel.Hello(seqno, interval_cs, unicast), at + 8, after)

    def _ihu(self, at: int, after: int) -> None:
        _, _, ae, _, rxcost, interval_cs = babel.IHU.unpack_from(self.data, at)
        length = _ADDRESS_LEN.get(ae)
        if length is None or at + 8 + length > after:
            self.ignored.append(_MALFORMED)
            return
        address: bytes | None = self.data[at + 8 : at + 8 + length]
        if ae == AE_LINK_LOCAL:
            address = LINK_LOCAL_HEAD + self.data[at + 8 : at + 16]
        elif ae == AE_WILDCARD:
            address = None
        ihu = babel.Ihu(address, rxcost, interval_cs)
        self._keep(ihu, at + 8 + length, after, sound=interval_cs > 0)

    def _router_id(self, at: int, after: int) -> None:
        router_id = self.data[at + 4 : at + 12]
        self.router_id = router_id if router_id not in _BAD_IDS else None
        if self.router_id is None:
            self.ignored.append(_MALFORMED)
        elif why := self._refused(at + 12, after):
            self.ignored.append(why)

    def _next_hop(self, at: int, after: int) -> None:
        ae = self.data[at + 2]
        length = _ADDRESS_LEN.get(ae)
        if not length or at + 4 + length > after:
            self.ignored.append(_MALFORMED)
            return
        address = self.data[at + 4 : at + 4 + length]
        if ae == AE_LINK_LOCAL:
            self.next_hop = LINK_LOCAL_HEAD + address
        elif ae == AE_IPV6:
            self.next_hop = address
        if why := self._refused(at + 4 + length, after):
            self.ignored.append(why)

    def _route_request(self, at: int, after: int) -> None:
        ae, length = self.data[at + 2], self.data[at + 3]
        if ae == AE_WILDCARD:
            self._keep(babel.RouteRequest(None), at + 4, after, sound=length == 0)
        elif (read := self._prefix(ae, length, at + 4, after)) is not None:
            self._keep(babel.RouteRequest(read[0]), read[1], after)

    def _seqno_request(self, at: int, after: int) -> None:
        _, _, ae, length, seqno, hops, _, router_id = babel.SEQNO_REQUEST.unpack_from(self.data, at)
        if (read := self._prefix(ae, length, at + 16, after)) is not None:
            request = babel.SeqnoRequest(read[0], router_id, seqno, hops)
            sound = hops > 0 and router_id not in _BAD_IDS
            self._keep(request, read[1], after, sound=sound)

    # --- helpers ----------------------------------------------------------------------------------

    def _keep(self, tlv: Tlv, body: int, after: int, *, sound: bool = True) -> None:
        """Take `tlv` unless a field or a sub-TLV forbids it."""
        if not sound:
            self.ignored.append(_MALFORMED)
        elif body != after and (why := self._refused(body, after)):
            self.ignored.append(why)
        else:
            self.tlvs.append(tlv)

    def _refused(self, at: int, after: int) -> DropReason | None:
        """Walk the sub-TLVs; none is known, so a mandatory one refuses its TLV."""
        data = self.data
        while at < after:
            kind = data[at]
            if kind == T_PAD1:
                at += 1
                continue
            if at + 2 > after or at + 2 + data[at + 1] > after:
                return _MALFORMED
            if kind & 0x80:
                return DropReason.BABEL_SUB_TLV_MANDATORY
            at += 2 + data[at + 1]
        return None

    def _thin(self, at: int, after: int) -> int:
        """Return what sound sub-TLVs say of LoRa hops, 0 when that is nothing."""
        data = self.data
        while at < after:
            if data[at] == T_PAD1:
                at += 1
                continue
            if data[at] == babel.SUB_THIN and data[at + 1] == 2:
                return data[at + 2] << 8 | data[at + 3]
            at += 2 + data[at + 1]
        return 0

    def _prefix(self, ae: int, length: int, at: int, after: int) -> tuple[Prefix, int] | None:
        """Read an uncompressed IPv6 prefix; its end comes with it. None: ignored, and why noted."""
        octets = (length + 7) >> 3
        if ae == AE_IPV4 or ae == AE_V4_VIA_V6:
            self.ignored.append(DropReason.BABEL_IPV4)
            return None
        if ae != AE_IPV6 or length > 128 or at + octets > after:
            self.ignored.append(_MALFORMED)
            return None
        address = _masked(self.data[at : at + octets], length) + _ZEROS[octets:]
        return Prefix(address, length), at + octets

    def _odd_update(self, at: int, after: int, ae: int) -> None:
        """Read what is not an IPv6 update: a wildcard retraction, IPv4, or nonsense."""
        data = self.data
        _, _, _, flags, length, omitted, interval_cs, seqno, metric = babel.UPDATE.unpack_from(
            data, at
        )
        if ae == AE_WILDCARD:
            sound = metric == INFINITY and not length and not omitted and interval_cs > 0
            self._keep(Retraction(None, seqno, interval_cs), at + 12, after, sound=sound)
            return
        octets = (length + 7) >> 3
        body = at + 12 + octets - omitted
        if ae not in (AE_IPV4, AE_V4_VIA_V6) or length > 32 or omitted > octets or body > after:
            self.ignored.append(_MALFORMED)
            return
        default = self.prefix.get(AE_IPV4)
        if omitted and default is None:
            self.ignored.append(_MALFORMED)
            return
        address = _masked((default or b"")[:omitted] + data[at + 12 : body], length)
        address += _ZEROS[octets:4]
        if flags & FLAG_PREFIX:
            self.prefix[AE_IPV4] = address
        if flags & FLAG_ROUTER_ID:
            self.router_id = bytes(4) + address if any(address) else None
        self.ignored.append(DropReason.BABEL_IPV4)


def _masked(data: bytes, length: int) -> bytes:
    """Clear the bits of the last octet that lie beyond `length`."""
    if length & 7 and data:
        return data[:-1] + bytes((data[-1] & 0xFF00 >> (length & 7),))
    return data


_Reader = Callable[[_Parser, int, int], None]
_HANDLERS: dict[int, tuple[int, _Reader]] = {
    babel.T_ACK_REQUEST: (8, _Parser._ack_request),
    babel.T_ACK: (4, _Parser._ack),
    babel.T_HELLO: (8, _Parser._hello),
    babel.T_IHU: (8, _Parser._ihu),
    babel.T_ROUTER_ID: (12, _Parser._router_id),
    babel.T_NEXT_HOP: (4, _Parser._next_hop),
    babel.T_ROUTE_REQUEST: (4, _Parser._route_request),
    babel.T_SEQNO_REQUEST: (16, _Parser._seqno_request),
}
