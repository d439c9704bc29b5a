"""Answers that are false, at relays, receivers and origins: none stops a true message or answer."""

from random import Random

import pytest
from unit.forwarding.test_direct import TAG, A, Air, B, C, D, Line, S, State

from meshd.core.drops import Drops
from meshd.core.ids import EVERYONE
from meshd.forwarding.direct import Arrived, Forwarder
from meshd.forwarding.direct_rules import Rules
from meshd.forwarding.relay import Send
from meshd.wire.lora_routes import Answer, Direct, Receipt

STRANGER = b"\x00s"
FALSE = b"forged!!"


def forwarder(own):
    return Forwarder(own, Line(own, [A, B, C, D]), Rules(S), Random(1), drops=Drops(), link="lora0")


def direct(attempt=0):
    return Send(B, D, 7, Direct(A, 1, attempt, 3, b"x"), None)


def answer(tag=FALSE, distance=0):
    return Send(B, A, 7, Answer(1, distance, tag), None)


def sent(node, now):
    """Let all leave that is due, and return it."""
    sends = []
    while (send := node.poll_transmit(now)) is not None:
        node.sent(send, now)
        sends.append(send.item)
    return sends


class Attacked(Air):
    """A stranger hears all, and answers each message at once, to its next hop and its sender."""

    by, tries = STRANGER, 0

    def hear(self, sender, hearer, send):
        super().hear(sender, hearer, send)
        if isinstance(send.item, Direct) and hearer in (send.next_hop, D):
            self.tries += 1
            false = Answer(send.item.number, 0, b"false%3d" % self.tries)
            for victim in (hearer, sender):
                super().hear(self.by, victim, Send(victim, A, 7, false, None))


@pytest.mark.parametrize("by", [STRANGER, C, D])
def test_false_answers_to_each_message_at_each_hop_stop_none(by):
    air = Attacked()
    air.by = by
    for text in (b"one", b"two", b"three"):
        air.nodes[A].send(D, text, air.now)
        air.run(air.now + 120 * S)
    assert air.states().count(State.DELIVERED) == 3
    assert {event.body for event in air.events[D]} == {b"one", b"two", b"three"}
    messages = [who for who, _, kind in air.frames if kind == "Direct"]
    assert len(messages) <= 3 * (3 * 2 + 1), "a try more each hop"


def test_a_relay_sends_again_when_its_previous_hop_does_whatever_a_stranger_answered():
    relay = forwarder(B)
    relay.receive(A, direct(), named=True, now=0)
    relay.receive(STRANGER, answer(), named=False, now=0)
    assert sent(relay, S) == []
    relay.receive(A, direct(), named=True, now=2 * S)
    relay.receive(STRANGER, answer(b"another!"), named=False, now=2 * S)
    assert [type(item) for item in sent(relay, 3 * S)] == [Direct]


@pytest.mark.parametrize(("sender", "ends"), [(STRANGER, False), (C, True)])
def test_what_its_origin_doubts_is_ended_by_answers_of_its_next_hop_alone(sender, ends):
    relay = forwarder(B)
    relay.receive(A, direct(attempt=2), named=True, now=0)
    assert sent(relay, S)
    relay.receive(sender, answer(), named=False, now=S)
    assert (relay.due_us() is None) is ends


def test_a_repeated_message_that_is_doubted_goes_on_as_that():
    relay = forwarder(B)
    relay.receive(A, direct(), named=True, now=0)
    relay.receive(A, direct(attempt=2), named=True, now=0)
    assert [item.attempt for item in sent(relay, S)] == [2]


def test_who_got_a_false_answer_begins_anew_past_the_memory_of_relays():
    node, attempts = forwarder(A), []
    number, now = node.send(D, b"x", 0), 0
    while not attempts or attempts[-1] == 0:
        node.handle_timeout(now)
        attempts += [item.attempt for item in sent(node, now)]
        false = Send(A, A, 7, Answer(number, 0, FALSE), None)
        assert node.receive(B, false, named=True, now=now) == FALSE
        now = node.due_us()
    assert attempts[-1] == 2


def test_a_true_answer_is_passed_on_after_a_false_one():
    relay = forwarder(B)
    relay.receive(A, direct(), named=True, now=0)
    assert sent(relay, S)
    relay.receive(STRANGER, answer(distance=9), named=True, now=S)
    assert [item.tag for item in sent(relay, 2 * S)] == [FALSE]
    relay.receive(C, answer(TAG, distance=2), named=True, now=3 * S)
    assert [item.tag for item in sent(relay, 4 * S)] == [TAG]
    relay.receive(STRANGER, answer(), named=False, now=5 * S)
    relay.receive(A, direct(attempt=1), named=True, now=5 * S)
    assert [item.tag for item in sent(relay, 6 * S)] == [TAG], "of who was given the message"


def test_a_receiver_answers_by_its_own_word_whatever_it_overheard():
    receiver = forwarder(D)
    message = direct()._replace(next_hop=D)
    for _ in range(2):
        receiver.receive(C, message, named=True, now=0)
        arrived = receiver.poll_event()
        assert isinstance(arrived, Arrived), "nobody here has opened it yet"
        receiver.receive(STRANGER, answer(), named=False, now=0)
    receiver.answer(arrived, TAG, 0)
    receiver.receive(STRANGER, answer(), named=False, now=S)
    assert [item.tag for item in sent(receiver, S)] == [TAG]
    receiver.receive(C, answer(TAG, distance=2), named=False, now=2 * S)
    receiver.receive(C, message, named=True, now=3 * S)
    assert [item.tag for item in sent(receiver, 4 * S)] == [TAG]


def test_a_receipt_is_for_the_answer_that_was_sent_last():
    relay = forwarder(C)
    for at, tag in ((S, FALSE), (2 * S, TAG)):
        heard = Send(C, A, 7, Answer(1, 9, tag), None)
        relay.receive(STRANGER if tag == FALSE else D, heard, named=True, now=at)
    first = relay.poll_transmit(3 * S)
    relay.sent(first, 3 * S)
    second = relay.poll_transmit(4 * S)
    relay.sent(second, 4 * S)
    receipt = Send(C, C, 0, Receipt(A, 1, answer=True), None)
    relay.receive(B, receipt, named=True, now=5 * S)
    left = [one.item.tag for one in relay._carried.values()]
    assert left == [first.item.tag]


def test_who_is_called_for_keeps_a_message_too():
    relay = forwarder(B)
    relay.receive(A, direct()._replace(next_hop=EVERYONE), named=False, now=0)
    relay.receive(STRANGER, answer(), named=False, now=0)
    relay.receive(A, direct(), named=True, now=S)
    assert [type(item) for item in sent(relay, 6 * S)] == [Direct]
