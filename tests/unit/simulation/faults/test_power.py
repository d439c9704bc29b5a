"""Batteries and the sun: harvest, emptiness, and waking without flutter."""

import itertools
from math import isclose, pi

from hypothesis import given
from hypothesis import strategies as st

from meshd.simulation.faults.power import WAKE_SHARE, Battery, Power, SunPower, harvest_wh
from meshd.simulation.plan.plan import Sun

HOUR = 3_600
SMALL = Sun(battery_wh=20.0, panel_w=5.0, load_w=2.0, charge=0.5)


def drive(sun, hours):
    """Return when the host was switched, in hours, and to what."""
    heap, seen = [], []
    power = Power(
        lambda: seen.append((now / HOUR, False)), lambda _: seen.append((now / HOUR, True))
    )
    sun_power = SunPower(sun, lambda when, act: heap.append((when, act)), power)
    now = 0.0
    sun_power.begin(0)
    while heap and heap[0][0] <= hours * HOUR * 1e6:
        when, act = heap.pop(0)
        now = when / 1e6
        act()
    return seen, sun_power.battery


def test_a_day_of_sun_is_the_area_of_half_a_sine():
    sun = Sun(battery_wh=100, panel_w=10)
    assert isclose(harvest_wh(sun, 0, 86_400), 10 * 12 * 2 / pi)
    assert harvest_wh(sun, 0, 6 * HOUR) == harvest_wh(sun, 18 * HOUR, 24 * HOUR) == 0
    assert isclose(harvest_wh(sun, 6 * HOUR, 12 * HOUR), 10 * 6 * 2 / pi)
    noon = harvest_wh(sun, 12 * HOUR - 60, 12 * HOUR + 60)
    assert isclose(noon, 10 * 120 / HOUR, rel_tol=1e-4)


@given(st.lists(st.floats(0, 400_000), min_size=3, max_size=8))
def test_harvest_adds_up(times):
    times = sorted(times)
    parts = sum(harvest_wh(SMALL, a, b) for a, b in itertools.pairwise(times))
    assert isclose(parts, harvest_wh(SMALL, times[0], times[-1]), abs_tol=1e-6)


def test_empty_at_night_and_back_in_the_morning():
    seen, battery = drive(SMALL, 48)
    (off_h, first), (on_h, second) = seen[:2]
    assert (first, second) == (False, True)
    assert 4.9 < off_h < 5.1, "10 Wh at 2 W"
    assert 6 < on_h < 9
    assert harvest_wh(SMALL, 0, on_h * HOUR) >= WAKE_SHARE * 20
    assert 0 <= battery.charge_wh <= 20


def test_switches_alternate_and_are_few():
    seen, _ = drive(SMALL, 24 * 10)
    assert all(one[1] != other[1] for one, other in itertools.pairwise(seen))
    assert 10 <= len(seen) <= 30


def test_enough_sun_never_switches():
    assert drive(Sun(battery_wh=100, panel_w=20), 96)[0] == []


def test_starts_off_when_empty():
    assert drive(Sun(battery_wh=100, panel_w=20, charge=0.0), 1)[0] == [(0.0, False)]


def test_polar_night():
    sun = Sun(battery_wh=10, panel_w=100, sunrise_s=50_000)
    assert harvest_wh(sun, 0, 10 * 86_400) == 0
    assert [on for _, on in drive(sun, 48)[0]] == [False]


@given(
    st.floats(0, 500), st.floats(0, 100), st.floats(0.01, 50), st.floats(0, 1), st.integers(0, 99)
)
def test_battery_stays_within_itself(battery_wh, panel_w, load_w, charge, step):
    battery = Battery(Sun(battery_wh, panel_w, load_w, charge))
    for number in range(step, step + 50):
        on = battery.pass_time(number * 900.0, (number + 1) * 900.0)
        assert 0 <= battery.charge_wh <= battery_wh
        assert battery.charge_wh > 0 or not on
