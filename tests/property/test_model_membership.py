"""The membership models under any acts, partitions, thieves and orders of arrival.

Each property is a plain function of steps in `models/properties.py`, so that the mutants of
`test_model_mutants.py` can be held against the same ones.
"""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from models import properties
from models.history import pasts
from models.partitions import WHAT, World
from models.records import Head, Invite, Note, Post, Rank, Remove
from models.replica import Replica, heads, write
from models.validity import view

NUMBER = st.integers(0, 59)
STEP = st.tuples(st.sampled_from(WHAT), NUMBER, NUMBER, NUMBER)
STEPS = st.lists(STEP, max_size=12)
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@given(STEPS)
@QUICK
def test_nothing_applied_is_un_applied_by_any_member(steps):
    properties.nothing_applied_is_un_applied(steps)


@given(STEPS, st.randoms(use_true_random=False))
@QUICK
def test_same_records_give_the_same_verdict_whatever_came_first(steps, random):
    properties.order_changes_nothing(steps, random)


@given(STEPS)
@QUICK
def test_what_is_valid_rests_on_what_is_valid_and_on_no_circle(steps):
    properties.fixed_point_is_the_least(steps)


@given(STEPS, NUMBER, NUMBER)
@QUICK
def test_mutual_removal_of_equals_removes_both_on_all_replicas(steps, one, two):
    properties.mutual_removal_removes_both(steps, one, two)


@given(STEPS, STEPS, NUMBER)
@QUICK
def test_removed_device_writes_only_through_who_has_not_got_the_removal(steps, theft, one):
    properties.removed_device_writes_nothing(steps, theft, one)


@given(STEPS, STEPS, st.sampled_from(["Anna", "Ben", "Dora"]))
@QUICK
def test_recovery_wins_over_whatever_the_devices_of_its_person_do(steps, theft, person):
    properties.recovery_wins(steps, theft, person)


@given(STEPS, STEPS)
@QUICK
def test_the_founders_phrase_outranks_the_space(steps, theft):
    properties.founder_comes_back(steps, theft)


@given(STEPS, st.lists(st.integers(1, 9), min_size=1, max_size=4))
@QUICK
def test_no_tie_is_decided_by_what_an_author_can_grind(steps, salts):
    properties.grinding_changes_nothing(steps, tuple(salts))


class Partitions(RuleBasedStateMachine):
    """Replicas that part and merge in any way, thieves among them; checked after each step."""

    def __init__(self):
        super().__init__()
        self.world = World()

    @rule(step=STEP)
    def acts(self, step):
        self.world.step(*step)

    @rule(one=NUMBER, two=NUMBER)
    def merge(self, one, two):
        self.world.step("merge", one, two, 0)
        self.world.step("merge", two, one, 0)

    @invariant()
    def nothing_is_un_applied_or_dropped(self):
        assert not self.world.shrunk
        for replica in self.world.replicas.values():
            seen = replica.view
            assert seen.valid | seen.held | seen.refused == replica.entries
            assert all(seen.why[entry] for entry in seen.held | seen.refused)

    @invariant()
    def who_holds_the_same_sees_the_same(self):
        seen = {}
        for replica in self.world.replicas.values():
            verdict = (frozenset(replica.applied), tuple(sorted(replica.view.seats.items())))
            assert seen.setdefault(replica.entries, verdict) == verdict

    def teardown(self):
        self.world.meet()
        assert len({frozenset(r.applied) for r in self.world.replicas.values()}) == 1
        assert not any(why == "its past is missing" for why in self.world.final().why.values())


TestPartitions = Partitions.TestCase
TestPartitions.settings = settings(
    max_examples=15,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_text_of_an_innocent_third_is_kept_when_its_admitter_is_removed():
    """A bare pin would lose it: Carl removes Ben without having heard of Ben's guest."""
    world = World()
    ben, carl, dora = (world.replicas[key] for key in ("ben", "carl", "dora"))
    invite = ben.write(Invite(Rank.WRITER))
    guest = ben.write(world.act("admit", ben, 0, 0)._replace(invite=invite.name, device="guest"))
    written = Replica("guest", ben.entries).write(Post())
    dora.take(ben.entries | {written})
    removal = carl.write(Remove(heads(carl.entries, "ben")))
    carl.take(ben.entries | {written})
    assert carl.view.why[guest] == carl.view.why[invite] == "above a pin"
    assert carl.view.why[written] == "rests on what is held"
    dora.take({removal})
    carl.take(dora.entries)
    assert {guest, invite, written} <= carl.view.valid and "guest" in carl.view.seats


def test_closing_statements_that_only_name_each_other_save_nothing():
    world = World()
    ben, dora = world.replicas["ben"].entries, world.replicas["dora"].entries
    one = write("ben", ben, Post())
    other = write("dora", dora, Note(), closing=(one.head,))
    back = write("ben", ben | {one}, Note(), closing=(Head("dora", 1, other.name),))
    pins = (Head("ben", 0, ""), Head("dora", 0, ""))
    removal = write("anna", world.start, Remove(pins))
    seen = view(world.start | {one, other, back, removal})
    assert {one, other, back} <= seen.held


def test_update_that_does_allowed_and_refused_things_is_refused_whole():
    world = World()
    dora = world.replicas["dora"]
    mixed = dora.write(Post(("text", "rules")))
    leans = dora.write(Post(needs=(mixed.name,)))
    after = dora.write(Post())
    assert dora.view.why[mixed] == "refused whole" and mixed in dora.view.refused
    assert leans in dora.view.held and after in dora.view.valid


def test_update_under_another_client_id_is_refused():
    dora = World().replicas["dora"]
    assert dora.write(Post(client="ben")) in dora.view.refused


def test_entry_waits_for_its_past_and_is_not_lost():
    world = World()
    ben, carl = world.replicas["ben"], world.replicas["carl"]
    first, second = ben.write(Post()), ben.write(Post())
    carl.take({second})
    assert carl.view.why[second] == "its past is missing"
    carl.take({first})
    assert {first, second} <= carl.applied


def test_removed_key_that_feigns_ignorance_of_its_removal_is_above_the_pin():
    world = World()
    ben, carl = world.replicas["ben"], world.replicas["carl"]
    removal = carl.write(Remove(heads(carl.entries, "ben")))
    ben.take(carl.entries)
    knowing = write("ben", ben.entries, Post())
    feigning = write("ben", ben.entries, Post(), hide=(removal,))
    seen = view(carl.entries | {knowing, feigning} - {knowing})
    assert seen.why[feigning] == "above a pin"
    assert view(carl.entries | {knowing}).why[knowing] == "removed"
    assert removal not in pasts(frozenset(carl.entries | {feigning}))[feigning]
