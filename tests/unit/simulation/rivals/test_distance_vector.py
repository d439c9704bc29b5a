"""The distance vector: hellos make routes, routes expire, messages follow them."""

from radios.stage import Stage

from meshd.core.airtime import LONG_FAST
from meshd.simulation.rivals.distance_vector import PACKET_MAX, TABLE_MAX, DistanceVector

CONVERGED_S = 600


def stage(links, *, seed=1):
    return Stage(links, lambda number, random: DistanceVector(number, LONG_FAST, random), seed=seed)


def hops(run, name):
    return {to: route.hops for to, route in run.station[name].engine.routes.items()}


def test_hellos_make_routes_hop_by_hop():
    run = stage("a-b b-c c-d")
    run.run(CONVERGED_S)
    assert hops(run, "a") == {1: 1, 2: 2, 3: 3}
    assert hops(run, "c") == {0: 2, 1: 1, 3: 1}


def test_hellos_come_every_120_seconds():
    run = stage("a-b")
    run.run(1200)
    assert run.purposes("control").count(("a", "control")) in (9, 10, 11)


def test_large_table_takes_several_packets_of_bounded_size():
    run = stage("a-b")
    engine = run.station["a"].engine
    for number in range(2, 60):
        engine._offer(number, 1, 3, 0)
    run.run(130)
    sizes = [size for name, purpose, size in run.frames if name == "a"]
    assert len(sizes) >= 3
    assert max(sizes) <= PACKET_MAX


def test_direct_message_takes_the_route_and_its_acknowledgement_comes_back():
    run = stage("a-b b-c c-d b-x")
    run.run(CONVERGED_S)
    run.frames.clear()
    message = run.station["a"].send_direct(3, b"hello")
    run.run(20)
    assert run.delivered == [("d", message, b"hello")]
    assert run.settled == [("a", message, True)]
    carried = [name for name, purpose, _ in run.frames if purpose != "control"]
    assert carried == ["a", "b", "c", "d", "c", "b"]


def test_message_without_a_route_is_given_up():
    run = stage("a-b")
    message = run.station["a"].send_direct(7, b"hello")
    run.run(120)
    assert run.settled == [("a", message, False)]
    assert run.purposes("data") == []


def test_route_that_no_hello_confirms_is_forgotten():
    run = stage("a-b")
    run.run(CONVERGED_S)
    assert hops(run, "a") == {1: 1}
    run.cut("b")
    run.run(900)
    assert hops(run, "a") == {}


def test_broadcast_follows_the_routes_backwards():
    run = stage("a-b b-c c-d d-e e-f")
    run.run(900)
    run.frames.clear()
    message = run.station["a"].send_broadcast(b"hello")
    run.run(30)
    assert run.delivered == [(name, message, b"hello") for name in "bcdef"]
    assert [name for name, _ in run.purposes("relay")] == list("bcdef")


def test_table_is_bounded():
    engine = stage("a-b").station["a"].engine
    for number in range(2, TABLE_MAX + 50):
        engine._offer(number, 1, 3, 0)
    assert len(engine.routes) == TABLE_MAX
