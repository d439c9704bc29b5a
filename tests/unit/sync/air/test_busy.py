"""A space in which posts come all the time: repair leaves to the broadcast what it still brings."""

import pytest
from devices.air_net import MINUTE, AirNet
from devices.sync_net import SECOND

from meshd.sync.air.states import ARRIVALS_MAX, BUSY, SETTLE_US, State

LEAST_US, MOST_US = SETTLE_US
WORDS = ("DIGESTS", "HEADS", "NEEDS", "PROBE")
HOUSES, POSTS = 8, 60


class Busy:
    """Houses that write in turn, one text in 20 s, each of which takes up to five minutes."""

    def __init__(self, loss=0.0):
        self.net = AirNet()
        self.houses = self.net.home(HOUSES)
        self.net.run(30 * MINUTE)
        self.net.takes_us, self.net.loss = 5 * MINUTE, loss

    def post(self, count=POSTS):
        begin = self.net.now
        for number in range(count):
            self.houses[number % HOUSES].post(f"text {number}")
            self.net.run(20 * SECOND)
        return begin

    def repairs(self, since):
        """Return the entries that were sent to those in earshot, since they were missed."""
        own = POSTS
        entries = self.net.named("ENTRY", since=since)
        return len(entries) - own - sum(frame.relayed for frame in entries)


def test_nothing_is_sent_twice_and_little_is_said_while_the_broadcast_brings_all():
    busy = Busy()
    begin = busy.post()
    busy.net.run(10 * MINUTE)
    assert busy.net.same(busy.houses)
    assert busy.repairs(begin) < POSTS // 10
    assert len(busy.net.named(*WORDS, since=begin)) < POSTS
    looks = busy.net.named("PROBE", since=begin)
    assert len(looks) <= 2 * HOUSES and sum(frame.size for frame in looks) < 1_000


def test_what_was_lost_is_repaired_soon_after_the_last_post():
    busy = Busy(loss=0.3)
    busy.post()
    busy.net.run(15 * MINUTE, until=lambda: busy.net.same(busy.houses))
    assert busy.net.same(busy.houses)


def test_who_was_off_catches_up_while_others_write():
    busy = Busy()
    last = busy.houses[-1]
    busy.post(HOUSES)
    last.radios.up = False
    busy.houses[0].post("while one was off")
    busy.net.run(20 * MINUTE)
    last.radios.up = True
    for number in range(45):
        busy.houses[number % 3 + 1].post(f"later {number}")
        busy.net.run(20 * SECOND)
    assert "while one was off" in last.texts()


@pytest.fixture
def state():
    net = AirNet()
    return State(net.founder("h0").spaces.all()[0])


def test_settling_takes_twice_what_most_take_and_no_single_one_counts(state):
    assert state.settle_us(0) == LEAST_US
    state.arrived(250 * SECOND, 0)
    assert state.settle_us(0) == LEAST_US
    state.arrived(150 * SECOND, 0)
    assert state.settle_us(0) == 300 * SECOND
    for _ in range(2):
        state.arrived(2**60, 0)
    assert state.settle_us(0) == MOST_US
    for _ in range(ARRIVALS_MAX):
        state.arrived(SECOND, MINUTE)
    assert state.settle_us(MINUTE) == LEAST_US


def test_a_space_is_busy_while_some_came_lately_and_calm_after_at_most_ten_minutes(state):
    for number in range(BUSY):
        assert not state.busy(MINUTE)
        state.arrived(number * SECOND, MINUTE)
    assert state.busy(2 * MINUTE)
    assert not state.busy(MINUTE + LEAST_US)
    for _ in range(ARRIVALS_MAX):
        state.arrived(2**60, MINUTE)
    assert state.busy(10 * MINUTE)
    assert not state.busy(MINUTE + MOST_US)
