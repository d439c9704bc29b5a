"""What one Babel speaker answers, remembers and announces, as a dialogue with its neighbours."""

from itertools import pairwise

import pytest
from speakers.air import SECOND, link_address
from speakers.talk import GREETING, LINK, OTHER, PEER, Talk, numbered, update

from meshd.core.drops import DropReason
from meshd.core.events import (
    Link,
    LinkKind,
    MetaRow,
    Notice,
    RouteInstalled,
    RouteRemoved,
    StoreAppend,
)
from meshd.core.ids import ALL_BABEL_ROUTERS, host_prefix, parse_prefix
from meshd.routing.own import BLOCK
from meshd.wire.babel import (
    Ack,
    AckRequest,
    Hello,
    Ihu,
    Retraction,
    RouteRequest,
    SeqnoRequest,
    Update,
    encode,
)
from meshd.wire.babel_parser import decode

P1 = numbered(1)
NINE = (9).to_bytes(8, "big")


@pytest.fixture
def talk():
    talk = Talk()
    talk.say(*GREETING)
    talk.heard()
    return talk


def of(kind, tlvs):
    return [tlv for tlv in tlvs if isinstance(tlv, kind)]


# --- neighbours -----------------------------------------------------------------------------------


def test_new_neighbour_is_greeted_at_once_with_all_it_needs():
    talk = Talk()
    talk.say(Hello(7, 400))
    hello, ihu, request, own = talk.heard()
    assert isinstance(hello, Hello) and hello.interval_cs == 400
    assert ihu == Ihu(PEER, 256, 1200)
    assert request == RouteRequest(None)
    assert own.prefix == host_prefix(talk.station.address) and own.metric == 0


def test_greeting_asks_for_nothing_when_the_routes_came_along():
    talk = Talk()
    talk.say(*GREETING, update(P1))
    assert RouteRequest(None) not in talk.heard()


def test_neighbour_that_never_answers_is_greeted_again_three_times():
    talk = Talk()
    talk.say(Hello(7, 400))
    talk.heard()
    greetings = 0
    for _ in range(45):
        talk.wait(0.2)
        tlvs = talk.heard()
        greetings += RouteRequest(None) in tlvs and len(of(Update, tlvs))
    assert greetings == 3


def test_acknowledgment_tells_that_we_are_heard_until_the_ihu_is_late():
    """BIRD says an IHU only at each third hello to a neighbour that restarted."""
    talk = Talk()
    talk.say(Hello(7, 400), update(P1))
    assert not of(AckRequest, talk.heard())
    assert talk.metric(P1) is None
    talk.wait(0.6)
    (asked,) = of(AckRequest, talk.heard())
    talk.say(Ack(asked.opaque ^ 1))
    talk.say(Ack(asked.opaque), source=OTHER)
    assert talk.metric(P1) is None
    talk.say(Ack(asked.opaque))
    assert talk.metric(P1) == 256
    talk.wait(8)
    for seqno in (8, 9, 10, 11):
        talk.say(Hello(seqno, 400))
        talk.say(Ack(asked.opaque))  # heard once, it is no more news
        talk.wait(3)
    assert talk.metric(P1) is None
    talk.say(Hello(12, 400), Ihu(LINK.address, 512, 1200), update(P1))
    assert talk.metric(P1) == 512


def test_acknowledgment_of_an_earlier_life_tells_nothing():
    talk = Talk()
    talk.say(Hello(7, 400), update(P1))
    talk.wait(0.6)
    (asked,) = of(AckRequest, talk.heard())
    talk.say(Hello(9007, 400), update(P1))
    talk.say(Ack(asked.opaque))
    assert talk.metric(P1) is None


def test_first_hello_is_repeated_early_until_somebody_answers():
    talk = Talk()
    talk.wait(0.06)
    assert len(of(Hello, talk.heard())) == 1
    talk.wait(0.15)
    assert len(of(Hello, talk.heard())) == 1
    talk.say(*GREETING)
    talk.heard()
    talk.wait(1)
    assert of(RouteRequest, talk.heard()) == [RouteRequest(None)]  # a second greeting, no hello


def test_scheduled_hellos_are_four_seconds_apart_and_every_third_has_ihus(talk):
    talk.say(Hello(7, 400), update(P1))
    sent = []
    for _ in range(3000):
        talk.wait(0.02)
        tlvs = talk.heard()
        sent += [(talk.now, len(of(Ihu, tlvs))) for tlv in tlvs if isinstance(tlv, Hello)]
        if talk.now % (4 * SECOND) < 20_000:
            talk.say(Hello(7 + talk.now // (4 * SECOND), 400), GREETING[1])
            talk.heard()
    pauses = [(b[0] - a[0]) / SECOND for a, b in pairwise(sent)]
    assert all(3.9 <= pause <= 4.1 for pause in pauses[1:])
    assert sum(count for _, count in sent) == pytest.approx(len(sent) / 3, abs=1)


def test_lossy_neighbour_gets_an_ihu_with_each_hello(talk):
    talk.say(Hello(9, 400))
    talk.wait(8)
    assert len(of(Ihu, talk.heard())) >= 2


def test_acknowledgment_is_sent_at_once(talk):
    talk.say(AckRequest(0xBEEF, 1))
    assert talk.heard() == [Ack(0xBEEF)]


def test_unicast_and_unscheduled_hellos_are_taken():
    talk = Talk(kind=LinkKind.WIRED)
    talk.say(Hello(3, 0, unicast=True), Ihu(None, 96, 1200), update(P1))
    assert talk.metric(P1) == 96


def test_neighbour_that_restarted_is_greeted_again_and_its_routes_are_void(talk):
    talk.say(update(P1))
    assert talk.metric(P1) == 256
    talk.wait(1)
    talk.heard()
    talk.say(Hello(40_000, 400), RouteRequest(None))
    tlvs = talk.heard()
    assert talk.metric(P1) is None
    assert [tlv.prefix for tlv in of(Retraction, tlvs)] == [P1]
    assert of(Ihu, tlvs) == [Ihu(PEER, 256, 1200)]
    assert P1 not in [tlv.prefix for tlv in of(Update, tlvs)]


def test_neighbour_that_heard_us_before_we_heard_it_learns_so_at_once():
    talk = Talk()
    talk.say(GREETING[1], update(P1))
    talk.wait(0.5)
    assert talk.metric(P1) is None
    talk.heard()
    talk.say(Hello(7, 400))
    assert of(Ihu, talk.heard()) == [Ihu(PEER, 256, 1200)]
    assert talk.metric(P1) == 256


def test_neighbour_that_restarts_all_the_time_is_not_answered_all_the_time(talk):
    for number in range(100):
        talk.say(Hello(number * 1000 & 0xFFFF, 400))
    assert len(of(Hello, talk.heard())) <= 1
    talk.wait(0.35)
    assert len(of(Ihu, talk.heard())) == 1


def test_silent_neighbour_is_removed_and_named(talk):
    talk.wait(100)
    assert talk.station.babel.neighbours(talk.now) == ()
    talk.station.take_events()
    (notice,) = talk.station.said("neighbour-down")
    assert notice.fields["link"] == "w0"


def test_ihu_for_somebody_else_says_nothing_about_us():
    talk = Talk()
    talk.say(Hello(1, 400), Ihu(OTHER, 256, 1200), update(P1))
    assert talk.metric(P1) is None


def test_what_the_neighbour_heard_of_us_is_forgotten_after_three_and_a_half_intervals(talk):
    talk.say(update(P1))
    for number in range(8, 30):
        talk.wait(4)
        talk.say(Hello(number, 400), update(P1))
    assert talk.metric(P1) is None
    talk.say(Ihu(LINK.address, 256, 1200))
    assert talk.metric(P1) is not None


# --- routes ---------------------------------------------------------------------------------------


def test_route_is_installed_announced_and_removed(talk):
    talk.say(update(P1, metric=100))
    talk.wait(0.04)
    assert Update(P1, NINE, 1, 356, 2400, LINK.address) in talk.heard()
    talk.say(Retraction(P1, 0, 2400))
    assert [tlv.prefix for tlv in of(Retraction, talk.heard())] == [P1]
    talk.station.take_events()
    routes = [e for e in talk.station.events if isinstance(e, RouteInstalled | RouteRemoved)]
    assert routes == [RouteInstalled(P1, "w0", PEER, 356), RouteRemoved(P1)]


def test_next_hop_tlv_is_followed(talk):
    talk.say(update(P1, next_hop=OTHER))
    assert talk.station.babel.route_to(P1.address) == (LINK, OTHER, 256)


def test_wildcard_retraction_takes_all_routes_of_its_sender_only(talk):
    talk.say(*GREETING, source=OTHER)
    talk.say(update(P1), update(numbered(2)))
    talk.say(update(numbered(3), next_hop=OTHER), source=OTHER)
    talk.say(Retraction(None, 0, 2400))
    assert [talk.metric(numbered(number)) for number in (1, 2, 3)] == [None, None, 256]


def test_route_expires_after_three_and_a_half_intervals_and_is_asked_for_before(talk):
    talk.say(update(P1))
    asked = []
    for number in range(8, 29):
        talk.wait(4)
        talk.say(Hello(number, 400), GREETING[1])
        asked += [(talk.now, tlv) for tlv in talk.heard() if tlv == RouteRequest(P1)]
    assert talk.metric(P1) is not None or asked
    assert asked and all(70 * SECOND < at < 86 * SECOND for at, _ in asked)
    talk.wait(4)
    assert talk.metric(P1) is None


def test_route_that_claims_to_hold_for_half_an_hour_goes_after_minutes(talk):
    talk.say(update(P1)._replace(interval_cs=0xFFFF))
    for number in range(8, 70):
        talk.wait(4)
        talk.say(Hello(number, 400), GREETING[1])
    assert talk.metric(P1) is None


def test_neighbour_that_announces_seldom_is_asked_and_keeps_its_routes(talk):
    rare = update(P1)._replace(interval_cs=30_000)
    talk.say(rare)
    for number in range(8, 200):
        talk.wait(4)
        talk.say(Hello(number, 400), GREETING[1])
        if RouteRequest(P1) in talk.heard():
            talk.say(rare)
        assert talk.metric(P1) is not None


def test_unchanged_dump_renews_its_routes_without_being_read(talk, monkeypatch):
    dump = encode([update(numbered(number)) for number in range(1, 20)], PEER)
    talk.raw(dump)
    talk.raw(dump)
    monkeypatch.setattr("meshd.routing.speaker.decode", None)
    for number in range(8, 60):
        talk.wait(4)
        neighbour = talk.station.babel._neighbours.get("w0", PEER)
        neighbour.hello(number, 4 * SECOND, talk.now, unicast=False)
        neighbour.ihu(256, 40 * SECOND, talk.now)
        if number % 6 == 0:
            talk.raw(dump)
    assert all(talk.metric(numbered(number)) == 256 for number in range(1, 20))


def test_dump_with_a_route_that_changed_meanwhile_is_read_again(talk):
    dump = encode([update(numbered(number)) for number in range(1, 5)], PEER)
    talk.raw(dump)
    talk.raw(dump)
    talk.say(Retraction(numbered(2), 0, 2400))
    assert talk.metric(numbered(2)) is None
    talk.raw(dump)
    assert talk.metric(numbered(2)) == 256


def test_own_dump_has_the_same_bytes_while_nothing_changed(talk):
    talk.say(update(P1), update(numbered(2)))
    dumps = []
    for number in range(8, 40):
        talk.wait(4)
        talk.say(Hello(number, 400), GREETING[1], update(P1), update(numbered(2)))
        sent = talk.station.ctx.transmits
        while sent:
            item = sent.popleft()
            if item.destination == ALL_BABEL_ROUTERS and item.data[4] == 8 and talk.now > 9e6:
                dumps.append(item.data)
    assert len(dumps) >= 4 and len(set(dumps)) == 1


def test_a_little_better_route_is_not_taken_at_once_but_when_it_lasts(talk):
    talk.say(*GREETING, source=OTHER)
    talk.say(update(P1, metric=300))
    talk.say(update(P1, metric=270, next_hop=OTHER), source=OTHER)
    assert talk.metric(P1) == 556
    talk.now += 31 * SECOND
    talk.say(update(P1, metric=271, next_hop=OTHER), source=OTHER)
    assert talk.metric(P1) == 527


def test_a_much_better_route_is_taken_at_once(talk):
    talk.say(*GREETING, source=OTHER)
    talk.say(update(P1, metric=600))
    talk.say(update(P1, metric=100, next_hop=OTHER), source=OTHER)
    assert talk.metric(P1) == 356


def test_lost_route_is_replaced_at_once_by_a_feasible_one(talk):
    talk.say(*GREETING, source=OTHER)
    talk.say(update(P1, metric=100))
    talk.wait(0.04)
    talk.say(update(P1, metric=300, next_hop=OTHER), source=OTHER)
    talk.say(Retraction(P1, 0, 2400))
    assert talk.metric(P1) == 556


def test_lost_route_with_only_unfeasible_ones_asks_along_them_and_heals(talk):
    talk.say(*GREETING, source=OTHER)
    talk.say(update(P1, metric=100))
    talk.wait(0.04)
    talk.say(update(P1, metric=600, next_hop=OTHER), source=OTHER)
    talk.heard()
    talk.say(Retraction(P1, 0, 2400))
    assert talk.metric(P1) is None
    talk.wait(0.09)
    assert of(SeqnoRequest, talk.heard()) == []
    talk.wait(0.02)
    assert SeqnoRequest(P1, NINE, 2, 64) in talk.heard()
    talk.wait(4)
    asked = of(SeqnoRequest, talk.heard())
    assert asked == [SeqnoRequest(P1, NINE, 2, 64)] * 3
    talk.say(update(P1, seqno=2, metric=600, next_hop=OTHER), source=OTHER)
    assert talk.metric(P1) == 856
    talk.wait(8)
    assert of(SeqnoRequest, talk.heard()) == []


def test_retracted_prefix_is_held_where_a_shorter_route_covers_it(talk):
    talk.say(update(parse_prefix("fd42::/16")), update(P1))
    talk.say(Retraction(P1, 0, 2400))
    talk.station.take_events()
    assert talk.station.routes[P1] == RouteInstalled(P1, "", bytes(16), 0xFFFF)
    assert talk.station.babel.route_to(P1.address) is None
    for number in range(8, 50):
        talk.wait(4)
        talk.say(Hello(number, 400), GREETING[1], update(parse_prefix("fd42::/16")))
    talk.station.take_events()
    assert P1 not in talk.station.routes
    assert talk.metric(P1) == 256


def test_sources_are_forgotten_three_minutes_after_the_last_announcement(talk):
    talk.say(update(P1, metric=100))
    talk.wait(0.04)
    talk.say(Retraction(P1, 0, 2400))
    for number in range(8, 80):
        talk.wait(4)
        talk.say(Hello(number, 400), GREETING[1])
    talk.say(update(P1, metric=900))
    assert talk.metric(P1) == 1156


def test_protected_prefix_that_was_learnt_before_goes(talk):
    talk.say(update(P1))
    talk.station.babel.protect((parse_prefix("fd42::/64"),))
    talk.wait(0)
    assert talk.metric(P1) is None


def test_wired_link_does_not_hear_back_what_it_said():
    talk = Talk(kind=LinkKind.WIRED)
    talk.say(*GREETING, update(P1))
    tlvs = []
    for _ in range(10):
        talk.wait(4)
        talk.say(Hello(8, 400), GREETING[1], update(P1))
        tlvs += of(Update, talk.heard())
    assert P1 not in [tlv.prefix for tlv in tlvs]
    assert host_prefix(talk.station.address) in [tlv.prefix for tlv in tlvs]


def test_routes_go_from_link_to_link():
    talk = Talk()
    talk.station.babel.link_up(Link("e0", LinkKind.WIRED, link_address(50)), talk.now)
    talk.raw(encode((Hello(1, 400), Ihu(None, 96, 1200)), OTHER), OTHER, "e0")
    talk.say(*GREETING, update(P1))
    talk.station.ctx.transmits.clear()
    talk.wait(0.04)
    sent = [item for item in talk.station.ctx.transmits if item.link == "e0"]
    assert sent and b"".join(item.data for item in sent).count(P1.address[-8:]) == 1
    talk.station.babel.link_down("w0", talk.now)
    talk.heard()
    talk.wait(0)
    assert talk.metric(P1) is None


# --- requests -------------------------------------------------------------------------------------


def test_route_request_is_answered_with_the_route_or_its_retraction(talk):
    talk.say(update(P1))
    talk.wait(0.04)
    talk.heard()
    talk.say(RouteRequest(P1), RouteRequest(numbered(2)))
    answer, refusal = talk.heard()
    assert answer.prefix == P1 and answer.metric == 256
    assert refusal.prefix == numbered(2) and isinstance(refusal, Retraction)


def test_wildcard_requests_are_answered_at_most_every_300_ms(talk):
    talk.wait(1)
    talk.heard()
    for _ in range(10):
        talk.say(RouteRequest(None))
    assert len(of(Hello, talk.heard())) == 1
    talk.wait(0.3)
    talk.heard()
    talk.say(RouteRequest(None))
    assert len(of(Hello, talk.heard())) == 1


def test_answers_to_one_packet_leave_together(talk):
    own = host_prefix(talk.station.address)
    talk.say(update(P1))
    talk.wait(0.04)
    talk.heard()
    talk.say(RouteRequest(P1), AckRequest(3, 1), SeqnoRequest(own, own.address[8:], 1, 64))
    assert len(talk.station.ctx.transmits) == 1
    ack, route, mine = talk.heard()
    assert (ack, route.prefix, mine.prefix) == (Ack(3), P1, own)


def test_large_table_leaves_in_parts_as_it_is_then(talk):
    talk.say(*(update(numbered(number)) for number in range(1, 301)))
    talk.wait(5)
    talk.heard()
    talk.say(Hello(8, 400), RouteRequest(None))
    first = of(Update, talk.heard())
    assert 100 < len(first) < 150
    talk.say(Retraction(numbered(300), 0, 2400))
    talk.heard()
    talk.wait(0.2)
    sent = [item for item in talk.station.ctx.transmits if item.destination == PEER]
    rest = [tlv for item in sent for tlv in of(Update, decode(item.data, LINK.address).tlvs)]
    prefixes = {tlv.prefix for tlv in first + rest}
    assert prefixes >= {numbered(number) for number in range(1, 300)}
    assert len(first) + len(rest) == 300 and numbered(300) not in prefixes


def test_request_for_our_own_seqno_raises_it_by_one_and_all_are_told(talk):
    own = host_prefix(talk.station.address)
    talk.say(SeqnoRequest(own, own.address[8:], 2, 64))
    assert [tlv.seqno for tlv in of(Update, talk.heard())] == [2, 2], "who asked, and all"
    talk.say(SeqnoRequest(own, own.address[8:], 2, 64))
    assert talk.station.babel.seqno == 2


def test_answer_to_a_forwarded_request_is_passed_on_at_once(talk):
    talk.say(*GREETING, source=OTHER)
    talk.say(update(P1, metric=100))
    talk.wait(0.04)
    talk.say(SeqnoRequest(P1, NINE, 2, 10), source=OTHER)
    assert SeqnoRequest(P1, NINE, 2, 9) in talk.heard()
    talk.say(update(P1, seqno=2, metric=100))
    assert Update(P1, NINE, 2, 356, 2400, LINK.address) in talk.heard()


def test_new_router_id_of_a_route_is_told_at_once(talk):
    talk.say(update(P1))
    talk.wait(0.04)
    talk.heard()
    talk.say(update(P1, router=10))
    assert [tlv.router_id for tlv in of(Update, talk.heard())] == [(10).to_bytes(8, "big")]


# --- own seqno ------------------------------------------------------------------------------------


def own_update(talk: Talk, seqno: int, metric: int = 256) -> Update:
    own = host_prefix(talk.station.address)
    return Update(own, own.address[8:], seqno, metric, 2400, PEER)


def test_later_own_seqno_is_adopted_once_a_second(talk):
    talk.say(own_update(talk, 500))
    assert talk.station.babel.seqno == 501
    assert 501 in [tlv.seqno for tlv in of(Update, talk.heard())]
    talk.say(own_update(talk, 900))
    assert talk.station.babel.seqno == 501
    talk.wait(1)
    talk.say(own_update(talk, 900))
    assert talk.station.babel.seqno == 901
    talk.station.take_events()
    assert [n.fields["to"] for n in talk.station.said("seqno-adopted")] == [501, 901]


def test_own_seqno_is_never_moved_half_round_before_the_mesh_knows(talk):
    babel = talk.station.babel
    for jump in (0x4000, 0x7FFE, 0x7FFF):
        talk.say(own_update(talk, babel.seqno + jump))
    assert babel.seqno == 1 and talk.drops(DropReason.BABEL_SEQNO_JUMP) == 3
    for _ in range(100):
        talk.say(*GREETING, own_update(talk, babel.seqno + 0x0FFF & 0xFFFF))
        talk.wait(1)
    assert babel.seqno == 1 + 4 * 0x1000
    talk.wait(150)
    talk.say(*GREETING, own_update(talk, babel.seqno + 0x0FFF & 0xFFFF))
    assert babel.seqno == 1 + 5 * 0x1000


@pytest.mark.parametrize("jump", [0x4001, 0x7FFF])
def test_guessed_seqno_is_moved_anywhere_once(jump):
    talk = Talk(seqno=40_000, seqno_limit=None)
    babel = talk.station.babel
    talk.say(*GREETING, own_update(talk, babel.seqno + jump - 1 & 0xFFFF))
    talk.wait(1)
    talk.say(own_update(talk, babel.seqno + 0x4001 & 0xFFFF))
    assert babel.seqno == 40_000 + jump & 0xFFFF
    assert talk.drops(DropReason.BABEL_SEQNO_JUMP) == 1


def test_own_route_heard_back_as_late_as_ours_changes_nothing(talk):
    for seqno in (1, 0, 0xFFFF, 0x8002):
        talk.say(own_update(talk, seqno))
    assert talk.station.babel.seqno == 1


def test_retraction_of_our_own_route_carries_a_seqno_too(talk):
    own = host_prefix(talk.station.address)
    talk.say(Retraction(own, 700, 2400, origin=True))
    assert talk.station.babel.seqno == 701


def test_origin_that_went_back_in_time_is_told_which_seqno_is_known(talk):
    prefix = numbered(77)
    router_id = prefix.address[8:]
    talk.say(Update(prefix, router_id, 5000, 0, 2400, PEER))
    talk.wait(0.04)
    talk.heard()
    talk.say(Update(prefix, router_id, 3, 0, 2400, PEER))
    tlvs = talk.heard()
    assert Retraction(prefix, 5000, 2400, origin=True) in tlvs
    assert any(tlv.seqno == 5001 for tlv in of(SeqnoRequest, tlvs))


def test_seqnos_are_reserved_on_disk_before_they_are_used():
    talk = Talk(seqno=65_530)
    rows = []
    for step in range(40):
        talk.now += 2 * SECOND
        talk.say(*GREETING, own_update(talk, talk.station.babel.seqno + 2 & 0xFFFF))
        used = talk.station.babel.seqno
        talk.station.take_events()
        appends = [event for event in talk.station.events if isinstance(event, StoreAppend)]
        rows = [row for append in appends for row in append.rows]
        if rows:
            limit = int.from_bytes(rows[-1].value, "big")
            assert 0 < (limit - used & 0xFFFF) <= BLOCK, step
    assert all(isinstance(row, MetaRow) and row.key == "babel-seqno-reserved" for row in rows)
    assert 2 <= len(rows) <= 4


def test_stop_retracts_own_prefix_by_name(talk):
    talk.station.babel.stop(talk.now)
    own = host_prefix(talk.station.address)
    tlvs = talk.heard()
    assert Retraction(None, 0, 2400) in tlvs
    assert Retraction(own, 1, 2400, origin=True) in tlvs


def test_interface_that_comes_back_starts_afresh(talk):
    talk.say(update(P1))
    talk.station.babel.link_up(LINK, talk.now)
    assert talk.metric(P1) is None
    assert talk.station.babel.neighbour_addresses("w0") == ()
    talk.say(*GREETING, update(P1))
    assert talk.metric(P1) == 256
    talk.station.take_events()
    assert all(isinstance(notice, Notice) for notice in talk.station.notices)
    assert talk.drops(DropReason.UNKNOWN_LINK) == 0


def test_routes_of_an_earlier_life_are_asked_for_by_name_until_they_are_there(talk):
    talk.wait(1)
    talk.heard()
    talk.station.babel.remember((P1, numbered(2)), talk.now)
    assert {tlv.prefix for tlv in of(RouteRequest, talk.heard())} == {P1, numbered(2)}
    talk.say(update(P1))
    talk.wait(0.2)
    assert {tlv.prefix for tlv in of(RouteRequest, talk.heard())} == {numbered(2)}
    talk.wait(10)
    asked = [tlv for tlv in of(RouteRequest, talk.heard()) if tlv.prefix is not None]
    assert len(asked) <= 3
