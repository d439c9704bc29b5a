"""Epochs, the two phases of a link key, catch-up, pieces and gathering, under any course."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from models import properties
from models.partitions import WHAT, World
from models.records import Remove
from models.replica import heads
from models.rotation import (
    BEACONS,
    GATHER_S,
    Frame,
    Gathering,
    LinkKeys,
    pieces,
    readers,
    root_of,
    verifies,
    write_epoch,
)

NUMBER = st.integers(0, 59)
STEPS = st.lists(st.tuples(st.sampled_from(WHAT), NUMBER, NUMBER, NUMBER), max_size=10)
QUICK = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
NAMES = ("a", "b", "c", "d")


@given(STEPS, STEPS)
@QUICK
def test_removed_keys_read_nothing_new(steps, theft):
    properties.removed_read_nothing_new(steps, theft)


@given(STEPS, NUMBER)
@QUICK
def test_two_concurrent_removals_make_one_more_rotation_due(steps, one):
    properties.one_rotation_is_due_after_two_removals(steps, one)


def test_key_handed_on_by_an_admitter_without_the_removal_is_the_old_one():
    world = World()
    ben, carl = world.replicas["ben"], world.replicas["carl"]
    guest = ben.write(world.act("admit", ben, 2, 0))
    removal = carl.write(Remove(heads(carl.entries, "ben")))
    dora = world.replicas["dora"]
    dora.take(ben.entries)
    dora.take(carl.entries)
    seen = dora.view
    assert guest.act.device in seen.seats and write_epoch(seen) == removal
    reading = readers(seen)
    assert guest.act.device not in reading[removal] and "ben" not in reading[removal]
    assert all("ben" in keys for epoch, keys in reading.items() if epoch != removal)


class Rotations(RuleBasedStateMachine):
    """Four nodes that hear each other at times; one sleeps for long, one is removed."""

    def __init__(self):
        super().__init__()
        self.made = ["k0"]
        self.nodes = {name: LinkKeys("k0") for name in NAMES}
        self.removed = set()
        self.known = dict.fromkeys(NAMES, 0)

    @rule()
    def rotate(self):
        self.made.append(f"k{len(self.made)}")
        self.learn("a")

    @rule()
    def remove(self):
        self.removed.add("d")
        self.rotate()

    @rule(name=st.sampled_from(NAMES), other=st.sampled_from(NAMES))
    def meet(self, name, other):
        """Catch-up goes without any key: whoever meets one who knows more asks for its pieces."""
        if self.known[other] > self.known[name] and name not in self.removed:
            self.learn(name, self.known[other])

    @rule(name=st.sampled_from(NAMES), other=st.sampled_from(NAMES))
    def confirm(self, name, other):
        node = self.nodes[name]
        if name != other and node.coming and self.nodes[other].opens(node.coming, Frame.DATA):
            node.confirm(other, node.coming, set(NAMES) - {name} - self.removed)

    @rule(name=st.sampled_from(NAMES))
    def beacon(self, name):
        self.nodes[name].beacon()

    def learn(self, name, upto=None):
        self.known[name] = len(self.made) - 1 if upto is None else upto
        self.nodes[name].learn(self.made[self.known[name]])

    @invariant()
    def removed_has_no_key_made_after_it_went(self):
        if "d" in self.removed:
            node = self.nodes["d"]
            assert self.made[-1] not in {node.using, node.coming}

    @invariant()
    def old_keys_open_catch_up_only(self):
        for node in self.nodes.values():
            assert all(node.opens(key, Frame.CATCH_UP) for key in [*self.made, "unknown"])
            assert not any(node.opens(key, Frame.DATA) for key in node.old)
            assert not node.opens("unknown", Frame.DATA)

    @invariant()
    def nobody_sends_what_a_confirmed_neighbour_cannot_open(self):
        for node in self.nodes.values():
            assert node.using in self.made and node.coming != node.using

    def teardown(self):
        """A sleeper gets in, however long it slept."""
        self.learn("b")
        self.meet("c", "b")
        for _ in range(BEACONS):
            for node in self.nodes.values():
                node.beacon()
        assert self.nodes["c"].using == self.nodes["b"].using == self.made[-1]


TestRotations = Rotations.TestCase
TestRotations.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)


def test_key_is_accepted_at_once_and_used_when_all_neighbours_confirmed():
    node = LinkKeys("old")
    node.learn("new")
    assert node.using == "old" and node.opens("new", Frame.DATA)
    node.confirm("b", "new", {"b", "c"})
    assert node.using == "old" and node.opens("old", Frame.DATA)
    node.confirm("c", "new", {"b", "c"})
    assert node.using == "new" and not node.opens("old", Frame.DATA)
    assert node.opens("old", Frame.CATCH_UP)


def test_key_is_used_after_three_beacons_when_a_neighbour_stays_silent():
    node = LinkKeys("old")
    node.learn("new")
    used = []
    for _ in range(BEACONS):
        node.beacon()
        used.append(node.using)
    assert used == ["old", "old", "new"]


def test_key_that_was_left_is_never_taken_up_again():
    node = LinkKeys("one")
    for key in ("two", "three"):
        node.learn(key)
        for _ in range(BEACONS):
            node.beacon()
    node.learn("one")
    assert node.coming == "" and not node.opens("one", Frame.DATA)


@given(st.lists(st.integers(0, 20).map(str), min_size=1, max_size=40), st.data())
@QUICK
def test_each_piece_is_verified_alone_and_no_other_passes(names, data):
    root, cut = root_of(names), pieces(names)
    piece = data.draw(st.sampled_from(cut))
    assert verifies(piece, root)
    assert not verifies(piece._replace(reader=piece.reader + "x"), root)
    assert not verifies(piece._replace(place=piece.place + (1 << len(piece.way))), root)
    if len(set(names)) > 1:
        assert not verifies(piece, root_of([*names[1:], names[0] + "x"]))


@given(st.lists(st.tuples(st.integers(0, 2 * GATHER_S), st.sampled_from(NAMES), st.booleans())))
@QUICK
def test_removals_are_gathered_for_an_hour_and_urgent_ones_take_the_others_along(asked):
    gathering, asked_at, sent = Gathering(), {}, []
    for now, target, urgent in sorted(asked):
        gone = gathering.tick(now)
        sent += gone
        assert all(now - asked_at.pop(name) >= 0 for name in gone)
        gathering.ask(now, target, urgent=urgent)
        asked_at.setdefault(target, now)
        assert gathering.due_s is not None
        assert all(gathering.due_s <= at + GATHER_S for at in asked_at.values())
        if urgent:
            gone = gathering.tick(now)
            assert target in gone and {*gone} == asked_at.keys()
            sent += gone
            asked_at.clear()
    sent += gathering.tick(3 * GATHER_S)
    assert {*sent} == {target for _, target, _ in asked}
