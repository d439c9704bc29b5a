"""Faults put into what goes by LoRa, and into direct messages: the checkers see each."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from meshd.core.events import Notice
from meshd.core.ids import NODE_ID_LEN, node_text
from meshd.link import seal
from meshd.link.account import Spending
from meshd.messages.inbox import Inbox
from meshd.messages.letter import State
from meshd.messages.sending import Sending
from meshd.routing.lora.dialect import LoraDialect
from meshd.simulation.build import build_world
from meshd.simulation.checks.air import Air
from meshd.simulation.checks.duty import Duty
from meshd.simulation.checks.easy import Easy
from meshd.simulation.checks.letters import Letters
from meshd.simulation.plan.plan import Fault, MediumPlan, NodeGroup, Plan, Terrain, Traffic
from meshd.simulation.swarm.judge import judge
from meshd.sync.air.sync import AirSync

LORA = MediumPlan(
    "lora",
    "lora",
    tx_dbm=14.0,
    frequency_mhz=869.525,
    bandwidth_khz=250.0,
    spreading_factor=7,
    region="EU868",
)
PLAN = Plan(
    "radios",
    duration_s=120.0,
    settle_s=300.0,
    letters=True,
    terrain=Terrain(1_000, 1_000, shadowing_db=0.0, asymmetry_db=0.0),
    media=(LORA,),
    nodes=tuple(NodeGroup(f"n{x}", media=("lora",), x_m=100.0 * x, y_m=10.0) for x in (1, 2, 3)),
    traffic=(Traffic("broadcast", every_s=40.0, size=30, start_s=5.0),),
)


SCARCE = replace(PLAN, media=(replace(LORA, frequency_mhz=868.3, bandwidth_khz=125.0),))
"""Where law grants 36 s in an hour."""


def seen(plan=PLAN):
    return {one.checker for one in judge(plan, 1)}


def test_honest_radios_break_no_rule():
    assert seen() == set()
    assert seen(replace(PLAN, letters=False, traffic=())) == set()


def test_entries_that_radios_do_not_bring_are_missed(monkeypatch):
    monkeypatch.setattr(AirSync, "space_event", lambda self, *args: None)
    monkeypatch.setattr(AirSync, "tend", lambda self, now: None)
    assert "air" in seen(replace(PLAN, settle_s=1_000.0))


def test_routes_that_radios_do_not_learn_are_missed(monkeypatch):
    monkeypatch.setattr(LoraDialect, "heard", lambda self, *args, **more: None)
    assert "air" in seen()


def test_text_that_is_called_delivered_too_early_is_seen(monkeypatch):
    real = Sending.go

    def eager(self, number, now):
        real(self, number, now)
        letter = self._outbox.letters.get(number)
        if letter is not None:
            self._outbox.advance(letter, State.DELIVERED)

    monkeypatch.setattr(Sending, "go", eager)
    assert "letters" in seen()


def test_text_that_is_changed_or_told_twice_is_seen(monkeypatch):
    real = Inbox.take
    monkeypatch.setattr(
        Inbox, "take", lambda self, taken, *rest: real(self, taken._replace(text="x"), *rest)
    )
    assert "letters" in seen()


def test_text_that_the_copy_of_a_card_has_got_is_delivered():
    checker, (sender, receiver, copy) = letters_of("n1", "n2", "n2-copy2")
    copy.node.id = receiver.node.id
    said = {"id": "a-1", "node": node_text(receiver.node.id), "state": "delivered"}
    checker._got[copy.number, "a-1"] = None
    checker.notice(sender, Notice("message-state", said))
    assert checker.violations == []
    checker.notice(sender, Notice("message-state", {**said, "id": "a-2"}))
    assert "never had" in checker.violations[0].text


def letters_of(*names):
    hosts = [
        SimpleNamespace(
            number=number, name=name, node=SimpleNamespace(id=bytes([number]) * NODE_ID_LEN)
        )
        for number, name in enumerate(names)
    ]
    return Letters(SimpleNamespace(hosts=hosts, now=0), PLAN), hosts


def sent_beyond(disk):
    """Return what the checker says of 30 s on the air, a power cut, and 10 s more, of 36 s."""
    world = build_world(SCARCE, 1)
    checker, host = Duty(world, SCARCE), world.hosts[0]
    world.run(500_000_000)
    for _ in range(10):
        checker.frame_sent("n1", "x", 50, 3_000_000)
    host.crash()
    world.run(1_000_000)
    host.start(disk)
    world.run(1_000_000)
    checker.frame_sent("n1", "x", 50, 3_000_000)
    assert checker.violations == []
    checker.frame_sent("n1", "x", 50, 4_000_000)
    return [one.text for one in checker.violations]


def test_who_has_spent_its_hour_may_let_another_wait_for_an_hour_and_no_longer():
    world = build_world(SCARCE, 1)
    checker, (one, other, _) = Air(world, SCARCE), world.hosts
    space = bytes(32)
    other.store.entries[space, space] = {1: b"entry"}

    def still():
        return checker._stands_still(one, [other], space, set())

    def spend():
        other.node.radios.hour.ledger.assume_spent(other.now)

    world.run(SCARCE.faults_end_us + 1_000_000_000)
    assert still(), "its hour is free"
    spend()
    assert not still()
    world.run(3_700_000_000)
    assert still(), "it is free again"
    spend()
    assert still(), "there was time enough"


@pytest.mark.parametrize("disk", ["kept", "torn"])
def test_no_restart_gives_airtime_back(disk):
    assert "within an hour" in sent_beyond(disk)[0]


@pytest.mark.parametrize("disk", ["rolled-back", "empty"])
def test_card_that_went_back_with_a_reboot_knows_no_better(disk):
    assert sent_beyond(disk) == []


EASY = replace(
    PLAN,
    settle_s=900.0,
    letters=False,
    traffic=(replace(PLAN.traffic[0], end_s=100.0),),
    faults=(Fault("crash", 10.0, 100.0, nodes="n3"),),
)
"""One host sleeps through what the others write, and has a quarter of an hour to get it."""
BUSY = replace(
    SCARCE,
    duration_s=500.0,
    settle_s=1.0,
    letters=False,
    media=(replace(SCARCE.media[0], spreading_factor=9),),
    nodes=SCARCE.nodes[:2],
    traffic=(replace(PLAN.traffic[0], every_s=10.0),),
)
"""Two that say more than the law grants them."""


def test_replicas_that_are_not_the_same_after_easy_minutes_are_seen(monkeypatch):
    assert seen(EASY) == set()
    monkeypatch.setattr(AirSync, "space_event", lambda self, *args: None)
    monkeypatch.setattr(AirSync, "tend", lambda self, now: None)
    found = judge(EASY, 1)
    assert any("easy minutes" in one.text for one in found), found


@pytest.mark.parametrize(
    "change",
    [
        {"faults": (Fault("crash", 10.0, 60.0, disk="empty"),)},
        {"faults": (Fault("hostile", 10.0, 60.0, behaviour="air-junk"),)},
        {"faults": (Fault("jam", 10.0, 700.0),), "duration_s": 800.0},
        {"media": SCARCE.media},
        {"settle_s": 899.0},
    ],
    ids=["disk", "malice", "long", "law", "time"],
)
def test_plan_that_is_not_easy_promises_less(change):
    assert Easy(EASY).plan
    assert not Easy(replace(EASY, **change)).plan


def test_who_said_much_had_it_not_easy():
    for names, each_us, light in (("a", 25, True), ("a", 35, False), ("abcdef", 28, False)):
        easy = Easy(EASY)
        for name in names:
            easy.sent(name, each_us * EASY.end_us // 1000)
        assert easy.light == light


def test_ledger_that_counts_a_tenth_is_seen(monkeypatch):
    assert seen(BUSY) == set()
    real = Spending.add
    monkeypatch.setattr(
        Spending, "add", lambda self, share, us, end_us: real(self, share, us // 10, end_us)
    )
    assert "duty" in seen(BUSY)


def test_frames_under_one_nonce_are_seen(monkeypatch):
    monkeypatch.setattr(seal, "frame_nonce", lambda mark, tag: bytes(24))
    assert any("under one key" in one.text for one in judge(EASY, 1))
