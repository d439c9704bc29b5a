"""What strangers may cost of the hour's control, and what is kept for who is new."""

from itertools import pairwise

import pytest

from meshd.core.law import HOUR_US, SubBand
from meshd.link.stranger_air import PERCENT, StrangerAir, Why, control_us

BAND = SubBand("M", 868_000_000, 868_600_000, 14.0, "erp", duty_ppm=10_000)
FRAME_US = 40_000
EACH_US = 1_000_000


def taken(air, why):
    """Return how much of an hour all who ask each second are given."""
    return FRAME_US * sum(air.allow(FRAME_US, now, why) for now in range(0, HOUR_US, EACH_US))


def most(*whys):
    return control_us(BAND) * sum(sum(PERCENT[why]) for why in whys) / 100


def test_noise_gets_its_part_and_who_is_new_still_finds_one():
    air = StrangerAir(BAND)
    assert 0.9 < taken(air, Why.NOISE) / most(Why.NOISE) < 1.3
    for why in (Why.WORDS, Why.BEACON):
        assert air.allow(FRAME_US, HOUR_US - EACH_US, why)


@pytest.mark.parametrize("why", [Why.WORDS, Why.BEACON])
def test_invented_nodes_get_their_part_and_that_of_noise(why):
    assert 0.9 < taken(StrangerAir(BAND), why) / most(why, Why.NOISE) < 1.2


def test_first_answers_leave_the_time_for_beacons_and_all_leave_some_for_who_is_here():
    air = StrangerAir(BAND)
    taken(air, Why.WORDS)
    assert 0.9 < taken(air, Why.BEACON) / most(Why.BEACON) < 1.2
    assert most(*Why) < 0.8 * control_us(BAND)


def test_however_many_are_invented_the_next_beacon_is_minutes_away():
    air, beacon_us, said = StrangerAir(BAND), 215_000, [0]
    for now in range(0, HOUR_US, EACH_US):
        if air.allow(beacon_us, now, Why.BEACON):
            said.append(now)
    gaps = [after - before for before, after in pairwise(said)]
    assert max(gaps) < HOUR_US // 5


def test_a_long_frame_goes_once_where_the_hour_is_short():
    air = StrangerAir(BAND)
    assert air.allow(3_000_000, 0, Why.NOISE)
    assert not air.allow(1, 0, Why.NOISE)
    assert not air.allow(1, HOUR_US, Why.NOISE)
    assert air.allow(1, 10 * HOUR_US, Why.NOISE)
