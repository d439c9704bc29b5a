"""Managed flooding: who repeats, who does not, and what an acknowledgement is."""

import pytest
from radios.stage import Stage

from meshd.core.airtime import LONG_FAST
from meshd.simulation.rivals.engine import QUEUE_MAX
from meshd.simulation.rivals.managed_flood import FIRMWARE_2_8, ManagedFlood, Rules


def stage(links, *, rules=FIRMWARE_2_8, routers=(), seed=1):
    def make(number, random):
        return ManagedFlood(number, LONG_FAST, random, rules=rules, router=number in routers)

    return Stage(links, make, seed=seed)


def test_broadcast_goes_along_a_line_for_four_links():
    run = stage("a-b b-c c-d d-e e-f")
    message = run.station["a"].send_broadcast(b"hello")
    run.run()
    assert [(name, number) for name, number, _ in run.delivered] == [
        (name, message) for name in "bcde"
    ]
    assert run.frames == [("a", "data", 29), *((name, "relay", 29) for name in "bcd")]


def test_repetition_is_the_acknowledgement():
    run = stage("a-b b-c")
    message = run.station["a"].send_broadcast(b"hello")
    run.run()
    assert run.settled == [("a", message, True)]


def test_sender_that_nobody_repeats_tries_three_times_more():
    run = stage("a-b")
    run.cut("b")
    message = run.station["a"].send_broadcast(b"hello")
    run.run(120)
    assert run.purposes("data") == [("a", "data")] * 4
    assert run.settled == [("a", message, False)]


@pytest.mark.parametrize("seed", range(5))
def test_who_hears_a_copy_first_keeps_silent(seed):
    run = stage("a-b a-c b-c", seed=seed)
    run.station["a"].send_broadcast(b"hello")
    run.run()
    assert len(run.purposes("relay")) in (1, 2)
    assert len(run.delivered) == 2


def test_copies_are_saved_where_all_hear_all():
    names = "abcdefghij"
    links = " ".join(f"{one}-{other}" for one in names for other in names if one < other)
    run = stage(links)
    run.station["a"].send_broadcast(b"hello")
    run.run()
    assert len(run.purposes("relay")) < 5


def test_router_repeats_though_another_did():
    run = stage("a-b a-c b-c", routers=(1, 2))
    run.station["a"].send_broadcast(b"hello")
    run.run()
    assert sorted(run.purposes("relay")) == [("b", "relay"), ("c", "relay")]


class Last:
    """Randomness that always draws the largest."""

    def getrandbits(self, bits):
        return 0

    def randrange(self, stop):
        return stop - 1


def test_weaker_copies_get_smaller_windows():
    def wait_us(snr_db):
        one, other = (ManagedFlood(number, LONG_FAST, Last()) for number in (1, 2))
        one.send_broadcast(b"x", 0)
        one.handle_timeout(one.poll_timeout())
        other.receive(one.poll_transmit().data, -100.0, snr_db, 0)
        return other.poll_timeout()

    waits = [wait_us(snr_db) for snr_db in (-25, -20, -10, 0, 10, 20)]
    assert waits[0] == waits[1] < waits[2] < waits[3] < waits[4] == waits[5]


def test_direct_message_is_acknowledged_by_its_receiver():
    run = stage("a-b b-c")
    message = run.station["a"].send_direct(2, b"hello")
    run.run()
    assert run.delivered == [("c", message, b"hello")]
    assert ("c", "ack") in run.purposes("ack")
    assert ("a", message, True) in run.settled


def test_direct_message_to_a_neighbour_ends_with_its_acknowledgement():
    run = stage("a-b")
    message = run.station["a"].send_direct(1, b"hello")
    run.run(120)
    assert run.settled == [("a", message, True)]
    assert run.purposes("data") == [("a", "data")]


def test_own_message_does_not_start_above_the_limit_of_utilisation():
    run = stage("a-b", rules=Rules(utilisation_max=0.02))
    first = run.station["a"].send_broadcast(bytes(200))
    run.run(5)
    second = run.station["a"].send_broadcast(bytes(200))
    run.run(1)
    assert run.settled == [("a", first, True), ("a", second, False)]


def test_queue_is_bounded():
    engine = ManagedFlood(1, LONG_FAST, stage("a-b").schedule.random("x"))
    for _ in range(QUEUE_MAX + 5):
        engine.send_broadcast(b"x", 0)
    assert len(engine._queue) == QUEUE_MAX
