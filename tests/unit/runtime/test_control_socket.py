"""The control socket itself: who may connect, and what stands in its way."""

import grp
import json
import os
import socket
import stat
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from daemons.control_talk import raw
from daemons.fake_host import FakeHost, served

from meshd.core.errors import Exit, RequestError
from meshd.runtime.control import ControlServer


def permissions(path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_socket_is_the_owners_unless_the_group_exists(tmp_path):
    with served(tmp_path, group="no-such-group"):
        assert permissions(tmp_path / "control.sock") == 0o600
    assert not (tmp_path / "control.sock").exists()
    group = grp.getgrgid(os.getegid()).gr_name
    with served(tmp_path, group=group):
        assert permissions(tmp_path / "control.sock") == 0o660


def as_user(folder, uid, gid, groups) -> dict:
    """Ask for the id as another user, from a child process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups(groups)
        os.setgid(gid)
        os.setuid(uid)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        connection.connect(str(folder / "control.sock"))
        try:
            connection.sendall(b'{"id":1,"verb":"id"}\n')
        except OSError:
            pass
        os.write(writing, connection.makefile("rb").readline())
        os._exit(0)
    os.close(writing)
    answer = b""
    while data := os.read(reading, 65536):
        answer += data
    os.close(reading)
    os.waitpid(child, 0)
    return json.loads(answer)


def test_peer_credentials_decide_even_if_the_mode_does_not():
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    group = grp.getgrnam("adm")
    with TemporaryDirectory() as name, served(name, group="adm") as (_, server):
        folder = Path(name)
        folder.chmod(0o755)
        os.chmod(folder / "control.sock", 0o777)
        assert as_user(folder, 12345, 12345, [])["code"] == Exit.DENIED
        assert server.refused == 1
        assert as_user(folder, 12345, group.gr_gid, [])["ok"] is True
        assert as_user(folder, 12345, 12345, [77, group.gr_gid])["ok"] is True
    with TemporaryDirectory() as name, served(name):
        folder = Path(name)
        folder.chmod(0o755)
        os.chmod(folder / "control.sock", 0o777)
        assert as_user(folder, 12345, group.gr_gid, [])["code"] == Exit.DENIED


def test_stale_socket_is_replaced(tmp_path):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "control.sock"))
    left.close()
    with served(tmp_path), raw(tmp_path) as client:
        assert client.ask("id")["ok"] is True


def start_error(path) -> RequestError:
    with pytest.raises(RequestError) as caught:
        ControlServer(str(path), FakeHost()).start()
    return caught.value


def test_what_stands_in_the_way_is_named(tmp_path):
    (tmp_path / "control.sock").write_text("data")
    assert "not a socket" in start_error(tmp_path / "control.sock").text
    assert (tmp_path / "control.sock").read_text() == "data"
    assert "No such file" in start_error(tmp_path / "none" / "control.sock").text


def test_socket_of_a_living_daemon_is_not_taken(tmp_path):
    with served(tmp_path):
        assert "another daemon answers" in start_error(tmp_path / "control.sock").text


def test_path_too_long_for_a_socket_is_a_clear_error(tmp_path):
    error = start_error(tmp_path / ("x" * 100) / "control.sock")
    assert "longer than 107 bytes" in error.text and "--state-dir" in error.remedy
