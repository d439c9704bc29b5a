"""The Ebyte dialect against an emulated E22: registers by mode pins, frames in a pipe."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from radios import modem_pairs
from radios.modem_fuzz import stand, talks

from meshd.core.airtime import Modulation
from meshd.core.drops import DropReason
from meshd.radio.ebyte import AIR_RATES, Ebyte, RssiScale, nearest_air_rate, wrap
from meshd.radio.modem import (
    Broken,
    Configured,
    Dropped,
    Heard,
    NotSent,
    Opened,
    Pins,
    RadioPlan,
    Sent,
)
from meshd.simulation.modems.desk import Desk
from meshd.simulation.modems.ebyte import EbyteEmulator
from meshd.simulation.schedule import SECOND

PLAN = RadioPlan(868_125_000, Modulation(9, 125_000, 1, 8), 14)
SIGNAL = bytes((256 - 97,))


def ebyte(plan=PLAN, *, module_dbm=22, **settings):
    """A modem whose module's strength is named."""
    return Ebyte(plan, module_dbm=module_dbm, **settings)


def set_up(*faults, plan=PLAN, others=(), **settings):
    def make():
        return ebyte(plan, **settings)

    return modem_pairs.pair(make, EbyteEmulator, faults=faults, others=others)


def piped():
    """A modem that is a pipe already, and the time."""
    plug, _ = set_up()
    return plug.modem, plug.desk.schedule.now


def events_of(modem):
    events = []
    while (event := modem.poll_event()) is not None:
        events.append(event)
    return events


def test_pins_then_registers_then_pins_then_pipe():
    plug, _ = set_up()
    kinds = [type(event) for event in plug.events]
    assert kinds == [Pins, Opened, Pins, Configured]
    assert plug.told(Pins) == [Pins(m0=False, m1=True), Pins(m0=False, m1=False)]
    assert bytes(plug.written) == bytes.fromhex(
        "c18007 c10007 c00009 ffff 12 62 02 12 90 0000".replace(" ", "")
    )
    assert plug.told(Configured)[0].plan == PLAN._replace(tx_dbm=13)
    setting = plug.emulator.radio.setting
    assert (setting.frequency_hz, setting.tx_dbm) == (868_125_000, 13.0)


def test_registers_that_are_right_are_not_written_again():
    plug, _ = set_up()
    plug.written.clear()
    plug.modem = ebyte()
    plug.open()
    plug.wait(Configured)
    assert bytes(plug.written) == b"\xc1\x80\x07\xc1\x00\x07"


def test_asking_writes_no_register():
    plug = Desk().plug(ebyte(), EbyteEmulator)
    plug.ask()
    assert plug.wait(Opened) == Opened("E22", "00220b10160000")
    plug.desk.run(5 * SECOND)
    assert bytes(plug.written) == b"\xc1\x80\x07"
    assert plug.modem.poll_timeout() is None
    assert plug.told(Pins)[-1] == Pins(m0=False, m1=False)


@pytest.mark.parametrize("size", [1, 17, 100, 235])
def test_frames_of_all_lengths(size):
    one, other = set_up()
    frame = bytes(number * 7 & 0xFF for number in range(size))
    one.transmit(frame)
    assert other.wait(Heard) == Heard(frame, -97.0, None)
    assert one.wait(Sent) == Sent(told=False)
    assert one.emulator.radio.sent_frames == 1


def test_wrapped_as_the_wire_format_says():
    assert wrap(b"hello") == bytes.fromhex("6dd70568656c6c6f8e73")


def test_frame_too_long_for_one_packet():
    one, _ = set_up()
    one.transmit(bytes(236))
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_TOO_LONG)


@pytest.mark.parametrize("factor", range(7, 13))
@pytest.mark.parametrize("size", [1, 40, 235])
def test_airtime_is_a_bound(factor, size):
    one, other = set_up(plan=PLAN._replace(modulation=Modulation(factor, 125_000)))
    one.transmit(bytes(size))
    one.wait(Sent, 120 * SECOND)
    assert one.emulator.radio.sent_us <= one.modem.airtime_us(size)
    assert one.emulator.radio.sent_us >= one.modem.airtime_us(size) // 3
    assert other.wait(Heard)


@pytest.mark.parametrize(
    ("modulation", "rate"),
    [
        (Modulation(12, 125_000), 300),
        (Modulation(11, 250_000), 1_200),
        (Modulation(9, 125_000), 2_400),
        (Modulation(8, 125_000), 2_400),
        (Modulation(7, 125_000), 4_800),
        (Modulation(7, 500_000), 19_200),
    ],
)
def test_nearest_air_rate(modulation, rate):
    assert rate in AIR_RATES
    assert nearest_air_rate(PLAN._replace(modulation=modulation)) == rate


@pytest.mark.parametrize("frequency_hz", [868_100_000, 869_525_000, 849_125_000, 931_125_000])
def test_frequency_off_the_raster(frequency_hz):
    plug, _ = set_up(plan=PLAN._replace(frequency_hz=frequency_hz))
    broken = plug.told(Broken)[0]
    assert broken.reason is DropReason.MODEM_SETTING
    assert "the nearest is" in broken.advice
    assert not plug.written


def test_band_of_400_megahertz():
    plan = PLAN._replace(frequency_hz=433_125_000)
    one, other = set_up("band-400", plan=plan, others=("band-400",))
    assert one.emulator.radio.setting.frequency_hz == 433_125_000
    one.transmit(b"far")
    assert other.wait(Heard).frame == b"far"


def test_power_steps_of_both_families():
    steps = ((14, 22, 13, 2), (30, 22, 22, 0), (30, 30, 30, 0), (26, 30, 24, 2), (21, 30, 21, 3))
    for wanted, module_dbm, granted, number in steps:
        plug, _ = set_up(plan=PLAN._replace(tx_dbm=wanted), module_dbm=module_dbm)
        assert plug.told(Configured)[0].plan.tx_dbm == granted
        assert plug.emulator._registers[4] & 3 == number
    assert "21 dBm" in set_up(plan=PLAN, module_dbm=30)[0].told(Broken)[0].advice


@pytest.mark.parametrize("named", [None, 33])
def test_module_of_unnamed_strength_is_never_set_and_never_sends(named):
    plug, _ = set_up(module_dbm=named)
    (broken,) = plug.told(Broken)
    assert broken.reason is DropReason.MODEM_SETTING and "module_dbm" in broken.advice
    assert not plug.told(Configured) and not plug.told(Pins) and not plug.modem.ready


def test_pins_that_are_not_wired():
    broken = set_up("pins-not-wired")[0].told(Broken)[0]
    assert broken.reason is DropReason.MODEM_SILENT
    assert "M0 is low and M1 high" in broken.advice


@pytest.mark.parametrize("fault", ["refuses", "forgets"])
def test_registers_that_are_not_taken(fault):
    broken = set_up(fault)[0].told(Broken)[0]
    assert broken.reason is DropReason.MODEM_SETTING


def test_other_kind_answers():
    plug = Desk().plug(ebyte(), EbyteEmulator, faults=["silent"])
    plug.open()
    plug.desk.run(SECOND // 2)
    plug.line.to_host(b"invalid_param\r\n")
    broken = plug.wait(Broken)
    assert broken.reason is DropReason.MODEM_OTHER_KIND
    assert 'kind = "rn2483"' in broken.advice


def test_signal_strength_by_both_manuals():
    one, other = set_up("half-rssi", rssi_scale=RssiScale.HALF)
    other.transmit(b"x")
    assert one.wait(Heard).rssi_dbm == -97.0


def test_module_without_a_signal_byte():
    one, other = set_up("no-signal-byte")
    for number in range(3):
        other.transmit(bytes((number,)))
        other.wait(Sent)
        assert one.wait(Heard) == Heard(bytes((number,)), None, None)


def test_merged_packets_are_two_frames():
    one, other = set_up("merges")
    for frame in (b"first", b"second"):
        other.transmit(frame)
        other.wait(Sent)
    one.desk.run(SECOND)
    assert [event.frame for event in one.told(Heard)] == [b"first", b"second"]


def test_merged_frames_without_signal_bytes():
    modem, now = piped()
    modem.receive(wrap(b"first") + wrap(b"second") + SIGNAL, now)
    assert events_of(modem) == [Heard(b"first", None, None), Heard(b"second", -97.0, None)]


def test_cut_packets_without_signal_bytes_are_one_frame():
    one, other = set_up("no-signal-byte", others=("cuts",))
    other.transmit(bytes(100))
    assert one.wait(Heard).frame == bytes(100)


def test_cut_packets_with_signal_bytes_cost_one_frame():
    one, other = set_up(others=("cuts",))
    other.transmit(bytes(100))
    other.wait(Sent)
    one.desk.run(2 * SECOND)
    assert one.told(Heard) == [] and Dropped(DropReason.MODEM_GARBAGE) in one.events
    other.transmit(b"short")
    assert one.wait(Heard).frame == b"short"


@pytest.mark.parametrize("fault", ["noise", "half-frames"])
def test_noise_and_half_frames(fault):
    one, other = set_up(fault)
    for number in range(12):
        other.transmit(bytes((number,)) * 20)
        other.wait(Sent)
        one.desk.run(SECOND)
    heard = [event.frame[0] for event in one.told(Heard)]
    lost = [4, 9] if fault == "half-frames" else []
    assert heard == [number for number in range(12) if number not in lost]
    assert Dropped(DropReason.MODEM_GARBAGE) in one.events


def test_flipped_bit_costs_one_frame():
    modem, now = piped()
    for place in range(len(wrap(b"first"))):
        packet = bytearray(wrap(b"first"))
        packet[place] ^= 0x10
        modem.receive(bytes(packet) + SIGNAL + wrap(b"second") + SIGNAL, now)
        modem.handle_timeout(now + SECOND)
        now += 2 * SECOND
        heard = [event for event in events_of(modem) if isinstance(event, Heard)]
        assert [event.frame for event in heard] == [b"second"]


def test_networks_do_not_hear_each_other():
    desk = Desk()
    one = desk.plug(ebyte(), EbyteEmulator)
    other = desk.plug(ebyte(PLAN._replace(network=3)), EbyteEmulator)
    for plug in (one, other):
        plug.open()
        plug.wait(Configured)
    one.transmit(b"private")
    one.wait(Sent)
    assert other.told(Heard) == []


@given(
    frames=st.lists(st.binary(min_size=1, max_size=235), max_size=4),
    noise=st.binary(max_size=12),
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=12),
)
@settings(max_examples=100, deadline=None)
def test_frames_between_noise_cut_anywhere(frames, noise, cuts):
    """Where noise holds no beginning of a frame, every frame behind it is heard."""
    noise = noise.replace(b"\x6d", b"\x6e")
    modem, now = piped()
    stream = b"".join(noise + wrap(frame) + SIGNAL for frame in frames)
    turn = 0
    while stream:
        size = cuts[turn % len(cuts)]
        modem.receive(stream[:size], now)
        stream, turn, now = stream[size:], turn + 1, now + 2_000
    modem.handle_timeout(now + SECOND)
    heard = [event for event in events_of(modem) if isinstance(event, Heard)]
    assert heard == [Heard(frame, -97.0, None) for frame in frames]


@given(
    talks(
        wrap(b"a frame") + SIGNAL,
        wrap(b"x"),
        b"\x6d\xd7",
        b"\x6d\xd7\xeb",
        b"\xff\xff\xff",
        bytes.fromhex("c1800700220b10160000"),
        bytes.fromhex("c10007ffff1262021290"),
    )
)
@settings(max_examples=150, deadline=None)
def test_any_talk_is_stood(talk):
    stand(ebyte(), talk)


@pytest.mark.parametrize("faults", [(), ("slow-mode",), ("late",), ("resets",), ("forgets",)])
def test_nothing_is_written_while_its_pin_aux_would_be_low(faults):
    """The pin is not wired; whoever waits as long as the dialect does need not see it."""
    desk = Desk()
    one, other = (desk.plug(ebyte(), EbyteEmulator, faults=names) for names in (faults, ()))
    levels, carry = [], one.line.to_modem

    def to_modem(data):
        levels.append(one.emulator.aux)
        carry(data)

    one.line.to_modem = to_modem
    for plug in (one, other):
        plug.open()
        plug.wait(Configured | Broken)
    for size in (1, 235, 20, 100):
        if one.modem.ready:
            one.transmit(bytes(size))
            one.wait(Sent, 60 * SECOND)
    assert len(levels) == (3 if "forgets" in faults else 7)
    assert all(levels)


@pytest.mark.parametrize("fault", ["late", "boot-log", "slow-mode"])
def test_bad_manners_are_survived(fault):
    one, other = set_up(fault)
    one.transmit(b"there")
    one.wait(Sent)
    assert other.wait(Heard).frame == b"there"
    other.transmit(b"and back")
    assert one.wait(Heard).frame == b"and back"


@pytest.mark.parametrize(("fault", "heard"), [("resets", 3), ("hangs", 2), ("lies", 0)])
def test_what_a_pipe_can_not_tell_counts_as_sent(fault, heard):
    one, other = set_up(fault)
    for number in range(4):
        one.transmit(bytes((number,)) * 20)
        one.wait(Sent)
        one.desk.run(SECOND)
    assert len(other.told(Heard)) == one.emulator.radio.sent_frames == heard
    assert one.modem.ready
