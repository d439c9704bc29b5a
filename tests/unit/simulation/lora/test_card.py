"""The ledger's file on a simulated card, and what becomes of it when the power goes."""

from random import Random

import pytest
from worlds.lora_pair import hosts

from meshd.core.events import AirtimeSave
from meshd.simulation.disk import SNAPSHOT_AGE_US
from meshd.simulation.lora.card import LedgerCard
from meshd.simulation.plan.plan import Fault
from meshd.simulation.world import SECOND

OLD, NEW = b"old", b"new"
LATER = SNAPSHOT_AGE_US + 10


@pytest.fixture
def card():
    made = LedgerCard(Random(1))
    made.written(OLD, 5)
    made.written(NEW, LATER)
    return made


@pytest.mark.parametrize(
    ("disk", "state", "forgot"),
    [
        ("kept", NEW, []),
        ("torn", NEW, []),
        ("rolled-back", OLD, [(LATER - SNAPSHOT_AGE_US, LATER)]),
        ("empty", None, [(0, LATER)]),
    ],
)
def test_card_is_found_as_the_plan_says(card, disk, state, forgot):
    assert card.find(disk, LATER) == card.state == state
    assert card.forgot == forgot


def test_card_that_goes_back_twice_goes_on_from_where_it_was(card):
    card.find("rolled-back", LATER)
    card.written(b"third", LATER + 9)
    assert card.find("rolled-back", LATER + 10) == OLD
    card.written(b"fourth", LATER + 20)
    assert card.find("rolled-back", LATER + 21 + SNAPSHOT_AGE_US) == b"fourth"


def test_card_that_is_younger_than_what_comes_back_holds_nothing():
    card = LedgerCard(Random(1))
    card.written(NEW, 5)
    assert card.find("rolled-back", 10) is None


def test_torn_write_is_there_or_not_and_never_half():
    found = set()
    for seed in range(20):
        card = LedgerCard(Random(seed))
        card.written(OLD, 5)
        card.begin(NEW)
        found.add(card.find("torn", 6))
        assert card.forgot == []
    assert found == {OLD, NEW}


def test_write_that_failed_or_ended_is_under_way_no_more():
    for end in (lambda card: card.failed(), lambda card: card.written(OLD, 1)):
        for seed in range(8):
            card = LedgerCard(Random(seed))
            card.written(OLD, 0)
            card.begin(NEW)
            end(card)
            assert card.find("torn", 6) == OLD


def test_many_writes_are_forgotten_once_they_are_older_than_any_snapshot():
    card = LedgerCard(Random(1))
    for number in range(5_000):
        card.written(b"%d" % number, number * SECOND)
    assert len(card._since) <= 1_001
    assert card.find("rolled-back", 4_999 * SECOND) == b"4879"


def host_of(*faults):
    world = hosts(1, *faults)
    return world, world.hosts[0]


def hour_ms(host):
    (status,) = host.node.snapshot(host.now).radios
    return status.airtime_hour_ms


@pytest.mark.parametrize("disk", ["kept", "torn", "rolled-back", "empty"])
def test_next_life_knows_of_the_hour_what_its_card_does(disk):
    world, host = host_of(Fault("crash", 30, 1, nodes="n1", disk=disk))
    world.run(30 * SECOND - 1)
    spent = hour_ms(host)
    world.run(1 * SECOND + 2)
    assert (hour_ms(host) >= spent) == (disk in ("kept", "torn"))
    assert (hour_ms(host) == 0) == (disk in ("rolled-back", "empty"))


def test_nothing_is_sent_while_the_ledger_cannot_be_kept():
    world, host = host_of(Fault("failing-disk", 0, 60, nodes="n1", share=1.0))
    world.run(59 * SECOND)
    assert hour_ms(host) == 0 and host.lora.card.state is None
    world.run(60 * SECOND)
    assert hour_ms(host) > 0 and host.lora.card.state is not None


def test_slow_disk_delays_the_first_frame():
    slow = Fault("slow-disk", 5, 60, nodes="n1", delay_s=20.0)
    world, host = host_of(slow, Fault("crash", 10, 1, nodes="n1", disk="empty"))
    world.run(30 * SECOND)
    assert hour_ms(host) == 0
    world.run(20 * SECOND)
    assert hour_ms(host) > 0


def test_state_without_a_number_is_kept_and_not_answered():
    world, host = host_of()
    world.run(SECOND)
    host.lora.save(AirtimeSave(0, b"last"))
    world.run(SECOND)
    assert host.lora.card.state == b"last"
