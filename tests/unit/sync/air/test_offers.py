"""What goes on the air first of what waits for a radio."""

from meshd.sync.air.offers import ASKED_SPAN_US, CALLERS_MAX, Offer, Offers
from meshd.wire.air_entry import Thin
from meshd.wire.entry import Kind

SPACE, ONE, OTHER = b"s" * 32, b"a" * 32, b"b" * 32


def offer(author, seq, kind):
    thin = Thin(
        kind=kind,
        flags=0,
        author=author[:4],
        seq=seq,
        time_s=0,
        membership=b"",
        prev=bytes(4),
        seed=bytes(8),
        clear=b"",
        sealed=b"x",
        signature=bytes(64),
    )
    return Offer((SPACE, author, seq), thin, 0, everybody=False)


def order(*offers):
    waiting, found = Offers(), []
    for one in offers:
        assert waiting.add(one, 0) is None
    while (best := waiting.next(0)) is not None:
        waiting.sent(best, 0, 0)
        found.append(best.key[1:])
    return found


def test_texts_of_one_author_go_before_documents_of_another():
    assert order(offer(ONE, 3, Kind.FILE), offer(OTHER, 9, Kind.POST)) == [(OTHER, 9), (ONE, 3)]


def test_a_feed_goes_in_its_order_since_nobody_takes_a_text_before_the_document_in_front_of_it():
    assert order(
        offer(ONE, 5, Kind.POST), offer(ONE, 4, Kind.FILE), offer(OTHER, 9, Kind.FILE)
    ) == [(ONE, 4), (ONE, 5), (OTHER, 9)]


def test_a_call_for_help_goes_before_records_and_texts():
    help_me = offer(OTHER, 9, Kind.DISTRESS)
    assert order(offer(ONE, 3, Kind.POST), offer(ONE, 2, Kind.ADMIT), help_me)[0] == (OTHER, 9)


def test_a_call_for_help_goes_before_what_its_author_wrote_before_it():
    text, help_me = offer(ONE, 8, Kind.POST), offer(ONE, 9, Kind.DISTRESS)
    assert order(text, help_me) == [(ONE, 9), (ONE, 8)]
    waiting = Offers()
    assert waiting.add(text, 0) is waiting.add(help_me, 0) is None
    waiting.later(text, 5)
    assert waiting.next(0) == help_me


def test_of_an_authors_calls_for_help_one_in_ten_minutes_is_urgent():
    waiting, first, next_one = Offers(), offer(ONE, 4, Kind.DISTRESS), offer(ONE, 5, Kind.DISTRESS)
    assert waiting.priority(first, 0) == waiting.priority(first, 599_000_000) == 0
    assert waiting.priority(next_one, 599_000_000) == waiting.priority(offer(ONE, 6, Kind.POST), 0)
    assert waiting.priority(offer(OTHER, 5, Kind.DISTRESS), 0) == 0
    assert waiting.priority(next_one, 600_000_000) == 0


def test_authors_who_called_for_help_are_bounded():
    waiting = Offers()
    for number in range(CALLERS_MAX + 50):
        assert waiting.priority(offer(number.to_bytes(32, "big"), 1, Kind.DISTRESS), number) == 0
    assert len(waiting.callers) == CALLERS_MAX


def test_what_nobody_asks_for_again_does_not_go_before_what_is_lacked():
    waiting, old, again = Offers(), offer(ONE, 1, Kind.POST), offer(ONE, 2, Kind.POST)
    for one in (old, again, offer(OTHER, 1, Kind.POST)._replace(everybody=True)):
        waiting.add(one, 0)
    assert waiting.again(again.key, ASKED_SPAN_US - 1)
    waiting.add(offer(ONE, 9, Kind.POST), ASKED_SPAN_US - 1)
    assert waiting.next(ASKED_SPAN_US - 1) == old
    found = []
    while (best := waiting.next(ASKED_SPAN_US)) is not None:
        waiting.sent(best, 0, ASKED_SPAN_US)
        found.append(best.key[1:])
    assert found == [(OTHER, 1), (ONE, 2), (ONE, 9)]


def test_an_ask_does_not_bring_back_what_was_let_go():
    waiting, one = Offers(), offer(ONE, 1, Kind.POST)
    waiting.add(one, 0)
    assert waiting.next(ASKED_SPAN_US) is None
    assert not waiting.again(one.key, ASKED_SPAN_US)
    assert not len(waiting)
