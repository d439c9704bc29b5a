"""An IPv6 packet in few bytes for one hop over LoRa, and back, by rules that never change.

Enters: a packet, and the NodeIds at both ends of the hop. Leaves: bytes for a LOCAL item, or the
named reason why a packet is not carried. Carried are ICMPv6 echo and UDP, without extension
headers, between two nodes of one mesh:

    head [rule:3 source:1 destination:1 class:1 count:1 0:1] hop limit:1
    source:10        NodeId, left out when it is who sends the frame
    destination:10   NodeId, left out when it is whom the frame is for
    class:1          traffic class, left out when it is 0
    0 MESH           data                               UDP from 6697 to 6697
    1 ECHO           identifier:2 number:2 data         ICMPv6 echo request
    2 ECHO_REPLY     identifier:2 number:2 data
    3 UDP            source port:2 destination port:2 data
    count:1          at the end of an echo: so many bytes more, each the number of its place

The count is for `ping`, which fills its packets so. Lengths and checksums are made anew; a packet
whose checksum was wrong is not carried. The flow label is not carried: it comes out as 0. Which
ports may be carried is not known here.
Ref: docs/wire-format.md#ip-over-lora.
"""

from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.ids import NODE_ID_LEN, Prefix, host_prefix, mesh_address, node_of_address
from meshd.core.limits import MESHD_PORT
from meshd.wire.ipv6 import (
    ECHO_REPLY,
    ECHO_REQUEST,
    EXTENSIONS,
    HEADER_LEN,
    ICMPV6,
    UDP,
    UDP_LEN,
    Header,
    checksum,
    icmp,
)

_PREFIX_LEN = 6
_SOURCE, _DESTINATION, _CLASS, _COUNT, _SPARE = 0x10, 0x08, 0x04, 0x02, 0x01
_COUNT_MIN, _COUNT_MAX = 2, 255
_WORDS = Struct(">HH")
_ICMP = Struct(">BBHHH")
_UDP = Struct(">HHHH")


class Rule(IntEnum):
    """How what follows the addresses is written."""

    MESH = 0
    ECHO = 1
    ECHO_REPLY = 2
    UDP = 3


class NotCarried(WireError):
    """A packet that no rule is for; `reason` names why."""

    def __init__(self, reason: DropReason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Echo(NamedTuple):
    """An ICMPv6 echo."""

    identifier: int
    number: int
    data: bytes
    reply: bool = False

    def payload(self, header: Header) -> bytes:
        """Return what the packet carries behind its header."""
        kind = (ECHO_REPLY if self.reply else ECHO_REQUEST, 0)
        rest = self.identifier << 16 | self.number
        return icmp(header, kind, rest, self.data)[HEADER_LEN:]


class Udp(NamedTuple):
    """A UDP datagram."""

    source_port: int
    destination_port: int
    data: bytes

    @property
    def of_mesh(self) -> bool:
        """Tell whether it is one of meshd's own."""
        return self.source_port == self.destination_port == MESHD_PORT

    def payload(self, header: Header) -> bytes:
        """Return what the packet carries behind its header."""
        ports, length = (self.source_port, self.destination_port), UDP_LEN + len(self.data)
        total = checksum(header, _UDP.pack(*ports, length, 0) + self.data)
        return _UDP.pack(*ports, length, total) + self.data


class Packet(NamedTuple):
    """A packet that can be carried. `source` and `destination` are NodeIds."""

    source: bytes
    destination: bytes
    content: Echo | Udp
    hop_limit: int
    traffic_class: int = 0

    # --- as IPv6 ----------------------------------------------------------------------------------

    @classmethod
    def decode(cls, packet: bytes, mesh: bytes) -> "Packet":
        """Read a whole IPv6 packet between nodes of the mesh.

        Raises: NotCarried.
        """
        try:
            header = Header.decode(packet)
        except WireError as error:
            raise NotCarried(DropReason.PACKET_MALFORMED, str(error)) from error
        prefix = Prefix(mesh_address(mesh, bytes(NODE_ID_LEN)), 8 * _PREFIX_LEN)
        for address in (header.source, header.destination):
            if not prefix.contains(host_prefix(address)):
                raise NotCarried(DropReason.PACKET_FOREIGN, "an address outside the mesh")
        if header.next_header in EXTENSIONS:
            raise NotCarried(DropReason.PACKET_HEADERS, "a fragment, or an extension header")
        content = _content(header, packet[HEADER_LEN:])
        if packet[HEADER_LEN:] != content.payload(header):
            raise NotCarried(DropReason.PACKET_CHECKSUM, "a wrong checksum")
        source, destination = node_of_address(header.source), node_of_address(header.destination)
        return cls(source, destination, content, header.hop_limit, header.traffic_class)

    def encode(self, mesh: bytes) -> bytes:
        """Return the IPv6 packet."""
        ends = (mesh_address(mesh, self.source), mesh_address(mesh, self.destination))
        protocol = ICMPV6 if isinstance(self.content, Echo) else UDP
        header = Header(*ends, protocol, self.hop_limit, self.traffic_class)
        return header.packet(self.content.payload(header))

    # --- on the air -------------------------------------------------------------------------------

    def compress(self, sender: bytes, receiver: bytes) -> bytes:
        """Return what one frame from `sender` to `receiver` carries of it."""
        head, parts = self._rule << 5, []
        if self.source != sender:
            head |= _SOURCE
            parts.append(self.source)
        if self.destination != receiver:
            head |= _DESTINATION
            parts.append(self.destination)
        if self.traffic_class:
            head |= _CLASS
            parts.append(bytes((self.traffic_class,)))
        content, data = self.content, self.content.data
        if isinstance(content, Echo):
            parts.append(_WORDS.pack(content.identifier, content.number))
            count = _places(data)
            if count:
                head |= _COUNT
                data = data[:-count] + bytes((count,))
        elif not content.of_mesh:
            parts.append(_WORDS.pack(content.source_port, content.destination_port))
        return bytes((head, self.hop_limit)) + b"".join(parts) + data

    @classmethod
    def expand(cls, body: bytes, sender: bytes, receiver: bytes) -> "Packet":
        """Read what a frame from `sender` to `receiver` carried.

        Raises: WireError, also where `compress` would have written something else.
        """
        if len(body) < 2 or body[0] & _SPARE or not body[1]:
            raise WireError("no packet")
        head, place = body[0], 2
        ends = []
        for bit, told in ((_SOURCE, sender), (_DESTINATION, receiver)):
            node = body[place : place + NODE_ID_LEN] if head & bit else told
            if head & bit and (len(node) < NODE_ID_LEN or node == told):
                raise WireError("an address is cut off, or told by the frame already")
            place += NODE_ID_LEN if head & bit else 0
            ends.append(node)
        traffic_class = 0
        if head & _CLASS:
            if not any(body[place : place + 1]):
                raise WireError("no traffic class where one is promised")
            traffic_class, place = body[place], place + 1
        source, destination = ends
        content = _expand(head >> 5, body[place:], counted=bool(head & _COUNT))
        return cls(source, destination, content, body[1], traffic_class)

    @property
    def _rule(self) -> Rule:
        if isinstance(self.content, Echo):
            return Rule.ECHO_REPLY if self.content.reply else Rule.ECHO
        return Rule.MESH if self.content.of_mesh else Rule.UDP


def _content(header: Header, payload: bytes) -> Echo | Udp:
    """Read what a packet carries; checksum and length are judged by making them anew."""
    if header.next_header == ICMPV6 and len(payload) >= _ICMP.size:
        kind, code, _, identifier, number = _ICMP.unpack_from(payload)
        if kind in (ECHO_REQUEST, ECHO_REPLY) and not code:
            return Echo(identifier, number, payload[_ICMP.size :], kind == ECHO_REPLY)
    elif header.next_header == UDP and len(payload) >= _UDP.size:
        source_port, destination_port, length, _ = _UDP.unpack_from(payload)
        if length != len(payload):
            raise NotCarried(DropReason.PACKET_MALFORMED, "a datagram of another length")
        return Udp(source_port, destination_port, payload[_UDP.size :])
    raise NotCarried(DropReason.PACKET_PROTOCOL, "neither an echo nor a datagram")


def _expand(rule: int, rest: bytes, *, counted: bool) -> Echo | Udp:
    if rule == Rule.MESH and not counted:
        return Udp(MESHD_PORT, MESHD_PORT, rest)
    if rule > Rule.UDP or len(rest) < _WORDS.size + counted:
        raise WireError(f"a packet by rule {rule}, or cut off")
    (one, other), data = _WORDS.unpack_from(rest), rest[_WORDS.size :]
    if rule in (Rule.ECHO, Rule.ECHO_REPLY):
        count = 0
        if counted:
            count, start = data[-1], len(data) - 1
            data = data[:-1] + bytes(place & 0xFF for place in range(start, start + count))
        if _places(data) != count:
            raise WireError("an echo that is written shorter")
        return Echo(one, other, data, rule == Rule.ECHO_REPLY)
    content = Udp(one, other, data)
    if counted or content.of_mesh:
        raise WireError("ports written out that a rule tells, or a count where none is")
    return content


def _places(data: bytes) -> int:
    """Return how many bytes at the end are the numbers of their places, 0 when too few."""
    count, most = 0, min(len(data), _COUNT_MAX)
    while count < most and data[-1 - count] == (len(data) - 1 - count) & 0xFF:
        count += 1
    return count if count >= _COUNT_MIN else 0
