"""What must be the same everywhere at the end: the rule fires, and excuses no more than it says."""

import pytest

from meshd.simulation.checks.convergence import Convergence
from meshd.simulation.plan.plan import Plan
from meshd.simulation.world import SECOND, World

PLAN = Plan("none", duration_s=60, settle_s=60)


@pytest.fixture
def pair():
    """Two hosts with one space of four entries; what the checker says, 30 s before the end."""
    world = World(3)
    world.add_line(2)
    checker = Convergence(world, PLAN)
    world.watch(checker)
    assert world.run_until(world.connected, 10 * SECOND)
    first, other = world.hosts
    first.ask("space.create", name="camp")
    other.ask("join", url=first.ask("invite", space="camp", role="writer", uses=1)["url"])
    first.ask("post", space="camp", text="early")
    world.run_until(lambda: world.now >= 90 * SECOND, 100 * SECOND)
    return world, checker


def feed_of(host, other):
    """Return what `other` has on its disk of the feed of `host`."""
    space = host.node.spaces.all()[0]
    return other.store.entries[space.id, space.author]


def finish(world, checker):
    world.run(30 * SECOND - world.now % SECOND)
    checker.finished()
    return [violation.text for violation in checker.violations]


def test_the_same_everywhere_is_no_fault(pair):
    assert finish(*pair) == []


def test_an_entry_that_is_missing_is_seen(pair):
    world, checker = pair
    feed = feed_of(*world.hosts)
    del feed[max(feed)]
    assert "is not as at" in finish(world, checker)[0]


def test_other_bytes_under_one_number_are_seen(pair):
    world, checker = pair
    feed = feed_of(*world.hosts)
    feed[max(feed)] += b"x"
    assert "the bytes differ" in finish(world, checker)[0]


def test_what_is_written_in_the_last_minute_excuses_itself_alone(pair):
    world, checker = pair
    first, other = world.hosts
    first.ask("post", space="camp", text="late")
    world.run(5 * SECOND)
    feed = feed_of(first, other)
    late = feed.pop(max(feed))
    assert late and finish(world, checker) == []
    del feed[max(feed)]
    checker.finished()
    assert checker.violations


@pytest.mark.parametrize("between", [True, False])
def test_members_beyond_a_stranger_may_lack_what_was_written_since_the_faults_and_no_others(
    between,
):
    world, plan = World(3), Plan("none", duration_s=60, settle_s=120)
    world.add_line(2)
    checker = Convergence(world, plan)
    world.watch(checker)
    first, other = world.hosts
    first.ask("space.create", name="camp")
    world.run_until(world.connected, 10 * SECOND)
    other.ask("join", url=first.ask("invite", space="camp", role="writer", uses=1)["url"])
    stranger = world.add_host("stranger")
    world.link(first, stranger)
    world.link(stranger, other)
    if between:
        world.cut(first, other)
    first.ask("post", space="camp", text="while people asked")
    early = len(feed_of(first, first))
    world.run(80 * SECOND - world.now)
    first.ask("post", space="camp", text="after the faults")
    world.run(60 * SECOND)
    feed = feed_of(first, other)
    for seq in range(early + 1, len(feed_of(first, first)) + 1):
        feed.pop(seq, None)
    checker.finished()
    assert bool(checker.violations) != between
    checker.violations.clear()
    del feed[early]
    checker.finished()
    assert checker.violations
