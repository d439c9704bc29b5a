"""What `meshd emulate` and `meshd radio` say of wrong words, without a port."""

import pytest

from meshd.cli import emulate, radio
from meshd.cli.main import COMMANDS, main
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


def test_help_lists_every_fault(capsys):
    assert main(["emulate", "--help"]) == 0
    text = capsys.readouterr().out
    for emulator in EMULATORS.values():
        assert all(fault in text for fault in emulator.FAULTS)


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
        ("p rnode --frequency 868.1 --count 21 --region EU868", "at most 20"),
        ("p rnode --frequency x", "no frequency in MHz"),
        ("p rnode --frequency inf", "no frequency in MHz"),
        ("p rnode --frequency 868.1 --bandwidth nan", "no bandwidth in kHz"),
        ("p rnod --frequency 868.1", 'did you mean "rnode"'),
        ("p ebyte --frequency 868.125", "add --module-dbm 22 or"),
        ("p rnode", "--frequency"),
    ],
)
def test_radio_test_says_what_is_wrong_before_it_opens_a_port(tmp_path, capsys, words, said):
    assert main(["radio", "test", "--state-dir", str(tmp_path / "s"), *words.split()]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_port_that_is_not_there(tmp_path, capsys):
    assert main(["radio", "test", str(tmp_path / "p"), "rnode", "--frequency", "868.1"]) == 9
    assert "no such port" in capsys.readouterr().err
