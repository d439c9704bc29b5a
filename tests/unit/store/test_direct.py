"""Writes past the page cache leave the same bytes, and give way where they are not offered."""

import errno
import os

import pytest
from devices.seeded_bytes import bytes_of

from meshd.store import direct
from meshd.store.handles import FileHandles
from meshd.store.interface import StoreError

DATA = bytes_of(1024 * 1024)


@pytest.fixture
def file(tmp_path):
    fd = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_PATH, os.O_WRONLY | os.O_APPEND])
def test_file_is_not_written_beyond_what_its_descriptor_allows(tmp_path, flags):
    (tmp_path / "f").write_bytes(b"text")
    fd = os.open(tmp_path / "f", flags)
    assert direct.open_again(fd) is None
    os.close(fd)


def test_read_only_descriptor_lent_for_writing_writes_nothing(tmp_path):
    (tmp_path / "f").write_bytes(b"text")
    handles = FileHandles()
    handle = handles.add(os.open(tmp_path / "f", os.O_RDONLY), writable=True)
    with pytest.raises(StoreError):
        handles.write(handle, 0, DATA)
    assert (tmp_path / "f").read_bytes() == b"text"
    handles.close()


def test_pipe_is_not_opened_again(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(tmp_path / "pipe", os.O_WRONLY)
    os.close(reading)
    assert direct.open_again(writing) is None
    os.close(writing)


def test_few_bytes_and_odd_places_go_the_usual_way(file):
    assert direct.write_blocks(file, DATA[: direct.BYTES_MIN - 1], 0) == 0
    assert direct.write_blocks(file, DATA, 1) == 0
    assert os.fstat(file).st_size == 0


def test_only_whole_blocks_are_written(file):
    assert direct.write_blocks(file, DATA[:300_001], 8192) == 299_008
    assert os.pread(file, 2**20, 8192) == DATA[:299_008]


def test_refusal_of_the_file_system_is_no_fault(file, monkeypatch):
    def refuse(fd, data, offset):
        raise OSError(errno.EINVAL, "unaligned")

    monkeypatch.setattr(os, "pwrite", refuse)
    assert direct.write_blocks(file, DATA, 0) == 0


def test_fault_of_the_disk_is_raised(file, monkeypatch):
    def full(fd, data, offset):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="full"):
        direct.write_blocks(file, DATA, 0)


@pytest.mark.parametrize("offered", [True, False])
def test_lent_file_gets_the_same_bytes_either_way(tmp_path, monkeypatch, offered):
    if not offered:
        monkeypatch.setattr("meshd.store.handles.open_again", lambda fd: None)
    handles = FileHandles()
    handle = handles.add(os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT), writable=True)
    handles.write(handle, len(DATA), DATA[:-5])
    handles.write(handle, 0, DATA)
    handles.sync(handle)
    assert (tmp_path / "f").read_bytes() == DATA + DATA[:-5]
    handles.close()
