"""The timer table: one minimum, moved and cancelled keys, order of expiry."""

from meshd.core.timers import Timers


def test_next_is_the_earliest_and_says_why():
    timers = Timers()
    timers.set(("routing", "update"), 20)
    timers.set(("routing", "hello"), 10)
    assert timers.next() == (10, ("routing", "hello"))


def test_setting_again_moves_the_deadline():
    timers = Timers()
    timers.set(("routing", "hello"), 10)
    timers.set(("routing", "hello"), 30)
    assert list(timers.expired(20)) == []
    assert timers.deadline(("routing", "hello")) == 30


def test_set_earlier_never_postpones():
    timers = Timers()
    timers.set(("routing", "update"), 10)
    timers.set_earlier(("routing", "update"), 50)
    assert timers.deadline(("routing", "update")) == 10
    timers.set_earlier(("routing", "update"), 5)
    assert timers.deadline(("routing", "update")) == 5


def test_expired_yields_in_order_and_disarms():
    timers = Timers()
    for number, deadline in enumerate((30, 10, 20, 10)):
        timers.set(("sync", number), deadline)
    assert list(timers.expired(20)) == [("sync", 1), ("sync", 3), ("sync", 2)]
    assert timers.next() == (30, ("sync", 0))


def test_timer_set_for_now_while_expiring_is_due_in_the_same_round():
    timers = Timers()
    timers.set(("sync", 0), 10)
    seen = []
    for key in timers.expired(10):
        seen.append(key)
        if key == ("sync", 0):
            timers.set(("sync", 1), 10)
    assert seen == [("sync", 0), ("sync", 1)]


def test_cancelled_key_never_fires():
    timers = Timers()
    timers.set(("sync", 0), 10)
    timers.cancel(("sync", 0))
    assert timers.next() is None
    assert list(timers.expired(100)) == []


def test_heap_stays_bounded_when_one_key_moves_for_ever():
    timers = Timers()
    for deadline in range(10_000):
        timers.set(("routing", "hello"), deadline)
    assert len(timers._heap) <= 65
    assert timers.next() == (9_999, ("routing", "hello"))


def test_sooner_tells_that_a_timer_came_before_all_others():
    timers = Timers()
    timers.set(("routing", "hello"), 100)
    assert timers.sooner
    timers.sooner = False
    timers.set(("routing", "dump"), 200)
    assert not timers.sooner
    timers.set(("routing", "flush"), 50)
    assert timers.sooner
