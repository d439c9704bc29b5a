"""put and get (meshd.cli.files) against the real control socket, with real descriptors."""

import json
import os
import subprocess
import sys

import pytest
from daemons.fake_host import FILE, SPACE, say, served
from devices.seeded_bytes import bytes_of

from meshd.cli.main import main
from meshd.cli.output import ProgressBar
from meshd.core.errors import Exit, RequestError
from meshd.core.events import Progress

DATA = bytes_of(100_000)


@pytest.fixture
def host(tmp_path, monkeypatch):
    state = tmp_path / "state"
    state.mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("MESHD_STATE_DIR", str(state))
    with served(state) as (host, _):
        host.stored = DATA
        yield host


def test_put_sends_the_open_file(host, capsys, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"x" * 5000)
    code, out, err = say(capsys, "put", "garden", str(tmp_path / "a.bin"))
    assert (code, out, err) == (0, FILE + "\n", "written: a.bin, 5.0 kB\n")
    assert host.stored == b"x" * 5000
    assert host.asked == [
        ("put", {"space": "garden", "name": "a.bin", "size": 5000, "handle": 100})
    ]
    _, out, _ = say(capsys, "put", "garden", str(tmp_path / "a.bin"), "--name", "b", "--json")
    assert json.loads(out) == {
        "schema": "meshd.put/1",
        "space": SPACE,
        "state": "written",
        "file": FILE,
        "name": "b",
        "size": 5000,
    }
    assert host.released == [100, 101]


def test_put_of_what_is_no_file(host, capsys, tmp_path):
    code, _, err = say(capsys, "put", "garden", str(tmp_path / "none"))
    assert code == Exit.NOT_FOUND and f"there is no file {tmp_path}/none" in err
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        code, _, err = say(capsys, "put", "garden", str(path))
        assert code == Exit.USAGE and "not a regular file" in err
    assert host.asked == []


def test_name_that_is_not_utf8_needs_another(host, capsys, tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"\xff.bin")
    with open(path, "wb") as file:
        file.write(b"x")
    code, _, err = say(capsys, "put", "garden", os.fsdecode(path))
    assert code == Exit.USAGE and "--name" in err
    assert say(capsys, "put", "garden", os.fsdecode(path), "--name", "a")[0] == 0


def test_get_writes_under_the_files_own_name(host, capsys):
    code, out, err = say(capsys, "get", "garden", "map", "--json")
    assert code == 0 and err == "complete: 100.0 kB\n"
    assert json.loads(out) == {
        "schema": "meshd.get/1",
        "file": FILE,
        "name": "a.bin",
        "size": 100_000,
        "path": os.path.abspath("a.bin"),
    }
    assert host.asked == [("get", {"space": "garden", "name": "map", "handle": 100})]
    assert os.listdir() == ["a.bin"]
    with open("a.bin", "rb") as file:
        assert file.read() == DATA


def test_name_from_elsewhere_replaces_nothing(host, capsys):
    with open("a.bin", "w") as file:
        file.write("mine")
    code, _, err = say(capsys, "get", "garden", "a.bin")
    assert code == Exit.ERROR and "stands there already" in err and "-o ./a.bin" in err
    with open("a.bin") as file:
        assert file.read() == "mine"
    assert os.listdir() == ["a.bin"]
    assert say(capsys, "get", "garden", "a.bin", "-o", "a.bin")[0] == 0
    assert os.path.getsize("a.bin") == len(DATA)


@pytest.mark.parametrize("name", ["", "..", ".", "a/..", "/", "a\x1bb", "x" * 300, None])
def test_name_that_is_no_name_is_refused(host, capsys, name):
    host.name = name
    code, _, err = say(capsys, "get", "garden", "a")
    assert code == Exit.ERROR and "choose one with -o FILE" in err and "\x1b" not in err
    assert os.listdir() == []


@pytest.mark.parametrize("name", [".bash_profile", "-rf", "..-x", "a/.ssh"])
def test_hidden_name_or_option_from_elsewhere_is_not_used(host, capsys, name):
    host.name = name
    code, _, err = say(capsys, "get", "garden", "a")
    plain = name.rpartition("/")[2].lstrip(".-")
    assert code == Exit.ERROR and f"for example -o {plain}" in err
    assert os.listdir() == []
    assert say(capsys, "get", "garden", "a", "-o", ".mine")[0] == 0
    assert os.listdir() == [".mine"]


def test_path_in_a_name_is_cut_off(host, capsys, tmp_path):
    host.name = "../../etc/passwd"
    assert say(capsys, "get", "garden", "a")[0] == 0
    assert os.listdir() == ["passwd"]


def test_get_into_a_folder_a_file_or_stdout(host, tmp_path):
    (tmp_path / "there").mkdir()
    assert main(["get", "garden", "a", str(tmp_path / "there")]) == 0
    assert os.listdir(tmp_path / "there") == ["a.bin"]
    assert main(["get", "garden", "a", "-o", str(tmp_path / "there" / "b")]) == 0
    assert (tmp_path / "there" / "b").read_bytes() == DATA
    assert main(["get", "garden", "a", "-o", "-", "--json"]) == Exit.USAGE
    assert main(["get", "garden", "a", "b", "-o", "c"]) == Exit.USAGE
    assert os.listdir() == []


def test_get_to_a_pipe(host):
    done = subprocess.run(
        [sys.executable, "-m", "meshd", "get", "garden", "a", "-o", "-"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    assert done.stdout == DATA and done.stderr == b""


def test_get_replaces_no_device_and_no_pipe(host, tmp_path, capsys):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    code, _, err = say(capsys, "get", "garden", "a", "-o", str(pipe))
    assert code == Exit.ERROR and "not a regular file" in err and "-o -" in err
    assert pipe.is_fifo()


def test_failed_get_leaves_nothing(host, capsys):
    host.answers["get"] = RequestError("no such file", code=Exit.NOT_FOUND, remedy="look")
    assert say(capsys, "get", "garden", "a")[0] == Exit.NOT_FOUND
    assert say(capsys, "get", "garden", "a", "-o", "b")[0] == Exit.NOT_FOUND
    assert os.listdir() == []
    code, _, err = say(capsys, "get", "garden", "a", "-o", "none/b")
    assert code == Exit.ERROR and "there is no folder" in err


def test_get_without_a_name_lists(host, capsys):
    _, out, _ = say(capsys, "get", "garden")
    assert out.splitlines()[1].split() == ["map.txt", "1.2", "MB", "f" * 16, "1"]
    host.answers["files"] = {"files": []}
    assert "meshd put SPACE FILE" in say(capsys, "get", "garden")[2]


COMES = "waits for pieces by LoRa: 3 of 5 are here, about 9 s more"
WAITS = "waits for WiFi: 2.5 MB would take 28 h on lora0; files up to 46 kB go by LoRa"


def test_files_say_where_they_stand(host, capsys):
    film = {"name": "film", "size": 2_500_000, "state": "waits-for-wifi", "why": WAITS}
    rows = [
        {"name": "map", "size": 10_000, "state": "here"},
        {"name": "note", "size": 900, "state": "coming", "pieces": [3, 5], "why": COMES},
        film,
    ]
    host.answers["files"] = {"files": [{**row, "file": "a" * 52} for row in rows]}
    _, out, _ = say(capsys, "get", "garden")
    lines = out.splitlines()
    assert lines[0].lower().split()[-1] == "state"
    assert lines[1].endswith("here")
    assert lines[2].endswith(COMES)
    assert lines[3].endswith(WAITS)


def test_put_says_what_a_file_waits_for(host, capsys, tmp_path):
    host.more = {"waits": WAITS}
    (tmp_path / "film").write_bytes(b"x")
    assert say(capsys, "put", "garden", str(tmp_path / "film"))[2] == (
        f"written: film, 1 B; it {WAITS}\n"
    )
    assert json.loads(say(capsys, "put", "garden", str(tmp_path / "film"), "--json")[1])[
        "waits"
    ].startswith("waits for WiFi")
    host.more = {"goes": "goes by LoRa on lora0, 25 s at least"}
    assert say(capsys, "put", "garden", str(tmp_path / "film"))[2].endswith(
        "1 B; it goes by LoRa on lora0, 25 s at least\n"
    )


def test_progress_is_drawn_on_a_terminal_only(capsys, monkeypatch):
    bar = ProgressBar("get a")
    bar.update("bytes", 1, 2)
    bar.close()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    bar = ProgressBar("get a")
    bar.update("bytes", 500_000, 1_000_000)
    bar.update("chunks\x1b", 3, 0)
    bar.update(WAITS, 0, 2_500_000)
    bar.close()
    drawn = capsys.readouterr().err
    assert "\rget a [############............]  50%  500.0 kB of 1.0 MB" in drawn
    assert f"0 B of 2.5 MB; {WAITS}" in drawn
    assert "3 of 0 chunks\ufffd" in drawn and drawn.endswith("\n")


def test_file_or_folder_that_is_not_there_is_named(host, capsys, tmp_path):
    code, _, err = say(capsys, "put", "garden", "nofile")
    assert (
        code == Exit.NOT_FOUND and "there is no file nofile" in err and "is its name right?" in err
    )
    code, _, err = say(capsys, "put", __file__, "garden")
    assert code == Exit.NOT_FOUND and f"meshd put garden {__file__}" in err
    (tmp_path / "my map").touch()
    _, _, err = say(capsys, "put", str(tmp_path / "my map"), "garden")
    assert f"meshd put garden '{tmp_path}/my map'" in err
    _, _, err = say(capsys, "put", str(tmp_path), "mpa.pdf")
    assert "is its name right?" in err and "comes first" not in err, "a folder is no file"
    code, _, err = say(capsys, "get", "garden", "a", "-o", "/nodir/x")
    assert code == Exit.ERROR and "there is no folder /nodir" in err and "mkdir -p /nodir" in err
    assert host.asked == []


def test_get_says_what_it_waits_for_also_without_a_terminal(host, capsys):
    def slow(verb, args, on_event):
        for what in (COMES, COMES, "bytes"):
            on_event(Progress(1, what, 0, 9))
        raise RequestError("not here yet", code=Exit.TIMEOUT)

    host.request = slow
    code, _, err = say(capsys, "get", "garden", "map", "--timeout", "5")
    assert code == Exit.TIMEOUT and err == f"it {COMES}\nmeshd: not here yet\n"


@pytest.mark.parametrize(("said", "wait_s"), [("5", 5), ("0", 3600), ("0.2", 1), ("99999", 3600)])
def test_get_waits_as_long_as_it_is_told(host, capsys, said, wait_s):
    say(capsys, "get", "garden", "map", "--timeout", said)
    assert host.asked[0][1]["wait_s"] == wait_s
