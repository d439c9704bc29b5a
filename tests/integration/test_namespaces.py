"""The lab itself: what the other tests stand on does what it says."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from meshd.lab.daemons import wait_for
from meshd.lab.namespaces import RADIO, Lab, LabError, Place, stop, usage

pytestmark = pytest.mark.netns

GROUP = "ff02::4d"
PORT = 9700


def listener(node):
    """A socket that hears the group on the radio of `node`."""
    opened = node.open_socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with node.inside():
        index = socket.if_nametoindex(RADIO)
    opened.bind(("::", PORT))
    member = socket.inet_pton(socket.AF_INET6, GROUP) + index.to_bytes(4, sys.byteorder)
    opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
    opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
    opened.settimeout(0.3)
    return opened, index


def hears(speaker, ear):
    """Tell whether a multicast of `speaker` comes in at `ear`."""
    opened, index = speaker
    word = os.urandom(8)
    opened.sendto(word, (GROUP, PORT, 0, index))
    try:
        while ear[0].recv(100) != word:
            pass
    except TimeoutError:
        return False
    return True


def carrier(node):
    """Tell whether the radio of `node` is up."""
    return "LOWER_UP" in node.run(["ip", "-br", "link", "show", RADIO]).stdout


def test_medium_carries_only_between_those_who_hear(lab):
    one, two, three = (lab.node(name) for name in ("one", "two", "three"))
    lab.line([one, two, three])
    ears = {node.name: listener(node) for node in (one, two, three)}
    assert hears(ears["one"], ears["two"])
    assert not hears(ears["one"], ears["three"])
    lab.cut(one, two)
    assert not hears(ears["one"], ears["two"])
    assert carrier(one) and carrier(two), "a cut is silent"
    lab.heal(one, two)
    assert hears(ears["one"], ears["two"])
    assert one.counters().tx_packets >= 4
    for opened, _ in ears.values():
        opened.close()


def test_radios_stay_down_until_raised(lab):
    nodes = [lab.node(name, up=False) for name in ("one", "two")]
    assert not any(carrier(node) for node in nodes)
    lab.raise_radios()
    assert all(carrier(node) for node in nodes)


def test_wire_and_nat(lab):
    home, router, server = (lab.node(name, radio=False) for name in ("home", "router", "server"))
    inner = lab.wire(home, router)
    outer = lab.wire(router, server)
    home.ip(f"addr add 192.168.7.2/24 dev {inner[0]}", "route add default via 192.168.7.1")
    router.ip(f"addr add 192.168.7.1/24 dev {inner[1]}", f"addr add 10.9.0.1/24 dev {outer[0]}")
    server.ip(f"addr add 10.9.0.2/24 dev {outer[1]}")
    router.masquerade(outer[0])
    with server.open_socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.bind(("10.9.0.2", 80))
        listening.listen()
        listening.settimeout(5)
        with home.open_socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect(("10.9.0.2", 80))
            accepted, peer = listening.accept()
            accepted.close()
    assert peer[0] == "10.9.0.1", "the server sees the router, not the home"


def test_programs_are_measured_and_ended(lab):
    node = lab.node("one", radio=False)
    process = node.spawn([sys.executable, "-c", "import time; sum(range(10**6)); time.sleep(99)"])
    assert wait_for(lambda: usage(process.pid).cpu_s > 0.01, 60)
    assert usage(process.pid).rss_kib > 1000
    stop([process])
    assert process.returncode == -signal.SIGTERM
    with pytest.raises(LabError):
        usage(process.pid)


def test_failed_command_says_where_and_what(lab):
    node = lab.node("one", radio=False)
    with pytest.raises(LabError, match=r"one: ip -batch -: .*nowhere"):
        node.ip("link set nowhere up")


def test_programs_die_with_a_lab_that_is_killed(tmp_path):
    script = (
        "from pathlib import Path; from meshd.lab.namespaces import Lab; import signal\n"
        f"lab = Lab('test', folder=Path({str(tmp_path)!r})); node = lab.node('one', radio=False)\n"
        "node.spawn(['sh', '-c', 'echo $$; exec sleep 99'])\n"
        "log = node.folder / 'log'\n"
        "while not log.read_text().strip(): pass\n"
        "print(log.read_text(), flush=True); signal.pause()"
    )
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as owner:
        child = int(owner.stdout.readline())
        os.kill(child, 0)
        owner.kill()

    def gone():
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return True
        return False

    assert wait_for(gone, 5)


def test_own_folder_is_removed():
    with Lab("test") as lab:
        folder = lab.folder
        lab.node("one", radio=False)
        assert folder.exists()
    assert not folder.exists()


def test_a_place_is_this_machine(tmp_path):
    place = Place("here", tmp_path / "here")
    assert place.run(["echo", "yes"]).stdout == "yes\n"
    process = place.spawn(["sh", "-c", "echo started; sleep 99"], log="out")
    assert wait_for(lambda: (tmp_path / "here/out").read_text() == "started\n", 5)
    stop([process])
