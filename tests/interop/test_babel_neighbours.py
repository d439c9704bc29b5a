"""meshd between routers that this project did not write: the real babeld and the real BIRD."""

import random
import shutil
import socket

import pytest
from daemons.field import Field, Probes, line
from daemons.routers import Babeld, Bird, Meshd

from meshd.core.limits import BABEL_PORT
from meshd.lab.daemons import wait_for
from meshd.lab.namespaces import RADIO

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(not shutil.which("babeld"), reason="babeld is not installed (make setup)"),
    pytest.mark.skipif(not shutil.which("bird"), reason="bird2 is not installed (make setup)"),
]

LEFT, MIDDLE, RIGHT = range(3)
ARRIVES_S = 60.0
AGAIN_S = 60.0
"""Generous: the figures are reported, and a loaded machine must not fail a test."""


@pytest.fixture(
    params=[(Babeld, Babeld), (Bird, Bird), (Babeld, Bird)],
    ids=["babeld-meshd-babeld", "bird-meshd-bird", "babeld-meshd-bird"],
)
def mesh(request):
    """Two foreign routers that cannot hear each other, and meshd between them."""
    left, right = request.param
    with Field([left, Meshd, right], line(3)) as field:
        field.start()
        probes = Probes(field)
        yield field, probes
        probes.close()


def test_each_reaches_what_is_behind_meshd(mesh):
    field, probes = mesh
    assert probes.pair(LEFT, RIGHT, within_s=ARRIVES_S) is not None
    assert probes.pair(RIGHT, LEFT, within_s=ARRIVES_S) is not None
    assert probes.pair(LEFT, MIDDLE, within_s=ARRIVES_S) is not None
    assert probes.pair(MIDDLE, RIGHT, within_s=ARRIVES_S) is not None
    rows = field.routers[MIDDLE].daemon.ask("routes")["routes"]
    prefixes = {row["prefix"] for row in rows if row["selected"]}
    assert {f"{field.routers[end].address}/128" for end in (LEFT, RIGHT)} <= prefixes


@pytest.mark.parametrize("target", [MIDDLE, RIGHT], ids=["its-address", "behind-it"])
def test_reachable_again_after_kill(mesh, target, record_property):
    field, probes = mesh
    assert probes.pair(LEFT, target, within_s=ARRIVES_S) is not None
    daemon = field.routers[MIDDLE].daemon
    daemon.kill()
    daemon.start()
    again = probes.steady(LEFT, target, within_s=AGAIN_S)
    assert again is not None
    record_property("reachable_again_s", again)
    print(f"after kill -9: no probe lost from {again:.2f} s on")


def test_junk_from_a_stranger_is_counted_and_harms_nobody(mesh):
    field, probes = mesh
    assert probes.pair(LEFT, RIGHT, within_s=ARRIVES_S) is not None
    daemon = field.routers[MIDDLE].daemon
    before = daemon.ask("status")["drops"]
    seeded = random.Random(7)
    node = field.nodes[LEFT]
    with node.open_socket(socket.AF_INET6, socket.SOCK_DGRAM) as stranger:
        with node.inside():
            index = socket.if_nametoindex(RADIO)
        for _ in range(300):
            junk = seeded.randbytes(seeded.randrange(1, 600))
            if seeded.random() < 0.7:
                length = len(junk).to_bytes(2, "big")
                junk = b"\x2a\x02" + length + junk
            stranger.sendto(junk, ("ff02::1:6", BABEL_PORT, 0, index))

    def counted():
        drops = daemon.ask("status")["drops"]
        return total(drops) - total(before) >= 100 and drops

    assert wait_for(counted, ARRIVES_S), "random packets are named drops"
    assert probes.pair(RIGHT, LEFT, within_s=ARRIVES_S) is not None
    assert daemon.process.poll() is None


def total(drops):
    """Return how many drops a status counts."""
    return sum(sum(by_link.values()) for by_link in drops.values())
