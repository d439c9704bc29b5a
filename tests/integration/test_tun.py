"""The TUN device among a host's interfaces: packets to it and from it, and what the filter says."""

import subprocess

import pytest
from integration.kernel_host import Driven, Host, join, needs_namespaces

from meshd.core.ids import OPEN_MESH_ID, address_text, mesh_address, mesh_prefix
from meshd.runtime.tun import TUN_NAME
from meshd.wire import ipv6
from meshd.wire.ip_lora import Echo, Packet, Udp

pytestmark = needs_namespaces

HERE, WIFI, LORA, BEYOND = (name * 10 for name in (b"h", b"w", b"l", b"b"))


def address(node):
    return address_text(mesh_address(OPEN_MESH_ID, node))


@pytest.fixture
def hosts():
    near = Host()
    far = Host(near)
    join(near, "w0", far, "w0")
    yield near, far
    far.close()
    near.close()


@pytest.fixture
def driven(hosts, tmp_path):
    """A node that routes LORA and BEYOND by its radio, and WIFI by w0."""
    near, far = hosts
    made = Driven(
        near, state_dir=str(tmp_path), address=address(HERE), mesh=str(mesh_prefix(OPEN_MESH_ID))
    )
    made.call("recover")
    made.call("start", links={"w0": "mesh"})
    made.call("tun_open")
    far.sh(f"ip addr add {address(WIFI)}/128 dev lo nodad")
    gateway = near.link_local("w0")
    far.sh(f"ip route add {mesh_prefix(OPEN_MESH_ID)} via {gateway} dev w0 src {address(WIFI)}")
    changes = [
        [f"{address(LORA)}/128", TUN_NAME, ""],
        [f"{address(BEYOND)}/128", "w0", far.link_local("w0")],
        [f"{address(BEYOND)}/128", TUN_NAME, ""],
        [f"{address(WIFI)}/128", TUN_NAME, ""],
        [f"{address(WIFI)}/128", "w0", far.link_local("w0")],
    ]
    assert made.call("apply", changes=changes) == []
    yield made
    made.kill()


def ping(host, node):
    return host.start("ping", "-c1", "-W3", address(node))


@pytest.mark.parametrize("node", [LORA, BEYOND])
def test_ping_of_the_host_goes_by_the_device_and_its_answer_comes_back(hosts, driven, node):
    pinging = ping(hosts[0], node)
    assert driven.call("tun_answer") == [HERE.hex(), node.hex(), 64]
    assert pinging.wait() == 0
    routes = hosts[0].sh(f"ip -6 route show table 6696 {address(node)}")
    assert routes.count("\n") == 1 and f"dev {TUN_NAME}" in routes


def test_ping_of_a_node_by_wifi_is_forwarded_to_the_device_and_back(hosts, driven):
    pinging = ping(hosts[1], LORA)
    assert driven.call("tun_answer") == [WIFI.hex(), LORA.hex(), 63]
    assert pinging.wait() == 0


def test_node_by_wifi_stays_reachable_by_wifi(hosts, driven):
    assert ping(hosts[0], WIFI).wait() == 0


def test_packet_over_lora_is_forwarded_into_wifi(hosts, driven):
    asked = Packet(LORA, WIFI, Echo(1, 2, b"from afar"), 64)
    driven.call("tun_write", packet=asked.encode(OPEN_MESH_ID).hex())
    answer = Packet.decode(bytes.fromhex(driven.call("tun_read")), OPEN_MESH_ID)
    assert answer.content == asked.content._replace(reply=True)
    assert (answer.source, answer.destination) == (WIFI, LORA)


LISTEN = """
import socket
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.bind(("::", {port}))
sock.settimeout(1.0)
print(flush=True)
try:
    print(sock.recv(99).decode(), flush=True)
except TimeoutError:
    print("nothing", flush=True)
"""


@pytest.mark.parametrize(("port", "said"), [(6697, "a word"), (9999, "nothing")])
def test_only_admitted_ports_are_reached_over_lora(hosts, driven, port, said):
    listening = hosts[0].start("python3", "-c", LISTEN.format(port=port))
    listening.stdout.readline()
    packet = Packet(LORA, HERE, Udp(port, port, b"a word"), 64)
    driven.call("tun_write", packet=packet.encode(OPEN_MESH_ID).hex())
    assert listening.stdout.readline().strip() == said
    listening.wait()


def test_nothing_comes_out_of_the_device_in_this_nodes_name_but_its_errors(hosts, driven):
    near, far = hosts
    packet = Packet(HERE, WIFI, Echo(1, 2, b"forged"), 64)
    counter = "awk '/Icmp6InEchos/ {print $2}' /proc/net/snmp6"
    before = far.sh(counter)
    driven.call("tun_write", packet=packet.encode(OPEN_MESH_ID).hex())
    assert ping(near, WIFI).wait() == 0  # a moment later
    assert int(far.sh(counter)) == int(before) + 1


FLOOD = """
import socket
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
print(flush=True)
for _ in range(3000):
    sock.sendto(b"more", ("{address}", 53))
"""


def test_flood_of_one_neighbour_is_stopped_by_the_kernel_and_takes_nothing_from_this_host(
    hosts, driven
):
    near, far = hosts
    flooding = far.start("python3", "-c", FLOOD.format(address=address(LORA)))
    flooding.stdout.readline()
    assert 1 <= driven.call("tun_count") <= 100
    flooding.wait()
    pinging = ping(near, LORA)
    assert driven.call("tun_answer")[0] == HERE.hex()
    assert pinging.wait() == 0


SEND = """
import errno, socket, sys
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.connect(({address!r}, 53))
sock.send(b"a question")
print(flush=True)
sys.stdin.readline()
sock.settimeout(1.0)
try:
    sock.recv(99)
except OSError as error:
    print(errno.errorcode.get(error.errno, error), flush=True)
"""


@pytest.mark.parametrize("place", [0, 1], ids=["this host", "a node by WiFi"])
@pytest.mark.parametrize(
    ("kind", "said"),
    [(ipv6.PROHIBITED, "EACCES"), (ipv6.TOO_BIG, "EMSGSIZE")],
    ids=["prohibited", "too big"],
)
def test_who_sends_what_lora_does_not_carry_learns_it_at_once(hosts, driven, place, kind, said):
    script = SEND.format(address=address(LORA))
    if kind == ipv6.TOO_BIG:
        script = script.replace("sock.send", "sock.setsockopt(41, 23, 2); sock.send", 1)
    sending = hosts[place].start("python3", "-c", script, stdin=subprocess.PIPE)
    sending.stdout.readline()
    packet = bytes.fromhex(driven.call("tun_read"))
    error = ipv6.icmp_error(mesh_address(OPEN_MESH_ID, HERE), packet, kind, mtu=200)
    driven.call("tun_write", packet=error.hex())
    sending.stdin.write("\n")
    sending.stdin.flush()
    assert sending.stdout.readline().strip() == said
    sending.wait()


def test_host_is_afterwards_as_it_was(hosts, tmp_path):
    near, _ = hosts
    before = near.state()
    made = Driven(
        near, state_dir=str(tmp_path), address=address(HERE), mesh=str(mesh_prefix(OPEN_MESH_ID))
    )
    made.call("recover")
    made.call("start", links={"w0": "mesh"})
    made.call("tun_open")
    made.call("apply", changes=[[f"{address(LORA)}/128", TUN_NAME, ""]])
    assert near.state() != before
    made.call("tun_close")
    made.call("stop")
    assert near.state() == before
    made.kill()


def test_device_of_a_killed_process_is_gone_and_one_made_to_stay_is_taken_over(hosts, tmp_path):
    near, _ = hosts
    options = {"state_dir": str(tmp_path), "address": address(HERE)}
    options["mesh"] = str(mesh_prefix(OPEN_MESH_ID))
    first = Driven(near, **options)
    first.call("recover")
    first.call("start", links={})
    first.call("tun_open")
    first.kill()
    assert TUN_NAME not in near.sh("ip link")
    near.sh(f"ip tuntap add dev {TUN_NAME} mode tun")
    again = Driven(near, **options)
    again.call("recover")
    again.call("start", links={})
    again.call("tun_open")
    again.call("apply", changes=[[f"{address(LORA)}/128", TUN_NAME, ""]])
    pinging = ping(near, LORA)
    again.call("tun_answer")
    assert pinging.wait() == 0
    again.call("tun_close")
    again.call("stop")
    assert TUN_NAME not in near.sh("ip link")
    again.kill()


def test_another_interface_of_that_name_is_left_alone_and_said(hosts, tmp_path):
    near, _ = hosts
    near.sh(f"ip link add {TUN_NAME} type veth peer name other")
    made = Driven(near, state_dir=str(tmp_path), address=address(HERE), mesh="fd00::/48")
    made.call("recover")
    made.call("start", links={})
    answer = made.ask("tun_open")
    assert f"no IP over LoRa: {TUN_NAME}" in answer["error"]
    assert f"ip link del {TUN_NAME}" in answer["remedy"]
    assert TUN_NAME in near.sh("ip link")
    made.call("stop")
    made.kill()
