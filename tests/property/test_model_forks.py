"""The fork model: found by heads, proven by two entries, both branches kept, neither grows."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from models import properties
from models.forks import Proof, branch, compare, exchange, must_begin_anew
from models.partitions import WHAT, World
from models.records import Head, Post
from models.replica import Replica, write
from models.validity import view

NUMBER = st.integers(0, 59)
STEPS = st.lists(st.tuples(st.sampled_from(WHAT), NUMBER, NUMBER, NUMBER), max_size=10)
LENGTHS = st.tuples(st.integers(1, 9), st.integers(1, 9))
KEYS = st.sampled_from(["ben", "carl", "dora"])
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@given(STEPS, LENGTHS, KEYS)
@QUICK
def test_any_two_replicas_on_two_branches_find_the_fork_by_their_heads(steps, lengths, key):
    properties.forks_are_found(steps, lengths, key)


@given(STEPS, LENGTHS, KEYS)
@QUICK
def test_both_branches_are_kept_and_neither_grows(steps, lengths, key):
    properties.neither_branch_grows(steps, lengths, key)


@given(st.integers(0, 20), st.integers(1, 20), st.integers(1, 20))
@QUICK
def test_first_difference_is_found_in_few_comparisons(common, one, other):
    known = frozenset()
    for _ in range(common):
        known |= {write("dora", known, Post())}
    ends = []
    for salt, length in enumerate((one, other)):
        mine = known
        for _ in range(length):
            mine |= {write("dora", mine, Post(), salt=salt)}
        ends.append(branch(mine, "dora"))
    found = compare(*ends)
    assert found is not None and found.proof.holds()
    assert found.proof.one.seq == common + 1
    assert found.compared <= 1 + (common + min(one, other)).bit_length()


def test_replicas_that_only_lag_find_no_fork():
    dora = World().replicas["dora"]
    early = dora.entries | {dora.write(Post())}
    dora.write(Post())
    assert exchange(early, dora.entries) == []


def test_what_is_no_proof_of_a_fork():
    world = World()
    one = write("ben", world.start, Post())
    other = write("carl", world.start, Post())
    after = write("ben", world.start | {one}, Post())
    assert not any(Proof(*pair).holds() for pair in ((one, one), (one, other), (one, after)))
    assert Proof(one, write("ben", world.start, Post(), salt=1)).holds()


def test_bare_claim_about_the_own_feed_changes_nothing():
    world = World()
    first = write("ben", world.start, Post())
    later = write("ben", world.start | {first}, Post())
    own = Head("ben", 1, first.name)
    assert not must_begin_anew(own, 2**32, None)
    assert not must_begin_anew(own, 3, later)
    assert not must_begin_anew(own, 1, write("carl", world.start, Post()))
    assert not must_begin_anew(own, 1, first)
    assert must_begin_anew(own, 2, later)
    assert must_begin_anew(own, 1, write("ben", world.start, Post(), salt=1))


def test_device_goes_on_with_a_new_feed_after_a_fork():
    world = World()
    dora = world.replicas["dora"]
    twin = write("dora", world.start, Post(), salt=1)
    dora.write(Post())
    dora.take({twin})
    heir = Replica("dora-again", dora.entries)
    heir.write(world.act("succeed", dora, 0, 0))
    again = heir.write(Post())
    assert heir.view.seats["dora-again"] == "Dora" and again in heir.view.valid


def test_heir_of_a_removed_key_is_above_its_pin():
    world = World()
    ben, carl = world.replicas["ben"], world.replicas["carl"]
    carl.write(world.act("remove", carl, 1, 0))
    heir = Replica("ben-again", ben.entries)
    heir.write(world.act("succeed", ben, 0, 0))
    heir.write(Post())
    seen = view(carl.entries | heir.entries)
    assert "ben" in seen.gone and "ben-again" not in seen.seats
    assert {entry.author for entry in seen.held} == {"ben-again"}
