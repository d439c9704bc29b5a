"""What each module makes of a frame, beside what its dialect and its facts say."""

from base64 import b85encode

import pytest

from meshd.config.radios import facts_of
from meshd.core.airtime import FRAME_BYTES_MAX
from meshd.core.errors import UsageError
from meshd.radio.meshtastic import modem as meshtastic
from meshd.simulation.media.modules import BARE, MODULES, SIGNED, kind_of, module_of


@pytest.mark.parametrize("name", MODULES)
def test_module_has_the_limits_of_its_facts(name):
    module, facts = module_of(name), facts_of(kind_of(name))
    assert (module.frame_max, module.listens) == (facts.frame_max, facts.listens)
    assert module.on_air(1) > 1 or not facts.added_bytes
    assert max(map(module.on_air, range(1, module.frame_max + 1))) <= FRAME_BYTES_MAX


def test_bare_chip_sends_frames_as_they_are():
    assert module_of("") is BARE
    assert (BARE.on_air(0), BARE.on_air(FRAME_BYTES_MAX)) == (0, FRAME_BYTES_MAX)


def test_frames_by_reyax_are_characters():
    module = module_of("reyax")
    assert [module.on_air(size) for size in range(193)] == [
        len(b85encode(bytes(size))) + 8 for size in range(193)
    ]


def test_firmware_signs_what_leaves_room_for_it():
    limit, extra = meshtastic.SIGNED_PAYLOAD_MAX, meshtastic.SIGNATURE_BYTES
    plain, signed = module_of("meshtastic"), module_of(SIGNED)
    assert signed.on_air(limit) == plain.on_air(limit) + extra
    assert signed.on_air(limit + 1) == plain.on_air(limit + 1)


def test_module_that_nobody_makes_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match="'pigeon': known are rnode, meshcore"):
        module_of("pigeon")
