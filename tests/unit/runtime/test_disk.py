import os
import stat

import pytest

from meshd.runtime.disk import write_atomically


def test_atomic_write_replaces_and_leaves_nothing_behind(tmp_path):
    (tmp_path / ".f.new").write_text("left by a crash")
    write_atomically(str(tmp_path / "f"), b"one", mode=0o640)
    write_atomically(str(tmp_path / "f"), b"two", mode=0o640)
    assert (tmp_path / "f").read_bytes() == b"two"
    assert stat.S_IMODE(os.stat(tmp_path / "f").st_mode) == 0o640
    assert os.listdir(tmp_path) == ["f"]


def test_failed_write_keeps_the_old_content(tmp_path, monkeypatch):
    write_atomically(str(tmp_path / "f"), b"one", mode=0o600)

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(str(tmp_path / "f"), b"two", mode=0o600)
    assert (tmp_path / "f").read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["f"]
