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
from models.records import Admit, Invite, Post, Promote, Rank, Recover, Remove
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
    properties.circle_saves_nothing()


def test_puppet_of_a_removed_device_has_neither_seat_nor_power():
    properties.puppet_has_no_power()


def test_ring_of_removals_removes_all_and_each_alone_would_stand():
    world = World()
    invite = world.replicas["anna"].write(Invite(Rank.ADMIN))
    known = world.replicas["anna"].entries
    known |= {write("anna", known, Admit("Finn", "finn", invite.name))}
    ring = [("ben", "carl"), ("carl", "finn"), ("finn", "ben")]
    acts = [write(who, known, Remove(heads(known, target))) for who, target in ring]
    assert {*view(known | {*acts}).standing} == {*acts}
    assert view(known | {*acts[:2]}).standing == [acts[0]]
    assert sorted(view(known | {*acts}).seats) == ["anna", "dora", "eve"]


def test_thief_takes_its_remover_along_and_nobody_else():
    world = World()
    carl = world.replicas["carl"]
    removal = carl.write(Remove(heads(carl.entries, "ben")))
    acts = {write("ben", world.start, Remove(heads(world.start, t))) for t in ("carl", "dora")}
    seen = view(carl.entries | acts)
    assert removal in seen.standing and sorted(seen.seats) == ["anna", "dora", "eve"]
    mighty = write("anna", world.start, Remove(heads(world.start, "ben")))
    seen = view(carl.entries | acts | {mighty})
    assert sorted(seen.seats) == ["anna", "carl", "dora", "eve"], "rank first"


def test_removal_wins_over_a_concurrent_promotion_unless_it_is_used():
    world = World()
    removal = write("carl", world.start, Remove(heads(world.start, "dora")))
    promoted = write("anna", world.start, Promote("Dora", Rank.OWNER))
    known = world.start | {promoted}
    assert "dora" in view(known | {removal}).gone
    used = write("dora", known, Remove(heads(known, "carl")))
    seen = view(known | {removal, used})
    assert seen.standing == [used] and "dora" in seen.seats and "carl" in seen.gone


def test_phrase_typed_on_two_phones_apart_forks_nothing():
    world = World()
    pins = heads(world.start, "dora")
    acts = {write("!Dora", world.start, Recover(f"dora-{n}", pins), alone=True) for n in (1, 2)}
    seen = view(world.start | acts)
    assert not seen.forked and {"dora-1", "dora-2"} <= seen.seats.keys()
    assert "dora" in seen.gone


def test_removal_of_the_mightier_is_refused():
    world = World()
    for who, target in (("ben", "anna"), ("dora", "eve"), ("eve", "ben")):
        act = write(who, world.start, Remove(heads(world.start, target)))
        assert act in view(world.start | {act}).refused


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
