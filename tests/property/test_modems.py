"""Any modem with any bad manners, and noise on its line: its owner is never left in the dark.

Each frame that was taken ends as exactly one Sent or NotSent, no sooner than it can be out; after
Broken nothing is due; nothing raises. What is heard is what somebody sent, where nothing garbles.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.core.airtime import Modulation
from meshd.radio.kinds import KINDS, made
from meshd.radio.modem import Broken, NotSent, RadioPlan, Sent
from meshd.simulation.modems.desk import Desk
from meshd.simulation.modems.kinds import EMULATORS
from meshd.simulation.schedule import SECOND

PLANS = {
    "ebyte": RadioPlan(868_125_000, Modulation(7, 125_000), 10),
    "meshtastic": RadioPlan(869_525_000, Modulation(11, 250_000, 1, 16), 14),
}
PLAN = RadioPlan(868_100_000, Modulation(7, 125_000), 10)
WORD_MAX_US = 150 * SECOND
"""A Meshtastic radio may say that its queue is full for two minutes."""

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.binary(min_size=1, max_size=150)),
        st.tuples(st.just("noise"), st.binary(max_size=40)),
        st.tuples(st.just("pass"), st.integers(1, 8_000)),
        st.tuples(st.just("lose"), st.integers(1, 300)),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=8,
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), steps=STEPS)
def test_owner_is_never_left_in_the_dark(kind, data, steps):
    faults = data.draw(st.sets(st.sampled_from(sorted(EMULATORS[kind].FAULTS)), max_size=2))
    desk = Desk()
    plug = desk.plug(
        made(kind, PLANS.get(kind, PLAN), module_dbm=22), EMULATORS[kind], faults=faults
    )
    plug.open()
    desk.run(12 * SECOND)
    assert plug.modem.ready or faults, plug.events
    taken = 0
    for what, value in steps:
        if what == "send" and plug.modem.ready:
            began, settled = desk.schedule.now, count(plug)
            plug.transmit(value)
            taken += 1
            assert count(plug) > settled or not plug.modem.ready
            while count(plug) == settled and desk.schedule.now - began < WORD_MAX_US:
                desk.run(SECOND // 20)
            assert count(plug) == settled + 1, "no word of a frame"
            if plug.told(Sent | NotSent)[-1] == Sent(told=True):
                assert desk.schedule.now - began >= plug.modem.airtime_us(len(value)) // 3
        elif what == "noise":
            plug.line.to_host(value)
        elif what == "pass":
            desk.run(value * 1_000)
        elif what == "lose":
            said, plug.emulator.written = plug.emulator.written, lambda _: None
            desk.run(value * 1_000)
            plug.emulator.written = said
        elif what == "restart":
            plug.emulator.power_on()
        if plug.told(Broken):
            break
    desk.run(5 * SECOND)
    assert count(plug) == taken
    broken = plug.told(Broken)
    assert len(broken) <= 1
    if broken:
        assert plug.events[-1] == broken[0] and broken[0].advice
        assert not plug.modem.ready and plug.modem.poll_timeout() is None


def count(plug):
    return len(plug.told(Sent | NotSent))
