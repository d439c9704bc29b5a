"""Seqno requests for many prefixes at once: who asks, who waits for room, what is asked again."""

import pytest
from speakers.air import link_address
from speakers.talk import GREETING, OTHER, PEER, Talk, numbered, update

from meshd.core.drops import DropReason
from meshd.core.ids import Prefix
from meshd.routing import requests
from meshd.wire.babel import Retraction, RouteRequest, SeqnoRequest

LOST = 200
THIRD = link_address(4)


@pytest.fixture
def talk():
    """A speaker that hears three neighbours, and has routes of PEER."""
    talk = Talk()
    for who in (PEER, OTHER, THIRD):
        talk.say(*GREETING, source=who)
    for number in range(1, LOST + 1):
        talk.say(update(numbered(number), metric=100))
    talk.wait(0.04)
    talk.heard()
    return talk


def unfeasible(talk: Talk, first: int, last: int, *, source: bytes = OTHER, seqno: int = 1) -> None:
    """Let a neighbour announce longer routes than PEER's."""
    for number in range(first, last + 1):
        said = update(numbered(number), metric=600, seqno=seqno, next_hop=source)
        talk.say(said, source=source)


def lose(talk: Talk, first: int, last: int, *, source: bytes = PEER) -> None:
    for number in range(first, last + 1):
        talk.say(Retraction(numbered(number), 0, 2400), source=source)


def asked(talk: Talk, seconds: float) -> list[Prefix]:
    """Let time pass; return which prefixes are asked for meanwhile."""
    talk.heard()
    talk.wait(seconds)
    return [tlv.prefix for tlv in talk.heard() if isinstance(tlv, SeqnoRequest)]


def test_all_that_is_lost_is_asked_of_the_only_neighbour_left(talk):
    unfeasible(talk, 1, LOST)
    lose(talk, 1, LOST)
    assert sorted(asked(talk, 0.2)) == [numbered(number) for number in range(1, LOST + 1)]


def test_what_finds_no_room_is_asked_once_there_is_some(talk, monkeypatch):
    monkeypatch.setattr(requests, "PENDING_MAX", 150)
    unfeasible(talk, 1, LOST)
    lose(talk, 1, LOST)
    assert len(set(asked(talk, 1.2))) == 150
    unfeasible(talk, 1, 100, seqno=2)
    assert set(asked(talk, 0.6)) >= {numbered(number) for number in range(151, LOST + 1)}


def test_what_waits_for_room_is_bounded_and_has_its_turn(talk, monkeypatch):
    for name, value in {"PENDING_MAX": 60, "WAITING_MAX": 100, "LOOKS_MAX": 20}.items():
        monkeypatch.setattr(requests, name, value)
    unfeasible(talk, 1, LOST)
    lose(talk, 1, LOST)
    assert len(asked(talk, 0.2)) == 60
    assert talk.drops(DropReason.BABEL_REQUESTS_FULL) == LOST - 160
    unfeasible(talk, 1, 60, seqno=2)
    assert len(set(asked(talk, 1.5))) == 60
    assert len(talk.station.babel._requests) == 60


def test_what_rests_gives_its_place_to_what_was_not_asked_yet(talk, monkeypatch):
    values = {"PENDING_MAX": 60, "RESEND_US": (500_000,), "REST_US": 500_000, "ROOM_US": 100_000}
    for name, value in values.items():
        monkeypatch.setattr(requests, name, value)
    unfeasible(talk, 1, LOST)
    lose(talk, 1, LOST)
    assert len(set(asked(talk, 6))) == LOST, "though nothing is ever answered"


def test_claims_of_a_liar_have_nobodys_needs_counted_for_himself(talk, monkeypatch):
    monkeypatch.setattr(requests, "PENDING_MAX", 60)
    unfeasible(talk, 1, 100)
    lose(talk, 1, 100)
    assert len(asked(talk, 0.2)) == 60, "all of OTHER, the liar"
    unfeasible(talk, 101, 120)
    for number in range(101, 121):
        longer = update(numbered(number), metric=700, seqno=1, next_hop=THIRD)
        talk.say(longer, source=THIRD)
    lose(talk, 101, 120)
    assert {numbered(number) for number in range(101, 121)} <= set(asked(talk, 0.2))


def test_neighbour_of_whom_much_is_wanted_leaves_others_their_share(talk, monkeypatch):
    monkeypatch.setattr(requests, "PENDING_MAX", 150)
    unfeasible(talk, 1, 180)
    unfeasible(talk, 181, LOST, source=THIRD)
    lose(talk, 1, LOST)
    assert set(asked(talk, 0.2)) >= {numbered(number) for number in range(181, LOST + 1)}
    assert len(talk.station.babel._requests) == 150


def test_wish_that_is_under_way_is_no_reason_not_to_ask_once_the_route_is_lost(talk):
    talk.say(update(numbered(1), metric=700))  # ignored, as it is not feasible; a wish
    assert any(isinstance(tlv, SeqnoRequest) for tlv in talk.heard())
    unfeasible(talk, 1, 1)
    lose(talk, 1, 1)
    assert asked(talk, 0.2) == [numbered(1)]


def test_who_has_a_route_later_is_asked_at_once_and_each_time_again(talk):
    unfeasible(talk, 1, 1)
    lose(talk, 1, 1)
    assert len(asked(talk, 0.2)) == 1
    unfeasible(talk, 1, 1, source=THIRD)
    assert len(asked(talk, 0.2)) == 1
    assert len(asked(talk, 0.4)) == 2


def test_prefix_without_a_route_is_asked_for_again_after_a_rest(talk):
    unfeasible(talk, 1, 1)
    lose(talk, 1, 1)
    assert len(asked(talk, 16)) == 6
    assert asked(talk, 9) == []
    assert len(asked(talk, 2)) == 2
    unfeasible(talk, 1, 1, seqno=2)
    assert talk.metric(numbered(1)) is not None
    assert asked(talk, 60) == []


def request(prefix: Prefix, seqno: int = 2) -> SeqnoRequest:
    return SeqnoRequest(prefix, (9).to_bytes(8, "big"), seqno, 64)


def test_who_asks_for_what_is_lost_or_was_never_heard_of_is_told_so(talk):
    lose(talk, 1, 1)
    talk.wait(2)
    talk.heard()
    unknown = numbered(LOST + 1)
    for prefix in (numbered(1), unknown):
        talk.say(request(prefix), source=OTHER)
        said = talk.station.ctx.transmits[-1]
        assert said.destination == OTHER
        assert [(tlv.prefix, type(tlv)) for tlv in talk.heard()] == [(prefix, Retraction)]


def test_who_does_not_know_that_its_way_is_lost_is_told_although_others_claim_to_have_one(talk):
    """Such ways may all be old words that lead in a circle: one that has none ends them all."""
    unfeasible(talk, 1, 1)
    lose(talk, 1, 1)
    talk.wait(2)
    talk.heard()
    talk.say(request(numbered(1)), source=THIRD)
    assert [type(tlv) for tlv in talk.heard()] == [Retraction]
    unfeasible(talk, 1, 1, seqno=2)
    assert talk.metric(numbered(1)) is not None


def test_answer_that_a_way_is_lost_ends_it_for_who_asked_on(talk):
    talk.say(request(numbered(1)), source=OTHER)
    assert [type(tlv) for tlv in talk.heard()] == [SeqnoRequest], "asked on"
    talk.say(Retraction(numbered(1), 0, 2400))
    talk.wait(0.1)
    assert talk.metric(numbered(1)) is None
    assert Retraction in [type(tlv) for tlv in talk.heard()]


def test_who_asks_for_what_we_have_by_itself_is_asked_back(talk):
    """It may have lost it, and we did not hear that."""
    talk.say(request(numbered(1)))
    said = talk.station.ctx.transmits[-1]
    assert said.destination == PEER
    assert talk.heard() == [RouteRequest(numbered(1))]
    unfeasible(talk, 2, 2)
    talk.say(request(numbered(2)))
    asked = [tlv for tlv in talk.heard() if isinstance(tlv, RouteRequest | SeqnoRequest)]
    assert asked == [RouteRequest(numbered(2)), request(numbered(2))._replace(hop_count=63)]
