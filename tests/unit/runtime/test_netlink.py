"""Netlink messages: packed by us, read back by pyroute2's codec, and split without surprises."""

import subprocess
import sys
from ipaddress import IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from meshd.runtime import netlink
from meshd.runtime.netlink import NextHop, RouteKey

addresses = st.binary(min_size=16, max_size=16)
keys = st.builds(RouteKey, st.integers(1, 2**32 - 1), addresses, st.integers(0, 128))
hops = st.builds(NextHop, st.integers(1, 2**31 - 1), addresses)


@given(keys, hops, addresses)
def test_packed_route_reads_as_pyroute2_reads_it(key, hop, source):
    data = netlink.route_message(key, hop, source)
    fields, found = netlink.decode(netlink.load_codecs().route, data)
    assert fields["header"]["type"] == netlink.RTM_NEWROUTE
    assert fields["header"]["flags"] == 0x501, "request, create, replace"
    assert (fields["family"], fields["dst_len"], fields["proto"]) == (10, key.length, 143)
    assert (fields["type"], fields["scope"], fields["table"]) == (1, 0, 0)
    assert found == {
        "RTA_TABLE": key.table,
        "RTA_PRIORITY": 1024,
        "RTA_DST": str(IPv6Address(key.prefix)),
        "RTA_GATEWAY": str(IPv6Address(hop.gateway)),
        "RTA_PREFSRC": str(IPv6Address(source)),
        "RTA_OIF": hop.interface,
    }


@given(keys)
def test_packed_unreachable_route_reads_as_pyroute2_reads_it(key):
    fields, found = netlink.decode(netlink.load_codecs().route, netlink.unreachable_message(key))
    assert fields["header"]["type"] == netlink.RTM_NEWROUTE
    assert (fields["dst_len"], fields["proto"], fields["type"]) == (key.length, 143, 7)
    assert found == {
        "RTA_TABLE": key.table,
        "RTA_PRIORITY": 1024,
        "RTA_DST": str(IPv6Address(key.prefix)),
    }


@given(keys)
def test_packed_removal_reads_as_pyroute2_reads_it(key):
    fields, found = netlink.decode(netlink.load_codecs().route, netlink.route_removal(key))
    assert fields["header"]["type"] == netlink.RTM_DELROUTE
    assert (fields["dst_len"], fields["proto"]) == (key.length, 143)
    assert found == {
        "RTA_TABLE": key.table,
        "RTA_PRIORITY": 1024,
        "RTA_DST": str(IPv6Address(key.prefix)),
    }


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_messages_come_apart_as_they_were_joined(payloads):
    whole = [netlink.message(24, 0, payload) for payload in payloads]
    padded = b"".join(item + bytes(-len(item) % 4) for item in whole)
    assert [item for _, _, _, item in netlink.messages(padded)] == whole


@given(st.binary(max_size=200))
def test_any_bytes_come_apart_without_an_error(data):
    for _, _, _, item in netlink.messages(data):
        netlink.attributes(item, netlink.HEADER.size)


def test_the_codecs_do_not_load_the_rest_of_pyroute2():
    script = (
        "import sys\n"
        "from meshd.runtime import netlink\n"
        "netlink.load_codecs()\n"
        "few = sum(name.startswith('pyroute2') for name in sys.modules)\n"
        "from pyroute2 import IPRoute\n"
        "import pyroute2\n"
        "print(few, IPRoute.__name__, hasattr(pyroute2, 'netns'), pyroute2.IPRoute is IPRoute)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    few, *rest = done.stdout.split()
    assert int(few) < 20, done.stderr
    assert rest == ["IPRoute", "True", "True"]
