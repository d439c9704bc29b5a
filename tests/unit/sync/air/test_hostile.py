"""Neighbours by radio that lie, flood or forge: what it costs them, and that it changes nothing."""

from random import Random

import pytest
from devices.air_net import MINUTE, AirNet, names_of
from devices.sync_net import SECOND
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.core.drops import DropReason
from meshd.sync.air.aside import ASIDE_MAX, ASSEMBLIES_MAX, Parts
from meshd.sync.air.names import feed_name
from meshd.sync.air.offers import ASKED_MAX, OFFERS_MAX, Offer, Offers
from meshd.sync.air.thin import contract, expand
from meshd.sync.air.wants import STRANGE_MAX, TRIES_MAX, WANTS_MAX, AirWants
from meshd.wire.air_entry import Part, Thin, decode_thin
from meshd.wire.air_messages import (
    FORKED,
    AirHead,
    AirProbe,
    AirRange,
    Digest,
    Digests,
    Heads,
    Mark,
    Needs,
    decode_digests,
)
from meshd.wire.lora_payload import ObjectKind, Sub
from meshd.wire.symbols import FEEDS, Symbol, SymbolBatch

SALT = b"mm"
MALLORY = b"m" * 10


def thin(seq, author=b"idid", **fields):
    values = {"kind": 32, "flags": 0, "author": author, "seq": seq, "time_s": 0}
    values |= {"membership": bytes(8), "prev": bytes(4), "seed": bytes(8), "clear": b""}
    values |= {"sealed": bytes(16), "signature": bytes(64)}
    return Thin(**values | fields)


def say(house, sub, value, *, node=MALLORY, trusted=True):
    house.hear_local(node, sub, value if isinstance(value, bytes) else value.encode(), trusted)


def named(house):
    """Return the names by which Mallory, who has the key, would speak of a house's spaces."""
    names = names_of(house.spaces, SALT)
    names._node = MALLORY
    return names


def tag_of(house):
    return named(house).tag(house.home)


def heads_of(house, *heads, partial=False):
    return named(house).told(house.home, Sub.HEADS, Heads(b"", b"", heads, partial))


def needs_of(house, *ranges):
    return named(house).told(house.home, Sub.NEEDS, Needs(b"", b"", ranges))


def thin_of(net, text):
    """Return what is on air of anna's newest entry, which nobody heard."""
    net.loss = 1.0
    net.anna.post(text)
    net.run(SECOND)
    net.loss = 0.0
    home = net.anna.home
    seq = home.feeds[home.author].seq
    (data,) = net.anna.sync.recent.run(home.id, home.author, seq, seq)
    return contract(home, home.author, data, whole=False), data


def test_thin_entry_is_made_whole_to_the_byte(net):
    short, data = thin_of(net, "hello")
    home = net.ben.home
    known = names_of(net.ben.spaces, SALT).memberships(home.id)
    assert expand(home, net.anna.home.author, short, known) == data
    assert expand(home, net.anna.home.author, short, {}) is DropReason.MEMBERSHIP_MISSING
    gap = short._replace(seq=short.seq + 1)
    assert expand(home, net.anna.home.author, gap, known) is DropReason.ENTRY_GAP
    fork = short._replace(prev=b"fork")
    assert expand(home, net.anna.home.author, fork, known) is DropReason.FORK_SUSPECTED


@pytest.mark.parametrize(
    "change",
    [
        {"signature": bytes(64)},
        {"sealed": bytes(21)},
        {"time_s": 1},
        {"seed": bytes(8)},
        {"membership": bytes(8)},
        {"kind": 33},
    ],
)
def test_forged_entry_is_not_stored_nor_passed_on(net, change):
    far = net.joined("far", net.anna, radio=False)
    net.cut(far, net.anna)
    net.connect(far, net.ben)
    net.run(5 * MINUTE)
    short, _ = thin_of(net, "hello")
    before = net.ben.heads()
    say(net.ben, Sub.ENTRY, short._replace(**change))
    assert net.ben.drops(DropReason.ENTRY_SIGNATURE) == 1
    assert net.ben.heads() == before == far.heads()


def test_true_entry_by_a_stranger_is_as_good_as_any(net):
    short, _ = thin_of(net, "hello")
    say(net.ben, Sub.ENTRY, short, trusted=False)
    net.run(SECOND)
    assert net.ben.texts() == ["hello"]


def test_neighbour_that_floods_needs_gets_its_part_and_no_more(net):
    for number in range(90):
        net.anna.post(f"text {number}")
        net.run(SECOND)
    net.run(20 * MINUTE)
    home, begin = net.anna.home, net.now
    feed = feed_name(home, home.author)
    for _ in range(10):
        for first in range(1, 90, 12):
            say(net.anna, Sub.NEEDS, needs_of(net.anna, AirRange(feed, first, 12)))
        net.run(30 * SECOND)
    assert net.anna.drops(DropReason.AIR_FLOOD)
    assert len(net.named("ENTRY", since=begin)) <= ASKED_MAX


def test_entries_before_their_time_are_kept_only_in_part(net):
    home = net.anna.home
    author = home.keys.author_id(home.author)
    for seq in range(100, 100 + ASIDE_MAX + 5):
        say(net.ben, Sub.ENTRY, thin(seq, author))
    assert net.ben.drops(DropReason.AIR_ASIDE_FULL) == 5


def test_claim_that_nobody_keeps_is_asked_for_a_few_times(net):
    begin, home = net.now, net.anna.home
    claim = AirHead(feed_name(home, home.author), 2**32 - 1)
    heads = heads_of(net.anna, claim, partial=True)
    for _ in range(60):
        say(net.ben, Sub.HEADS, heads)
        net.run(10 * SECOND)
    assert 0 < len(net.named("NEEDS", since=begin)) <= 5


def test_head_of_an_unknown_feed_is_asked_for_by_one_entry(net):
    begin = net.now
    say(net.ben, Sub.HEADS, heads_of(net.ben, AirHead(b"new", 900), partial=True))
    net.run(10 * SECOND)
    (need,) = net.named("NEEDS", since=begin)
    assert need.size == 16 + 2 + 2 + 4 + 3 + 1 + 1


def test_feeds_of_many_whom_nobody_knows_are_asked_for_a_few_at_a_time(net):
    begin = net.now
    claims = [AirHead(bytes([number, 7, 7]), 1) for number in range(36)]
    for _ in range(20):
        say(net.ben, Sub.HEADS, heads_of(net.ben, *claims, partial=True))
        net.run(30 * SECOND)
    assert net.ben.drops(DropReason.AIR_WANTS_FULL)
    asked = sum((need.size - 16 - 2 - 4) // 5 for need in net.named("NEEDS", since=begin))
    assert asked <= STRANGE_MAX * TRIES_MAX


def test_who_has_not_the_key_puts_no_words_into_a_members_mouth(net):
    """Tag and salt of true words are of no use beside other words, nor as another kind of word."""
    net.anna.post("one")
    net.run(20 * MINUTE)
    begin, home = net.now, net.anna.home
    feed = feed_name(home, home.author)
    true = tag_of(net.anna), heads_of(net.anna).tag, needs_of(net.anna, AirRange(feed, 1, 1)).tag
    for tag in true:
        nothing = SymbolBatch(FEEDS, tag, SALT + b"00", 0, 0, 0, (Symbol(0, 0, 0),))
        say(net.anna, Sub.SYMBOLS, nothing)
        word = bytes((ObjectKind.WORD, Sub.SYMBOLS)) + MALLORY + nothing.encode()
        net.anna.hear_object(net.ben.node, word)
        forked = Heads(SALT, tag, (AirHead(feed, FORKED), AirHead(b"new", 9)), partial=True)
        say(net.anna, Sub.HEADS, forked)
        say(net.anna, Sub.NEEDS, Needs(SALT, tag, (AirRange(feed, 1, 2),)))
        say(net.anna, Sub.PROBE, AirProbe(SALT, tag, (Mark(feed, 1, b"mark"),)))
    net.run(3 * MINUTE)
    assert not net.named("ENTRY", "HEADS", "NEEDS", "PROBE", "SYMBOLS", since=begin)


def test_digests_played_again_or_made_up_cost_what_came_since_and_few_words(net):
    heard = []
    take = net.anna.hear_local

    def listen(node, sub, body, trusted=True):
        if sub == Sub.DIGESTS and node == net.ben.node:
            heard.append(decode_digests(body))
        take(node, sub, body, trusted)

    net.anna.hear_local = listen
    net.run(5 * MINUTE)
    old = heard[-1]
    for number in range(6):
        net.anna.post(f"text {number}")
        net.run(MINUTE)
    net.run(30 * MINUTE)
    begin = net.now
    for _ in range(5):
        say(net.anna, Sub.DIGESTS, old, node=net.ben.node)
        net.run(10 * SECOND)
    net.run(3 * MINUTE)
    assert len(net.named("ENTRY", since=begin)) <= 2 * 6
    begin = net.now
    for number in range(20):
        made_up = tuple(Digest(one.tag, bytes([number, 1, 2, 3])) for one in heard[-1].spaces)
        say(net.anna, Sub.DIGESTS, Digests(heard[-1].salt, made_up), node=net.ben.node)
        net.run(3 * MINUTE)
    assert not net.named("ENTRY", since=begin)
    assert len(net.named("DIGESTS", "HEADS", "NEEDS", "PROBE", since=begin)) <= 24, "in an hour"
    assert {house.sync.statuses(net.now)[0].behind for house in (net.anna, net.ben)} == {0}


def test_recording_of_a_neighbour_makes_nobody_send(net):
    net.anna.post("one")
    net.run(20 * MINUTE)
    begin, home = net.now, net.anna.home
    feed = feed_name(home, home.author)
    for value, sub in (
        (needs_of(net.anna, AirRange(feed, 1, 9)), Sub.NEEDS),
        (heads_of(net.anna), Sub.HEADS),
        (Digests(SALT, (Digest(tag_of(net.anna), b"stat"),)), Sub.DIGESTS),
    ):
        say(net.anna, sub, value, trusted=False)
    net.run(3 * MINUTE)
    assert net.anna.drops(DropReason.AIR_UNPROVEN) == 3
    assert not net.named("ENTRY", "HEADS", "NEEDS", since=begin)


def test_nonsense_is_dropped_by_name(net):
    for sub in (Sub.ENTRY, Sub.ENTRY_PART, Sub.DIGESTS, Sub.HEADS, Sub.NEEDS, Sub.HELD):
        say(net.ben, sub, b"\x0f")
    net.ben.hear_object(MALLORY, bytes([ObjectKind.ENTRY]))
    assert net.ben.drops(DropReason.AIR_MALFORMED) == 7


def test_junk_under_a_number_does_not_keep_the_true_entry_off_the_air():
    offers = Offers()
    key, mine = (b"s", b"a", 1), thin(1)
    offers.add(Offer(key, mine, 0, everybody=True), 0)
    offers.heard(key, thin(1, sealed=bytes(17)), 0)
    assert offers.next(0).thin == mine
    offers.heard(key, thin(1, membership=bytes(2)), 0)
    assert offers.next(0) is None
    assert offers.was_said(key, SECOND)


def test_offers_are_bounded_and_membership_comes_first():
    offers = Offers()
    reasons = [
        offers.add(Offer((b"s", b"a", seq), thin(seq, kind=35), 0, everybody=False), 0)
        for seq in range(1, OFFERS_MAX + 3)
    ]
    assert reasons[-2:] == [DropReason.AIR_CROWDED] * 2
    offers.add(Offer((b"s", b"b", 9), thin(9, kind=32), 0, everybody=False), 0)
    offers.add(Offer((b"s", b"c", 9), thin(9, kind=2), 0, everybody=False), 0)
    assert len(offers) == OFFERS_MAX
    assert offers.next(0).thin.kind == 2
    offers.sent(offers.next(0), 1, 0)
    assert offers.next(0).thin.kind == 32


def test_repairs_take_a_part_of_the_time_on_air():
    offers, sent_us, now = Offers(), 0, 0
    for seq in range(1, 2000):
        offers.add(Offer((b"s", b"a", seq), thin(seq), 0, everybody=False), now)
        while (offer := offers.next(now)) is not None:
            offers.sent(offer, SECOND, now)
            sent_us += SECOND
        now += 10 * SECOND
    assert sent_us <= 14 * SECOND + now // 100


def test_wants_are_bounded(net):
    wants = AirWants(names_of(net.ben.spaces, SALT), Random(1))
    space = net.ben.home.id
    reasons = [wants.add((space, b"a%03d" % number), 1, 0) for number in range(WANTS_MAX + 1)]
    assert reasons[-2:] == [None, DropReason.AIR_WANTS_FULL]
    assert len(wants.build(MINUTE, 400).ranges) == 32


def test_long_entries_under_way_are_bounded():
    parts = Parts()
    for seq in range(1, 100):
        parts.add(Part(b"idid", seq, 0, 2, b"x"))
    assert len(parts) <= ASSEMBLIES_MAX


def test_radio_without_room_is_tried_again(net):
    net.run(10 * MINUTE)
    net.anna.radios.room_left = False
    net.anna.post("patience")
    net.run(MINUTE)
    assert net.ben.texts() == []
    net.anna.radios.room_left = True
    net.run(MINUTE)
    assert net.ben.texts() == ["patience"]


SUBS = st.sampled_from([Sub.ENTRY, Sub.ENTRY_PART, Sub.DIGESTS, Sub.HEADS, Sub.NEEDS, Sub.HELD])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(SUBS, st.binary(max_size=120), st.booleans()), max_size=60), st.data())
def test_any_items_in_any_order_change_nothing(items, data):
    net = AirNet()
    anna, ben = net.home(2)
    net.run(2 * MINUTE)
    anna.radios.up = False
    before = ben.heads()
    home = ben.home
    known = [tag_of(ben), feed_name(home, anna.home.author), home.keys.author_id(home.author)]
    for sub, body, trusted in items:
        at = data.draw(st.integers(0, 6))
        piece = data.draw(st.sampled_from(known))
        say(ben, sub, body[:at] + piece + body[at:], trusted=trusted)
        net.run(SECOND)
    net.run(MINUTE)
    assert ben.heads() == before


def test_decoders_agree_with_what_is_on_air(net):
    short, _ = thin_of(net, "hello")
    assert decode_thin(short.encode()) == short
