"""Knocks: when they are sent, what they may cause, and what is refused by name."""

import pytest
from devices.session_net import SECOND, SessionNet

from meshd.core.drops import DropReason
from meshd.core.events import Datagram, Transmit
from meshd.core.ids import ALL_NODES
from meshd.session.knock import SEEKS_MAX
from meshd.session.peers import DIALS_MAX, NEIGHBOURS_LINK_MAX, NEIGHBOURS_MAX
from meshd.wire.knock import Knock

OTHER = b"\xfe\x80" + bytes(13) + b"\x09"


def knocks(net, name):
    """Return (destination is multicast) of the datagrams that a node sent."""
    return [
        out.destination == ALL_NODES
        for host, out in net.wire
        if host == name and isinstance(out, Transmit)
    ]


def hear(net, host, *, node=b"n" * 10, source=OTHER, link="w0", port=6697, data=None, mesh=None):
    knock = Knock(net.mesh if mesh is None else mesh, node, port)
    datagram = Datagram(source, 6697, knock.encode() if data is None else data, True)
    host.sessions.receive(link, datagram, net.now)


def test_knocks_at_0_1_4_and_16_seconds_while_alone():
    net = SessionNet("a")
    net.link("w0", "a")
    counts = []
    for at in (0.5, 1.5, 4.5, 16.5, 600):
        net.run(at - (net.now / SECOND - 1000))
        counts.append(len(knocks(net, "a")))
    assert counts == [1, 2, 3, 4, 4]


def test_session_on_the_link_ends_the_knocking():
    net = SessionNet("a", "b")
    net.link("w0", "a", "b")
    net.run(60)
    assert sum(knocks(net, "a")) <= 2 and sum(knocks(net, "b")) <= 2


def test_link_that_went_down_is_not_knocked():
    net = SessionNet("a")
    net.link("w0", "a")
    net.unlink("w0")
    net.link("w0", "a")
    net.run(60)
    assert len(knocks(net, "a")) == 5


def test_larger_node_dials_after_a_grace_period_when_the_smaller_does_not():
    net = SessionNet("a")
    net.link("w0", "a")
    hear(net, net["a"], node=bytes(10))
    net.run(1.9)
    assert not net["a"].opens
    net.run(0.2)
    assert len(net["a"].opens) == 1


def test_node_that_only_dials_is_answered_and_not_dialled():
    net = SessionNet("a")
    net.link("w0", "a")
    hear(net, net["a"], port=0)
    net.drain(net["a"])
    assert Knock.decode(net.wire[-1][1].data).answer
    net.run(30)
    assert not net["a"].opens


def test_answer_is_sent_by_unicast_and_gets_no_answer():
    net = SessionNet("a", "b")
    net.link("w0", "a", "b")
    net.run(0.5)
    sent = [Knock.decode(out.data) for _, out in net.wire if isinstance(out, Transmit)]
    assert [knock.answer for knock in sent] == [False, False, True, True]


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        (DropReason.UNKNOWN_LINK, {"link": "w9"}),
        (DropReason.KNOCK_MISPLACED, {"source": b"\xfd" + bytes(15)}),
        (DropReason.KNOCK_MALFORMED, {"data": b"\x01"}),
        (DropReason.KNOCK_MALFORMED, {"port": 22}),
        (DropReason.SESSION_OTHER_MESH, {"mesh": b"other"}),
    ],
)
def test_bad_knock_is_dropped_by_name(reason, change):
    net = SessionNet("a")
    net.link("w0", "a")
    hear(net, net["a"], **change)
    net.run(10)
    assert net["a"].ctx.drops.total(reason) == 1 and not net["a"].opens


def test_own_node_id_in_a_knock_is_dropped():
    net = SessionNet("a")
    net.link("w0", "a")
    hear(net, net["a"], node=net["a"].node)
    net.run(10)
    assert net["a"].ctx.drops.total(DropReason.NODE_SELF) == 1 and not net["a"].opens


def test_knocks_of_one_source_are_limited():
    net = SessionNet("a")
    net.link("w0", "a")
    for _ in range(20):
        hear(net, net["a"])
    assert net["a"].ctx.drops.total(DropReason.KNOCK_LIMITED) == 16


def test_flood_of_forged_knocks_fills_only_bounded_tables():
    net = SessionNet("a")
    a = net["a"]
    for link in range(8):
        net.link(f"w{link}", "a")
    for number in range(3000):
        source = b"\xfe\x80" + number.to_bytes(14, "big")
        hear(net, a, source=source, node=number.to_bytes(10, "big"), link=f"w{number % 8}")
        net.run(0.01)
    assert len(a.sessions.targets) <= NEIGHBOURS_MAX
    for link in range(8):
        held = [each for each in a.sessions.targets.all() if each.link == f"w{link}"]
        assert len(held) <= NEIGHBOURS_LINK_MAX
    assert a.ctx.drops.total(DropReason.KNOCK_LIMITED) > 0


def test_flood_does_not_push_out_a_neighbour_that_has_proven_itself():
    net = SessionNet("a", "b")
    net.link("w0", "a", "b")
    net.run(5)
    a = net["a"]
    for number in range(1, 2000):
        source = b"\xfe\x80" + number.to_bytes(14, "big")
        hear(net, a, source=source, node=number.to_bytes(10, "big"))
        net.run(0.1)
    assert net["b"].node in [target.node for target in a.sessions.targets.all()]


def test_dials_under_way_are_bounded():
    net = SessionNet("a")
    net.link("w0", "a")
    net.latency = 9 * SECOND
    a = net["a"]
    for number in range(1, 60):
        source = b"\xfe\x80" + number.to_bytes(14, "big")
        hear(net, a, source=source, node=b"\xff" * 9 + bytes([number]))
    net.run(1)
    assert len(a.opens) == DIALS_MAX


def test_neighbour_that_never_answers_is_forgotten_after_five_tries():
    net = SessionNet("a")
    net.link("w0", "a")
    hear(net, net["a"], node=b"\xff" * 10)
    net.run(600)
    assert len(net["a"].opens) == 5 and len(net["a"].sessions.targets) == 0


def test_forged_node_id_in_a_knock_costs_one_try_only():
    net = SessionNet("a", "b", "c")
    net.link("w0", "a", "b", "c")
    net.run(5)
    a, b, c = net["a"], net["b"], net["c"]
    a.sessions.close(a.up()[b.node], "test", net.now)
    hear(net, a, node=c.node, source=b.links["w0"])
    net.run(20)
    assert set(a.up()) == {b.node, c.node}


def test_neighbour_heard_by_routing_is_knocked_by_unicast_ever_more_slowly():
    net = SessionNet("a")
    net.link("w0", "a")
    net["a"].sessions.neighbour_seen("w0", OTHER, net.now)
    net["a"].sessions.neighbour_seen("w0", OTHER, net.now)
    net.drain(net["a"])
    counts = []
    for _ in range(3):
        net.run(100)
        counts.append(knocks(net, "a").count(False))
    assert counts == [5, 6, 8]


def test_neighbour_with_a_session_is_not_knocked():
    net = SessionNet("a", "b")
    net.link("w0", "a", "b")
    net.run(5)
    net["a"].sessions.neighbour_seen("w0", net["b"].links["w0"], net.now)
    net.drain(net["a"])
    net.wire.clear()
    net.run(1000)
    assert not net.wire


def test_lossy_neighbour_is_found_again_while_routing_hears_it():
    net = SessionNet("a", "b")
    net.link("w0", "a", "b")
    net.run(5)
    for name, other in (("a", "b"), ("b", "a")):
        net[name].sessions.neighbour_seen("w0", net[other].links["w0"], net.now)
    net.reachable = False
    net["a"].sessions.close(net["a"].up()[net["b"].node], "test", net.now)
    net.drain(net["a"])
    net.run(600)
    assert not net["a"].up()
    net.reachable = True
    net.run(70)
    assert net["a"].up() and net["b"].up()


def test_forged_claim_about_a_neighbours_address_does_not_keep_it_from_a_session():
    net = SessionNet("a", "b", "c")
    net.link("w0", "a", "b", "c")
    net.run(5)
    a, b, c = net["a"], net["b"], net["c"]
    for name in ("a", "b"):
        other = {"a": b, "b": a}[name]
        hear(net, net[name], node=c.node, source=other.links["w0"])
    a.sessions.close(a.up()[b.node], "test", net.now)
    net.drain(a)
    net.run(10)
    assert b.node in a.up() and a.node in b.up()


def test_neighbour_heard_by_routing_gets_a_session():
    net = SessionNet("a", "b")
    net.link("w0", "a", "b")
    net.calls.clear()
    net["a"].sessions.neighbour_seen("w0", net["b"].links["w0"], net.now)
    net.drain(net["a"])
    net.run(0.9)
    assert net["b"].node in net["a"].up()


def test_seeking_stops_when_routing_loses_the_neighbour_or_the_link_goes():
    net = SessionNet("a")
    net.link("w0", "a")
    a = net["a"]
    a.sessions.neighbour_seen("w0", OTHER, net.now)
    a.sessions.neighbour_lost("w0", OTHER, net.now)
    a.sessions.neighbour_seen("w0", OTHER[:-1] + b"\x01", net.now)
    net.drain(a)
    net.unlink("w0")
    net.run(60)
    assert knocks(net, "a").count(False) == 2


def test_neighbours_sought_at_once_are_bounded():
    net = SessionNet("a")
    net.link("w0", "a")
    for number in range(SEEKS_MAX + 10):
        address = b"\xfe\x80" + number.to_bytes(14, "big")
        net["a"].sessions.neighbour_seen("w0", address, net.now)
    assert net["a"].ctx.drops.total(DropReason.KNOCK_LIMITED) == 10
