"""Direct messages hop by hop: heard on, taken over, answered, given up by name."""

from collections import Counter
from random import Random

import pytest

from meshd.core.drops import DropReason, Drops
from meshd.core.errors import UsageError
from meshd.core.ids import EVERYONE
from meshd.forwarding.carried import CARRIED_MAX
from meshd.forwarding.direct import (
    OWN_MAX,
    Arrived,
    Changed,
    Forwarder,
    State,
)
from meshd.forwarding.direct_rules import Rules, rules_for
from meshd.forwarding.passed import SEEN_MAX, message
from meshd.forwarding.relay import Policy, Send
from meshd.wire.lora_routes import ATTEMPT_MAX, Answer, Direct, Receipt

S = 1_000_000
A, B, C, D = b"\x00a", b"\x00b", b"\x00c", b"\x00d"
TAG = b"answered"


class Radio(Policy):
    """Whose way leaves LoRa at this node, and whoever has had its part."""

    def __init__(self, behind=(), full=()):
        self.behind, self.full = behind, full

    def leaves(self, to):
        return to in self.behind

    def over(self, ingress):
        return ingress in self.full


class Line:
    """Ways along a line of nodes, one hop each; `skip` nodes can be reached by nobody."""

    def __init__(self, own, order, known=True):
        self.own, self.order, self.known = own, order, known
        self.failures, self.wanted, self.doubted = [], [], []

    def ways(self, short):
        at, to = self.order.index(self.own), self.order.index(short)
        if not self.known or at == to:
            return []
        return [(self.order[at + (1 if to > at else -1)], 15 * abs(to - at))]

    def distance(self, short):
        return abs(self.order.index(self.own) - self.order.index(short)) if self.known else 15

    def failed(self, short, now, *, own):
        (self.failures if own else self.doubted).append(short)

    def want(self, short, now):
        self.wanted.append(short)


class Air:
    """Nodes on a line, each hears the next ones; `lost(sender, hearer, send)` says what is lost."""

    def __init__(self, count=4, lost=lambda sender, hearer, send: False, spread=1):
        self.order = [A, B, C, D][:count]
        self.lost, self.spread = lost, spread
        self.nodes = {
            own: Forwarder(
                own, Line(own, self.order), Rules(S), Random(own[1]), drops=Drops(), link="lora0"
            )
            for own in self.order
        }
        self.now, self.frames, self.events = 0, [], {own: [] for own in self.order}

    def run(self, limit_us):
        while self.now < limit_us:
            dues = [one.due_us() for one in self.nodes.values()]
            dues = [due for due in dues if due is not None]
            if not dues:
                return
            self.now = max(self.now, min(dues))
            for own, node in self.nodes.items():
                self.step(own, node)

    def step(self, own, node):
        node.handle_timeout(self.now)
        send = node.poll_transmit(self.now)
        if send is not None:
            self.frames.append((own, send.next_hop, type(send.item).__name__))
            self.now += S // 2
            node.sent(send, self.now)
            for hearer in self.order:
                gap = abs(self.order.index(own) - self.order.index(hearer))
                if 0 < gap <= self.spread and not self.lost(own, hearer, send):
                    self.hear(own, hearer, send)
        self.collect(own, node)

    def hear(self, sender, hearer, send):
        node = self.nodes[hearer]
        named = send.next_hop == hearer
        if node.receive(sender, send, named=named, now=self.now) == TAG:
            node.confirm(send.item.number)
        self.collect(hearer, node)

    def collect(self, own, node):
        while (event := node.poll_event()) is not None:
            self.events[own].append(event)
            if isinstance(event, Arrived):
                node.answer(event, TAG, self.now)

    def states(self, own=A):
        return [event.state for event in self.events[own] if isinstance(event, Changed)]


def direct(air_or_node, number=1, attempt=0, distance=3):
    return Send(B, D, 7, Direct(A, number, attempt, distance, b"x"), None)


def test_a_message_goes_three_hops_and_its_answer_back():
    air = Air()
    air.nodes[A].send(D, b"hello", 0)
    air.run(300 * S)
    assert air.states() == [State.QUEUED, State.SENT, State.DELIVERED]
    assert [event.body for event in air.events[D]] == [b"hello"]
    assert [kind for _, _, kind in air.frames] == ["Direct"] * 3 + ["Answer"] * 3
    assert all(node.due_us() is None for node in air.nodes.values())


def test_the_answer_is_acknowledgement_of_the_last_hop():
    air = Air(count=2)
    air.nodes[A].send(B, b"hello", 0)
    air.run(300 * S)
    assert [kind for _, _, kind in air.frames] == ["Direct", "Answer"]


def test_who_is_not_heard_passing_it_on_gets_it_again():
    first = []

    def lost(sender, hearer, send):
        if (sender, hearer) == (B, C) and not first:
            return bool(first.append(1)) or True
        return False

    air = Air(lost=lost)
    air.nodes[A].send(D, b"hello", 0)
    air.run(300 * S)
    assert air.states()[-1] is State.DELIVERED
    assert [kind for who, _, kind in air.frames if who == B].count("Direct") == 2


def test_who_was_not_heard_says_so_by_a_receipt():
    deaf = []

    def lost(sender, hearer, send):
        mine = (sender, hearer) == (B, A) and isinstance(send.item, Direct)
        return mine and bool(deaf.append(1) or True)

    air = Air(lost=lost)
    slow = air.nodes[C].answer
    air.nodes[C].answer = slow
    air.nodes[A].send(D, b"hello", 0)
    air.run(300 * S)
    assert air.states()[-1] is State.DELIVERED

    node = Forwarder(B, Line(B, [A, B, C, D]), Rules(S), Random(1), drops=Drops(), link="lora0")
    node.receive(A, direct(node), named=True, now=0)
    sent = node.poll_transmit(S)
    node.sent(sent, S)
    node.receive(C, direct(node, distance=1), named=False, now=2 * S)
    node.receive(A, direct(node), named=True, now=3 * S)
    assert node.poll_transmit(3 * S).item == Receipt(A, 1)


def test_a_receipt_of_who_was_sent_it_ends_the_tries():
    node = Forwarder(B, Line(B, [A, B, C, D]), Rules(S), Random(1), drops=Drops(), link="lora0")
    node.receive(A, direct(node), named=True, now=0)
    receipt = Send(B, B, 0, Receipt(A, 1), None)
    node.receive(C, receipt, named=False, now=0)
    assert node.due_us() is not None
    node.receive(C, receipt, named=True, now=0)
    assert node.due_us() is not None, "it was sent nothing"
    node.sent(node.poll_transmit(S), S)
    node.receive(D, receipt, named=True, now=S)
    assert node.due_us() is not None, "another one was sent it"
    node.receive(C, receipt, named=True, now=S)
    assert node.due_us() is None


def test_a_lost_answer_is_repeated_from_memory():
    lost_once = []

    def lost(sender, hearer, send):
        mine = (sender, hearer) == (B, A) and isinstance(send.item, Answer) and not lost_once
        return mine and bool(lost_once.append(1) or True)

    air = Air(lost=lost)
    air.nodes[A].send(D, b"hello", 0)
    air.run(300 * S)
    assert air.states()[-1] is State.DELIVERED
    kinds = [(who, kind) for who, _, kind in air.frames]
    assert kinds.count((C, "Direct")) == 1
    assert kinds.count((B, "Answer")) == 2


def test_anybody_nearer_takes_over_from_a_silent_next_hop():
    air = Air(lost=lambda sender, hearer, send: B in (sender, hearer), spread=2)
    air.nodes[A].send(D, b"hello", 0)
    air.run(300 * S)
    assert (A, EVERYONE, "Direct") in air.frames
    assert [event.body for event in air.events[D]] == [b"hello"]


@pytest.mark.parametrize("others", [False, True])
def test_a_destination_that_went_is_tried_past_another_and_doubted(others):
    air = Air(count=3)
    ways = air.nodes[A]._ways
    ways.ways = lambda short: [(C, 15), (B, 30)]  # C was in earshot, and is beyond B now
    air.nodes[A].send(C, b"hello", 0, others=others)
    air.run(300 * S)
    assert [event.body for event in air.events[C]] == [b"hello"]
    assert [to for own, to, kind in air.frames if (own, kind) == (A, "Direct")] == [C, C, B]
    assert (ways.doubted, ways.failures) == ([C], [])


def test_of_those_that_are_called_one_takes_it_over():
    ways = Line(B, [A, B, C, D])
    relay = Forwarder(B, ways, Rules(S), Random(1), drops=Drops(), link="lora0")
    call = direct(relay, distance=3)._replace(next_hop=EVERYONE)
    relay.receive(A, call, named=False, now=0)
    assert relay.due_us() is not None
    beside = call._replace(next_hop=C, item=call.item._replace(distance=2))
    relay.receive(b"\x00e", beside, named=False, now=0)  # no nearer than this one is
    assert relay.due_us() is None
    relay.receive(A, direct(relay, number=2), named=True, now=0)  # who is named does not wait
    relay.receive(b"\x00e", direct(relay, number=2, distance=2), named=False, now=0)
    assert relay.due_us() is not None


def test_without_an_answer_it_is_given_up_by_name():
    air = Air(lost=lambda sender, hearer, send: hearer == D)
    air.nodes[A].send(D, b"hello", 0)
    air.run(900 * S)
    assert air.events[A][-1].state is State.GIVEN_UP
    assert air.events[A][-1].reason is DropReason.DIRECT_UNANSWERED
    assert air.nodes[C].drops.total(DropReason.DIRECT_HOP_SILENT)


def test_without_a_way_it_waits_asks_and_is_given_up_by_name():
    ways = Line(A, [A, B], known=False)
    node = Forwarder(A, ways, Rules(S), Random(1), drops=Drops(), link="lora0")
    node.send(B, b"hello", 0)
    for now in range(0, 700 * S, S):
        node.handle_timeout(now)
        assert node.poll_transmit(now) is None
    assert ways.wanted
    events = [node.poll_event() for _ in range(2)]
    assert [event.state for event in events] == [State.QUEUED, State.GIVEN_UP]
    assert events[-1].reason is DropReason.DIRECT_NO_WAY


def test_a_forged_body_does_not_keep_the_true_one_out():
    node = Forwarder(D, Line(D, [A, B, C, D]), Rules(S), Random(1), drops=Drops(), link="lora0")
    for body in (b"forged", b"true"):
        send = Send(D, D, 4, Direct(A, 1, 0, 1, body), None)
        node.receive(C, send, named=True, now=0)
    assert [node.poll_event().body for _ in range(2)] == [b"forged", b"true"]


def test_a_wrong_answer_ends_nothing_and_late_attempts_pass_it_by():
    air = Air(count=2)
    number = air.nodes[A].send(B, b"hello", 0)
    air.nodes[A].handle_timeout(0)
    forged = Send(A, A, 3, Answer(number, 0, b"forged!!"), None)
    assert air.nodes[A].receive(B, forged, named=True, now=0) == b"forged!!"
    assert air.nodes[A].due_us() is not None

    relay = Forwarder(B, Line(B, [A, B, C, D]), Rules(S), Random(1), drops=Drops(), link="lora0")
    relay.receive(C, Send(B, A, 3, Answer(1, 2, b"forged!!"), None), named=False, now=0)
    relay.receive(A, direct(relay, attempt=2), named=True, now=0)
    assert isinstance(relay.poll_transmit(S).item, Direct)


def test_the_hop_limit_ends_it():
    node = Forwarder(B, Line(B, [A, B, C, D]), Rules(S), Random(1), drops=Drops(), link="lora0")
    node.receive(A, direct(node)._replace(hop_limit=0), named=True, now=0)
    assert node.drops.as_dict() == {"direct-hop-limit": {"lora0": 1}}
    assert node.due_us() is None


def test_what_the_hop_limit_would_end_on_the_way_is_not_sent():
    far, sent = rules_for(S, 15 * 256).far, []
    for distance in (far[0] - 1, far[0], far[1]):
        ways = Line(A, [A, B])
        ways.distance = lambda short, distance=distance: distance
        node = Forwarder(A, ways, Rules(S, far=far), Random(1), drops=Drops(), link="lora0")
        number, frames = node.send(B, b"x", 0), 0
        assert node.poll_event() == Changed(number, State.QUEUED)
        for now in range(0, 600 * S, S):
            node.handle_timeout(now)
            if (send := node.poll_transmit(now)) is not None:
                frames += 1
                node.sent(send, now)
        sent.append(frames)
    assert sent[0] > sent[1] == Rules(S).tries
    assert not sent[2]
    assert node.poll_event() == Changed(number, State.GIVEN_UP, DropReason.DIRECT_HOP_LIMIT)


def test_what_is_not_for_us_is_left_alone():
    node = Forwarder(B, Line(B, [A, B, C, D]), Rules(S), Random(1), drops=Drops(), link="lora0")
    node.receive(A, direct(node)._replace(next_hop=C), named=False, now=0)
    assert node.due_us() is None


def test_a_busy_channel_costs_no_try():
    node = Forwarder(A, Line(A, [A, B]), Rules(S), Random(1), drops=Drops(), link="lora0")
    node.send(B, b"hello", 0)
    node.handle_timeout(0)
    now = 0
    for _ in range(20):
        send = node.poll_transmit(now)
        assert send.next_hop == B
        node.refused(send, now)
        now = node.due_us()


def test_full_relay_says_of_nothing_that_it_was_passed_on_and_takes_it_when_there_is_room():
    node = Forwarder(B, Line(B, [A, B, C, D]), Rules(S), Random(1), drops=Drops(), link="lora0")
    for number in range(CARRIED_MAX + 1):
        node.receive(A, direct(node, number=number), named=True, now=0)
    dropped = direct(node, number=CARRIED_MAX)
    node.receive(A, dropped, named=True, now=S)
    assert node.drops.total(DropReason.DIRECT_FULL) == 2
    first = node.poll_transmit(S).item
    assert not isinstance(first, Receipt)
    receipt = Receipt(A, first.number, answer=False)
    node.receive(C, Send(B, B, 0, receipt, None), named=True, now=S)
    node.receive(A, dropped, named=True, now=2 * S)
    assert message(A, CARRIED_MAX, b"x") in node._carried


def test_one_neighbour_that_fills_a_relay_leaves_the_others_their_part():
    node = Forwarder(B, Line(B, [A, B, C, D]), Rules(S), Random(1), drops=Drops(), link="lora0")
    for number in range(4 * CARRIED_MAX):
        node.receive(C, direct(node, number=number), named=True, now=0)
    for number in range(CARRIED_MAX // 2):
        honest = Direct(D, number, 0, 3, b"x")
        node.receive(D, Send(B, A, 7, honest, None), named=True, now=0)
        assert message(D, number, b"x") in node._carried
    assert len(node._carried) == CARRIED_MAX
    first = [node.poll_transmit(S).ingress for _ in range(8)]
    assert first.count(C) == first.count(D) == 4
    gone = next(
        number for number in range(CARRIED_MAX) if message(A, number, b"x") not in node._carried
    )
    node.receive(C, direct(node, number=gone), named=True, now=S)
    assert not node._relay.receipts  # of what gave way nobody is told that it was passed on


def test_who_drops_at_the_hop_limit_says_nothing_and_is_not_blamed():
    ways = Line(B, [A, B, C, D])
    node = Forwarder(B, ways, Rules(S), Random(1), drops=Drops(), link="lora0")
    for _ in range(3):
        node.receive(A, direct(node)._replace(hop_limit=0), named=True, now=0)
    assert node.drops.total(DropReason.DIRECT_HOP_LIMIT) == 3
    assert node.due_us() is None
    node.receive(A, direct(node)._replace(hop_limit=1), named=True, now=0)
    sends = []
    while (now := node.due_us()) is not None:
        node.handle_timeout(now)
        while (send := node.poll_transmit(now)) is not None:
            sends.append(send.hop_limit)
            node.sent(send, now)
    assert sends == [0] and not ways.failures + ways.doubted


def test_everything_is_bounded():
    node = Forwarder(B, Line(B, [A, B, C, D]), Rules(S), Random(1), drops=Drops(), link="lora0")
    for number in range(2 * SEEN_MAX):
        node.receive(A, direct(node, number=number), named=True, now=0)
    assert node.drops.total(DropReason.DIRECT_FULL) == 2 * SEEN_MAX - CARRIED_MAX
    assert len(node._seen) == SEEN_MAX
    for _ in range(OWN_MAX):
        node.send(D, b"x", 0)
    for to, body in ((D, b"x"), (D, b""), (B, b"x")):
        with pytest.raises(UsageError):
            node.send(to, body, 0)


def test_sent_is_told_when_the_message_left_the_air_not_before():
    air = Air(count=2)
    node = air.nodes[A]
    node.send(B, b"x", 0)
    node.handle_timeout(0)
    send = node.poll_transmit(0)
    air.collect(A, node)
    assert air.states() == [State.QUEUED]
    node.sent(send, S)
    air.collect(A, node)
    assert air.states() == [State.QUEUED, State.SENT]


def test_a_message_to_somebody_behind_this_node_is_told_with_its_destination_and_answered():
    gateway = Forwarder(
        B,
        Line(B, [A, B, D]),
        Rules(S),
        Random(1),
        drops=Drops(),
        link="lora0",
        policy=Radio(behind=[D]),
    )
    heard = Send(B, D, 6, Direct(A, 1, 0, 3, b"x"), None)
    gateway.receive(A, heard, named=False, now=0)
    assert gateway.poll_event() is None
    gateway.receive(A, heard, named=True, now=0)
    arrived = gateway.poll_event()
    assert arrived == Arrived(A, 1, b"x", D, hops=2)
    gateway.answer(arrived, TAG, 0)
    assert gateway.poll_transmit(S).destination == A


def test_a_word_sent_once_is_on_the_air_once_and_its_silence_blames_nobody():
    air = Air(count=2, lost=lambda sender, hearer, send: True)
    air.nodes[A].send(B, b"my key", 0, once=True)
    air.run(300 * S)
    assert [kind for _, _, kind in air.frames] == ["Direct"]
    assert air.states() == [State.QUEUED, State.SENT, State.GIVEN_UP]
    assert air.nodes[A]._ways.failures == []
    lone = Forwarder(A, Line(A, [A, B], False), Rules(S), Random(1), drops=Drops(), link="lora0")
    lone.send(B, b"my key", 0, once=True)
    lone.handle_timeout(0)
    assert lone.due_us() is None and lone._ways.wanted == []


def test_a_destination_that_does_not_answer_what_others_sent_is_not_blamed():
    air = Air(count=3, lost=lambda sender, hearer, send: hearer == C)
    ways = air.nodes[B]._ways
    for number in range(4):
        air.nodes[B].receive(
            A, Send(B, C, 7, Direct(A, number, 0, 3, b"x"), None), named=True, now=0
        )
    air.nodes[B].send(C, b"from another medium", 0, others=True)
    air.run(300 * S)
    assert air.nodes[B].drops.total(DropReason.DIRECT_HOP_SILENT) == 4
    assert not ways.failures + ways.doubted, "it may be unable to open it"
    air.nodes[B].send(C, b"own", air.now)
    air.run(air.now + 300 * S)
    assert ways.failures, "whoever hears it answers it"


def test_a_hop_that_passes_nothing_on_is_doubted_for_others_and_blamed_for_own_ones():
    air = Air(lost=lambda sender, hearer, send: hearer == C)
    ways = air.nodes[B]._ways
    air.nodes[B].receive(A, direct(air), named=True, now=0)
    air.run(100 * S)
    assert (ways.doubted, ways.failures) == ([C], [])
    assert ways.wanted == [D], "what others offer may be unfeasible: a later seqno ends that"
    air.nodes[B].send(D, b"own", air.now)
    air.run(air.now + 100 * S)
    assert set(ways.failures) == {C}


def test_bodies_in_anothers_name_keep_none_of_its_messages_out():
    air = Air()
    relay, number = air.nodes[B], air.nodes[A]._next
    for attempt in range(ATTEMPT_MAX + 1):
        relay.receive(
            C, Send(B, D, 7, Direct(A, number, attempt, 15, b"junk"), None), named=True, now=0
        )
    assert relay.drops.total(DropReason.DIRECT_ODD) == ATTEMPT_MAX + 1 - relay.rules.attempts
    relay.receive(C, Send(B, A, 7, Answer(number, 15, b"forged!!"), None), named=False, now=0)
    assert air.nodes[A].send(D, b"true", 0) == number
    air.run(20 * S)
    assert air.states()[-1] is State.DELIVERED
    assert b"true" in [event.body for event in air.events[D]]


def test_junk_of_one_neighbour_has_no_message_of_another_forgotten():
    relay = Forwarder(B, Line(B, [A, B, C, D]), Rules(S), Random(1), drops=Drops(), link="lora0")
    true = [message(A, number, b"true") for number in range(SEEN_MAX // 4)]
    for number in range(SEEN_MAX // 4):
        heard = Send(B, D, 7, Direct(A, number, 0, 3, b"true"), None)
        relay.receive(A, heard, named=True, now=0)
    for number in range(2 * SEEN_MAX):
        junk = Send(B, A, 7, Direct(A, number % 99, 0, 3, b"junk %d" % number), None)
        relay.receive(C, junk, named=True, now=0)
    assert all(key in relay._seen for key in true) and len(relay._seen) == SEEN_MAX
    for number in range(SEEN_MAX):
        heard = Send(B, C, 7, Direct(A, number, 0, 3, b"more"), None)
        relay.receive(A, heard, named=True, now=0)
    count = Counter(seen.ingress for seen in relay._seen.values())
    assert abs(count[A] - count[C]) <= 1  # who has most loses: their parts are equal then


def test_the_highest_attempt_of_a_stranger_shuts_no_later_body_out():
    relay = Forwarder(B, Line(B, [A, B, C, D]), Rules(S), Random(1), drops=Drops(), link="lora0")
    for body in (b"junk", b"x"):
        heard = Send(B, D, 7, Direct(A, 1, 3, 3, body), None)
        relay.receive(A, heard, named=True, now=0)
        assert message(A, 1, body) in relay._carried
    assert not relay._relay.receipts


def test_a_neighbour_that_has_had_its_part_of_the_hour_is_passed_on_no_more():
    full, drops = set(), Drops()
    ways, policy = Line(B, [A, B, C, D]), Radio(full=full)
    relay = Forwarder(B, ways, Rules(S), Random(1), drops=drops, link="lora0", policy=policy)
    relay.receive(A, direct(relay, number=1), named=True, now=0)
    relay.receive(C, Send(B, A, 7, Direct(D, 1, 0, 3, b"y"), None), named=True, now=0)
    full.add(A)
    relay.receive(A, direct(relay, number=2), named=True, now=0)
    assert drops.total(DropReason.DIRECT_FULL) == 1
    relay.handle_timeout(S)
    assert drops.total(DropReason.DIRECT_FULL) == 2
    assert relay.poll_transmit(S).ingress == C
    assert relay.poll_transmit(S) is None
    full.clear()
    for number in (1, 2):
        relay.receive(A, direct(relay, number), named=True, now=2 * S)
    assert not relay._relay.receipts, "neither was passed on"
    sent = [relay.poll_transmit(4 * S) for _ in range(2)]
    assert {send.item.number for send in sent} == {1, 2}
