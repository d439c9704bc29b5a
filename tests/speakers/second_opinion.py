"""A second, declarative opinion of the Babel packet (RFC 8966 §4), written with construct."""

import construct as c

_BODY_LEN = lambda this: (this.plen + 7) // 8  # noqa: E731

_address = c.Switch(
    c.this.ae, {0: c.Bytes(0), 1: c.Bytes(4), 2: c.Bytes(16), 3: c.Bytes(8)}, default=c.Error
)
_ack_request = c.Struct("reserved" / c.Int16ub, "opaque" / c.Int16ub, "interval" / c.Int16ub)
_ack = c.Struct("opaque" / c.Int16ub)
_hello = c.Struct("flags" / c.Int16ub, "seqno" / c.Int16ub, "interval" / c.Int16ub)
_ihu = c.Struct(
    "ae" / c.Byte,
    "reserved" / c.Byte,
    "rxcost" / c.Int16ub,
    "interval" / c.Int16ub,
    "address" / _address,
)
_router_id = c.Struct("reserved" / c.Int16ub, "router_id" / c.Bytes(8))
_next_hop = c.Struct("ae" / c.Byte, "reserved" / c.Byte, "address" / _address)
_update = c.Struct(
    "ae" / c.Byte,
    "flags" / c.Byte,
    "plen" / c.Byte,
    "omitted" / c.Byte,
    "interval" / c.Int16ub,
    "seqno" / c.Int16ub,
    "metric" / c.Int16ub,
    "prefix" / c.Bytes(lambda this: _BODY_LEN(this) - this.omitted),
    "sub_tlvs" / c.GreedyBytes,
)
_route_request = c.Struct("ae" / c.Byte, "plen" / c.Byte, "prefix" / c.Bytes(_BODY_LEN))
_seqno_request = c.Struct(
    "ae" / c.Byte,
    "plen" / c.Byte,
    "seqno" / c.Int16ub,
    "hop_count" / c.Byte,
    "reserved" / c.Byte,
    "router_id" / c.Bytes(8),
    "prefix" / c.Bytes(_BODY_LEN),
)
_kinds = {
    2: _ack_request,
    3: _ack,
    4: _hello,
    5: _ihu,
    6: _router_id,
    7: _next_hop,
    8: _update,
    9: _route_request,
    10: _seqno_request,
}
_tlv = c.Struct(
    "kind" / c.Byte,
    "value" / c.Prefixed(c.Byte, c.Switch(c.this.kind, _kinds, default=c.GreedyBytes)),
)
babel_packet = c.Struct(
    "magic" / c.Const(42, c.Byte),
    "version" / c.Const(2, c.Byte),
    "body" / c.Prefixed(c.Int16ub, c.GreedyRange(_tlv)),
    c.Terminated,
)
_NAMES = {2: "AckRequest", 3: "Ack", 4: "Hello", 5: "Ihu", 9: "RouteRequest", 10: "SeqnoRequest"}


def names(packet) -> list[str]:
    """Name the TLVs that are values of their own, as `wire/babel.py` does."""
    found = []
    for tlv in packet.body:
        if tlv.kind == 8:
            found.append("Retraction" if tlv.value.metric == 0xFFFF else "Update")
        elif tlv.kind in _NAMES:
            found.append(_NAMES[tlv.kind])
    return found
