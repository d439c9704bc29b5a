"""run, init, id, version, demo (meshd.cli.node), called as a person calls them."""

import json
import os
import subprocess
import sys
import types

import pytest
from daemons.fake_host import served

from meshd.cli.main import COMMANDS, main
from meshd.config.values import Admit, Endpoint, Interface, MqttConfig, NodeConfig
from meshd.core.errors import ConfigError, Exit, RequestError
from meshd.core.events import LinkKind


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """A state directory of the test's own, the default of every command."""
    monkeypatch.setenv("MESHD_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def started(monkeypatch):
    """What `meshd run` hands to the daemon."""
    configs: list[NodeConfig] = []
    daemon = types.ModuleType("meshd.runtime.daemon")
    daemon.run = lambda config: configs.append(config) or 0
    monkeypatch.setitem(sys.modules, "meshd.runtime.daemon", daemon)
    return configs


def test_run_without_a_file(started, state):
    assert main(["run", "--interface", "wlan0:mesh", "--interface", "eth0"]) == 0
    assert started == [
        NodeConfig(
            state_dir=str(state),
            interfaces=(Interface("wlan0", LinkKind.MESH), Interface("eth0")),
        )
    ]


def test_options_go_before_the_file(started, tmp_path):
    file = tmp_path / "m.toml"
    file.write_text(
        'name = "a"\nstate_dir = "/srv/m"\nadmit = ["tcp/1"]\nlog_level = "error"\n'
        '[[interface]]\nname = "eth9"\n[mqtt]\nurl = "mqtt://b"\nusername = "u"\n'
    )
    arguments = ["run", "--config", str(file)]
    main(arguments)
    main([*arguments, "--state-dir", "rel", "--admit", "udp/9797", "--leaf", "--listen", "[::1]:7"])
    main([*arguments, "--mqtt", "mqtts://c", "--log-level", "debug", "--peer", "tcp://p"])
    plain, second, third = started
    assert plain.state_dir == "/srv/m" and plain.interfaces == (Interface("eth9"),)
    assert second.state_dir == os.path.abspath("rel") and second.admit == (Admit("udp", 9797),)
    assert second.leaf is True and second.listen == Endpoint("::1", 7)
    assert third.mqtt == MqttConfig("c", 8883, True, "u")
    assert third.log_level == "debug" and third.peers == ("tcp://p:6697",)


def test_file_in_the_state_directory_is_found(started, state):
    state.mkdir()
    (state / "meshd.toml").write_text('name = "found"')
    main(["run"])
    assert started[0].name == "found" and started[0].state_dir == str(state)


def test_bad_file_is_told_line_by_line(capsys, tmp_path):
    (tmp_path / "m.toml").write_text("nmae = 1\nleaf = 2\n")
    assert main(["run", "--config", str(tmp_path / "m.toml")]) == Exit.CONFIG
    told = capsys.readouterr().err.splitlines()
    assert told[0] == f'meshd: {tmp_path}/m.toml:1: nmae: unknown key, did you mean "name"?'
    assert told[1].startswith(f"meshd: {tmp_path}/m.toml:2: leaf: ")
    assert told[2].startswith("  next: mend the file")


USAGE_MISTAKES = [
    (["run", "--interface", "w:mehs"], '"mehs" is not a choice, did you mean "mesh"?'),
    (["run", "--interface", "a", "--interface", "a:mesh"], "--interface a is given twice"),
    (["run", "--admit", "9797"], "write udp/9797"),
    (["run", "--peer", "host"], "write tcp://HOST:6697"),
    (["run", "--listen", "nowhere"], "is not an IP address"),
    (["run", "--mqtt", "b"], "is not a broker"),
    (["run", "--log-level", "loud"], "invalid choice"),
    (["run", "--inter", "a"], "unrecognized arguments"),
    (["statsu"], 'did you mean "meshd status"?'),
    (["qqq"], "meshd --help"),
    (["ping"], "required: NODE"),
    (["ping", "x", "-c", "0"], "is not a count"),
    (["status", "--timeout", "-1"], "is not a number of seconds"),
    (["id", "extra"], "unrecognized arguments"),
]


@pytest.mark.parametrize(("arguments", "message"), USAGE_MISTAKES, ids=lambda item: str(item)[:40])
def test_wrong_usage_is_code_2_and_says_why(capsys, arguments, message):
    assert main(arguments) == Exit.USAGE
    said = capsys.readouterr()
    assert message in said.err and said.out == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_json_and_a_state_directory(capsys, name):
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    if name in ("space", "radio"):
        inner = "create" if name == "space" else "scan"
        assert inner in shown
        assert main([name, inner, "--help"]) == 0
        shown = capsys.readouterr().out
    assert "--json" in shown
    of_no_node = ("simulate", "replay", "demo", "emulate", "radio")  # of radio: scan
    assert ("--state-dir" in shown) == (name not in of_no_node)


def test_help_lists_every_command_and_exit_code(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)
    assert "75 accepted but not yet delivered" in " ".join(shown.split())
    assert main([]) == Exit.USAGE


def test_init_makes_a_key_once(capsys, state):
    assert main(["init", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["schema"] == "meshd.init/1" and first["created"] is True
    assert first["state_dir"] == str(state) and len(first["node"]) == 16
    assert main(["init", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {**first, "created": False}
    assert main(["init"]) == 0
    assert first["node"][:4] + "-" + first["node"][4:8] in capsys.readouterr().out


def test_id_without_and_with_a_daemon(capsys, state):
    assert main(["id"]) == Exit.NOT_FOUND
    assert "meshd init --state-dir" in capsys.readouterr().err
    main(["init", "--json"])
    made = json.loads(capsys.readouterr().out)
    assert main(["id", "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone == {
        "schema": "meshd.id/1",
        **{key: made[key] for key in ("node", "address", "mesh")},
    }
    with served(state):
        assert main(["id", "--json"]) == 0
        assert json.loads(capsys.readouterr().out).keys() == alone.keys()


def test_version(capsys):
    assert main(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "meshd.version/1"
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("meshd 0.")


def test_demo_hands_over_and_keeps_the_code(monkeypatch):
    seen = []
    demo = types.ModuleType("meshd.lab.demo")
    demo.main = lambda *given: seen.append(given) or 1
    monkeypatch.setitem(sys.modules, "meshd.lab.demo", demo)
    assert main(["demo", "--once"]) == 1
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (RequestError("a", code=Exit.HARDWARE, remedy="b"), Exit.HARDWARE),
        (ConfigError("a"), Exit.CONFIG),
        (FileNotFoundError(2, "No such file", "/x"), Exit.ERROR),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
    ],
)
def test_whatever_happens_there_is_a_code_and_no_traceback(monkeypatch, capsys, raised, code):
    def fail(config):
        raise raised

    daemon = types.ModuleType("meshd.runtime.daemon")
    daemon.run = fail
    monkeypatch.setitem(sys.modules, "meshd.runtime.daemon", daemon)
    assert main(["run"]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_reader_that_leaves_is_no_reason_to_complain(tmp_path):
    """`meshd --help | true` prints nothing on stderr."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "meshd", "version"], stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert done.stderr == b"" and done.returncode == Exit.ERROR


def test_terminal_that_cannot_show_a_character_is_no_error(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "meshd", "init", "--state-dir", str(tmp_path / "grün")],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
    )
    assert done.returncode == 0 and b"gr\\xfcn" in done.stderr


@pytest.mark.parametrize("debug", ["", "1"])
def test_mistake_of_ours_is_one_line_unless_asked(debug):
    code = (
        "import meshd.cli.main as m, meshd.__main__ as e; m.COMMANDS = None;"
        "import sys; sys.argv = ['meshd', 'status']; e.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "MESHD_DEBUG": debug},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert ("Traceback" in done.stderr) == bool(debug)
    assert ("this is a mistake in meshd: TypeError" in done.stderr) != bool(debug)


def test_full_disk_under_stdout_is_told():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "meshd", "version"], stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == Exit.ERROR
    assert b"No space left" in done.stderr and b"Traceback" not in done.stderr
