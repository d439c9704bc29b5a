"""What a wide table says, and when: along with hellos, and a little worse only if that lasts."""

import pytest
from speakers.talk import GREETING, LINK, PEER, Talk, numbered

from meshd.core.drops import DropReason
from meshd.core.ids import Prefix
from meshd.routing import learn, speaker, table
from meshd.routing.outlet import Round
from meshd.wire.babel import Hello, Ihu, Update, encode, joined
from meshd.wire.babel_greeting import apart
from meshd.wire.babel_parser import decode

NODES = 151


def node(number: int) -> Prefix:
    """Return the address of a node, of which each page is one packet."""
    return Prefix(bytes.fromhex("fd7c38e3d782") + bytes((number, *bytes(8), number + 100)), 128)


def page(first: int, last: int, **other) -> list[Update]:
    found = []
    for number in range(first, last):
        prefix = node(number)
        fields = {"seqno": 1, "metric": 2000, "interval_cs": 6000, "next_hop": PEER} | other
        found.append(Update(prefix, prefix.address[8:], **fields))
    return found


def dump(talk: Talk, **other) -> None:
    for first in range(1, NODES, 50):
        talk.say(*page(first, first + 50, **other))


def keep_up(talk: Talk, seconds: int, **other) -> list[list[object]]:
    """Let time pass; PEER says hello every 4 s and its table every minute. Return what is said."""
    said = []
    for _ in range(0, seconds, 4):
        talk.wait(4)
        number = 7 + talk.now // 4_000_000
        talk.say(Hello(number & 0xFFFF, 400), Ihu(LINK.address, 256, 1200))
        if talk.now // 4_000_000 % 15 == 0:
            dump(talk, **other)
        while talk.station.ctx.transmits:
            sent = talk.station.ctx.transmits.popleft()
            said.append(list(decode(sent.data, LINK.address).tlvs))
    return said


@pytest.fixture
def talk(monkeypatch):
    monkeypatch.setattr(table, "WIDE", 100)
    talk = Talk()
    talk.say(*GREETING)
    dump(talk)
    keep_up(talk, 80)
    return talk


def metrics(said: list[list[object]], number: int) -> list[int]:
    """Return with which metrics a node was announced."""
    updates = [tlv for tlvs in said for tlv in tlvs if isinstance(tlv, Update)]
    return [update.metric for update in updates if update.prefix == node(number)]


def test_pages_of_a_wide_table_ride_behind_hellos(talk):
    said = keep_up(talk, 60)
    kinds = [{type(tlv) for tlv in tlvs} for tlvs in said]
    assert sum(Update in each and Hello in each for each in kinds) == 3
    assert all(Hello in each for each in kinds)
    for number in range(1, NODES):
        assert metrics(said, number) == [2256]


def test_small_table_is_said_by_itself():
    talk = Talk()
    talk.say(*GREETING)
    talk.say(*page(1, 20))
    said = keep_up(talk, 60)
    assert not any({Hello, Update} <= {type(tlv) for tlv in tlvs} for tlvs in said[8:])


def test_rounds_say_each_page_once_and_none_late():
    for pages in (1, 3, 15, 16, 40):
        lap, said = Round(1_000, 59_500_000), []
        for hello in range(14):
            said += lap.due(pages, 1_000 + 3_000_000 + 4_000_000 * (hello + 1))
        assert said == list(range(pages))


def test_known_page_behind_a_hello_is_not_read(talk, monkeypatch):
    words = encode(page(1, 51), PEER)
    hello = encode([Hello(8 + talk.now // 4_000_000 & 0xFFFF, 400)], PEER)
    for module in (speaker, learn):
        for name in ("decode", "words"):
            monkeypatch.setattr(module, name, None, raising=False)
    lease = talk.station.babel._table.entries[node(1)].routes[0].lease
    lease.expires_us = 0
    talk.raw(joined(hello, words))
    assert lease.expires_us > talk.now


def test_changed_page_behind_a_hello_is_taken(talk):
    changed = page(1, 51)
    changed[7] = changed[7]._replace(metric=300)
    talk.say(Hello(8 + talk.now // 4_000_000 & 0xFFFF, 400), *changed)
    assert talk.metric(node(8)) == 556
    assert talk.metric(node(9)) == 2256
    talk.say(Hello(30_000, 400), *page(1, 51))
    assert talk.metric(node(8)) is None  # it restarted, and hears us no more
    talk.say(Hello(30_001, 400), Ihu(LINK.address, 256, 1200))
    assert talk.metric(node(8)) == 2256


def test_broken_page_behind_a_hello_spoils_the_packet(talk):
    data = joined(encode([Hello(9, 400)], PEER), encode(page(1, 51), PEER))
    broken = bytearray(data)
    broken[-21] = 250  # the length of the last update
    talk.raw(bytes(broken))
    assert talk.drops(DropReason.BABEL_MALFORMED) == 1


def test_two_packets_mean_what_one_did():
    front = [Hello(9, 400), Ihu(LINK.address, 256, 1200)]
    data = joined(encode(front, PEER), encode(page(1, 51), PEER))
    parts = apart(data)
    assert parts is not None
    assert [tlv for part in parts for tlv in decode(part, PEER).tlvs] == [*decode(data, PEER).tlvs]
    assert apart(encode(page(1, 51), PEER)) is None
    assert apart(encode([*front, *page(1, 2)[:0]], PEER)) is None
    assert (
        apart(encode([Hello(9, 400), Update(numbered(1), b"12345678", 1, 1, 1, PEER)], PEER))
        is None
    )
    assert apart(data[:-1]) is None


def test_little_worse_route_is_said_when_it_lasted(talk):
    dump(talk, metric=2200)
    said = keep_up(talk, 150, metric=2200)
    assert talk.metric(node(5)) == 2456
    assert set(metrics(said, 5)) == {2256}
    said = keep_up(talk, 120, metric=2200)
    assert metrics(said, 5)[-1] == 2456


def test_little_worse_route_that_is_as_before_again_is_no_news(talk):
    dump(talk, metric=2200)
    keep_up(talk, 100, metric=2200)
    dump(talk)
    assert set(metrics(keep_up(talk, 240), 5)) == {2256}


@pytest.mark.parametrize("metric", [1900, 2400])
def test_better_or_much_worse_route_is_in_the_next_dump(talk, metric):
    dump(talk, metric=metric, seqno=2)
    assert metrics(keep_up(talk, 120, metric=metric, seqno=2), 5)[-1] == metric + 256


def test_distance_that_was_kept_is_what_is_feasible(talk):
    dump(talk, metric=2200)
    keep_up(talk, 60, metric=2200)
    table_, sources = talk.station.babel._table, talk.station.babel._sources
    assert table_.entries[node(5)].said[2] == 2256
    assert sources.get(node(5), node(5).address[8:]).metric == 2256
