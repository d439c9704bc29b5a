"""With --json every command prints one object of a named schema on stdout, also for what fails."""

import json

import pytest
from daemons.fake_host import NODE, OTHER, URL, served
from daemons.recordings import record_world

from meshd.cli.main import COMMANDS, main
from meshd.core.errors import Exit

PLAN = """\
name = "one"
duration_s = 2
settle_s = 1
[[nodes]]
name = "n"
count = 2
layout = "full"
"""
ANSWERED = {
    "init": "meshd.init/1",
    "id": "meshd.id/1",
    "version": "meshd.version/1",
    "status": "meshd.status/1",
    "neighbours": "meshd.neighbours/1",
    "routes": "meshd.routes/1",
    "radio list": "meshd.radio.list/1",
    "radio duty": "meshd.radio.duty/1",
    f"ping {OTHER} -c 1": "meshd.ping/1",
    f"message {OTHER} hello": "meshd.message/1",
    f"message {OTHER} hello --wait delivered": "meshd.message/1",
    "messages": "meshd.messages/1",
    "messages --waiting": "meshd.messages/1",
    "messages --cancel 7": "meshd.message/1",
    "space create garden": "meshd.space.create/1",
    "space list": "meshd.space.list/1",
    "space members garden": "meshd.space.members/1",
    "invite garden": "meshd.invite/1",
    "invite garden --list": "meshd.invite.list/1",
    "invite garden --revoke iiii": "meshd.invite.revoke/1",
    f"join {URL}": "meshd.join/1",
    "post garden hello": "meshd.post/1",
    "post garden hello --wait kept:1": "meshd.post/1",
    "log garden": "meshd.log/1",
    "put garden FILE": "meshd.put/1",
    "get garden": "meshd.files/1",
    "get garden a.bin": "meshd.get/1",
    "radio set PORT --kind rnode --region EU868": "meshd.radio.set/1",
    "radio scan --port PORT": "meshd.radio.scan/1",
    "simulate --list": "meshd.simulate.list/1",
    "simulate PLAN.toml": "meshd.simulation/1",
    "replay TAPE": "meshd.replay/1",
}
STREAMS = {"run", "watch", "demo", "emulate"}
"""Those that go on until they are stopped; what they print then is a line for each event."""

REFUSED = {
    "run --interface": Exit.USAGE,
    "run --radio PORT": Exit.USAGE,
    "init more": Exit.USAGE,
    "id --state-dir": Exit.USAGE,
    "status": Exit.NOT_RUNNING,
    "neighbours": Exit.NOT_RUNNING,
    "routes": Exit.NOT_RUNNING,
    f"ping {NODE}": Exit.NOT_RUNNING,
    "watch": Exit.NOT_RUNNING,
    "version 2": Exit.USAGE,
    "space": Exit.USAGE,
    "space create garden": Exit.NOT_RUNNING,
    "space members": Exit.USAGE,
    "invite garden": Exit.NOT_RUNNING,
    "invite garden --list --revoke x": Exit.USAGE,
    f"join {URL}": Exit.NOT_RUNNING,
    "join no-link": Exit.USAGE,
    f"message {OTHER} hello": Exit.NOT_RUNNING,
    f"message {OTHER}": Exit.USAGE,
    "messages": Exit.NOT_RUNNING,
    "messages --cancel x": Exit.USAGE,
    "post garden hello": Exit.NOT_RUNNING,
    "log garden": Exit.NOT_RUNNING,
    "log garden --follow": Exit.NOT_RUNNING,
    "put garden FILE": Exit.NOT_RUNNING,
    "put garden no-such-file": Exit.NOT_FOUND,
    "get garden": Exit.NOT_RUNNING,
    "get garden a.bin -o -": Exit.USAGE,
    "replay no-such-file": Exit.ERROR,
    "replay FILE": Exit.ERROR,
    "replay FILE --events": Exit.ERROR,
    "demo more": Exit.USAGE,
    "simulate no-such-plan": Exit.NOT_FOUND,
    "simulate ./no-such-plan.toml": Exit.NOT_FOUND,
    "simulate FILE": Exit.CONFIG,
    "radio": Exit.USAGE,
    "radio list": Exit.NOT_RUNNING,
    "radio duty": Exit.NOT_RUNNING,
    "radio set PORT": Exit.USAGE,
    "radio test PORT rnode --frequency 868.1 --count 1": Exit.USAGE,
    "radio test PORT rnode --tx-dbm 3": Exit.USAGE,
    "emulate rnode": Exit.USAGE,
    "emulate rnode --port FILE": Exit.ERROR,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A state directory without a daemon, and a working folder with a file and a recording."""
    state, work = tmp_path / "state", tmp_path / "work"
    state.mkdir(mode=0o700)
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("MESHD_STATE_DIR", str(state))
    (work / "FILE").write_text("some [text")
    (work / "PLAN.toml").write_text(PLAN)
    return state


def objects(capsys, words):
    """Run a command with --json; return its exit code and the objects on stdout."""
    code = main([*words.split(), "--json"])
    said = capsys.readouterr()
    found, rest = [], said.out.strip()
    while rest:
        one, end = json.JSONDecoder().raw_decode(rest)
        found, rest = [*found, one], rest[end:].strip()
    return code, found, said.err


def test_every_command_is_asked():
    answered = {words.split()[0] for words in ANSWERED}
    assert answered | STREAMS == set(COMMANDS)
    assert {words.split()[0] for words in REFUSED} == set(COMMANDS)


@pytest.mark.parametrize("words", ANSWERED)
def test_answer_is_one_object_of_its_schema(folder, capsys, words):
    if words == "replay TAPE":
        _, files = record_world(folder)
        next(iter(files.values())).rename("TAPE")
    with served(folder) as (host, _):
        host.stored = b"what it holds"
        code, said, _ = objects(capsys, words)
    assert [one["schema"] for one in said] == [ANSWERED[words]]
    assert code in (Exit.OK, Exit.HARDWARE, Exit.RULE_BROKEN)


@pytest.mark.parametrize("words", REFUSED)
def test_what_fails_is_one_object_with_the_exit_code_and_a_next_step(folder, capsys, words):
    code, said, told = objects(capsys, words)
    assert code == REFUSED[words]
    (error,) = said
    assert error["schema"] == "meshd.error/1" and error["code"] == code
    assert error["error"] and error["error"].split("\n")[0] in told
    assert error["remedy"] or words.startswith(("replay no", "emulate rnode --port"))
    assert "Traceback" not in told


def test_watch_prints_an_object_a_line(folder, capsys, monkeypatch):
    notices = [{"kind": "entry", "fields": {"space": "s"}}, {"kind": "session-up", "fields": {}}]
    monkeypatch.setattr("meshd.cli.client.Client.watch", lambda self: iter(notices))
    with served(folder):
        code, said, _ = objects(capsys, "watch")
    assert code == 0 and [one["schema"] for one in said] == ["meshd.notice/1"] * 2


def test_word_that_is_no_command_is_an_object_too(capsys):
    code, (error,), _ = objects(capsys, "nonsense")
    assert code == error["code"] == Exit.USAGE
