"""Each rule of the membership models is dropped in turn, and some property must notice.

A mutant is a changed function and the property that catches it; the plays are seeded, and a mutant
that survives all of them fails the test. The names of the parameters are the table of results.
"""

from random import Random

import pytest
from models import (
    forks,
    history,
    membership,
    properties,
    records,
    replica,
    rotation,
    standing,
    validity,
)
from models.partitions import WHAT

PLAYS_MAX = 300


def forget():
    for cached in (validity.view, history.pasts, history.index, history.forked_at):
        cached.cache_clear()


@pytest.fixture(autouse=True)
def no_verdict_of_a_mutant_is_remembered():
    forget()
    yield
    forget()


def steps(random, most=12):
    number = random.randrange(most)
    return [(random.choice(WHAT), *(random.randrange(60) for _ in range(3))) for _ in range(number)]


def whole(random):
    return (steps(random, 18),)


def parted(random):
    return steps(random), random.randrange(60), random.randrange(60)


def stolen(random):
    return steps(random), steps(random, 6), random.randrange(60)


def phrase(random):
    return steps(random), steps(random, 6), random.choice(["Anna", "Ben", "Dora"])


def split(random):
    return steps(random), (random.randrange(1, 5), random.randrange(1, 5)), "dora"


def ground(random):
    return steps(random, 14), tuple(random.randrange(1, 99) for _ in range(3))


def two(random):
    return steps(random), random.randrange(60)


def robbed(random):
    return steps(random), steps(random, 6)


def nothing(random):
    return ()


def greatest(right, loose, seen):
    held = set(right)
    while gone := {e for e in held if not validity._holds(e, loose, held, seen)}:
        held -= gone
    return held


def only_removals_pin(entry, seen, past):
    return any(validity._pins(each, entry, seen, past) for each in seen.standing)


def only_forks_pin(entry, seen, past):
    return bool(entry.seq) and entry.seq >= seen.forked.get(entry.author, entry.seq + 1)


def first_name_wins(removals, past, before):
    stand = []
    for each in sorted(removals, key=lambda each: each.name):
        if not any(standing.disarms(other, each, past, before) for other in stand):
            stand.append(each)
    return stand


def ring_voids_all(removals, past, before):
    removals = list(removals)
    return [r for r in removals if not any(standing.disarms(o, r, past, before) for o in removals)]


def all_stand(removals, past, before):
    return list(removals)


def everyone_equal(entry, past):
    return records.Rank.OWNER, False


def only_direct(removal, entry, past, before):
    return standing.hits(removal, entry, past, before)


def by_number(head, entry, entries):
    return head.feed == entry.author and entry.seq <= head.seq


def only_own_pins(removal, entry, seen, past):
    pins = [pin for pin in removal.act.pins if pin.feed == entry.author and entry != removal]
    return bool(pins) and not any(history.below(pin, entry, seen.entries) for pin in pins)


def sealed_to_all(epoch, seen):
    then = validity.view(history.pasts(seen.entries)[epoch] | {epoch})
    return set(then.seats) | set(then.gone) | set(then.recovery)


def newest(seen):
    before = history.pasts(seen.entries)
    made = rotation.epochs(seen)
    last = [e for e in made if not any(e in before[other] for other in made)]
    return min(last, key=lambda epoch: epoch.name)


def by_hash(seen):
    letting = sorted(seen.valid, key=lambda entry: entry.name)
    return [membership.grants(e) for e in letting if membership.grants(e) in seen.seats]


def lengths_only(mine, theirs):
    return None


def never_closed(entry, sound, entries):
    return False


def nothing_saved(entry):
    return False


MUTANTS = {
    "1 nobody writes closing statements": (
        *(replica, "saves", nothing_saved),
        *("nothing_applied_is_un_applied", whole),
    ),
    "1 a bare pin, no closing statement counts": (
        *(validity, "is_closed", never_closed),
        *("nothing_applied_is_un_applied", whole),
    ),
    "1 a removal pins nothing": (
        *(validity, "_is_loose", only_forks_pin),
        *("removed_device_writes_nothing", stolen),
    ),
    "1 greatest instead of least fixed point": (
        *(validity, "least_fixed_point", greatest),
        *("circle_saves_nothing", nothing),
    ),
    "1 pins do not hold the heirs of a key": (
        *(validity, "_pins", only_own_pins),
        *("removed_device_writes_nothing", stolen),
    ),
    "1 pins and closings by number, not by running hash": (
        *(validity, "below", by_number),
        *("neither_branch_grows", split),
    ),
    "2 a fork pins nothing": (
        *(validity, "_is_loose", only_removals_pin),
        *("neither_branch_grows", split),
    ),
    "2 heads compared by number only": (
        *(forks, "compare", lengths_only),
        *("neither_branch_grows", split),
    ),
    "5 a rotation is sealed to the removed too": (
        *(rotation, "sealed_to", sealed_to_all),
        *("removed_read_nothing_new", robbed),
    ),
    "5 the newest epoch, whoever reads it": (
        *(properties, "write_epoch", newest),
        *("one_rotation_is_due_after_two_removals", two),
    ),
    "6 of mutual removals the smaller hash wins": (
        *(validity, "standing", first_name_wins),
        *("mutual_removal_removes_both", parted),
    ),
    "6 mutual removals void each other": (
        *(validity, "standing", ring_voids_all),
        *("mutual_removal_removes_both", parted),
    ),
    "6 every right removal stands": (
        *(validity, "standing", all_stand),
        *("removed_device_writes_nothing", stolen),
    ),
    "6 all are equals, phrases too": (
        *(standing, "power", everyone_equal),
        *("recovery_wins", phrase),
    ),
    "6 power of those whom the removed let in is kept": (
        *(standing, "disarms", only_direct),
        *("puppet_has_no_power", nothing),
    ),
    "6 admission order by hash": (
        *(properties, "precedence", by_hash),
        *("grinding_changes_nothing", ground),
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_dropped_rule_is_noticed(name, monkeypatch):
    module, changed, mutant, wanted, draw = MUTANTS[name]
    monkeypatch.setattr(module, changed, mutant)
    check = getattr(properties, wanted)
    for seed in range(PLAYS_MAX):
        try:
            check(*draw(Random(seed)))
        except AssertionError:
            return
        if seed % 50 == 0:
            forget()
    pytest.fail(f"no play of {PLAYS_MAX} noticed: {name}")
