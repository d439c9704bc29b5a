"""What went wrong is told to people on stderr and, with --json, to scripts on stdout."""

import json
import os

import pytest

from meshd.cli import ping as ping_command
from meshd.cli.main import main
from meshd.cli.output import common, show
from meshd.core.errors import Exit, RequestError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MESHD_STATE_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("status --json", Exit.NOT_RUNNING),
        ("radio list --json", Exit.NOT_RUNNING),
        ("radio set /dev/a --json", Exit.USAGE),
        ("radio test no-port rnode --frequency 868.1 --json", Exit.HARDWARE),
        ("nonsense --json", Exit.USAGE),
        ("status --jsno --json", Exit.USAGE),
        ("replay no-such-file --json", Exit.ERROR),
    ],
)
def test_error_is_an_object_on_stdout_too(capsys, words, code):
    assert main(words.split()) == code
    said = capsys.readouterr()
    value = json.loads(said.out.splitlines()[-1])
    assert value["schema"] == "meshd.error/1" and value["code"] == code
    assert value["error"].split("\n")[0] in said.err and value["remedy"].split("\n")[0] in said.err


def test_script_that_has_its_answer_gets_no_second_object(capsys, monkeypatch):
    def late(options):
        show(options, "ping", {"sent": 2, "received": 0}, "")
        raise RequestError("no answer", code=Exit.TIMEOUT)

    monkeypatch.setattr(ping_command, "add_ping", lambda parser: common(parser) or late)
    assert main(["ping", "--json"]) == Exit.TIMEOUT
    said = capsys.readouterr()
    assert json.loads(said.out)["sent"] == 2 and "no answer" in said.err


def test_without_json_stdout_stays_empty(capsys):
    assert main(["status"]) == Exit.NOT_RUNNING
    assert main(["post", "camp", "--", "--json"]) == Exit.NOT_RUNNING
    assert capsys.readouterr().out == ""


def test_no_daemon_is_started_as_its_file_says_or_with_what_there_is(folder, capsys):
    main(["status"])
    said = capsys.readouterr().err
    assert "--interface NAME" in said and "--radio PORT --region NAME" in said
    (folder / "meshd.toml").touch()
    main(["status"])
    assert f"start it with: meshd run --state-dir {folder}\n" in capsys.readouterr().err


def test_hint_is_among_what_can_be_chosen(capsys):
    main(["radio", "test", "a", "rnod"])
    assert 'did you mean "rnode"?' in capsys.readouterr().err
    main(["radio", "set", "a", "--powr", "3"])
    assert 'did you mean "--power"?' in capsys.readouterr().err


@pytest.mark.parametrize("words", ["emulate rnode", "radio scan", "replay a"])
def test_state_directory_is_offered_where_there_is_one(capsys, words):
    assert main([*words.split(), "--state-dir", "a"]) == Exit.USAGE
    assert main([*words.split()[: 2 if words.startswith("radio") else 1], "--help"]) == 0
    assert "--state-dir" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "step"),
    [
        ("radio scan --state-dir a", "leave --state-dir out: this command has none"),
        ("run --sf 7", "meshd radio set PORT --sf"),
        ("message Ben hello world", 'put the text in quotes: meshd message NODE "TEXT"'),
        ("post camp hello world", 'put the text in quotes: meshd post SPACE "TEXT"'),
        ("ping -6 Ben", "one node: meshd ping Ben; ping -6 is the program of the system"),
    ],
)
def test_next_step_leads_on(capsys, words, step):
    assert main(words.split()) == Exit.USAGE
    assert f"next: {step}" in capsys.readouterr().err.replace("it is a setting of a radio: ", "")


def test_full_stdout_does_not_hide_the_error(capfd):
    kept, full = os.dup(1), os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, 1)
    try:
        assert main(["nonsense", "--json"]) == Exit.USAGE
    finally:
        os.dup2(kept, 1)
    assert "is not a command" in capfd.readouterr().err
