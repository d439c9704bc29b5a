"""Dumps as others read them: what did not change costs nothing, and is never mistaken."""

import pytest
from speakers.talk import GREETING, LINK, OTHER, PEER, Talk, numbered, update

from meshd.core.drops import DropReason
from meshd.core.ids import Prefix
from meshd.routing import recall, table
from meshd.routing.memory import REMEMBERED_MAX
from meshd.routing.pages import PAGE, Pages
from meshd.wire.babel import (
    Hello,
    Ihu,
    Retraction,
    RouteRequest,
    SeqnoRequest,
    Update,
    encode,
    pack,
)
from meshd.wire.babel_changes import GONE_MAX, changes
from meshd.wire.babel_parser import decode


@pytest.fixture
def talk():
    talk = Talk()
    talk.say(*GREETING)
    return talk


def page(*without: int, **how) -> list[Update]:
    return [update(numbered(number), **how) for number in range(1, 41) if number not in without]


def keep_up(talk: Talk, seconds: int, said: list[Update]) -> None:
    """Let time pass; PEER says hello every 4 s and its page every 24 s."""
    for second in range(0, seconds, 4):
        talk.wait(4)
        number = 7 + talk.now // 4_000_000
        talk.say(Hello(number & 0xFFFF, 400), Ihu(LINK.address, 256, 1200))
        if said and second % 24 == 0:
            talk.say(*said)


def test_route_that_a_dump_names_no_more_expires_when_it_would_have(talk):
    talk.say(*page())
    talk.say(*page())
    keep_up(talk, 60, page(7))
    assert talk.metric(numbered(7)) == 256
    keep_up(talk, 60, page(7))
    assert talk.metric(numbered(7)) is None
    assert talk.metric(numbered(8)) == 256


def test_change_in_a_dump_is_taken_and_the_rest_lives_on(talk):
    talk.say(*page())
    changed = page()
    changed[4] = changed[4]._replace(metric=100)
    keep_up(talk, 200, changed)
    assert talk.metric(numbered(5)) == 356
    assert talk.metric(numbered(6)) == 256


def test_same_dump_again_takes_back_what_was_said_between(talk):
    talk.say(*page())
    talk.say(*page())
    talk.say(update(numbered(5), metric=50), Retraction(numbered(6), 0, 2400))
    assert (talk.metric(numbered(5)), talk.metric(numbered(6))) == (306, None)
    talk.say(*page())
    assert (talk.metric(numbered(5)), talk.metric(numbered(6))) == (256, 256)


def test_pages_keep_their_bytes_when_a_prefix_comes_or_goes():
    pages = Pages()
    for number in range(3 * PAGE):
        pages.touch(numbered(number))
    before = [pages[number].version for number in range(3)]
    pages.remove(numbered(PAGE + 3))
    pages.touch(numbered(9999))
    after = [pages[number].version for number in range(3)]
    assert after[0] == before[0] and after[1] > before[1] and after[2] == before[2]
    assert numbered(9999) in pages[1].prefixes


def test_route_that_was_lost_and_is_the_same_again_is_in_the_next_dump(talk):
    keep_up(talk, 28, page())
    talk.say(Retraction(numbered(1), 0, 2400))
    keep_up(talk, 28, page(1))
    talk.say(update(numbered(1)))
    keep_up(talk, 4, page())
    talk.heard()
    keep_up(talk, 28, page())
    assert numbered(1) in [tlv.prefix for tlv in talk.heard() if isinstance(tlv, Update)]


def test_later_seqno_alone_is_said_only_to_those_who_ask(talk):
    keep_up(talk, 28, page())
    talk.heard()
    keep_up(talk, 28, page(seqno=2))
    assert seqnos(talk) == {1}
    talk.say(SeqnoRequest(numbered(1), (9).to_bytes(8, "big"), 2, 10))
    assert seqnos(talk) == {2}
    keep_up(talk, 28, page(seqno=2))
    assert seqnos(talk) == {2}


def seqnos(talk: Talk) -> set[int]:
    """Return which seqnos of the first prefix were said since the last call."""
    said = [tlv for tlv in talk.heard() if isinstance(tlv, Update)]
    return {tlv.seqno for tlv in said if tlv.prefix == numbered(1)}


def test_sparse_pages_are_filled_anew():
    pages = Pages()
    for number in range(10 * PAGE):
        pages.touch(numbered(number))
    for number in range(10 * PAGE):
        if number % 10:
            pages.remove(numbered(number))
    assert len(pages) <= 3
    left = [prefix for number in range(len(pages)) for prefix in pages[number].prefixes]
    assert sorted(left) == [numbered(number) for number in range(0, 10 * PAGE, 10)]


def test_page_of_node_addresses_is_one_packet():
    prefixes = [
        Prefix(bytes((0xFD, 1, 2, 3, 4, 5, n)) + bytes(8) + b"\1", 128) for n in range(PAGE)
    ]
    tlvs = [Update(each, each.address[8:], 1, 256, 2400, PEER) for each in prefixes]
    assert len(pack(tlvs, PEER, 1452)) == 1


def test_packets_are_compared_only_when_that_says_something():
    one = encode(page(), PEER)
    assert changes(one, one, PEER) == ((), ())
    assert changes(one, encode(page(3), PEER), PEER) == ((), (numbered(3),))
    assert changes(one, encode(page()[: -GONE_MAX - 1], PEER), PEER) is None
    assert changes(one, encode([*page(), Hello(1, 400)], PEER), PEER) is None
    faster = [tlv._replace(interval_cs=800) for tlv in page()]
    assert changes(one, encode(faster, PEER), PEER) is None


def wide(monkeypatch, *, neighbours: int) -> Talk:
    """A speaker whose neighbours 2, 3, … announce 20 prefixes, each one worse."""
    monkeypatch.setattr(table, "WIDE", 10)
    talk = Talk()
    for number in range(2, 2 + neighbours):
        source = PEER[:-1] + bytes((number,))
        talk.say(*GREETING, source=source)
        for _ in range(2):
            tlvs = [update(numbered(at), metric=100 * number, next_hop=source) for at in range(20)]
            talk.say(*tlvs, source=source)
    return talk


def test_wide_table_keeps_the_three_best_routes(monkeypatch):
    talk = wide(monkeypatch, neighbours=6)
    kept = [item for item in talk.station.babel.routes(talk.now) if item.prefix == str(numbered(1))]
    assert sorted(item.metric for item in kept) == [456, 556, 656]
    assert [item.metric for item in kept if item.selected] == [456]


def test_better_route_takes_the_place_of_the_worst(monkeypatch):
    talk = wide(monkeypatch, neighbours=6)
    source = PEER[:-1] + bytes((6,))
    talk.say(update(numbered(1), metric=10, next_hop=source), source=source)
    kept = [item for item in talk.station.babel.routes(talk.now) if item.prefix == str(numbered(1))]
    assert sorted(item.metric for item in kept) == [266, 456, 556]


def retract(talk: Talk, prefixes: list[Prefix]) -> None:
    """Let the neighbours of the three best routes retract."""
    for number in range(2, 5):
        tlvs = [Retraction(prefix, 0, 2400) for prefix in prefixes]
        talk.say(*tlvs, source=PEER[:-1] + bytes((number,)))


def test_route_that_was_left_out_is_had_back_from_the_packet_that_names_it(monkeypatch):
    talk = wide(monkeypatch, neighbours=6)
    source = PEER[:-1] + bytes((6,))
    talk.say(*[update(numbered(at), metric=50, next_hop=source) for at in range(20)], source=source)
    assert talk.metric(numbered(1)) == 306
    worse = [update(numbered(at), seqno=2, metric=900, next_hop=source) for at in range(20)]
    talk.say(*worse, source=source)
    retract(talk, [numbered(1)])
    assert talk.metric(numbered(1)) == 1156
    for number in (5, 7):
        said = Retraction(numbered(1), 0, 2400)
        talk.say(said, source=PEER[:-1] + bytes((number,)))
    talk.say(*worse, source=source)
    assert talk.metric(numbered(1)) == 1156


def test_route_that_goes_while_the_table_becomes_wide_is_not_lost_for_ever(monkeypatch):
    monkeypatch.setattr(table, "WIDE", 20)
    talk = Talk()
    for number in (2, 3, 4, 5):
        source = PEER[:-1] + bytes((number,))
        cost, metric, most = (2000, 10, 21) if number == 5 else (256, 100 * number, 20)
        talk.say(Hello(7, 400), Ihu(LINK.address, cost, 1200), source=source)
        tlvs = [update(numbered(at), metric=metric, next_hop=source) for at in range(most)]
        for _ in range(2):
            talk.say(*tlvs, source=source)
    retract(talk, [numbered(1)])
    talk.say(*tlvs, source=source)
    assert talk.metric(numbered(1)) == 2010


def test_route_of_a_packet_that_is_not_remembered_is_asked_for(monkeypatch):
    monkeypatch.setattr(recall, "ASKS_MAX", 6)
    talk = wide(monkeypatch, neighbours=6)
    for number in (5, 6, 7):
        source = PEER[:-1] + bytes((number,))
        for at in range(20):
            again = update(numbered(at), metric=100 * number + 1, next_hop=source)
            talk.say(GREETING[1], again, source=source)
    talk.wait(2)
    talk.heard()
    retract(talk, [numbered(at) for at in range(20)])
    asked = [tlv for tlv in talk.heard() if isinstance(tlv, RouteRequest)]
    assert sorted(asked) == sorted(3 * [RouteRequest(numbered(at)) for at in range(20)])


def test_neighbour_that_costs_less_now_has_its_routes_taken_with_the_next_dump(monkeypatch):
    talk = wide(monkeypatch, neighbours=3)
    source = PEER[:-1] + bytes((9,))
    talk.say(Hello(7, 400), Ihu(LINK.address, 2000, 1200), source=source)
    tlvs = [update(numbered(at), metric=10, next_hop=source) for at in range(20)]
    for _ in range(2):
        talk.say(*tlvs, source=source)
    assert talk.metric(numbered(1)) == 456
    talk.say(*GREETING, source=source)
    talk.say(*tlvs, source=source)
    assert talk.metric(numbered(1)) == 266


def test_route_that_left_while_its_packet_was_read_is_read_next_time(monkeypatch):
    monkeypatch.setattr(table, "WIDE", 10)
    talk = wide(monkeypatch, neighbours=3)
    kept = talk.station.babel._table
    for entry in kept.entries.values():
        for route in entry.routes:
            assert route.lease.head is not None
    route = kept.entries[numbered(3)].routes[1]
    lease = route.lease
    kept.remove(route)
    memory = talk.station.babel._learner.remembered[route.neighbour]
    memory.keep(lease.data, lease.head, lease)
    assert lease.strays == (numbered(3),)


def test_route_that_is_no_news_is_refused_all_the_same(monkeypatch):
    talk = wide(monkeypatch, neighbours=5)
    source = PEER[:-1] + bytes((9,))
    talk.say(*GREETING, source=source)
    bad = update(numbered(1), metric=900, next_hop=numbered(7).address)
    talk.say(bad, source=source)
    assert talk.drops(DropReason.BABEL_NEXT_HOP) == 1


def test_words_said_once_do_not_push_a_dump_out_of_memory(talk):
    for _ in range(2):
        talk.say(*page())
    for at in range(100, 200):
        talk.say(update(numbered(at)))
    memory = next(iter(talk.station.babel._learner.remembered.values()))
    assert encode(page(), PEER) in memory.leases
    assert len(memory.leases) == REMEMBERED_MAX


def test_decoded_packet_is_shared_and_equal():
    data = encode(page(next_hop=OTHER), OTHER)
    assert decode(data, OTHER) is decode(bytes(bytearray(data)), OTHER)
    assert decode(data, OTHER) != decode(data, PEER)


def test_padded_packets_are_read_but_not_remembered(talk):
    body = encode([update(numbered(1))], PEER)[4:] + bytes((1, 250, *bytes(250))) * 100
    for _ in range(2):
        talk.raw(bytes((42, 2)) + len(body).to_bytes(2, "big") + body)
    assert talk.metric(numbered(1)) == 256
    kept = talk.station.babel._learner.remembered.values()
    assert not any(memory.leases for memory in kept)


def test_page_that_says_what_may_not_be_renews_all_but_that_route(talk):
    page = [update(numbered(at), metric=100) for at in range(20)]
    talk.say(*page)
    talk.wait(0.04)
    talk.heard()  # now 356 is announced, and nothing longer is feasible
    page[3] = update(numbered(3), metric=600)
    for second in range(4, 100, 4):
        talk.wait(4)
        talk.say(*GREETING[1:], Hello(7 + second // 4, 400))
        if second % 20 == 0:
            talk.say(*page)
        assert talk.metric(numbered(2)) == 356
        assert (talk.metric(numbered(3)) == 356) == (second < 84)
