"""Places: the law of distance, chance by hash, ridges, and walkers."""

from math import isclose, log10
from statistics import fmean, pstdev

from hypothesis import given
from hypothesis import strategies as st

from meshd.simulation.media.place import (
    DEVIATIONS_MAX,
    PathLoss,
    Walker,
    crosses,
    loss_at_1_m_db,
    place_at,
)
from meshd.simulation.plan.plan import Ridge, Step, Terrain

PLAIN = Terrain(shadowing_db=0.0, asymmetry_db=0.0, loss_exponent=2.0)
metres = st.floats(-5_000, 5_000).map(lambda x: round(x, 2))
places = st.tuples(metres, metres)
WALK = (Step(10, 0, 0), Step(20, 100, 0), Step(30, 100, 50))


def test_free_space_at_wifi_and_lora_frequencies():
    assert isclose(loss_at_1_m_db(2437.0), 40.19, abs_tol=0.01)
    law = PathLoss(PLAIN, 1)
    assert isclose(law.loss_db((0, 0), (1_000, 0), 1, 2, 868.0), 91.22, abs_tol=0.01)


def test_ten_times_farther_costs_the_exponent():
    law = PathLoss(Terrain(shadowing_db=0, asymmetry_db=0, loss_exponent=3.5), 1)
    near = law.loss_db((0, 0), (30, 40), 1, 2, 2437.0)
    assert isclose(law.loss_db((0, 0), (300, 400), 1, 2, 2437.0) - near, 35.0)
    assert law.loss_db((0, 0), (0, 0), 1, 2, 2437.0) == loss_at_1_m_db(2437.0)


def test_chance_has_the_stated_spread_and_no_lean():
    terrain = Terrain(shadowing_db=6.0, asymmetry_db=2.0)
    law = PathLoss(terrain, 7)
    ground = law.ground_db((0, 0), (500, 0), 868.0)
    both = [law.both_db((0, 0), (500, 0), 0, number, 868.0) for number in range(1, 4_001)]
    means = [(there + back) / 2 - ground for there, back in both]
    halves = [(there - back) / 2 for there, back in both]
    assert abs(fmean(means)) < 0.35
    assert isclose(pstdev(means), (36 + 2) ** 0.5, rel_tol=0.05)
    assert abs(fmean(halves)) < 0.1
    assert isclose(pstdev(halves), 2**0.5, rel_tol=0.05)


@given(places, places, st.integers(0, 2**40), st.integers(0, 2**40), st.integers())
def test_pair_is_the_same_whoever_asks(a, b, one, other, seed):
    law = PathLoss(Terrain(), seed)
    there, back = law.both_db(a, b, one, other, 868.0)
    assert law.both_db(b, a, other, one, 868.0) == (back, there) or one == other
    assert law.loss_db(a, b, one, other, 868.0) == there
    assert PathLoss(Terrain(), seed).loss_db(a, b, one, other, 868.0) == there


def test_seeds_differ():
    losses = {PathLoss(Terrain(), seed).loss_db((0, 0), (9, 9), 1, 2, 868.0) for seed in range(20)}
    assert len(losses) > 15


@given(places, places, st.integers(0, 999), st.integers(1_000, 1_999))
def test_nobody_is_heard_beyond_the_reach(a, b, one, other):
    terrain = Terrain()
    law = PathLoss(terrain, 3)
    loss = law.loss_db(a, b, one, other, 2437.0)
    distance = max(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5, 1.0)
    assert distance <= law.reach_m(loss, 2437.0) * (1 + 1e-9)
    luck = DEVIATIONS_MAX * (terrain.shadowing_db + terrain.asymmetry_db)
    assert loss >= loss_at_1_m_db(2437.0) + 27.0 * log10(distance) - luck - 1e-9


def test_ridge_between_costs_and_beside_not():
    ridge = Ridge(50, -10, 50, 10, loss_db=25.0)
    law = PathLoss(Terrain(shadowing_db=0, asymmetry_db=0, ridges=(ridge, ridge)), 1)
    bare = PathLoss(Terrain(shadowing_db=0, asymmetry_db=0), 1)

    def extra(a, b):
        return law.ground_db(a, b, 868.0) - bare.ground_db(a, b, 868.0)

    assert isclose(extra((0, 0), (100, 0)), 50.0)
    assert isclose(extra((100, 5), (0, 5)), 50.0)
    assert extra((0, 20), (100, 20)) == 0.0
    assert extra((0, 0), (49, 0)) == 0.0
    assert isclose(extra((50, 0), (90, 0)), 50.0), "on the ridge"


def test_way_along_a_ridge_crosses_where_they_overlap():
    ridge = Ridge(0, 0, 10, 0, 1.0)
    assert crosses(ridge, (5, 0), (20, 0))
    assert not crosses(ridge, (11, 0), (20, 0))


@given(places, places, places, places)
def test_crossing_is_the_same_from_both_ends(a, b, c, d):
    ridge, turned = Ridge(*c, *d, 1.0), Ridge(*d, *c, 1.0)
    assert crosses(ridge, a, b) == crosses(ridge, b, a) == crosses(turned, a, b)


def test_walker_goes_straight_and_stays_at_the_end():
    def where(at_s):
        return place_at(WALK, round(at_s * 1e6), again=False)

    assert where(0) == where(10) == (0, 0)
    assert where(15) == (50, 0)
    assert where(20) == (100, 0)
    assert where(25) == (100, 25)
    assert where(99) == (100, 50)


def test_walk_repeats():
    assert place_at(WALK, 35_000_000, again=True) == (50, 0)
    assert place_at(WALK, 5_000_000, again=True) == (0, 0)
    assert place_at((Step(0, 3, 4),), 9_000_000, again=True) == (3, 4)


def drive(again):
    heap, seen = [], []
    walker = Walker(
        WALK,
        lambda when, act: heap.append((when, act)),
        seen.append,
        again=again,
        every_us=5_000_000,
    )
    walker.begin(0)
    while heap and heap[0][0] <= 60_000_000:
        heap.pop(0)[1]()
    return seen, heap


def test_walker_is_driven_only_while_it_walks():
    seen, heap = drive(again=False)
    assert seen == [(0, 0), (0, 0), (50, 0), (100, 0), (100, 25), (100, 50)]
    assert not heap


def test_walker_that_goes_again_is_driven_on():
    seen, heap = drive(again=True)
    assert seen[6] == (50, 0)
    assert len(heap) == 1
