"""Region and data rate written into an emulated Meshtastic board, and every way that goes wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meshtastic.protobuf import admin_pb2, config_pb2, mesh_pb2
from radios.boards import OwnersBoard, framed
from radios.modem_fuzz import talks

from meshd.core.airtime import LONG_FAST, Modulation
from meshd.core.drops import DropReason
from meshd.core.errors import UsageError
from meshd.radio.meshtastic.modem import Meshtastic
from meshd.radio.meshtastic.plan import REGIONS, LoraSettings, granted, planned
from meshd.radio.meshtastic.setup import BACK_US, Journal, MeshtasticSetup
from meshd.radio.modem import Broken, Configured, RadioPlan
from meshd.radio.protobuf import Message
from meshd.simulation.modems.desk import Desk
from meshd.simulation.modems.meshtastic import MeshtasticEmulator
from meshd.simulation.schedule import SECOND

PLAN = RadioPlan(869_525_000, Modulation(9, 125_000), 14)
SHORT_FAST = RadioPlan(869_525_000, Modulation(7, 250_000), 10)


def board(*faults, plan=PLAN, region="EU868", may_write=True):
    plug = Desk().plug(
        MeshtasticSetup(plan, region, Journal(may_write)), OwnersBoard, faults=faults
    )
    plug.open()
    return plug


def ended(plug):
    return plug.wait(Configured | Broken, 150 * SECOND)


def said(plug):
    """The admin messages that were written to the board."""
    found, rest = [], bytes(plug.written)
    while (start := rest.find(b"\x94\xc3")) >= 0:
        length = int.from_bytes(rest[start + 2 : start + 4], "big")
        packet = mesh_pb2.ToRadio.FromString(rest[start + 4 : start + 4 + length]).packet
        rest = rest[start + 4 + length :]
        if packet.decoded.portnum == 6:
            assert packet.to == plug.emulator.number and packet.id
            assert packet.decoded.want_response
            found.append(admin_pb2.AdminMessage.FromString(packet.decoded.payload))
    return found


@pytest.mark.parametrize("faults", [(), ("signs",), ("console", "boot-log"), ("no-region",)])
@pytest.mark.parametrize("plan", [PLAN, SHORT_FAST])
def test_board_holds_the_plan_afterwards(faults, plan):
    plug = board(*faults, plan=plan)
    assert ended(plug).plan == plan._replace(modulation=plan.modulation._replace(preamble=16))
    setting = plug.emulator.radio.setting
    assert (setting.frequency_hz, setting.tx_dbm) == (plan.frequency_hz, plan.tx_dbm)
    assert setting.modulation[:3] == plan.modulation[:3]
    assert len(said(plug)) == 1
    assert plug.modem.poll_timeout() is None and plug.modem.poll_write() is None
    journal = plug.modem.journal
    assert journal.after != journal.before and journal.after.region == REGIONS["EU868"]


def test_the_dialect_takes_a_board_that_was_set():
    plug = board()
    ended(plug)
    plug.desk.run(10 * SECOND)
    plug.modem = Meshtastic(PLAN)
    plug.open()
    assert plug.wait(Configured).plan.modulation[:2] == PLAN.modulation[:2]


def test_board_that_is_set_so_already_is_not_written_to():
    plug = board(plan=RadioPlan(869_525_000, LONG_FAST, 14))
    assert isinstance(ended(plug), Configured)
    assert said(plug) == [] and plug.modem.journal.written_us is None


def test_looking_writes_nothing():
    plug = board(may_write=False)
    broken = ended(plug)
    assert broken.reason is DropReason.MODEM_SETTING
    assert "SF11 at 250 kHz, the mesh uses SF9" in broken.cause
    assert "meshd radio set PORT --set-board" in broken.remedy
    assert said(plug) == []
    fits = board(plan=RadioPlan(869_525_000, LONG_FAST, 20), region="AS923", may_write=False)
    assert isinstance(ended(fits), Configured)


def test_a_preset_is_written_where_every_board_knows_it():
    preset, numbers = board(plan=SHORT_FAST), board()
    ended(preset), ended(numbers)
    lora = said(preset)[0].set_config.lora
    assert (lora.use_preset, lora.modem_preset, lora.spread_factor) == (True, 6, 0)
    lora = said(numbers)[0].set_config.lora
    assert (lora.use_preset, lora.spread_factor, lora.bandwidth, lora.coding_rate) == (
        *(False, 9, 125),
        5,
    )


def test_what_the_plan_does_not_name_stays():
    told = config_pb2.Config.LoRaConfig(
        use_preset=True,
        region=1,
        hop_limit=5,
        tx_enabled=True,
        frequency_offset=0.0015,
        override_duty_cycle=True,
        sx126x_rx_boosted_gain=True,
        ignore_incoming=[7, 8, 1 << 31],
        ignore_mqtt=True,
        config_ok_to_mqtt=True,
    )
    raw = told.SerializeToString()
    settings_told = LoraSettings.read(Message.decode(raw), "")
    after = config_pb2.Config.LoRaConfig.FromString(
        planned(settings_told, raw, SHORT_FAST, "EU868")
    )
    told.region, told.modem_preset, told.tx_power = 3, 6, 10
    assert after == told


@pytest.mark.parametrize(
    ("region", "plan", "override_mhz"),
    [
        ("EU868", RadioPlan(869_525_000, LONG_FAST, 14), 0.0),
        ("EU868", RadioPlan(868_100_000, Modulation(9, 125_000), 14), 868.1),
        ("US915", RadioPlan(906_875_000, LONG_FAST, 20), 0.0),
        ("US915", RadioPlan(911_031_250, Modulation(9, 62_500), 20), 911.03125),
        ("ANZ433", RadioPlan(434_000_000, Modulation(7, 125_000), 10), 434.0),
    ],
)
def test_frequency_is_written_only_where_it_does_not_come_out_by_itself(region, plan, override_mhz):
    told = LoraSettings.read(Message.decode(b""), "")
    raw = planned(told, b"", plan, region)
    assert config_pb2.Config.LoRaConfig.FromString(raw).override_frequency == pytest.approx(
        override_mhz
    )
    after = LoraSettings.read(Message.decode(raw), "")
    assert granted(after, plan) == plan._replace(modulation=plan.modulation._replace(preamble=16))


@pytest.mark.parametrize(
    ("fault", "reason", "words", "writes"),
    [
        ("managed", DropReason.MODEM_SETTING, "is managed", 0),
        ("refuses-settings", DropReason.MODEM_REFUSED, "error 32", 1),
        ("ignores-settings", DropReason.MODEM_SILENT, "did not answer and is set as before", 1),
        ("keeps-settings", DropReason.MODEM_SETTING, "did not keep what was written", 1),
        ("other-settings", DropReason.MODEM_SETTING, "the radio is set to SF11 at 250 kHz", 1),
        ("stays-down", DropReason.MODEM_SILENT, "did not come back from its restart", 1),
        ("silent", DropReason.MODEM_SILENT, "nothing answers", 0),
        ("no-settings", DropReason.MODEM_SETTING, "did not tell its LoRa settings", 0),
    ],
)
def test_board_that_is_not_set_says_why_and_what_to_do(fault, reason, words, writes):
    plug = board(fault, plan=SHORT_FAST)
    broken = ended(plug)
    assert broken.reason is reason and words in broken.cause and broken.remedy
    assert len(said(plug)) == writes
    assert plug.desk.schedule.now < BACK_US + 40 * SECOND
    assert plug.modem.poll_timeout() is None


def test_board_whose_managed_mode_is_seen_by_its_answer_only():
    plug = board("managed")
    plug.modem._managed = False
    plug.modem._setting = lambda message: (
        MeshtasticSetup._setting(plug.modem, message),
        setattr(plug.modem, "_managed", False),
    )
    broken = ended(plug)
    assert broken.reason is DropReason.MODEM_REFUSED and "is managed" in broken.advice


def test_board_that_restarts_for_ever_after_its_settings():
    plug = board()
    while not said(plug):
        plug.desk.run(SECOND // 10)
    for _ in range(200):
        if plug.told(Broken):
            break
        plug.emulator.power_on()
        plug.line.to_host(b"\x94\xc3\x00\x02\x40\x01")
        plug.desk.run(SECOND)
    assert plug.told(Broken)[0].reason is DropReason.MODEM_RESET


def test_port_that_goes_in_the_restart_is_read_again_and_not_written_again():
    plug = board()
    while plug.emulator._boots < 2:
        plug.desk.run(SECOND // 10)
    journal = plug.modem.journal
    plug.modem = MeshtasticSetup(PLAN, "EU868", journal)
    plug.written.clear()
    plug.open()
    assert isinstance(ended(plug), Configured)
    assert said(plug) == [] and journal.before.preset == 0 and journal.after.spreading_factor == 9


@pytest.mark.parametrize(
    ("region", "plan", "words"),
    [
        ("AS923", PLAN, "knows no region AS923"),
        ("EU868", PLAN._replace(tx_dbm=0), "`--power` 1 or more"),
    ],
)
def test_plan_that_no_board_can_be_set_to(region, plan, words):
    plug = board(region=region, plan=plan)
    assert words in ended(plug).advice and said(plug) == []


def test_list_of_ignored_nodes_that_leaves_no_room():
    plug = board()
    plug.emulator.owner.told += b"".join(b"\xb8\x06" + bytes((1,)) for _ in range(80))
    assert ended(plug).reason is DropReason.MODEM_TOO_LONG


def test_it_sends_no_frame():
    plug = board()
    ended(plug)
    with pytest.raises(UsageError):
        plug.modem.transmit(b"frame", 0)


@given(
    faults=st.sets(st.sampled_from(sorted(MeshtasticEmulator.FAULTS)), max_size=2),
    steps=st.lists(
        st.tuples(
            st.integers(0, 12_000),
            st.one_of(st.binary(max_size=40), st.sampled_from(["restart", "lose"])),
        ),
        max_size=6,
    ),
)
@settings(max_examples=60, deadline=None)
def test_whatever_happens_it_ends_and_what_it_says_is_true(faults, steps):
    plug = board(*faults, plan=SHORT_FAST)
    for pause_ms, what in steps:
        plug.desk.run(pause_ms * 1_000)
        if what == "restart":
            plug.emulator.power_on()
        elif what == "lose":
            said_before, plug.emulator.written = plug.emulator.written, lambda _: None
            plug.desk.run(SECOND)
            plug.emulator.written = said_before
        else:
            plug.line.to_host(what)
    end = ended(plug)
    assert plug.modem.poll_timeout() is None and len(said(plug)) <= 1
    plug.desk.run(20 * SECOND)
    if isinstance(end, Configured):
        setting = plug.emulator.owner.setting
        assert setting.modulation[:3] == (7, 250_000, 1)
        assert (setting.frequency_hz, setting.tx_dbm) == (869_525_000, 10)
    else:
        assert end.cause and end.remedy


# --- what the board tells -------------------------------------------------------------------------


@pytest.mark.parametrize("mhz", [float("inf"), float("nan"), -1.0])
def test_frequency_that_is_no_number_is_none(mhz):
    lora = config_pb2.Config.LoRaConfig(tx_enabled=True, use_preset=True, region=3)
    lora.override_frequency = mhz
    told = LoraSettings.read(Message.decode(lora.SerializeToString()), "")
    assert told.frequencies_hz(250_000) == {869_525_000}


@pytest.mark.parametrize("mhz", [0.2, float("nan"), float("inf")])
def test_offset_that_is_another_frequency_is_refused_and_mended(mhz):
    lora = config_pb2.Config.LoRaConfig(
        tx_enabled=True, use_preset=True, region=3, frequency_offset=mhz
    )
    raw = lora.SerializeToString()
    told = LoraSettings.read(Message.decode(raw), "")
    plan = RadioPlan(869_525_000, LONG_FAST, 14)
    assert "frequency offset" in granted(told, plan)
    after = LoraSettings.read(Message.decode(planned(told, raw, plan, "EU868")), "")
    assert after.offset_mhz == 0 and isinstance(granted(after, plan), RadioPlan)


def test_longer_frames_of_a_coding_rate_above_the_presets_are_reckoned():
    lora = config_pb2.Config.LoRaConfig(tx_enabled=True, use_preset=True, region=3, coding_rate=8)
    told = LoraSettings.read(Message.decode(lora.SerializeToString()), "")
    assert told.modulation() == LONG_FAST._replace(coding_rate=4, preamble=16)


def from_radio(**fields):
    return framed(mesh_pb2.FromRadio(**fields))


CONFIG = mesh_pb2.FromRadio()
CONFIG.config.lora.CopyFrom(config_pb2.Config.LoRaConfig(tx_enabled=True, region=3))
NUMBER = mesh_pb2.FromRadio()
NUMBER.my_info.my_node_num = 9
ANSWER = mesh_pb2.FromRadio()
ANSWER.packet.decoded.portnum = 5
ANSWER.packet.decoded.payload = b"\x18\x00"
ANSWER.packet.decoded.request_id = 1
DONE = (1, 81_216_001, 1_323_381_106)


@given(
    talks(
        *(framed(NUMBER) + framed(CONFIG) + from_radio(config_complete_id=done) for done in DONE),
        framed(CONFIG),
        framed(ANSWER),
        from_radio(rebooted=True),
        b"\x94\xc3\x00\x03\x12\x7f\x00",
    ),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_any_talk_is_stood_and_comes_to_an_end(talk, may_write):
    modem, now, events = MeshtasticSetup(PLAN, "EU868", Journal(may_write)), 0, []
    modem.open(now)
    steps = iter(talk)
    for _ in range(2_000):
        while (event := modem.poll_event()) is not None:
            events.append(event)
        while modem.poll_write() is not None:
            pass
        step = next(steps, None)
        if step is not None:
            now += step[0]
            modem.receive(step[1], now)
        elif (due_us := modem.poll_timeout()) is not None:
            now = max(now, due_us)
        else:
            break
        modem.handle_timeout(now)
    ends = [event for event in events if isinstance(event, Configured | Broken)]
    assert len(ends) == 1 and modem.poll_timeout() is None
