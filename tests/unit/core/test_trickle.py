"""Trickle: when to speak, and when not to (RFC 6206, with what was changed)."""

import itertools
from random import Random

from meshd.core.trickle import EARLY, RESETS_MAX, RESETS_SPAN_US, Trickle

S = 1_000_000


def make(seed=1, redundancy=2):
    trickle = Trickle(Random(seed), shortest_us=2 * S, doublings=4, redundancy=redundancy)
    trickle.start(0)
    return trickle


def words(trickle, until_us, *, heard=0, silent=False):
    """Return when it speaks, while `heard` others say the same in each interval."""
    said, now = [], 0
    while now < until_us:
        now = trickle.due_us
        for _ in range(heard):
            trickle.consistent()
        if trickle.poll(now, silent=silent):
            said.append(now)
    return said


def test_first_word_comes_within_half_of_the_shortest_interval():
    assert all(0 <= words(make(seed), 1)[0] <= S for seed in range(20))


def test_intervals_stay_short_at_first_and_then_double_to_the_longest():
    said = words(make(), 400 * S)
    assert EARLY == 3 and said[2] < 6 * S
    gaps = [after - before for before, after in itertools.pairwise(said)]
    assert max(gaps) <= 1.5 * 32 * S and max(gaps[-3:]) > 16 * S


def test_silence_when_others_say_it():
    assert words(make(), 400 * S, heard=2) == []


def test_whoever_was_silent_speaks_whatever_others_say():
    assert len(words(make(), 400 * S, heard=2, silent=True)) > 10


def test_newcomer_begins_a_short_interval():
    trickle = make()
    words(trickle, 400 * S)
    trickle.inconsistent(400 * S)
    assert 401 * S <= trickle.due_us <= 402 * S


def test_newcomer_is_not_answered_twice_when_a_word_is_due_anyway():
    trickle = make()
    due_us = trickle.due_us
    trickle.inconsistent(0)
    assert trickle.due_us == due_us


def test_newcomer_after_the_word_of_a_short_interval_is_answered():
    trickle = make()
    now = trickle.due_us
    assert trickle.poll(now, silent=False)
    trickle.inconsistent(now)
    assert now + S <= trickle.due_us <= now + 2 * S


def test_invented_newcomers_make_nobody_talk_all_the_time():
    trickle = make(redundancy=1000)
    said = 0
    for now in range(0, RESETS_SPAN_US, 100_000):
        trickle.inconsistent(now)
        said += trickle.poll(now, silent=False)
    assert said <= RESETS_MAX + EARLY + 6
