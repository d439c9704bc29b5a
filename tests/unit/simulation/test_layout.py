"""Layouts: everybody on the map, each shape as its name says."""

from math import dist
from random import Random

import pytest

from meshd.simulation.layout import FULL_REACH_M, places
from meshd.simulation.plan.plan import LAYOUTS, NodeGroup, Terrain

MAP = Terrain(width_m=400.0, height_m=200.0)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("count", [1, 2, 7])
def test_every_layout_puts_all_on_the_map(layout, count):
    group = NodeGroup("n", count=count, layout=layout)
    found = places(group, MAP, Random(1))
    assert len(found) == count
    assert all(0 <= x <= 400 and 0 <= y <= 200 for x, y in found)
    assert found == places(group, MAP, Random(1))


def test_line_and_grid_have_equal_steps():
    assert places(NodeGroup("n", count=3, layout="line"), MAP, Random(1)) == [
        (0.0, 100.0),
        (200.0, 100.0),
        (400.0, 100.0),
    ]
    grid = places(NodeGroup("n", count=4, layout="grid"), MAP, Random(1))
    assert grid == [(100.0, 50.0), (300.0, 50.0), (100.0, 150.0), (300.0, 150.0)]


def test_spread_and_middle_are_obeyed():
    group = NodeGroup("n", count=50, layout="cluster", x_m=100.0, y_m=100.0, spread_m=30.0)
    assert all(dist(place, (100, 100)) <= 30 for place in places(group, MAP, Random(2)))
    near = places(NodeGroup("n", count=9, layout="full"), MAP, Random(2))
    assert all(abs(x - 200) <= FULL_REACH_M and abs(y - 100) <= FULL_REACH_M for x, y in near)


@pytest.mark.parametrize("layout", ["uniform", "cluster", "full"])
def test_a_smaller_group_is_the_beginning_of_the_larger_one(layout):
    small = places(NodeGroup("n", count=3, layout=layout), MAP, Random(3))
    large = places(NodeGroup("n", count=9, layout=layout), MAP, Random(3))
    assert large[:3] == small


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_host_whose_place_is_told_stands_there(layout):
    group = NodeGroup("mill", layout=layout, x_m=120.0, y_m=30.0)
    assert places(group, MAP, Random(4)) == [(120.0, 30.0)]
