"""The parts of IPv6, UDP and ICMPv6 that meshd touches itself: headers, checksums, error messages.

Enters: whole packets as a TUN device gives them. Leaves: their header, or WireError; packets that
the kernel takes. Ref: RFC 8200 §3, RFC 768, RFC 4443.
"""

from struct import Struct
from typing import NamedTuple

from meshd.core.errors import WireError

HEADER_LEN = 40
UDP_LEN = 8
PACKET_MIN = 1280
"""What every link of IPv6 carries, and the longest ICMPv6 error message."""
UDP, ICMPV6 = 17, 58
FRAGMENT = 44
EXTENSIONS = frozenset({0, 43, FRAGMENT, 50, 51, 60, 135, 139, 140})
"""Headers that may stand between that of IPv6 and what it carries (RFC 7045 §4)."""

ECHO_REQUEST, ECHO_REPLY, REDIRECT = 128, 129, 137
ERROR_MAX = 127
"""ICMPv6 types up to this one are errors."""
NO_ROUTE, PROHIBITED = (1, 0), (1, 1)
TOO_BIG = (2, 0)

_HEADER = Struct(">IHBB16s16s")
_PSEUDO = Struct(">16s16sII")
_ICMP = Struct(">BBHI")
_VERSION = 6
_HOP_LIMIT = 64


class Header(NamedTuple):
    """The fixed header of a packet. Addresses are packed."""

    source: bytes
    destination: bytes
    next_header: int
    hop_limit: int = _HOP_LIMIT
    traffic_class: int = 0
    flow_label: int = 0

    @classmethod
    def decode(cls, packet: bytes) -> "Header":
        """Read the header of a whole packet. Raises: WireError."""
        if len(packet) < HEADER_LEN:
            raise WireError(f"{len(packet)} bytes are no IPv6 packet")
        first, length, following, hops, source, destination = _HEADER.unpack_from(packet)
        if first >> 28 != _VERSION or length != len(packet) - HEADER_LEN:
            raise WireError("no IPv6 packet, or not the whole of it")
        return cls(source, destination, following, hops, first >> 20 & 0xFF, first & 0xFFFFF)

    def packet(self, payload: bytes) -> bytes:
        """Return the packet that carries `payload`."""
        first = _VERSION << 28 | self.traffic_class << 20 | self.flow_label
        head = _HEADER.pack(
            first, len(payload), self.next_header, self.hop_limit, self.source, self.destination
        )
        return head + payload


def checksum(header: Header, payload: bytes) -> int:
    """Return the checksum over a payload whose checksum field is 0 (RFC 8200 §8.1).

    65,536 is 1 modulo 65,535, so the whole text as one number has the remainder of its words' sum.
    """
    pseudo = _PSEUDO.pack(header.source, header.destination, len(payload), header.next_header)
    text = pseudo + payload + bytes(len(payload) & 1)
    total = int.from_bytes(text, "big") % 0xFFFF
    if header.next_header == UDP:
        return 0xFFFF - total  # never 0, which would mean that there is none
    return (0xFFFF - total) % 0xFFFF


def icmp(header: Header, kind: tuple[int, int], rest: int, data: bytes) -> bytes:
    """Return an ICMPv6 packet: type and code, four more bytes as a number, and data."""
    payload = _ICMP.pack(*kind, 0, rest) + data
    return header.packet(_ICMP.pack(*kind, checksum(header, payload), rest) + data)


def icmp_error(own: bytes, packet: bytes, kind: tuple[int, int], *, mtu: int = 0) -> bytes | None:
    """Return the ICMPv6 error that tells the source of `packet` why it goes no further.

    None where RFC 4443 §2.4 (e) forbids one: about an error, a redirect, a fragment that is not the
    first, from or to an address that may stand for many. Raises: WireError.
    """
    header = Header.decode(packet)
    if not _is_one(header.source) or header.destination[0] == 0xFF or _unanswerable(packet):
        return None
    answer = Header(own, header.source, ICMPV6)
    return icmp(answer, kind, mtu, packet[: PACKET_MIN - HEADER_LEN - _ICMP.size])


def _is_one(address: bytes) -> bool:
    return address[0] != 0xFF and any(address[:15]) and address != bytes(15) + b"\1"


def _unanswerable(packet: bytes) -> bool:
    """Tell whether a packet is an error or a redirect, or might be, as far as it can be read."""
    following, at = packet[6], HEADER_LEN
    while following in EXTENSIONS:
        if at + 8 > len(packet):
            return True
        if following == FRAGMENT:
            if packet[at + 2 : at + 4] > b"\0\7":
                return True
            following, at = packet[at], at + 8
        elif following == 51:
            following, at = packet[at], at + 4 * (packet[at + 1] + 2)
        elif following == 50:
            return False  # what is encrypted tells nobody
        else:
            following, at = packet[at], at + 8 * (packet[at + 1] + 1)
    if following != ICMPV6:
        return False
    return at >= len(packet) or packet[at] <= ERROR_MAX or packet[at] == REDIRECT
