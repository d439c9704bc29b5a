import fcntl
import os
import subprocess
import sys
from contextlib import closing

import pytest

from meshd.core.errors import Exit, RequestError
from meshd.runtime import statedir
from meshd.runtime.statedir import open_state_dir, read_identity


def mode(path) -> int:
    return os.stat(path).st_mode & 0o7777


def test_directory_and_key_are_for_their_owner_only(tmp_path):
    path = tmp_path / "a" / "state"
    with closing(open_state_dir(str(path))) as state:
        identity = state.identity()
        assert state.notes == []
    assert mode(path) == 0o700
    assert mode(path / "device.key") == 0o600
    assert read_identity(str(path)) == identity
    with closing(open_state_dir(str(path))) as state:
        assert state.identity() == identity


def test_two_directories_get_two_keys(tmp_path):
    keys = set()
    for name in ("a", "b"):
        with closing(open_state_dir(str(tmp_path / name))) as state:
            keys.update(state.identity())
    assert len(keys) == 4


def test_existing_group_may_pass_through(tmp_path):
    import grp

    group = grp.getgrgid(os.getegid())
    with closing(open_state_dir(str(tmp_path / "s"), group=group.gr_name)):
        assert mode(tmp_path / "s") == 0o710
        assert os.stat(tmp_path / "s").st_gid == group.gr_gid
    with closing(open_state_dir(str(tmp_path / "s"), group="no-such-group")):
        assert mode(tmp_path / "s") == 0o700


def test_ballast_gives_way_on_a_full_disk_and_comes_back(tmp_path, monkeypatch):
    path = tmp_path / "s"
    ballast = path / "ballast"
    with closing(open_state_dir(str(path))) as state:
        assert ballast.stat().st_size == statedir.BALLAST_BYTES
        assert state.notes == []
    true_statvfs = os.statvfs(path)
    full = os.statvfs_result([*true_statvfs[:3], 0, 0, *true_statvfs[5:]])
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    with closing(open_state_dir(str(path))) as state:
        assert not ballast.exists()
        assert "full" in state.notes[0]
    monkeypatch.undo()
    with closing(open_state_dir(str(path))):
        assert ballast.exists()


def test_wrong_modes_are_repaired_and_told(tmp_path):
    with closing(open_state_dir(str(tmp_path / "s"))) as state:
        state.identity()
    (tmp_path / "s").chmod(0o755)
    (tmp_path / "s" / "device.key").chmod(0o644)
    with closing(open_state_dir(str(tmp_path / "s"))) as state:
        state.identity()
        assert [note.split(": ")[1][:20] for note in state.notes] == [
            "mode was 0755; now 0",
            "others could read it",
        ]
    assert mode(tmp_path / "s") == 0o700
    assert mode(tmp_path / "s" / "device.key") == 0o600


def test_second_daemon_is_told_who_holds_it(tmp_path):
    holder = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import sys; from meshd.runtime.statedir import open_state_dir;"
            "held = open_state_dir(sys.argv[1]); print('held', flush=True); sys.stdin.read()",
            str(tmp_path / "s"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(RequestError, match=rf"already runs .*process {holder.pid}") as caught:
        open_state_dir(str(tmp_path / "s"))
    assert "--state-dir" in caught.value.remedy
    holder.kill()
    holder.communicate()
    open_state_dir(str(tmp_path / "s")).close()


def test_lock_is_free_after_close(tmp_path):
    state = open_state_dir(str(tmp_path))
    state.close()
    with open(tmp_path / "lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:40],
        lambda data: data.replace(data[:1], b"x"),
        lambda data: bytes([data[0] ^ 1]) + data[1:],
        lambda data: data[:70] + bytes([data[70] ^ 1]) + data[71:],
        lambda data: b"\xff\xfe" + data,
        lambda data: data + data,
    ],
)
def test_damaged_key_is_left_as_it_is(tmp_path, damage):
    with closing(open_state_dir(str(tmp_path))) as state:
        state.identity()
    key = tmp_path / "device.key"
    bad = damage(key.read_bytes())
    key.write_bytes(bad)
    with closing(open_state_dir(str(tmp_path))) as state:
        with pytest.raises(RequestError, match="not a device key, or it is damaged") as caught:
            state.identity()
    assert "copy" in caught.value.remedy
    assert key.read_bytes() == bad


def test_key_that_is_a_directory_is_refused_by_name(tmp_path):
    (tmp_path / "device.key").mkdir()
    with pytest.raises(RequestError, match="this is not a device key"):
        read_identity(str(tmp_path))


def test_key_that_is_a_link_or_a_pipe_is_refused(tmp_path):
    os.symlink("/etc/hostname", tmp_path / "device.key")
    with closing(open_state_dir(str(tmp_path))) as state, pytest.raises(RequestError):
        state.identity()
    os.unlink(tmp_path / "device.key")
    os.mkfifo(tmp_path / "device.key")
    with pytest.raises(RequestError, match="not a device key"):
        read_identity(str(tmp_path))


def test_missing_key_says_how_to_make_one(tmp_path):
    with pytest.raises(RequestError, match="no device key yet") as caught:
        read_identity(str(tmp_path))
    assert caught.value.code is Exit.NOT_FOUND
    assert "meshd init" in caught.value.remedy


def test_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="cannot be used: Not a directory") as caught:
        open_state_dir(str(tmp_path / "file" / "s"))
    assert "--state-dir" in caught.value.remedy


def test_directory_of_another_user_is_refused(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    os.chown(tmp_path, 12345, -1)
    with pytest.raises(RequestError, match="belongs to user 12345") as caught:
        open_state_dir(str(tmp_path))
    assert caught.value.code is Exit.DENIED


def test_address_stands_while_the_daemon_is_up(tmp_path):
    with closing(open_state_dir(str(tmp_path))) as state:
        state.write_address("fd00::1")
        assert (tmp_path / "address").read_text() == "fd00::1\n"
        state.remove_address()
        state.remove_address()
        assert not (tmp_path / "address").exists()
        state.write_address("fd00::1")
    with closing(open_state_dir(str(tmp_path))):
        assert not (tmp_path / "address").exists(), "left by a crash, removed at start"


def test_full_disk_is_said_when_the_key_is_made(tmp_path, monkeypatch):
    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with closing(open_state_dir(str(tmp_path))) as state:
        with pytest.raises(RequestError, match="No space left"):
            state.identity()
