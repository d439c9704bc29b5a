"""Radios of different makes on one air: who sends frames as they are is heard by others."""

from itertools import permutations

import pytest

from meshd.core.airtime import Modulation
from meshd.radio.kinds import KINDS
from meshd.radio.modem import Configured, Heard, RadioPlan, Sent
from meshd.simulation.modems.desk import Desk
from meshd.simulation.modems.kinds import EMULATORS
from meshd.simulation.schedule import SECOND

PLAN = RadioPlan(868_100_000, Modulation(7, 125_000), 10)
PLAIN = ("meshcore", "rak3172", "rn2483")


@pytest.mark.parametrize(("sender", "hearer"), list(permutations(PLAIN, 2)))
def test_plain_frames_are_heard_by_other_makes(sender, hearer):
    desk = Desk()
    one, other = (desk.plug(KINDS[kind](PLAN), EMULATORS[kind]) for kind in (sender, hearer))
    for plug in (one, other):
        plug.open()
        plug.wait(Configured)
    one.transmit(b"\x00\xc0 any bytes \r\n")
    one.wait(Sent)
    assert other.wait(Heard, 5 * SECOND).frame == b"\x00\xc0 any bytes \r\n"
