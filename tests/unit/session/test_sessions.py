"""Sessions between whole nodes: found, kept, replaced, closed, in a dialogue of virtual seconds."""

from itertools import pairwise

import pytest
from devices.session_net import SECOND, SessionNet

from meshd.core.crypto import exchange_public
from meshd.core.drops import DropReason
from meshd.core.errors import UsageError
from meshd.core.events import Link, LinkKind
from meshd.core.ids import address_text, node_text
from meshd.core.limits import STREAM_CREDIT_BYTES
from meshd.session import roster
from meshd.session.connection import QUEUE_BYTES_MAX
from meshd.session.events import BulkReceived, RecordReceived, SessionDown, SessionRoom, SessionUp
from meshd.session.gate import HALF_OPEN_INGRESS_MAX, HALF_OPEN_MAX, HALF_OPEN_SOURCE_MAX
from meshd.session.known import Keys


def pair(**options):
    """Return a net of two linked nodes whose session is up, the smaller NodeId first."""
    net = SessionNet("a", "b", **options)
    net.link("w0", "a", "b")
    net.run(3)
    small, large = sorted(net.hosts.values(), key=lambda host: host.node)
    return net, small, large


def test_neighbours_find_each_other_by_knock():
    _, small, large = pair()
    assert list(small.up()) == [large.node] and list(large.up()) == [small.node]
    up = small.of(SessionUp)[0]
    assert (up.via, up.link, up.public) == ("link", "w0", large.identity.public)


def test_only_the_smaller_node_dials():
    _, small, large = pair()
    assert len(small.opens) == 1 and not large.opens


def test_records_and_bulks_arrive_in_order_and_whole():
    net, small, large = pair()
    session = small.up()[large.node]
    bulk = bytes(range(256)) * 256
    assert small.sessions.send(session, b"one")
    assert small.sessions.send_bulk(session, b"head", bulk)
    assert small.sessions.send(session, b"three")
    net.drain(small)
    net.run(1)
    number = large.up()[small.node]
    assert large.events[1:] == [
        RecordReceived(number, b"one"),
        BulkReceived(number, b"head", bulk),
        RecordReceived(number, b"three"),
    ]


def openings(net, name):
    """Return the pattern codes (1 IK, 2 XX) of the streams that a node opened."""
    sent = [data for host, data in net.wire if host == name and isinstance(data, bytes)]
    return [data[3] for data in sent if data.startswith(b"md\x01")]


def test_remembered_key_is_used_for_the_next_session():
    net, small, large = pair()
    small.sessions.close(small.up()[large.node], "test", net.now)
    net.drain(small)
    net.run(5)
    assert openings(net, small.name) == [2, 1]
    assert large.node in small.up() and small.node in large.up()


def test_changed_session_key_falls_back_to_first_contact_once():
    net, small, large = pair()
    large.identity = large.identity._replace(session_secret=b"\x07" * 32)
    net.crash(large.name, tell=True, boot=2)
    net.run(5)
    assert openings(net, small.name)[:3] == [2, 1, 2]
    assert large.ctx.drops.total(DropReason.HANDSHAKE_FORGED) == 1
    assert large.node in small.up()
    keys = small.sessions.known.static(large.node)
    assert keys == exchange_public(b"\x07" * 32)


@pytest.mark.parametrize("tell", [True, False], ids=["closed", "silent"])
@pytest.mark.parametrize("which", [0, 1], ids=["small", "large"])
def test_restarted_neighbour_gets_a_new_session(which, tell):
    net, *hosts = pair()
    back, other = hosts[which], hosts[1 - which]
    net.crash(back.name, tell=tell, boot=2)
    net.run(8)
    assert list(back.up()) == [other.node] and list(other.up()) == [back.node]
    assert len(other.of(SessionDown)) == 1


def test_link_down_closes_its_sessions_at_once():
    net, small, large = pair()
    net.unlink("w0")
    assert not small.up() and not large.up()
    assert small.of(SessionDown)[0].why == "link down"


def test_second_link_to_a_neighbour_waits_until_the_first_dies():
    net, small, large = pair()
    net.link("w1", "a", "b")
    net.run(30)
    assert len(small.of(SessionUp)) == 1 and len(large.of(SessionUp)) == 1
    net.unlink("w0")
    net.run(5)
    assert small.of(SessionUp)[-1].link == "w1" and small.up() and large.up()


@pytest.mark.parametrize("seed", range(6))
def test_two_links_that_come_up_together_end_in_one_session(seed):
    net = SessionNet("a", "b", seed=seed, fragment_max=40)
    net.link("w0", "a", "b")
    net.link("w1", "a", "b")
    net.run(20)
    a, b = net["a"], net["b"]
    assert list(a.up()) == [b.node] and list(b.up()) == [a.node]
    assert len(a.pipes) == 1 and list(a.pipes.values()) == list(b.pipes.values())


@pytest.mark.parametrize("seed", range(8))
def test_two_sessions_dialled_at_once_end_in_the_same_one(seed):
    net = SessionNet("a", "b", seed=seed, fragment_max=40)
    net.route("a", "b")
    net["a"].sessions.set_peers(("tcp://b:6697",), net.now)
    net["b"].sessions.set_peers(("tcp://a:6697",), net.now)
    net.run(20)
    a, b = net["a"], net["b"]
    assert list(a.up()) == [b.node] and list(b.up()) == [a.node]
    assert len(a.pipes) == 1 and list(a.pipes.values()) == list(b.pipes.values())


@pytest.mark.parametrize("seed", range(4))
def test_two_names_of_one_peer_end_in_one_session(seed):
    net = SessionNet("a", "b", seed=seed, fragment_max=40)
    net.route("a", "b")
    peers = ("tcp://b:6697", f"tcp://[{address_text(net['b'].address)}]:6697")
    net["a"].sessions.set_peers(peers, net.now)
    net.run(30)
    assert len(net["a"].up()) == 1 and len(net["a"].pipes) == 1
    opens = len(net["a"].opens)
    net.run(300)
    assert len(net["a"].opens) == opens


def test_wanted_node_is_dialled_at_its_mesh_address_and_left_when_unwanted():
    net = SessionNet("a", "b")
    net.route("a", "b")
    a, b = net["a"], net["b"]
    a.sessions.want(b.node, net.now)
    a.sessions.want(b.node, net.now)
    net.run(3)
    assert a.of(SessionUp)[0].via == "route" and b.of(SessionUp)[0].via == "route"
    a.sessions.unwant(b.node, net.now)
    assert a.up() or a.events
    net.drain(a)
    assert a.up()
    a.sessions.unwant(b.node, net.now)
    net.drain(a)
    net.run(60)
    assert not a.up() and not b.up() and len(a.opens) == 1


def test_new_route_ends_the_backoff_of_a_wanted_node():
    net = SessionNet("a", "b")
    a, b = net["a"], net["b"]
    a.sessions.want(b.node, net.now)
    net.run(200)
    assert not a.up()
    net.route("a", "b")
    a.sessions.route_seen(b.node, net.now)
    net.run(1)
    assert a.up()


def test_wanted_node_behind_lora_is_dialled_when_there_is_another_way():
    net = SessionNet("a", "b")
    net.route("a", "b")
    a, b = net["a"], net["b"]
    thin = {b.node}
    a.sessions.targets.is_thin = thin.__contains__
    a.sessions.want(b.node, net.now)
    net.run(300)
    assert not a.opens and a.sessions.is_thin(b.node)
    thin.clear()
    net.run(6)
    assert a.up() and len(a.opens) == 1


def test_routed_session_gives_way_to_a_direct_one():
    net = SessionNet("a", "b")
    net.route("a", "b")
    a, b = net["a"], net["b"]
    a.sessions.want(b.node, net.now)
    net.run(20)
    net.link("w0", "a", "b")
    net.run(5)
    assert [event.via for event in a.of(SessionUp)] == ["route", "link"]
    assert len(a.pipes) == 1 and a.up() and b.up()
    net.run(300)
    assert len(a.of(SessionUp)) == 2
    net.unlink("w0")
    net.run(5)
    assert a.of(SessionUp)[-1].via == "route" and a.up()


def test_dialled_address_must_be_proven():
    net = SessionNet("a", "b", "c")
    net.route("a", "b", "c")
    a, b, c = net["a"], net["b"], net["c"]
    find = net.find
    net.find = lambda host, event: (c, *find(host, event)[1:])
    a.sessions.want(b.node, net.now)
    net.run(0.3)
    assert a.ctx.drops.total(DropReason.NODE_UNEXPECTED) == 1
    assert not a.up() and not c.up() and not c.of(SessionUp)


def test_mesh_address_of_an_incoming_stream_must_be_proven():
    net = SessionNet("a", "b", "c")
    net.route("a", "b", "c")
    a, b, c = net["a"], net["b"], net["c"]
    find = net.find
    net.find = lambda host, event: (find(host, event)[0], address_text(c.address), "")
    a.sessions.want(b.node, net.now)
    net.run(0.3)
    assert b.ctx.drops.total(DropReason.NODE_UNEXPECTED) == 1 and not b.of(SessionUp)


def test_session_with_oneself_is_refused():
    net = SessionNet("a")
    net.route("a")
    net["a"].sessions.set_peers(("tcp://a:6697",), net.now)
    net.run(1)
    assert net["a"].ctx.drops.total(DropReason.NODE_SELF) >= 1
    assert not net["a"].of(SessionUp)


def test_two_keys_with_one_node_id_are_both_refused_and_reported():
    net, small, large = pair()
    small.sessions.known.meet(large.node, Keys(b"another key of that NodeId".ljust(32), b"s" * 32))
    net.crash(large.name, tell=False, boot=2)
    net.run(20)
    assert not small.up()
    assert small.ctx.drops.total(DropReason.NODE_TWIN) >= 1
    notice = next(each for each in small.notices if each.kind == "node-twin")
    assert notice.warning and notice.fields == {"node": node_text(large.node)}


def test_replayed_first_message_does_nothing():
    net, small, large = pair()
    small.sessions.close(small.up()[large.node], "test", net.now)
    net.drain(small)
    net.run(5)
    recorded = [data for host, data in net.wire if isinstance(data, bytes) and data[3:4] == b"\1"]
    (first,) = [data for data in recorded if data.startswith(b"md\x01\x01")]
    before = (list(large.events), len(large.sessions.known), large.sessions.statuses(net.now))
    stream = large.sessions.stream_accepted("fe80::99%w0", "w0", net.now)
    large.sessions.stream_received(stream, first, net.now)
    answer = large.sessions.poll_send()
    assert answer is not None and answer.stream == stream
    assert large.sessions.poll_event() is None
    after = (list(large.events), len(large.sessions.known), large.sessions.statuses(net.now))
    assert after == before
    net.run(6)
    assert large.ctx.drops.total(DropReason.HANDSHAKE_TIMEOUT) == 1
    assert large.up() == {small.node: large.of(SessionUp)[-1].session}


def test_half_open_flood_of_one_source_is_bounded():
    net, _, large = pair()
    streams = [large.sessions.stream_accepted("fe80::1", "w0", net.now) for _ in range(100)]
    assert sum(stream is not None for stream in streams) == HALF_OPEN_SOURCE_MAX
    assert large.ctx.drops.total(DropReason.HANDSHAKE_BUSY) == 96


def test_half_open_flood_of_one_ingress_leaves_room_for_another():
    net, _, large = pair()
    net.link("w1", "a", "b")
    streams = [large.sessions.stream_accepted(f"fe80::{n:x}", "w0", net.now) for n in range(500)]
    assert sum(stream is not None for stream in streams) == HALF_OPEN_INGRESS_MAX
    assert large.sessions.stream_accepted("fe80::1", "w1", net.now) is not None


def test_half_open_flood_from_afar_leaves_room_for_neighbours_and_other_interfaces():
    net, _, large = pair()
    far = [large.sessions.stream_accepted(f"2001:db8::{n:x}", "w0", net.now) for n in range(500)]
    assert sum(stream is not None for stream in far) == HALF_OPEN_INGRESS_MAX
    assert large.sessions.stream_accepted("fe80::1", "w0", net.now) is not None
    assert large.sessions.stream_accepted("10.9.0.2", "eth0", net.now) is not None


def test_half_open_handshakes_are_bounded_in_total():
    net, _, large = pair()
    for number in range(9):
        large.sessions.link_up(Link(f"x{number}", LinkKind.SHARED, b"\xfe\x80" * 8), net.now)
    streams = [
        large.sessions.stream_accepted(f"fe80::{source:x}", f"x{number}", net.now)
        for source in range(20)
        for number in range(9)
    ]
    assert sum(stream is not None for stream in streams) == HALF_OPEN_MAX


def test_handshakes_of_one_source_are_limited_in_rate():
    net, _, large = pair()
    taken = 0
    for _ in range(60):
        stream = large.sessions.stream_accepted("fe80::1", "w0", net.now)
        taken += stream is not None
        if stream is not None:
            large.sessions.stream_closed(stream, "closed", net.now)
    assert taken == 8
    assert large.ctx.drops.total(DropReason.HANDSHAKE_LIMITED) == 52


def test_stream_on_a_link_that_is_not_up_is_refused():
    net, _, large = pair()
    assert large.sessions.stream_accepted("fe80::1", "w9", net.now) is None
    assert large.ctx.drops.total(DropReason.UNKNOWN_LINK) == 1
    assert large.sessions.stream_accepted("127.0.0.1", "lo", net.now) is not None


def test_full_table_evicts_the_youngest_of_the_crowded_ingress(monkeypatch):
    monkeypatch.setattr(roster, "SESSIONS_MAX", 2)
    names = ("hub", "x", "y", "z", "late")
    net = SessionNet(*names)
    hub = net["hub"]
    net.link("w0", "hub", "x", "y", "z")
    net.run(4)
    assert len(hub.up()) == 2
    assert hub.ctx.drops.total(DropReason.SESSION_FULL) >= 1
    youngest = hub.of(SessionUp)[-1].node
    net.link("w1", "hub", "late")
    net.run(4)
    assert net["late"].node in hub.up() and youngest not in hub.up()
    assert hub.ctx.drops.total(DropReason.SESSION_EVICTED) == 1


def test_bytes_leave_only_within_credit_and_the_queue_is_bounded():
    net, small, large = pair()
    session = small.up()[large.node]
    taken = 0
    while small.sessions.send_bulk(session, b"h", bytes(65536)):
        taken += 65536
    assert taken <= QUEUE_BYTES_MAX and small.sessions.room(session) < 65537
    sent = 0
    while (piece := small.sessions.poll_send()) is not None:
        sent += len(piece.data)
    assert sent == STREAM_CREDIT_BYTES
    small.sessions.stream_writable(2, 100_000, net.now)
    assert sum(len(piece.data) for piece in iter(small.sessions.poll_send, None)) == 100_000
    assert small.sessions.poll_event() == SessionRoom(session)
    assert small.sessions.poll_event() is None


def test_streams_are_served_in_turn():
    net = SessionNet("a", "b", "c")
    net.route("a", "b", "c")
    a = net["a"]
    for other in ("b", "c"):
        a.sessions.want(net[other].node, net.now)
    net.run(3)
    for session in a.up().values():
        for _ in range(3):
            assert a.sessions.send_bulk(session, b"", bytes(65536))
    order = [piece.stream for piece in iter(a.sessions.poll_send, None) if len(piece.data) > 9999]
    assert order[:4] == [2, 4, 2, 4]


def test_sending_to_a_session_that_is_gone_is_refused():
    _, small, _ = pair()
    assert not small.sessions.send(99, b"x") and not small.sessions.send_bulk(99, b"x", b"y")
    assert small.sessions.room(99) == 0


def test_record_too_long_is_our_callers_mistake():
    _, small, large = pair()
    with pytest.raises(UsageError):
        small.sessions.send(small.up()[large.node], bytes(65536))
    with pytest.raises(UsageError):
        small.sessions.send_bulk(small.up()[large.node], b"", bytes(65537))


def test_idle_session_sends_nothing():
    net, small, _ = pair()
    net.run(20)
    net.wire.clear()
    net.run(3600)
    assert small.up() and not net.wire


def test_forged_record_ends_the_session_by_name():
    net, small, large = pair()
    (stream,) = large.pipes
    large.sessions.stream_received(stream, b"\x00\x20" + bytes(32), net.now)
    net.drain(large)
    assert large.ctx.drops.total(DropReason.RECORD_FORGED) == 1
    assert large.of(SessionDown)[0].why == "record-forged"
    net.run(5)
    assert small.up() and large.up()


def test_neighbour_that_routing_lost_loses_its_idle_session():
    net, small, large = pair()
    address = large.links["w0"]
    small.sessions.neighbour_lost("w0", address, net.now)
    net.drain(small)
    assert small.up()
    net.run(11)
    small.sessions.neighbour_lost("w0", address, net.now)
    net.drain(small)
    assert not small.up()


def test_unreachable_peer_is_dialled_forever_with_backoff_up_to_a_minute():
    net = SessionNet("a")
    a = net["a"]
    a.sessions.set_peers(("tcp://nowhere:6697",), net.now)
    at = []
    while len(at) < 20:
        before = len(a.opens)
        net.run(0.1)
        at += [net.now] * (len(a.opens) - before)
    gaps = [(later - sooner) / SECOND for sooner, later in pairwise(at)]
    assert (
        gaps[0] <= 1.2 and all(gap <= 60.2 for gap in gaps) and all(gap >= 29 for gap in gaps[7:])
    )


@pytest.mark.parametrize(
    ("why", "said", "remedy"),
    [
        ("name unknown", "there is no such name", "is the name right"),
        ("name not looked up", "no name server answers", "is this machine online?"),
        ("refused", "nothing takes connections", "does meshd run there"),
        ("no answer", "nothing answers there", "firewall"),
        ("Permission denied", "Permission denied", "does meshd run there"),
    ],
)
def test_peer_that_is_not_reached_is_told_with_its_own_cause(why, said, remedy):
    net = SessionNet("a")
    sessions = net["a"].sessions
    sessions.set_peers(("tcp://nowhere:6697",), net.now)
    net.refusal = why
    net.run(10)
    (problem,) = sessions.problems()
    assert problem.text.startswith("no connection to peer tcp://nowhere:6697: ")
    assert said in problem.text and remedy in problem.remedy and "tried again" in problem.remedy


def test_configured_peers_can_be_replaced_and_are_shown_while_waiting():
    net = SessionNet("a", "b")
    net.route("a", "b")
    a, b = net["a"], net["b"]
    a.sessions.set_peers(("tcp://b:6697", "tcp://nowhere:6697"), net.now)
    net.run(3)
    up, waiting = a.sessions.statuses(net.now)
    assert (up.node, up.via, up.state) == (node_text(b.node), "b", "up")
    assert (waiting.via, waiting.state, waiting.node) == ("tcp://nowhere:6697", "waiting", "")
    net.run(3)
    (problem,) = a.sessions.problems()
    assert problem.code == "peer-unreachable" and "tcp://nowhere:6697" in problem.text
    a.sessions.set_peers((), net.now)
    net.drain(a)
    assert a.sessions.statuses(net.now) == () and not a.up()


@pytest.mark.parametrize(
    "text",
    ["b:6697", "udp://b:6697", "tcp://b", "tcp://b:0", "tcp://b:70000", "tcp://::1:6697",
     "tcp://[::x]:1", "tcp://[fe80::1]:6697", "tcp://:6697", "tcp://b:٣"],
)  # fmt: skip
def test_unusable_peer_is_named(text):
    with pytest.raises(UsageError, match="peer"):
        SessionNet("a")["a"].sessions.set_peers((text,), 0)


def test_too_many_peers_are_refused():
    peers = tuple(f"tcp://h{number}:1" for number in range(65))
    with pytest.raises(UsageError, match="64"):
        SessionNet("a")["a"].sessions.set_peers(peers, 0)


def test_inputs_for_unknown_streams_are_ignored():
    net = SessionNet("a")
    sessions = net["a"].sessions
    sessions.stream_opened(2, 0)
    sessions.stream_failed(2, "x", 0)
    sessions.stream_closed(2, "x", 0)
    sessions.stream_received(1, b"x", 0)
    sessions.stream_writable(1, 5, 0)
    sessions.handle_timer(("session", "deadline", 7), 0)
    sessions.close(3, "x", 0)
    assert sessions.poll_event() is None and sessions.poll_send() is None
