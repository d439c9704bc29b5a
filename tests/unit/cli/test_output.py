"""Nothing that a command says acts on the terminal, wherever the text came from."""

import io
import json
import logging
from argparse import Namespace

import pytest
from daemons.recordings import lines, record_world, unlines

from meshd.__main__ import _mistake
from meshd.cli.main import main, report
from meshd.cli.output import say, show, talk
from meshd.config.loader import load
from meshd.core.errors import ConfigError, Exit, RequestError
from meshd.runtime.log_lines import Lines
from meshd.status.cells import visible, visible_json

HOSTILE = "\x1b]0;owned\x07\x9b31m\r\u202egnp\u2028x"
SHOWN = r"\x1b]0;owned\x07\x9b31m\r\u202egnp\u2028x"
AS_TOML = '"\\u001b]0;owned\\u0007\\u009b31m"'


@pytest.fixture
def told(capsys):
    """Return all that was said since the last call; it holds nothing that acts on a terminal."""

    def told():
        said = "".join(capsys.readouterr())
        assert said.replace("\n", "").isprintable()
        return said

    return told


@pytest.mark.parametrize(
    "text",
    [
        f"{AS_TOML} = 1\n",
        f"name = {AS_TOML}\n",
        f"crypto = {AS_TOML}\n",
        f"[{AS_TOML}]\n",
        f"[[medium]]\nname = {AS_TOML}\nkind = {AS_TOML}\n",
        f"[[nodes]]\nname = 'n'\nmedia = [{AS_TOML}]\n",
        f"listen = {AS_TOML}\n",
        f"peers = [{AS_TOML}]\n",
        f"state_dir = {AS_TOML}\n",
        f"[[interface]]\nname = {AS_TOML}\n",
        f"[mqtt]\nurl = {AS_TOML}\n",
        "a = '\x1b'\n",
    ],
)
def test_keys_and_values_of_a_file_are_shown_not_acted_on(text, tmp_path, told):
    path = tmp_path / "hostile.toml"
    path.write_text(text)
    assert main(["simulate", str(path)]) != 0
    assert "hostile.toml:" in told()
    with pytest.raises(ConfigError) as caught:
        load(str(path))
    report(caught.value)
    assert "hostile.toml:" in told()


def test_interface_of_an_option_has_a_name_that_can_be_shown(told):
    assert main(["run", "--interface", "\x1b[31m"]) == Exit.USAGE
    assert "is not the name of an interface" in told()


def test_texts_of_a_recording_are_shown_not_acted_on(tmp_path, told):
    _, files = record_world(tmp_path)
    values = lines(files["n0", 1].read_bytes())
    values[0] |= {"version": HOSTILE, "node": HOSTILE}
    values.insert(4, {"raised": HOSTILE})
    path = tmp_path / "hostile.jsonl"
    path.write_bytes(unlines(values))
    for options in ((), ("--events",), ("--json",), ("--json", "--events")):
        assert main(["replay", str(path), *options]) != 0
        assert "owned" in told()
    values[4] = {HOSTILE: 1}
    path.write_bytes(unlines(values))
    assert main(["replay", str(path)]) != 0
    assert "owned" in told()


def test_every_way_out_of_a_command_shows_it(told, monkeypatch):
    report(RequestError(HOSTILE, remedy=HOSTILE))
    assert told() == f"meshd: {SHOWN}\n  next: {SHOWN}\n"
    talk(HOSTILE)
    say(HOSTILE)
    assert told() == f"{SHOWN}\n{SHOWN}\n"
    show(Namespace(json=False), "x", {}, HOSTILE, paint=lambda text: f"<{text}>")
    assert told() == f"<{SHOWN}>\n"
    show(Namespace(json=True), "x", {HOSTILE: HOSTILE}, "")
    assert json.loads(told())[HOSTILE] == HOSTILE
    _mistake(ValueError, ValueError(HOSTILE), None)
    assert SHOWN in told()
    main([HOSTILE])
    main(["status", HOSTILE])
    assert SHOWN in told()


def test_lines_of_the_daemons_log_show_it():
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(Lines("%(message)s"))
    handler.handle(logging.makeLogRecord({"msg": "joined name=%s", "args": (HOSTILE,)}))
    assert out.getvalue() == f"joined name={SHOWN}\n"


@pytest.mark.parametrize("text", ["", "plain", "two\nlines", "Zürich ✓ 日本", 'a "quoted"'])
def test_what_people_read_stays(text):
    assert visible(text) == visible_json(text) == text


def test_json_stays_the_same_json():
    value = {"text": "".join(map(chr, [*range(0x300), *range(0x2000, 0x2100), 0xE0001, 0xDC80]))}
    text = visible_json(json.dumps(value, ensure_ascii=False))
    assert text.isprintable() and json.loads(text) == value
