"""The composed engine: five verbs, dispatch, local requests, a hundred in one process."""

from random import Random

import pytest

from meshd.core.drops import DropReason
from meshd.core.errors import Exit
from meshd.core.events import Datagram, Link, LinkKind, Notice, Reply, StoreImage, Transmit
from meshd.core.identity import Identity
from meshd.core.limits import BABEL_PORT, MESHD_PORT
from meshd.core.snapshot import Problem, SpaceStatus, to_json
from meshd.node import Boot, Node, NodeOptions

LINK = Link("w0", LinkKind.MESH, bytes.fromhex("fe80" + "00" * 13 + "01"))
STRANGER = bytes.fromhex("fe80" + "00" * 13 + "02")


def make(seed: int = 1, options: NodeOptions | None = None) -> Node:
    rng = Random(seed)
    return Node(
        options or NodeOptions(),
        identity=Identity(rng.randbytes(32), rng.randbytes(32)),
        boot=Boot(1, 1, 1001),
        image=StoreImage({}, (), ()),
        rng=rng,
        entropy=rng.randbytes,
    )


def drain(node: Node) -> list[object]:
    out: list[object] = []
    while (item := node.poll_transmit() or node.poll_event()) is not None:
        out.append(item)
    return out


def test_link_up_sends_hello_and_knock_at_once():
    node = make()
    node.add_link(LINK, 0)
    ports = {item.port for item in drain(node) if isinstance(item, Transmit)}
    assert ports == {BABEL_PORT, MESHD_PORT}


def test_leaf_knocks_and_never_speaks_babel():
    node = make(options=NodeOptions(routing=False))
    node.add_link(LINK, 0)
    node.receive("w0", Datagram(STRANGER, BABEL_PORT, b"\x2a\x02\0\0", True), 1)
    ports = {item.port for item in drain(node) if isinstance(item, Transmit)}
    assert ports == {MESHD_PORT}


def test_poll_timeout_says_why():
    node = make()
    assert node.poll_timeout() is None or isinstance(node.poll_timeout()[1], str)
    node.add_link(LINK, 0)
    deadline, why = node.poll_timeout()
    assert deadline >= 0
    assert why.split()[0] in {"routing", "session"}


def test_node_is_quiet_until_there_is_something_to_poll_or_a_nearer_timer():
    node = make()
    node.add_link(LINK, 0)
    assert not node.quiet
    drain(node)
    assert not node.quiet
    node.poll_timeout()
    assert node.quiet
    node.receive("w0", Datagram(STRANGER, BABEL_PORT, b"\x2a\x02\0\0", True), 1)
    assert node.quiet
    node.request("fly", {}, 7, 2)
    assert not node.quiet


@pytest.mark.parametrize(
    ("link", "port", "reason"),
    [("w0", 1, DropReason.UNKNOWN_PORT), ("", MESHD_PORT, DropReason.UNKNOWN_LINK)],
)
def test_datagram_that_belongs_nowhere_is_dropped_by_name(link, port, reason):
    node = make()
    node.add_link(LINK, 0)
    node.receive(link, Datagram(STRANGER, port, b"\1junk"), 1)
    assert node.snapshot(2).drops[reason.value]


def test_unknown_verb_is_a_usage_error_with_a_remedy():
    node = make()
    node.request("fly", {}, 7, 0)
    reply = next(item for item in drain(node) if isinstance(item, Reply))
    assert reply.ticket == 7
    assert reply.code == Exit.USAGE
    assert "meshd --help" in reply.remedy


def test_list_of_spaces_says_what_status_says(monkeypatch):
    node = make()
    rows = (SpaceStatus("id", "home", "owner", 2, 9, 3, 700, peers=("k7q2m6xwabcdefgh",)),)
    monkeypatch.setattr(node.sync, "statuses", lambda now: rows)
    monkeypatch.setattr(node.air, "told", lambda statuses, now: statuses)
    node.request("space.list", {}, 7, 0)
    reply = next(item for item in drain(node) if isinstance(item, Reply))
    assert reply.value == {"spaces": to_json(node.snapshot(0).spaces)} == {"spaces": to_json(rows)}


def test_snapshot_is_plain_json_and_counts_up():
    node = make()
    node.add_link(LINK, 0)
    first, second = node.snapshot(0), node.snapshot(1_500_000)
    assert (first.seq, second.seq) == (1, 2)
    assert second.uptime_s == 1.5
    assert to_json(second)["links"][0]["name"] == "w0"


def test_problem_shows_until_it_is_cleared():
    node = make()
    node.warn("link w0", Problem("link-missing", "there is no interface w0", "plug it in"))
    assert node.snapshot(0).problems[0].code == "link-missing"
    told = [event for event in drain(node) if isinstance(event, Notice)]
    assert [(one.kind, one.fields["next"]) for one in told] == [("problem", "plug it in")]
    node.warn("link w0", None)
    node.warn("link w0", None)
    assert [event.kind for event in drain(node)] == ["problem-over"]
    assert node.snapshot(0).problems == ()


def test_removed_link_is_silent():
    node = make()
    node.add_link(LINK, 0)
    drain(node)
    node.remove_link("w0", 1)
    for _ in range(50):
        due = node.poll_timeout()
        if due is None:
            break
        node.handle_timeout(due[0])
    assert not [item for item in drain(node) if isinstance(item, Transmit)]


def test_hundred_nodes_share_nothing():
    nodes = [make(seed) for seed in range(100)]
    assert len({node.id for node in nodes}) == 100
    nodes[0].add_link(LINK, 0)
    assert nodes[1].poll_transmit() is None
