"""Faults put into what goes by LoRa, and into direct messages: the checkers see each."""

from dataclasses import replace

from meshd.messages.inbox import Inbox
from meshd.messages.letter import State
from meshd.messages.sending import Sending
from meshd.routing.lora import LoraDialect
from meshd.simulation.plan.plan import MediumPlan, NodeGroup, Plan, Terrain, Traffic
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
