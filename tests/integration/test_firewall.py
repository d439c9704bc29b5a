"""What a stranger in the mesh reaches of a host that runs meshd, and what the host keeps.

`stranger` —w0— `node` —w1— `peer`, all of the mesh; `lan` —e0— `node` is the host's own network.
"""

import sys
from types import SimpleNamespace

import pytest
from integration.kernel_host import Driven, Host, join, needs_namespaces

pytestmark = needs_namespaces

STRANGER, OWN, PEER, MESH = (
    "fd01:203:405::1",
    "fd01:203:405::2",
    "fd01:203:405::3",
    "fd01:203:405::/48",
)
NODE_LAN, LAN, FAR = "2001:db8:1::1", "2001:db8:1::2", "2001:db8:99::1"
SERVE = """
import socket, sys
ports = [int(port) for port in sys.argv[1:]]
sockets = [socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
           for port in ports]
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def net():
    node = Host()
    net = SimpleNamespace(node=node, stranger=Host(node), peer=Host(node), lan=Host(node))
    join(net.stranger, "w0", node, "w0")
    join(net.peer, "w1", node, "w1")
    join(net.lan, "e0", node, "e0")
    node.sh(f"ip addr add {NODE_LAN}/64 dev e0 nodad; ip addr add 192.0.2.1/24 dev e0")
    node.sh(f"ip addr add 198.51.100.1/24 dev w0; ip -6 route add default via {LAN}")
    net.lan.sh(f"ip addr add {LAN}/64 dev e0 nodad; ip addr add {FAR}/128 dev lo nodad")
    net.lan.sh(f"ip -6 route add default via {NODE_LAN}; ip addr add 192.0.2.2/24 dev e0")
    net.lan.sh("ip route add default via 192.0.2.1")
    net.stranger.sh("ip addr add 198.51.100.2/24 dev w0; ip route add default via 198.51.100.1")
    for host, address, name in ((net.stranger, STRANGER, "w0"), (net.peer, PEER, "w1")):
        gateway = node.link_local(name)
        host.sh(f"ip -6 addr add {address}/128 dev lo nodad")
        host.sh(f"ip -6 route add default via {gateway} dev {name} src {address}")
    yield net
    for host in (net.lan, net.peer, net.stranger, net.node):
        host.close()


@pytest.fixture
def serve():
    servers = []

    def start(host, *ports):
        server = host.start(sys.executable, "-c", SERVE, *map(str, ports), stdin=-1)
        assert server.stdout.readline() == "ready\n"
        servers.append(server)

    yield start
    for server in servers:
        server.stdin.close()
        server.wait()


@pytest.fixture
def run(net, tmp_path):
    driven = []

    def start(links, **options):
        arguments = {
            "state_dir": str(tmp_path),
            "address": OWN,
            "mesh": MESH,
            "admit": [["tcp", 9797]],
            **options,
        }
        item = Driven(net.node, **arguments)
        driven.append(item)
        item.call("recover")
        item.call("start", links=links)
        ways = [(STRANGER, "w0", net.stranger), (PEER, "w1", net.peer)]
        changes = [[to, name, host.link_local(name)] for to, name, host in ways if name in links]
        assert item.call("apply", changes=changes) == []
        return item

    yield start
    for item in driven:
        item.kill()


def dropped(net, comment):
    """Return how many packets the rule with this comment dropped."""
    lines = [
        line for line in net.node.sh("nft list table inet meshd").splitlines() if comment in line
    ]
    assert len(lines) == 1
    return int(lines[0].split("packets ")[1].split()[0])


RADIOS = {"w0": "mesh", "w1": "mesh"}


def test_a_stranger_reaches_only_admitted_ports(net, serve, run):
    serve(net.node, 22, 6697, 9797)
    local = net.node.link_local("w0") + "%w0"
    assert net.stranger.connects(local, 22) and net.stranger.connects("198.51.100.1", 22)
    run(RADIOS)
    everywhere = (OWN, NODE_LAN, local, "198.51.100.1")
    assert not any(net.stranger.connects(address, 22) for address in everywhere)
    assert dropped(net, "a port that is not open") > 0
    assert all(net.stranger.connects(OWN, port) for port in (6697, 9797))
    assert net.stranger.reaches(OWN)


def test_the_node_reaches_what_it_wants(net, serve, run):
    serve(net.stranger, 80)
    serve(net.node, 22)
    run(RADIOS)
    assert net.node.connects(STRANGER, 80)
    assert net.node.connects(OWN, 22), "the host itself is no stranger"
    assert net.node.reaches(PEER, OWN)


def test_nodes_reach_one_another_through_the_node(net, serve, run):
    serve(net.peer, 22)
    assert not net.stranger.connects(PEER, 22)
    run(RADIOS)
    assert net.stranger.connects(PEER, 22)
    assert net.stranger.reaches(PEER)


@pytest.mark.parametrize("forwards", ["0", "1"])
@pytest.mark.parametrize("links", [RADIOS, {**RADIOS, "e0": "shared"}], ids=["apart", "shared"])
@pytest.mark.parametrize("old_kernel", [False, True])
def test_a_stranger_reaches_nothing_on_the_lan(net, run, forwards, links, old_kernel):
    net.node.sysctl("ipv6/conf/all/forwarding", forwards)
    net.node.sysctl("ipv4/ip_forward", "1")
    net.lan.sh(f"ip -6 route add {MESH} via {NODE_LAN}")
    net.node.sh(f"ip -6 route add {STRANGER} via {net.stranger.link_local('w0')} dev w0")
    if forwards == "1":
        assert net.stranger.reaches(LAN) and net.stranger.reaches(FAR)
    assert net.stranger.reaches("192.0.2.2")
    run(links, old_kernel=old_kernel)
    assert not any(net.stranger.reaches(address) for address in (LAN, FAR, "192.0.2.2"))


@pytest.mark.parametrize("links", [RADIOS, {**RADIOS, "e0": "shared"}], ids=["apart", "shared"])
def test_the_lan_keeps_the_hosts_services(net, serve, run, links):
    serve(net.node, 22)
    run(links)
    assert net.lan.connects(NODE_LAN, 22) and net.lan.connects("192.0.2.1", 22)
    assert net.lan.connects(net.node.link_local("e0") + "%e0", 22)
    assert net.node.reaches(FAR) and net.node.reaches("192.0.2.2")
    assert not net.lan.connects(OWN, 22), "a mesh address is filtered wherever it is reached from"


def without_rules(net):
    """Take away the rules for packets in transit, so that the filter is on its own."""
    for line in net.node.sh("ip -6 rule").splitlines():
        priority = line.split(":")[0]
        if priority in ("6697", "6698"):
            net.node.sh(f"ip -6 rule del pref {priority}")


@pytest.mark.parametrize("links", [RADIOS, {**RADIOS, "e0": "shared"}], ids=["apart", "shared"])
def test_the_filter_alone_keeps_the_lan_apart(net, run, links):
    run(links)
    without_rules(net)
    assert not net.lan.hears(net.stranger, LAN)
    assert net.lan.hears(net.stranger, FAR) == ("e0" in links), "there the rules are needed"


@pytest.fixture
def uplink(net):
    uplink = Host(net.node)
    join(uplink, "u0", net.node, "u0")
    net.node.sh("ip addr add 2001:db8:2::1/64 dev u0 nodad")
    uplink.sh("ip addr add 2001:db8:2::2/64 dev u0 nodad")
    uplink.sh("ip -6 route add default via 2001:db8:2::1")
    yield uplink
    uplink.close()


@pytest.mark.parametrize("rules", [True, False], ids=["rules", "filter"])
@pytest.mark.parametrize("old_kernel", [False, True])
def test_what_the_host_did_not_forward_it_still_does_not(net, run, uplink, old_kernel, rules):
    run({**RADIOS, "e0": "shared"}, old_kernel=old_kernel)
    if not rules:
        without_rules(net)
    assert not uplink.hears(net.lan, "2001:db8:2::2")
    assert not net.lan.hears(uplink, LAN)


def test_what_the_host_forwarded_it_still_forwards(net, run, uplink):
    net.node.sysctl("ipv6/conf/all/forwarding", "1")
    run({**RADIOS, "e0": "shared", "u0": "shared"})
    assert net.lan.reaches("2001:db8:2::2") and uplink.reaches(LAN)


def test_spoofed_sources_are_dropped(net, run):
    run(RADIOS)
    net.stranger.sh(f"ip addr add {OWN} dev lo nodad; ip addr add {LAN} dev lo nodad")
    net.stranger.sh(f"ip -6 route add {PEER} via {net.node.link_local('w0')} dev w0")
    assert not net.stranger.reaches(PEER, OWN)
    assert dropped(net, "our own address, from outside") == 1
    assert not net.stranger.reaches(PEER, LAN)
    assert dropped(net, "an address of our LAN, from the mesh") == 1
    net.lan.sh(f"ip addr add {STRANGER} dev lo nodad")
    assert not net.lan.reaches(NODE_LAN, STRANGER)
    assert dropped(net, "a mesh address, from elsewhere") == 1


def test_a_foreign_prefix_is_forwarded_between_links(net, run):
    """A network behind a foreign Babel router, learned from the air, is reached in transit."""
    net.peer.sh("ip addr add 2001:db8:77::1/128 dev lo nodad")
    driven = run(RADIOS)
    assert not net.stranger.reaches("2001:db8:77::1")
    way = ["2001:db8:77::/64", "w1", net.peer.link_local("w1")]
    assert driven.call("apply", changes=[way]) == []
    assert net.stranger.reaches("2001:db8:77::1")
    assert driven.call("apply", changes=[way[:1]]) == []
    assert not net.stranger.reaches("2001:db8:77::1")


def test_a_network_that_the_host_joins_later_is_kept_apart(net, run):
    net.node.sysctl("ipv6/conf/all/forwarding", "1")
    driven = run({**RADIOS, "e0": "shared"})
    assert driven.call("protected") == ["2001:db8:1::/64", f"{LAN}/128"]
    net.node.sh("ip addr add 2001:db8:5::1/64 dev e0 nodad")
    assert "2001:db8:5::/64" in driven.call("protected")
    assert "2001:db8:5::/64" in net.node.sh("nft list set inet meshd lan")


FLOOD = """
import socket, sys
link = socket.if_nametoindex("w0")
for port in (6696, 6697):
    for source in range(20000, 20100):
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("::", source))
            stranger.sendto(b"x", (sys.argv[1], port, 0, link))
            if sys.argv[2] == "to":
                stranger.sendto(b"x", (sys.argv[3], port))
"""
LISTEN = """
import socket, sys
heard = 0
sockets = []
for port in (6696, 6697):
    sockets.append(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
    sockets[-1].bind(("::", port))
print("ready", flush=True)
sys.stdin.read()
for mine in sockets:
    mine.setblocking(False)
    try:
        while True:
            _, asker = mine.recvfrom(10)
            mine.sendto(b"y", asker)
            heard += 1
    except BlockingIOError:
        pass
print(heard, flush=True)
"""


@pytest.mark.parametrize("kind", ["mesh", "shared"])
def test_datagrams_of_meshd_take_no_place_in_the_hosts_connection_table(net, run, kind):
    run({"w0": kind, "w1": "mesh"})
    listener = net.node.start(sys.executable, "-c", LISTEN, stdin=-1)
    assert listener.stdout.readline() == "ready\n"
    before = int(net.node.sh("cat /proc/sys/net/netfilter/nf_conntrack_count"))
    flood = [sys.executable, "-c", FLOOD, net.node.link_local("w0"), "to", OWN]
    assert net.stranger.start(*flood).wait() == 0
    assert listener.communicate(timeout=10)[0] == "400\n"
    after = int(net.node.sh("cat /proc/sys/net/netfilter/nf_conntrack_count"))
    assert after - before < 10


REDIRECT = """
import socket, sys
target, to = (socket.inet_pton(socket.AF_INET6, text) for text in sys.argv[2:4])
said = b"\\x89" + bytes(7) + target + to
raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
raw.sendto(said, (sys.argv[1], 0, 0, socket.if_nametoindex("w0")))
"""


def redirect(net, to):
    """Have the stranger tell the node to send to `to` by another way."""
    there = net.node.link_local("w0")
    command = [sys.executable, "-c", REDIRECT, there, "fe80::99", to]
    assert net.stranger.start(*command).wait() == 0
    return "fe80::99" in net.node.sh(f"ip -6 route get {to}")


@pytest.mark.parametrize("kind", ["mesh", "shared"])
def test_a_redirect_does_not_move_a_mesh_route(net, run, kind):
    """A neighbour's redirect would lead past the hop that the radio needs."""
    by_hand = "2001:db8:66::1"
    gateway = net.stranger.link_local("w0")
    net.node.sh(f"ip -6 route add {by_hand} via {gateway} dev w0")
    run({"w0": kind, "w1": "mesh"})
    assert redirect(net, by_hand) == (kind == "shared"), "the host's own routes may move"
    assert not redirect(net, STRANGER)
    assert dropped(net, "a redirect") == 1
