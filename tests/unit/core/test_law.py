"""The verdict on one radio setting: inside a band, weak enough, and never without a region."""

import pytest

from meshd.core.errors import UsageError
from meshd.core.law import HOUR_US, NO_LAW, Law, SubBand

M = SubBand("M", 868_000_000, 868_600_000, 14, "erp", 10_000)
WIDE = SubBand("W", 902_000_000, 910_000_000, 30, "eirp", dwell_us=400_000, dwell_below_hz=500_000)
SHY = SubBand("S", 920_000_000, 921_000_000, 10, "eirp", listen_first=True)
LAW = Law("XX", (M, WIDE, SHY))


def test_nothing_is_allowed_before_a_region_is_chosen():
    with pytest.raises(UsageError, match="no region is chosen"):
        NO_LAW.judge(868_100_000, 125_000, 0)


@pytest.mark.parametrize("hz", [868_062_500, 868_300_000, 868_537_500])
def test_whole_occupied_band_inside_is_allowed(hz):
    assert LAW.judge(hz, 125_000, 14) is M


@pytest.mark.parametrize("hz", [868_062_499, 868_537_501, 868_700_000, 0, -5])
def test_occupied_band_that_reaches_out_is_refused_and_what_is_allowed_is_told(hz):
    with pytest.raises(UsageError, match=r"allowed: 868-868\.6 MHz, 14 dBm ERP, 1 % of any hour"):
        LAW.judge(hz, 125_000, 14)


def test_half_a_hertz_too_far_is_too_far():
    with pytest.raises(UsageError):
        LAW.judge(868_062_500, 125_001, 14)


@pytest.mark.parametrize(
    ("hz", "antenna_dbi", "most"),
    [(868_300_000, 2.15, 14), (868_300_000, 5.15, 11), (905_000_000, 2.15, 27.85)],
)
def test_antenna_counts(hz, antenna_dbi, most):
    assert LAW.judge(hz, 125_000, most, antenna_dbi=antenna_dbi)
    with pytest.raises(UsageError, match=f"allowed with an antenna .*: {most:g} dBm"):
        LAW.judge(hz, 125_000, most + 0.01, antenna_dbi=antenna_dbi)


def test_power_that_is_no_number_is_refused():
    with pytest.raises(UsageError):
        LAW.judge(868_300_000, 125_000, float("nan"))


def test_bandwidth_must_be_one():
    with pytest.raises(UsageError, match="bandwidth of 0 Hz"):
        LAW.judge(868_300_000, 0, 14)


def test_radio_that_does_not_listen_is_kept_from_bands_that_demand_it():
    with pytest.raises(UsageError, match="listen before they talk"):
        LAW.judge(920_500_000, 125_000, 0)
    assert LAW.judge(920_500_000, 125_000, 0, listens=True) is SHY


def test_dwell_time_bounds_frames_of_narrow_bandwidths():
    assert WIDE.frame_us_max(499_999) == 400_000
    assert WIDE.frame_us_max(500_000) == HOUR_US
    assert M.frame_us_max(125_000) == HOUR_US
