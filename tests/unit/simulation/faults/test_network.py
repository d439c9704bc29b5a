"""Faults between hosts: each alone, several at once, and none."""

from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.simulation.faults.network import (
    Clog,
    NetworkFaults,
    Passage,
    Split,
    Trouble,
    uniform_split,
)

HOSTS = [SimpleNamespace(number=number) for number in range(6)]
PORTS = [SimpleNamespace(host=host) for host in HOSTS]
ALL = frozenset(range(6))
UNHARMED = (Passage(0, False),)


@pytest.fixture
def faults():
    return NetworkFaults(Random(1))


def passes(faults, sender, hearer, size=100):
    return tuple(faults.passes(PORTS[sender], PORTS[hearer], size))


def test_nothing_happens_without_rules(faults):
    assert not faults.active
    assert passes(faults, 0, 1) == UNHARMED
    assert not faults.cut(HOSTS[0], HOSTS[1])


def test_split_keeps_both_sides_apart_and_whole(faults):
    split = Split(frozenset({0, 1}))
    faults.begin(split)
    assert faults.active
    assert passes(faults, 0, 2) == passes(faults, 2, 0) == ()
    assert passes(faults, 0, 1) == passes(faults, 2, 3) == UNHARMED
    assert faults.cut(HOSTS[0], HOSTS[2]) and faults.cut(HOSTS[2], HOSTS[0])
    faults.end(split)
    assert not faults.active
    assert passes(faults, 0, 2) == UNHARMED


def test_one_way_split_is_heard_by_nobody_but_hears(faults):
    faults.begin(Split(frozenset({0}), one_way=True))
    assert passes(faults, 0, 1) == ()
    assert passes(faults, 1, 0) == UNHARMED
    assert faults.cut(HOSTS[0], HOSTS[1]) and faults.cut(HOSTS[1], HOSTS[0])


def test_equal_rules_end_one_by_one(faults):
    first, second = Split(frozenset({0})), Split(frozenset({0}))
    faults.begin(first)
    faults.begin(second)
    faults.end(first)
    faults.end(first)
    assert passes(faults, 0, 1) == ()
    faults.end(second)
    assert not faults.active


def test_clogs_add_up_on_their_pairs_both_ways(faults):
    faults.begin(Clog(frozenset({0}), frozenset({1, 2}), 70))
    faults.begin(Clog(ALL, ALL, 5))
    assert passes(faults, 0, 1) == passes(faults, 1, 0) == (Passage(75, False),)
    assert passes(faults, 1, 2) == (Passage(5, False),)
    assert passes(faults, 0, 2) == (Passage(75, False),)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_shares_are_as_asked(faults, share):
    def count(trouble):
        faults.begin(trouble)
        seen = [passes(faults, 0, 1) for _ in range(3_000)]
        faults.end(trouble)
        return seen

    lost = count(Trouble(ALL, lose=share))
    assert abs(sum(not arrivals for arrivals in lost) / 3_000 - share) < 0.03
    twice = count(Trouble(ALL, duplicate=share))
    assert abs(sum(len(arrivals) == 2 for arrivals in twice) / 3_000 - share) < 0.03
    corrupt = count(Trouble(ALL, corrupt=share))
    assert abs(sum(arrivals[0].corrupt for arrivals in corrupt) / 3_000 - share) < 0.03
    late = count(Trouble(ALL, reorder=share, reorder_us=1_000_000))
    assert abs(sum(arrivals[0].delay_us > 0 for arrivals in late) / 3_000 - share) < 0.03
    assert max(arrivals[0].delay_us for arrivals in late) <= 1_000_000


def test_trouble_stays_with_its_nodes(faults):
    faults.begin(Trouble(frozenset({3}), lose=1.0))
    assert passes(faults, 3, 0) == passes(faults, 0, 3) == ()
    assert passes(faults, 0, 1) == UNHARMED


def test_all_at_once_compose(faults):
    faults.begin(Trouble(ALL, duplicate=1.0))
    faults.begin(Trouble(ALL, duplicate=1.0, corrupt=1.0))
    faults.begin(Clog(ALL, ALL, 10))
    arrivals = passes(faults, 0, 1)
    assert len(arrivals) == 4
    assert all(passage.corrupt and passage.delay_us >= 10 for passage in arrivals)
    faults.begin(Split(frozenset({1})))
    assert passes(faults, 0, 1) == ()


@given(st.binary(min_size=1, max_size=60), st.integers())
def test_flipped_bytes_keep_their_length_and_few_bits_differ(data, seed):
    changed = NetworkFaults(Random(seed)).flip(data)
    assert len(changed) == len(data)
    bits = sum((one ^ other).bit_count() for one, other in zip(data, changed, strict=True))
    assert bits <= 4


def test_flip_changes_something_nearly_always(faults):
    assert sum(faults.flip(bytes(64)) != bytes(64) for _ in range(200)) >= 198
    assert faults.flip(b"") == b""


def test_streams_are_rarely_corrupt_and_only_then(faults):
    assert faults.stream_bytes(HOSTS[0], HOSTS[1], b"abc") == b"abc"
    faults.begin(Trouble(frozenset({0}), corrupt=1.0))
    seen = sum(faults.stream_bytes(HOSTS[0], HOSTS[1], bytes(9)) != bytes(9) for _ in range(9_000))
    assert 1 <= seen <= 30
    assert all(faults.stream_bytes(HOSTS[2], HOSTS[1], b"q") == b"q" for _ in range(9_000))


@given(st.sets(st.integers(0, 99), min_size=2), st.floats(0, 1), st.integers())
def test_uniform_split_has_two_sides(numbers, share, seed):
    split = uniform_split(numbers, share, Random(seed))
    assert 0 < len(split.side) < len(numbers)
    assert split.side <= numbers
    assert uniform_split(sorted(numbers), share, Random(seed)).side == split.side


def test_same_seed_same_fate():
    def fate(seed):
        faults = NetworkFaults(Random(seed))
        faults.begin(Trouble(ALL, lose=0.3, duplicate=0.3, reorder=0.3, reorder_us=999))
        return [passes(faults, 0, 1) for _ in range(50)]

    assert fate(5) == fate(5) != fate(6)


def test_who_waits_for_acknowledgements_loses_a_frame_only_when_all_tries_are_lost(faults):
    faults.begin(Trouble(ALL, lose=0.5))
    count = 2_000
    once = sum(bool(faults.passes(PORTS[0], PORTS[1], 100)) for _ in range(count))
    four = sum(bool(faults.passes(PORTS[0], PORTS[1], 100, 3)) for _ in range(count))
    assert abs(once / count - 1 / 2) < 0.05
    assert abs(four / count - 15 / 16) < 0.02
