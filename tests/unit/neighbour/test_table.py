"""The neighbour table: deadlines, budget, room."""

from speakers.air import SECOND, link_address

from meshd.core.events import Link, LinkKind
from meshd.neighbour.cost import INFINITY
from meshd.neighbour.table import (
    BUDGET_BYTES_MAX,
    BUDGET_BYTES_PER_S,
    NEIGHBOURS_PER_LINK_MAX,
    Budget,
    Neighbour,
    NeighbourTable,
)

LINK = Link("w0", LinkKind.MESH, link_address(1))


def test_hello_is_missed_one_and_a_half_intervals_after_the_last_then_each_interval():
    neighbour = Neighbour(LINK, link_address(2), 0)
    neighbour.hello(1, 4 * SECOND, 0, unicast=False)
    assert neighbour.deadline() == 6 * SECOND
    neighbour.expire(6 * SECOND)
    assert neighbour.multicast.misses_in_a_row == 1
    assert neighbour.deadline() == 10 * SECOND


def test_what_the_neighbour_heard_of_us_expires():
    neighbour = Neighbour(LINK, link_address(2), 0)
    neighbour.hello(1, 4 * SECOND, 0, unicast=False)
    neighbour.ihu(256, 5 * SECOND, 0)
    assert neighbour.update_cost() and neighbour.cost == 256
    neighbour.expire(5 * SECOND)
    assert neighbour.update_cost() and neighbour.cost == INFINITY


def test_hello_that_promises_nothing_is_still_not_trusted_for_ever():
    neighbour = Neighbour(LINK, link_address(2), 0)
    neighbour.hello(1, 0, 0, unicast=False)
    now = 0
    while not neighbour.silent:
        now = neighbour.deadline()
        neighbour.expire(now)
    assert now < 200 * SECOND


def test_unscheduled_hello_leaves_the_promise_of_the_last_one():
    neighbour = Neighbour(LINK, link_address(2), 0)
    neighbour.hello(1, 4 * SECOND, 0, unicast=False)
    neighbour.hello(2, 0, 3 * SECOND, unicast=False)
    assert neighbour.deadline() == 6 * SECOND


def test_budget_is_used_up_and_earned_again():
    budget = Budget(0)
    taken = sum(budget.take(1000, 0) for _ in range(1000))
    assert taken == BUDGET_BYTES_MAX // 1100
    assert not budget.take(1000, 1)
    assert sum(budget.take(1000, SECOND) for _ in range(1000)) in (
        BUDGET_BYTES_PER_S // 1100,
        BUDGET_BYTES_PER_S // 1100 + 1,
    )


def test_full_link_gives_up_who_never_heard_us():
    table = NeighbourTable()
    for number in range(NEIGHBOURS_PER_LINK_MAX):
        neighbour = Neighbour(LINK, link_address(number), number)
        neighbour.cost = 256 if number != 5 else INFINITY
        table.add(neighbour)
    assert table.full("w0") and not table.full("w1")
    assert table.victim("w0", 100) is None
    victim = table.victim("w0", 2 * SECOND)
    assert victim.address == link_address(5)
    table.remove(victim)
    assert not table.full("w0")
