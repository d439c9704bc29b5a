"""Who asks without end for ways by LoRa: what it costs is bounded, others are still answered."""

from radios.talk import RULES, S, Talker, node, plain

from meshd.routing.lora.credit import AWAITED_BYTES, CHANGES, Credit
from meshd.routing.lora.questions import WANTS_BURST, WANTS_EACH
from meshd.routing.lora.words import FRAME_COST, WAITING_MAX
from meshd.wire.lora_routes import WANTS_MAX, Ask, NamedEntry, Routes, Want

OWN, B, C, D = 1, 2, 3, 4
HOUR = 3600 * S


def short(number):
    return node(number)[:2]


def word(number, *rows, **more):
    """Return what a neighbour says, that it hears this node first."""
    named = tuple(NamedEntry(node(n), s, m, heard=h) for n, s, m, h in rows)
    return Routes(0, named=(NamedEntry(node(OWN), 0, 15, heard=True), *named), **more)


def rested():
    """Return a node that hears B and C, and by B of D, hours after its start."""
    talker = Talker(OWN)
    talker.lora.heard(node(B), 10.0, 0)
    talker.lora.heard(node(C), 10.0, 0)
    talker.lora.learn(node(B), word(B, (D, 4, 30, False)), 0)
    talker.lora.learn(node(C), word(C), 0)
    said(talker, 2 * HOUR)
    return talker


def said(talker, until_us):
    """Let time pass; return all that is said, with its time."""
    items = []
    while (now := talker.lora.due_us()) < until_us:
        talker.at(now)
        for number in (B, C):
            talker.lora.heard(node(number), 10.0, now)
        if (item := talker.lora.build(now, 200)) is not None:
            items.append((now, item))
    return items


def flooded(wants):
    """Return what is said in an hour in which B asks every four seconds, in bytes of airtime."""
    talker, items = rested(), []
    for count, now in enumerate(range(2 * HOUR, 3 * HOUR, 4 * S)):
        items += said(talker, now)
        talker.lora.learn(node(B), word(B, wants=wants(count)), now)
    return sum(len(item.encode()) + FRAME_COST for _, item in items), talker


def test_who_asks_for_ways_without_end_gets_a_bounded_part_of_the_channel():
    calm, _ = flooded(lambda count: ())
    bound = AWAITED_BYTES + CHANGES * RULES.share / 3 * HOUR / RULES.byte_us
    for wants in (
        lambda count: (Want(short(OWN), 0),),
        lambda count: (Want(short(D), 0),),
        lambda count: tuple(
            Want((1000 + count * WANTS_MAX + more).to_bytes(2, "big"), 1)
            for more in range(WANTS_MAX)
        ),
    ):
        size, _ = flooded(wants)
        assert size <= calm + 2 * bound


def test_beside_a_flood_the_wants_of_others_and_own_ones_are_asked():
    talker = rested()
    for number in range(WANTS_BURST):
        asked = Want((1000 + number).to_bytes(2, "big"), 1)
        talker.lora.learn(node(B), word(B, wants=(asked,)), 2 * HOUR)
    words = talker.lora._words
    assert len(words._wants) == WAITING_MAX // 2
    talker.lora.learn(node(B), word(B, wants=(Want(short(OWN), 0),)), 2 * HOUR)
    assert "lora-wants-rate" in talker.drops() and not words._own_asked
    talker.lora.learn(node(C), word(C, wants=(Want(short(OWN), 0),)), 2 * HOUR)
    assert words._own_asked
    talker.lora.want(short(D), 2 * HOUR)
    assert short(D) in words._wants
    later = 2 * HOUR + WANTS_EACH * RULES.want_us
    assert talker.lora._questions._wants.allow(node(B), later)


def test_what_is_awaited_has_an_account_beside_that_of_news():
    credit = Credit(RULES, 0)
    for _ in range(20):
        credit.spend(250, 3, HOUR, awaited=False)
    assert credit.paid_us(awaited=False) > HOUR >= credit.paid_us(awaited=True)
    for _ in range(AWAITED_BYTES // 250 + 1):
        credit.spend(250, 3, HOUR, awaited=True)
    assert credit.paid_us(awaited=True) > HOUR


def test_a_name_that_another_asked_for_is_asked_for_when_its_answer_was_lost():
    talker, now = rested(), 2 * HOUR
    talker.lora.learn(node(C), word(C, asks=(Ask(short(B), short(9)),)), now)
    talker.lora.learn(node(B), plain(B, [(9, 7, 30, False)]), now + S)
    asked = [at for at, item in said(talker, now + 300 * S) if item.asks]
    assert asked
