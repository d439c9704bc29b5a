"""Two files rewritten in place: whatever tears a write, nothing older than the last one is read."""

import errno
import os
import subprocess
import sys
import tempfile

import pytest
from daemons.small_disk import boxed, need_small_disk
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.core.errors import WireError
from meshd.runtime.counters_file import Counters, CountersFile
from meshd.runtime.twin_files import COPY, TwinFiles
from meshd.wire.kept_record import KeptRecord

PERSON = b"meshd-test"
SIZE = 4096


class Cut(Exception):
    """The power went."""


def files(path, size=SIZE):
    return TwinFiles(str(path), person=PERSON, size_bytes=size)


def test_nothing_is_kept_at_first(tmp_path):
    assert files(tmp_path / "f").read() is None


def test_what_was_written_is_read_again_longer_or_shorter(tmp_path):
    kept = files(tmp_path / "f")
    for number, state in enumerate([b"one", b"longer than that", b"", b"x" * 4000]):
        kept.write(KeptRecord(number, state))
        assert files(tmp_path / "f").read() == (number, state)


def test_files_have_their_full_size_from_the_first_write_on_and_are_the_same_ones(tmp_path):
    kept = files(tmp_path / "f")
    kept.write(KeptRecord(1, b"state"))
    first = [os.stat(tmp_path / name) for name in ("f", "f" + COPY)]
    kept.write(KeptRecord(2, b"other state"))
    for name, before in zip(("f", "f" + COPY), first, strict=True):
        now = os.stat(tmp_path / name)
        assert (now.st_ino, now.st_size, now.st_blocks) == (before.st_ino, SIZE, before.st_blocks)
        assert now.st_mode & 0o777 == 0o600
    assert sorted(os.listdir(tmp_path)) == ["f", "f" + COPY]


def test_state_that_outgrows_the_files_has_larger_ones(tmp_path):
    kept = files(tmp_path / "f")
    kept.write(KeptRecord(1, b"small"))
    kept.write(KeptRecord(2, b"y" * 5000))
    assert os.stat(tmp_path / "f").st_size == 2 * SIZE
    assert files(tmp_path / "f").read() == (2, b"y" * 5000)


@pytest.mark.parametrize("name", ["f", "f" + COPY])
def test_file_that_is_gone_is_made_again(tmp_path, name):
    kept = files(tmp_path / "f")
    kept.write(KeptRecord(1, b"state"))
    os.unlink(tmp_path / name)
    assert files(tmp_path / "f").read() == (1, b"state")
    kept.write(KeptRecord(2, b"next"))
    assert os.stat(tmp_path / name).st_size == SIZE


@pytest.mark.parametrize("name", ["f", "f" + COPY])
def test_folder_in_the_place_of_one_file_is_passed_over_and_gives_way(tmp_path, name):
    files(tmp_path / "f").write(KeptRecord(1, b"state"))
    os.unlink(tmp_path / name)
    os.mkdir(tmp_path / name)
    kept = files(tmp_path / "f")
    assert kept.read() == (1, b"state")
    kept.write(KeptRecord(2, b"next"))
    assert os.stat(tmp_path / name).st_size == SIZE
    assert files(tmp_path / "f").read() == (2, b"next")


def test_what_cannot_be_read_is_told_where_the_other_one_is_not_whole(tmp_path):
    os.mkdir(tmp_path / "f")
    with pytest.raises(IsADirectoryError):
        files(tmp_path / "f").read()
    kept = files(tmp_path / "f")
    kept.write(KeptRecord(1, b"state"))
    assert files(tmp_path / "f").read() == (1, b"state")


def test_unreadable_counters_stop_no_start(tmp_path):
    os.mkdir(tmp_path / "counters")
    counters = CountersFile(str(tmp_path / "counters"))
    assert counters.read() is None
    counters.write(Counters(7, 8))
    assert CountersFile(str(tmp_path / "counters")).read() == (7, 8)


def test_damage_of_both_is_told_and_of_one_is_passed_over(tmp_path):
    files(tmp_path / "f").write(KeptRecord(1, b"state"))
    spoil(tmp_path / "f", 13)
    assert files(tmp_path / "f").read() == (1, b"state")
    spoil(tmp_path / ("f" + COPY), 3)
    with pytest.raises(WireError):
        files(tmp_path / "f").read()


def spoil(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["f", "f" + COPY])
def test_the_damaged_file_is_written_first(tmp_path, name, monkeypatch):
    files(tmp_path / "f").write(KeptRecord(1, b"state"))
    spoil(tmp_path / name, 0)
    kept = files(tmp_path / "f")
    kept.read()
    monkeypatch.setattr(os, "pwrite", torn(4))
    with pytest.raises(Cut):
        kept.write(KeptRecord(2, b"next"))
    monkeypatch.undo()
    assert files(tmp_path / "f").read() == (1, b"state"), "the whole one was not touched"


def test_a_failed_write_leaves_the_record_before_it_and_the_next_one_goes_on(tmp_path, monkeypatch):
    kept = files(tmp_path / "f")
    kept.write(KeptRecord(1, b"state"))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    for call in ("pwrite", "fdatasync"):
        monkeypatch.setattr(os, call, full)
        with pytest.raises(OSError, match="No space"):
            kept.write(KeptRecord(2, b"next"))
        monkeypatch.undo()
    assert KeptRecord.decode((tmp_path / ("f" + COPY)).read_bytes(), PERSON) == (1, b"state")
    kept.write(KeptRecord(2, b"at last"))
    assert files(tmp_path / "f").read() == (2, b"at last")


REAL = os.pwrite


def torn(after):
    """Write so many bytes in all, and lose power."""
    left = [after]

    def pwrite(fd, data, place):
        count = min(left[0], len(data))
        left[0] -= count
        REAL(fd, data[:count], place)
        if count < len(data):
            raise Cut
        return count

    return pwrite


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.binary(max_size=60),
            st.sampled_from(["whole", "whole", "cut", "fails"]),
            st.integers(0, 160),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_whatever_is_cut_nothing_older_than_the_last_returned_write_is_read(moves):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        kept = files(f"{folder}/f", size=128)
        returned, began = 0, {}
        for number, (state, way, place, again) in enumerate(moves, 1):
            began[number] = state
            if way != "whole":
                patch.setattr(os, "pwrite", torn(place))
            try:
                kept.write(KeptRecord(number, state))
                returned = number
            except Cut:
                pass
            patch.setattr(os, "pwrite", REAL)
            if way == "cut" or again:
                kept = files(f"{folder}/f", size=128)
            found = files(f"{folder}/f", size=128).read()
            assert (found.number if found else 0) >= returned
            assert found is None or found.state == began[found.number]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_record_or_refused(data):
    try:
        record = KeptRecord.decode(data, PERSON)
    except WireError:
        return
    assert data.startswith(record.encode(PERSON))


@given(st.integers(0, 2**64 - 1), st.binary(max_size=80), st.binary(max_size=40), st.data())
def test_record_comes_back_and_no_flipped_bit_is_believed(number, state, rest, data):
    whole = KeptRecord(number, state).encode(PERSON)
    assert KeptRecord.decode(whole + rest, PERSON) == (number, state)
    bad = bytearray(whole)
    bad[data.draw(st.integers(0, len(bad) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    for damaged in (bytes(bad), whole[:-1], whole[: len(state)]):
        with pytest.raises(WireError):
            KeptRecord.decode(damaged, PERSON)
    with pytest.raises(WireError):
        KeptRecord.decode(whole, b"meshd-other")


FULL = """
import errno, os, signal, sys
from meshd.runtime.twin_files import TwinFiles
from meshd.wire.kept_record import KeptRecord
folder = sys.argv[1]
kept = TwinFiles(folder + "/f", person=b"meshd-test", size_bytes=32768)
kept.write(KeptRecord(1, b"state"))
with open(folder + "/filler", "wb", buffering=0) as filler:
    for size in (65536, 4096, 1):
        try:
            while True:
                filler.write(bytes(size))
        except OSError as error:
            assert error.errno == errno.ENOSPC
try:
    open(folder + "/new", "wb", buffering=0).write(b"x")
    raise SystemExit("the disk has room")
except OSError:
    pass
for number in range(2, 50):
    kept.write(KeptRecord(number, bytes([number]) * number * 600))
if os.fork() == 0:
    kept.write(KeptRecord(50, b"the last"))
    os.kill(os.getpid(), signal.SIGKILL)
os.wait()
again = TwinFiles(folder + "/f", person=b"meshd-test", size_bytes=32768)
assert again.read() == (50, b"the last")
again.write(KeptRecord(51, b"and on"))
"""


def test_a_disk_filled_to_the_last_byte_takes_every_further_write(tmp_path):
    need_small_disk(tmp_path)
    argv = boxed(tmp_path, "1m", sys.executable, "-c", FULL, str(tmp_path))
    ended = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert not list(tmp_path.iterdir()), "all of that was on the small disk"
