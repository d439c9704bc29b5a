"""What is peculiar to Reyax modules: lengths instead of line ends, limits, errors unasked."""

from base64 import b64encode, b85encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from radios import modem_pairs
from radios.modem_fuzz import stand, talks

from meshd.core.airtime import LONG_FAST, Modulation, airtime_us
from meshd.core.drops import DropReason
from meshd.radio.modem import Broken, Configured, Dropped, Heard, NotSent, Opened, RadioPlan, Sent
from meshd.radio.reyax import Reyax
from meshd.simulation.modems.reyax import ReyaxEmulator
from meshd.simulation.schedule import SECOND

PLAN = RadioPlan(868_100_000, Modulation(9, 125_000, 1, 12), 14)
SAID = (
    *(b"+OK\r\n", b"+READY\r\n", b"+RESET\r\n", b"+ERR=12\r\n", b"+ERR=4\r\n", b"+ERR=17\r\n"),
    *(b"+VER=RYLR998_REYAX_V1.2.2\r\n", b"+RCV=5,5,Xk~0{,-40,11\r\n", b"+RCV=5,240,abc"),
    *(b"+BAND=868100000\r\n", b"+RCV=1,999,", b"+RCV=,,\r\n"),
)


def set_up(plan=PLAN, *faults, others=()):
    return modem_pairs.pair(lambda: Reyax(plan), ReyaxEmulator, faults=faults, others=others)


def test_base85_costs_less_air_than_base64():
    frame = bytes(range(100))
    assert (len(b85encode(frame)), len(b64encode(frame).rstrip(b"="))) == (125, 134)
    assert b85encode(b"hello mesh") == b"Xk~0{Zy;@Db7%"
    modem = Reyax(PLAN)
    assert modem.airtime_us(100) == airtime_us(PLAN.modulation, 125 + 8)
    assert len(b85encode(bytes(modem.frame_max))) == 240


@given(st.binary(min_size=1, max_size=192))
@settings(max_examples=60, deadline=None)
def test_no_frame_holds_a_line_end_or_a_comma(frame):
    text = b85encode(frame)
    assert not set(text) & set(b',\r\n\0"\\')
    assert len(text) == -(-len(frame) * 5 // 4)


@pytest.mark.parametrize(
    ("bandwidth_hz", "longest"), [(125_000, 9), (250_000, 10), (500_000, 11), (62_500, 6)]
)
def test_spreading_factors_of_the_new_module(bandwidth_hz, longest):
    for factor in range(7, 13):
        plug, _ = set_up(PLAN._replace(modulation=Modulation(factor, bandwidth_hz, 1, 12)))
        if factor <= longest:
            assert plug.told(Configured)
        else:
            broken = plug.told(Broken)[0]
            assert broken.reason is DropReason.MODEM_SETTING
            assert f"SF{factor} at {bandwidth_hz / 1000:g} kHz" in broken.advice


def test_old_module_has_all_spreading_factors():
    plan = RadioPlan(868_100_000, Modulation(12, 125_000, 1, 8), 20, network=5)
    one, other = set_up(plan, "rylr896", others=("rylr896",))
    assert one.told(Opened) == [Opened("RYLR896", "V1.2.7")] * len(one.told(Opened))
    granted = one.told(Configured)[0].plan
    assert (granted.tx_dbm, granted.modulation.preamble) == (15, 7)
    one.transmit(b"slow")
    one.wait(Sent)
    assert other.wait(Heard).frame == b"slow"


def test_meshtastic_preset_is_out_of_reach():
    plug, _ = set_up(PLAN._replace(modulation=LONG_FAST))
    assert "SF10 at 250 kHz" in plug.told(Broken)[0].advice


def test_network_numbers():
    for network, fits in ((2, False), (3, True), (15, True), (16, False), (18, True)):
        plug, _ = set_up(PLAN._replace(network=network))
        assert bool(plug.told(Configured)) is fits
    plug, _ = set_up(PLAN, "rylr896")
    assert "1 to 15" in plug.told(Broken)[0].advice


def test_preamble_is_fixed_but_in_network_18():
    plan = PLAN._replace(modulation=Modulation(9, 125_000, 1, 8))
    assert set_up(plan)[0].told(Configured)[0].plan.modulation.preamble == 8
    granted = set_up(plan._replace(network=7))[0].told(Configured)[0].plan
    assert granted.modulation.preamble == 12


def test_power_is_never_more_than_wanted():
    for wanted, granted in ((27, 22), (5, 5), (0, 0)):
        plug, _ = set_up(PLAN._replace(tx_dbm=wanted))
        assert plug.told(Configured)[0].plan.tx_dbm == granted
        assert plug.emulator.radio.setting.tx_dbm == granted
    assert "0 dBm" in set_up(PLAN._replace(tx_dbm=-1))[0].told(Broken)[0].advice


def test_module_without_a_version_gets_the_strict_limits():
    plug, _ = set_up(PLAN, "no-version")
    assert plug.told(Configured)
    slow = PLAN._replace(modulation=Modulation(10, 125_000))
    assert set_up(slow, "no-version")[0].told(Broken)


def test_errors_nobody_asked_for_are_no_answers():
    one, other = set_up(PLAN, "unasked-errors")
    other.transmit(b"through")
    assert one.wait(Heard).frame == b"through"
    assert one.told(Dropped).count(Dropped(DropReason.MODEM_GARBAGE)) >= 2
    one.transmit(b"back")
    assert one.wait(Sent | NotSent) == Sent(told=False)


def test_ok_before_the_end_is_no_reason_to_send_again():
    one, other = set_up(PLAN, "early-ok")
    for number in range(5):
        one.transmit(bytes((number,)) * 100)
        assert one.wait(Sent | NotSent) == Sent(told=False)
    one.desk.run(SECOND)
    assert len(other.told(Heard)) == 5


def test_frame_while_the_module_still_sends():
    one, _ = set_up(PLAN, "early-ok")
    one.line.to_modem(b"AT+SEND=0,20,01234567890123456789\r\n")
    one.desk.run(20_000)
    one.transmit(b"too soon")
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_REFUSED)
    assert one.modem.ready


def test_length_that_lies_costs_one_packet():
    one, other = set_up(PLAN, "wrong-length")
    for number in range(12):
        other.transmit(bytes((number,)) * 20)
        other.wait(Sent)
    one.desk.run(2 * SECOND)
    heard = [event.frame[0] for event in one.told(Heard)]
    assert heard == [number for number in range(12) if number % 5 != 4]


def test_packet_is_cut_by_its_length():
    """Line ends, commas and whole other packets inside belong to the data."""
    modem = Reyax(PLAN)
    plug, _ = set_up()
    modem = plug.modem
    inside = b"a,b\r\n+RCV=1,2,xx,-1,1\r\n+READY\r\n"
    modem.receive(b"+RCV=7,%d,%s,-99,-7\r\n" % (len(inside), inside), plug.desk.schedule.now)
    assert modem.poll_event() == Dropped(DropReason.MODEM_GARBAGE)
    assert modem.poll_event() is None
    assert modem.ready


def test_packet_of_strangers_is_dropped():
    plug, _ = set_up()
    plug.line.to_host(b"+RCV=50,7,~~~~~~~,-99,40\r\n")
    plug.desk.run(SECOND)
    assert plug.told(Heard) == []


def test_restart_that_nobody_saw_is_found():
    plug, _ = set_up()
    plug.emulator.written, to_host = lambda data: None, plug.emulator.written
    plug.emulator.power_on()
    plug.desk.run(SECOND)
    plug.emulator.written = to_host
    assert plug.emulator.radio.setting.frequency_hz == 915_000_000
    plug.desk.run(90 * SECOND)
    assert plug.emulator.radio.setting.frequency_hz == 868_100_000
    assert plug.modem.ready


@given(talks(*SAID))
@settings(max_examples=150, deadline=None)
def test_any_talk_is_stood(talk):
    stand(Reyax(PLAN), talk)
