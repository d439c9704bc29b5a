"""What `Kernel` sets up, and that a host is afterwards as it was."""

import contextlib
import json
import sys

import pytest
from integration.kernel_host import Driven, Host, join, needs_namespaces

pytestmark = needs_namespaces

OWN = "fd01:203:405::2"
MESH = "fd01:203:405::/48"


@pytest.fixture
def hosts():
    near = Host()
    far = Host(near)
    join(near, "w0", far, "w0")
    join(near, "e0", far, "e0")
    yield near, far
    far.close()
    near.close()


@pytest.fixture
def drive(hosts, tmp_path):
    driven = []

    def start(**options):
        arguments = {"state_dir": str(tmp_path), "address": OWN, "mesh": MESH, **options}
        driven.append(Driven(hosts[0], **arguments))
        return driven[-1]

    yield start
    for item in driven:
        item.kill()


LINKS = {"w0": "mesh", "e0": "shared"}
ANNOUNCE = """
import socket, struct, sys
raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
prefix = socket.inet_pton(socket.AF_INET6, sys.argv[2])
said = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
said += struct.pack("!BBBBIII16s", 3, 4, 64, 0xC0, 86400, 14400, 0, prefix)
raw.sendto(said, ("ff02::1", 0, 0, socket.if_nametoindex(sys.argv[1])))
"""


def announce(host, name, prefix):
    """Send a router advertisement, as the host's own router does."""
    assert host.start(sys.executable, "-c", ANNOUNCE, name, prefix).wait() == 0


def routes(driven, hosts, count):
    gateway = hosts[1].link_local("w0")
    return driven.call(
        "apply", changes=[[f"fd01:203:405::{n:x}", "w0", gateway] for n in range(16, 16 + count)]
    )


@pytest.mark.parametrize("old_kernel", [False, True])
def test_the_host_is_as_it_was_after_stop(hosts, drive, tmp_path, old_kernel):
    before = hosts[0].state()
    driven = drive(old_kernel=old_kernel)
    driven.call("recover")
    driven.call("start", links=LINKS)
    assert routes(driven, hosts, 20) == []
    during = hosts[0].state()
    assert all(during[part] != before[part] for part in before if "ip -6" in part or "nft" in part)
    driven.call("stop")
    assert hosts[0].state() == before
    assert not (tmp_path / "host.json").exists()


@pytest.mark.parametrize("old_kernel", [False, True])
def test_the_host_is_as_it_was_after_kill_and_recover(hosts, drive, tmp_path, old_kernel):
    hosts[0].sysctl("ipv6/conf/e0/forwarding", "1")
    before = hosts[0].state()
    driven = drive(old_kernel=old_kernel)
    driven.call("start", links=LINKS)
    assert routes(driven, hosts, 1000) == []
    driven.kill()
    assert hosts[0].state() != before
    drive().call("recover")
    assert hosts[0].state() == before
    assert not (tmp_path / "host.json").exists()


@pytest.mark.parametrize("old_kernel", [False, True])
@pytest.mark.parametrize("writes", [0, 1, 2, 4, 7, 10])
def test_the_host_is_as_it_was_when_power_is_lost_while_starting(hosts, drive, old_kernel, writes):
    before = hosts[0].state()
    driven = drive(old_kernel=old_kernel)
    driven.call("die_after", writes=writes)
    with contextlib.suppress(AssertionError):  # It dies on the way, if it gets that far.
        driven.call("start", links=LINKS)
    driven.kill()
    drive().call("recover")
    assert hosts[0].state() == before


def test_what_somebody_else_changed_meanwhile_is_theirs(hosts, drive):
    driven = drive()
    driven.call("start", links=LINKS)
    hosts[0].sysctl("ipv6/conf/w0/accept_ra", "2")
    driven.call("stop")
    assert hosts[0].sysctl("ipv6/conf/w0/accept_ra") == "2"
    assert hosts[0].sysctl("ipv6/conf/w0/accept_redirects") == "1"


def test_a_record_of_another_boot_is_ignored(hosts, drive, tmp_path):
    driven = drive()
    driven.call("start", links=LINKS)
    driven.kill()
    record = json.loads((tmp_path / "host.json").read_text())
    (tmp_path / "host.json").write_text(json.dumps({**record, "host": "earlier/1"}))
    again = drive()
    again.call("recover")
    assert hosts[0].sysctl("ipv6/conf/w0/accept_ra") == "0"
    (tmp_path / "host.json").write_text("{not json")
    again.call("recover")
    assert (tmp_path / "host.json.unreadable").exists()


@pytest.mark.parametrize("old_kernel", [False, True])
def test_the_default_route_by_router_advertisement_survives(hosts, drive, old_kernel):
    near, far = hosts
    announce(far, "e0", "2001:db8:1::")
    router = far.link_local("e0")
    assert f"default via {router} dev e0 proto ra" in near.sh("ip -6 route")
    driven = drive(old_kernel=old_kernel)
    driven.call("start", links=LINKS)
    assert f"default via {router} dev e0 proto ra" in near.sh("ip -6 route")
    announce(far, "e0", "2001:db8:2::")
    assert "2001:db8:2::/64 dev e0 proto kernel" in near.sh("ip -6 route")
    announce(far, "w0", "2001:db8:3::")
    assert "2001:db8:3::" not in near.sh("ip -6 route"), "nobody in the mesh is our router"
    near.sh("ip link add e9 type veth peer name e8 && ip link set e9 up")
    assert near.sysctl("ipv6/conf/e9/forwarding") == "0"
    assert near.sysctl("ipv6/conf/e9/accept_ra") == "1"
    driven.call("stop")
    assert f"default via {router} dev e0 proto ra" in near.sh("ip -6 route")


def test_nothing_of_the_mesh_leaks_to_the_uplink(hosts, drive):
    near, far = hosts
    near.sh(f"ip -6 route add default via {far.link_local('e0')} dev e0")
    driven = drive()
    driven.call("start", links=LINKS)
    assert "No route to host" in near.sh("ip -6 route get fd01:203:405::77 2>&1 || true")
    assert driven.call("apply", changes=[["::/0", "w0", far.link_local("w0")]]) == []
    assert "dev e0" in near.sh("ip -6 route get 2001:db8::1"), "the host's own default stays"
    assert routes(driven, hosts, 1) == []
    assert f"src {OWN}" in near.sh("ip -6 route get fd01:203:405::10")


def test_a_route_is_replaced_and_removed(hosts, drive):
    near, far = hosts
    driven = drive()
    driven.call("start", links=LINKS)
    way = "fd01:203:405::77"
    assert driven.call("apply", changes=[[way, "w0", far.link_local("w0")]]) == []
    assert driven.call("apply", changes=[[way, "e0", far.link_local("e0")]]) == []
    shown = near.sh("ip -6 route show table 6696")
    assert shown.count(way) == 1 and f"{way} via {far.link_local('e0')} dev e0 proto 143" in shown
    assert driven.call("apply", changes=[[way], [way]]) == [], "it may be gone already"
    assert way not in near.sh("ip -6 route show table 6696")


def test_a_route_to_nowhere_hides_the_shorter_one_that_covers_it(hosts, drive):
    near, far = hosts
    driven = drive()
    driven.call("start", links=LINKS)
    hop, nowhere = far.link_local("w0"), ["fd77::1", "", "::"]
    assert driven.call("apply", changes=[["fd77::/16", "w0", hop], ["fd77::1", "w0", hop]]) == []
    assert driven.call("apply", changes=[nowhere, nowhere]) == []
    shown = near.sh("ip -6 route show table all")
    assert shown.count("fd77::1 ") == 1 and "unreachable fd77::1 " in shown
    assert driven.call("apply", changes=[["fd77::1", "w0", hop]]) == []
    shown = near.sh("ip -6 route show table all")
    assert shown.count("fd77::1 ") == 1 and "unreachable fd77::1 " not in shown
    assert driven.call("apply", changes=[nowhere, ["fd77::1"]]) == []
    assert "fd77::1 " not in near.sh("ip -6 route show table all")


def test_a_refused_route_says_why(hosts, drive):
    driven = drive()
    driven.call("start", links=LINKS)
    hosts[0].sh("ip link set w0 down")
    gateway = "fe80::1"
    changes = [["fd01:203:405::5", "w0", gateway], ["fd01:203:405::6", "x9", gateway]]
    good = ["fd01:203:405::7", "e0", gateway]
    failed = dict(driven.call("apply", changes=[*changes, good]))
    assert set(failed) == {"fd01:203:405::5/128", "fd01:203:405::6/128"}
    assert "down" in failed["fd01:203:405::5/128"]
    assert failed["fd01:203:405::6/128"] == "there is no interface x9"
    assert "fd01:203:405::7" in hosts[0].sh("ip -6 route show table 6696")


def test_a_thousand_routes_are_written_in_batches(hosts, drive, record_property):
    driven = drive()
    driven.call("start", links=LINKS)
    gateway = hosts[1].link_local("w0")
    names = [f"fd01:203:405::{number:x}" for number in range(16, 1016)]
    added = driven.call("timed", changes=[[name, "w0", gateway] for name in names])
    replaced = driven.call("timed", changes=[[name, "w0", gateway] for name in names])
    assert hosts[0].sh("ip -6 route show table 6696 | grep -c ' via '").strip() == "1000"
    removed = driven.call("timed", changes=[[name] for name in names])
    assert added["failed"] == replaced["failed"] == removed["failed"] == 0
    assert " via " not in hosts[0].sh("ip -6 route show table 6696")
    figures = {"added": added, "replaced": replaced, "removed": removed}
    record_property("figures", {**figures, "codec_us": driven.call("codec_us", count=200)})


def forced(host, name):
    """Return the setting that forwards for one interface, None where the kernel lacks it."""
    path = f"/proc/sys/net/ipv6/conf/{name}/force_forwarding"
    return host.sh(f"cat {path} 2>/dev/null || true").strip() or None


def test_an_interface_that_comes_back_is_set_up_again(hosts, drive):
    near, far = hosts
    driven = drive()
    driven.call("start", links={**LINKS, "late": "mesh"})
    near.sh("ip link del w0")
    join(near, "w0", far, "w0")
    join(near, "late", far, "late")
    for name in ("w0", "late"):
        driven.call("link_added", name=name, kind="mesh")
        driven.call("link_added", name=name, kind="mesh")
        assert near.sysctl(f"ipv6/conf/{name}/accept_ra") == "0"
        assert forced(near, name) in ("1", None)
    assert near.sh("ip -6 rule").count("iif w0 unreachable") == 1
    assert routes(driven, hosts, 1) == []
    driven.call("link_removed", name="late")
    assert forced(near, "late") in ("0", None)
    assert "iif late" not in near.sh("ip -6 rule")
    assert '"late"' not in near.sh("nft list table inet meshd")
    driven.call("stop")
    assert forced(near, "w0") in ("0", None)
    assert near.sysctl("ipv6/conf/w0/accept_ra") == "1"


def test_starting_twice_and_stopping_twice_is_the_same(hosts, drive):
    before = hosts[0].state()
    driven = drive()
    for _ in range(2):
        driven.call("recover")
        driven.call("start", links=LINKS)
    first = hosts[0].state()
    driven.call("start", links=LINKS)
    assert hosts[0].state() == first
    driven.call("stop")
    driven.call("stop")
    assert hosts[0].state() == before


# --- what cannot be ---------------------------------------------------------------------------


def test_a_second_daemon_in_the_namespace_is_refused(hosts, drive):
    first = drive()
    first.call("start", links=LINKS)
    during = hosts[0].state()
    refused = drive().ask("recover")
    assert f"another meshd (process {first.process.pid})" in refused["error"]
    assert hosts[0].state() == during
    first.kill()
    drive().call("recover")


def test_a_host_without_ipv6_is_told(hosts, drive):
    hosts[0].sysctl("ipv6/conf/lo/disable_ipv6", "1")
    before = hosts[0].state()
    refused = drive().ask("start", links=LINKS)
    assert "lo.disable_ipv6" in refused["error"] and "enable IPv6" in refused["remedy"]
    assert hosts[0].state() == before


def test_without_nft_the_mesh_is_not_started(hosts, drive, monkeypatch):
    before = hosts[0].state()
    driven = drive(no_nft=True)
    driven.call("recover")
    refused = driven.ask("start", links=LINKS)
    assert "nft is missing" in refused["error"] and "nftables" in refused["remedy"]
    assert hosts[0].state() == before


def test_without_rights_leaf_mode_is_offered(hosts, drive):
    driven = drive(drop_rights=True)
    for verb, arguments in (("recover", {}), ("start", {"links": LINKS})):
        refused = driven.ask(verb, **arguments)
        assert "CAP_NET_ADMIN" in refused["error"] and "leaf mode" in refused["remedy"]
        assert refused["code"] == 6


def test_a_name_that_would_change_the_ruleset_is_refused(hosts, drive):
    before = hosts[0].state()
    refused = drive().ask("start", links={'w0"; x': "mesh"})
    assert "is not an interface name" in refused["error"]
    assert hosts[0].state() == before


def test_a_state_directory_that_cannot_be_written_is_told(hosts, drive, tmp_path):
    before = hosts[0].state()
    refused = drive(state_dir=str(tmp_path / "missing")).ask("start", links=LINKS)
    assert "host.json" in refused["error"] and "--state-dir" in refused["remedy"]
    assert hosts[0].state() == before
