"""The Meshtastic dialect against an emulated radio; its settings against the vendor's library."""

import pytest
from hypothesis import given, settings
from meshtastic.protobuf import config_pb2, mesh_pb2, telemetry_pb2
from radios import modem_pairs
from radios.boards import OwnersBoard, framed
from radios.modem_fuzz import stand, talks

from meshd.core.airtime import LONG_FAST, Modulation, airtime_us
from meshd.core.drops import DropReason
from meshd.radio.meshtastic.board import REPEATS, UNTOLD, repeats
from meshd.radio.meshtastic.modem import HEARTBEAT_US, Meshtastic
from meshd.radio.meshtastic.plan import LoraSettings, granted
from meshd.radio.modem import (
    Advised,
    BoardAired,
    Broken,
    Configured,
    Dropped,
    Heard,
    NotSent,
    Opened,
    RadioPlan,
    Sent,
)
from meshd.radio.protobuf import Message
from meshd.simulation.media.lora import RadioSetting
from meshd.simulation.modems.desk import Desk
from meshd.simulation.modems.meshtastic_owner import Owner
from meshd.simulation.modems.reyax import ReyaxEmulator
from meshd.simulation.schedule import SECOND

PLAN = RadioPlan(869_525_000, LONG_FAST, 14)
EU_868, US, ANZ = 3, 1, 6


def alone(*faults, plan=PLAN):
    return modem_pairs.alone(lambda: Meshtastic(plan), OwnersBoard, faults=faults)


def pair(*faults, plan=PLAN):
    return modem_pairs.pair(lambda: Meshtastic(plan), OwnersBoard, faults=faults)


def test_opened_and_checked():
    plug = alone()
    assert plug.wait(Opened) == Opened("Meshtastic", "2.7.11.0000000")
    assert plug.wait(Configured).plan == PLAN
    assert bytes(plug.written).startswith(b"\xc3" * 32 + b"\x94\xc3")


def test_asking_sends_nothing():
    plug = Desk().plug(Meshtastic(PLAN), OwnersBoard, faults=["other-preset"])
    plug.ask()
    plug.wait(Opened)
    plug.desk.run(400 * SECOND)
    assert plug.told(Configured) == plug.told(Broken) == []
    assert plug.modem.poll_timeout() is None


@pytest.mark.parametrize("size", [1, 100, 165, 166, 231])
def test_frames_of_all_lengths(size):
    one, other = pair()
    frame = bytes(number * 7 & 0xFF for number in range(size))
    one.transmit(frame)
    assert other.wait(Heard) == Heard(frame, -96.0, 14.0)
    assert one.wait(Sent) == Sent(told=False)


def test_what_goes_out_is_a_broadcast_that_nobody_repeats():
    one, _ = pair()
    one.written.clear()
    one.transmit(b"frame")
    packet = mesh_pb2.ToRadio.FromString(bytes(one.written)[4:]).packet
    assert (packet.to, packet.hop_limit, packet.want_ack) == (0xFFFFFFFF, 0, False)
    assert (packet.decoded.portnum, packet.decoded.payload) == (256, b"frame")
    assert packet.id != 0


def test_frame_longer_than_the_firmware_sends():
    one, _ = pair()
    one.transmit(bytes(232))
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_TOO_LONG)
    assert one.modem.ready


@pytest.mark.parametrize(("faults", "size"), [((), 1), ((), 231), (("signs",), 165)])
def test_airtime_is_that_of_the_air(faults, size):
    one, _ = pair(*faults)
    before = one.emulator.radio.sent_us
    one.transmit(bytes(size))
    one.wait(Sent)
    reckoned = one.modem.airtime_us(size)
    assert 0.9 * reckoned <= one.emulator.radio.sent_us - before <= reckoned


def test_signatures_are_reckoned_where_they_may_be():
    modem = Meshtastic(PLAN)
    assert modem.airtime_us(165) == airtime_us(LONG_FAST, 165 + 90)
    assert modem.airtime_us(166) == airtime_us(LONG_FAST, 166 + 24)
    plug = alone()
    plug.wait(Configured)
    assert plug.modem.airtime_us(165) == airtime_us(LONG_FAST, 165 + 24)


def test_sent_waits_for_the_airtime():
    one, _ = pair()
    began = one.desk.schedule.now
    one.transmit(bytes(100))
    one.wait(Sent)
    assert one.desk.schedule.now - began >= one.modem.airtime_us(100)


def test_console_and_boot_log():
    one, other = pair("console", "boot-log")
    other.transmit(b"through")
    assert one.wait(Heard).frame == b"through"
    one.transmit(b"back")
    one.wait(Sent)


def test_garbage_between_messages():
    one, other = pair("garbage")
    for number in range(12):
        other.transmit(bytes((number,)) * 20)
        other.wait(Sent)
    one.desk.run(SECOND)
    assert [event.frame[0] for event in one.told(Heard)] == list(range(12))
    assert Dropped(DropReason.MODEM_GARBAGE) in one.events


def test_half_a_message_costs_one_frame():
    one, other = pair("half-frames")
    for number in range(12):
        other.transmit(bytes((number,)) * 20)
        other.wait(Sent)
    one.desk.run(SECOND)
    heard = [event.frame[0] for event in one.told(Heard)]
    assert heard == [number for number in range(12) if number not in (4, 9)]


def test_half_a_message_hides_none_that_follows_at_once():
    one, _ = pair()
    packet = mesh_pb2.FromRadio()
    packet.packet.decoded.portnum = 256
    packet.packet.decoded.payload = b"whole"
    setattr(packet.packet, "from", 99)
    one.line.to_host(framed(packet)[:9] + framed(packet))
    assert one.wait(Heard).frame == b"whole"


def test_full_queue_holds_frames_back():
    one, _ = pair("full")
    began = one.desk.schedule.now
    one.transmit(b"first")
    assert one.wait(Sent) == Sent(told=False)
    assert one.desk.schedule.now - began >= 15 * SECOND
    assert one.modem.ready


def test_queue_that_stays_full():
    one, _ = pair("always-full")
    one.transmit(b"first")
    broken = one.wait(Broken, 300 * SECOND)
    assert broken.reason is DropReason.MODEM_SILENT
    assert "queue" in broken.advice
    assert one.told(Sent) == []
    assert one.told(NotSent) == [NotSent(DropReason.MODEM_SILENT, maybe=True)]


def test_queue_that_is_never_reported():
    one, _ = pair("no-queue-reports")
    one.transmit(b"first")
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_SILENT, maybe=True)
    one.wait(Configured)
    assert one.modem.ready


def test_packet_refused():
    one, _ = pair("refuses")
    one.transmit(b"first")
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_REFUSED)
    assert one.modem.ready


def test_restart_at_a_packet():
    one, other = pair("resets")
    for _ in range(2):
        one.transmit(b"frame")
        one.wait(Sent)
    one.transmit(b"frame")
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_RESET, maybe=True)
    assert Dropped(DropReason.MODEM_RESET) in one.events
    one.wait(Configured)
    one.transmit(b"again")
    one.wait(Sent)
    assert other.told(Heard)[-1].frame == b"again"


def test_restarts_again_and_again():
    plug = alone()
    reboot = framed(mesh_pb2.FromRadio(rebooted=True))
    while isinstance(broken := plug.wait(Configured | Broken), Configured):
        plug.line.to_host(reboot)
    assert broken.reason is DropReason.MODEM_RESET
    assert len(plug.told(Configured)) == 6


def test_silence_at_a_packet():
    one, _ = pair("hangs")
    for _ in range(2):
        one.transmit(b"frame")
        one.wait(Sent)
    one.transmit(b"frame")
    assert one.wait(NotSent) == NotSent(DropReason.MODEM_SILENT, maybe=True)
    assert one.wait(Broken).reason is DropReason.MODEM_SILENT


@pytest.mark.parametrize(
    ("fault", "reason", "words"),
    [
        ("silent", DropReason.MODEM_SILENT, "check the port"),
        ("no-complete", DropReason.MODEM_SILENT, "nothing answers"),
        ("no-region", DropReason.MODEM_SETTING, "no region"),
        ("other-preset", DropReason.MODEM_SETTING, "SF7 at 500 kHz"),
        ("transmit-off", DropReason.MODEM_SETTING, "switched off"),
        ("no-settings", DropReason.MODEM_SETTING, "did not tell"),
    ],
)
def test_radio_that_can_not_be_used(fault, reason, words):
    broken = alone(fault).wait(Broken, 90 * SECOND)
    assert broken.reason is reason
    assert words in broken.advice


def test_other_kind_on_the_port():
    plug = Desk().plug(Meshtastic(PLAN), ReyaxEmulator)
    plug.open()
    broken = plug.wait(Broken)
    assert broken.reason is DropReason.MODEM_OTHER_KIND
    assert 'kind = "reyax"' in broken.advice


def test_heartbeat_every_five_minutes():
    plug = alone()
    plug.wait(Configured)
    plug.written.clear()
    plug.desk.run(3 * HEARTBEAT_US + 10 * SECOND)
    beat, check = b"\x94\xc3\x00\x02\x3a\x00", b"\x94\xc3\x00\x04\x18\xac\x9e\x04"
    assert bytes(plug.written) == (beat + check) * 3
    assert plug.modem.ready and len(plug.told(Configured)) == 1


def test_radio_that_hangs_while_nobody_sends_is_found():
    plug = alone()
    plug.wait(Configured)
    plug.emulator._dead = True
    assert plug.wait(Broken, HEARTBEAT_US + 60 * SECOND).reason is DropReason.MODEM_SILENT


def test_settings_that_the_owner_changed_are_found():
    plug = alone()
    plug.wait(Configured)
    plug.emulator.owner = Owner(RadioSetting(Modulation(7, 500_000), 869_525_000, 14.0))
    broken = plug.wait(Broken, HEARTBEAT_US + 60 * SECOND)
    assert broken.reason is DropReason.MODEM_SETTING
    assert "SF7 at 500 kHz" in broken.advice


def test_packets_that_are_not_ours_or_not_of_the_air():
    one, _ = pair()
    for change in ({"via_mqtt": True}, {"port": 1}, {"from": one.emulator.number}):
        message = mesh_pb2.FromRadio()
        message.packet.decoded.portnum = change.get("port", 256)
        message.packet.decoded.payload = b"no"
        message.packet.via_mqtt = change.get("via_mqtt", False)
        setattr(message.packet, "from", change.get("from", 5))
        one.line.to_host(framed(message))
    one.desk.run(SECOND)
    assert one.told(Heard) == []


# --- what the radio is set to ---------------------------------------------------------------------


def told(channel="", *, tx_power=14, **values):
    lora = config_pb2.Config.LoRaConfig(tx_enabled=True, tx_power=tx_power, **values)
    return LoraSettings.read(Message.decode(lora.SerializeToString()), channel)


@pytest.mark.parametrize(
    ("settings_told", "frequency_hz", "modulation"),
    [
        ({"use_preset": True, "region": EU_868}, 869_525_000, LONG_FAST),
        ({"use_preset": True, "region": US}, 906_875_000, LONG_FAST),
        ({"use_preset": True, "region": ANZ}, 919_875_000, LONG_FAST),
        ({"use_preset": True, "region": US, "channel_num": 1}, 902_125_000, LONG_FAST),
        (
            {"use_preset": True, "region": EU_868, "override_frequency": 868.1},
            868_100_000,
            LONG_FAST,
        ),
        (
            {"use_preset": True, "region": ANZ, "modem_preset": 8},
            926_750_000,
            Modulation(7, 500_000, 1, 16),
        ),
        (
            {
                "region": US,
                "bandwidth": 125,
                "spread_factor": 9,
                "coding_rate": 7,
                "channel_num": 2,
            },
            902_187_500,
            Modulation(9, 125_000, 3, 16),
        ),
    ],
)
def test_settings_that_fit(settings_told, frequency_hz, modulation):
    plan = RadioPlan(frequency_hz, modulation._replace(preamble=8, coding_rate=1), 20)
    assert granted(told(**settings_told), plan) == plan._replace(modulation=modulation, tx_dbm=14)


def test_channel_name_turns_into_a_slot():
    default = told(use_preset=True, region=US)
    named = told("ourmesh", use_preset=True, region=US)
    assert default.frequencies_hz(250_000) != named.frequencies_hz(250_000)
    assert len(named.frequencies_hz(250_000)) == 1


@pytest.mark.parametrize(
    ("settings_told", "words"),
    [
        ({"use_preset": True, "region": EU_868, "modem_preset": 6}, "the preset LongFast"),
        ({"use_preset": True, "region": US}, "906.875 MHz"),
        ({"use_preset": True, "region": 5}, "unknown"),
        ({"use_preset": True, "region": EU_868, "tx_power": 27}, "27 dBm"),
        ({"use_preset": True, "region": EU_868, "tx_power": 0}, "all that its region allows"),
        ({"region": EU_868, "bandwidth": 99, "spread_factor": 9}, "an unknown preset"),
    ],
)
def test_settings_that_do_not_fit(settings_told, words):
    advice = granted(told(**settings_told), PLAN)
    assert isinstance(advice, str) and words in advice


QUEUED = mesh_pb2.FromRadio()
QUEUED.queueStatus.free = 16
PACKET = mesh_pb2.FromRadio()
PACKET.packet.decoded.portnum = 256
PACKET.packet.decoded.payload = b"frame"
CONFIG = mesh_pb2.FromRadio()
CONFIG.config.lora.CopyFrom(
    config_pb2.Config.LoRaConfig(tx_enabled=True, use_preset=True, region=EU_868)
)
DONE = [mesh_pb2.FromRadio(config_complete_id=nonce) for nonce in (1, 81_216_001, 1_323_381_106)]


@given(
    talks(
        framed(QUEUED),
        framed(PACKET),
        framed(CONFIG),
        *map(framed, DONE),
        framed(mesh_pb2.FromRadio(rebooted=True)),
        b"\x94\xc3\x01\xff",
        b"INFO | text\r\n",
        b"\x94\xc3\x00\x00",
        b"\x94\xc3\xff\xff",
        b"\x94\xc3\x00\x03\x12\x7f\x00",
    )
)
@settings(max_examples=150, deadline=None)
def test_any_talk_is_stood(talk):
    stand(Meshtastic(PLAN), talk)


# --- what the board sends by itself ---------------------------------------------------------------


def test_a_board_tells_how_long_it_was_on_the_air():
    one, other = pair()
    one.transmit(bytes(100))
    one.wait(Sent)
    told = one.wait(BoardAired, 61 * SECOND)
    assert abs(told.hour_us - one.emulator.radio.sent_us) < 100 and told.hour_us > SECOND
    assert 58 * SECOND <= told.up_us <= 61 * SECOND
    assert other.wait(BoardAired).hour_us == 0
    assert one.told(Advised) == []


def test_what_a_chatty_board_sends_by_itself_is_in_what_it_tells():
    one, _ = pair("chatty")
    assert one.wait(Advised).advice == REPEATS
    one.desk.run(121 * SECOND)
    told = one.told(BoardAired)[-1]
    assert one.emulator.radio.sent_frames >= 5
    assert abs(told.hour_us - one.emulator.radio.sent_us) <= airtime_us(LONG_FAST, 60)


def test_a_chatty_board_repeats_what_others_let_it():
    one, other = pair("chatty", "untold")
    one.desk.run(10 * SECOND)
    before = one.emulator.radio.sent_frames
    other.transmit(b"ours has no hops left")
    one.wait(Heard)
    one.desk.run(5 * SECOND)
    assert one.emulator.radio.sent_frames == before
    chatty = ("chatty",)
    one, other = modem_pairs.pair(
        lambda: Meshtastic(PLAN), OwnersBoard, faults=chatty, others=chatty
    )
    one.desk.run(36 * SECOND - one.desk.schedule.now)
    assert one.emulator.radio.sent_frames == other.emulator.radio.sent_frames == 2


def test_a_board_that_tells_nothing_is_named():
    one, _ = pair("untold")
    one.desk.run(HEARTBEAT_US + SECOND)
    assert one.told(Advised) == []
    assert one.wait(Advised, HEARTBEAT_US).advice == UNTOLD
    assert one.modem.ready


def board_says(**metrics):
    """What the vendor's library makes of a board's telemetry for its host."""
    told = telemetry_pb2.Telemetry()
    for name, value in metrics.items():
        setattr(told.device_metrics, name, value)
    message = mesh_pb2.FromRadio()
    message.packet.decoded.portnum = 67
    message.packet.decoded.payload = told.SerializeToString()
    return message


def test_telemetry_is_read_as_the_vendors_library_writes_it():
    one, _ = pair()
    message = board_says(air_util_tx=1.5, uptime_seconds=600)
    one.line.to_host(framed(message))
    told = one.wait(BoardAired)
    assert abs(told.hour_us - 54 * SECOND) < 100 and told.up_us == 600 * SECOND


@pytest.mark.parametrize("percent", [-1.0, 101.0, float("nan"), float("inf")])
def test_airtime_that_can_not_be_is_not_believed(percent):
    one, _ = pair()
    one.line.to_host(framed(board_says(air_util_tx=percent)))
    one.desk.run(SECOND)
    assert one.told(BoardAired) == []


def test_telemetry_from_the_air_is_not_this_boards():
    one, _ = pair()
    message = board_says(air_util_tx=90.0)
    message.packet.rx_rssi = -90
    one.line.to_host(framed(message))
    stranger = board_says(air_util_tx=90.0)
    setattr(stranger.packet, "from", 99)
    one.line.to_host(framed(stranger))
    one.desk.run(SECOND)
    assert one.told(BoardAired) == []


@pytest.mark.parametrize(
    ("role", "mode", "does"),
    [("CLIENT", "ALL", True), ("CLIENT_MUTE", "ALL", False), ("SENSOR", "NONE", False)],
)
def test_roles_that_repeat(role, mode, does):
    device = config_pb2.Config.DeviceConfig()
    device.role = config_pb2.Config.DeviceConfig.Role.Value(role)
    device.rebroadcast_mode = config_pb2.Config.DeviceConfig.RebroadcastMode.Value(mode)
    assert repeats(Message.decode(device.SerializeToString())) is does
