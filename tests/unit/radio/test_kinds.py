"""Every modem that meshd speaks to can be emulated, under one name."""

from meshd.radio.kinds import KINDS
from meshd.simulation.modems.kinds import EMULATORS


def test_each_kind_has_its_emulator_of_the_same_speed():
    assert list(KINDS) == list(EMULATORS)
    for name, modem in KINDS.items():
        assert modem.baud == EMULATORS[name].baud
        assert name == modem.kind == EMULATORS[name].kind


def test_each_fault_is_said_in_a_sentence():
    for emulator in EMULATORS.values():
        assert all(len(about) > 10 for about in emulator.FAULTS.values())
