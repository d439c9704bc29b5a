"""IP over LoRa at one node: carried, delivered, sent on, refused with an answer, in fair parts."""

from random import Random
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.events import Link, LinkKind, TunSend
from meshd.core.ids import OPEN_MESH_ID, SHORT_LEN, mesh_address
from meshd.core.law import HOUR_US
from meshd.core.options import NodeOptions
from meshd.forwarding.packet_queue import LIFE_US, WAITING_MAX
from meshd.forwarding.packets import BURST_US, PERCENT, Packets
from meshd.forwarding.radio_events import LocalHeard
from meshd.forwarding.turns import RelayParts, part_of
from meshd.link.account import Share
from meshd.wire import ipv6
from meshd.wire.ip_lora import Echo, Packet, Udp
from meshd.wire.lora_payload import Sub

S = 1_000_000
HERE, NEAR, FAR, OTHER, WIFI = (name.encode() * 10 for name in "hnfow")
ROOM = 200
AIRTIME_US = 100_000
PORTS = (5683,)
LORA = Link("lora0", LinkKind.MESH, bytes(16))


def address(node):
    return mesh_address(OPEN_MESH_ID, node)


def local(body, node, *, named=True, trusted=True):
    """Return what a neighbour sent."""
    return LocalHeard("lora0", node, Sub.PACKET, body, named=named, trusted=trusted)


class Told(NamedTuple):
    """What a radio was given."""

    link: str
    to: bytes
    packet: Packet


class Radio:
    """A radio on which all frames take the same time."""

    def airtime_us(self, size):
        return AIRTIME_US


class Radios:
    """Radios that take what they are told, unless they are full or gone."""

    def __init__(self):
        self.links = {"lora0": Radio()}
        self.meshes = {"lora0": SimpleNamespace(parts=RelayParts(HOUR_US))}
        self.on_local = {}
        self.told = []
        self.full = False
        self.waits = 0
        self.rooms = ROOM

    def room(self, link):
        return self.rooms

    def waiting(self, link, sub):
        return self.waits

    def tell(self, link, item, priority, now, *, to, share):
        if self.full:
            return False
        assert item.sub is Sub.PACKET and len(item.body) <= ROOM
        packet = Packet.expand(item.body, HERE, to)
        assert (share is Share.OWN) == (packet.source == HERE)
        self.told.append(Told(link, to, packet))
        return True


class Node:
    """A node with routes to FAR and NEAR by LoRa and to WIFI by WiFi."""

    def __init__(self):
        rng = Random(1)
        self.ctx = Context(rng=rng, entropy=rng.randbytes)
        self.radios = Radios()
        self.hops = {
            NEAR: (LORA, address(NEAR), 4096),
            FAR: (LORA, address(NEAR), 8192),
            WIFI: (Link("w0", LinkKind.MESH, bytes(16)), b"\xfe\x80" + bytes(14), 256),
        }
        self.packets = Packets(
            self.ctx,
            HERE,
            NodeOptions(lora_udp_ports=PORTS),
            radios=self.radios,
            route_to=lambda wanted: self.hops.get(wanted[6:]),
        )

    def host_sends(self, packet, now=0):
        """The kernel sends a packet to the device; return the error that it gets, if any."""
        data = packet if isinstance(packet, bytes) else packet.encode(OPEN_MESH_ID)
        self.packets.from_host(data, now)
        return self.to_kernel()

    def air_brings(self, packet, now=0, *, sender=NEAR, **how):
        body = packet.compress(sender, HERE)
        self.radios.on_local[Sub.PACKET](local(body, sender, **how), now)
        return self.to_kernel()

    def to_kernel(self):
        found = self.ctx.transmits.popleft() if self.ctx.transmits else None
        assert not self.ctx.transmits and (found is None or isinstance(found, TunSend))
        return found.data if found else None

    def told(self):
        told, self.radios.told = self.radios.told, []
        return told

    def run(self, now, until):
        """Let timers ring until then; return when each packet went out."""
        times = []
        while (due := self.ctx.timers.next()) and due[0] <= until:
            now = due[0]
            for key in self.ctx.timers.expired(now):
                self.packets.handle_timer(key, now)
            times += [now] * len(self.radios.told)
            self.kept = getattr(self, "kept", []) + self.told()
        return times

    def drops(self):
        return {reason: sum(by.values()) for reason, by in self.ctx.drops.as_dict().items()}


@pytest.fixture
def node():
    return Node()


def echo(source=HERE, destination=FAR, number=1, data=b"x" * 56):
    return Packet(source, destination, Echo(7, number, data), 64)


def udp(port, source=HERE, destination=FAR, data=b"text"):
    return Packet(source, destination, Udp(40_000, port, data), 64)


# --- the way of a packet --------------------------------------------------------------------------


def test_packet_of_the_host_goes_to_the_next_hop_of_the_route(node):
    assert node.host_sends(echo()) is None
    assert node.told() == [Told("lora0", NEAR, echo())]


def test_packet_for_this_node_goes_to_the_kernel(node):
    packet = echo(FAR, HERE)
    assert node.air_brings(packet) == packet.encode(OPEN_MESH_ID)
    assert not node.told() and not node.drops()


def test_packet_for_a_node_by_wifi_goes_to_the_kernel_which_counts_the_hop(node):
    packet = echo(FAR, WIFI)
    assert node.air_brings(packet) == packet.encode(OPEN_MESH_ID)


def test_packet_of_another_neighbour_is_sent_on_one_hop_older(node):
    packet = echo(OTHER, FAR)
    assert node.air_brings(packet, sender=OTHER) is None
    assert node.told() == [Told("lora0", NEAR, packet._replace(hop_limit=63))]


def test_packet_from_wifi_is_carried_for_its_source(node):
    node.host_sends(echo(WIFI, FAR))
    assert node.told() == [Told("lora0", NEAR, echo(WIFI, FAR))]


def test_listed_ports_are_carried_at_either_end(node):
    for packet in (udp(5683), udp(6697)._replace(content=Udp(5683, 9, b""))):
        assert node.host_sends(packet) is None
        assert node.told()[0].packet == packet


# --- refusals -------------------------------------------------------------------------------------


def head(following, payload, source=HERE, destination=FAR):
    return ipv6.Header(address(source), address(destination), following).packet(payload)


@pytest.mark.parametrize(
    ("packet", "reason", "answer"),
    [
        (head(6, bytes(20)), DropReason.PACKET_PROTOCOL, ipv6.PROHIBITED),
        (head(6, bytes(20), WIFI), DropReason.PACKET_PROTOCOL, ipv6.PROHIBITED),
        (head(44, b"\x11" + bytes(39)), DropReason.PACKET_HEADERS, ipv6.PROHIBITED),
        (udp(53), DropReason.PACKET_PORT, ipv6.PROHIBITED),
        (echo(destination=OTHER), DropReason.PACKET_NO_WAY, ipv6.NO_ROUTE),
        (echo(destination=WIFI), DropReason.PACKET_NO_WAY, ipv6.NO_ROUTE),
        (echo(data=bytes(500)), DropReason.PACKET_TOO_LONG, ipv6.TOO_BIG),
        (head(58, b"\1\4" + bytes(30)), DropReason.PACKET_PROTOCOL, None),
        (head(17, bytes(8)), DropReason.PACKET_MALFORMED, None),
        (head(58, b"\x80" + bytes(7)), DropReason.PACKET_CHECKSUM, None),
        (
            ipv6.Header(address(HERE), b"\xff\2" + bytes(14), 58).packet(bytes(8)),
            DropReason.PACKET_FOREIGN,
            None,
        ),
        (b"nothing", DropReason.PACKET_MALFORMED, None),
    ],
)
def test_what_is_not_carried_is_dropped_by_name_and_answered_where_it_may_be(
    node, packet, reason, answer
):
    told = node.host_sends(packet)
    assert node.drops() == {reason: 1} and not node.told()
    assert (told and (told[40], told[41])) == answer
    if told:
        assert ipv6.Header.decode(told).source == address(HERE)


def test_too_big_tells_the_longest_that_goes(node):
    told = node.host_sends(echo(WIFI, FAR, data=bytes(500)))
    mtu = int.from_bytes(told[44:48], "big")
    fits = bytes(mtu - 48)
    assert node.host_sends(echo(WIFI, FAR, data=fits)) is None and len(node.told()) == 1
    assert node.host_sends(echo(WIFI, FAR, data=fits + b"x"))[44:48] == told[44:48]


def test_answers_are_few_for_each_source_and_in_all(node):
    answers = [node.host_sends(udp(53)) for _ in range(10)]
    assert [bool(answer) for answer in answers] == [True] * 4 + [False] * 6
    assert node.drops()[DropReason.PACKET_UNANSWERED] == 6
    assert node.host_sends(udp(53, source=WIFI))
    many = [udp(53, source=bytes((0, number)) * 5) for number in range(100)]
    assert sum(bool(node.host_sends(packet)) for packet in many) <= 20
    assert node.host_sends(udp(53), now=5 * S)


def test_packet_from_the_air_in_our_own_name_is_dropped(node):
    assert node.air_brings(echo(HERE, WIFI)) is None
    assert node.drops() == {DropReason.PACKET_SPOOFED: 1}


def test_packet_in_a_frame_to_everyone_is_dropped(node):
    assert node.air_brings(echo(FAR, HERE), named=False) is None
    assert node.drops() == {DropReason.PACKET_UNNAMED: 1}


def test_packet_of_who_may_be_a_recording_is_taken_and_not_sent_on(node):
    assert node.air_brings(echo(NEAR, HERE), trusted=False)
    assert node.air_brings(echo(NEAR, WIFI), trusted=False) is None
    node.air_brings(echo(OTHER, FAR), sender=OTHER, trusted=False)
    assert node.drops() == {DropReason.PACKET_UNPROVEN: 2} and not node.told()


def test_packet_that_would_go_back_is_dropped(node):
    node.air_brings(echo(OTHER, FAR), sender=NEAR)
    assert node.drops() == {DropReason.PACKET_NO_WAY: 1} and not node.told()


def test_packet_from_the_air_without_a_way_is_dropped_and_answered_by_nothing(node):
    assert node.air_brings(echo(FAR, OTHER)) is None
    assert node.drops() == {DropReason.PACKET_NO_WAY: 1}


def test_packet_ends_where_its_hops_are_used_up(node):
    node.air_brings(echo(OTHER, FAR)._replace(hop_limit=1), sender=OTHER)
    assert node.drops() == {DropReason.PACKET_HOPS: 1} and not node.told()
    last = echo(OTHER, HERE)._replace(hop_limit=1)
    assert node.air_brings(last) == last.encode(OPEN_MESH_ID)


def test_unlisted_port_of_another_is_not_sent_on(node):
    node.air_brings(udp(53, source=OTHER), sender=OTHER)
    assert node.drops() == {DropReason.PACKET_PORT: 1} and not node.told()


def test_too_long_for_the_next_hop_is_dropped(node):
    body = echo(OTHER, FAR, data=bytes(ROOM - 6))
    node.air_brings(body, sender=OTHER)
    assert node.drops() == {DropReason.PACKET_TOO_LONG: 1}


def test_damaged_item_is_dropped(node):
    with pytest.raises(WireError):
        Packet.expand(b"\xff", NEAR, HERE)
    node.packets.heard(local(b"\xff", NEAR), 0)
    assert node.drops() == {DropReason.PACKET_MALFORMED: 1}


# --- airtime --------------------------------------------------------------------------------------


def test_packets_take_their_part_of_the_time_and_no_more(node):
    sent = 0
    for second in range(120):
        for number in range(20):
            node.host_sends(echo(number=number), second * S)
        sent += len(node.told()) + len(node.run(second * S, (second + 1) * S))
    assert BURST_US + 120 * S * PERCENT // 100 >= sent * AIRTIME_US - AIRTIME_US
    assert sent * AIRTIME_US >= 120 * S * PERCENT // 100


def drained(node):
    """Use up what may go at once."""
    while not node.packets._outlets or not node.packets._outlets["lora0"].queue:
        node.host_sends(echo(data=b"first"))
    node.told()


def test_one_talker_leaves_every_other_ingress_its_part(node):
    drained(node)
    for number in range(100):
        node.air_brings(echo(OTHER, FAR, number), sender=OTHER)
    for number in range(5):
        node.host_sends(echo(WIFI, FAR, number))
        node.host_sends(echo(HERE, FAR, number))
    node.run(0, 10 * S)
    sources = [told.packet.source for told in node.kept if told.packet.content.data != b"first"]
    assert sources[:9].count(OTHER) <= 4
    assert sources.count(WIFI) == sources.count(HERE) == 5
    assert node.drops()[DropReason.PACKET_FULL] >= 100 - WAITING_MAX


def test_invented_sources_share_the_part_of_their_ingress(node):
    drained(node)
    for number in range(100):
        node.host_sends(echo(bytes((9, number)) * 5, FAR))
    for number in range(5):
        node.host_sends(echo(HERE, FAR, number))
    node.run(0, 6 * S)
    sources = [told.packet.source for told in node.kept]
    assert sources[:10].count(HERE) >= 4


def test_packets_of_one_ingress_take_half_of_the_relaying_and_leave_the_rest_to_others(node):
    parts = RelayParts(2 * S)
    node.radios.meshes["lora0"].parts = parts
    for number in range(60):
        node.air_brings(echo(OTHER, FAR, number), sender=OTHER)
        node.host_sends(echo(HERE, FAR, number))
    sources = [told.packet.source for told in node.told()]
    assert sources.count(OTHER) == S // AIRTIME_US + 1
    assert sources.count(HERE) == 60, "own packets are not others'"
    assert node.drops()[DropReason.PACKET_FULL] == 60 - S // AIRTIME_US - 1
    assert parts.over(part_of(OTHER[:SHORT_LEN])), "its objects and messages take the same part"
    node.host_sends(echo(WIFI, FAR))
    assert [told.packet.source for told in node.told()] == [WIFI]


def test_radio_that_is_gone_is_no_way(node):
    node.radios.rooms = 0
    assert node.host_sends(echo())[40:42] == bytes(ipv6.NO_ROUTE)
    assert node.drops() == {DropReason.PACKET_NO_WAY: 1}


def test_packets_wait_while_the_radio_has_not_sent_those_before_and_are_dropped_when_late(node):
    radio = node.radios
    radio.waits = 2
    node.host_sends(echo(number=1))
    assert not node.told()
    radio.waits = 0
    (when,) = node.run(0, S)
    assert when <= S and len(node.kept) == 1
    radio.waits = 2
    node.host_sends(echo(number=2), S)
    assert not node.run(S, LIFE_US + 2 * S)
    assert node.drops() == {DropReason.PACKET_LATE: 1}
    assert node.ctx.timers.next() is None


def test_packet_that_the_radio_does_not_take_is_dropped(node):
    node.radios.full = True
    node.host_sends(echo())
    assert node.drops() == {DropReason.PACKET_FULL: 1}
