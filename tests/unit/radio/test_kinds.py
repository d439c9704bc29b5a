"""Every modem that meshd speaks to can be emulated, under one name."""

import pytest

from meshd.radio.kinds import KINDS
from meshd.radio.modem import plausible
from meshd.simulation.modems.kinds import EMULATORS


def test_each_kind_has_its_emulator_of_the_same_speed():
    assert list(KINDS) == list(EMULATORS)
    for name, modem in KINDS.items():
        assert modem.baud == EMULATORS[name].baud
        assert name == modem.kind == EMULATORS[name].kind


def test_each_fault_is_said_in_a_sentence():
    for emulator in EMULATORS.values():
        assert all(len(about) > 10 for about in emulator.FAULTS.values())


@pytest.mark.parametrize("level", [float("nan"), float("inf"), -1e30, 21_131.0, None])
def test_a_level_that_no_receiver_can_mean_is_none(level):
    assert plausible(level) is None


def test_a_level_is_told_as_it_is():
    assert (plausible(-137.5), plausible(12.25)) == (-137.5, 12.25)
