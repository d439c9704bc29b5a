"""Routes with a LoRa hop, between routers that this project did not write: babeld and BIRD.

Their updates carry a sub-TLV that neither knows: both have to take the route, and pass it on.
"""

import shutil
import socket

import pytest
from daemons.field import Field, Probes, line
from daemons.routers import Babeld, Bird, Meshd, MeshdRadio

from meshd.core.ids import host_prefix
from meshd.core.limits import BABEL_PORT
from meshd.lab.daemons import wait_for
from meshd.lab.namespaces import RADIO
from meshd.wire.babel import Update
from meshd.wire.babel_parser import decode

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(not shutil.which("babeld"), reason="babeld is not installed (make setup)"),
    pytest.mark.skipif(not shutil.which("bird"), reason="bird2 is not installed (make setup)"),
]

GATEWAY, FOREIGN, BEYOND, FAR = range(4)
ARRIVES_S = 90.0
"""Generous: a loaded machine must not fail a test."""
ETH_IPV6 = 0x86DD
HEADS_LEN = 40 + 8


@pytest.fixture(params=[Babeld, Bird], ids=["babeld", "bird"])
def field(request):
    """A node behind LoRa, its gateway, a foreign router, and meshd again."""
    kinds = [MeshdRadio, request.param, Meshd, MeshdRadio]
    with Field(kinds, line(3), alone=1) as made:
        yield made


def test_foreign_routers_take_thin_routes_and_pass_them_on(field):
    with ears(field.nodes[FOREIGN]) as heard:
        field.start()
        far = field.routers[FAR].address
        assert wait_for(lambda: by_radio(field, FOREIGN, far), ARRIVES_S)
        assert wait_for(lambda: by_radio(field, BEYOND, far), ARRIVES_S)
        updates = list(thin_updates(heard, field.routers[FAR].address))
    assert updates and all(thin >> 8 == 1 for thin in updates), "the word is on the wire"
    assert thin(field, GATEWAY) is True
    assert thin(field, BEYOND) is False, "foreign routers do not relay what they do not know"

    probes = Probes(field)
    assert probes.pair(GATEWAY, BEYOND, within_s=ARRIVES_S) is not None
    assert probes.pair(BEYOND, GATEWAY, within_s=ARRIVES_S) is not None
    probes.close()
    assert wait_for(lambda: pings(field, BEYOND, far), ARRIVES_S), "packets go there too"

    field.routers[GATEWAY].unplug()
    assert wait_for(lambda: not by_radio(field, FOREIGN, far), ARRIVES_S)
    assert wait_for(lambda: not by_radio(field, BEYOND, far), ARRIVES_S)


def by_radio(field, place, address):
    """Tell whether the kernel of a node has a way to an address over its WiFi."""
    done = field.nodes[place].run(["ip", "-6", "route", "get", address], check=False)
    return done.returncode == 0 and f"dev {RADIO}" in done.stdout


def pings(field, place, address):
    """Tell whether a node's own kernel gets an answer from an address."""
    argv = ["ping", "-6", "-c", "1", "-W", "10", "-s", "8", address]
    return field.nodes[place].run(argv, check=False, timeout_s=20).returncode == 0


def thin(field, place):
    """Tell what a node says of its way to the far one."""
    rows = field.routers[place].daemon.ask("routes")["routes"]
    prefix = f"{field.routers[FAR].address}/128"
    (row,) = [row for row in rows if row["prefix"] == prefix and row["selected"]]
    return row["thin"]


def ears(node):
    """Open a socket in a node that takes copies of all IPv6 packets."""
    ears = node.open_socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    with node.inside():
        ears.bind((RADIO, ETH_IPV6))
    ears.setblocking(False)
    return ears


def thin_updates(heard, address):
    """Yield the thin path of each update of an address that was heard."""
    wanted = host_prefix(socket.inet_pton(socket.AF_INET6, address))
    while True:
        try:
            packet = heard.recv(65536)
        except BlockingIOError:
            return
        if packet[6] != socket.IPPROTO_UDP or packet[42:44] != BABEL_PORT.to_bytes(2, "big"):
            continue
        for tlv in decode(packet[HEADS_LEN:], packet[8:24]).tlvs:
            if isinstance(tlv, Update) and tlv.prefix == wanted and tlv.thin:
                yield tlv.thin
