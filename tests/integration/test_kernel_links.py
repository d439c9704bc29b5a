"""The link monitor, and the kind of a link, on real interfaces."""

import json
import subprocess
import sys

import pytest
from integration.kernel_host import ENVIRONMENT, Host, needs_namespaces

from meshd.core.events import LinkKind
from meshd.runtime.links import detect_kind

pytestmark = needs_namespaces

WATCH = """
import json, select, sys
from meshd.runtime.links import LinkMonitor
monitor = LinkMonitor(sys.argv[1:])
changes = monitor.scan()
assert not any(name.startswith("pyroute2") for name in sys.modules)
while True:
    if monitor.take_host_changed():
        print('"host"', flush=True)
    for change in changes:
        address = change.link_local.hex() if change.link_local else None
        print(json.dumps([*change[:3], address, *change[4:]]), flush=True)
    select.select([monitor], [], [])
    changes = monitor.read()
"""


class Watch:
    """A monitor in its own process; `until` reads its lines up to one that fits."""

    def __init__(self, host, *names):
        self.process = host.start(sys.executable, "-c", WATCH, *names)

    def until(self, fits):
        seen = []
        for line in self.process.stdout:
            seen.append(json.loads(line))
            if fits(seen[-1]):
                return seen
        raise AssertionError(f"the monitor ended after {seen}")

    def change(self, fits):
        return self.until(lambda item: item != "host" and fits(*item))[-1]

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def host():
    host = Host()
    yield host
    host.close()


@pytest.fixture
def watch(host):
    watch = Watch(host, "w0", "w1")
    yield watch
    watch.close()


def test_a_missing_interface_is_reported_as_gone(watch):
    assert watch.until(lambda item: item[0] == "w1") == [
        "host",
        ["w0", 0, False, None, 0, True],
        ["w1", 0, False, None, 0, True],
    ]


def test_a_tentative_address_is_waited_for(host, watch):
    host.sh("ip link add w0 type veth peer name w1; ip link set w0 up; ip link set w1 up")
    _, index, up, _, mtu, gone = watch.change(lambda name, index, up, *_: name == "w0" and up)
    assert (up, mtu, gone) == (True, 1500, False)
    assert "tentative" in host.sh("ip -6 addr show dev w0")
    found = watch.change(lambda name, index, up, address, *_: name == "w0" and address)
    assert found[1] == index and found[3].startswith("fe80")
    assert "tentative" not in host.sh("ip -6 addr show dev w0")


def test_an_interface_that_comes_back_has_another_index(host, watch):
    host.sh("ip link add w0 type veth peer name w1; ip link set w0 up; ip link set w1 up")
    first = watch.change(lambda name, index, up, *_: name == "w0" and up)
    host.sh("ip link del w0")
    watch.change(lambda name, *rest: name == "w0" and rest[-1])
    host.sh("ip link add w0 type veth peer name w1; ip link set w0 up; ip link set w1 up")
    second = watch.change(lambda name, index, up, *_: name == "w0" and up)
    assert second[1] != first[1]


def test_carrier_loss_is_down(host, watch):
    host.sh("ip link add w0 type veth peer name w1; ip link set w0 up; ip link set w1 up")
    watch.change(lambda name, index, up, *_: name == "w0" and up)
    host.sh("ip link set w1 down")
    watch.change(lambda name, index, up, *_: name == "w0" and not up)


def test_a_port_that_leaves_a_bridge_is_not_gone(host, watch):
    host.sh(
        "ip link add bridge0 type bridge; ip link add w0 type veth peer name x0; ip link set w0 up"
    )
    watch.change(lambda name, index, *_: name == "w0" and index)
    host.sh("ip link set w0 master bridge0; ip link set w0 nomaster; ip link set w0 mtu 1400")
    seen = watch.until(lambda item: item[0] == "w0" and item[4] == 1400)
    assert not any(item[0] == "w0" and item[5] for item in seen)


def test_a_renamed_interface_is_gone_and_the_other_is_there(host, watch):
    host.sh("ip link add w0 type veth peer name x0")
    index = watch.change(lambda name, index, *_: name == "w0" and index)[1]
    host.sh("ip link set w0 name w1")
    seen = watch.until(lambda item: item[0] == "w1" and item[1] == index)
    assert ["w0", 0, False, None, 0, True] in seen


def test_routes_of_other_tables_wake_nobody(host, watch):
    host.sysctl("ipv6/conf/default/accept_dad", "0")
    host.sh("ip link add w0 type veth peer name w1; ip link set w0 up; ip link set w1 up")
    host.sh("ip -6 addr add 2001:db8::1/64 dev w0 nodad; ip link set w1 mtu 1400")
    watch.change(lambda name, index, up, address, mtu, _: name == "w1" and mtu == 1400)
    host.sh("ip -6 route add 2001:db8:9::/48 dev w0 table 6697; ip link set w1 mtu 1401")
    assert "host" not in watch.until(lambda item: item[0] == "w1" and item[4] == 1401)
    host.sh("ip -6 route add 2001:db8:9::/48 dev w0")
    watch.until(lambda item: item == "host")


def test_lost_messages_are_made_up_for(host):
    """A monitor that sleeps through more than its socket holds looks at everything anew."""
    script = """
import subprocess
from meshd.runtime.links import LinkMonitor
monitor = LinkMonitor(["w0"])
monitor.scan()
flaps = "link set w1 mtu 1400\\nlink set w1 mtu 1500\\n" * 400
lines = "link add w0 type veth peer name w1\\n" + flaps + "link set w0 mtu 1300\\n"
subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)
print(monitor.read()[-1].mtu)
"""
    done = subprocess.run(
        [*host.enter, sys.executable, "-c", script], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert done.stdout == "1300\n", done.stderr


def test_what_is_no_radio_is_shared():
    assert detect_kind("lo") is LinkKind.SHARED
    assert detect_kind("no-such-link") is LinkKind.SHARED
