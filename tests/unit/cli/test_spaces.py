"""space, invite, join, post, log (meshd.cli.spaces, posts) against the real control socket."""

import io
import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from daemons.fake_host import ANSWERS, AUTHOR, NODE, OTHER, PEER, SPACE, URL, say

from meshd.cli.posts import entry_text
from meshd.core.errors import Exit, RequestError
from meshd.wire.invitation import Invitation

JSON_COMMANDS = [
    (["space", "create", "garden"], "space.create", "space.create"),
    (["space", "list"], "space.list", "space.list"),
    (["space", "members", "garden"], "space.members", "space.members"),
    (["invite", "garden"], "invite", "invite"),
    (["invite", "garden", "--list"], "invite.list", "invite.list"),
    (["invite", "garden", "--revoke", URL], "invite.revoke", "invite.revoke"),
    (["join", URL], "join", "join"),
    (["post", "garden", "hello"], "post", "post"),
    (["log", "garden"], "log", "log"),
    (["get", "garden"], "files", "files"),
]


@pytest.mark.parametrize(("arguments", "verb", "schema"), JSON_COMMANDS)
def test_json_is_the_daemons_value_under_a_schema(host, capsys, arguments, verb, schema):
    code, out, _ = say(capsys, *arguments, "--json")
    assert code == 0 and out.count("\n") == 1
    assert json.loads(out) == {"schema": f"meshd.{schema}/1", **ANSWERS[verb]}
    assert host.asked[0][0] == verb


@pytest.mark.parametrize(("arguments", "verb", "schema"), JSON_COMMANDS)
def test_refusal_keeps_its_code_and_says_what_next(host, capsys, arguments, verb, schema):
    host.answers[verb] = RequestError("no such space", code=Exit.NOT_FOUND, remedy="look closer")
    code, out, err = say(capsys, *arguments)
    assert code == Exit.NOT_FOUND and out == ""
    assert err.endswith("meshd: no such space\n  next: look closer\n")


@pytest.mark.parametrize(("arguments", "verb", "schema"), JSON_COMMANDS)
def test_without_a_daemon_it_is_code_3(tmp_path, monkeypatch, capsys, arguments, verb, schema):
    monkeypatch.setenv("MESHD_STATE_DIR", str(tmp_path / "none"))
    assert say(capsys, *arguments)[0] == Exit.NOT_RUNNING


def test_space_create(host, capsys):
    code, out, err = say(capsys, "space", "create", "garden", "--as", "Ada")
    assert (code, out) == (0, SPACE + "\n") and "meshd invite 'garden'" in err
    assert host.asked[0] == ("space.create", {"name": "garden", "as": "Ada"})
    assert "no name" not in err


@pytest.mark.parametrize("words", [["space", "create", "garden"], ["join", URL]])
def test_who_has_no_name_is_told_so(host, capsys, words):
    members = host.answers["space.members"]
    own = {**members["members"][0], "name": ""}
    host.answers["space.members"] = {**members, "members": [own]}
    code, _, err = say(capsys, *words)
    assert code == 0 and "you have no name there: members see this node's id instead" in err
    assert "--as" in err
    host.answers["space.members"] = RequestError("this node is a relay", code=Exit.DENIED)
    assert "no name" not in say(capsys, *words)[2]


def test_space_list_and_members(host, capsys):
    _, out, _ = say(capsys, "space", "list")
    assert [line.split() for line in out.splitlines()] == [
        ["name", "id", "role", "entries", "behind", "size"],
        ["garden", "ssssssssssssssss", "owner", "3", "0", "900", "B"],
    ]
    _, out, _ = say(capsys, "space", "members", "garden")
    assert out.splitlines()[1:] == [
        "Ada   abcd-efgh-ijkl-mnop  owner  this node",
        "-     qrst-uvwx-yz23-4567  relay",
    ]
    host.answers["space.list"] = {"spaces": []}
    code, out, err = say(capsys, "space", "list")
    assert (code, out) == (0, "") and "meshd space create NAME" in err


def test_invite_prints_the_link_alone_on_stdout(host, capsys):
    code, out, err = say(capsys, "invite", "garden", "--role", "relay", "--uses", "3")
    assert (code, out) == (0, URL + "\n")
    assert "until 2026-11-24" in err and "for 3 relays" in err
    assert host.asked == [("invite", {"space": "garden", "role": "relay", "uses": 3})]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45s", 45), ("30m", 1800), ("12h", 43200), ("7d", 604800), ("2w", 1209600), ("never", 0)],
)
def test_invite_expiry(host, capsys, text, seconds):
    assert say(capsys, "invite", "garden", "--expires", text)[0] == 0
    assert host.asked[0][1]["expires_s"] == seconds


@pytest.mark.parametrize("text", ["7", "d", "+1d", "1y", "0d", "²d", ""])
def test_bad_expiry_is_wrong_usage(capsys, text):
    code, _, err = say(capsys, "invite", "garden", "--expires", text)
    assert code == Exit.USAGE and "write 30m, 12h, 7d, 2w or never" in err


def test_invite_list_and_revoke(host, capsys):
    _, out, _ = say(capsys, "invite", "garden", "--list")
    assert out.splitlines()[1] == "iiiiiiiiiiiiiiii  writer  1 of 2  never    revoked"
    assert say(capsys, "invite", "garden", "--revoke", URL)[0] == 0
    assert host.asked[-1] == ("invite.revoke", {"space": "garden", "invite": URL})
    host.answers["invite.list"] = {"invitations": []}
    assert "no invitations" in say(capsys, "invite", "garden", "--list")[2]
    assert say(capsys, "invite", "garden", "--list", "--revoke", "x")[0] == Exit.USAGE


def test_qr_is_shown_beside_the_link(host, capsys):
    pytest.importorskip("segno")
    _, out, err = say(capsys, "invite", "garden", "--qr")
    assert out == URL + "\n"
    assert sum("█" in line or "▀" in line for line in err.splitlines()) > 10


def test_without_segno_the_link_is_there_and_a_hint(host, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "segno", None)
    code, out, err = say(capsys, "invite", "garden", "--qr")
    assert (code, out) == (0, URL + "\n") and f"{sys.executable} -m pip install segno" in err


def test_join_takes_the_link_from_standard_input_too(host, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(URL + "\n"))
    code, out, err = say(capsys, "join", "-", "--timeout", "5")
    assert (code, out) == (0, SPACE + "\n") and "joined garden" in err
    assert host.asked[0] == ("join", {"url": URL, "timeout_s": 5.0})


def test_a_mutilated_link_is_not_said_to_be_asked_with(host, capsys):
    host.answers["join"] = RequestError("the invitation has a wrong letter")
    assert "asking" not in say(capsys, "join", URL)[2]
    whole = Invitation(b"\1" * 16, b"\2" * 32, ()).encode()
    assert "asking the members" in say(capsys, "join", whole)[2]


def test_who_joins_may_say_a_name(host, capsys):
    say(capsys, "join", URL, "--as", "Ben")
    assert host.asked[0] == ("join", {"url": URL, "timeout_s": 60.0, "as": "Ben"})


def test_post_says_it_is_written(host, capsys):
    code, out, err = say(capsys, "post", "garden", "hello", "--to", OTHER)
    assert (code, out, err) == (0, "", "written\n")
    assert host.asked == [("post", {"space": "garden", "text": "hello", "to": OTHER})]


def test_a_call_for_help_is_for_all(host, capsys):
    assert say(capsys, "post", "garden", "help", "--distress")[0] == Exit.OK
    assert host.asked == [("post", {"space": "garden", "text": "help", "distress": True})]
    assert say(capsys, "post", "garden", "x", "--distress", "--to", OTHER)[0] == Exit.USAGE


def test_post_waits_for_what_is_asked(host, capsys):
    _, out, _ = say(capsys, "post", "garden", "x", "--wait", "kept:1", "--json")
    assert json.loads(out)["kept_by"] == [OTHER] and json.loads(out)["state"] == "written"
    assert host.asked[1] == ("wait", {"space": SPACE, "seq": 4, "kept": 1, "timeout_s": 60.0})
    say(capsys, "post", "garden", "x", "--to", NODE, "--wait", "delivered", "--timeout", "2")
    assert host.asked[3] == (
        "wait",
        {"space": SPACE, "seq": 4, "delivered": True, "timeout_s": 2.0, "to": NODE},
    )


def test_post_that_is_not_delivered_yet_is_code_75_and_still_written(host, capsys):
    held = {"kept_by": [OTHER], "delivered_to": []}
    late = RequestError("not yet", code=Exit.TEMPORARY, remedy="wait", reached=held)
    host.answers["wait"] = late
    code, out, err = say(capsys, "post", "garden", "x", "--wait", "delivered", "--json")
    assert code == Exit.TEMPORARY and json.loads(out)["state"] == "written" and "not yet" in err
    value = json.loads(out)
    assert (value["kept_by"], value["delivered_to"]) == ([OTHER], [])
    assert (value["error"], value["code"], value["remedy"]) == ("not yet", 75, "wait")


@pytest.mark.parametrize("text", ["kept", "kept:0", "kept:x", "seen", "kept:99999"])
def test_bad_wait_is_wrong_usage(capsys, text):
    assert say(capsys, "post", "garden", "x", "--wait", text)[0] == Exit.USAGE


def standard_input(data: bytes) -> SimpleNamespace:
    return SimpleNamespace(buffer=io.BytesIO(data))


def test_post_of_standard_input(host, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", standard_input("grün\nzwei\n".encode()))
    assert say(capsys, "post", "garden", "-")[0] == 0
    assert host.asked[0][1]["text"] == "grün\nzwei"
    monkeypatch.setattr("sys.stdin", standard_input(b"\xff"))
    code, _, err = say(capsys, "post", "garden", "-")
    assert code == Exit.USAGE and "not UTF-8" in err
    monkeypatch.setattr("sys.stdin", standard_input(b"x" * (1 << 20) + b"y"))
    assert "meshd put" in say(capsys, "post", "garden", "-")[2]


LOG = """\
2026-11-21 00:00Z  Ada: hello  [kept by 2]
(no clock)         qrst-uvwx-yz23-4567 to abcd-efgh-ijkl-mnop: two
    lines
2026-11-21 00:01Z  qrst-uvwx-yz23-4567: file map.txt (1.2 MB)
"""


def test_log_reads_as_it_should(host, capsys):
    code, out, _ = say(capsys, "log", "garden", "-n", "3")
    assert (code, out) == (0, LOG)
    assert host.asked == [("log", {"space": "garden", "limit": 3})]
    host.answers["log"] = {**ANSWERS["log"], "more": True}
    assert "--limit shows more" in say(capsys, "log", "garden")[2]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"sealed": 900, "node": NODE}, "abcd-efgh-ijkl-mnop: (900 B that this node cannot read)"),
        ({"damaged": "cut\x1b", "by": "B"}, "B: (damaged: cut\ufffd)"),
        ({"text": "", "by": "B\x1b[2J"}, "B\ufffd[2J: "),
        ({"text": "a\x1b]0;x\x07\rb", "by": "B"}, "B: a\ufffd]0;x\ufffd\n    b"),
        ({"text": "x", "cut": 5000, "by": "B"}, "B: x\n    … 5000 characters in all"),
        ({"text": "x", "by": "B", "own": True, "delivered": True}, "B: x  [delivered]"),
        (
            {"text": "x", "by": "B", "own": True, "kind": "distress", "delivered_to": []},
            "B: DISTRESS x  [nobody said yet to have it]",
        ),
        ({}, "-: (damaged: unknown)"),
    ],
)
def test_any_entry_has_a_text_that_a_terminal_survives(row, text):
    assert entry_text(row) == f"(no clock)         {text}"


def test_of_an_own_file_its_notice_is_delivered_and_relays_keep_it(host, capsys):
    file = {"author": PEER, "seq": 2, "file": "map.txt", "size": 20_000, "by": "Ann", "own": True}
    told = {**file, "kept": 1, "delivered_to": [NODE, OTHER]}
    host.answers["log"] = {**ANSWERS["log"], "entries": [told]}
    out = say(capsys, "log", "garden")[1]
    assert out.endswith("Ann: file map.txt (20.0 kB)  [kept by 1, notice delivered to 2]\n")
    host.answers["files"] = RequestError("still being read", code=Exit.TEMPORARY)
    assert say(capsys, "log", "garden")[1].endswith("  [notice delivered to 2]\n")
    assert entry_text({**file, "kept": 1}).endswith("  [notice kept by 1]")


def test_of_an_own_file_is_shown_who_has_all_of_it_and_what_it_waits_for(host, capsys):
    file = {"author": PEER, "seq": 2, "file": "map.txt", "size": 20_000, "by": "Ann", "own": True}
    told = {**file, "written": True, "kept": 0, "delivered_to": [NODE, OTHER]}
    host.answers["log"] = {**ANSWERS["log"], "entries": [told]}
    listed = {"author": PEER, "seq": 2, "kept_by": 0, "complete_at": [NODE], "giving": "waits"}
    host.answers["files"] = {"files": [listed]}
    out = say(capsys, "log", "garden")[1]
    assert out.endswith("  [complete at 1, notice delivered to 2, waits]\n")


def test_follow_shows_new_entries_once(host, tmp_path):
    following = subprocess.Popen(
        [sys.executable, "-m", "meshd", "log", "garden", "--follow", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "MESHD_STATE_DIR": str(tmp_path)},
        text=True,
    )
    shown = [json.loads(following.stdout.readline()) for _ in range(3)]
    assert [row["kind"] for row in shown] == ["post", "message", "file"]
    assert {row["schema"] for row in shown} == {"meshd.entry/1"}
    new = {"author": PEER, "node": OTHER, "seq": 3, "kind": "post", "text": "new"}
    host.answers["log"] = {
        **ANSWERS["log"],
        "entries": [new],
        "cursor": {AUTHOR: 3, PEER: 3},
    }
    host.notify("entry", space="other", author=PEER, seq=9)
    host.notify("entry", space=SPACE, author=PEER, seq=2)
    host.notify("neighbour-up", node=OTHER)
    host.notify("entry", space=SPACE, author=PEER, seq=3)
    assert json.loads(following.stdout.readline())["text"] == "new"
    following.send_signal(signal.SIGINT)
    _, errors = following.communicate(timeout=10)
    assert following.returncode == Exit.INTERRUPTED and errors == ""
    assert [asked[1].get("after") for asked in host.asked] == [None, {AUTHOR: 3, PEER: 2}]


def test_join_checks_the_link_and_the_daemon_before_it_asks(host, capsys, monkeypatch, tmp_path):
    code, _, err = say(capsys, "join", "foo")
    assert code == Exit.USAGE and "is no invitation" in err and "asking" not in err
    assert host.asked == []
    monkeypatch.setenv("MESHD_STATE_DIR", str(tmp_path / "none"))
    code, _, err = say(capsys, "join", URL)
    assert code == Exit.NOT_RUNNING and "asking" not in err


def test_text_that_is_too_long_for_a_post_is_for_put(host, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"x" * 70_000)))
    code, _, err = say(capsys, "post", "garden", "-")
    assert code == Exit.USAGE and "meshd put garden" in err and host.asked == []


def test_relay_says_that_it_cannot_read(host, capsys):
    host.answers["log"] = {"space": SPACE, "entries": [{"author": AUTHOR, "seq": 1, "sealed": 99}]}
    code, out, err = say(capsys, "log", "garden")
    assert (code, out) == (0, "")
    assert err == "this node only carries garden as a relay and cannot read it\n"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["space", "creat", "x"], "create"),
        (["radio", "sacn"], "scan"),
        (["space", "create", "x", "--sa", "y"], "--as"),
        (["invite", "x", "--rol", "relay"], "--role"),
        (["invite", "x", "--role", "write"], "writer"),
        (["invite", "x", "--exires=7d"], "--expires"),
    ],
)
def test_mistyped_word_is_guessed(capsys, words, meant):
    code, _, err = say(capsys, *words)
    assert code == Exit.USAGE and err.endswith(f'next: did you mean "{meant}"?\n')


@pytest.mark.parametrize(
    ("words", "example"),
    [
        (["post"], "meshd post SPACE TEXT; meshd post --help tells more"),
        (["post", "camp water"], "meshd post SPACE TEXT; meshd post --help tells more"),
        (["emulate"], "meshd emulate KIND --port PATH; meshd emulate --help tells more"),
    ],
)
def test_wrong_usage_without_a_guess_shows_how_it_is_written(capsys, words, example):
    code, _, err = say(capsys, *words)
    assert code == Exit.USAGE and err.endswith(f"next: {example}\n")


@pytest.mark.parametrize("words", [["space"], ["space", "--state-dir", "a"], ["space", "xyz"]])
def test_a_command_with_commands_says_which_it_has(capsys, words):
    code, _, err = say(capsys, *words)
    assert code == Exit.USAGE
    assert "after meshd space comes create, list or members, then options\n" in err
    assert err.endswith("next: meshd space --help says what each does\n")
