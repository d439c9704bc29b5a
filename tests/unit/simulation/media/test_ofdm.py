"""OFDM: airtimes that anyone can work out by hand, and the curve of errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.simulation.media import ofdm
from meshd.simulation.plan.plan import MediumPlan

LOW = ofdm.timing(MediumPlan("w0", "ip-radio"))
HIGH = ofdm.timing(MediumPlan("w0", "ip-radio", frequency_mhz=5180.0))
SLOWEST, FASTEST = ofdm.RATES[0], ofdm.RATES[-1]


def test_airtimes_are_the_standards():
    assert ofdm.airtime_us(1_536, FASTEST, HIGH) == 248
    assert ofdm.airtime_us(1_536, SLOWEST, HIGH) == 2_072
    assert ofdm.airtime_us(ofdm.ACK_BYTES, ofdm.RATES[4], HIGH) == 28
    assert ofdm.airtime_us(122, SLOWEST, LOW) == 194


def test_half_the_channel_takes_twice_the_time():
    half = ofdm.timing(MediumPlan("w0", "ip-radio", frequency_mhz=5180.0, bandwidth_khz=10_000))
    assert ofdm.airtime_us(1_536, FASTEST, half) == 496


def test_noise_of_a_receiver():
    plan = MediumPlan("w0", "ip-radio", noise_figure_db=6.0)
    assert abs(ofdm.noise_dbm(plan) - -95.0) < 0.05


@pytest.mark.parametrize("rate", ofdm.RATES)
def test_one_of_ten_long_frames_is_lost_at_the_limit(rate):
    assert abs(ofdm.success(rate.snr_db, rate, 1_000) - 0.9) < 1e-9
    assert ofdm.success(rate.snr_db - 2.1, rate, 1_000) < 0.1
    assert ofdm.success(rate.snr_db + 3, rate, 1_000) > 0.998


@given(st.floats(-50, 60), st.floats(0, 10), st.integers(1, 3_000), st.integers(0, 1_000))
def test_stronger_and_shorter_arrive_more_often(snr_db, more_db, octets, more):
    for rate in (SLOWEST, FASTEST):
        share = ofdm.success(snr_db, rate, octets)
        assert 0.0 <= share <= 1.0
        assert ofdm.success(snr_db + more_db, rate, octets) >= share
        assert ofdm.success(snr_db, rate, octets + more) <= share


def test_table_agrees_with_the_curve():
    for snr_db in (0.0, 3.25, 4.0, 12.5, 21.0):
        column = ofdm.arrivals(0, ofdm.snr_step(snr_db))[ofdm.bucket(1_000)]
        assert abs(column - ofdm.success(snr_db, SLOWEST, 1_022)) < 0.05


def test_best_rate_climbs_with_the_ratio():
    rates = [ofdm.best_rate(ofdm.snr_step(snr), len(ofdm.RATES), LOW) for snr in range(30)]
    assert rates == sorted(rates)
    assert rates[0] == rates[3] == 0
    assert rates[-1] == len(ofdm.RATES) - 1
    assert ofdm.best_rate(ofdm.snr_step(29), 3, LOW) == 2
