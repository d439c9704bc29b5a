"""Rateless set reconciliation: any two sets, any loss, any lie, and what it costs."""

from random import Random
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.core.errors import UsageError, WireError
from meshd.sync.air.riblt import Difference, Sketch
from meshd.wire import varint
from meshd.wire.symbols import SET_MAX, SYMBOLS_MAX, Symbol, SymbolBatch, likely

NAMES = st.sets(st.integers(0, 400).map(lambda number: number.to_bytes(2, "big")), max_size=200)
NUMBERS = st.integers(0, 2**64 - 1)


def sketch(names, key=b"key"):
    return Sketch(key, sorted(names))


def told(own, other, *, lost=lambda place: False):
    """Tell `own` of `other` until it knows; return the difference and the symbols sent."""
    difference = Difference(own, other.size, other.check)
    for place in range(SYMBOLS_MAX):
        if difference.done or difference.failed:
            return difference, place
        if not lost(place):
            difference.add(place, *other.symbols(place, 1))
    return difference, SYMBOLS_MAX


def found(difference, other):
    assert difference.done
    there = {other.name_of(member) for member in difference.only_there}
    return there, set(difference.only_here)


@settings(max_examples=150, deadline=None)
@given(NAMES, NAMES, st.binary(min_size=1, max_size=8))
def test_any_two_sets(one, two, key):
    here, there = sketch(one, key), sketch(two, key)
    difference, sent = told(here, there)
    assert found(difference, there) == (two - one, one - two)
    assert (sent == 0) is (one == two)


@settings(max_examples=60, deadline=None)
@given(NAMES, NAMES, st.integers(0, 2**32))
def test_any_symbols_may_be_lost_the_first_too(one, two, seed):
    random = Random(seed)
    here, there = sketch(one), sketch(two)
    lost = {place for place in range(SYMBOLS_MAX) if random.random() < 0.3} | {0}
    difference, _ = told(here, there, lost=lost.__contains__)
    assert found(difference, there) == (two - one, one - two)


@settings(max_examples=40, deadline=None)
@given(NAMES, NAMES, st.integers(0, 2**32))
def test_symbols_may_come_in_any_order(one, two, seed):
    random = Random(seed)
    here, there = sketch(one), sketch(two)
    places = list(range(min(SYMBOLS_MAX, 24 + 4 * len(one ^ two))))
    random.shuffle(places)
    difference = Difference(here, there.size, there.check)
    for place in places:
        difference.add(place, *there.symbols(place, 1))
    assert found(difference, there) == (two - one, one - two)


def test_hundreds_of_differences():
    random = Random(3)
    names = [random.randbytes(8) for _ in range(3000)]
    here, there = sketch(names[:2700]), sketch(names[300:])
    difference, sent = told(here, there)
    assert found(difference, there) == (set(names[2700:]), set(names[:300]))
    assert sent < 1.6 * 600


def test_costs_about_one_and_a_half_symbols_a_difference():
    random = Random(4)
    spent = {}
    for count, wanted in ((10, 1.95), (100, 1.55)):
        runs = []
        for salt in range(12):
            names = [random.randbytes(8) for _ in range(500)]
            key = bytes([salt])
            here, there = sketch(names[: 500 - count // 2], key), sketch(names[count // 2 :], key)
            runs.append(told(here, there)[1] / (2 * (count // 2)))
        spent[count] = mean(runs)
        assert spent[count] <= wanted, spent
    one = sketch([random.randbytes(8) for _ in range(500)])
    more = Sketch(b"key", [*one._names.values(), b"new"])
    assert told(one, more)[1] <= 3


@settings(max_examples=60, deadline=None)
@given(NAMES, NAMES)
def test_symbols_follow_changes_of_the_set(one, two):
    kept = sketch(one)
    kept.symbols(0, 100)
    for name in sorted(two - one):
        kept.add(name)
    for name in sorted(one - two):
        kept.remove(name)
    anew = sketch(two)
    assert kept.symbols(0, 200) == anew.symbols(0, 200)
    assert (kept.size, kept.check) == (anew.size, anew.check)


def test_a_set_that_changed_begins_anew():
    here, there = sketch([b"a"]), sketch([b"b", b"c"])
    difference = Difference(here, there.size, there.check)
    here.add(b"d")
    difference.add(0, *there.symbols(0, 1))
    assert difference.failed and not difference.done


# --- lies ---------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    NAMES,
    st.integers(0, SET_MAX),
    st.integers(0, 2**32 - 1),
    st.lists(
        st.tuples(st.integers(0, SYMBOLS_MAX + 5), NUMBERS, st.integers(0, 2**32 - 1)),
        max_size=120,
    ),
    st.data(),
)
def test_garbage_ends_and_yields_no_more_than_it_took(names, size, check, garbage, data):
    difference = Difference(sketch(names), size, check)
    for place, total, mark in garbage:
        count = data.draw(st.sampled_from([0, 1, 2, len(names), len(names) + 1]))
        difference.add(place, Symbol(total, mark, count))
    many = len(difference.only_there) + len(difference.only_here)
    assert many <= difference.received <= len(garbage)


def test_a_liar_with_the_key_makes_no_endless_peeling():
    """Symbols that are each alone with a true check, for the same member again and again."""
    here, liar = sketch([b"a", b"b"]), sketch([b"evil"])
    (alone,) = liar.symbols(0, 1)
    difference = Difference(here, 40, 1)
    for place in range(200):
        (mine,) = here.symbols(place, 1)
        lie = Symbol(alone.sum ^ mine.sum, alone.check ^ mine.check, mine.members + 1)
        difference.add(place, lie)
    assert difference.failed
    assert len(difference.only_there) <= 1


def test_a_member_that_is_here_is_not_only_there():
    here = sketch([b"a"])
    (alone,) = here.symbols(0, 1)
    difference = Difference(here, 5, 1)
    difference.add(0, Symbol(0, 0, 2))
    assert difference.failed
    assert not difference.only_there and alone.members == 1


@settings(max_examples=60, deadline=None)
@given(NAMES, NAMES, st.integers(0, 30), NUMBERS)
def test_one_bad_symbol_is_never_taken_for_the_truth(one, two, place, noise):
    here, there = sketch(one), sketch(two)
    difference = Difference(here, there.size, there.check)
    for number in range(200):
        symbol = there.symbols(number, 1)[0]
        if number == place:
            symbol = symbol._replace(sum=symbol.sum ^ noise)
        difference.add(number, symbol)
    if difference.done:
        assert found(difference, there) == (two - one, one - two)


def test_names_that_meet_under_one_key_part_under_the_next():
    """Nobody grinds ids beforehand: walks and ids of the same names differ with each salt."""
    names = [bytes([number]) for number in range(50)]
    one, two = sketch(names, b"space" + bytes(4)), sketch(names, b"space" + b"\0\0\0\1")
    assert one.symbols(1, 20) != two.symbols(1, 20)
    assert not set(one._names) & set(two._names)


def test_bounds():
    own = sketch([b"a"])
    with pytest.raises(UsageError):
        own.symbols(0, SYMBOLS_MAX + 1)
    own._names.update(dict.fromkeys(range(SET_MAX), b""))
    with pytest.raises(UsageError):
        own.add(b"one more")
    own.add(b"a")
    own.remove(b"never there")


# --- the wire ------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(NAMES, st.integers(0, 255), st.binary(min_size=4, max_size=4), st.integers(0, 50))
def test_batches_read_back(names, subject, about, first):
    own = sketch(names)
    symbols = own.symbols(first, 14)
    batch = SymbolBatch(subject, about, b"salt", own.size, own.check, first, symbols)
    data = batch.encode()
    assert SymbolBatch.decode(data) == batch
    assert len(data) <= 13 + 6 + 14 * 14


@settings(max_examples=300)
@given(st.binary(max_size=120))
def test_any_bytes_are_a_batch_or_an_error(data):
    try:
        batch = SymbolBatch.decode(data)
    except WireError:
        return
    assert batch.encode() == data
    assert all(0 <= symbol.members <= batch.size for symbol in batch.symbols)


@given(st.integers(0, 90))
def test_a_batch_cut_off_anywhere_is_refused_or_shorter(cut):
    own = sketch([bytes([number]) for number in range(40)])
    data = SymbolBatch(1, b"abcd", b"salt", 40, own.check, 0, own.symbols(0, 5)).encode()
    short = data[: min(cut, len(data) - 1)]
    try:
        assert SymbolBatch.decode(short).encode() == short
    except WireError:
        pass


@given(st.integers(0, varint.VARINT_MAX))
def test_numbers_read_back(value):
    assert varint.decode(b"x" + varint.encode(value) + b"y", 1) == (
        value,
        1 + len(varint.encode(value)),
    )


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\x00", b"\xff" * 5, b"\x80\x80\x80\x80\x80"])
def test_numbers_have_one_form(data):
    with pytest.raises(WireError):
        varint.decode(data, 0)


def test_likely_counts():
    assert [likely(100, place) for place in (0, 1, 2, 8, 198)] == [100, 66, 50, 20, 1]
