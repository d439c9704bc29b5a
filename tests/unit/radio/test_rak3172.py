"""What is peculiar to the RAK3172: its mode, kinds of reception, listening before sending."""

import pytest
from hypothesis import given, settings
from radios import modem_pairs
from radios.modem_fuzz import stand, talks

from meshd.core.airtime import Modulation
from meshd.core.drops import DropReason
from meshd.radio.modem import Broken, Configured, Dropped, Heard, NotSent, Opened, RadioPlan, Sent
from meshd.radio.rak3172 import Rak3172
from meshd.simulation.modems.rak3172 import Rak3172Emulator
from meshd.simulation.schedule import SECOND

PLAN = RadioPlan(868_100_000, Modulation(9, 125_000, 1, 8), 14)
SAID = (
    *(b"OK\r\n", b"\r\nOK\r\n", b"AT_ERROR\r\n", b"AT_BUSY_ERROR\r\n", b"AT_PARAM_ERROR\r\n"),
    *(b"+EVT:TXP2P DONE\r\n", b"+EVT:RXP2P:-40:11:4142\r\n", b"+EVT:RXP2P RECEIVE ERROR\r\n"),
    *(b"AT+VER=RUI_4.0.6\r\nOK\r\n", b"AT+NWM=0\r\nOK\r\n", b"Current Work Mode: LoRa P2P.\r\n"),
    *(b"P2P_RX_ON already\r\n", b"+EVT:RXP2P:1:2:414\r\n", b"V1.0.4\r\n"),
)


def set_up(*faults, plan=PLAN):
    return modem_pairs.pair(lambda: Rak3172(plan), Rak3172Emulator, faults=faults)


def test_brought_from_lorawan_to_point_to_point():
    plug, _ = set_up()
    written = bytes(plug.written)
    assert b"AT+NWM=0\r\n" in written
    assert b"AT+P2P=868100000:9:0:0:8:14\r\n" in written
    assert b"AT+SYNCWORD=1424\r\n" in written
    assert plug.told(Dropped).count(Dropped(DropReason.MODEM_RESET)) == 0
    assert plug.told(Opened)[0] == Opened("RAK3172", "RUI_4.0.6_RAK3172-E")
    assert plug.modem.listens


def test_second_opening_restarts_nothing():
    plug, _ = set_up()
    plug.written.clear()
    plug.modem = Rak3172(PLAN)
    plug.open()
    plug.wait(Configured)
    assert b"AT+NWM=0" not in plug.written


def test_left_receiving_by_somebody_else():
    plug, other = set_up("receiving")
    assert plug.told(Configured)
    other.transmit(b"hello")
    assert plug.wait(Heard).frame == b"hello"


def test_bandwidth_in_kilohertz_for_firmware_that_wants_it():
    plug, _ = set_up("kilohertz")
    assert b"AT+P2P=868100000:9:125:0:8:14\r\n" in bytes(plug.written)
    assert plug.emulator.radio.setting.modulation.bandwidth_hz == 125_000


def test_reception_that_has_to_be_stopped_to_send():
    one, other = set_up("old-receive")
    for number in range(3):
        one.transmit(bytes((number,)) * 7)
        one.wait(Sent)
        other.transmit(b"answer")
        other.wait(Sent)
        assert one.wait(Heard).frame == b"answer"
    one.desk.run(SECOND)
    assert len(other.told(Heard)) == 3


def test_taken_channel():
    one, _ = set_up()
    one.desk.air.strangers = 1.0
    one.transmit(b"frame")
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_CHANNEL_TAKEN)
    one.desk.air.strangers = 0.0
    one.transmit(b"frame")
    assert one.wait(Sent) == Sent(told=True)


def test_firmware_from_before_rui3():
    plug, _ = set_up("old-firmware")
    broken = plug.told(Broken)[0]
    assert broken.reason is DropReason.MODEM_SETTING
    assert "RUI3" in broken.advice


def test_faults_of_reception_are_dropped():
    one, other = set_up("receive-errors")
    other.transmit(b"after all")
    assert one.wait(Heard).frame == b"after all"
    assert Dropped(DropReason.MODEM_GARBAGE) in one.events


def test_done_that_came_too_soon_is_not_believed():
    one, _ = set_up("lies")
    began = one.desk.schedule.now
    one.transmit(bytes(200))
    assert one.wait(Sent) == Sent(told=False)
    assert one.desk.schedule.now - began >= one.modem.airtime_us(200)


def test_done_that_never_comes():
    one, _ = set_up("never-done")
    one.transmit(b"frame")
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_SILENT, maybe=True)
    one.wait(Configured)


def test_restart_that_nobody_saw_is_found():
    one, other = set_up()
    to_host, one.emulator.written = one.emulator.written, lambda data: None
    one.emulator.power_on()
    one.desk.run(SECOND)
    one.emulator.written = to_host
    assert not one.emulator.listening
    one.desk.run(70 * SECOND)
    other.transmit(b"there?")
    assert one.wait(Heard).frame == b"there?"
    assert one.told(Dropped).count(Dropped(DropReason.MODEM_RESET)) == 1


def test_reception_that_ended_unseen_is_begun_again():
    one, other = set_up()
    one.emulator._set_receive(0)
    one.desk.run(70 * SECOND)
    other.transmit(b"there?")
    assert one.wait(Heard).frame == b"there?"


def test_health_is_asked_without_harm():
    one, _ = set_up()
    before = len(one.events)
    one.desk.run(600 * SECOND)
    assert one.events[before:] == []
    assert one.modem.ready and one.emulator.listening


@pytest.mark.parametrize(
    ("plan", "word"),
    [
        (PLAN._replace(modulation=Modulation(9, 62_500)), "62500 Hz"),
        (PLAN._replace(frequency_hz=2_400_000_000), "2400 MHz"),
        (PLAN._replace(tx_dbm=2), "5 dBm"),
    ],
)
def test_plans_out_of_reach(plan, word):
    broken = set_up(plan=plan)[0].told(Broken)[0]
    assert broken.reason is DropReason.MODEM_SETTING
    assert word in broken.advice


@given(talks(*SAID))
@settings(max_examples=150, deadline=None)
def test_any_talk_is_stood(talk):
    stand(Rak3172(PLAN), talk)
