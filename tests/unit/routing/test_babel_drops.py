"""Each reason why a Babel speaker refuses something, provoked once."""

import pytest
from speakers.air import SECOND, link_address, node_address
from speakers.talk import GREETING, LINK, OTHER, PEER, Talk, numbered, update

from meshd.core.drops import DropReason
from meshd.core.ids import host_prefix, parse_prefix
from meshd.neighbour import table as neighbour_table
from meshd.routing import forwarded as forwarded_module
from meshd.routing import requests as requests_module
from meshd.wire import babel
from meshd.wire.babel import Hello, RouteRequest, SeqnoRequest, encode


@pytest.fixture
def talk():
    talk = Talk()
    talk.say(*GREETING)
    talk.heard()
    return talk


def raw_packet(body: str) -> bytes:
    data = bytes.fromhex(body)
    return bytes((42, 2)) + len(data).to_bytes(2, "big") + data


def test_datagram_on_a_link_that_is_not_up(talk):
    talk.raw(b"", link="w9")
    assert talk.drops(DropReason.UNKNOWN_LINK) == 1


def test_source_that_is_not_link_local(talk):
    talk.raw(encode(GREETING, PEER), source=node_address(2))
    assert talk.drops(DropReason.BABEL_SOURCE) == 1


def test_own_packet_that_came_back(talk):
    talk.raw(encode(GREETING, PEER), source=LINK.address)
    assert talk.drops(DropReason.BABEL_OWN_PACKET) == 1


@pytest.mark.parametrize("data", ["", "2a02", "2b020000", "2a030000", "2a020001", "2a02000204ff"])
def test_packet_without_a_sound_frame(talk, data):
    talk.raw(bytes.fromhex(data))
    assert talk.drops(DropReason.BABEL_MALFORMED) == 1


@pytest.mark.parametrize(
    "body",
    [
        "0402 0000",  # a hello of two bytes
        "0808 0200 8000 0960 0001",  # an update cut short
        "080a 0200 8001 0960 0001 0000",  # bytes omitted that nobody said
        "0a02 0240",  # a seqno request cut short
        "0508 0300 0100 0000 0001",  # an IHU whose address is cut short
        "060a 0000 0000000000000000",  # a router-id of zeros
        "0902 0001",  # a wildcard request with a length
        "0206 0000 0001 0000",  # an acknowledgment wanted within no time
        "080a 0000 0000 0960 0001 0000",  # a wildcard update with a finite metric
    ],
)
def test_tlv_with_a_field_that_cannot_be(talk, body):
    talk.raw(raw_packet(body))
    assert talk.drops(DropReason.BABEL_TLV_MALFORMED) == 1


def test_unknown_tlv_is_counted_and_the_rest_is_read(talk):
    talk.raw(raw_packet("ee02 0000" + "0206 0000 1234 0064"))
    assert talk.drops(DropReason.BABEL_TLV_UNKNOWN) == 1
    assert babel.Ack(0x1234) in talk.heard()


def test_unknown_mandatory_sub_tlv_refuses_its_tlv_only(talk):
    talk.raw(raw_packet("0208 0000 0001 0064 8000" + "0208 0000 0002 0064 7000"))
    assert talk.drops(DropReason.BABEL_SUB_TLV_MANDATORY) == 1
    assert [tlv for tlv in talk.heard() if isinstance(tlv, babel.Ack)] == [babel.Ack(2)]


def test_ipv4_is_tolerated_not_used(talk):
    talk.raw(raw_packet("080e 0140 2000 0960 0001 0000 0a000001"))
    assert talk.drops(DropReason.BABEL_IPV4) == 1


def test_stranger_without_a_hello_gets_its_acknowledgment_only(talk):
    talk.say(babel.AckRequest(5, 10), RouteRequest(None), source=OTHER)
    assert talk.drops(DropReason.BABEL_STRANGER) == 1
    assert talk.heard() == [babel.Ack(5)]


def test_stranger_gets_few_acknowledgments_in_one_packet_and_not_for_ever(talk):
    for _ in range(100):
        talk.say(*(babel.AckRequest(number, 10) for number in range(170)), source=OTHER)
    sent = len(talk.station.ctx.transmits)
    acks = talk.heard()
    assert acks[:4] == [babel.Ack(number) for number in range(4)]
    assert sent < 40 and len(acks) == 4 * sent
    assert talk.drops(DropReason.BABEL_ANSWER_LIMITED) > 80
    talk.say(babel.AckRequest(5, 10))
    assert talk.heard() == [babel.Ack(5)]


def test_neighbours_that_ask_for_too_much_leave_a_share_to_the_others(talk):
    for number in range(100, 150):
        talk.say(*GREETING, source=link_address(number))
    for number in range(100, 150):
        for _ in range(60):
            talk.say(
                babel.AckRequest(1, 10), RouteRequest(numbered(1)), source=link_address(number)
            )
    assert talk.drops(DropReason.BABEL_ANSWER_LIMITED) > 100
    talk.heard()
    talk.say(babel.AckRequest(5, 10))
    assert talk.heard() == [babel.Ack(5)]


def test_prefixes_asked_for_in_one_packet_are_bounded(talk):
    talk.say(*(RouteRequest(numbered(number)) for number in range(1, 70)))
    assert len(talk.heard()) == 64
    assert talk.drops(DropReason.BABEL_ANSWER_LIMITED) == 1


def test_neighbour_that_asks_for_the_table_again_and_again_gets_it_every_four_seconds(talk):
    talk.say(update(numbered(1)))
    talk.wait(1)
    talk.heard()
    tables = 0
    for number in range(200):
        talk.say(Hello(8 + number, 31), GREETING[1], RouteRequest(None))
        sent = [item for item in talk.station.ctx.transmits if item.destination == PEER]
        tables += sum(numbered(1).address[-8:] in item.data for item in sent)
        talk.heard()
        talk.wait(0.31)
    assert 15 <= tables <= 20
    assert talk.drops(DropReason.BABEL_DUMP_LIMITED) > 150


def test_askers_of_one_link_are_answered_by_one_dump_within_its_budget(talk):
    askers = [link_address(number) for number in range(100, 150)]
    for asker in askers:
        talk.say(*GREETING, source=asker)
    for number in range(1, 2001):
        talk.now += 10_000
        talk.say(update(numbered(number)))
    talk.wait(30)
    talk.station.ctx.transmits.clear()
    unicast = sent = 0
    for second in range(60):
        for asker in askers:
            talk.say(Hello(8 + second, 100), GREETING[1], RouteRequest(None), source=asker)
        talk.wait(1)
        while talk.station.ctx.transmits:
            item = talk.station.ctx.transmits.popleft()
            sent += len(item.data)
            unicast += item.destination in askers and len(item.data) > 1000
    assert sent < 60 * 40_000, "50 tables each four seconds would be 600,000 bytes a second"
    assert unicast < 300


def test_flood_of_datagrams_is_cut_to_its_budget(talk):
    junk = encode([babel.Ack(1)] * 300, PEER)
    for _ in range(200):
        talk.raw(junk)
    assert talk.drops(DropReason.INGRESS_BUSY) > 50
    talk.say(*GREETING, source=OTHER)
    assert OTHER in talk.station.babel.neighbour_addresses("w0")


def test_neighbours_of_a_link_are_bounded_and_live_ones_stay(talk):
    most = neighbour_table.NEIGHBOURS_PER_LINK_MAX
    for number in range(100, 100 + most + 5):
        talk.say(Hello(1, 400), source=link_address(number))
    assert talk.drops(DropReason.BABEL_NEIGHBOURS_FULL) > 0
    assert len(talk.station.babel.neighbour_addresses("w0")) == most
    talk.now += 2 * SECOND
    talk.say(Hello(1, 400), source=link_address(999))
    addresses = talk.station.babel.neighbour_addresses("w0")
    assert link_address(999) in addresses and PEER in addresses
    assert len(addresses) == most


def test_update_refused_for_its_prefix(talk):
    own = talk.station.address
    talk.station.babel.protect((parse_prefix("2001:db8:1::/64"),))
    cases = {
        "::/0": DropReason.BABEL_DEFAULT_ROUTE,
        "::/1": DropReason.BABEL_WIDE_PREFIX,
        "8000::/1": DropReason.BABEL_WIDE_PREFIX,
        "2000::/8": DropReason.BABEL_WIDE_PREFIX,
        "3f00::/8": DropReason.BABEL_WIDE_PREFIX,
        "2001:db0::/31": DropReason.BABEL_WIDE_PREFIX,
        "fc00::/7": DropReason.BABEL_WIDE_PREFIX,
        "fe80::/10": DropReason.BABEL_MARTIAN,
        "fe80::1/128": DropReason.BABEL_MARTIAN,
        "ff02::/16": DropReason.BABEL_MARTIAN,
        "::1/128": DropReason.BABEL_MARTIAN,
        "::ffff:10.0.0.0/104": DropReason.BABEL_MARTIAN,
        "2001:db8:1::/64": DropReason.BABEL_PROTECTED_PREFIX,
        "2001:db8:1::5/128": DropReason.BABEL_PROTECTED_PREFIX,
        str(host_prefix(own)): DropReason.BABEL_OWN_PREFIX,
    }
    for text, reason in cases.items():
        before = talk.drops(reason)
        talk.say(update(parse_prefix(text)))
        assert talk.drops(reason) == before + 1, text
    assert talk.station.babel.routes(talk.now) == ()


@pytest.mark.parametrize("text", ["fd00::/8", "fc00::/8", "2001:db8::/32", "64:ff9b::/96"])
def test_wide_prefix_with_an_honest_use_is_taken(talk, text):
    talk.say(update(parse_prefix(text)))
    assert talk.metric(parse_prefix(text)) == 256


def test_route_with_our_own_router_id_for_a_prefix_not_ours(talk):
    number = int.from_bytes(talk.station.address[8:], "big")
    talk.say(update(parse_prefix("fd42::1"), router=number))
    assert talk.drops(DropReason.BABEL_OWN_PREFIX) == 1


def test_next_hop_that_is_no_neighbour_or_ourselves(talk):
    talk.say(update(parse_prefix("fd42::1"), next_hop=node_address(4)))
    talk.say(update(parse_prefix("fd42::1"), next_hop=LINK.address))
    assert talk.drops(DropReason.BABEL_NEXT_HOP) == 2


def test_unfeasible_update_of_the_selected_route_is_ignored_and_asked_about(talk):
    prefix = parse_prefix("fd42::1")
    talk.say(update(prefix, metric=100))
    talk.station.babel.handle_timer(("routing", "flush", "w0"), talk.now)
    talk.heard()
    talk.say(update(prefix, metric=400))
    assert talk.drops(DropReason.BABEL_UNFEASIBLE) == 1
    assert SeqnoRequest(prefix, (9).to_bytes(8, "big"), 2, 64) in talk.heard()
    assert talk.station.babel.route_to(prefix.address)[2] == 356


def test_own_seqno_rises_by_one_a_request_and_not_without_bound(talk):
    prefix, router_id = host_prefix(talk.station.address), talk.station.address[8:]
    for _ in range(20):
        talk.say(SeqnoRequest(prefix, router_id, talk.station.babel.seqno + 1000, 64))
    assert talk.station.babel.seqno == 1 + 5
    assert talk.drops(DropReason.BABEL_SEQNO_RATE) == 15


def test_own_seqno_that_was_forgotten_is_learnt_from_who_asks_for_a_later_one():
    talk = Talk(seqno=1, seqno_limit=None)
    talk.say(*GREETING)
    talk.heard()
    prefix, router_id = host_prefix(talk.station.address), talk.station.address[8:]
    for _ in range(20):
        talk.say(SeqnoRequest(prefix, router_id, talk.station.babel.seqno + 1000, 64))
    assert talk.station.babel.seqno == 1 + 1000 + 5, "once a second, and not without bound"
    talk.wait(1)
    talk.say(SeqnoRequest(prefix, router_id, talk.station.babel.seqno + 0x7FFF, 64))
    assert talk.station.babel.seqno <= 1 + 1000 + 5 + 1, "guesses are moved so far only once"


def test_requests_that_cannot_be_forwarded(talk):
    prefix, router_id = parse_prefix("fd42::1"), (9).to_bytes(8, "big")
    talk.say(update(prefix))
    talk.say(SeqnoRequest(prefix, router_id, 5, 64))
    assert talk.drops(DropReason.BABEL_REQUEST_LOST) == 1, "its own way is all we know"
    talk.say(*GREETING, source=OTHER)
    talk.heard()
    talk.say(SeqnoRequest(prefix, router_id, 5, 1), source=OTHER)
    assert talk.drops(DropReason.BABEL_REQUEST_HOPS) == 1
    talk.say(SeqnoRequest(prefix, router_id, 5, 64), source=OTHER)
    talk.say(SeqnoRequest(prefix, router_id, 5, 64), source=OTHER)
    assert talk.drops(DropReason.BABEL_REQUEST_DUPLICATE) == 1
    asked = [tlv for tlv in talk.heard() if isinstance(tlv, SeqnoRequest)]
    assert asked == [SeqnoRequest(prefix, router_id, 5, 63)]


def forwarded(talk) -> list[SeqnoRequest]:
    return [tlv for tlv in talk.heard() if isinstance(tlv, SeqnoRequest)]


@pytest.mark.parametrize("asker", [OTHER, link_address(4)], ids=["the same", "another"])
@pytest.mark.parametrize("bogus", [(0x7000, 64), (2, 2), (0x7000, 2), (0x8001, 64)])
def test_request_for_too_much_or_that_dies_soon_stands_for_no_honest_one(talk, bogus, asker):
    """Both may come through the same neighbour."""
    prefix, router_id = numbered(1), (9).to_bytes(8, "big")
    talk.say(update(prefix, metric=100))
    talk.say(*GREETING, source=OTHER)
    talk.say(*GREETING, source=link_address(4))
    talk.wait(0.04)
    talk.heard()
    seqno, hops = bogus
    talk.say(SeqnoRequest(prefix, router_id, seqno, hops), source=OTHER)
    talk.heard()
    talk.say(SeqnoRequest(prefix, router_id, 2, 60), source=asker)
    assert forwarded(talk) == [SeqnoRequest(prefix, router_id, 2, 59)]
    talk.say(SeqnoRequest(prefix, router_id, 2, 60), source=asker)
    assert forwarded(talk) == []
    talk.say(update(prefix, seqno=2, metric=100))
    said = [tlv for tlv in talk.heard() if isinstance(tlv, babel.Update)]
    assert {tlv.seqno for tlv in said} == {2}  # at once, whatever else is waited for


def test_requests_for_too_much_give_way_to_nearer_ones_of_the_same_neighbour(talk):
    prefix, router_id = numbered(1), (9).to_bytes(8, "big")
    talk.say(update(prefix, metric=100))
    talk.say(*GREETING, source=OTHER)
    talk.heard()
    for ahead in range(100, 150):
        talk.say(SeqnoRequest(prefix, router_id, 1 + ahead, 64), source=OTHER)
    assert len(forwarded(talk)) == forwarded_module.PER_PREFIX_MAX
    assert talk.drops(DropReason.BABEL_REQUESTS_FULL) == 50 - forwarded_module.PER_PREFIX_MAX
    talk.say(SeqnoRequest(prefix, router_id, 2, 64), source=OTHER)
    assert len(forwarded(talk)) == 1


def test_flood_of_requests_to_forward_leaves_each_neighbour_its_share():
    talk, count = Talk(routes_max=2000), forwarded_module.FORWARDED_MAX
    flooder, honest, third = OTHER, link_address(4), link_address(5)
    for who in (PEER, flooder, honest, third):
        talk.say(*GREETING, source=who)
    router_id = (9).to_bytes(8, "big")
    for number in range(1, count + 101):
        talk.now += 1000
        talk.say(update(numbered(number), metric=100))
    talk.heard()
    talk.now += 60 * SECOND

    def asked(who, numbers):
        talk.heard()
        for number in numbers:
            talk.now += 1000
            talk.say(SeqnoRequest(numbered(number), router_id, 2, 64), source=who)
        return len(forwarded(talk))

    assert asked(flooder, range(1, count + 1)) == count
    assert asked(flooder, range(count + 1, count + 101)) == 0
    assert talk.drops(DropReason.BABEL_REQUESTS_FULL) == 100
    assert asked(honest, range(count + 1, count + 101)) == 100
    assert asked(third, range(count + 1, count + 101)) == 0  # they are under way
    talk.now += SECOND // 2
    assert asked(third, range(count + 1, count + 101)) == 100
    assert len(talk.station.babel._requests) == count
    # What the honest one waits for is still known: its answer is passed on at once.
    talk.heard()
    talk.say(update(numbered(count + 50), seqno=2, metric=100))
    assert any(isinstance(tlv, babel.Update) for tlv in talk.heard())
    talk.now += 11 * SECOND
    assert asked(flooder, range(1, count + 1)) == count


def test_what_a_neighbour_asked_for_goes_with_it(talk):
    talk.say(update(numbered(1), metric=100))
    talk.say(*GREETING, source=OTHER)
    talk.say(SeqnoRequest(numbered(1), (9).to_bytes(8, "big"), 2, 64), source=OTHER)
    assert len(talk.station.babel._requests) == 1
    talk.station.babel.link_down("w0", talk.now)
    assert len(talk.station.babel._requests) == 0


def test_requests_of_one_neighbour_are_bounded(talk):
    count = requests_module.PENDING_MAX
    for number in range(1, count):
        talk.say(update(numbered(number), metric=100))
    talk.station.babel.handle_timer(("routing", "flush", "w0"), talk.now)
    talk.now += 20 * SECOND
    for number in range(1, count):
        talk.say(update(numbered(number), metric=400))
    assert talk.drops(DropReason.BABEL_REQUESTS_FULL) > 0


def test_origins_that_went_back_in_time_are_answered_within_a_budget(talk):
    prefixes = [numbered(number) for number in range(1, 91)]

    def announced(seqno):
        updates = [
            babel.Update(prefix, prefix.address[8:], seqno, 0, 2400, PEER) for prefix in prefixes
        ]
        return [encode(updates[place : place + 30], PEER) for place in (0, 30, 60)]

    for data in announced(5000):
        talk.raw(data)
    talk.wait(10)
    talk.heard()
    said = sent = 0
    for turn in range(50):
        talk.say(Hello(1000 * turn, 400))  # it restarts each time
        for data in announced(3):
            said += len(data)
            talk.raw(data)
        answers = [item for item in talk.station.ctx.transmits if item.destination == PEER]
        sent += sum(len(item.data) for item in answers)
        talk.heard()
        talk.wait(0.04)
        talk.heard()
    assert 0 < sent < said / 10
    assert talk.drops(DropReason.BABEL_ANSWER_LIMITED) > 1000
    talk.say(*GREETING, source=OTHER)
    talk.heard()
    talk.say(babel.Update(prefixes[0], prefixes[0].address[8:], 3, 0, 2400, OTHER), source=OTHER)
    assert any(isinstance(tlv, SeqnoRequest) for tlv in talk.heard())


def test_flood_of_prefixes_takes_no_route_from_another_neighbour():
    talk = Talk(routes_max=300)
    talk.say(*GREETING, source=OTHER)
    for number in range(1, 101):
        talk.say(update(numbered(number, 0xFD43), next_hop=OTHER), source=OTHER)
    talk.say(*GREETING)
    for number in range(1, 10_001):
        talk.now += 10_000
        talk.say(update(numbered(number)))
    assert talk.drops(DropReason.BABEL_ROUTES_FULL) == 9_800
    for number in range(1, 101):
        assert talk.station.babel.route_to(numbered(number, 0xFD43).address) is not None
    for number in range(101, 150):
        talk.say(update(numbered(number, 0xFD43), next_hop=OTHER), source=OTHER)
        assert talk.station.babel.route_to(numbered(number, 0xFD43).address) is not None
    assert len(talk.station.babel.routes(talk.now)) == 300


def test_sources_are_bounded_and_shared():
    talk = Talk(routes_max=8)
    talk.say(*GREETING)
    for turn in range(1, 30):
        talk.now += SECOND
        talk.say(update(numbered(1), router=turn))
        talk.station.babel.handle_timer(("routing", "flush", "w0"), talk.now)
    assert talk.drops(DropReason.BABEL_SOURCES_FULL) > 0
