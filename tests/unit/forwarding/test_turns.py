"""Parts of a relay's hour: no neighbour's objects, nor its distress, take what others need."""

from random import Random

from meshd.core.airtime import LONG_FAST
from meshd.core.drops import Drops
from meshd.core.law import HOUR_US
from meshd.forwarding.cast import URGENT_SENDS, URGENT_UNPROVEN, Cast
from meshd.forwarding.neighbours import TELLER_US, Neighbours
from meshd.forwarding.objects import name_of
from meshd.forwarding.rules import rules_for
from meshd.forwarding.turns import SLOT_US, SOURCES_MAX, RelayParts
from meshd.wire.lora_items import Object

RULES = rules_for(LONG_FAST, shared=False)
SECOND = 1_000_000
A, B, C = b"aa", b"bb", b"cc"
ROOM, FRAME_US = 239, SECOND
RELAYED_US = 20 * SECOND


def relay(*, proven=True):
    """B and C hear this node and not each other; A does not say whom it hears."""
    neighbours = Neighbours(b"me")
    for short in (A, B, C):
        neighbours.heard(short, 5.0, 0, proven=proven)
    for short in (B, C):
        neighbours.told(short, (b"me",))
    return Cast(
        neighbours,
        RULES,
        Random(1),
        drops=Drops(),
        link="lora0",
        relayed_us=RELAYED_US,
    )


def play(cast, begin, end):
    """Send what is due between two times; return what it was."""
    sent, now = [], begin
    while (due := cast.due_us()) is not None and due < end:
        now = max(due, now + SECOND)
        cast.loaded(0.0, now)
        batch = cast.build(now, ROOM)
        if batch is not None:
            cast.sent(batch, now)
            if batch.objects:
                cast.took(batch, FRAME_US, now)
                sent += [held.body for held in batch.objects]
    return sent


def test_distress_of_one_neighbour_takes_half_of_the_relaying_and_others_go_on():
    cast, flood = relay(), []
    for minute in range(30):
        now = minute * 60 * SECOND
        for half in (0, 30):
            cast.receive(A, (Object(bytes([minute, half]) * 90, 0),), now + half * SECOND)
            flood += play(cast, now + half * SECOND, now + (half + 30) * SECOND)
    assert RELAYED_US // 2 <= len(flood) * FRAME_US <= RELAYED_US // 2 + 2 * FRAME_US
    now = 1800 * SECOND
    texts = [bytes([priority]) * 90 for priority in range(5)]
    for priority, text in enumerate(texts):
        cast.receive(B, (Object(text, priority),), now)
    cast.publish(b"own" * 30, 0, now)
    told = play(cast, now, now + 300 * SECOND)
    assert set(texts) | {b"own" * 30} <= set(told)


def test_honest_distress_goes_when_its_neighbour_has_had_its_part_by_texts():
    cast = relay()
    for number in range(60):
        now = number * 30 * SECOND
        cast.receive(A, (Object(bytes([number]) * 180, 1),), now)
        play(cast, now, now + 30 * SECOND)
    cast.receive(A, (Object(b"help", 0),), 1800 * SECOND)
    assert b"help" in play(cast, 1800 * SECOND, 1860 * SECOND)


def test_distress_is_sent_again_for_who_is_proven_and_once_for_who_is_not():
    for proven, times in ((True, URGENT_SENDS), (False, URGENT_UNPROVEN)):
        cast = relay(proven=proven)
        cast.receive(A, (Object(b"help", 0),), 0)
        assert play(cast, 0, 120 * SECOND).count(b"help") == times
        cast.publish(b"my own", 0, 120 * SECOND)
        assert play(cast, 120 * SECOND, 240 * SECOND).count(b"my own") == URGENT_SENDS


def test_who_never_sends_objects_takes_no_turns():
    waits = []
    for crowd in (0, 50):
        cast = relay()
        for number in range(crowd):
            cast.neighbours.heard(number.to_bytes(2), 5.0, 0, proven=True)
        cast.loaded(0.4, 0)
        cast.receive(A, (Object(b"one", 1),), 0)
        held = cast.store.by_name[name_of(b"one")]
        batch = cast.build(held.due_us, ROOM)
        cast.took(batch, FRAME_US, 0)
        waits.append(cast.turns.next_us)
    assert max(waits) < 3 * FRAME_US
    assert cast.neighbours.tellers(0) == 1
    assert cast.neighbours.tellers(TELLER_US + 1) == 0


def test_parts_are_of_what_is_left_and_come_back_after_an_hour():
    parts = RelayParts(90)
    for number in range(45):
        assert not parts.over("one")
        parts.took("one", 1, number)
    assert not parts.over("two")
    parts.took("one", 1, 50)
    assert parts.over("one")
    parts.took("two", 30, SLOT_US)
    assert parts.over("two")
    assert not parts.over("three")
    parts.expire(HOUR_US + SLOT_US)
    assert not parts.over("one")
    assert not parts.over("two")


def test_invented_sources_are_forgotten_and_counted_no_more():
    parts = RelayParts(1000)
    for number in range(3 * SOURCES_MAX):
        parts.took(number, 1 + number % 7, 0)
    assert len(parts._spent_us) <= SOURCES_MAX
    assert parts._all_us == sum(parts._spent_us.values())
    parts.expire(3 * HOUR_US)
    assert not parts._all_us
    assert not parts._spent_us
