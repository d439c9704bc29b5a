"""The dialect of MeshCore's KISS modem against an emulated one, in virtual time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from radios import modem_pairs

from meshd.core.airtime import Modulation
from meshd.core.drops import DropReason
from meshd.radio.meshcore import META_US, MeshCore
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
from meshd.simulation.modems.desk import Desk
from meshd.simulation.modems.meshcore import MeshCoreEmulator
from meshd.simulation.modems.rnode import RnodeEmulator
from meshd.simulation.schedule import SECOND

PLAN = RadioPlan(869_525_000, Modulation(8, 62_500, 4, 16), 10)


def pair(*faults, plan=PLAN):
    return modem_pairs.pair(lambda: MeshCore(plan), MeshCoreEmulator, faults=faults)


def alone(*faults, plan=PLAN):
    return modem_pairs.alone(lambda: MeshCore(plan), MeshCoreEmulator, faults=faults)


def test_configured_and_read_back():
    plug = alone()
    assert plug.wait(Opened) == Opened("Emulated MeshCore modem", "1")
    assert plug.wait(Configured).plan == PLAN
    setting = plug.emulator.radio.setting
    assert (setting.frequency_hz, setting.tx_dbm) == (869_525_000, 10)
    assert setting.modulation == PLAN.modulation


def test_frame_with_its_figures():
    one, other = pair()
    one.transmit(b"\xc0\xdb")
    assert other.wait(Heard) == Heard(b"\xc0\xdb", -100.0, 14.0)
    assert one.wait(Sent) == Sent(told=True)


def test_airtime_is_that_of_the_air():
    one, other = pair()
    for size in (1, 20, 255):
        before = one.emulator.radio.sent_us
        one.transmit(bytes((7,)) * size)
        one.wait(Sent)
        assert len(other.wait(Heard).frame) == size
        assert one.emulator.radio.sent_us - before == one.modem.airtime_us(size)
    one.transmit(bytes(256))
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_TOO_LONG)


def test_frame_whose_figures_never_come():
    one, other = pair("no-figures")
    other.transmit(b"bare")
    other.wait(Sent)
    before = one.desk.schedule.now
    assert one.wait(Heard) == Heard(b"bare", None, None)
    assert one.desk.schedule.now - before <= META_US + 100_000


def test_figures_that_come_late_are_not_given_to_the_next_frame():
    one, other = pair("late-figures")
    for frame in (b"first", b"second"):
        other.transmit(frame)
        other.wait(Sent)
    one.desk.run(2 * SECOND)
    assert [heard.frame for heard in one.told(Heard)] == [b"first", b"second"]


def test_two_frames_without_a_pause():
    one, _ = pair()
    one.line.to_host(b"\xc0\x00one\xc0\xc0\x00two\xc0\xc0\x06\xf9\x08\xb0\xc0")
    assert one.wait(Heard) == Heard(b"one", None, None)
    assert one.wait(Heard) == Heard(b"two", -80.0, 2.0)


def test_done_that_comes_too_early_to_be_true():
    one, _ = pair("early-done")
    began = one.desk.schedule.now
    one.transmit(bytes(100))
    assert one.wait(Sent) == Sent(told=False)
    assert one.desk.schedule.now - began >= one.modem.airtime_us(100)


def test_done_that_never_comes():
    one, other = pair("no-done")
    one.transmit(b"x")
    assert other.wait(Heard).frame == b"x"
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_SILENT, maybe=True)
    assert one.modem.ready


def test_done_that_comes_after_it_was_given_up():
    one, _ = pair("late-done")
    one.transmit(bytes(20))
    one.wait(NotSent)
    one.desk.run(5 * SECOND)
    assert one.modem.ready and Dropped(DropReason.MODEM_GARBAGE) in one.events


def test_channel_taken_for_good():
    one, _ = pair("never-free")
    one.transmit(b"x")
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_CHANNEL_TAKEN, maybe=True)


def test_second_frame_while_one_is_pending():
    one, _ = pair()
    one.line.to_modem(b"\xc0\x00foreign\xc0")
    one.desk.run(5_000)
    one.transmit(b"x")
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_REFUSED)
    assert one.modem.ready


def test_transmission_fails():
    one, _ = pair("tx-fails")
    one.transmit(b"x")
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_REFUSED)


@pytest.mark.parametrize("fault", ["late", "log", "boot-log", "garbage", "nameless"])
def test_bad_manners_are_survived(fault):
    one, other = pair(fault)
    one.transmit(b"there")
    assert isinstance(one.wait(Sent | NotSent), Sent)
    other.transmit(b"and back")
    assert one.wait(Heard).frame == b"and back"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("silent", DropReason.MODEM_SILENT),
        ("keeps-radio", DropReason.MODEM_SETTING),
        ("full-power", DropReason.MODEM_SETTING),
    ],
)
def test_what_can_not_be_used_says_why(fault, reason):
    broken = alone(fault).wait(Broken)
    assert broken.reason is reason and broken.advice


def test_half_frames_cost_themselves_only():
    one, other = pair("half-frames")
    for number in range(10):
        other.transmit(bytes((number + 1,)) * 50)
        other.wait(Sent)
        other.desk.run(2 * SECOND)
    whole = [heard.frame[0] for heard in one.told(Heard) if len(heard.frame) == 50]
    assert whole == [number + 1 for number in range(10) if number not in (4, 9)]


def test_plan_that_the_modem_refuses():
    plug = Desk().plug(
        MeshCore(PLAN._replace(modulation=Modulation(13, 62_500, 4))), MeshCoreEmulator
    )
    plug.open()
    assert plug.wait(Broken).reason is DropReason.MODEM_SETTING


def test_restart_is_found_out():
    one, _ = pair("resets")
    for _ in range(2):
        one.transmit(b"x")
        one.wait(Sent)
    one.transmit(b"x")
    assert one.wait(NotSent).maybe
    assert one.wait(Broken).reason is DropReason.MODEM_RESET


def test_restart_is_found_out_though_frames_go_without_a_pause():
    """It says that all is sent: on the frequency of the factory, with full power."""
    one, _ = pair()
    one.transmit(b"x")
    one.wait(Sent)
    one.emulator.power_on()
    one.desk.run(2 * SECOND)
    for _ in range(200):
        if isinstance(one.events[-1], Broken):
            break
        assert one.modem.ready
        one.transmit(b"x")
        one.wait(Sent | NotSent)
    one.wait(Broken)
    assert one.desk.schedule.now < 30 * SECOND
    assert one.events[-2:] == [
        NotSent(DropReason.MODEM_RESET, maybe=True),
        Broken(DropReason.MODEM_RESET, one.events[-1].advice),
    ]


def test_full_queue_of_answers_is_not_taken_for_a_refused_frame():
    """While a question is open, "busy" may be meant of that one."""
    one, _ = pair()
    one.wait(Noise)
    one.desk.run(SECOND)
    one.emulator.written = lambda data: None
    one.transmit(b"x")
    for _ in range(500):
        one.desk.run(10_000)
        if one.written.endswith(b"\xc0\x06\x0e\xc0"):
            break
    assert one.written.endswith(b"\xc0\x06\x0e\xc0")
    one.line.to_host(b"\xc0\x06\xf1\x07\xc0")
    one.desk.run(10_000)
    assert one.told(NotSent) == [] and not one.modem.ready


def test_modem_that_hangs():
    one, _ = pair("hangs")
    for _ in range(2):
        one.transmit(b"x")
        one.wait(Sent)
    one.transmit(b"x")
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_SILENT, maybe=True)
    assert one.wait(Broken, 60 * SECOND).reason is DropReason.MODEM_SILENT


def test_an_rnode_is_another_kind():
    plug = Desk().plug(MeshCore(PLAN), RnodeEmulator)
    plug.open()
    assert plug.wait(Broken).reason is DropReason.MODEM_OTHER_KIND


def test_noise_floor_is_told_once_while_it_stays():
    one, _ = pair()
    assert one.wait(Noise).dbm == -120.0
    one.desk.run(90 * SECOND)
    assert len(one.told(Noise)) == 1 and one.modem.ready


def test_power_that_it_can_not_go_down_to():
    plug = Desk().plug(MeshCore(PLAN._replace(tx_dbm=-3)), MeshCoreEmulator)
    plug.open()
    assert plug.wait(Broken).reason is DropReason.MODEM_SETTING
    assert plug.emulator.radio.setting.tx_dbm == 22


def test_asking_sets_nothing():
    plug = Desk().plug(MeshCore(PLAN), MeshCoreEmulator)
    plug.ask()
    plug.wait(Opened)
    before = bytes(plug.written)
    plug.desk.run(60 * SECOND)
    assert bytes(plug.written) == before and plug.modem.poll_timeout() is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40) | st.just(b"\xc0") | st.just(b"\xc0\x06"), max_size=30))
def test_any_bytes_are_survived(pieces):
    modem = MeshCore(PLAN)
    modem.open(0)
    for now, piece in enumerate(pieces):
        modem.receive(piece, now * 1_000)
        modem.handle_timeout(now * 1_000)
        while modem.poll_event() is not None:
            pass


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=30), st.binary(min_size=1, max_size=40))
def test_online_modem_survives_any_bytes_and_still_serves(noise, frame):
    one, other = pair()
    one.line.to_host(noise + b"\xc0")
    one.desk.run(SECOND)
    if one.told(Broken):
        return
    other.transmit(frame)
    other.wait(Sent)
    one.desk.run(SECOND)
    assert one.told(Heard)[-1].frame == frame
