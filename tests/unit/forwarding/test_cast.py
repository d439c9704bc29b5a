"""One node's cast: when it sends on, what rides along, what it asks for, what it refuses."""

from random import Random

import pytest

from meshd.core.airtime import LONG_FAST, Modulation
from meshd.core.drops import DropReason, Drops
from meshd.core.errors import UsageError
from meshd.forwarding.cast import SENDS_MAX, URGENT_BURST, URGENT_OVER, Cast
from meshd.forwarding.neighbours import Neighbours
from meshd.forwarding.objects import HELD_MAX, VAIN_MAX, WANTED_MAX, WANTS_MAX, name_of
from meshd.forwarding.rules import rules_for
from meshd.wire.lora_items import AGE_MAX, AGE_STEP_US, Heard, Listing, Object, Wants, tag_of

RULES = rules_for(LONG_FAST, shared=True)
SECOND = 1_000_000
ME, A, B, C = b"me", b"aa", b"bb", b"cc"
ROOM = 239
TEXT = Object(b"all is well at the mill", 1)
OTHER = Object(b"and at the bridge", 1)


def node(**hears):
    """Return a cast whose neighbours hear whom is given by name; all of them are heard."""
    neighbours = Neighbours(ME)
    for name, shorts in hears.items():
        neighbours.heard(name.encode(), 5.0, 0)
        neighbours.told(name.encode(), shorts)
    cast = Cast(neighbours, RULES, Random(1), drops=Drops(), link="lora0")
    cast.listings._heard_version = neighbours.version
    return cast


def line():
    """A and B hear this node; they do not hear each other."""
    return node(aa=(ME,), bb=(ME,))


def flush(cast, now):
    batch = cast.build(now, ROOM)
    if batch is not None:
        cast.sent(batch, now)
    return batch


def after(cast):
    """Build and send what is due next; return it and the time."""
    due_us = cast.due_us()
    return flush(cast, due_us), due_us


def kept(cast, body):
    return cast.store.by_name[name_of(body)]


def test_own_object_waits_for_company_and_goes():
    cast = line()
    cast.publish(TEXT.body, 1, 0)
    assert cast.build(0, ROOM) is None
    assert cast.due_us() <= RULES.own_us
    batch, _ = after(cast)
    assert batch.items == (TEXT._replace(age=batch.items[0].age),)


def test_object_of_another_radio_is_told_as_relayed_and_as_old_as_it_is():
    cast, now = line(), 300 * SECOND
    cast.relay(TEXT.body, 3, 100 * SECOND, source=C, now=now)
    held = kept(cast, TEXT.body)
    assert (held.own, held.priority, held.born_us) == (False, 3, 100 * SECOND)
    batch, _ = after(cast)
    assert batch.items[0].age * AGE_STEP_US >= 200 * SECOND
    cast.relay(OTHER.body, 1, now - RULES.window_us - 1, source=C, now=now)
    assert name_of(OTHER.body) not in cast.store.by_name
    assert cast.drops.total(DropReason.CAST_STALE) == 1


def test_distress_goes_at_once():
    cast = line()
    cast.publish(b"help", 0, 0)
    assert cast.due_us() <= RULES.slot_us
    cast = line()
    cast.receive(A, (Object(b"help", 0),), 0)
    assert cast.due_us() <= 20 * RULES.slot_us


def test_object_is_told_on_while_a_listener_lacks_it():
    cast = line()
    assert cast.receive(A, (TEXT,), 0) == [TEXT]
    batch, now = after(cast)
    assert batch.objects[0].tag == tag_of(TEXT.body)
    assert now <= RULES.hold_us + RULES.slot_us


def test_object_is_not_told_on_when_all_listeners_heard_it():
    cast = node(aa=(ME,), bb=(ME, A))
    cast.receive(A, (TEXT,), 0)
    assert not kept(cast, TEXT.body).due_us


def test_object_is_not_told_on_once_another_was_quicker():
    cast = node(aa=(ME,), bb=(ME, C), cc=(ME,))
    cast.receive(A, (TEXT,), 0)
    held = kept(cast, TEXT.body)
    assert held.due_us is not None
    cast.receive(C, (TEXT,), SECOND)
    assert held.due_us is None


def test_who_reaches_more_goes_earlier():
    few, many = line(), node(aa=(ME,), bb=(ME,), cc=(ME,), dd=(ME,), ee=(ME,))
    for cast in (few, many):
        cast.receive(A, (TEXT,), 0)
    assert many.due_us() < few.due_us()


def test_who_alone_can_tell_a_listener_waits_a_tenth():
    many = node(aa=(ME, B), bb=(ME, A, C), cc=(ME, B))
    alone = node(aa=(ME,), bb=(ME,))
    for cast in (many, alone):
        cast.receive(A, (TEXT,), 0)
    many.receive(C, (TEXT,), 0)
    assert alone.due_us() <= RULES.hold_us // 10 + RULES.slot_us
    few = node(aa=(ME, B), bb=(ME, C), cc=(ME, B))
    few.receive(A, (TEXT,), 0)
    assert few.due_us() > RULES.hold_us // 10 + RULES.slot_us


def test_the_same_object_is_new_only_once():
    cast = line()
    assert cast.receive(A, (TEXT,), 0) == [TEXT]
    assert cast.receive(B, (TEXT,), 5) == []


def test_what_waits_rides_in_the_same_frame_the_urgent_first():
    cast = line()
    cast.receive(A, (TEXT, OTHER._replace(priority=3), Object(b"help", 0)), 0)
    batch, _ = after(cast)
    assert [item.priority for item in batch.items] == [0, 1, 3]
    assert batch.priority == 0
    assert all(held.due_us is None for held in cast.store.by_name.values() if held.rank)


def test_distress_is_sent_again_while_a_listener_is_not_known_to_have_it():
    cast = line()
    cast.publish(b"help", 0, 0)
    times = []
    while (due := cast.due_us()) is not None and due < RULES.listing_us:
        times.append(after(cast)[1])
    assert len(times) == 3 and times[-1] <= 45 * SECOND
    cast = line()
    cast.publish(b"help", 0, 0)
    after(cast)
    for neighbour in (A, B):
        cast.receive(neighbour, (Object(b"help", 0),), SECOND)
    assert flush(cast, 60 * SECOND) is None


def test_who_is_named_by_a_listing_is_not_told():
    cast = node(aa=(ME,), bb=(ME,))
    cast.receive(A, (TEXT,), 0)
    cast.receive(B, (listing(TEXT),), SECOND)
    assert flush(cast, RULES.hold_us + SECOND) is None


def test_what_is_due_goes_before_what_is_not_but_for_distress():
    cast = line()
    cast.receive(A, (Object(bytes(100), 3),), 0)
    now = kept(cast, bytes(100)).due_us
    for number in (1, 2):
        cast.receive(A, (Object(bytes([number]) * 100, 1),), now)
    first = cast.build(now, ROOM)
    assert [item.priority for item in first.items] == [3, 1]
    cast.receive(A, (Object(b"h" * 100, 0),), now)
    assert [item.priority for item in cast.build(now, ROOM).items] == [0, 3]


def test_one_neighbour_that_fills_the_frames_leaves_the_others_their_turn():
    cast = node(aa=(ME,), bb=(ME,), cc=(ME,), dd=(ME,))
    for number in range(40):
        cast.receive(A, (Object(bytes([number]) * 50, 1),), 0)
    cast.receive(B, (TEXT,), 0)
    cast.receive(C, (OTHER,), 0)
    cast.publish(b"of my own", 1, 0)
    for held in cast.store.by_name.values():
        held.due_us = SECOND
    frame = {item.body for item in cast.build(SECOND, ROOM).items}
    assert {TEXT.body, OTHER.body, b"of my own"} < frame


def test_on_a_busy_channel_a_node_takes_its_part_and_distress_does_not_wait():
    for share, waits in ((0.1, False), (0.4, True)):
        cast = line()
        cast.loaded(share, 0)
        cast.receive(A, (TEXT,), 0)
        batch, now = after(cast)
        cast.took(batch, 2 * SECOND, now)
        cast.receive(A, (OTHER,), now)
        due = kept(cast, OTHER.body).due_us = now + SECOND
        assert (cast.build(due, ROOM) is None) is waits
        assert cast.due_us() <= now + 15 * SECOND
        cast.receive(A, (Object(b"help", 0),), due)
        assert cast.due_us() <= due + 20 * RULES.slot_us


def test_on_a_busy_channel_the_least_urgent_is_not_begun_but_finished():
    told = {}
    for share in (0.4, 0.55, 0.62, 0.75, 0.9):
        cast = line()
        for priority in range(5):
            cast.publish(bytes([priority]) * 10, priority, 0)
            cast.receive(A, (Object(bytes([priority]) * 12, priority),), 0)
        for held in cast.store.by_name.values():
            held.due_us = SECOND
        cast.loaded(share, SECOND)
        items = [(len(item.body), item.priority) for item in cast.build(SECOND, ROOM).items]
        told[share] = [max(rank for size, rank in items if size == one) for one in (10, 12)]
    assert told == {0.4: [4, 4], 0.55: [2, 4], 0.62: [1, 4], 0.75: [1, 2], 0.9: [1, 1]}


def test_on_a_busy_channel_who_reaches_one_listener_waits_longer():
    waits = []
    for share in (0.1, 0.4):
        cast = line()
        cast.loaded(share, 0)
        cast.receive(A, (TEXT,), 0)
        waits.append(cast.due_us())
    assert waits[1] > 2 * waits[0]


def test_what_does_not_fit_goes_in_the_next_frame():
    cast = line()
    for number in range(4):
        cast.receive(A, (Object(bytes([number]) * 100, 1),), 0)
    first, now = after(cast)
    second = flush(cast, RULES.hold_us * 2)
    assert [len(batch.objects) for batch in (first, second)] == [2, 2]
    assert now <= RULES.hold_us + RULES.slot_us


def test_object_too_long_for_this_radio_is_dropped_by_name():
    cast = line()
    cast.receive(A, (Object(bytes(200), 1),), 0)
    assert cast.build(cast.due_us(), 100) is None
    assert cast.drops.as_dict() == {"cast-too-long": {"lora0": 1}}
    assert kept(cast, bytes(200)).due_us is None


def test_old_objects_are_stale():
    cast = line()
    late = RULES.window_us // AGE_STEP_US + 1
    assert cast.receive(A, (TEXT._replace(age=late), OTHER._replace(age=AGE_MAX)), 0) == []
    assert cast.drops.as_dict() == {"cast-stale": {"lora0": 2}}


def test_age_is_told_on():
    cast = line()
    cast.receive(A, (TEXT._replace(age=10),), 0)
    batch, now = after(cast)
    assert batch.items[0].age == 10 + (now + AGE_STEP_US // 2) // AGE_STEP_US


def twins():
    """Find two bodies with one tag."""
    seen = {}
    for number in range(100_000):
        body = number.to_bytes(3)
        other = seen.setdefault(tag_of(body), body)
        if other != body:
            return body, other
    raise AssertionError("no collision")


def test_two_objects_with_one_tag_are_both_taken_and_sent_again():
    cast, (one, other) = line(), twins()
    for body in (one, other):
        assert cast.receive(A, (Object(body, 1),), 0)
    batch, now = after(cast)
    assert {item.body for item in batch.items} == {one, other}
    cast.receive(B, (Wants((tag_of(one),)),), now)
    assert {held.body for held in flush(cast, now + 5 * SECOND).objects} == {one, other}


@pytest.mark.parametrize(("body", "priority"), [(b"", 1), (bytes(241), 1), (b"x", 5)])
def test_wrong_objects_are_the_callers_mistake(body, priority):
    with pytest.raises(UsageError):
        line().publish(body, priority, 0)


def test_room_for_nothing_is_the_callers_mistake():
    with pytest.raises(UsageError):
        line().build(0, 3)


# --- repair ---------------------------------------------------------------------------------------


def listing(*objects, young=0, old=100):
    return Listing(tuple(tag_of(item.body) for item in objects), young, old)


def test_listing_names_what_settled():
    cast = node(aa=(ME,))
    cast.receive(A, (TEXT,), 0)
    cast.receive(A, (OTHER,), RULES.listing_us - SECOND)
    batch, now = after(cast)
    assert RULES.listing_us <= now <= RULES.listing_us + RULES.spread_us
    (item,) = batch.items
    assert set(item.tags) <= {tag_of(TEXT.body), tag_of(OTHER.body)}
    assert tag_of(TEXT.body) in item.tags


def test_the_last_object_is_listed_too():
    cast = node(aa=(ME,))
    cast.receive(A, (TEXT,), 0)
    _, now = after(cast)
    cast.receive(A, (OTHER,), now)
    tags = set()
    while cast.due_us() is not None:
        batch, _ = after(cast)
        tags.update(batch.items[0].tags if batch else ())
    assert tag_of(OTHER.body) in tags


def test_a_node_of_few_listeners_lists_twice():
    few, many = line(), node(aa=(ME,), bb=(ME,), cc=(ME,), dd=(ME,))
    for cast, times in ((few, 2), (many, 1)):
        cast.publish(TEXT.body, 1, 0)
        after(cast)
        for _ in range(times):
            batch, _ = after(cast)
            assert batch.said.listed
        assert cast.due_us() is None


def test_nothing_is_listed_when_a_neighbour_listed_the_same():
    cast = node(aa=(ME,))
    cast.receive(A, (TEXT,), 0)
    cast.receive(A, (listing(TEXT),), RULES.young_us * 2)
    assert cast.due_us() is None


def test_long_listing_is_cut_to_the_youngest():
    cast = node(aa=(ME,))
    for number in range(300):
        cast.receive(A, (Object(bytes([number % 256, number // 256]), 1),), number * SECOND)
    batch = flush(cast, RULES.young_us + 310 * SECOND)
    (item,) = batch.items
    assert 0 < len(item.tags) <= (ROOM - 4) // 2
    assert item.young < item.old < RULES.old_us // AGE_STEP_US


def test_missing_object_is_wanted_and_asked_for_a_few_times():
    cast = line()
    cast.receive(A, (listing(TEXT),), 0)
    for _ in range(WANTS_MAX):
        batch, _ = after(cast)
        assert batch.items == (Wants((tag_of(TEXT.body),)),)
    assert cast.due_us() is None


def test_want_waits_when_a_neighbour_asked():
    cast = line()
    cast.receive(A, (listing(TEXT),), 0)
    cast.receive(B, (Wants((tag_of(TEXT.body),)),), 1)
    assert cast.due_us() >= RULES.want_us


def test_want_ends_when_the_object_comes():
    cast = line()
    cast.receive(A, (listing(TEXT),), 0)
    cast.receive(A, (TEXT,), 1)
    assert not cast.listings.wanted.by_tag


def test_wanted_object_is_sent_again_but_not_forever():
    cast = line()
    cast.publish(TEXT.body, 1, 0)
    after(cast)
    sent = 1
    for round_ in range(1, 10):
        now = RULES.own_us + round_ * 10 * SECOND
        cast.receive(A, (Wants((tag_of(TEXT.body),)),), now)
        batch = flush(cast, now + 12 * RULES.slot_us)
        sent += bool(batch and batch.objects)
    assert sent == SENDS_MAX


def test_nobody_sends_for_who_cannot_hear_it():
    cast = node(aa=(), bb=(ME,))
    cast.publish(TEXT.body, 1, 0)
    after(cast)
    cast.receive(A, (Wants((tag_of(TEXT.body),)),), RULES.own_us)
    assert kept(cast, TEXT.body).due_us is None


def test_object_missing_in_a_listing_is_sent_again():
    cast = line()
    cast.publish(TEXT.body, 1, 0)
    after(cast)
    cast.receive(A, (listing(OTHER),), RULES.young_us * 2)
    batch = flush(cast, RULES.young_us * 2 + RULES.hold_us * 2)
    assert TEXT.body in [item.body for item in batch.items if isinstance(item, Object)]


@pytest.mark.parametrize(("young", "old"), [(0, 15), (40, 100)])
def test_object_outside_a_listings_ages_is_not_missing(young, old):
    cast = line()
    cast.publish(TEXT.body, 1, 0)
    after(cast)
    cast.receive(A, (Listing((), young, old),), RULES.young_us + 20 * SECOND)
    assert kept(cast, TEXT.body).due_us is None


# --- neighbours -----------------------------------------------------------------------------------


def test_neighbours_are_told_with_what_goes_when_they_changed_only():
    cast = Cast(Neighbours(ME), RULES, Random(1), drops=Drops(), link="lora0")
    cast.neighbours.heard(A, 5.0, 0)
    cast.receive(A, (), 0)
    assert cast.due_us() is None
    cast.publish(TEXT.body, 1, 0)
    batch, _ = after(cast)
    assert batch.items[1:] == (Heard((A,)),)
    cast.publish(OTHER.body, 1, RULES.own_us)
    batch, _ = after(cast)
    assert len(batch.items) == 1
    cast.listings.beacon(RULES.own_us)
    assert flush(cast, RULES.own_us).items == (Heard((A,)),)


# --- bounds ---------------------------------------------------------------------------------------


def test_flood_of_objects_is_bounded_and_the_urgent_stays():
    cast = line()
    cast.receive(A, (Object(b"help", 0),), 0)
    for number in range(2 * HELD_MAX):
        cast.receive(B, (Object(number.to_bytes(4), 4),), number)
    assert len(cast.store.by_name) == HELD_MAX
    assert kept(cast, b"help")
    before = cast.drops.total(DropReason.CAST_FULL)
    cast.receive(B, (Object(b"older than all", 4, 50),), 2 * HELD_MAX)
    assert cast.drops.total(DropReason.CAST_FULL) == before + 1
    assert cast.receive(B, (Object(b"a text", 1),), 2 * HELD_MAX)


def test_who_brought_most_loses_first_whatever_priority_it_states():
    cast = line()
    cast.receive(A, (Object(b"seldom", 4),), 0)
    cast.publish(b"own", 4, 0)
    for number in range(2 * HELD_MAX):
        cast.receive(B, (Object(number.to_bytes(4), 0),), number)
    assert len(cast.store.by_name) == HELD_MAX
    assert kept(cast, b"seldom") and kept(cast, b"own")
    cast.publish(b"another own", 4, 2 * HELD_MAX)
    assert cast.receive(A, (Object(b"again", 4),), 2 * HELD_MAX)
    assert kept(cast, b"seldom") and kept(cast, b"own") and kept(cast, b"another own")


def test_own_objects_give_way_to_own_ones_only():
    cast = line()
    for number in range(HELD_MAX):
        cast.publish(number.to_bytes(4), 4, number)
    assert cast.receive(A, (Object(b"help", 0),), HELD_MAX) == []
    assert cast.drops.total(DropReason.CAST_FULL) == 1
    cast.publish(b"a text", 1, HELD_MAX)
    assert kept(cast, b"a text") and len(cast.store.by_name) == HELD_MAX


def test_of_what_one_neighbour_calls_urgent_a_part_goes_before_texts():
    cast = line()
    cast.publish(b"own", 1, 0)
    for number in range(200):
        cast.receive(B, (Object(number.to_bytes(4), 0),), number)
    cast.receive(A, (Object(b"help", 0),), 200)
    ranks = [held.rank for held in cast.store.by_name.values() if held.source == B]
    assert (ranks.count(0), ranks.count(URGENT_OVER)) == (URGENT_BURST, 200 - URGENT_BURST)
    assert kept(cast, b"help").rank == 0
    assert {held.priority for held in cast.store.by_name.values()} == {0, 1}
    assert cast.drops.total(DropReason.CAST_URGENT) == 200 - URGENT_BURST
    batch = cast.build(RULES.own_us, ROOM)
    assert b"own" in [held.body for held in batch.objects]


def test_of_many_listings_or_wants_in_one_frame_the_first_counts():
    cast = line()
    looks = []
    recent, tagged = cast.store.recent, cast.store.tagged
    cast.store.recent = lambda now: looks.append("listing") or recent(now)
    cast.store.tagged = lambda tags: looks.append("wants") or tagged(tags)
    tags = [number.to_bytes(2) for number in range(28)]
    items = (*(Listing((tag,), 0, 50) for tag in tags), *(Wants((tag,)) for tag in tags))
    cast.receive(B, items, 0)
    assert sorted(looks) == ["listing", "wants"]
    assert list(cast.listings.wanted.by_tag) == tags[:1]
    assert cast.drops.total(DropReason.CAST_REPEATED) == 2 * (len(tags) - 1)


def test_flood_of_listed_tags_is_bounded_and_then_not_believed():
    cast = line()
    now = 0
    for number in range(200):
        tags = tuple((number * 100 + one).to_bytes(2) for one in range(100))
        cast.receive(B, (Listing(tags, 0, 50),), now)
        assert len(cast.listings.wanted.by_tag) <= WANTED_MAX
        flush(cast, now)
        now += 20 * SECOND
    assert {"cast-wants-full", "cast-vain"} <= cast.drops.as_dict().keys()
    assert not cast.listings.wanted.by_tag
    assert VAIN_MAX < WANTED_MAX
    cast.receive(A, (listing(TEXT),), now)
    assert tag_of(TEXT.body) in cast.listings.wanted.by_tag


def test_flood_of_wants_gets_each_object_a_few_times():
    cast = line()
    tags = [cast.publish(bytes([number]), 1, 0) for number in range(100)]
    objects = 0
    for now in range(0, 600 * SECOND, SECOND):
        cast.receive(B, (Wants(tuple(tags)),), now)
        batch = flush(cast, now)
        objects += len(batch.objects) if batch else 0
    assert objects <= SENDS_MAX * len(tags)


# --- rules ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [7, 9, 11, 12])
@pytest.mark.parametrize("shared", [True, False])
def test_times_of_all_modulations_fit_together(factor, shared):
    rules = rules_for(Modulation(factor), shared=shared)
    assert rules.window_us < AGE_MAX * AGE_STEP_US
    assert rules.margin_us >= 1.5 * AGE_STEP_US
    assert rules.old_us - rules.young_us - 2 * rules.margin_us >= rules.listing_us
    assert rules.spread_us > rules.listing_us // 8
    assert rules.hold_us <= rules.young_us
    assert rules.old_us < rules.window_us


def test_prompt_waits_less():
    prompt, shared = (rules_for(LONG_FAST, shared=shared) for shared in (False, True))
    assert prompt.own_us < shared.own_us
    assert prompt.hold_us < shared.hold_us
