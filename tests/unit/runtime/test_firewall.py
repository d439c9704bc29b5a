"""The text of the packet filter."""

import pytest

from meshd.config.values import Admit
from meshd.core.ids import parse_prefix
from meshd.runtime.firewall import Policy, check_name, ruleset
from meshd.runtime.netlink import KernelError

POLICY = Policy(
    own=parse_prefix("fd01:203:405::2").address,
    mesh=parse_prefix("fd01:203:405::/48"),
    admit=(Admit("udp", 9797), Admit("tcp", 22)),
    mesh_links=("w0",),
    shared_links=("e0",),
    opened=("w0",),
    opened_all=False,
    lan=(parse_prefix("2001:db8:1::/64"), parse_prefix("2001:db8:1::/80")),
)


def test_only_our_ports_and_the_admitted_ones_are_open():
    text = ruleset(POLICY)
    assert "udp dport { 6696, 6697, 9797 } accept" in text
    assert "tcp dport { 22, 6697 } accept" in text


def test_own_datagrams_are_not_tracked_either_way():
    text = ruleset(POLICY)
    assert "fe80::/10, ff02::/16 } udp dport { 6696, 6697 } notrack" in text
    assert "fe80::/10, ff02::/16 } udp sport { 6696, 6697 } notrack" in text


def test_sets_without_members_have_no_elements():
    text = ruleset(POLICY._replace(mesh_links=(), shared_links=(), opened=(), lan=()))
    assert "elements" not in text


def test_prefixes_within_others_are_left_out():
    assert "elements = { 2001:db8:1::/64 };" in ruleset(POLICY)


@pytest.mark.parametrize("name", ["", "a" * 16, 'w0"', "w0 }", "w*", "w0;", "w0\n", "wé"])
def test_a_name_that_is_no_plain_word_is_refused(name):
    with pytest.raises(KernelError) as refused:
        check_name(name)
    assert refused.value.remedy
    with pytest.raises(KernelError):
        ruleset(POLICY._replace(mesh_links=(name,)))


def test_usual_names_pass():
    for name in ("w0", "wlan0", "br-lan", "eth0.100", "enp0s31f6", "wg_home@x"):
        assert check_name(name) == name
