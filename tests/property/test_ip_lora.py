"""IP over LoRa: what is carried comes out whole, all else is refused; scapy is the judge."""

import warnings
from ipaddress import IPv6Address
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.ids import NODE_ID_LEN, OPEN_MESH_ID, mesh_address, node_of_address
from meshd.wire import ipv6
from meshd.wire.ip_lora import Echo, NotCarried, Packet, Udp

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.layers.inet import UDP
    from scapy.layers.inet6 import (
        ICMPv6EchoReply,
        ICMPv6EchoRequest,
        ICMPv6PacketTooBig,
        IPv6,
        IPv6ExtHdrFragment,
    )

ROOT = Path(__file__).resolve().parents[2]
MESH = OPEN_MESH_ID
SENDER, RECEIVER = b"the sender", b"receiver10"
REFUSALS = {
    *(DropReason.PACKET_MALFORMED, DropReason.PACKET_FOREIGN, DropReason.PACKET_HEADERS),
    *(DropReason.PACKET_PROTOCOL, DropReason.PACKET_CHECKSUM),
}
words, hops = st.integers(0, 0xFFFF), st.integers(1, 255)
data = st.binary(max_size=220)
nodes = st.sampled_from([SENDER, RECEIVER]) | st.binary(min_size=NODE_ID_LEN, max_size=NODE_ID_LEN)
filled = st.builds(
    lambda start, end: start + bytes(place & 0xFF for place in range(len(start), end)),
    st.binary(max_size=40),
    st.integers(0, 600),
)
contents = st.one_of(
    st.builds(Echo, words, words, data | filled, st.booleans()),
    st.builds(Udp, words, words, data),
    st.builds(Udp, st.just(6697), st.just(6697), data),
)
packets = st.builds(Packet, nodes, nodes, contents, hops, st.just(0) | st.integers(0, 255))


def address(node):
    return mesh_address(MESH, node)


def by_scapy(packet):
    """Return the IPv6 packet that scapy makes of the same fields, with its own checksum."""
    head = IPv6(
        src=ipv6_text(packet.source),
        dst=ipv6_text(packet.destination),
        hlim=packet.hop_limit,
        tc=packet.traffic_class,
    )
    content = packet.content
    if isinstance(content, Udp):
        return bytes(
            head / UDP(sport=content.source_port, dport=content.destination_port) / content.data
        )
    kind = ICMPv6EchoReply if content.reply else ICMPv6EchoRequest
    return bytes(head / kind(id=content.identifier, seq=content.number, data=content.data))


def ipv6_text(node):
    return str(IPv6Address(address(node)))


@given(packets)
def test_packet_made_anew_is_what_scapy_makes_of_it(packet):
    assert packet.encode(MESH) == by_scapy(packet)


@given(packets)
@example(Packet(SENDER, RECEIVER, Udp(6697, 6697, b""), 64))
def test_packet_comes_out_as_it_went_in(packet):
    whole = packet.encode(MESH)
    body = Packet.decode(whole, MESH).compress(SENDER, RECEIVER)
    assert Packet.expand(body, SENDER, RECEIVER).encode(MESH) == whole
    assert len(body) <= len(whole) - 26 or packet.traffic_class or not carried_short(packet)


def carried_short(packet):
    return packet.source == SENDER and packet.destination == RECEIVER


def test_echo_of_ping_is_half_as_long_for_its_filling():
    sent = bytes(16) + bytes(range(16, 56))
    body = Packet(SENDER, RECEIVER, Echo(1, 1, sent), 64).compress(SENDER, RECEIVER)
    assert len(body) == 23
    assert Packet.expand(body, SENDER, RECEIVER).content.data == sent


A, B, C = (bytes(range(start, start + NODE_ID_LEN)) for start in (0xA0, 0xB0, 0xC0))
GOLDEN = {
    "20 40 12 34 00 01 70 69 6E 67": Packet(A, B, Echo(0x1234, 1, b"ping"), 64),
    "52 3F C0 C1 C2 C3 C4 C5 C6 C7 C8 C9 12 34 00 01 74 69 6D 65 05": Packet(
        C, B, Echo(0x1234, 1, b"time\4\5\6\7\x08", reply=True), 63
    ),
    "08 40 C0 C1 C2 C3 C4 C5 C6 C7 C8 C9 04 FF": Packet(A, C, Udp(6697, 6697, b"\4\xff"), 64),
    "7C 3E C0 C1 C2 C3 C4 C5 C6 C7 C8 C9 C0 C1 C2 C3 C4 C5 C6 C7 C8 C9 20 16 33 9C 40 40 01": (
        Packet(C, C, Udp(5683, 40000, b"\x40\1"), 62, 0x20)
    ),
}


@pytest.mark.parametrize("text", GOLDEN)
def test_golden_bytes(text):
    """Those of docs/wire-format.md, in a frame from A to B."""
    body = bytes.fromhex(text)
    assert GOLDEN[text].compress(A, B) == body
    assert Packet.expand(body, A, B) == GOLDEN[text]
    assert f"`{text}`" in (ROOT / "docs" / "wire-format.md").read_text()


@given(st.binary(max_size=300))
def test_any_body_is_refused_or_written_in_the_same_way(body):
    try:
        packet = Packet.expand(body, SENDER, RECEIVER)
    except WireError:
        return
    assert packet.compress(SENDER, RECEIVER) == body
    assert Packet.decode(packet.encode(MESH), MESH) == packet


@given(st.binary(max_size=300), st.booleans(), st.sampled_from([6, 17, 44, 58]))
def test_any_packet_of_the_host_is_carried_whole_or_refused_by_name(rest, inside, following):
    ends = (address(SENDER), address(RECEIVER)) if inside else (rest[:16].ljust(16, b"x"),) * 2
    whole = ipv6.Header(*ends, following).packet(rest)
    for candidate in (whole, rest):
        try:
            packet = Packet.decode(candidate, MESH)
        except NotCarried as refused:
            assert refused.reason in REFUSALS
        else:
            assert packet.encode(MESH) == candidate


@settings(max_examples=30)
@given(packets)
def test_every_flipped_bit_is_refused_or_told_by_what_comes_out(packet):
    whole = packet.encode(MESH)
    for place in range(8 * min(len(whole), 60)):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        try:
            made = Packet.decode(bytes(flipped), MESH).encode(MESH)
        except NotCarried:
            continue
        # Hop limit, class and label are under no checksum; the label is not carried.
        assert made[4:] == bytes(flipped)[4:] and place // 8 in (0, 1, 2, 3, 7)


def test_flow_label_comes_out_as_nothing():
    plain = Packet(SENDER, RECEIVER, Echo(1, 2, b"x"), 64, traffic_class=5).encode(MESH)
    labelled = plain[:1] + bytes((plain[1] | 0x0A,)) + b"\xbc\xde" + plain[4:]
    assert Packet.decode(labelled, MESH).encode(MESH) == plain


ENDS = {"src": ipv6_text(SENDER), "dst": ipv6_text(RECEIVER)}


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (b"", DropReason.PACKET_MALFORMED),
        (bytes(IPv6(**ENDS) / ICMPv6EchoRequest())[:-1], DropReason.PACKET_MALFORMED),
        (b"\x45" + bytes(IPv6(**ENDS) / ICMPv6EchoRequest())[1:], DropReason.PACKET_MALFORMED),
        (bytes(IPv6(**ENDS) / UDP(len=9)), DropReason.PACKET_MALFORMED),
        (bytes(IPv6(src="fe80::1", dst="ff02::16") / b""), DropReason.PACKET_FOREIGN),
        (bytes(IPv6(src=ENDS["src"], dst="2001:db8::1") / UDP()), DropReason.PACKET_FOREIGN),
        (bytes(IPv6(src="2001:db8::1", dst=ENDS["dst"]) / UDP()), DropReason.PACKET_FOREIGN),
        (bytes(IPv6(**ENDS) / IPv6ExtHdrFragment() / UDP()), DropReason.PACKET_HEADERS),
        (bytes(IPv6(nh=0, **ENDS)), DropReason.PACKET_HEADERS),
        (bytes(IPv6(nh=6, **ENDS)), DropReason.PACKET_PROTOCOL),
        (bytes(IPv6(**ENDS) / ICMPv6PacketTooBig()), DropReason.PACKET_PROTOCOL),
        (bytes(IPv6(**ENDS) / ICMPv6EchoRequest(code=1)), DropReason.PACKET_PROTOCOL),
        (bytes(IPv6(**ENDS) / UDP(chksum=0)), DropReason.PACKET_CHECKSUM),
        (bytes(IPv6(**ENDS) / ICMPv6EchoReply(cksum=7)), DropReason.PACKET_CHECKSUM),
    ],
)
def test_what_no_rule_is_for_is_refused_by_name(packet, reason):
    with pytest.raises(NotCarried) as refused:
        Packet.decode(packet, MESH)
    assert refused.value.reason is reason


@given(packets, st.integers(0, 1400))
def test_error_is_one_that_scapy_reads(packet, more):
    whole = packet._replace(content=Udp(1, 2, bytes(more))).encode(MESH)
    error = ipv6.icmp_error(address(RECEIVER), whole, ipv6.TOO_BIG, mtu=201)
    read = IPv6(error)
    assert len(error) <= 1280 and read.plen == len(error) - 40
    told = read[ICMPv6PacketTooBig]
    assert (told.code, told.mtu, read.src) == (0, 201, ENDS["dst"])
    stated = told.cksum
    del told.cksum
    assert ICMPv6PacketTooBig(bytes(read)[40:]).cksum == stated
    assert node_of_address(ipv6.Header.decode(error).destination) == packet.source


NO_ERROR = [
    IPv6(**ENDS) / ICMPv6PacketTooBig() / b"about another",
    IPv6(nh=58, **ENDS) / b"\x89redirect",
    IPv6(nh=58, **ENDS),
    IPv6(src=ENDS["src"], dst="ff02::1") / UDP(),
    IPv6(src="::", dst=ENDS["dst"]) / UDP(),
    IPv6(src="::1", dst=ENDS["dst"]) / UDP(),
    IPv6(src="ff02::1", dst=ENDS["dst"]) / UDP(),
    IPv6(**ENDS) / IPv6ExtHdrFragment(offset=3) / b"the rest of an error",
    IPv6(nh=60, **ENDS) / (b"\x3a\0" + bytes(6) + b"\x01an error behind options"),
    IPv6(nh=51, **ENDS) / (b"\x3a\1" + bytes(10) + b"\x01an error behind a proof"),
    IPv6(nh=60, **ENDS) / b"cut",
]


@pytest.mark.parametrize("packet", NO_ERROR, ids=lambda packet: packet.summary()[:40])
def test_no_error_is_made_where_rfc_4443_forbids_it(packet):
    assert ipv6.icmp_error(address(RECEIVER), bytes(packet), ipv6.PROHIBITED) is None


@pytest.mark.parametrize(
    "packet",
    [
        IPv6(**ENDS) / ICMPv6EchoRequest(),
        IPv6(**ENDS) / IPv6ExtHdrFragment(offset=0, m=1, nh=17) / bytes(8),
        IPv6(nh=50, **ENDS) / b"encrypted",
        IPv6(nh=6, **ENDS),
    ],
    ids=["echo", "first fragment", "encrypted", "tcp"],
)
def test_other_packets_are_answered_by_an_error(packet):
    assert ipv6.icmp_error(address(RECEIVER), bytes(packet), ipv6.PROHIBITED)


@given(st.binary(max_size=120), st.sampled_from([0, 43, 44, 50, 51, 58, 60, 17]))
def test_an_error_about_any_packet_is_made_or_not(rest, following):
    ends = address(SENDER), address(RECEIVER)
    ipv6.icmp_error(ends[1], ipv6.Header(*ends, following).packet(rest), ipv6.NO_ROUTE)
