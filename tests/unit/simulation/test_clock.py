"""A host's clocks: the way to local time and back never lets a timer fire early."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as some

from meshd.simulation.clock import EPOCH_US, Clock


@given(
    some.integers(-100_000_000, 100_000_000),
    some.integers(-(10**12), 10**15),
    some.integers(0, 10**13),
)
def test_the_way_back_is_the_first_moment_that_is_not_early(ppb, offset_us, world_us):
    clock = Clock(ppm=ppb / 1000, offset_us=offset_us)
    for local_us in (clock.local(world_us), clock.local(world_us) + 1):
        back = clock.world(local_us)
        assert clock.local(back) >= local_us
        assert clock.local(back - 1) < local_us


def test_a_fast_clock_gains():
    clock = Clock(ppm=50, offset_us=5)
    assert clock.local(1_000_000_000) == 1_000_000_000 + 50_000 + 5


@pytest.mark.parametrize("ppm", [0.0, 40.0])
def test_a_boot_begins_the_clock_anew_when_it_may(ppm):
    clock = Clock(ppm=ppm, boots=Random(1))
    clock.boot(10**9)
    first = clock.local(10**9)
    clock.boot(10**9)
    assert clock.local(10**9) != first
    fixed = Clock(ppm=ppm)
    fixed.boot(10**9)
    assert fixed.local(0) == 0


def test_wall_clock_is_right_but_for_its_error():
    clock = Clock(ppm=30, offset_us=777, wall_error_us=-2_000_000)
    offset = clock.wall_offset_us(10**9)
    assert offset is not None
    assert clock.local(10**9) + offset == EPOCH_US + 10**9 - 2_000_000
    assert Clock().wall_offset_us(5) is None
