"""Files lent to the daemon: bounded, closed once, never while a thread uses them."""

import os

import pytest

from meshd.store.handles import HANDLES_MAX, FileHandles
from meshd.store.interface import StoreError


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_reads_and_writes_at_a_place(tmp_path):
    handles = FileHandles()
    handle = handles.add(os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT), writable=True)
    handles.write(handle, 3, b"abc")
    handles.sync(handle)
    buffer = memoryview(bytearray(100))
    assert handles.read_into(handle, 0, buffer) == 6
    assert buffer[:7] == b"\0\0\0abc\0"
    assert handles.read_into(handle, 5, buffer[:1]) == 1 and buffer[:1] == b"c"
    assert handles.read_into(handle, 6, buffer) == 0
    handles.close()


def test_file_is_closed_when_released(tmp_path):
    handles = FileHandles()
    fd = os.open(tmp_path, os.O_RDONLY)
    handle = handles.add(fd, writable=False)
    handles.release(handle)
    handles.release(handle)
    assert not is_open(fd)


def test_file_in_use_is_closed_after_use(tmp_path):
    handles = FileHandles()
    fd = os.open(tmp_path, os.O_RDONLY)
    handle = handles.add(fd, writable=False)
    with handles._use(handle, writing=False):
        handles.release(handle)
        assert is_open(fd)
    assert not is_open(fd)


def test_read_only_file_is_not_written(tmp_path):
    handles = FileHandles()
    handle = handles.add(os.open(tmp_path, os.O_RDONLY), writable=False)
    with pytest.raises(StoreError, match="not open for writing"):
        handles.write(handle, 0, b"x")
    handles.close()


def test_what_is_no_regular_file_is_named():
    handles = FileHandles()
    reading, writing = os.pipe()
    handle = handles.add(reading, writable=False)
    with pytest.raises(StoreError, match="pipe"):
        handles.read_into(handle, 0, memoryview(bytearray(1)))
    handles.close()
    os.close(writing)


def test_handles_are_bounded(tmp_path):
    handles = FileHandles()
    for _ in range(HANDLES_MAX):
        handles.add(os.open(tmp_path, os.O_RDONLY), writable=False)
    fd = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(StoreError, match="already"):
        handles.add(fd, writable=False)
    assert is_open(fd)
    os.close(fd)
    handles.close()
    assert len(handles) == 0


def test_file_of_the_kernel_is_not_read_past_the_size_that_it_states():
    handles = FileHandles()
    handle = handles.add(os.open("/proc/stat", os.O_RDONLY), writable=False)
    assert handles.read_into(handle, 0, memoryview(bytearray(100))) == 0
    handles.close()
