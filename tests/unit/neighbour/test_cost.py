"""Costs of links, from histories."""

import pytest

from meshd.core.events import LinkKind
from meshd.neighbour.cost import INFINITY, IP_LINK_MAX, link_cost, rx_cost
from meshd.neighbour.hello import HelloHistory


def pattern(bits: str) -> HelloHistory:
    """Build a history from 1 heard, 0 missed, oldest first."""
    made = HelloHistory()
    made.heard(0)
    for bit in bits[1:]:
        if bit == "1":
            made.heard(made.expected)
        else:
            made.missed()
    return made


@pytest.mark.parametrize(
    ("bits", "cost"),
    [
        ("1", 256),
        ("1" * 16, 256),
        ("1" * 15 + "0", 273),
        ("1" * 14 + "00", 512),
        ("1" * 13 + "000", 1024),
        ("1" * 12 + "0000", 2048),
        ("1" * 9 + "0" * 7, IP_LINK_MAX),
        ("1" * 8 + "0" * 8, INFINITY),
        ("10" * 7 + "11", 455),
        ("1" + "0" * 16, INFINITY),
    ],
)
def test_wireless_cost(bits, cost):
    assert rx_cost(LinkKind.MESH, pattern(bits), HelloHistory()) == cost


@pytest.mark.parametrize(
    ("bits", "cost"),
    [("1", 96), ("10", INFINITY), ("101", 96), ("110", 96), ("1100", INFINITY), ("1001", INFINITY)],
)
def test_wired_cost_is_two_of_three(bits, cost):
    assert rx_cost(LinkKind.WIRED, pattern(bits), HelloHistory()) == cost


def test_wired_link_lives_by_unicast_hellos_alone_and_a_wireless_one_does_not():
    assert rx_cost(LinkKind.WIRED, HelloHistory(), pattern("11")) == 96
    assert rx_cost(LinkKind.MESH, HelloHistory(), pattern("11")) == INFINITY


@pytest.mark.parametrize(
    ("kind", "rxcost", "txcost", "cost"),
    [
        (LinkKind.MESH, 256, 256, 256),
        (LinkKind.MESH, 256, 96, 256),
        (LinkKind.MESH, 512, 512, 1024),
        (LinkKind.MESH, 2048, 2048, 2048),
        (LinkKind.MESH, 256, INFINITY, INFINITY),
        (LinkKind.MESH, INFINITY, 256, INFINITY),
        (LinkKind.WIRED, 96, 0, 1),
        (LinkKind.WIRED, 96, 200, 200),
    ],
)
def test_link_cost_is_never_zero_and_infinite_when_one_side_is(kind, rxcost, txcost, cost):
    assert link_cost(kind, rxcost, txcost) == cost
