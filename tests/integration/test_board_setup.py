"""A Meshtastic board set by `meshd radio set --set-board`, beside the vendor's own application.

Emulated boards on pseudo-terminals; both programs as people call them.
"""

import json
import subprocess
import sys

import pytest
from meshtastic.protobuf import config_pb2
from meshtastic.serial_interface import SerialInterface
from radios.boards import Radios

from meshd.cli.main import main
from meshd.core.airtime import LONG_FAST
from meshd.core.errors import Exit
from meshd.lab.daemons import wait_for
from meshd.radio.meshtastic import setup
from meshd.runtime.serial import board as board_setup
from meshd.runtime.serial.device import open_port
from meshd.simulation.media.lora import RadioSetting
from meshd.simulation.modems import meshtastic as emulated

OWNERS = RadioSetting(LONG_FAST, 869_525_000, 20.0)
LIMIT_S = 60.0


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Restarts in one second instead of seven, and a state directory of the test's own."""
    monkeypatch.setattr(emulated, "REBOOT_US", 1_000_000)
    monkeypatch.setattr(setup, "RESTART_US", 4_000_000)
    monkeypatch.setenv("MESHD_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
def boards(tmp_path):
    """Put boards with bad manners at ports a, b, …"""
    made = []

    def put(*ports, faults=()):
        paths = [tmp_path / port for port in ports]
        made.append(Radios(*paths, setting=OWNERS, faults=faults))
        return made[-1]

    yield put
    for radios in made:
        radios.close()


def set_board(port, *words):
    kind = ("--kind", "meshtastic", "--region", "EU868", "--set-board")
    return main(["radio", "set", str(port), *kind, *words])


def theirs(*words):
    """Call the vendor's own command."""
    done = subprocess.run(
        [sys.executable, "-m", "meshtastic", *words],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def lora(emulator):
    return config_pb2.Config.LoRaConfig.FromString(emulator.owner.told)


def test_board_is_set_told_and_written_into_the_configuration(tmp_path, boards, capsys):
    emulator = boards("a").placed[0].emulator
    assert set_board(tmp_path / "a", "--sf", "7", "--bandwidth", "250", "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert value["board"] == {
        "written": True,
        "before": "region EU868, LongFast (SF11 at 250 kHz), 869.525 MHz, 20 dBm",
        "after": "region EU868, ShortFast (SF7 at 250 kHz), 869.525 MHz, 14 dBm",
    }
    assert emulator.radio.setting.modulation[:2] == (7, 250_000)
    text = (tmp_path / "state" / "meshd.toml").read_text()
    assert 'kind = "meshtastic"' in text and "spreading_factor = 7" in text
    boots = emulator._boots
    assert set_board(tmp_path / "a") == 0
    assert "the board is set so already: region EU868, ShortFast" in capsys.readouterr().out
    assert emulator._boots == boots


def test_both_programs_have_the_same_effect_and_understand_each_other(tmp_path, boards):
    one, other = (placed.emulator for placed in boards("a", "b").placed)
    words = ("--set", "lora.region", "EU_868", "--set", "lora.modem_preset", "SHORT_FAST")
    theirs("--port", str(tmp_path / "a"), *words, "--set", "lora.tx_power", "14")
    assert set_board(tmp_path / "b", "--sf", "7", "--bandwidth", "250") == 0
    assert lora(one) == lora(other)
    assert one.radio.setting == other.radio.setting
    with SerialInterface(devPath=str(tmp_path / "b"), timeout=20) as client:
        read = client.localNode.localConfig.lora
        assert (read.region, read.modem_preset, read.tx_power) == (3, 6, 14)


def test_their_transaction_of_settings_restarts_the_board_once(tmp_path, boards):
    emulator = boards("a").placed[0].emulator
    boots = emulator._boots
    with SerialInterface(devPath=str(tmp_path / "a"), timeout=20) as client:
        node = client.localNode
        node.beginSettingsTransaction()
        node.localConfig.lora.modem_preset = 6
        node.writeConfig("lora")
        node.commitSettingsTransaction()
    assert wait_for(lambda: emulator.radio.setting.modulation[:2] == (7, 250_000), LIMIT_S)
    assert set_board(tmp_path / "a", "--sf", "7", "--bandwidth", "250", "--power", "20") == 0
    assert emulator._boots == boots + 2  # the end of a restart, and its beginning


def test_port_that_goes_away_in_the_restart_is_waited_for(tmp_path, boards, capsys):
    radios = boards("a")
    radios.has_own_usb(0)
    assert set_board(tmp_path / "a") == 0
    assert "SF9 at 125 kHz" in capsys.readouterr().out
    assert radios.placed[0].emulator.radio.setting.modulation[:2] == (9, 125_000)


def test_board_that_vanishes_in_the_restart_is_named_and_the_file_left(
    tmp_path, boards, capsys, monkeypatch
):
    monkeypatch.setattr(board_setup, "BACK_US", 4_000_000)
    boards("a").has_own_usb(0, comes_back=False)
    assert set_board(tmp_path / "a") == Exit.HARDWARE
    said = capsys.readouterr().err
    assert "did not come back from its restart; the configuration is as it was" in said
    assert "unplug it, plug it in again" in said
    assert not (tmp_path / "state").exists()


def test_what_the_board_refuses_is_said_as_json(tmp_path, boards, capsys):
    boards("a", faults=("managed",))
    assert set_board(tmp_path / "a", "--json") == Exit.HARDWARE
    value = json.loads(capsys.readouterr().out)
    assert "is managed" in value["error"] and "ask who manages it" in value["remedy"]
    assert not (tmp_path / "state").exists()


def test_without_the_option_the_board_is_only_looked_at(tmp_path, boards, capsys):
    emulator = boards("a").placed[0].emulator
    kind = ("--kind", "meshtastic", "--region", "EU868")
    assert main(["radio", "set", str(tmp_path / "a"), *kind]) == 0
    said = capsys.readouterr().out
    assert f"`meshd radio set {tmp_path / 'a'} --set-board` writes it into the board" in said
    assert lora(emulator).modem_preset == 0 and emulator._boots == 2


def test_board_that_was_set_is_taken_by_what_comes_next(tmp_path, boards, capsys):
    boards("a")
    kind = ("--kind", "meshtastic", "--region", "EU868")
    where = ("--state-dir", str(tmp_path / "s"))
    assert main(["radio", "set", str(tmp_path / "a"), *kind, *where]) == 0
    said = capsys.readouterr().out
    assert f"--set-board --state-dir {tmp_path / 's'}` writes it" in said
    assert main(["radio", "set", str(tmp_path / "a"), "--set-board", *where]) == 0
    said = capsys.readouterr().out
    assert "it stands there so already" in said and "next: meshd run --state-dir" in said
    trial = ("meshtastic", "--region", "EU868", "--count", "1", "--listen", "0", *where)
    assert main(["radio", "test", str(tmp_path / "a"), *trial]) == 0


def test_port_that_another_program_has_is_waited_for(tmp_path, boards, capsys, monkeypatch):
    boards("a")
    monkeypatch.setattr(board_setup, "HELD_MAX_S", 1.0)
    held = open_port(str(tmp_path / "a"), 115_200)
    try:
        assert set_board(tmp_path / "a") == Exit.HARDWARE
    finally:
        held.close()
    said = capsys.readouterr().err
    assert "waiting up to 1 s until it lets go" in said and "has it open" in said
    assert set_board(tmp_path / "a") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--kind", "rnode"), "--set-board is for Meshtastic boards, and this radio is rnode"),
        (("--region", "AS923"), "knows no region AS923"),
        (("--power", "30"), "too much in EU868"),
    ],
)
def test_what_can_not_be_set_is_refused_before_anything_is_written(
    tmp_path, boards, capsys, words, said
):
    emulator = boards("a").placed[0].emulator
    assert set_board(tmp_path / "a", *words) != 0
    assert said in capsys.readouterr().err
    assert lora(emulator).region == 3 and not (tmp_path / "state").exists()


def test_port_where_no_board_answers(tmp_path, boards, capsys):
    boards("a", faults=("silent",))
    assert set_board(tmp_path / "a") == Exit.HARDWARE
    said = capsys.readouterr().err
    assert "nothing answers" in said and f"`meshd radio scan --port {tmp_path / 'a'}`" in said


def test_port_that_is_not_there(tmp_path, capsys):
    assert set_board(tmp_path / "a") == Exit.HARDWARE
    assert "there is no such port" in capsys.readouterr().err
