"""A replay ends in the recorded state, or names the first line at which it does not."""

import json
import tracemalloc

import pytest
from daemons.recordings import lines, record_world, replay, unlines
from worlds.camp import camp

from meshd.cli.main import Parser, main
from meshd.cli.replay import add_replay
from meshd.core.errors import Exit, RequestError
from meshd.core.ids import node_text
from meshd.recording.recorder import crypto_kind
from meshd.recording.tape import LINE_BYTES_MAX, Tape
from meshd.recording.values import RecordingError
from meshd.simulation.crypto import primitives
from meshd.simulation.world import SECOND, World

PLAN = """
name = "p"
duration_s = 200
settle_s = 60
[terrain]
width_m = 150
height_m = 150
[[nodes]]
name = "n"
count = 3
[[traffic]]
kind = "broadcast"
every_s = 20
[[traffic]]
kind = "file"
every_s = 60
size = 100000
[[fault]]
kind = "crash"
nodes = "n2"
disk = "torn"
at_s = 80
for_s = 10
[[fault]]
kind = "failing-disk"
nodes = "n2"
at_s = 120
for_s = 30
"""


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    _, files = record_world(tmp_path_factory.mktemp("recorded"))
    return files["n0", 1].read_bytes()


def test_node_that_made_a_prekey_and_started_again_replays_to_the_same_state(tmp_path):
    files = []

    def tape(name, life):
        files.append(tmp_path / f"{name}-{life}.jsonl")
        return Tape(str(files[-1]), bytes_max=64_000_000)

    world = World(4, tapes=tape)
    one, two = camp(world, 2)
    world.run(1_200 * SECOND)
    one.crash()
    one.start()
    world.run(5 * SECOND)
    one.request("message", node=node_text(two.node.id), text="sealed with it")
    world.run(30 * SECOND)
    assert [row["keys"] for row in two.ask("messages")["messages"]] == ["prekeys"]
    for host in world.hosts:
        host.end_recording()
    ended = [replay(path.read_bytes()).ended for path in files]  # or "different"
    assert ended == ["stopped"] * 3


def test_cut_last_line_is_left_out(recording):
    whole = replay(recording)
    cut = replay(recording[:-10])
    assert (whole.ended, cut.ended) == ("stopped", "killed")
    assert whole.node.outputs == cut.node.outputs
    assert whole.node.state() == cut.node.state()


def test_until_stops_at_that_time(recording):
    found = replay(recording, until_us=5_000_000)
    assert found.ended == "until"
    assert 4_000_000 < found.elapsed_us <= 5_000_000
    assert found.difference is None


def test_first_line_that_differs_is_named(recording):
    told = lines(recording)
    place = next(place for place, line in enumerate(told) if line.get("do") == "request")
    told[place]["args"]["name"] = "hill"
    found = replay(unlines(told))
    assert found.ended == "different"
    others = (
        number for number, line in enumerate(told, 1) if number > place + 1 and "seen" in line
    )
    assert found.difference.line == next(others)
    assert "is not what it did there" in found.difference.what


def test_entropy_that_is_missing_or_too_much_is_named(recording):
    told = lines(recording)
    place = next(place for place, line in enumerate(told) if "entropy" in line)
    found = replay(unlines(told[:place] + told[place + 1 :]))
    assert "entropy are drawn here" in found.difference.what
    found = replay(unlines([*told[: place - 1], told[place], *told[place - 1 :]]))
    assert "is not drawn here" in found.difference.what
    assert found.difference.line == place


def test_state_that_differs_is_named(recording):
    told = lines(recording)
    place = next(place for place, line in enumerate(told) if "check" in line)
    told[place]["state"] = "00"
    found = replay(unlines(told))
    assert found.difference == (place + 1, "the node's state is not what it was there")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda told: told[0].update(schema="other/1"), "line 1: a recording"),
        (lambda told: told[0].pop("identity"), "line 1: an object of device_seed"),
        (lambda told: told[0].update(rng=[3, [1] * 624, None]), "line 1: the state of"),
        (lambda told: told[0]["rng"][1].__setitem__(624, 625), "line 1: the state of"),
        (lambda told: told[0]["identity"].update(device_seed="AAAA"), "line 1: the device's keys"),
        (lambda told: told[3].update(do="fly"), "line 4: a verb of the node"),
        (lambda told: told[3].pop("link"), "line 4: add_link without link"),
        (lambda told: told[3]["link"].update(kind="rope"), "line 4: one of mesh"),
        (lambda told: told[3]["link"].update(address="?"), "line 4: base64"),
        (lambda told: told[3]["link"].update(address="AAAA"), "line 4: the address of a link"),
        (lambda told: told[3].update(at="soon"), "line 4: a whole number"),
        (lambda told: told[3].update(polls=True), "line 4: a whole number"),
        (lambda told: told.insert(3, {"x": 1}), "line 4: an input, a check or an end"),
    ],
)
def test_damaged_line_is_named(recording, change, said):
    told = lines(recording)
    change(told)
    with pytest.raises(RecordingError, match=said):
        replay(unlines(told))


def test_lines_that_would_fill_the_memory_are_refused_unread(recording):
    """Of 3 bytes in JSON an empty list makes 64 in memory."""
    first = recording[: recording.index(b"\n") + 1]
    at = b'{"at":5,"do":"request","args":'
    bombs = [
        first + at + b"[" + b"[]," * (1 << 19) + b"[]]}\n",
        first + b"{" + b'"a":0,' * (1 << 19) + b'"b":0}\n',
        first + at + b'"' + b"x" * LINE_BYTES_MAX + b'"}\n',
        first.replace(b'"warning":', b'"x":[' + b"[]," * (1 << 19) + b'[]],"warning":'),
        b"[" + b"[]," * (1 << 22) + b"[]]\n",
    ]
    for bomb in bombs:
        tracemalloc.start()
        with pytest.raises(RecordingError, match=r"values|longer than 4 MiB|no recording"):
            replay(bomb)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3 * LINE_BYTES_MAX


def test_first_line_and_that_of_a_reload_may_be_long(recording):
    told = lines(recording)
    told[0]["image"]["metas"]["x"] = "AAAA" * (LINE_BYTES_MAX // 4)
    image = told[0]["image"]
    reload = {"at": told[3]["at"], "do": "reload", "polls": 0, "seen": "", "image": image}
    found = replay(unlines([told[0], *told[1:3], reload]))
    assert found.difference.line == 4


def test_value_that_is_nested_too_deeply_is_refused(recording):
    told = lines(recording)
    place = next(place for place, line in enumerate(told) if line.get("do") == "request")
    deep = []
    for _ in range(500):
        deep = [deep]
    told[place]["args"]["name"] = deep
    with pytest.raises(RecordingError, match=f"line {place + 1}: a value is nested too deeply"):
        replay(unlines(told))


@pytest.mark.parametrize("data", [b"", b"x", b"hello\n", b"[1]\n", b"{}\n", b"\xff\n", b"[" * 9999])
def test_what_is_no_recording_is_refused(data):
    with pytest.raises(RecordingError):
        replay(data)


def test_command_shows_the_state_and_names_a_difference(recording, tmp_path, capsys):
    path = tmp_path / "r"
    path.write_bytes(recording)
    assert main(["replay", str(path), "--json"]) == Exit.OK
    value = json.loads(capsys.readouterr().out)
    assert value["schema"] == "meshd.replay/1"
    assert value["ended"] == "stopped"
    assert value["status"]["spaces"]
    assert main(["replay", str(path), "--until", "3", "--events"]) == Exit.OK
    shown = capsys.readouterr().out
    assert "> receive 'w0'" in shown
    assert "< Transmit(" in shown
    times = [
        float(row.split()[0]) for row in shown.splitlines() if row.split()[1:2] in ([">"], ["<"])
    ]
    assert min(times) == 0 and max(times) <= 3, "one scale with --until"
    told = lines(recording)
    told[3]["seen"] = "00"
    path.write_bytes(unlines(told))
    assert main(["replay", str(path)]) == Exit.ERROR
    assert "DIFFERENT at line 4" in capsys.readouterr().out
    path.write_bytes(b"hello")
    assert main(["replay", str(path)]) == Exit.ERROR
    assert "this is no recording" in capsys.readouterr().err


def test_node_too_strange_to_be_shown_is_refused(recording, tmp_path, capsys):
    told = lines(recording)
    told[0]["options"]["mesh"] = "AAAAAAAAAAAAAAAA"
    path = tmp_path / "r"
    path.write_bytes(unlines(told))
    assert main(["replay", str(path)]) == Exit.ERROR
    assert "cannot be shown" in capsys.readouterr().err


def test_command_refuses_a_time_that_is_none():
    parser = Parser(prog="meshd replay")
    add_replay(parser)
    with pytest.raises(RequestError, match="not a number of seconds"):
        parser.parse_args(["r", "--until", "soon"])


def test_recording_made_with_quick_crypto_replays_with_it(tmp_path):
    with primitives("stand-in"):
        _, files = record_world(tmp_path)
    found = replay(files["n0", 1].read_bytes())
    assert found.header.crypto == "stand-in"
    assert (found.difference, found.ended) == (None, "stopped")


@pytest.mark.parametrize("around", ["real", "stand-in"])
def test_recording_replays_with_its_crypto_whatever_is_in_use_around_it(recording, around):
    with primitives(around):
        found = replay(recording)
        assert crypto_kind() == around
    assert (found.header.crypto, found.difference, found.ended) == ("real", None, "stopped")


def test_node_of_a_plan_is_recorded_life_by_life(tmp_path, monkeypatch, capsys):
    """Crashes, a failing disk and files included: each life replays to its state."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.toml").write_text(PLAN)
    main(["simulate", "p.toml", "--seed", "5", "--record", "n2", "--json"])
    names = [path.name for path in sorted(tmp_path.glob("*.jsonl"))]
    assert names == [f"n2-seed5-life{life}.jsonl" for life in (1, 2)]  # to its crash, and after
    capsys.readouterr()
    for path in tmp_path.glob("*.jsonl"):
        assert main(["replay", str(path)]) == Exit.OK
        assert "to its clean end" in capsys.readouterr().out
