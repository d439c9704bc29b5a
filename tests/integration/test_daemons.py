"""Whole daemons on real interfaces: what is acknowledged survives kill -9, and the demo holds."""

import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from daemons.field import Field, Probes, line
from daemons.routers import Meshd

from meshd.cli.client import Client
from meshd.core.errors import Exit, RequestError
from meshd.lab.daemons import CommandError, Daemon, wait_for

pytestmark = pytest.mark.netns

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 60.0
KILLS = 25
POSTS_MAX = 60
"""Posts of one writer in one round: what both write fits one page of the log."""


def texts(daemon, space):
    """Return the posts of a space, as this node reads them."""
    rows = daemon.ask("log", space)["entries"]
    return [row["text"] for row in rows if row["kind"] == "post"]


def share(first, *others, role="writer"):
    """Make a space on the first node and join the others; return its id."""
    space = first.ask("space", "create", "shared")["space"]
    url = first.ask("invite", space, "--role", role, "--uses", str(len(others)))["url"]
    for daemon in others:
        daemon.ask("join", url)
    return space


@pytest.fixture
def pair():
    """Two meshd nodes that hear each other."""
    with Field(Meshd, line(2)) as field:
        field.start()
        yield [router.daemon for router in field.routers]


def test_two_nodes_share_notes_and_a_file(pair, tmp_path):
    one, two = pair
    space = share(one, two)
    one.ask("post", space, "from one")
    two.ask("post", space, "from two")
    for daemon in pair:
        assert wait_for(lambda node=daemon: set(texts(node, space)) == {"from one", "from two"}, 30)
    source, target = tmp_path / "source.bin", tmp_path / "target.bin"
    source.write_bytes(os.urandom(3_000_001))
    one.ask("put", space, str(source))

    def got():
        try:
            two.ask("get", space, "source.bin", str(target))
        except CommandError as error:
            if error.code != Exit.NOT_FOUND:
                raise
            return False
        return True

    assert wait_for(got, 30)
    assert target.read_bytes() == source.read_bytes()


def test_three_nodes_join_while_the_inviter_is_away():
    with Field(Meshd, [(0, 1), (1, 2)]) as field:
        field.start()
        one, two, three = (router.daemon for router in field.routers)
        space = share(one, two)
        url = one.ask("invite", space, "--role", "writer")["url"]
        assert wait_for(lambda: len(members(two, space)) == 2, 30)
        one.ask("post", space, "before")
        assert wait_for(lambda: "before" in texts(two, space), 30)
        one.stop()
        three.ask("join", url)
        assert wait_for(lambda: "before" in texts(three, space), 30)
        three.ask("post", space, "after")
        one.start()
        one.wait_ready()
        assert wait_for(lambda: set(texts(one, space)) == {"before", "after"}, 30)


def members(daemon, space):
    """Return the members of a space."""
    return daemon.ask("space", "members", space)["members"]


def test_state_rolled_back_among_meshd_neighbours(record_property, tmp_path):
    with Field(Meshd, line(3)) as field:
        field.start()
        probes = Probes(field)
        assert probes.pair(0, 1, within_s=WITHIN_S) is not None
        daemon = field.routers[1].daemon
        daemon.stop()
        backup = tmp_path / "backup"
        subprocess.run(["cp", "-a", str(daemon.state), str(backup)], check=True)
        for _ in range(2):
            daemon.start()
            assert probes.pair(0, 1, within_s=WITHIN_S) is not None
            daemon.kill()
        subprocess.run(["rm", "-r", str(daemon.state)], check=True)
        subprocess.run(["cp", "-a", str(backup), str(daemon.state)], check=True)
        daemon.start()
        again = probes.steady(0, 1, within_s=WITHIN_S)
        assert again is not None
        assert probes.pair(0, 2, within_s=WITHIN_S) is not None
        record_property("rolled_back_again_s", again)
        print(f"state rolled back: no probe lost from {again:.2f} s on")
        probes.close()


class Writer(threading.Thread):
    """Posts to one node as fast as it answers, and remembers what was answered as written."""

    def __init__(self, daemon: Daemon, space: str, mark: str) -> None:
        super().__init__(daemon=True)
        self._client = Client(str(daemon.state), timeout_s=10)
        self._space = space
        self._mark = mark
        self._enough = threading.Event()
        self.progress = threading.Condition()
        self.acknowledged: list[str] = []

    def run(self) -> None:
        try:
            with self._client as client:
                while not self._enough.is_set() and len(self.acknowledged) < POSTS_MAX:
                    text = f"{self._mark}-{len(self.acknowledged)}"
                    client.call("post", {"space": self._space, "text": text})
                    with self.progress:
                        self.acknowledged.append(text)
                        self.progress.notify()
        except RequestError:
            return

    def wait_for_posts(self, count: int) -> None:
        """Wait until so many posts are acknowledged; the next one is then on its way."""
        with self.progress:
            assert self.progress.wait_for(lambda: len(self.acknowledged) >= count, WITHIN_S)

    def end(self) -> list[str]:
        """Stop writing; return what was acknowledged."""
        self._enough.set()
        self.join()
        return self.acknowledged


class Reader:
    """Gathers all posts that a node ever shows, page by page."""

    def __init__(self, daemon: Daemon, space: str) -> None:
        self._daemon = daemon
        self._space = space
        self._cursor: dict[str, int] = {}
        self.seen: set[str] = set()

    def holds(self, wanted: set[str]) -> bool:
        """Read what is new, and tell whether all of `wanted` has been seen."""
        with Client(str(self._daemon.state)) as client:
            args = {"space": self._space, "limit": 500, "after": self._cursor}
            answer = client.call("log", args)
        assert not answer["more"], "a page is too small for what one round writes"
        self._cursor = answer["cursor"]
        self.seen |= {row["text"] for row in answer["entries"] if row["kind"] == "post"}
        return wanted <= self.seen


@pytest.mark.parametrize("seed", [20, 21])
def test_nothing_acknowledged_is_lost_by_kill(pair, seed):
    space = share(*pair)
    seeded = random.Random(seed)
    readers = [Reader(daemon, space) for daemon in pair]
    wanted: set[str] = set()
    for kill in range(KILLS):
        writers = [Writer(daemon, space, f"{daemon.name}-{kill}") for daemon in pair]
        for writer in writers:
            writer.start()
        victim = seeded.randrange(2)
        writers[victim].wait_for_posts(seeded.randrange(1, 40))
        pair[victim].kill()
        for writer in writers:
            wanted.update(writer.end())
        pair[victim].start()
        pair[victim].wait_ready()
        for daemon, reader in zip(pair, readers, strict=True):
            complete = wait_for(lambda node=reader: node.holds(wanted), WITHIN_S)
            lost = sorted(wanted - reader.seen)
            assert complete, f"seed {seed}, kill {kill}: {daemon.name} lacks {lost[:5]}"


def test_peer_through_a_nat(lab):
    home, router, hub = (lab.node(name, radio=False) for name in ("home", "router", "hub"))
    inner, outer = lab.wire(home, router), lab.wire(router, hub)
    home.ip(f"addr add 192.168.7.2/24 dev {inner[0]}", "route add default via 192.168.7.1")
    router.ip(f"addr add 192.168.7.1/24 dev {inner[1]}", f"addr add 10.9.0.1/24 dev {outer[0]}")
    hub.ip(f"addr add 10.9.0.2/24 dev {outer[1]}")
    router.masquerade(outer[0])
    far = Daemon(hub, options=["--interface", f"{outer[1]}:shared"])
    near = Daemon(home, options=["--interface", f"{inner[0]}:shared", "--peer", "tcp://10.9.0.2"])
    for daemon in (far, near):
        daemon.start()
        daemon.wait_ready()
    space = share(far, near)
    near.ask("post", space, "out")
    far.ask("post", space, "in")
    for daemon in (far, near):
        assert wait_for(lambda node=daemon: set(texts(node, space)) == {"out", "in"}, 30)


@pytest.mark.parametrize("mode", [[], ["--leaf"]], ids=["namespaces", "leaf"])
def test_demo_holds(mode, tmp_path):
    argv = [sys.executable, "-m", "meshd", "demo", "--once", "--json", *mode]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        argv,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["held"] and report["mode"] == ("leaf" if mode else "namespaces")
    assert len(report["steps"]) == 12 and not list(tmp_path.iterdir())
