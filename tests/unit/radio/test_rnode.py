"""The RNode dialect against an emulated RNode, in virtual time."""

from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from radios import modem_pairs

from meshd.core.airtime import Modulation
from meshd.core.drops import DropReason
from meshd.core.errors import UsageError
from meshd.radio.modem import (
    Broken,
    Configured,
    Dropped,
    Heard,
    Noise,
    NotSent,
    Opened,
    RadioPlan,
    Sent,
)
from meshd.radio.rnode import Rnode
from meshd.simulation.modems.desk import Desk
from meshd.simulation.modems.rnode import RnodeEmulator
from meshd.simulation.schedule import SECOND

PLAN = RadioPlan(868_100_000, Modulation(7, 125_000, 1, 8), 14)


def pair(*, faults=(), loss_db=110.0, plan=PLAN):
    return modem_pairs.pair(lambda: Rnode(plan), RnodeEmulator, faults=faults, loss_db=loss_db)


def alone(*faults, plan=PLAN):
    return modem_pairs.alone(lambda: Rnode(plan), RnodeEmulator, faults=faults)


def test_configured_and_verified():
    plug = alone()
    assert plug.wait(Opened) == Opened("RNode (ESP32)", "1.86")
    assert plug.wait(Configured).plan == PLAN
    setting = plug.emulator.radio.setting
    assert (setting.frequency_hz, setting.tx_dbm) == (868_100_000, 14)
    assert setting.modulation == Modulation(7, 125_000, 1, 24)
    assert plug.modem.ready


def test_settings_in_the_order_of_the_firmware():
    plug = alone()
    plug.wait(Configured)
    commands = [piece[0] for piece in bytes(plug.written).split(b"\xc0") if piece]
    assert commands[-6:] == [1, 2, 3, 4, 5, 6]


def test_frame_with_its_figures():
    one, other = pair()
    one.transmit(b"hello \xc0\xdb")
    heard = other.wait(Heard)
    assert heard.frame == b"hello \xc0\xdb"
    assert heard.rssi_dbm == 14 - 110
    assert heard.snr_db == 14.0
    assert one.wait(Sent) == Sent(told=True)


@pytest.mark.parametrize("snr_db", [-16.0, -9.25, -12.0])
def test_numbers_that_need_an_escape(snr_db):
    """-16 dB is the byte C0, and -9.25 dB is DB."""
    _, other = pair()
    escaped = {0xC0: b"\xdb\xdc", 0xDB: b"\xdb\xdd"}
    byte = round(snr_db * 4) & 0xFF
    line = b"\xc0\x24" + escaped.get(byte, bytes((byte,))) + b"\xc0\xc0\x00x\xc0"
    other.line.to_host(line)
    assert other.wait(Heard) == Heard(b"x", None, snr_db)


def test_not_sent_before_it_can_be():
    one, other = pair()
    began = one.desk.schedule.now
    one.transmit(bytes(200))
    assert not one.modem.ready
    with pytest.raises(UsageError):
        one.transmit(b"second")
    one.wait(Sent)
    assert one.desk.schedule.now - began >= one.modem.airtime_us(200)
    assert one.modem.ready and other.wait(Heard).frame == bytes(200)


def test_longest_frame_is_one_on_the_air():
    one, other = pair()
    one.transmit(bytes(254))
    assert len(other.wait(Heard).frame) == 254
    assert one.emulator.radio.sent_frames == 1
    one.wait(Sent)
    one.transmit(bytes(255))
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_TOO_LONG)
    one.transmit(b"")
    assert one.wait(NotSent).reason is DropReason.MODEM_TOO_LONG
    assert one.modem.ready


def test_packet_of_two_frames_from_elsewhere_is_dropped():
    one, other = pair()
    one.line.to_modem(b"\xc0\x00" + b"s" * 400 + b"\xc0")
    other.desk.run(3 * SECOND)
    assert other.told(Heard) == []
    assert Dropped(DropReason.MODEM_TOO_LONG) in other.events


def test_airtime_is_that_of_the_air():
    one, _ = pair()
    for size in (1, 20, 254):
        before = one.emulator.radio.sent_us
        one.transmit(bytes(size))
        one.wait(Sent)
        assert one.emulator.radio.sent_us - before == one.modem.airtime_us(size)


def test_many_frames_are_all_told_sent():
    one, other = pair()
    for number in range(40):
        one.transmit(bytes((number,)) * 120)
        assert isinstance(one.wait(Sent | NotSent, 20 * SECOND), Sent), number
    one.desk.run(SECOND)
    assert len(other.told(Heard)) == 40


def test_board_without_channel_reports_is_reckoned():
    one, other = pair(faults=["no-channel-report"])
    for _ in range(3):
        one.transmit(bytes(60))
        assert one.wait(Sent) == Sent(told=False)
        assert len(other.told(Heard)) == one.emulator.radio.sent_frames
    assert one.told(Noise) == []


def test_frame_held_back_by_a_taken_channel():
    one, other = pair()
    one.desk.air.strangers = 1.0
    one.transmit(b"patience")
    one.desk.run(4 * SECOND)
    assert one.told(Sent) == [] and not one.modem.ready
    one.desk.air.strangers = 0.0
    assert one.wait(Sent) == Sent(told=True)
    assert other.wait(Heard).frame == b"patience"


def test_channel_taken_for_good():
    one, _ = pair()
    one.desk.air.strangers = 1.0
    one.transmit(b"patience")
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_CHANNEL_TAKEN, maybe=True)
    assert one.modem.ready


def test_noise_floor_is_told():
    one, _ = pair()
    assert -120 <= one.wait(Noise).dbm <= -110
    one.desk.run(5 * SECOND)
    assert len(one.told(Noise)) == 1


def test_power_is_granted_as_far_as_it_goes():
    assert alone("weak").wait(Configured).plan.tx_dbm == 7


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("silent", DropReason.MODEM_SILENT),
        ("old-firmware", DropReason.MODEM_SETTING),
        ("wrong-frequency", DropReason.MODEM_SETTING),
        ("stays-off", DropReason.MODEM_SETTING),
    ],
)
def test_what_can_not_be_used_says_why(fault, reason):
    plug = alone(fault)
    broken = plug.wait(Broken)
    assert broken.reason is reason and broken.advice
    assert not plug.modem.ready and plug.modem.poll_timeout() is None


@pytest.mark.parametrize("fault", ["boot-log", "late", "garbage", "ready-silent"])
def test_bad_manners_are_survived(fault):
    one, other = pair(faults=[fault])
    one.transmit(b"there")
    assert isinstance(one.wait(Sent | NotSent), Sent)
    other.transmit(b"and back")
    assert one.wait(Heard).frame == b"and back"


def test_frame_without_figures():
    one, other = pair(faults=["no-figures"])
    other.transmit(b"plain")
    assert one.wait(Heard) == Heard(b"plain", None, None)


def test_transmitter_fails():
    one, _ = pair(faults=["tx-fails"])
    one.transmit(b"x")
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_REFUSED)
    assert one.modem.ready


def test_a_lie_about_sent_is_an_hour_spent_and_nothing_heard():
    one, other = pair(faults=["lies"])
    one.transmit(b"x")
    assert isinstance(one.wait(Sent), Sent)
    one.desk.run(2 * SECOND)
    assert other.told(Heard) == [] and one.emulator.radio.sent_frames == 0
    other.transmit(b"and back")
    assert one.wait(Heard).frame == b"and back"


def test_restart_is_noticed_with_a_frame_in_it():
    one, _ = pair(faults=["resets"])
    for _ in range(2):
        one.transmit(b"x")
        one.wait(Sent)
    one.transmit(b"x")
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_RESET, maybe=True)
    assert one.wait(Broken).reason is DropReason.MODEM_RESET


def test_silent_restart_is_noticed_by_asking():
    one, _ = pair()
    one.emulator.listening = False
    assert one.wait(Broken).reason is DropReason.MODEM_RESET


def test_modem_that_hangs():
    one, _ = pair(faults=["hangs"])
    for _ in range(2):
        one.transmit(b"x")
        one.wait(Sent)
    one.transmit(b"x")
    assert one.wait(Broken).reason is DropReason.MODEM_SILENT


def test_half_frames_cost_themselves_only():
    one, other = pair(faults=["half-frames"])
    for number in range(10):
        other.transmit(bytes((number + 1,)) * 50)
        other.wait(Sent)
        other.desk.run(2 * SECOND)
    whole = [heard.frame for heard in one.told(Heard) if len(heard.frame) == 50]
    assert len(whole) == 8


def test_another_kind_answers():
    plug = Desk().plug(Rnode(PLAN), RnodeEmulator, faults=["silent"])
    plug.open()
    plug.line.to_host(b"+ERR=2\r\n")
    assert plug.wait(Broken).reason is DropReason.MODEM_OTHER_KIND


def test_power_that_it_can_not_go_down_to():
    plug = Desk().plug(Rnode(PLAN._replace(tx_dbm=-3)), RnodeEmulator)
    plug.open()
    assert plug.wait(Broken).reason is DropReason.MODEM_SETTING
    assert plug.emulator.radio.setting == RnodeEmulator.factory


def test_asking_sets_nothing():
    plug = Desk().plug(Rnode(PLAN), RnodeEmulator)
    plug.ask()
    assert plug.wait(Opened).firmware == "1.86"
    before = bytes(plug.written)
    plug.desk.run(20 * SECOND)
    assert bytes(plug.written) == before and plug.told(Configured) == []
    assert not plug.modem.ready and plug.modem.poll_timeout() is None


@pytest.mark.parametrize(
    ("code", "ends"), [(1, True), (2, False), (4, False), (5, False), (6, False), (9, False)]
)
def test_errors_that_nobody_asked_for(code, ends):
    one, _ = pair()
    one.line.to_host(b"\xc0\x90" + bytes((code,)) + b"\xc0")
    one.desk.run(SECOND // 10)
    assert bool(one.told(Broken)) is ends
    assert Dropped(DropReason.MODEM_REFUSED) in one.events or ends


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40) | st.just(b"\xc0"), max_size=30))
def test_any_bytes_are_survived(pieces):
    modem = Rnode(PLAN)
    modem.open(0)
    for now, piece in enumerate(pieces):
        modem.receive(piece, now * 1_000)
        modem.handle_timeout(now * 1_000)
        while modem.poll_event() is not None:
            pass


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=1, max_size=60), st.integers(1, 7), st.text("abcxyz\r\n", max_size=20))
def test_frames_come_through_however_the_line_cuts(frame, size, noise):
    modem = Rnode(PLAN)
    online(modem)
    level = bytes((60, 0x24, 20))
    quoted = frame.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
    line = noise.encode() + b"\xc0\x23" + level[:1] + b"\xc0\xc0" + level[1:] + b"\xc0"
    line += b"\xc0\x00" + quoted + b"\xc0"
    for start in range(0, len(line), size):
        modem.receive(line[start : start + size], 2_000_000)
    heard = [event for event in events(modem) if isinstance(event, Heard)]
    assert heard == [Heard(frame, 60 - 157, 5.0)]


def online(modem):
    """Answer as an RNode would, without one."""
    modem.open(0)
    for line in (
        *(b"\xc0\x08\x46\xc0", b"\xc0\x48\x80\xc0\xc0\x50\x01\x56\xc0"),
        *(b"\xc0\x01" + pack(">I", 868_100_000) + b"\xc0", b"\xc0\x02\x00\x01\xe8\x48\xc0"),
        *(b"\xc0\x03\x0e\xc0", b"\xc0\x04\x07\xc0", b"\xc0\x05\x05\xc0", b"\xc0\x06\x01\xc0" * 2),
    ):
        modem.receive(line, 1_000_000)
    assert modem.ready
    events(modem)


def events(modem):
    found = []
    while (event := modem.poll_event()) is not None:
        found.append(event)
    return found
