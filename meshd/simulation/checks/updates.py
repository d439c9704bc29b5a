"""A second reading of Babel packets, apart from `wire/`: only what checkers need of them.

Enters: a datagram as it was sent. Leaves: its updates, each with prefix, router-id, seqno, metric
and interval, those of an infinite metric apart; its seqno requests. It shares no line with the
parser of the nodes, so that one mistake cannot hide in both; of a packet whose framing is broken it
reads nothing.
Ref: RFC 8966 §4.6.7, §4.6.9, §4.6.11.
"""

from collections.abc import Iterator
from typing import NamedTuple

_PAD1, _ROUTER_ID, _UPDATE, _SEQNO_REQUEST = 0, 6, 8, 10
_IPV6 = 2
_SETS_PREFIX, _SETS_ROUTER_ID = 0x80, 0x40
_INFINITY = 0xFFFF
_KEPT_MAX = 4_096


class Said(NamedTuple):
    """One update: `prefix` as (16 bytes, length); a retraction has an infinite metric."""

    prefix: tuple[bytes, int]
    router_id: bytes
    seqno: int
    metric: int
    interval_us: int = 0


class Asked(NamedTuple):
    """One seqno request: `prefix` as (16 bytes, length), and how many hops it may still go."""

    prefix: tuple[bytes, int]
    router_id: bytes
    seqno: int
    hops: int


class Reader:
    """Reads each distinct packet once, since dumps repeat."""

    def __init__(self) -> None:
        self._read: dict[bytes, tuple[Said, ...]] = {}
        self._lost: dict[bytes, tuple[Said, ...]] = {}
        self._asked: dict[bytes, tuple[Asked, ...]] = {}

    def read(self, packet: bytes) -> tuple[Said, ...]:
        """Return the finite IPv6 updates of a packet."""
        known = self._read.get(packet)
        if known is None:
            known = self._parse(packet)[0]
        return known

    def retracted(self, packet: bytes) -> tuple[Said, ...]:
        """Return the retractions of a packet that name an IPv6 prefix."""
        known = self._lost.get(packet)
        if known is None:
            known = self._parse(packet)[1]
        return known

    def _parse(self, packet: bytes) -> tuple[tuple[Said, ...], tuple[Said, ...]]:
        if len(self._read) >= _KEPT_MAX:
            self._read.clear()
            self._lost.clear()
        found = _updates(packet)
        said = tuple(one for one in found if one.metric != _INFINITY)
        lost = tuple(one for one in found if one.metric == _INFINITY)
        self._read[packet], self._lost[packet] = said, lost
        return said, lost

    def asked(self, packet: bytes) -> tuple[Asked, ...]:
        """Return the IPv6 seqno requests of a packet."""
        known = self._asked.get(packet)
        if known is None:
            if len(self._asked) >= _KEPT_MAX:
                self._asked.clear()
            known = self._asked[packet] = tuple(_requests(packet))
        return known


def _tlvs(packet: bytes) -> Iterator[tuple[int, bytes]]:
    """Return type and body of each TLV, but of padding of one byte."""
    place, end = 4, min(4 + int.from_bytes(packet[2:4], "big"), len(packet))
    while place < end:
        kind = packet[place]
        if kind == _PAD1:
            place += 1
            continue
        if place + 1 >= end or place + 2 + packet[place + 1] > end:
            return
        yield kind, packet[place + 2 : place + 2 + packet[place + 1]]
        place += 2 + packet[place + 1]


def _requests(packet: bytes) -> list[Asked]:
    return [
        Asked(
            (body[14:].ljust(16, b"\0"), body[1]),
            body[6:14],
            int.from_bytes(body[2:4], "big"),
            body[4],
        )
        for kind, body in _tlvs(packet)
        if kind == _SEQNO_REQUEST and len(body) >= 14 and body[0] == _IPV6
    ]


def _updates(packet: bytes) -> list[Said]:
    found: list[Said] = []
    router_id, default = b"", b""
    for kind, body in _tlvs(packet):
        if kind == _ROUTER_ID:
            router_id = body[2:10]
        elif kind == _UPDATE and body[0] == _IPV6:
            flags, length, omitted = body[1], body[2], body[3]
            end = 10 + max((length + 7) // 8 - omitted, 0)  # behind it are sub-TLVs
            address = (default[:omitted] + body[10:end]).ljust(16, b"\0")
            if flags & _SETS_PREFIX:
                default = address
            if flags & _SETS_ROUTER_ID:
                router_id = address[8:]
            seqno, metric = int.from_bytes(body[6:8], "big"), int.from_bytes(body[8:10], "big")
            interval_us = int.from_bytes(body[4:6], "big") * 10_000
            found.append(Said((address, length), router_id, seqno, metric, interval_us))
    return found
