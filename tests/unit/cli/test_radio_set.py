"""`meshd radio set` and `meshd run --radio`: nothing unlawful, nothing half, nothing guessed."""

import json
import os
import sys
import types
from dataclasses import replace

import pytest
from daemons.fake_host import served

from meshd.cli import radio_set
from meshd.cli.main import main
from meshd.config.loader import load
from meshd.core.airtime import Modulation
from meshd.core.errors import Exit
from meshd.core.snapshot import RadioStatus


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    """The configuration of a state directory of the test's own; not there yet."""
    monkeypatch.setenv("MESHD_STATE_DIR", str(tmp_path))
    return tmp_path / "meshd.toml"


def set_radio(*words):
    return main(["radio", "set", *words])


def test_new_file_holds_a_radio_that_the_daemon_takes(file, capsys):
    assert set_radio("/dev/ttyUSB0", "--kind", "rnode", "--region", "eu868") == 0
    assert (
        file.read_text() == '[[radio]]\nport = "/dev/ttyUSB0"\nkind = "rnode"\nregion = "EU868"\n'
    )
    (radio,) = load(str(file)).radios
    assert (radio.port, radio.kind, radio.law.region) == ("/dev/ttyUSB0", "rnode", "EU868")
    said = capsys.readouterr().out
    assert "region: not set -> EU868" in said and "27 dBm" in said and "10 % of any hour" in said


def test_change_is_told_as_json_and_keeps_comments_mode_and_link(file, tmp_path, capsys):
    real = tmp_path / "elsewhere.toml"
    real.write_text('# mine\n[[radio]]\nport = "/dev/a" # left\nregion = "EU868"\npower_dbm = 2\n')
    real.chmod(0o640)
    file.symlink_to(real)
    assert set_radio("/dev/a", "--power", "20", "--sf", "8", "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert value["schema"] == "meshd.radio.set/1"
    assert value["changes"] == [
        {"key": "spreading_factor", "before": None, "after": 8},
        {"key": "power_dbm", "before": 2, "after": 20},
    ]
    assert value["radio"]["power_dbm"] == 20 and value["radio"]["duty_percent"] == 10
    assert file.is_symlink() and real.stat().st_mode & 0o777 == 0o640
    assert real.read_text().startswith('# mine\n[[radio]]\nport = "/dev/a" # left\n')
    assert sorted(os.listdir(tmp_path)) == ["elsewhere.toml", "meshd.toml"]


def test_port_is_known_by_its_other_name(file, tmp_path):
    (tmp_path / "tty").touch()
    (tmp_path / "lasting").symlink_to(tmp_path / "tty")
    assert set_radio(str(tmp_path / "lasting"), "--region", "EU868") == 0
    assert set_radio(str(tmp_path / "tty"), "--power", "3") == 0
    (radio,) = load(str(file)).radios
    assert (radio.port, radio.tx_dbm) == (str(tmp_path / "lasting"), 3)


def test_same_again_writes_nothing(file, capsys):
    set_radio("/dev/a", "--region", "EU868")
    before = file.stat()
    assert set_radio("/dev/a", "--region", "EU868") == 0
    assert file.stat().st_ino == before.st_ino
    assert "stands there so already" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["power", "power_dbm"])
def test_usual_takes_a_key_out_by_its_option_or_its_name_in_the_file(file, name):
    set_radio("/dev/a", "--region", "EU868", "--power", "3")
    assert set_radio("/dev/a", "--usual", name) == 0
    assert "power_dbm" not in file.read_text()


def test_help_names_what_usual_takes(capsys):
    set_radio("--help")
    assert "kind, frequency, sf, bandwidth, power," in " ".join(capsys.readouterr().out.split())


def test_port_that_is_not_there_is_written_with_a_remark_and_the_next_step(file, capsys):
    assert set_radio("/dev/no-such-port", "--region", "EU868") == 0
    said = capsys.readouterr().out
    assert "but: /dev/no-such-port is not there now: plug the radio in" in said
    assert "next: meshd run, then meshd radio list" in said
    assert set_radio("/dev/no-such-port", "--region", "EU868") == 0
    assert "next:" not in capsys.readouterr().out
    set_radio("/dev/no-such-port", "--kind", "rnode", "--json")
    value = json.loads(capsys.readouterr().out)
    assert "not there now" in value["remark"] and value["next"].startswith("meshd run")
    (file.parent / "control.sock").touch()
    set_radio("/dev/no-such-port", "--power", "3")
    assert "next: the daemon reads its file when it starts" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"kind": "rnode"}, ""),
        ({"kind": "meshcore"}, "what answers there is meshcore, not rnode: --kind meshcore"),
        ({"problem": "nothing answers"}, "no rnode answered there now; meshd radio scan --port"),
        ({"problem": "another program has it open: stop it"}, "PORT was not asked what is on it"),
    ],
)
def test_what_answers_at_the_port_is_compared(tmp_path, capsys, monkeypatch, found, said):
    async def identify(asked, *, first):
        assert first == "rnode"
        return replace(asked, **found)

    monkeypatch.setattr(radio_set, "identify", identify)
    port = tmp_path / "tty"
    port.touch()
    said = said.replace("PORT", str(port))
    set_radio(str(port), "--region", "EU868", "--kind", "rnode", "--json")
    told = json.loads(capsys.readouterr().out)["remark"]
    assert told.startswith(said) and bool(told) is bool(said)
    set_radio(str(port), "--sf", "8", "--json")
    assert json.loads(capsys.readouterr().out)["remark"] == told
    set_radio(str(port), "--antenna", "3", "--json")
    assert json.loads(capsys.readouterr().out)["remark"] == ""


@pytest.mark.parametrize("running", [True, False])
def test_board_that_was_set_while_the_file_stays_needs_no_restart(
    file, tmp_path, capsys, monkeypatch, running
):
    words = types.SimpleNamespace(words=lambda: "SF9")
    board = types.SimpleNamespace(written=True, before=words, after=words)
    monkeypatch.setattr(radio_set.radio_board, "set_now", lambda *_: board)
    if running:
        (tmp_path / "control.sock").touch()
    where = ("--set-board", "--state-dir", str(tmp_path), "--json")
    monkeypatch.delenv("MESHD_STATE_DIR")
    set_radio("/dev/a", "--region", "EU868", *where)
    first = json.loads(capsys.readouterr().out)["next"]
    assert ("start it again" in first) is running
    set_radio("/dev/a", *where)
    then = json.loads(capsys.readouterr().out)["next"]
    assert ("at its next try" in then) is running and "start it again" not in then
    assert all(f"meshd radio list --state-dir {tmp_path}" in one for one in (first, then))


def test_board_that_the_daemon_uses_is_refused_at_once(file, tmp_path, capsys, monkeypatch):
    async def never(*_):
        raise AssertionError("the port was opened")

    monkeypatch.setattr(radio_set.radio_board, "set_board", never)
    set_radio("/dev/a", "--region", "EU868")
    capsys.readouterr()
    with served(tmp_path) as (host, _):
        host.now = replace(host.now, radios=(RadioStatus("lora0", "/dev/a", "up", "meshtastic"),))
        assert set_radio("/dev/a", "--set-board", "--json") == Exit.HARDWARE
    value = json.loads(capsys.readouterr().out)
    assert value["schema"] == "meshd.error/1" and "the daemon uses this board" in value["error"]
    assert "stop meshd run" in value["remedy"]


def test_key_file_may_be_relative_and_is_told_when_it_is_missing(
    file, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert set_radio("/dev/a", "--region", "EU868", "--key-file", "./lora.key") == 0
    key = tmp_path / "lora.key"
    assert load(str(file)).radios[0].key_file == str(key)
    assert f"{key} is not there now: copy it" in capsys.readouterr().out
    key.touch()
    set_radio("/dev/a", "--key-file", "lora.key")
    assert "lora.key is not there" not in capsys.readouterr().out


def test_slip_of_a_port_is_asked_about(file, tmp_path, capsys):
    (tmp_path / "board").touch()
    set_radio(str(tmp_path / "board"), "--region", "EU868")
    before = file.read_text()
    assert set_radio(str(tmp_path / "boar"), "--power", "10") == Exit.USAGE
    said = capsys.readouterr().err
    assert f"did you mean {tmp_path}/board? For one radio more: " in said
    assert "--region EU868" in said and file.read_text() == before
    set_radio(str(tmp_path / "other"), "--power", "10")
    assert "did you mean" not in capsys.readouterr().err


def test_ebyte_without_its_pins_is_not_asked(tmp_path, capsys):
    (tmp_path / "tty").touch()
    words = ("--kind", "ebyte", "--module-dbm", "22", "--frequency", "868.125", "--region", "EU868")
    assert set_radio(str(tmp_path / "tty"), *words) == 0
    said = capsys.readouterr()
    assert f"link them as {tmp_path}/tty.m0" in said.out and "asking" not in said.err


def test_without_a_region_nothing_is_written_and_the_regions_are_listed(file, capsys):
    assert set_radio("/dev/a") == Exit.USAGE
    said = capsys.readouterr().err
    assert "EU868" in said and "United States" in said and not file.exists()
    set_radio("/dev/a", "--region", "US915")
    assert set_radio("/dev/b", "--sf", "8") == Exit.USAGE
    assert "--region US915" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--power 28", "28 dBm at 869.525 MHz is too much in EU868"),
        ("--power 14.5", '"14.5" is no number'),
        ("--frequency 915", "lies in no band of EU868"),
        ("--frequency nan", "not between"),
        ("--sf 13", "13 is not between 7 and 12"),
        ("--bandwidth 100", "100 kHz: LoRa can be set to 7.8, 10.4, 15.6, 20.8, 31.25, 41.7, 62.5"),
        ("--kind rak3172 --bandwidth 62.5", "62.5 kHz: rak3172 can be set to 125, 250 or 500 kHz"),
        ("--region eu", 'did you mean "EU433" or "EU868"?'),
        ("--region nowhere", "JP920   Japan"),
        ("--bandwidth 500", "with 500 kHz of bandwidth lies in"),
        ("--region EU86", 'did you mean "EU868"'),
        ("--region US915", "another radio of this node, /dev/first, is in EU868; a node is in one"),
        ("--kind rnod", 'did you mean "rnode"'),
        ("--kind rnode --module-dbm 30", "is for ebyte only"),
        ("--kind ebyte", "30 (as E22-900T30S"),
        ("--kind ebyte", "next: add --module-dbm 22 or --module-dbm 30"),
        ("--power 29", "next: nothing was written; change --power, or --usual power; docs"),
        ("--module-dbm 33", "must be 22 or 30"),
        ("--power 3 --usual power_dbm", "at once"),
        ("--usual region", "is not a choice"),
        ("", "same frequency and data rate"),
    ],
)
def test_what_the_law_or_the_file_forbids_is_refused_unwritten(file, capsys, words, said):
    set_radio("/dev/first", "--region", "EU868")
    before = file.read_text()
    region = () if "region" in words and "usual" not in words else ("--region", "EU868")
    assert set_radio("/dev/a", *region, *words.split()) == Exit.USAGE
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told
    assert file.read_text() == before


def test_two_radios_move_to_another_region_by_what_the_refusal_says(file, capsys):
    set_radio("/dev/a", "--region", "EU868")
    set_radio("/dev/b", "--kind", "rnode", "--region", "EU868", "--frequency", "868.1")
    capsys.readouterr()
    assert set_radio("/dev/a", "--region", "US915") == Exit.USAGE
    said = capsys.readouterr().err
    assert "another radio of this node, /dev/b, is in EU868" in said
    remove, move = "meshd radio set /dev/b --remove", "meshd radio set /dev/a --region US915"
    assert f"{remove}; then {move}; then" in said
    assert main(remove.split()[1:]) == 0 and main(move.split()[1:]) == 0
    words = ("--kind", "rnode", "--region", "US915", "--frequency", "903.1")
    assert set_radio("/dev/b", *words) == 0
    assert {one.law.region for one in load(str(file)).radios} == {"US915"}


@pytest.mark.parametrize(
    ("key", "usual"),
    [
        ("power_dbm = 9", ""),
        ("frequency_mhz = 868.3", " --usual frequency_mhz"),
        ("frequency_mhz = 869.525\npower_dbm = 27", " --usual frequency_mhz --usual power_dbm"),
        ("spreading_factor = 12", " --usual spreading_factor"),
    ],
)
def test_the_way_to_another_region_leaves_out_what_does_not_hold_there(file, capsys, key, usual):
    file.write_text(f'[[radio]]\nport = "/dev/a"\nregion = "EU868"\n{key}\n')
    set_radio("/dev/b", "--region", "EU868", "--frequency", "868.1")
    capsys.readouterr()
    assert set_radio("/dev/a", "--region", "JP920" if "27" in key else "US915") == Exit.USAGE
    steps = capsys.readouterr().err.partition("to move the node: ")[2].split("; then ")
    assert steps[1].endswith(usual) and steps[1].count("--usual") == usual.count("--usual")
    assert main(steps[0].split()[1:]) == 0 and main(steps[1].split()[1:]) == 0


def test_region_in_small_letters_is_the_same_region(file, capsys):
    tables = '[[radio]]\nport = "/dev/a"\nregion = "eu868"\n[[radio]]\nport = "/dev/b"\n'
    file.write_text(tables + 'region = "EU868"\nspreading_factor = 7\n')
    assert set_radio("/dev/b", "--region", "EU868", "--sf", "8") == 0
    assert "spreading_factor: 7 -> 8" in capsys.readouterr().out
    assert set_radio("/dev/b", "--region", "US915") == Exit.USAGE
    assert "/dev/a, is in EU868;" in capsys.readouterr().err


def test_a_mistyped_port_is_taken_out_again_and_the_rest_stays(file, capsys):
    file.write_text('# mine\nname = "n"\n')
    set_radio("/dev/a", "--region", "EU868", "--frequency", "868.3")
    before = file.read_text()
    assert set_radio("/dev/nothere", "--region", "EU868") == 0
    assert "meshd radio set /dev/nothere --remove takes it out" in capsys.readouterr().out
    assert set_radio("/dev/nothere", "--remove", "--json") == 0
    assert json.loads(capsys.readouterr().out)["removed"] == "/dev/nothere"
    assert file.read_text().rstrip() == before.rstrip()
    assert set_radio("/dev/nothere", "--remove") == Exit.NOT_FOUND
    assert "its radios: /dev/a" in capsys.readouterr().err
    assert set_radio("/dev/a", "--remove") == 0
    assert load(str(file)).radios == () and "# mine" in file.read_text()


@pytest.mark.parametrize("text", ["radio = 5", '[radio]\nport = "/dev/x"', "radio = [1]"])
@pytest.mark.parametrize("words", ["--remove", "--region EU868"])
def test_radio_that_is_no_list_of_tables_is_told(file, capsys, text, words):
    file.write_text(text)
    assert set_radio("/dev/x", *words.split()) == Exit.CONFIG
    assert "must be tables [[radio]]" in capsys.readouterr().err and file.read_text() == text


def test_radio_without_a_port_is_none_that_could_be_meant(file, capsys):
    file.write_text('[[radio]]\nregion = "EU868"\n')
    assert set_radio("/dev/x", "--remove") == Exit.NOT_FOUND
    assert "there is none in it" in capsys.readouterr().err


SLOW = """[[radio]]
port = "/dev/e"
kind = "ebyte"
module_dbm = 22
region = "EU868"
frequency_mhz = 868.125
spreading_factor = 9
"""


@pytest.mark.parametrize(
    "words",
    ["--sf 7", "--usual sf", "--sf 10 --bandwidth 250", "--kind rnode --usual module-dbm --sf 9"],
)
def test_radio_that_the_file_sets_unfit_is_mended(file, capsys, words):
    other = SLOW.replace("/dev/e", "/dev/f").replace("868.125", "865.125")
    file.write_text(SLOW + other)
    assert set_radio("/dev/e", "--power", "9") == Exit.USAGE
    options = "nothing was written; --sf 10 --bandwidth 250, or --usual sf for SF7 at 125 kHz;"
    assert options in capsys.readouterr().err
    assert file.read_text() == SLOW + other
    assert set_radio("/dev/e", *words.split()) == 0
    one, left = load(str(file)).radios
    assert one.usable and not left.usable


@pytest.mark.parametrize("region", ["EU86", ""])
def test_region_that_there_is_not_is_mended(file, region):
    file.write_text(f'[[radio]]\nport = "/dev/a"\nregion = "{region}"\n')
    assert set_radio("/dev/a", "--power", "9") == Exit.CONFIG
    assert set_radio("/dev/a", "--region", "EU868", "--power", "9") == 0
    assert load(str(file)).radios[0].usable


def test_ebyte_gets_what_it_can_be_set_to_or_is_told_what_that_is(file, capsys):
    ebyte = ("/dev/e", "--kind", "ebyte", "--module-dbm", "22", "--region", "EU868")
    for mhz in ("869.525", "869.125"):
        assert set_radio(*ebyte, "--frequency", mhz) == Exit.USAGE
        assert "enough airtime to is 868.125 MHz" in capsys.readouterr().err and not file.exists()
    assert set_radio(*ebyte) == 0
    assert "it sends at 868.125 MHz, SF7, 125 kHz, 13 dBm" in capsys.readouterr().out


def test_power_is_told_as_the_module_has_it(file, capsys):
    ebyte = ("/dev/e", "--kind", "ebyte", "--region", "EU868", "--module-dbm")
    assert set_radio(*ebyte, "22", "--power", "12", "--json") == 0
    assert json.loads(capsys.readouterr().out)["radio"]["power_dbm"] == 10
    assert set_radio(*ebyte, "30") == 0
    assert "can not send with less than 21 dBm" in capsys.readouterr().out


def test_ebyte_of_unnamed_strength_in_the_file_is_mended_beside_others(file, capsys):
    file.write_text(SLOW.replace("module_dbm = 22\nr", "r").replace("r = 9", "r = 7"))
    assert set_radio("/dev/e", "--power", "10") == Exit.USAGE
    assert "add --module-dbm 22 or --module-dbm 30" in capsys.readouterr().err
    assert set_radio("/dev/a", "--region", "EU868") == 0
    assert set_radio("/dev/e", "--module-dbm", "22") == 0
    assert all(radio.usable for radio in load(str(file)).radios)


def test_file_with_a_mistake_is_left_alone(file, capsys):
    file.write_text("nmae = 1\n")
    assert set_radio("/dev/a", "--region", "EU868") == Exit.CONFIG
    assert 'did you mean "name"' in capsys.readouterr().err
    assert file.read_text() == "nmae = 1\n"


def test_full_disk_leaves_the_file_as_it_was(file, capsys, monkeypatch):
    def full(*_args, **_named):
        raise OSError(28, "No space left on device")

    set_radio("/dev/a", "--region", "EU868")
    before = file.read_text()
    monkeypatch.setattr(radio_set, "write_atomically", full)
    assert set_radio("/dev/a", "--power", "3") == Exit.ERROR
    assert "No space left" in capsys.readouterr().err and file.read_text() == before


def test_all_that_the_law_allows_is_listed(file, capsys):
    assert set_radio("/dev/a", "--region", "EU868", "--frequency", "868.0") == Exit.USAGE
    assert (
        "869.4-869.65 MHz, 27 dBm ERP, 10 % of any hour; 869.7-870 MHz" in capsys.readouterr().err
    )


def test_state_directory_is_made_as_the_daemon_makes_it(tmp_path, capsys):
    folder = tmp_path / "new" / "state"
    assert set_radio("/dev/a", "--region", "EU868", "--state-dir", str(folder)) == 0
    assert folder.stat().st_mode & 0o777 == 0o700 and load(str(folder / "meshd.toml")).radios
    said = capsys.readouterr().out
    assert "(a new file)" in said and f"next: meshd run --state-dir {folder}, then" in said
    assert f"meshd radio list --state-dir {folder} shows" in said


def test_nothing_is_made_when_the_law_refuses(tmp_path):
    folder = tmp_path / "new"
    words = ("--region", "EU868", "--power", "36", "--state-dir", str(folder))
    assert set_radio("/dev/a", *words) == Exit.USAGE
    assert not folder.exists()


def test_folder_of_another_file_is_not_made(tmp_path, capsys):
    file = str(tmp_path / "no" / "m.toml")
    assert set_radio("/dev/a", "--region", "EU868", "--config", file) == Exit.NOT_FOUND
    assert "mkdir -p" in capsys.readouterr().err and not (tmp_path / "no").exists()


# --- meshd run --radio ----------------------------------------------------------------------------


@pytest.fixture
def started(monkeypatch):
    """What `meshd run` hands to the daemon."""
    configs = []
    daemon = types.ModuleType("meshd.runtime.daemon")
    daemon.run = lambda config: configs.append(config) or 0
    monkeypatch.setitem(sys.modules, "meshd.runtime.daemon", daemon)
    return configs


def test_run_takes_a_radio_without_a_file(started):
    by_path = "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1:1.0-port0"
    assert main(["run", "--radio", "/dev/ttyUSB0:rnode", "--region", "US915"]) == 0
    assert main(["run", "--radio", by_path, "--region", "EU868"]) == 0
    (radio,), (other,) = started[0].radios, started[1].radios
    assert (radio.port, radio.kind, radio.law.region) == ("/dev/ttyUSB0", "rnode", "US915")
    assert radio.modulation == Modulation(7, 125_000)
    assert (other.port, other.kind) == (by_path, "auto")


def test_radio_of_the_command_line_replaces_those_of_the_file(started, file):
    file.write_text('[[radio]]\nport = "/dev/a"\nregion = "EU868"\n')
    main(["run", "--radio", "b", "--region", "EU868"])
    assert [radio.port for radio in started[0].radios] == [os.path.abspath("b")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--radio /dev/a", "United States"),
        ("--radio /dev/a:ebyte --region EU868", "module_dbm"),
        ("--radio /dev/a:rnod --region EU868", 'did you mean "rnode"'),
        ("--radio /dev/a --region EU86", 'did you mean "EU868"'),
        ("--radio /dev/a --region EU999", 'did you mean "EU433" or "EU868"'),
        ("--radio /dev/a --region EU999", "European Union"),
        ("--radio /dev/a --radio /dev/b --region EU868", "same frequency and data rate"),
        ("--region EU868", "--region is for --radio"),
    ],
)
def test_run_says_what_is_wrong_with_a_radio(started, capsys, words, said):
    assert main(["run", *words.split()]) == Exit.USAGE
    assert said in capsys.readouterr().err and not started
