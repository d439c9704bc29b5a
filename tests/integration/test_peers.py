"""Configured peers: streams over any network, kept up by the daemon that names them."""

import socket

import pytest
from daemons.faulty import call, drops, problems, ready

from meshd.core.errors import RequestError
from meshd.lab.daemons import Daemon, wait_for

pytestmark = pytest.mark.netns

WITHIN_S = 60
SERVER = "10.9.0.2"


def texts(daemon, space):
    """Return the notes of a space, as this node reads them; none while it has no such space."""
    try:
        return {row.get("text") for row in call(daemon, "log", space=space)["entries"]}
    except RequestError:
        return set()


def crosses(giver, taker, space, text):
    """Write a note on one node, and wait until it is read on the other."""
    call(giver, "post", space=space, text=text)
    return wait_for(lambda: text in texts(taker, space), WITHIN_S)


def shared(giver, taker):
    """Make a space on one node that the other joins; return its id."""
    space = str(call(giver, "space.create", name="shared")["space"])
    url = giver.ask("invite", space, "--role", "writer")["url"]
    taker.ask("join", str(url))
    return space


def states(daemon):
    """Return the sessions of a daemon: node and state."""
    return {(item["node"], item["state"]) for item in call(daemon, "status")["sessions"]}


@pytest.fixture
def far_apart(lab):
    """A home behind a NAT, and a server on the other side, whom the home names as its peer."""
    home, router, server = (lab.node(name, radio=False) for name in ("home", "router", "server"))
    inner, outer = lab.wire(home, router), lab.wire(router, server)
    home.ip(f"addr add 192.168.7.2/24 dev {inner[0]}", "route add default via 192.168.7.1")
    router.ip(f"addr add 192.168.7.1/24 dev {inner[1]}", f"addr add 10.9.0.1/24 dev {outer[0]}")
    server.ip(f"addr add {SERVER}/24 dev {outer[1]}")
    router.masquerade(outer[0])
    return (
        Daemon(
            home, options=["--interface", f"{inner[0]}:shared", "--peer", f"tcp://{SERVER}:6697"]
        ),
        Daemon(server, options=["--interface", f"{outer[1]}:shared"]),
    )


def test_peer_behind_a_nat_comes_back_after_restarts_of_either(far_apart):
    home, server = far_apart
    ready(home)
    assert wait_for(lambda: ("", "waiting") in states(home), WITHIN_S), "there is no server yet"
    assert problems(home) == {}
    ready(server)
    assert wait_for(lambda: (server.node, "up") in states(home), WITHIN_S)
    space = shared(server, home)
    assert crosses(home, server, space, "out")
    assert crosses(server, home, space, "in")
    server.kill()
    call(home, "post", space=space, text="while it was away")
    ready(server)
    assert wait_for(lambda: "while it was away" in texts(server, space), WITHIN_S)
    home.kill()
    call(server, "post", space=space, text="while home was away")
    ready(home)
    assert wait_for(lambda: "while home was away" in texts(home, space), WITHIN_S)
    assert call(home, "status")["routes"] == [], "a peer carries sync only"


def leaf(node, number, *options):
    """Return a leaf that listens on the loopback of a node."""
    made = Daemon(node, options=["--leaf", "--listen", f"127.0.0.1:{7000 + number}", *options])
    made.state = node.folder / f"leaf{number}"
    return made


def test_leaves_on_the_loopback_meet_by_peers_only(lab):
    node = lab.node("one", radio=False)
    one, two = leaf(node, 1), leaf(node, 2, "--peer", "tcp://127.0.0.1:7001")
    ready(one, two)
    assert wait_for(lambda: (one.node, "up") in states(two), WITHIN_S)
    space = shared(one, two)
    assert crosses(one, two, space, "there") and crosses(two, one, space, "and back")
    one.stop()
    ready(one)
    assert crosses(one, two, space, "again")


def test_peers_that_are_of_no_use_do_no_harm(lab):
    node = lab.node("one", radio=False)
    with node.open_socket(socket.AF_INET, socket.SOCK_STREAM) as stranger:
        stranger.bind(("127.0.0.1", 7009))
        stranger.listen()
        urls = ["tcp://127.0.0.1:7001", "tcp://127.0.0.1:7009", "tcp://127.0.0.1:7010"]
        urls.append("tcp://nowhere.invalid:6697")
        daemon = leaf(node, 1, *(word for url in urls for word in ("--peer", url)))
        ready(daemon)
        taken, _ = stranger.accept()
        with taken:
            taken.sendall(bytes(range(256)) * 40)
            assert wait_for(lambda: "node-self" in drops(daemon), WITHIN_S)
            assert wait_for(lambda: len(drops(daemon)) > 1, WITHIN_S)
        assert len(states(daemon)) <= len(urls) and problems(daemon) == {}
        assert wait_for(
            lambda: {item["via"] for item in call(daemon, "status")["sessions"]} == set(urls), 5
        )
