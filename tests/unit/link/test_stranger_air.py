"""What strangers may cost of the hour's control, and what is kept for who is new."""

from meshd.core.law import HOUR_US, SubBand
from meshd.link.stranger_air import NEW_PERCENT, STRANGE_PERCENT, StrangerAir, control_us

BAND = SubBand("M", 868_000_000, 868_600_000, 14.0, "erp", duty_ppm=10_000)
FRAME_US = 40_000


def taken(air, *, new):
    """Return how much of an hour all who ask each second are given."""
    return FRAME_US * sum(air.allow(FRAME_US, now, new=new) for now in range(0, HOUR_US, 1_000_000))


def test_strangers_get_a_fifth_of_control_and_who_is_new_still_finds_a_part():
    air = StrangerAir(BAND)
    strange = taken(air, new=False)
    assert 0.9 < strange / (control_us(BAND) * STRANGE_PERCENT / 100) < 1.3
    assert air.allow(FRAME_US, HOUR_US - 1_000_000, new=True)


def test_invented_nodes_get_their_part_and_that_of_strangers():
    most = control_us(BAND) * (NEW_PERCENT + STRANGE_PERCENT) / 100
    assert 0.9 < taken(StrangerAir(BAND), new=True) / most < 1.2


def test_a_long_frame_goes_once_where_the_hour_is_short():
    air = StrangerAir(BAND)
    assert air.allow(3_000_000, 0)
    assert not air.allow(1, 0)
    assert not air.allow(1, HOUR_US)
    assert air.allow(1, 10 * HOUR_US)
