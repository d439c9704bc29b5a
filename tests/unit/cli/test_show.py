"""status, neighbours, routes, watch (meshd.cli.show) against the real control socket."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from daemons.fake_host import AUTHOR, NODE, OTHER, PROBLEM, SPACE, snapshot

from meshd.cli.client import Client
from meshd.cli.main import main
from meshd.cli.show import ASK_AGAIN_S, Names, notice_text
from meshd.core.errors import Exit, RequestError


def run_json(capsys, *arguments):
    code = main([*arguments, "--json"])
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return code, json.loads(out)


def test_status_as_json_is_the_snapshot(host, capsys):
    code, value = run_json(capsys, "status")
    assert code == 0 and value["schema"] == "meshd.status/1"
    assert value["node"] == NODE and value["links"][0]["name"] == "mesh0"
    assert value["drops"] == {"unknown-port": {"mesh0": 2, "wlan1": 1}}


def test_status_as_text_is_plain_when_not_on_a_terminal(host, capsys):
    assert main(["status"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("OK  abcd-efgh-ijkl-mnop  2 neighbours") and "\x1b" not in out


def test_status_of_a_node_that_others_alone_can_reach_says_so(host, capsys):
    nothing = {"links": (), "neighbours": (), "routes": (), "sessions": (), "spaces": ()}
    host.now = snapshot(**nothing)
    assert main(["status"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("ALONE") and "names this one as its --peer" in said.err
    for fields in ({**nothing, "problems": (PROBLEM,)}, {**nothing, "links": snapshot().links}):
        host.now = snapshot(**fields)
        main(["status"])
        assert "--peer" not in capsys.readouterr().err


def test_status_check_tells_a_degraded_node(host, capsys):
    assert main(["status", "--check"]) == 0
    host.now = snapshot(problems=(PROBLEM,))
    assert main(["status"]) == 0
    assert main(["status", "--check"]) == Exit.DEGRADED


def test_colour_on_a_terminal_only_if_wanted(host, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    main(["status"])
    coloured = capsys.readouterr().out
    assert coloured.startswith("\x1b[32mOK\x1b[0m ") and "\x1b[1mlinks\x1b[0m" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    main(["status"])
    assert "\x1b" not in capsys.readouterr().out


def test_neighbours_and_routes(host, capsys):
    assert run_json(capsys, "neighbours")[1]["neighbours"][0]["node"] == OTHER
    assert run_json(capsys, "routes")[1]["routes"][1]["metric"] == 192
    assert main(["neighbours"]) == 0
    assert "qrst-uvwx-yz23-4567" in capsys.readouterr().out
    host.now = snapshot(neighbours=(), routes=())
    assert main(["neighbours"]) == 0 and main(["routes"]) == 0
    said = capsys.readouterr()
    assert said.out == "" and "no neighbours yet" in said.err and "no routes yet" in said.err
    assert run_json(capsys, "routes")[1] == {"schema": "meshd.routes/1", "routes": []}


def test_daemon_that_does_not_answer_is_code_5(host, capsys):
    host.hold.add("post")
    with Client(os.environ["MESHD_STATE_DIR"], timeout_s=0.05) as client:
        with pytest.raises(RequestError, match=r"no answer within 0.05 s") as caught:
            client.call("post")
    assert caught.value.code is Exit.TIMEOUT


def test_no_daemon_is_code_3_and_says_how_to_start_one(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("MESHD_STATE_DIR", str(tmp_path / "none"))
    for command in ("status", "neighbours", "routes", "watch"):
        assert main([command]) == Exit.NOT_RUNNING
        assert f"meshd run --state-dir {tmp_path}/none" in capsys.readouterr().err


def test_who_has_no_daemon_of_his_own_hears_of_the_systems(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("meshd.cli.client.SYSTEM_STATE_DIR", str(tmp_path))
    assert main(["status", "--state-dir", str(tmp_path / "none")]) == Exit.NOT_RUNNING
    said = capsys.readouterr().err
    assert "for the system's daemon: sudo meshd status, or join the group meshd-admin" in said
    assert main(["status", "--state-dir", str(tmp_path)]) == Exit.NOT_RUNNING
    assert "for the system's daemon" not in capsys.readouterr().err


def listen(folder, answer: bytes) -> threading.Thread:
    """A daemon that sends `answer` and goes."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "control.sock"))
    listener.listen()

    def serve():
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(answer)
        connection.close()
        listener.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", Exit.NOT_RUNNING),
        (b"nonsense\n", Exit.ERROR),
        (b"[]\n", Exit.ERROR),
        (b'{"id":1,"ok":false,"error":"x","code":6}\n', Exit.DENIED),
        (b'{"id":1,"ok":false,"error":"x","code":77}\n', Exit.ERROR),
        (b'{"id":null,"ok":false,"error":"x","code":75}\n', Exit.TEMPORARY),
        (b'{"id":9,"ok":true}\n{"id":1,"ok":true,"value":{}}\n', Exit.OK),
    ],
)
def test_whatever_the_daemon_says_there_is_a_code(tmp_path, monkeypatch, capsys, answer, code):
    monkeypatch.setenv("MESHD_STATE_DIR", str(tmp_path))
    thread = listen(tmp_path, answer)
    assert main(["status"]) == code
    assert "Traceback" not in capsys.readouterr().err
    thread.join(5)


def test_progress_reaches_the_caller(tmp_path):
    thread = listen(
        tmp_path,
        b'{"id":1,"progress":{"what":"bytes","done":1,"total":4}}\n{"id":1,"ok":true,"value":{}}\n',
    )
    seen = []
    with Client(str(tmp_path)) as client:
        assert client.call("x", on_progress=lambda *given: seen.append(given)) == {}
    assert seen == [("bytes", 1, 4)]
    thread.join(5)


def test_watch_prints_each_notice_until_interrupted(host, tmp_path):
    for form, shown in (
        (
            ["--json"],
            r'\{"schema": "meshd.notice/1", "time": \d+\.\d+, '
            r'"kind": "met", "fields": \{"cost": 96\}\}',
        ),
        ([], r"\d\d:\d\d:\d\d met: cost 96"),
    ):
        watching = subprocess.Popen(
            [sys.executable, "-m", "meshd", "watch", *form],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "MESHD_STATE_DIR": str(tmp_path)},
            text=True,
        )
        assert "Ctrl-C" in watching.stderr.readline()
        while not host.watchers:
            host.call(lambda: None)
        host.notify("met", cost=96)
        line = watching.stdout.readline().rstrip()
        assert re.fullmatch(shown, line)
        watching.send_signal(signal.SIGINT)
        _, errors = watching.communicate(timeout=10)
        assert watching.returncode == Exit.INTERRUPTED and errors == ""
        while host.watchers:
            host.call(lambda: None)


def test_notices_name_space_and_node_as_people_do(host):
    names = Names(SimpleNamespace(state_dir=None))
    entry = {"space": SPACE, "author": AUTHOR, "seq": 7, "entry_kind": "post", "own": False}
    for fields, shown in (
        ({**entry, "node": OTHER}, "entry in garden from Ada: post"),
        ({**entry, "own": True}, "entry in garden from Ada: post (own)"),
        ({**entry, "space": "zzz\x1b"}, "entry in zzz\ufffd from Ada: post"),
        ({**entry, "author": "ff" * 32}, f"entry in garden from {'ff' * 8}: post"),
    ):
        assert notice_text({"kind": "entry", "fields": fields}, names) == shown
    asked = [verb for verb, _ in host.asked]
    assert asked == ["space.list", "space.members"] * 2, "once for each space"
    lost = {"node": OTHER, "why": "closed by peer"}
    assert notice_text({"kind": "session-down", "fields": lost, "warning": True}, names) == (
        "! session-down from qrst-uvwx-yz23-4567: why closed by peer"
    )
    mine = {"node": OTHER, "state": "delivered"}
    assert notice_text({"kind": "message-state", "fields": mine}, names) == (
        "message-state to qrst-uvwx-yz23-4567: state delivered"
    )
    assert notice_text({"kind": "message", "fields": {"node": OTHER}}, names) == (
        "message from qrst-uvwx-yz23-4567"
    )
    assert notice_text({"kind": "met", "missed": 3}, names) == "(3 were missed) met"
    assert notice_text({}, names) == "None"


def test_name_that_comes_later_is_asked_for_again_and_not_for_each_notice(host):
    now_s = [0.0]
    names = Names(SimpleNamespace(state_dir=None), clock=lambda: now_s[0])
    known = {verb: host.answers.pop(verb) for verb in ("space.list", "space.members")}
    host.answers |= {"space.list": {"spaces": []}, "space.members": {"members": []}}
    assert (names.of(SPACE), names.person(SPACE, AUTHOR)) == (SPACE[:16], "")
    host.answers |= known
    for number in range(1_000):
        assert names.person(SPACE, f"{number:064x}") == "" and names.of(SPACE) == SPACE[:16]
    assert [verb for verb, _ in host.asked] == ["space.list", "space.members"]
    now_s[0] += ASK_AGAIN_S
    assert (names.of(SPACE), names.person(SPACE, AUTHOR)) == ("garden", "Ada")
    now_s[0] += ASK_AGAIN_S
    assert (names.of(SPACE), names.person(SPACE, AUTHOR)) == ("garden", "Ada")
    assert [verb for verb, _ in host.asked] == ["space.list", "space.members"] * 2


def test_status_loads_nothing_heavy(host, tmp_path):
    """Its cost is that of its imports: no event loop, no dataclass, no crypto, no daemon."""
    done = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import sys; from meshd.cli.main import main; main(['status', '--json']);"
            "print(' '.join(sys.modules), file=sys.stderr)",
        ],
        env={**os.environ, "MESHD_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"meshd.status/1"' in done.stdout
    heavy = {"asyncio", "dataclasses", "nacl", "logging", "tomllib", "ssl", "meshd.core.snapshot"}
    assert not heavy & set(done.stderr.split())
