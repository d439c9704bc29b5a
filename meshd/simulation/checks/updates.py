"""A second reading of Babel packets, apart from `wire/`: only what checkers need of them.

Enters: a datagram as it was sent. Leaves: its finite updates, each with prefix, router-id, seqno
and metric. It shares no line with the parser of the nodes, so that one mistake cannot hide in both;
it trusts the sender's framing, since only what nodes themselves sent is read here.
Ref: RFC 8966 §4.6.7, §4.6.9.
"""

from typing import NamedTuple

_PAD1, _ROUTER_ID, _UPDATE = 0, 6, 8
_IPV6 = 2
_SETS_PREFIX, _SETS_ROUTER_ID = 0x80, 0x40
_INFINITY = 0xFFFF
_KEPT_MAX = 4_096


class Said(NamedTuple):
    """One finite update: `prefix` as (16 bytes, length)."""

    prefix: tuple[bytes, int]
    router_id: bytes
    seqno: int
    metric: int


class Reader:
    """Reads each distinct packet once, since dumps repeat."""

    def __init__(self) -> None:
        self._read: dict[bytes, tuple[Said, ...]] = {}

    def read(self, packet: bytes) -> tuple[Said, ...]:
        """Return the finite IPv6 updates of a packet."""
        known = self._read.get(packet)
        if known is None:
            if len(self._read) >= _KEPT_MAX:
                self._read.clear()
            known = self._read[packet] = tuple(_updates(packet))
        return known


def _updates(packet: bytes) -> list[Said]:
    found: list[Said] = []
    router_id, default = b"", b""
    place, end = 4, 4 + int.from_bytes(packet[2:4], "big")
    while place < end:
        kind = packet[place]
        if kind == _PAD1:
            place += 1
            continue
        body = packet[place + 2 : place + 2 + packet[place + 1]]
        place += 2 + len(body)
        if kind == _ROUTER_ID:
            router_id = body[2:10]
        elif kind == _UPDATE and body[0] == _IPV6:
            flags, length, omitted = body[1], body[2], body[3]
            address = (default[:omitted] + body[10:]).ljust(16, b"\0")
            if flags & _SETS_PREFIX:
                default = address
            if flags & _SETS_ROUTER_ID:
                router_id = address[8:]
            metric = int.from_bytes(body[8:10], "big")
            if metric != _INFINITY:
                seqno = int.from_bytes(body[6:8], "big")
                found.append(Said((address, length), router_id, seqno, metric))
    return found
