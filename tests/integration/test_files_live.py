"""Files between real daemons on this machine: a blind relay in between, and power cuts."""

import os
import socket

import pytest

from meshd.core.errors import Exit
from meshd.lab.daemons import CommandError, Daemon, wait_for
from meshd.lab.namespaces import Place

MIB = 1 << 20
LOOPBACK = "127.0.0.1"
WITHIN_S = 60


def free_port():
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


class Row:
    """Leaf daemons: each dials all before it."""

    def __init__(self, folder, *names):
        self.daemons = []
        peers = []
        for name in names:
            (folder / name).mkdir()
            port = free_port()
            options = ["--leaf", "--listen", f"{LOOPBACK}:{port}"]
            options += peers
            self.daemons.append(Daemon(Place(name, folder / name), options=options))
            peers += ["--peer", f"tcp://{LOOPBACK}:{port}"]
        for daemon in self.daemons:
            daemon.start()
        for daemon in self.daemons:
            daemon.wait_ready()

    def share(self, *roles):
        """Make a space on the first and let the others join, one after the other."""
        first = self.daemons[0]
        first.ask("space", "create", "home")
        for daemon, role in zip(self.daemons[1:], roles, strict=True):
            url = first.ask("invite", "home", "--role", role)["url"]
            daemon.ask("join", str(url))

    def close(self):
        for daemon in self.daemons:
            daemon.stop()


@pytest.fixture
def row(tmp_path):
    made = []

    def make(*names):
        made.append(Row(tmp_path, *names))
        return made[0]

    yield make
    for one in made:
        one.close()


def known(daemon, name):
    return wait_for(
        lambda: any(line["name"] == name for line in daemon.ask("get", "home")["files"]), WITHIN_S
    )


def test_file_crosses_a_blind_relay(row, tmp_path):
    chain = row("anna", "rose", "ben")
    anna, rose, ben = chain.daemons
    chain.share("relay", "writer")
    data = b"a text that nobody on the way may read " * 100_000
    (tmp_path / "letter").write_bytes(data)
    anna.ask("put", "home", str(tmp_path / "letter"))
    kept = wait_for(lambda: anna.ask("get", "home")["files"][0]["kept_by"] == 1, WITHIN_S)
    assert kept, "the relay says that it keeps the file"
    anna.stop()
    assert known(ben, "letter")
    ben.ask("get", "home", "letter", "-o", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == data
    found = [path for path in rose.state.rglob("*") if path.is_file()]
    assert len(found) > 4
    assert not any(b"nobody on the way" in path.read_bytes() for path in found)


def test_get_resumes_after_both_ends_were_killed(row, tmp_path):
    pair = row("anna", "ben")
    anna, ben = pair.daemons
    pair.share("writer")
    (tmp_path / "film").write_bytes(os.urandom(160 * MIB))
    assert anna.ask("put", "home", str(tmp_path / "film"))["state"] == "written"
    anna.kill()
    anna.start()
    anna.wait_ready()
    assert known(ben, "film")
    assert wait_for(lambda: ben.ask("status")["sessions"], WITHIN_S)
    target = tmp_path / "copy"
    getting = ben.place.spawn(ben.argv("get", "home", "film", "-o", str(target)), log="get.log")
    chunks = ben.state / "chunks"
    assert wait_for(lambda: len(list(chunks.glob("??/*"))) > 20, WITHIN_S)
    ben.kill()
    getting.wait(WITHIN_S)
    assert not target.exists()
    held = len(list(chunks.glob("??/*")))
    ben.start()
    ben.wait_ready()
    before = received(ben)
    ben.ask("get", "home", "film", "-o", str(target))
    assert target.read_bytes() == (tmp_path / "film").read_bytes()
    assert received(ben) - before < (162 - held) * MIB, "what was held is not asked again"


def received(daemon):
    return sum(session["rx_bytes"] for session in daemon.ask("status")["sessions"])


def test_file_that_nobody_near_has_times_out_and_says_what_to_do(row, tmp_path):
    pair = row("anna", "ben")
    anna, ben = pair.daemons
    pair.share("writer")
    (tmp_path / "note").write_bytes(b"text")
    anna.ask("put", "home", str(tmp_path / "note"))
    assert known(ben, "note")
    anna.stop()
    with pytest.raises(CommandError) as caught:
        ben.ask("get", "home", "note", "-o", str(tmp_path / "copy"), "--timeout", "1")
    assert caught.value.code == Exit.TIMEOUT
    assert "move nearer" in caught.value.said
    assert not (tmp_path / "copy").exists()
