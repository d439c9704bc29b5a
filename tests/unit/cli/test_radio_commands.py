"""What `meshd emulate` and `meshd radio` say of wrong words, without a port."""

import asyncio
import json
from dataclasses import replace
from typing import ClassVar

import pytest
from daemons.fake_host import served

from meshd.cli import emulate, radio, radio_trial
from meshd.cli.main import COMMANDS, main
from meshd.core.airtime import Modulation
from meshd.core.drops import DropReason
from meshd.core.errors import Exit
from meshd.core.snapshot import RadioStatus
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
from meshd.runtime.serial.scan import Found
from meshd.runtime.serial.trial import RadioTest
from meshd.simulation.modems.kinds import EMULATORS


def test_commands_are_there():
    assert COMMANDS["emulate"][0] == emulate.__name__.rsplit(".", 1)[-1]
    assert COMMANDS["radio"][0] == radio.__name__.rsplit(".", 1)[-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("rnod --port a", 'did you mean "rnode"'),
        ("rnode", "--port"),
        ("rnode --port a --air no/name", "up to 32 letters"),
        ("rnode --port a --at 5", "--at 0,1500"),
        ("rnode --port a --at nan,1", "too far away"),
        ("rnode --port a --fault none", "one of silent, boot-log"),
        ("rnode --port no/folder/a", "No such file"),
    ],
)
def test_emulate_says_what_is_wrong(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    assert main(["emulate", *words.split()]) in (1, 2)
    assert said in capsys.readouterr().err


def test_emulate_in_a_folder_whose_name_is_too_long_for_a_socket(tmp_path, monkeypatch, capsys):
    folder = tmp_path / ("d" * 100)
    folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.chdir(tmp_path)
    assert main(["emulate", "rnode", "--port", "a", "--air", "roof"]) == 1
    said = capsys.readouterr().err
    assert "roof.sock: longer than 107 bytes" in said and "XDG_RUNTIME_DIR" in said
    assert not (tmp_path / "a").is_symlink()


@pytest.mark.parametrize("kind", EMULATORS)
def test_help_of_a_kind_lists_its_faults_and_no_others(capsys, kind):
    assert main(["emulate", kind, "--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {fault} " in text for fault in EMULATORS[kind].FAULTS)
    assert text.count("faults of") == 1 and f"faults of {kind}:" in text
    assert main(["emulate", "--help"]) == 0
    assert "meshd emulate KIND --help lists the faults" in capsys.readouterr().out


def test_scan_says_how_to_go_on_with_each_radio(monkeypatch, capsys):
    found = [
        Found("/dev/a", stable="/dev/serial/by-id/x", kind="rnode", model="RNode", baud=115_200),
        Found("/dev/b", problem="there is no such port: plug the radio in"),
    ]

    async def scan(asked, told):
        for one in asked:
            told(one)
        return asked

    monkeypatch.setattr(radio, "ports", lambda paths: (found, []))
    monkeypatch.setattr(radio, "scan", scan)
    assert main(["radio", "scan"]) == 0
    said = capsys.readouterr()
    assert "half a minute where nobody answers" in said.err
    assert said.out.splitlines() == [
        "/dev/a: rnode, RNode, 115200 baud",
        "  its lasting name: /dev/serial/by-id/x",
        "/dev/b: there is no such port: plug the radio in",
        "to use it: meshd radio set /dev/serial/by-id/x --kind rnode --region NAME",
    ]


def test_scan_without_ports_says_what_to_plug_in(monkeypatch, capsys):
    monkeypatch.setattr(radio, "ports", lambda paths: ([], []))
    assert main(["radio", "scan"]) == 9
    assert "plug the radio in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("p rnode --frequency 869.5 --count 1", "before a region is chosen"),
        ("p rnode --frequency 869.5 --count 1 --region EU86", 'did you mean "EU868"'),
        ("p rnode --frequency 915 --count 1 --region EU868", "lies in no band of EU868"),
        ("p rnode --frequency 868.1 --power 22 --count 1 --region EU868", "too much in EU868"),
        ("p rnode --frequency 868.1 --sf 13", "use 7 to 12"),
        ("p rnode --frequency 868.1 --bandwidth 100", "rnode can be set to 7.8, 10.4"),
        ("p rn2483 --frequency 868.1 --bandwidth 62.5", "can be set to 125, 250 or 500 kHz"),
        ("p rnode --region eu", 'did you mean "EU433" or "EU868"'),
        ("p rnode --frequency 868.1 --count 1", "European Union"),
        ("p rnode --frequency 868.1 --count 21 --region EU868", "at most 20"),
        ("p rnode --frequency x", "no frequency in MHz"),
        ("p rnode --frequency inf", "no frequency in MHz"),
        ("p rnode --frequency 868.1 --bandwidth nan", "no bandwidth in kHz"),
        ("p rnod --frequency 868.1", 'did you mean "rnode"'),
        ("p ebyte --frequency 868.125", "add --module-dbm 22 or"),
        ("p rnode", "add --frequency MHZ, or --region NAME"),
    ],
)
def test_radio_test_says_what_is_wrong_before_it_opens_a_port(tmp_path, capsys, words, said):
    assert main(["radio", "test", "--state-dir", str(tmp_path / "s"), *words.split()]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_port_that_is_not_there(tmp_path, capsys):
    assert main(["radio", "test", str(tmp_path / "p"), "rnode", "--frequency", "868.1"]) == 9
    said = capsys.readouterr().err
    assert f"meshd: {tmp_path}/p: there is no such port\n  next: plug the radio in" in said


# --- what radio test tells of a trial -------------------------------------------------------------


@pytest.fixture
def trial(monkeypatch):
    """A radio that does what the test lists as `trial.events`, at once."""

    class Radio(RadioTest):
        events: ClassVar = []

        async def run(self):
            for event in self.events:
                self._told(event)

    monkeypatch.setattr(radio_trial, "RadioTest", Radio)
    return Radio


UP = [Opened("RNode (ESP32)", "1.86"), Configured(RadioPlan(869_525_000, Modulation(), 10))]


def listen(*words):
    return main(["radio", "test", "p", "rnode", "--frequency", "869.525", *words])


def test_how_it_is_set_is_told_and_what_the_other_side_does(trial, capsys):
    trial.events = [*UP, Noise(-117.0), Heard(b"hello", -100.0, 14.0)]
    assert listen("--listen", "60") == 0
    out, err = capsys.readouterr()
    assert out == "heard 5 bytes, -100 dBm, SNR 14 dB: b'hello'\n"
    assert err.splitlines() == [
        "opening p as rnode",
        "RNode (ESP32), firmware 1.86",
        "set: 869.525 MHz, SF9, 125 kHz, 10 dBm; listening for 60 s; on the other machine:",
        "  meshd radio test PORT rnode --region NAME --frequency 869.525 --sf 9 --bandwidth 125 "
        "--count 3",
        "noise -117 dBm",
        "heard 1",
    ]


def test_nothing_heard_is_no_success_and_says_what_to_try(trial, capsys):
    trial.events = UP
    assert listen("--listen", "60") == Exit.TIMEOUT
    said = capsys.readouterr().err
    assert "meshd: heard nothing in 60 s at 869.525 MHz, SF9, 125 kHz" in said
    assert "same three figures; are both antennas on?" in said
    assert listen("--listen", "0") == 0


def test_each_frame_sent_is_counted_and_the_silence_afterwards_explained(trial, tmp_path, capsys):
    trial.events = [*UP, Sent(True), NotSent(DropReason.MODEM_CHANNEL_TAKEN), Sent(False)]
    words = ("--region", "EU868", "--count", "3", "--state-dir", str(tmp_path / "s"))
    assert listen(*words) == 0
    assert capsys.readouterr().err.splitlines()[2:] == [
        "set: 869.525 MHz, SF9, 125 kHz, 10 dBm, by the law of EU868; sending 3",
        "frame 1 of 3: sent",
        "frame 2 of 3: not sent (modem-channel-taken; see docs/drops.md)",
        "frame 3 of 3: sent, as far as can be reckoned; listening for 10 s more",
        "sent 2 of 3, heard 0",
    ]


def test_garbage_is_counted_and_told_once_at_the_end_or_not_at_all(trial, capsys):
    garbage = [Dropped(DropReason.MODEM_GARBAGE)] * 7
    advice = "what answers is no MeshCore KISS modem: `meshd radio scan` tells what it is"
    trial.events = [*garbage, Broken(DropReason.MODEM_OTHER_KIND, advice)]
    assert listen() == Exit.HARDWARE
    said = capsys.readouterr().err
    assert said.splitlines() == [
        "opening p as rnode",
        "meshd: p: what answers is no MeshCore KISS modem",
        "  next: `meshd radio scan` tells what it is",
    ]
    trial.events = [*UP, *garbage, Heard(b"x", None, None)]
    assert listen() == 0
    assert "7 times bytes came from the port that are no frame" in capsys.readouterr().err


def test_radio_that_comes_back_is_told_and_no_error(trial, capsys):
    gone = Broken(DropReason.MODEM_GONE, "the port went away: plug the radio in again")
    trial.events = [*UP, gone, *UP, Heard(b"x", None, None)]
    assert listen() == 0
    assert "plug the radio in again (it is tried again)" in capsys.readouterr().err
    trial.events = [*UP, gone]
    assert listen() == Exit.HARDWARE


def test_region_gives_what_a_mesh_there_uses(trial, capsys):
    trial.events = [Configured(RadioPlan(915_000_000, Modulation(7), 10))]
    plans = []
    trial.run = lambda self: plans.append(self._trial.plan) or asyncio.sleep(0)
    assert main(["radio", "test", "p", "rnode", "--region", "US915", "--listen", "0"]) == 0
    words = ("--region", "US915", "--sf", "8", "--frequency", "903")
    assert main(["radio", "test", "p", "rnode", *words, "--listen", "0"]) == 0
    assert [(plan.frequency_hz, plan.modulation.spreading_factor) for plan in plans] == [
        (915_000_000, 7),
        (903_000_000, 8),
    ]


def test_json_of_a_trial_is_an_object_for_each_event_and_an_end(trial, capsys):
    trial.events = [*UP, Heard(b"hello", -100.0, 14.0)]
    assert listen("--json") == 0
    said = capsys.readouterr()
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [row["event"] for row in rows] == ["opened", "configured", "heard", "end"]
    assert rows[2]["frame"] == b"hello".hex() and rows[3]["heard"] == 1 and not said.err


def test_duty_of_radios_that_may_not_send_names_the_node_to_look_at(tmp_path, capsys):
    state = tmp_path / "my state"
    state.mkdir()
    with served(state) as (host, _):
        radio = RadioStatus(name="lora0", port="/dev/a", state="no region", kind="rnode")
        host.now = replace(host.now, radios=(radio,))
        assert main(["radio", "duty", "--state-dir", str(state)]) == Exit.OK
    assert f"meshd radio list --state-dir '{state}' tells why" in capsys.readouterr().err
