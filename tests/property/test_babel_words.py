"""Plain pages are compared and changed word by word with the same result as by decoding them."""

from hypothesis import given
from hypothesis import strategies as st

from meshd.core.ids import Prefix
from meshd.wire import babel_words
from meshd.wire.babel import Hello, Ihu, Retraction, Update, encode
from meshd.wire.babel_changes import changes
from meshd.wire.babel_greeting import greeting
from meshd.wire.babel_parser import decode

PEER = bytes.fromhex("fe80000000000000") + (7).to_bytes(8, "big")
INTERVAL = 6000


def node(number: int) -> Prefix:
    """Return an address; a few share more than the prefix of their mesh, one is of another mesh."""
    mesh = b"\xfd\1\2\3\4\5" if number != 11 else b"\xfd\1\2\3\4\6"
    return Prefix(mesh + bytes((number % 3, number)) + number.to_bytes(8, "big"), 128)


def word(number: int, seqno: int = 1, metric: int = 256, interval_cs: int = INTERVAL) -> Update:
    prefix = node(number)
    return Update(prefix, prefix.address[8:], seqno, metric, interval_cs, PEER)


WORDS = st.builds(word, st.integers(1, 12), st.integers(1, 3), st.sampled_from((0, 256, 512)))
PAGE = st.lists(WORDS, min_size=1, max_size=12, unique_by=lambda update: update.prefix)
ODD = st.sampled_from(
    (
        word(3)._replace(router_id=b"\7" * 8),
        word(4)._replace(next_hop=PEER[:-1] + b"\x09"),
        word(5, interval_cs=800),
        Update(Prefix(bytes.fromhex("fd01") + bytes(14), 64), b"\7" * 8, 1, 1, INTERVAL, PEER),
        Retraction(node(6), 1, INTERVAL, origin=True),
        Hello(1, 400),
    )
)


@given(PAGE, st.lists(WORDS | ODD, min_size=1, max_size=12))
def test_differences_are_those_of_the_decoded_packets(before, after):
    one, other = encode(before, PEER), encode(after, PEER)
    found = babel_words.differences(one, other, PEER)
    if found is not None:
        assert found == changes(one, other, PEER)


@given(PAGE, PAGE)
def test_pages_that_begin_alike_are_compared_without_decoding(before, after):
    after = [before[0]._replace(metric=100), *(w for w in after if w.prefix != before[0].prefix)]
    one, other = encode(before, PEER), encode(after, PEER)
    if babel_words.words(one) and babel_words.words(other):
        assert babel_words.differences(one, other, PEER) == changes(one, other, PEER)


@given(PAGE, PAGE, st.integers(0, 400), st.integers(0, 255))
def test_damaged_page_is_never_taken_for_what_it_does_not_say(before, after, place, value):
    damaged = bytearray(encode(after, PEER))
    damaged[place % len(damaged)] = value
    one, other = encode(before, PEER), bytes(damaged)
    found = babel_words.differences(one, other, PEER)
    if found is not None:
        assert found == changes(one, other, PEER)


@given(PAGE, st.lists(WORDS, max_size=6), st.sets(st.integers(1, 12)))
def test_exchanged_words_are_those_that_were_asked_for(before, changed, gone):
    news = {update.prefix: update for update in changed}
    news |= {node(number): None for number in gone}
    left = {w.prefix: w for w in before}
    data = babel_words.exchanged(encode(before, PEER), set(left) | set(news), news, PEER)
    if data is not None:
        left |= {prefix: update for prefix, update in news.items() if update is not None}
        wanted = {p: w for p, w in left.items() if news.get(p, w) is not None}
        packet = decode(data, PEER)
        assert {tlv.prefix: tlv for tlv in packet.tlvs} == wanted
        assert len(packet.tlvs) == len(wanted) and not packet.ignored
        assert babel_words.words(data) is not None


def test_words_of_prefixes_that_are_known_no_more_go():
    page = [word(number) for number in (1, 2, 4, 5)]
    kept = {node(1), node(2), node(5)}
    data = babel_words.exchanged(encode(page, PEER), kept, {node(9): word(9)}, PEER)
    assert data == encode([word(1), word(2), word(5), word(9)], PEER)
    assert babel_words.exchanged(encode(page, PEER), {node(2)}, {}, PEER) is None


@given(PAGE, st.sets(st.integers(1, 12)))
def test_chosen_words_are_those_of_the_decoded_packet(page, numbers):
    data, wanted = encode(page, PEER), {node(number) for number in numbers}
    found = babel_words.chosen(data, wanted, PEER)
    if found is not None:
        assert found == [tlv for tlv in page if tlv.prefix in wanted]


@given(st.binary(max_size=120))
def test_any_bytes_are_a_page_or_none(body):
    data = bytes((42, 2)) + len(body).to_bytes(2, "big") + body
    babel_words.words(data)
    babel_words.differences(data, data, PEER)
    greeting(data, PEER)


def test_greeting_is_a_hello_and_the_ihus_with_it():
    ihu, other = Ihu(PEER, 256, 1200), Ihu(node(1).address, 512, 1200)
    assert greeting(encode([Hello(7, 400)], PEER), PEER) == (Hello(7, 400), {})
    both = encode([Hello(7, 400), ihu, other], PEER)
    assert greeting(both, PEER) == (Hello(7, 400), {ihu.address: ihu, other.address: other})
    for odd in (Hello(7, 0), Hello(7, 400, True)):
        assert greeting(encode([odd, ihu], PEER), PEER) is None
    for more in (word(1), Ihu(None, 256, 1200), Hello(8, 400)):
        assert greeting(encode([Hello(7, 400), more], PEER), PEER) is None
