"""Who asks for entries, how often, and how those answer who do not hear each other."""

from itertools import pairwise
from random import Random
from types import SimpleNamespace

import pytest
from devices.air_net import MINUTE, AirNet
from devices.sync_net import SECOND

from meshd.sync.air.names import Names
from meshd.sync.air.offers import ASKED_SPAN_US
from meshd.sync.air.wants import AGAIN_US, TRIES_MAX, VAIN_US, WINDOW, AirWants


def asks(wants, until_us):
    """Return when something is asked for."""
    found = []
    while (due_us := wants.due_us()) is not None and due_us < until_us:
        if wants.build(due_us, 200) is not None:
            found.append(due_us)
    return found


def test_a_want_lives_until_a_neighbour_that_gave_its_part_has_a_new_one():
    net = AirNet()
    ben = net.founder("ben")
    names = Names(ben.spaces)
    names.begin(b"ss")
    wants, feed = AirWants(names, Random(1)), (ben.spaces.all()[0].id, b"abc")
    assert wants.add(feed, 9, 0) is None
    times = asks(wants, VAIN_US * 2)
    assert len(times) == TRIES_MAX
    assert times[-2] < times[0] + 3 * AGAIN_US[1]
    assert ASKED_SPAN_US + AGAIN_US[0] < times[-1] - times[0] < ASKED_SPAN_US + 4 * AGAIN_US[1]
    assert not len(wants)
    assert wants.add(feed, 9, times[-1] + VAIN_US) is None
    assert not len(wants)


@pytest.mark.parametrize("tries", range(1, TRIES_MAX + 1))
@pytest.mark.parametrize("slow", [1, 10])
def test_whichever_ask_is_answered_the_next_window_is_asked_for_soon_after_it(tries, slow):
    net = AirNet()
    space = net.founder("ben").home
    names = Names(net.houses["ben"].spaces)
    names.begin(b"ss")
    wants, feed = AirWants(names, Random(1), slow=slow), (space.id, bytes(range(32)))
    wants.add(feed, 100, 0)
    asked_us = asks(wants, VAIN_US * 3 * slow)[tries - 1]
    wants = AirWants(names, Random(1), slow=slow)
    wants.add(feed, 100, 0)
    asks(wants, asked_us + 1)
    for seq in range(1, WINDOW + 1):
        now = asked_us + seq * 2 * SECOND
        space.feeds[feed[1]] = SimpleNamespace(seq=seq, frozen=False)
        wants.came(feed, seq, now)
    next_us = wants.due_us()
    assert now < next_us < now + slow * AGAIN_US[1]
    assert wants.build(next_us, 200).ranges[0].first == WINDOW + 1


def test_an_entry_that_comes_in_pieces_ends_the_wait_for_new_parts():
    net = AirNet()
    space = net.founder("ben").home
    names = Names(net.houses["ben"].spaces)
    names.begin(b"ss")
    wants, feed = AirWants(names, Random(1)), (space.id, bytes(range(32)))
    wants.add(feed, 9, 0)
    rest_us = asks(wants, ASKED_SPAN_US)[-1]
    wants.hold(feed, rest_us + SECOND)
    assert wants.due_us() == rest_us + SECOND + AGAIN_US[0]


def answered(listens):
    """Return how far the first answers of two are apart who do not hear each other."""
    net = AirNet()
    anna, ben, cleo = net.home(3)
    net.apart(anna, cleo)
    for house in (anna, cleo):
        house.radios.listens = listens
    net.run(5 * MINUTE)
    ben.radios.up = False
    for number in range(8):
        anna.post(f"text {number}")
    net.connect(anna, cleo)
    net.run(10 * MINUTE)
    net.cut(anna, cleo)
    begin, ben.radios.up = net.now, True
    net.run(20 * MINUTE, until=lambda: net.same((anna, ben)))
    times = [frame.at for frame in net.named("ENTRY", since=begin) if frame.by == "h0"]
    return {later - early for early, later in pairwise(times)}


def test_answers_of_modems_that_do_not_listen_go_out_at_random():
    assert len(answered(listens=True)) <= 2
    gaps = answered(listens=False)
    assert len(gaps) > 4
    assert min(gaps) > SECOND // 4
