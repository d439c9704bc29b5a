"""Virtual time: order of events, and streams of randomness that do not disturb each other."""

from meshd.simulation.schedule import Schedule


def test_events_come_by_time_then_by_order_of_asking():
    schedule, seen = Schedule(1), []
    for when, name in ((20, "c"), (10, "a"), (20, "d"), (10, "b")):
        schedule.at(when, seen.append, name)
    schedule.run(20)
    assert seen == ["a", "b", "c", "d"]
    assert schedule.now == 20 and schedule.processed == 4


def test_what_lies_in_the_past_happens_now():
    schedule, seen = Schedule(1), []
    schedule.run(50)
    schedule.at(10, lambda: seen.append(schedule.now))
    schedule.run(0)
    assert seen == [50]


def test_run_until_stops_when_the_condition_holds():
    schedule, seen = Schedule(1), []
    schedule.at(25_000, seen.append, 1)
    assert schedule.run_until(lambda: bool(seen), 1_000_000)
    assert schedule.now == 30_000
    assert not schedule.run_until(lambda: len(seen) > 1, 40_000)
    assert schedule.now == 70_000


def test_stream_is_decided_by_seed_and_name_alone():
    one, other = Schedule(7), Schedule(7)
    other.random("something else").random()
    draws = [one.random("loss").random() for _ in range(3)]
    assert draws == [other.random("loss").random() for _ in range(3)]
    assert one.random("loss") is one.random("loss")
    assert one.stream("loss").random() == draws[0]
    assert Schedule(8).random("loss").random() != draws[0]
    assert Schedule(7).random("losses").random() != draws[0]
