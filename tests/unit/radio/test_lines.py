"""What the three dialects that speak in lines have in common, each against its emulated module."""

import pytest

from meshd.core.airtime import Modulation
from meshd.core.drops import DropReason
from meshd.core.errors import UsageError
from meshd.radio.modem import Broken, Configured, Dropped, Heard, NotSent, Opened, RadioPlan, Sent
from meshd.radio.rak3172 import Rak3172
from meshd.radio.reyax import Reyax
from meshd.radio.rn2483 import Rn2483
from meshd.simulation.modems.desk import Desk
from meshd.simulation.modems.rak3172 import Rak3172Emulator
from meshd.simulation.modems.reyax import ReyaxEmulator
from meshd.simulation.modems.rn2483 import Rn2483Emulator
from meshd.simulation.schedule import SECOND

PLAN = RadioPlan(868_100_000, Modulation(9, 125_000, 1, 12), 14)
UGLY = b"\x00+OK\r\nok\r\n\xff,\"'\\"

KINDS = {
    "reyax": (Reyax, ReyaxEmulator),
    "rn2483": (Rn2483, Rn2483Emulator),
    "rak3172": (Rak3172, Rak3172Emulator),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def alone(kind, *faults, plan=PLAN):
    modem, emulator = kind
    plug = Desk().plug(modem(plan), emulator, faults=faults)
    plug.open()
    return plug


def pair(kind, *faults, plan=PLAN):
    """Two modules that are set; `faults` are those of the first."""
    modem, emulator = kind
    desk = Desk()
    plugs = [desk.plug(modem(plan), emulator, faults=names) for names in (faults, ())]
    for plug in plugs:
        plug.open()
    for plug in plugs:
        plug.wait(Configured)
    desk.run(SECOND)
    return plugs


def test_opened_and_set(kind):
    plug = alone(kind)
    assert plug.wait(Opened).firmware
    assert plug.wait(Configured).plan == PLAN
    setting = plug.emulator.radio.setting
    assert (setting.frequency_hz, setting.tx_dbm) == (868_100_000, 14.0)
    assert setting.modulation == PLAN.modulation
    assert plug.modem.ready


def test_asking_sets_nothing(kind):
    modem, emulator = kind
    plug = Desk().plug(modem(PLAN), emulator)
    before = plug.emulator.radio.setting
    plug.ask()
    plug.wait(Opened)
    plug.desk.run(10 * SECOND)
    assert plug.emulator.radio.setting == before
    assert not plug.modem.ready and plug.modem.poll_timeout() is None
    assert plug.told(Configured) == []


@pytest.mark.parametrize("frame", [UGLY, bytes(range(180)), b"x"], ids=["ugly", "long", "short"])
def test_any_bytes_pass(kind, frame):
    one, other = pair(kind)
    one.transmit(frame)
    heard = other.wait(Heard)
    assert heard == Heard(frame, -96.0, 14.0)
    one.wait(Sent)
    other.transmit(frame[::-1])
    assert one.wait(Heard).frame == frame[::-1]


def test_many_frames_both_ways(kind):
    one, other = pair(kind)
    for number in range(12):
        for sender, hearer in ((one, other), (other, one)):
            sender.transmit(bytes((number,)) * 40)
            sender.wait(Sent)
            assert hearer.wait(Heard).frame == bytes((number,)) * 40


def test_airtime_is_that_of_the_air(kind):
    one, _ = pair(kind)
    for size in (1, 33, one.modem.frame_max):
        before = one.emulator.radio.sent_us
        one.transmit(bytes(size))
        one.wait(Sent)
        one.desk.run(SECOND)
        assert one.emulator.radio.sent_us - before == one.modem.airtime_us(size)


def test_sent_is_not_told_before_it_can_be(kind):
    one, _ = pair(kind)
    began = one.desk.schedule.now
    one.transmit(bytes(100))
    assert not one.modem.ready
    with pytest.raises(UsageError):
        one.transmit(b"second")
    one.wait(Sent)
    assert one.desk.schedule.now - began >= one.modem.airtime_us(100)
    assert one.modem.ready


def test_frame_of_no_fit_length(kind):
    one, _ = pair(kind)
    for frame in (b"", bytes(one.modem.frame_max + 1)):
        one.transmit(frame)
        assert one.wait(NotSent) == NotSent(DropReason.MODEM_TOO_LONG)
    assert one.modem.ready


def test_nothing_on_the_port(kind):
    broken = alone(kind, "silent").wait(Broken)
    assert broken.reason is DropReason.MODEM_SILENT
    assert "check the port" in broken.advice


@pytest.mark.parametrize("name", KINDS)
def test_other_kind_on_the_port(kind, name):
    modem, emulator = kind[0], KINDS[name][1]
    if modem.kind == name:
        return
    plug = Desk().plug(modem(PLAN), emulator)
    plug.line._byte_us = 0.0
    plug.open()
    broken = plug.wait(Broken)
    assert broken.reason is DropReason.MODEM_OTHER_KIND
    assert f'kind = "{name}"' in broken.advice


def test_boot_log_and_deafness_at_the_start(kind):
    plug = alone(kind, "boot-log")
    plug.wait(Configured)
    assert plug.modem.ready


@pytest.mark.parametrize("fault", ["late", "very-late"])
def test_late_answers(kind, fault):
    """Answers to an earlier asking are taken for those to the next; it ends well all the same."""
    plug = alone(kind, fault)
    plug.wait(Configured, 120 * SECOND)
    plug.desk.run(20 * SECOND)
    assert plug.emulator.radio.setting.modulation == PLAN.modulation


def test_garbage_before_lines(kind):
    one, other = pair(kind, "garbage")
    for number in range(10):
        while not other.modem.ready or not one.modem.ready:
            one.desk.run(SECOND)
        other.transmit(bytes((number,)) * 20)
        other.wait(Sent)
    one.desk.run(SECOND)
    assert len(one.told(Heard)) >= 5
    assert Dropped(DropReason.MODEM_GARBAGE) in one.events


def test_noise_right_before_a_packet(kind):
    """A packet is found behind bytes that are no line."""
    one, other = pair(kind)
    to_host = one.emulator.written
    one.emulator.written = lambda data: to_host(b"\xf0\x01+" + data)
    other.transmit(b"behind noise")
    assert one.wait(Heard).frame == b"behind noise"


def test_half_a_packet_does_not_spoil_the_next(kind):
    one, other = pair(kind, "half-frames")
    for number in range(12):
        other.transmit(bytes((number,)) * 20)
        other.wait(Sent)
        one.desk.run(2 * SECOND)
    heard = [event.frame[0] for event in one.told(Heard)]
    assert heard == [number for number in range(12) if number % 5 != 4]
    assert Dropped(DropReason.MODEM_GARBAGE) in one.events


def test_restart_at_a_packet(kind):
    one, other = pair(kind, "resets")
    for _ in range(2):
        one.transmit(bytes(20))
        one.wait(Sent)
    one.transmit(bytes(20))
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_RESET, maybe=True)
    assert Dropped(DropReason.MODEM_RESET) in one.events
    one.wait(Configured)
    assert one.emulator.radio.setting.modulation == PLAN.modulation
    one.transmit(b"again")
    one.wait(Sent)
    one.desk.run(SECOND)
    assert other.told(Heard)[-1].frame == b"again"


def test_restarts_again_and_again(kind):
    plug = alone(kind)
    while isinstance(broken := plug.wait(Configured | Broken), Configured):
        plug.emulator.power_on()
    assert len(plug.told(Configured)) <= 6
    assert broken.reason is DropReason.MODEM_RESET
    assert "supply" in broken.advice


def test_silence_at_a_packet(kind):
    one, _ = pair(kind, "hangs")
    for _ in range(2):
        one.transmit(bytes(20))
        one.wait(Sent)
    one.transmit(bytes(20))
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_SILENT, maybe=True)
    assert one.wait(Broken).reason is DropReason.MODEM_SILENT


def test_unplugged_in_the_middle(kind):
    one, _ = pair(kind)
    one.transmit(bytes(20))
    one.unplug()
    assert one.wait(NotSent, 60 * SECOND) == NotSent(DropReason.MODEM_SILENT, maybe=True)
    assert one.wait(Broken).reason is DropReason.MODEM_SILENT
    one.modem.receive(b"+OK\r\n", one.desk.schedule.now)
    one.modem.handle_timeout(one.desk.schedule.now)
    assert one.modem.poll_event() is None


def test_line_without_an_end_is_bounded(kind):
    plug = alone(kind)
    plug.wait(Configured)
    plug.modem.receive(bytes(100_000), plug.desk.schedule.now)
    assert len(plug.modem._buffer) <= plug.modem.line_max
    assert plug.modem.poll_event() == Dropped(DropReason.MODEM_GARBAGE)


def test_bytes_one_by_one(kind):
    """A line is understood wherever it is cut."""
    one, other = pair(kind)
    whole, pieces = other.modem.receive, []
    other.modem.receive = lambda data, now: [
        (pieces.append(byte), whole(bytes((byte,)), now)) for byte in data
    ]
    one.transmit(UGLY)
    assert other.wait(Heard).frame == UGLY
    assert len(pieces) > 10
