"""Two islands of real daemons joined by two emulated RNodes: IPv6 goes across by LoRa."""

import re
import sys

import pytest
from radios.radio_site import own_air

from meshd.lab.daemons import Daemon, wait_for
from meshd.lab.namespaces import Lab
from meshd.runtime.tun import TUN_NAME

pytestmark = pytest.mark.netns

WITHIN_S = 60.0
CONFIG = """
lora_ports = ["udp/5683"]
admit = ["udp/5683"]
[[interface]]
name = "w0"
kind = "mesh"
"""
RADIO = """
[[radio]]
port = "{port}"
kind = "rnode"
region = "EU868"
spreading_factor = 7
"""


class Islands:
    """east - eastgate ~ LoRa ~ westgate - west."""

    def __init__(self, lab):
        self.lab = lab
        names = ("east", "eastgate", "westgate", "west")
        self.places = {name: lab.node(name) for name in names}
        lab.heal(self.places["east"], self.places["eastgate"])
        lab.heal(self.places["west"], self.places["westgate"])
        self.daemons = {name: self._daemon(name) for name in names}

    def _daemon(self, name):
        place = self.places[name]
        text = CONFIG
        if name.endswith("gate"):
            port = place.folder / "radio"
            argv = [sys.executable, "-m", "meshd", "emulate", "rnode", "--port", str(port)]
            place.spawn([*argv, "--air", "strait"], log="radio.log")
            assert wait_for(port.exists, WITHIN_S)
            text += RADIO.format(port=port)
        config = place.folder / "meshd.toml"
        config.write_text(text)
        return Daemon(place, options=["--config", str(config)])

    def start(self):
        for daemon in self.daemons.values():
            daemon.start()
        for daemon in self.daemons.values():
            daemon.wait_ready()

    def ping(self, one, other, *options):
        """Return what `ping` says, and its exit code."""
        argv = ["ping", "-6", "-c3", "-i2", "-W5", *options, self.daemons[other].address]
        done = self.places[one].run(argv, check=False)
        return done.stdout, done.returncode

    def reaches(self, one, other):
        return self.ping(one, other, "-c1")[1] == 0

    def shell(self, name, script):
        argv = [sys.executable, "-c", script]
        return self.places[name].run(argv, check=False).stdout.strip()


@pytest.fixture
def islands(monkeypatch):
    with own_air(monkeypatch), Lab("lora") as lab:
        yield Islands(lab)


CONNECT = """
import errno, socket
sock = socket.socket(socket.AF_INET6, socket.SOCK_{kind})
sock.settimeout(5)
try:
    sock.connect(("{address}", {port}))
    sock.send(bytes({size}))
    sock.recv(99)
except OSError as error:
    print(errno.errorcode.get(error.errno, error))
"""
LISTEN = """
import socket
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.bind(("::", {port}))
print("ready", flush=True)
while True:
    data, source = sock.recvfrom(99)
    sock.sendto(data, source)
"""


def test_ping_and_what_else_goes_by_lora_between_two_islands(islands):
    islands.start()
    assert wait_for(lambda: islands.reaches("east", "west"), WITHIN_S), islands.daemons[
        "eastgate"
    ].log_end()
    said, code = islands.ping("east", "west")
    assert code == 0 and "ttl=62" in said, said
    assert wait_for(lambda: islands.reaches("westgate", "east"), WITHIN_S)
    assert wait_for(lambda: islands.reaches("eastgate", "westgate"), WITHIN_S)
    shown = islands.places["eastgate"].run(["ip", "-6", "route", "show", "table", "6696"]).stdout
    west = islands.daemons["west"].address
    assert re.search(rf"{west} dev {TUN_NAME} proto 143 src", shown)
    pinged = islands.daemons["east"].ask("ping", islands.daemons["west"].node, "--count", "2")
    assert pinged["received"] >= 1

    # A listed port is carried there and back.
    listening = [sys.executable, "-c", LISTEN.format(port=5683)]
    heard = islands.places["west"].folder / "listen.log"
    islands.places["west"].spawn(listening, log="listen.log")
    assert wait_for(lambda: heard.exists() and heard.read_text(), WITHIN_S)
    asked = CONNECT.format(kind="DGRAM", address=west, port=5683, size=40)
    asked += "else:\n    print('answered')"
    assert wait_for(lambda: islands.shell("east", asked) == "answered", WITHIN_S)

    # What is not carried is refused at once, by name and by ICMPv6.
    tcp = CONNECT.format(kind="STREAM", address=west, port=22, size=1)
    assert islands.shell("east", tcp) == "EACCES"
    other = CONNECT.format(kind="DGRAM", address=west, port=53, size=1)
    assert islands.shell("east", other) == "EACCES"
    large = CONNECT.format(kind="DGRAM", address=west, port=5683, size=600)
    large = large.replace("sock.connect", "sock.setsockopt(41, 23, 2); sock.connect")
    assert islands.shell("east", large) == "EMSGSIZE"
    drops = islands.daemons["eastgate"].ask("status")["drops"]
    assert {"packet-protocol", "packet-port", "packet-too-long"} <= set(drops)


def test_without_a_device_radios_go_on_and_status_says_what_to_do(islands):
    gate = islands.places["eastgate"]
    gate.ip(f"link add {TUN_NAME} type veth peer name other")
    islands.daemons["eastgate"].start()
    islands.daemons["eastgate"].wait_ready()

    def up():
        return islands.daemons["eastgate"].ask("radio", "list")["radios"][0]["state"] == "up"

    assert wait_for(up, WITHIN_S)
    (problem,) = islands.daemons["eastgate"].ask("status")["problems"]
    assert problem["code"] == "no-ip-over-lora" and f"ip link del {TUN_NAME}" in problem["remedy"]
