"""Erasure codes: any k of n pieces give the blob back, and wrong pieces are named."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.core.errors import UsageError
from meshd.sync.files.air.erasure import (
    _INVERSE,
    PIECES_MAX,
    Cauchy,
    _times,
    cut,
    mark_of,
    wrong,
)

CODE = Cauchy()


def made(count, size, repairs, seed, code=CODE):
    random = Random(seed)
    pieces = [random.randbytes(size) for _ in range(count)]
    return random, [*pieces, *(code.repair(pieces, count + each) for each in range(repairs))]


def slow_times(one, two):
    """Multiply bit by bit, as the polynomial says."""
    product = 0
    while two:
        product ^= one if two & 1 else 0
        one = one << 1 ^ (0x11D if one & 0x80 else 0)
        two >>= 1
    return product


def test_the_field_is_the_field():
    for factor in range(1, 256):
        table = _times(factor)
        assert sorted(table) == list(range(256))
        assert all(table[value] == slow_times(factor, value) for value in range(0, 256, 7))
        assert table[_INVERSE[factor]] == 1


@settings(max_examples=120, deadline=None)
@given(st.integers(1, 60), st.integers(1, 40), st.integers(0, 60), st.integers(0, 2**32))
def test_any_k_of_n_pieces_give_it_back(count, size, repairs, seed):
    random, pieces = made(count, size, repairs, seed)
    held = sorted(random.sample(range(count + repairs), count))
    assert CODE.restore(count, {place: pieces[place] for place in held}) == tuple(pieces[:count])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 2**32))
def test_one_piece_less_is_too_few(count, repairs, seed):
    random, pieces = made(count, 8, repairs, seed)
    held = random.sample(range(count + repairs), count - 1)
    assert CODE.restore(count, {place: pieces[place] for place in held}) is None


@pytest.mark.parametrize("count", [1, 2, 127, 128, 200, 254, 255])
def test_to_the_last_number(count):
    random, pieces = made(count, 3, PIECES_MAX - count, count)
    held = random.sample(range(PIECES_MAX), count)
    assert CODE.restore(count, {place: pieces[place] for place in held}) == tuple(pieces[:count])


def test_pieces_end_at_255():
    with pytest.raises(UsageError):
        CODE.repair([b"a"] * 200, PIECES_MAX)
    with pytest.raises(UsageError):
        CODE.repair([b"a"] * 200, 199)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(0, 10), st.integers(0, 2**32), st.sets(st.integers(0, 39)))
def test_wrong_pieces_are_named(count, repairs, seed, spoilt):
    random, pieces = made(count, 20, repairs, seed)
    marks = [mark_of(number, piece) for number, piece in enumerate(pieces)]
    held = dict(enumerate(pieces))
    spoilt &= held.keys()
    for number in spoilt:
        bad = bytearray(held[number])
        bad[random.randrange(20)] ^= random.randint(1, 255)
        held[number] = bytes(bad)
    assert wrong(marks, held) == tuple(sorted(spoilt))
    assert wrong(marks[:1], held) == (*([0] if 0 in spoilt else []), *range(1, len(held)))


def test_a_piece_in_another_place_is_wrong():
    _, pieces = made(2, 8, 0, 1)
    marks = [mark_of(number, piece) for number, piece in enumerate(pieces)]
    assert wrong(marks, {0: pieces[1], 1: pieces[0]}) == (0, 1)


@given(st.binary(max_size=300), st.integers(1, 50))
def test_blobs_are_cut_and_filled_up(blob, size):
    pieces = list(cut(blob, size))
    assert all(len(piece) == size for piece in pieces)
    assert b"".join(pieces)[: len(blob)] == blob
    assert len(pieces) == -(-len(blob) // size)
