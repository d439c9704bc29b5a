"""What is peculiar to the RN2483: one packet per reception, two spaces, words of refusal."""

import pytest
from hypothesis import given, settings
from radios import modem_pairs
from radios.modem_fuzz import stand, talks

from meshd.core.airtime import Modulation
from meshd.core.drops import DropReason
from meshd.radio.modem import Broken, Configured, Dropped, Heard, NotSent, Opened, RadioPlan, Sent
from meshd.radio.rn2483 import Rn2483
from meshd.simulation.modems.desk import Desk
from meshd.simulation.modems.rn2483 import Rn2483Emulator
from meshd.simulation.schedule import SECOND

PLAN = RadioPlan(868_100_000, Modulation(9, 125_000, 1, 8), 14)
SAID = (
    *(b"ok\r\n", b"busy\r\n", b"invalid_param\r\n", b"radio_tx_ok\r\n", b"radio_err\r\n"),
    *(b"radio_rx  48656C6C6F\r\n", b"RN2483 1.0.5 Oct 31 2018\r\n", b"4294967245\r\n", b"-7\r\n"),
    *(b"868100000\r\n", b"radio_rx  123\r\n", b"0\r\n"),
)


def set_up(*faults, plan=PLAN):
    return modem_pairs.pair(lambda: Rn2483(plan), Rn2483Emulator, faults=faults)


def test_told_in_words():
    plug, _ = set_up()
    written = bytes(plug.written).split(b"\r\n")
    paused = written.index(b"mac pause")
    assert paused < written.index(b"radio set freq 868100000") < written.index(b"radio rx 0")
    for words in (b"sf sf9", b"bw 125", b"cr 4/5", b"sync 12", b"wdt 0", b"crc on", b"pwr 14"):
        assert b"radio set " + words in written


def test_reception_begins_again_after_each_packet():
    one, other = set_up()
    for number in range(4):
        other.transmit(bytes((number,)) * 9)
        other.wait(Sent)
        assert one.wait(Heard) == Heard(bytes((number,)) * 9, -96.0, 14.0)
    assert one.emulator.listening


def test_two_spaces_and_one():
    one, _ = set_up()
    for line in (b"radio_rx  4142\r\n", b"radio_rx 4142\r\n"):
        one.line.to_host(line)
        assert one.wait(Heard).frame == b"AB"


def test_half_digits_are_no_packet_but_end_reception():
    one, other = set_up()
    one.emulator.listening = False
    one.line.to_host(b"radio_rx  414\r\n")
    one.desk.run(SECOND)
    assert one.told(Heard) == []
    other.transmit(b"next")
    assert one.wait(Heard).frame == b"next"


def test_old_firmware_tells_no_signal_strength():
    one, other = set_up("no-rssi")
    for _ in range(2):
        other.transmit(b"weak")
        other.wait(Sent)
        assert one.wait(Heard) == Heard(b"weak", None, 14.0)
    assert bytes(one.written).count(b"radio get rssi") == 1


def test_sending_stops_reception_and_begins_it_again():
    one, other = set_up()
    one.transmit(b"to and")
    one.wait(Sent)
    other.transmit(b"fro")
    assert one.wait(Heard).frame == b"fro"
    written = bytes(one.written)
    assert written.index(b"rxstop\r\nradio tx") < written.rindex(b"radio rx 0")


def test_busy_is_a_taken_channel():
    one, _ = set_up("busy")
    for _ in range(2):
        one.transmit(b"frame")
        one.wait(Sent)
    one.transmit(b"frame")
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_CHANNEL_TAKEN)
    assert one.emulator.listening and one.modem.ready


def test_failed_transmission():
    one, _ = set_up("tx-fails")
    one.transmit(b"frame")
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_REFUSED, maybe=True)
    assert one.emulator.listening and one.modem.ready


def test_done_that_came_too_soon_is_not_believed():
    one, other = set_up("lies")
    began = one.desk.schedule.now
    one.transmit(bytes(200))
    assert one.wait(Sent) == Sent(told=False)
    assert one.desk.schedule.now - began >= one.modem.airtime_us(200)
    assert other.wait(Heard).frame == bytes(200)


def test_done_that_never_comes():
    one, _ = set_up("never-done")
    one.transmit(b"frame")
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_SILENT, maybe=True)
    one.wait(Configured)
    assert one.modem.ready


@pytest.mark.parametrize(
    ("faults", "frequency_hz", "fits"),
    [
        ((), 868_100_000, True),
        ((), 433_100_000, True),
        ((), 915_000_000, False),
        (("rn2903",), 915_000_000, True),
        (("rn2903",), 868_100_000, False),
    ],
)
def test_bands(faults, frequency_hz, fits):
    plug, _ = set_up(*faults, plan=PLAN._replace(frequency_hz=frequency_hz))
    assert bool(plug.told(Configured)) is fits
    if not fits:
        broken = plug.told(Broken)[0]
        assert broken.reason is DropReason.MODEM_SETTING
        assert f"{frequency_hz / 1e6:g} MHz" in broken.advice


def test_power_is_clamped_and_told():
    plug, _ = set_up(plan=PLAN._replace(tx_dbm=27))
    assert plug.told(Configured)[0].plan.tx_dbm == 15
    assert plug.told(Opened)[0] == Opened("RN2483", "1.0.5")
    assert set_up(plan=PLAN._replace(tx_dbm=-9))[0].told(Broken)


def test_networks_do_not_hear_each_other():
    desk = Desk()
    one = desk.plug(Rn2483(PLAN), Rn2483Emulator)
    other = desk.plug(Rn2483(PLAN._replace(network=0x34)), Rn2483Emulator)
    for plug in (one, other):
        plug.open()
        plug.wait(Configured)
    one.transmit(b"private")
    one.wait(Sent)
    desk.run(SECOND)
    assert other.told(Heard) == []


def test_reception_that_ended_unseen_is_begun_again():
    one, other = set_up()
    one.emulator.listening = False
    one.desk.run(61 * SECOND)
    other.transmit(b"there?")
    assert one.wait(Heard).frame == b"there?"


def test_fault_of_reception():
    one, _ = set_up()
    one.emulator.listening = False
    one.line.to_host(b"radio_err\r\n")
    one.desk.run(SECOND)
    assert one.told(Dropped)[-1] == Dropped(DropReason.MODEM_GARBAGE)
    assert one.emulator.listening


@given(talks(*SAID))
@settings(max_examples=150, deadline=None)
def test_any_talk_is_stood(talk):
    stand(Rn2483(PLAN), talk)
