"""Flooding with learned paths: everybody repeats, the path comes back, and failure floods again."""

from itertools import pairwise

from radios.stage import Stage

from meshd.core.airtime import LONG_FAST, airtime_us
from meshd.simulation.rivals.source_path_flood import Rules, SourcePathFlood, station_hash

QUIET = Rules(advert_us=0)


def stage(links, *, rules=QUIET, seed=1):
    def make(number, random):
        return SourcePathFlood(number, LONG_FAST, random, contacts=range(10), rules=rules)

    return Stage(links, make, seed=seed)


def test_everybody_repeats_a_broadcast_once():
    run = stage("a-b b-c c-d d-e e-f")
    message = run.station["a"].send_broadcast(b"hello")
    run.run()
    assert run.delivered == [(name, message, b"hello") for name in "bcdef"]
    assert [name for name, _ in run.purposes("relay")] == list("bcdef")


def test_first_direct_message_floods_and_the_path_comes_back():
    run = stage("a-b b-c c-d")
    message = run.station["a"].send_direct(3, b"hello")
    run.run()
    assert run.delivered == [("d", message, b"hello")]
    assert run.settled == [("a", message, True)]
    way = (station_hash(1), station_hash(2))
    assert run.station["a"].engine.paths == {3: way}
    assert run.station["d"].engine.paths == {0: way[::-1]}


def test_next_direct_message_goes_along_the_path_alone():
    run = stage("a-b b-c c-d b-x x-y")
    run.station["a"].send_direct(3, b"one")
    run.run()
    run.frames.clear()
    message = run.station["a"].send_direct(3, b"two")
    run.run()
    assert run.delivered[-1] == ("d", message, b"two")
    assert run.settled[-1] == ("a", message, True)
    assert [name for name, *_ in run.frames] == ["a", "b", "c", "d", "c", "b"]


def test_failed_path_falls_back_to_one_flood():
    run = stage("a-b b-c a-d d-c")
    run.station["a"].engine.paths[2] = (station_hash(1),)
    run.cut("b")
    message = run.station["a"].send_direct(2, b"two")
    run.run(120)
    assert ("c", message, b"two") in run.delivered
    assert run.settled[-1] == ("a", message, True)


def test_message_to_somebody_who_is_gone_is_given_up_after_one_flood():
    run = stage("a-b b-c")
    run.cut("c")
    message = run.station["a"].send_direct(2, b"one")
    run.run(300)
    assert run.settled == [("a", message, False)]
    assert run.purposes("data") == [("a", "data")]


def test_station_is_silent_as_long_as_it_sent():
    run = stage("a-b")
    run.cut("b")
    times = []
    run.air.told = lambda *_: times.append(run.schedule.now)
    for _ in range(3):
        run.station["a"].send_broadcast(bytes(100))
    run.run(20)
    airtime = airtime_us(LONG_FAST, 2 + 1 + 2 + 112)
    assert [later - earlier for earlier, later in pairwise(times)] == [2 * airtime, 2 * airtime]


def test_adverts_flood_now_and_then():
    run = stage("a-b", rules=Rules(advert_us=600_000_000))
    run.run(1200)
    assert run.purposes("control").count(("a", "control")) == 2
