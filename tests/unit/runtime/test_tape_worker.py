"""The thread that writes a recording: in order, soon, in nobody's way (runtime.tape_worker)."""

import threading
import time
from random import Random

import pytest
from daemons.recordings import replay

from meshd.core.events import StoreImage
from meshd.core.identity import Identity
from meshd.node import Boot, NodeOptions
from meshd.recording.recorder import RecordingNode
from meshd.recording.tape import Tape
from meshd.runtime import tape_worker
from meshd.runtime.tape_worker import TapeWorker

SECOND = 1_000_000
LINES = [b"%d\n" % number for number in range(5000)]


class SlowTape(Tape):
    """A tape on a disk that stands still until `go` is set."""

    def __init__(self, path, **options):
        super().__init__(str(path), **options)
        self.go = threading.Event()

    def write_all(self, lines, *, last=False):
        self.go.wait()
        return super().write_all(lines, last=last)


@pytest.fixture
def slow(tmp_path):
    tape = SlowTape(tmp_path / "r", bytes_max=64_000_000)
    yield tape
    tape.go.set()


def test_all_lines_are_in_the_file_in_their_order(tmp_path):
    worker = TapeWorker(Tape(str(tmp_path / "r"), bytes_max=1_000_000))
    assert all(worker.write(line) for line in LINES)
    assert worker.write(b"end\n", last=True)
    assert worker.close() and worker.close()
    assert (tmp_path / "r").read_bytes() == b"".join(LINES) + b"end\n"
    assert not worker.write(b"more\n")


def test_disk_that_stands_still_stalls_nobody_and_ends_the_recording(tmp_path, slow):
    worker = TapeWorker(slow, queue_bytes_max=10_000)
    begun = time.monotonic()
    taken = [worker.write(line) for line in LINES]
    assert time.monotonic() - begun < 1
    assert not all(taken) and taken == sorted(taken, reverse=True)
    assert worker.problem.code == "recording-slow" and "quicker disk" in worker.problem.remedy
    slow.go.set()
    assert worker.close()
    assert (tmp_path / "r").read_bytes() == b"".join(LINES[: sum(taken)])


def test_stop_does_not_wait_for_ever_for_the_disk(slow, monkeypatch):
    monkeypatch.setattr(tape_worker, "CLOSE_S", 0.05)
    worker = TapeWorker(slow)
    worker.write(b"x\n")
    assert not worker.close()


def test_line_longer_than_the_queue_is_taken_when_nothing_waits(tmp_path):
    worker = TapeWorker(Tape(str(tmp_path / "r"), bytes_max=1_000_000), queue_bytes_max=10)
    assert worker.write(b"x" * 100 + b"\n")
    assert worker.close()
    assert len((tmp_path / "r").read_bytes()) == 101


def node_on(worker):
    return RecordingNode(
        NodeOptions(),
        identity=Identity(bytes(32), bytes([1] * 32)),
        boot=Boot(1, 1, 1001),
        image=StoreImage({}, (), ()),
        rng=Random(1),
        entropy=Random(2).randbytes,
        tape=worker,
    )


def live(node, seconds):
    for second in range(seconds):
        node.handle_timeout(second * SECOND)
        while node.poll_transmit() is not None or node.poll_event() is not None:
            pass


def test_node_goes_on_without_its_recording_and_status_says_so(tmp_path, slow):
    worker = TapeWorker(slow, queue_bytes_max=20_000)
    node = node_on(worker)
    live(node, 300)
    assert not node.recording
    assert node.problems["record"].code == "recording-slow"
    slow.go.set()
    assert worker.close()
    found = replay((tmp_path / "r").read_bytes())
    assert (found.difference, found.ended) == (None, "killed")
    assert found.inputs > 10


def test_file_that_is_full_is_told_by_the_thread_too(tmp_path):
    worker = TapeWorker(Tape(str(tmp_path / "r"), bytes_max=60_000))
    node = node_on(worker)
    for second in range(2000):
        node.handle_timeout(second * SECOND)
        if not node.recording:
            break
    worker.close()
    node.handle_timeout(2000 * SECOND)
    assert node.problems["record"].code == "recording-full"
    data = (tmp_path / "r").read_bytes()
    assert len(data) <= 60_000 and data.endswith(b"\n")
