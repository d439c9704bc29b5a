"""What a recording node writes, and that it stays out of the way."""

import errno
import inspect
import os
import stat
from random import Random

import pytest
from daemons.recordings import lines, record_world, replay

from meshd.core.errors import RequestError
from meshd.core.events import LinkKind, StoreImage
from meshd.core.identity import Identity
from meshd.node import Boot, Node, NodeOptions
from meshd.recording.recorder import RecordingNode
from meshd.recording.tape import Tape
from meshd.recording.witness import INPUTS

POLLS = {"poll_timeout", "poll_transmit", "poll_event"}
SECOND = 1_000_000


def make(tape):
    return RecordingNode(
        NodeOptions(),
        identity=Identity(bytes(32), bytes([1] * 32)),
        boot=Boot(1, 1, 1001),
        image=StoreImage({}, (), ()),
        rng=Random(1),
        entropy=Random(2).randbytes,
        tape=tape,
    )


def drained(node):
    while node.poll_transmit() is not None or node.poll_event() is not None:
        pass


def test_every_verb_of_a_node_is_recorded():
    public = {
        name for name, _ in inspect.getmembers(Node, inspect.isfunction) if not name.startswith("_")
    }
    assert public - POLLS == set(INPUTS)


def test_each_life_of_each_node_replays_to_its_state(tmp_path):
    _, files = record_world(tmp_path)
    assert len(files) == 4
    for path in files.values():
        found = replay(path.read_bytes())
        assert (found.difference, found.ended) == (None, "stopped")
        assert found.checks >= 1
        assert found.node.outputs > 10


def test_recording_changes_nothing_that_a_node_does(tmp_path):
    world, _ = record_world(tmp_path)
    (tmp_path / "other").mkdir()
    other, _ = record_world(tmp_path / "other", mb_max=0)
    assert not any(host.node.recording for host in other.hosts)
    assert world.processed == other.processed
    assert [host.routes for host in world.hosts] == [host.routes for host in other.hosts]


def test_file_is_for_its_owner_only_whatever_the_umask(tmp_path):
    path = tmp_path / "r"
    before = os.umask(0)
    try:
        Tape(str(path), bytes_max=1_000_000).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("there", ["file", "link"])
def test_file_that_exists_is_left_alone(tmp_path, there):
    path = tmp_path / "r"
    if there == "file":
        path.write_text("kept")
    else:
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RequestError, match="never written over") as caught:
        Tape(str(path), bytes_max=1_000_000)
    assert "remove" in caught.value.remedy
    assert not (tmp_path / "elsewhere").exists()


def test_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(RequestError, match="cannot be made"):
        Tape(str(tmp_path / "no" / "r"), bytes_max=1_000_000)


def test_bound_ends_the_recording_at_a_whole_line_and_says_so(tmp_path):
    path = tmp_path / "r"
    node = make(Tape(str(path), bytes_max=40_000))
    drained(node)
    for second in range(1000):
        node.handle_timeout(second * SECOND)
        drained(node)
    assert not node.recording
    assert path.stat().st_size <= 40_000
    assert path.read_bytes().endswith(b"\n")
    assert node.problems["record"].code == "recording-full"
    assert replay(path.read_bytes()).difference is None


def test_full_disk_ends_the_recording_and_the_node_goes_on(tmp_path, monkeypatch):
    path = tmp_path / "r"
    node = make(Tape(str(path), bytes_max=1_000_000))
    node.start(0)
    write, room = os.write, [3000]

    def short(fd, data):
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = min(room[0], len(data))
        room[0] -= taken
        return write(fd, data[:taken])

    monkeypatch.setattr(os, "write", short)
    for second in range(100):
        node.handle_timeout(second * SECOND)
        drained(node)
    problem = node.problems["record"]
    assert problem.code == "recording-failed"
    assert "No space left" in problem.text
    assert path.read_bytes().endswith(b"\n")
    assert replay(path.read_bytes()).difference is None
    node.finish()


def test_no_room_for_the_header_is_a_problem_from_the_start(tmp_path):
    node = make(Tape(str(tmp_path / "r"), bytes_max=5000))
    assert node.problems["record"].code == "recording-full"
    assert not node.recording


def test_each_draw_of_entropy_is_a_line_and_no_seed_is_kept(tmp_path):
    """Who has the file knows no key that is drawn after the recording ended."""
    path = tmp_path / "r"
    node = make(Tape(str(path), bytes_max=1_000_000))
    node.request("space.create", {"name": "s", "as": "anna"}, 1, 0)
    drained(node)
    node.finish()
    found = [line for line in lines(path.read_bytes()) if "entropy" in line]
    assert len(found) >= 3
    node.request("space.create", {"name": "t", "as": "anna"}, 2, 1)
    assert len([line for line in lines(path.read_bytes()) if "entropy" in line]) == len(found)


def test_failure_of_the_node_is_a_line_and_fails_again(tmp_path, monkeypatch):
    path = tmp_path / "r"
    node = make(Tape(str(path), bytes_max=1_000_000))
    node.start(0)
    drained(node)

    def broken(self, up_to, now):
        raise KeyError("a fault of ours")

    monkeypatch.setattr(type(node.spaces), "committed", broken)
    with pytest.raises(KeyError):
        node.committed(1, 5)
    drained(node)
    node.handle_timeout(10)
    drained(node)
    node.finish()
    found = replay(path.read_bytes())
    assert found.difference is None
    assert "a fault of ours" in found.failed
    monkeypatch.undo()
    found = replay(path.read_bytes())
    assert "failed there (KeyError)" in found.difference.what


def test_link_kinds_survive_a_recording(tmp_path):
    assert {kind.value for kind in LinkKind} == {"mesh", "shared", "wired", "radio"}
