"""What one radio does for the mesh, between simulated hosts: objects, items, direct messages."""

import pytest
from radios.mesh import Mesh

from meshd.core.drops import DropReason
from meshd.core.errors import UsageError
from meshd.core.ids import EVERYONE, node_text
from meshd.core.snapshot import SessionStatus
from meshd.forwarding.direct import State
from meshd.forwarding.radio_events import (
    DirectAnswered,
    DirectArrived,
    DirectChanged,
    LocalHeard,
    ObjectHeard,
)
from meshd.forwarding.radio_mesh import LOCALS_MAX
from meshd.forwarding.relay import Send
from meshd.forwarding.shared_frame import Waiting
from meshd.link.account import Share
from meshd.link.ledger import Priority
from meshd.link.queue import Outgoing
from meshd.link.sources import Aim, Opened
from meshd.wire.lora_frame import FrameKind, LoraFrame
from meshd.wire.lora_items import Heard, Listing, Wants
from meshd.wire.lora_payload import Local
from meshd.wire.lora_routes import Direct, Routes

KIND, SUB = 200, 30
TAG = b"proof it"


class Ears:
    """What the parts of one host would hear."""

    def __init__(self, host):
        self.host, self.events = host, []
        radios = host.node.radios
        radios.on_object[KIND] = radios.on_local[SUB] = radios.on_direct = self.take

    def take(self, event, now):
        self.events.append((now / 1e6, event))
        radios = self.host.node.radios
        if isinstance(event, DirectArrived):
            radios.answer(event, TAG, now)
        elif isinstance(event, DirectAnswered) and event.tag == TAG:
            radios.confirm(event.link, event.number, now)

    def of(self, kind):
        return [event for _, event in self.events if isinstance(event, kind)]


def mesh_of(count, *, line=False, seed=1):
    mesh = Mesh(count, seed=seed)
    if line:
        mesh.cut = {
            frozenset((mesh.hosts[a].name, mesh.hosts[b].name))
            for a in range(count)
            for b in range(a + 2, count)
        }
    ears = [Ears(host) for host in mesh.hosts]
    mesh.run(120)
    return mesh, ears


def do(host, verb, *args, **options):
    done = []
    host.input(lambda now: done.append(verb(*args, now=now, **options)))
    return done[0]


def publish(host, text, priority=1):
    body = bytes([KIND]) + text
    assert do(host, host.node.radios.publish, body, priority) == 1
    return body


def test_an_object_reaches_all_over_three_hops_and_comes_once():
    mesh, ears = mesh_of(4, line=True)
    body = publish(mesh.hosts[0], b"the bridge holds")
    mesh.run(300)
    assert [event.body for one in ears[1:] for event in one.of(ObjectHeard)] == [body] * 3
    assert ears[0].of(ObjectHeard) == []


def test_between_two_an_object_takes_seconds():
    mesh, ears = mesh_of(2)
    begin = mesh.world.now / 1e6
    publish(mesh.hosts[0], b"water rises")
    mesh.run(60)
    assert ears[1].events[0][0] - begin < 6


def test_what_waits_shares_a_frame():
    mesh, ears = mesh_of(2)
    host = mesh.hosts[0]
    before = host.node.radios.links["lora0"].sent_frames
    for number in range(5):
        publish(host, b"reading %d" % number)
    do(host, host.node.radios.tell, "lora0", Local(SUB, b"and this"), Priority.TEXT)
    mesh.run(20)
    assert len(ears[1].of(ObjectHeard)) == 5 and len(ears[1].of(LocalHeard)) == 1
    assert host.node.radios.links["lora0"].sent_frames - before <= 3


def test_an_item_for_one_is_not_given_to_others():
    mesh, ears = mesh_of(3)
    one, two, _ = mesh.hosts
    item = Local(SUB, b"for you")
    assert do(one, one.node.radios.tell, "lora0", item, Priority.TEXT, to=two.node.id)
    mesh.run(10)
    (heard,) = ears[1].of(LocalHeard)
    assert heard.named and heard.trusted and heard.node == one.node.id
    assert ears[2].of(LocalHeard) == []


@pytest.mark.parametrize("hops", [1, 3])
def test_a_direct_message_is_answered(hops):
    mesh, ears = mesh_of(hops + 1, line=True)
    first, last = mesh.hosts[0], mesh.hosts[-1]
    begin = mesh.world.now / 1e6
    do(first, first.node.radios.direct, "lora0", last.node.id[:2], b"sealed")
    mesh.run(120)
    (arrived,) = ears[-1].of(DirectArrived)
    assert arrived.body == b"sealed" and arrived.origin == first.node.id[:2]
    states = [event.state for event in ears[0].of(DirectChanged)]
    assert states == [State.QUEUED, State.SENT, State.DELIVERED]
    took_s = [at for at, event in ears[0].events if isinstance(event, DirectChanged)][-1] - begin
    assert took_s < (1 if hops == 1 else 30)


def test_a_wrong_answer_moves_no_state():
    mesh, ears = mesh_of(2)
    first, last = mesh.hosts
    ears[1].take = lambda event, now: last.node.radios.answer(event, b"forgery!", now)
    last.node.radios.on_direct = ears[1].take
    do(first, first.node.radios.direct, "lora0", last.node.id[:2], b"sealed")
    mesh.run(700)
    states = [event.state for event in ears[0].of(DirectChanged)]
    assert states == [State.QUEUED, State.SENT, State.GIVEN_UP]


@pytest.mark.parametrize("moment", ["waits", "with the modem", "left"])
def test_a_direct_message_is_taken_back_until_it_is_with_the_modem(moment):
    mesh, ears = mesh_of(2)
    first, last = mesh.hosts
    one = first.node.radios.meshes["lora0"].direct
    number = do(first, first.node.radios.direct, "lora0", last.node.id[:2], b"sealed")
    if moment == "with the modem":
        flies = lambda: any(one._link.carries(outgoing) for _, outgoing in one._sends)  # noqa: E731
        assert mesh.world.run_until(flies, 60_000_000)
    elif moment == "left":
        mesh.run(10)
    back = do(first, first.node.radios.withdraw, "lora0", number)
    mesh.run(120)
    assert back is (moment == "waits")
    assert [event.body for event in ears[1].of(DirectArrived)] == [b"sealed"][back:]
    assert (State.SENT in [event.state for event in ears[0].of(DirectChanged)]) is not back
    assert not do(first, first.node.radios.withdraw, "lora9", number)


def test_what_no_frame_of_a_relay_can_hold_is_let_go_after_four_tries_and_blames_nobody():
    mesh, _ = mesh_of(3, line=True)
    first, relay, last = mesh.hosts
    link = relay.node.radios.links["lora0"].radio
    relay.input(relay.node.radio_up, link._replace(airtimes_us=link.airtimes_us[:150]))
    mesh.run(120)
    radio = relay.node.radios.meshes["lora0"]
    blamed = []
    radio.ways.failed = lambda *args, **options: blamed.append(args)
    to = last.node.id[:2]
    item = Send(relay.node.id[:2], to, 7, Direct(first.node.id[:2], 1, 0, 9, bytes(150)), None)
    radio.direct.forwarder.receive(first.node.id[:2], item, named=True, now=relay.now)
    mesh.run(30)
    assert relay.node.snapshot(relay.now).drops["modem-too-long"] == {"lora0": 4}
    assert not radio.direct.waits and not blamed


def test_who_had_to_leave_the_full_table_of_a_link_is_still_reached_by_its_way():
    mesh, ears = mesh_of(2)
    first, last = mesh.hosts
    first.node.radios.links["lora0"].neighbours.expire(mesh.world.now + 1)
    do(first, first.node.radios.direct, "lora0", last.node.id[:2], b"sealed")
    mesh.run(2)
    assert [event.body for event in ears[1].of(DirectArrived)] == [b"sealed"]


def test_whom_the_link_has_forgotten_is_no_way_any_more_and_both_meet_again_by_the_first_beacon():
    mesh, _ = mesh_of(2)
    first, last = mesh.hosts
    mesh.cut.add(frozenset((first.name, last.name)))
    mesh.air.moved(last.lora.radio)
    ways = first.node.radios.meshes["lora0"].ways
    back = last.node.radios.meshes["lora0"].ways
    near = ways.cost(last.node.id)
    mesh.run(3_600)
    assert ways.cost(last.node.id) > 2 * near, "it may be gone"
    mesh.run(3_000)
    assert not first.node.radios.links["lora0"].neighbours and not ways.peers
    mesh.cut.clear()
    mesh.air.moved(last.lora.radio)
    before = len(mesh.sent)
    assert mesh.world.run_until(lambda: len(mesh.sent) > before, 3_600_000_000)
    mesh.run(20)
    assert ways.cost(last.node.id) == back.cost(first.node.id) == near


def test_items_that_wait_are_bounded_and_the_urgent_stay():
    mesh, _ = mesh_of(2)
    one, two = mesh.hosts
    one.input(one.node.radio_down, "lora0")
    assert do(one, one.node.radios.publish, bytes([KIND]), 1) == 0
    assert not do(one, one.node.radios.tell, "lora0", Local(SUB, b""), Priority.TEXT)
    with pytest.raises(UsageError):
        one.node.radios.direct("lora0", two.node.id[:2], b"x", one.now)
    tell = two.node.radios.tell
    told = [
        do(two, tell, "lora0", Local(SUB, b"%d" % number), Priority.BULK)
        for number in range(LOCALS_MAX + 10)
    ]
    assert do(two, tell, "lora0", Local(SUB, b"urgent"), Priority.DISTRESS)
    assert all(told)  # the oldest gave way
    dropped = two.node.snapshot(two.now).drops
    assert dropped[DropReason.LORA_QUEUE_FULL] == {"lora0": LOCALS_MAX + 11 - LOCALS_MAX}


def test_a_body_too_long_is_not_published():
    mesh, _ = mesh_of(1)
    host = mesh.hosts[0]
    body = bytes([KIND]) + bytes(host.node.radios.body_max())
    assert do(host, host.node.radios.publish, body, 1) == 0
    assert host.node.snapshot(host.now).drops[DropReason.CAST_TOO_LONG] == {"lora0": 1}


def test_a_frame_of_nonsense_is_a_named_drop():
    mesh, _ = mesh_of(2)
    one, two = mesh.hosts
    nonsense = Outgoing(FrameKind.LOCAL, b"\x20\xff", Share.OWN, Priority.TEXT)
    two.input(lambda now: two.node.radios.links["lora0"].send(nonsense, now))
    mesh.run(30)
    assert one.node.snapshot(one.now).drops[DropReason.LORA_MALFORMED] == {"lora0": 1}


@pytest.mark.parametrize(
    "said",
    [
        Heard((b"\0a",)),
        Listing((), 1, 2),
        Wants((b"ab",)),
        Routes(1),
        Direct(b"\0a", 1, 0, 3, b"sealed"),
    ],
    ids=lambda said: type(said).__name__,
)
def test_what_a_sender_says_that_is_not_known_to_be_there_is_a_named_drop(said):
    mesh, _ = mesh_of(2)
    one, two = mesh.hosts
    kind = FrameKind.ROUTED if isinstance(said, Direct) else FrameKind.LOCAL
    destination = b"\0z" if isinstance(said, Direct) else b""
    frame = LoraFrame(kind, 3, 0, EVERYONE, two.node.id[:2], 1, destination)
    opened = Opened(frame, said.encode(), two.node.id, 1, Aim.EVERYONE, trusted=False)
    one.input(lambda now: one.node.radios.meshes["lora0"].opened(opened, now))
    assert one.node.snapshot(one.now).drops[DropReason.FRAME_UNTRUSTED] == {"lora0": 1}


def routes_waiting(mesh):
    """Return how many items of routes the first host's radio has in its own queue."""
    one = mesh.hosts[0].node.radios.meshes["lora0"]
    return sum(item.item[0] >> 5 == Routes(1).encode()[0] >> 5 for item in one._locals)


def test_words_of_routes_do_not_overtake_each_other(monkeypatch):
    """Islands 14404: what would not fit into a frame was heard after what was said later."""
    mesh, _ = mesh_of(3)
    host = mesh.hosts[0]
    one, node = host.node.radios.meshes["lora0"], mesh.hosts[1].node.id
    monkeypatch.setattr(one, "_share", lambda to, now: None)  # nothing leaves
    for _ in range(20):
        do(host, lambda now: one.ways.forgot(node, now))
        mesh.run(60)
    assert routes_waiting(mesh) == 1
    seqno = one.ways._learner.own.seqno
    monkeypatch.undo()
    mesh.run(60)
    assert one.ways._learner.own.seqno >= seqno and routes_waiting(mesh) == 0


def test_words_of_routes_that_waited_for_too_long_are_said_again(monkeypatch):
    mesh, _ = mesh_of(2)
    host = mesh.hosts[0]
    one, unsaid = host.node.radios.meshes["lora0"], []
    monkeypatch.setattr(one.ways, "unsaid", unsaid.append)
    mesh.run(600)
    assert not unsaid
    monkeypatch.setattr(one._link, "holds", lambda outgoing: False)
    with monkeypatch.context() as stuck:
        stuck.setattr(one._link, "carries", lambda outgoing: False)
        do(host, lambda now: one.ways.forgot(mesh.hosts[1].node.id, now))
        mesh.run(120)
    assert unsaid


def test_a_long_item_goes_before_short_ones_that_came_later():
    mesh, ears = mesh_of(2)
    host = mesh.hosts[0]
    radios = host.node.radios
    one = radios.meshes["lora0"]
    bodies = [b"%d" % number for number in range(12)]
    bodies[0] = bodies[0].ljust(one._room * 2 // 3)
    for body in bodies:
        item = Local(SUB, body)
        one.tell(item, Waiting(item.encode(), None, Share.OWN, Priority.TEXT))
    mesh.run(60)
    told = [event.body for event in ears[1].of(LocalHeard)]
    assert told[0] == bodies[0] and sorted(told) == sorted(bodies)


def test_an_item_that_gives_way_while_its_frame_flies_is_no_fault():
    mesh, _ = mesh_of(2)
    host = mesh.hosts[0]
    one = host.node.radios.meshes["lora0"]

    def add(number):
        item = Local(SUB, b"%08d" % number)
        do(host, host.node.radios.tell, "lora0", item, Priority.BULK)

    add(0)
    host.input(host.node.radios._pump)
    assert mesh.world.run_until(
        lambda: any(one._link.carries(each.outgoing) for each in one._shared.values()), 60_000_000
    )
    for number in range(1, LOCALS_MAX + 2):
        add(number)
    mesh.run(5)
    assert not any(item.item.endswith(b"%08d" % 0) for item in one._locals)


@pytest.mark.parametrize("state", ["up", "waiting"])
def test_a_neighbour_of_a_radio_has_a_session_where_one_is_open(monkeypatch, state):
    mesh, _ = mesh_of(2)
    first, last = mesh.hosts
    session = SessionStatus(node_text(last.node.id), "tcp://b:6697", state, 1.0, 0, 0)
    monkeypatch.setattr(first.node.sessions, "statuses", lambda now: (session,))
    (row,) = first.node.snapshot(first.now).neighbours
    assert row.session is (state == "up")


def test_neighbours_of_a_radio_that_is_away_are_not_shown_as_heard():
    mesh, _ = mesh_of(2)
    node, now = mesh.hosts[0].node, mesh.world.now
    (name,) = node.radios.links
    assert [row.link for row in node.snapshot(now).neighbours] == [name]
    node.radio_down(name, now)
    assert node.snapshot(now).neighbours == ()
