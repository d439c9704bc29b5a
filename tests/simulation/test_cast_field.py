"""Objects for everybody in the simulated LoRa air, beside managed flood: the benchmark in small."""

import importlib
from pathlib import Path

import pytest

from meshd.core.airtime import LONG_FAST
from meshd.forwarding.rules import rules_for

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
SHARED = rules_for(LONG_FAST, shared=True)
PROMPT = rules_for(LONG_FAST, shared=False)
SEED = 4


@pytest.fixture
def play(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    field = importlib.import_module("lora._broadcast_field")

    def play(rules, *, period_s=900, priority=lambda _: 1):
        load = field.Load(25, period_s, 900)
        return field.Told(load.count, SEED, rules).play(load, priority)

    return play


def test_more_is_reached_with_less_air_than_by_managed_flood(play):
    flood, shared = play(None), play(SHARED)
    assert shared.reach > flood.reach
    assert shared.reach >= 97
    assert shared.air_ms < flood.air_ms
    assert shared.frames < flood.frames


def test_prompt_is_quicker_and_takes_more_frames(play):
    prompt, shared = play(PROMPT), play(SHARED)
    assert prompt.delay_50_s < shared.delay_50_s
    assert prompt.frames > shared.frames
    assert prompt.reach >= 97


def test_urgent_objects_do_not_wait(play):
    calm, urgent = play(SHARED), play(SHARED, priority=lambda _: 0)
    assert urgent.delay_50_s < calm.delay_50_s / 4


def test_the_same_seed_plays_the_same(play):
    assert play(SHARED) == play(SHARED)
