"""Time on air against published figures, and the limits of hearing."""

import pytest

from meshd.core.airtime import (
    LONG_FAST,
    SNR_LIMIT_DB,
    Modulation,
    airtime_us,
    noise_dbm,
)
from meshd.core.errors import UsageError

# Milliseconds at 125 kHz, 4/5, preamble 8, for SF7 to SF12.
PUBLISHED_MS = {
    12: (41, 82, 144, 289, 578, 1155),
    24: (62, 113, 206, 371, 823, 1483),
    51: (103, 185, 329, 616, 1315, 2466),
    100: (174, 308, 554, 1026, 2216, 3940),
    180: (287, 513, 923, 1681, 3609, 6562),
    222: (348, 615, 1107, 2009, 4428, 8036),
    255: (400, 707, 1250, 2296, 5001, 9019),
}


@pytest.mark.parametrize("size", PUBLISHED_MS)
def test_time_on_air_is_the_published_one(size):
    for factor, published_ms in zip(range(7, 13), PUBLISHED_MS[size], strict=True):
        got_us = airtime_us(Modulation(factor, 125_000, 1, 8), size)
        assert abs(got_us / 1000 - published_ms) <= 1, (factor, size)


def test_long_fast_is_the_published_one():
    assert round(airtime_us(LONG_FAST, 56) / 1000) == 682
    assert round(airtime_us(LONG_FAST, 255) / 1000) == 2157


def test_slow_symbols_are_optimised_at_any_bandwidth():
    """SF12 at 250 kHz has the symbol of SF11 at 125 kHz: both carry two bits less a symbol."""
    assert Modulation(12, 250_000).symbol_us == Modulation(11, 125_000).symbol_us == 16_384
    assert airtime_us(Modulation(11, 250_000), 100) < airtime_us(Modulation(11, 125_000), 100) / 2


def test_an_empty_frame_still_has_its_header():
    assert airtime_us(Modulation(12, 125_000), 0) > Modulation(12, 125_000).preamble_us


def test_coding_rate_costs_its_share():
    fast, safe = (airtime_us(Modulation(9, 125_000, rate), 200) for rate in (1, 4))
    assert 1.4 < safe / fast < 1.6


@pytest.mark.parametrize("factor", SNR_LIMIT_DB)
def test_each_step_of_spreading_hears_2_5_db_further(factor):
    got = noise_dbm(125_000) + Modulation(factor, 125_000).snr_limit_db
    assert got == pytest.approx(-124.5 - 2.5 * (factor - 7), abs=0.6)


def test_long_fast_hears_down_to_131_5_dbm():
    assert noise_dbm(250_000) == pytest.approx(-114.0, abs=0.1)
    assert noise_dbm(250_000) + LONG_FAST.snr_limit_db == pytest.approx(-131.5, abs=0.1)


def test_bit_rate_is_the_published_one():
    assert Modulation(7, 125_000).bits_per_s in (5468, 5469)
    assert Modulation(12, 500_000).bits_per_s in (1171, 1172)


@pytest.mark.parametrize(
    "wrong",
    [Modulation(6), Modulation(9, 1_000), Modulation(9, 125_000, 5), Modulation(preamble=2)],
)
def test_what_no_radio_can_do_is_refused(wrong):
    with pytest.raises(UsageError):
        wrong.checked()
