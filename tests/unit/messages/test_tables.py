"""Every table that others can fill has an end, and what does not fit is a named drop."""

import pytest
from devices.letter_net import Net
from devices.space_devices import SECOND

from meshd.core import crypto
from meshd.core.drops import DropReason
from meshd.core.errors import RequestError
from meshd.core.events import Datagram
from meshd.core.ids import OPEN_MESH_ID, node_id
from meshd.forwarding import pairwise
from meshd.forwarding.pairwise import Pairwise
from meshd.forwarding.radio_events import DirectArrived
from meshd.messages import inbox as inboxes
from meshd.messages.carriage import PARCELS_MAX, PASSAGES_MAX, PER_NODE_MAX
from meshd.messages.contacts import LEARNT_MAX
from meshd.messages.exchange import ASKED_MAX
from meshd.messages.inbox import GOT_MAX, SENDERS_MAX, STRANGERS_MAX, Taken
from meshd.messages.letter import State
from meshd.messages.outbox import SENT_MAX, WAITING_MAX
from meshd.messages.waiting import WAITS_MAX
from meshd.messages.window import WINDOW_MAX
from meshd.wire.letters import AnswerDatagram, DirectDatagram, Introduction


def nobody(number=0):
    return crypto.digest(b"node %d" % number)[:10]


def pair():
    net = Net("a", "b", edges=[("a", "b", "ip")])
    return net, net["a"], net["b"]


def arrives(device, sender, data, *, multicast=False, source=None):
    heard = Datagram(source or sender.local, 6697, data, multicast)
    device.messages.receive("w0", heard, device.now)
    device.run()


def took(device, number, node=b"s" * 10, *, stored=False, read=True):
    done = []
    taken = Taken(node, number, number.to_bytes(8, "big"), f"text {number}", stored)
    device.messages.inbox.take(taken, 0, done.append, device.now)
    device.run()
    for got in device.messages.inbox.texts.values():
        got.read = got.read or read
    return bool(done)


def test_a_sender_that_is_older_than_the_window_is_not_believed_unless_its_feed_says_it():
    _, one, _ = pair()
    for number in range(10, WINDOW_MAX + 20):
        assert took(one, number)
    assert not took(one, 1)
    assert one.dropped(DropReason.LETTER_OLD) == 1
    assert took(one, 2, stored=True)


def test_texts_that_are_kept_end_with_the_oldest_that_was_read(monkeypatch):
    _, one, _ = pair()
    inbox = one.messages.inbox
    monkeypatch.setattr(inbox, "_knows", lambda node: True)
    for number in range(1, GOT_MAX + 1):
        assert took(one, number, nobody(number), read=False)
    assert len(inbox.texts) == GOT_MAX and not took(one, 9_999, nobody(101), read=False)
    assert one.dropped(DropReason.LETTER_FULL) == 1
    inbox.mark(inbox.texts[100], read=True)
    assert took(one, 9_999, nobody(101), read=False)
    assert 100 not in inbox.texts and 0 in inbox.texts
    assert sum(key.startswith("letter/in/") for key in one.store.load().metas) == GOT_MAX


def test_strangers_push_out_only_each_other_and_members_are_never_forgotten(monkeypatch):
    net, one, two = pair()
    net.share("a", "b")
    took(one, 1, two.node)
    for number in range(STRANGERS_MAX + 10):
        took(one, 1, nobody(number))
    rows = [key for key in one.store.load().metas if key.startswith("letter/window/")]
    assert len(rows) == STRANGERS_MAX + 1
    assert f"letter/window/{two.node.hex()}" in rows
    assert SENDERS_MAX > 1
    monkeypatch.setattr(inboxes, "SENDERS_MAX", 1)
    monkeypatch.setattr(one.messages.inbox, "_knows", lambda node: True)
    assert not took(one, 1, b"another one"[:10])
    assert one.dropped(DropReason.LETTER_SENDERS_FULL) == 1


def test_own_texts_that_wait_have_an_end_and_those_done_go():
    _, one, two = pair()
    one.net.edges.clear()
    for number in range(WAITING_MAX):
        one.text(two, f"text {number}")
    with pytest.raises(RequestError, match="wait already"):
        one.text(two, "one more")
    outbox = one.messages.outbox
    for turn in range(3):
        for letter in outbox.waiting():
            outbox.advance(letter, State.DELIVERED)
        for number in range(WAITING_MAX):
            one.text(two, f"text {turn} {number}")
    assert len(outbox.letters) <= SENT_MAX + 1
    one.run()
    assert sum(key.startswith("letter/out/") for key in one.store.load().metas) <= SENT_MAX + 1


def test_callers_that_wait_have_an_end():
    net, one, two = pair()
    net.edges.clear()
    number = one.text(two, "x").value["number"]
    for ticket in range(WAITS_MAX):
        one.messages.requests["message.wait"]({"number": number}, 9_000 + ticket, one.now)
    with pytest.raises(RequestError, match="callers wait"):
        one.messages.requests["message.wait"]({"number": number}, 1, one.now)
    for wrong in ({"number": 99}, {"number": number, "state": "kept"}):
        with pytest.raises(RequestError):
            one.messages.requests["message.wait"](wrong, 1, one.now)


def test_parcels_under_way_have_an_end():
    net, one, two = pair()
    net.lost = lambda what, sender, to: True
    carriage = one.messages.carriage
    sent = [carriage.send(two.node, b"x", 0) for _ in range(PARCELS_MAX + 1)]
    assert sent[-1] is None and None not in sent[:-1]


def test_what_a_gateway_carries_has_an_end_for_all_and_for_each():
    net = Net("a", "g", "b", edges=[("a", "g", "ip"), ("g", "b", "lora")])
    gate, one, two = net["g"], net["a"], net["b"]
    net.lost = lambda what, sender, to: True

    def put(via, number):
        sent = DirectDatagram(two.node, via, number, via[:2], b"sealed body")
        arrives(gate, one, sent.encode())

    for number in range(PER_NODE_MAX + 1):
        gate.now += 3 * SECOND
        put(one.node, number)
    assert gate.dropped(DropReason.DIRECT_FULL) == 1
    for number in range(PASSAGES_MAX):
        gate.now += 3 * SECOND
        gate.out.clear()
        put(nobody(number), 1)
    assert gate.dropped(DropReason.DIRECT_FULL) == 1 + PER_NODE_MAX


def test_one_neighbour_or_origin_cannot_have_everything_carried():
    net = Net("a", "g", "b", edges=[("a", "g", "ip"), ("g", "b", "lora")])
    gate, one, two = net["g"], net["a"], net["b"]
    for number in range(60):
        sent = DirectDatagram(two.node, one.node, number, one.node[:2], b"sealed body")
        arrives(gate, one, sent.encode())
    assert gate.dropped(DropReason.LETTER_LIMITED) == 52
    assert len(gate.out) == 8


def test_datagrams_that_are_none_or_from_afar_are_dropped_by_name():
    _, one, two = pair()
    good = AnswerDatagram(one.node, 1, bytes(8)).encode()
    arrives(one, two, good[:-1])
    arrives(one, two, good, multicast=True)
    arrives(one, two, good, source=b"\xfd" + bytes(15))
    assert one.dropped(DropReason.LETTER_MALFORMED) == 3
    arrives(one, two, good)
    assert one.dropped(DropReason.LETTER_UNASKED) == 1


def test_what_has_no_way_or_no_hop_left_goes_no_further():
    net = Net("a", "b", "c", edges=[("a", "b", "ip"), ("b", "c", "ip")])
    one, two, three = net["a"], net["b"], net["c"]
    sent = DirectDatagram(nobody(), one.node, 1, one.node[:2], b"x")
    arrives(two, one, sent.encode())
    assert two.dropped(DropReason.DIRECT_NO_WAY) == 1
    arrives(two, one, sent._replace(destination=three.node, hop_limit=1).encode())
    assert two.dropped(DropReason.DIRECT_HOP_LIMIT) == 1


def test_keys_nobody_asked_for_are_not_taken_and_those_learnt_have_an_end():
    _, one, two = pair()
    contacts = one.messages._exchange._contacts
    for number in range(LEARNT_MAX + 3):
        contacts.learn(Introduction(crypto.sign_public(crypto.digest(b"%d" % number))))
    assert len(contacts) == LEARNT_MAX
    told = Introduction(two.identity.public).encode()
    arrives(one, two, DirectDatagram(one.node, two.node, 1, two.node[:2], told).encode())
    assert one.dropped(DropReason.LETTER_UNASKED) == 1
    exchange = one.messages._exchange
    for number in range(ASKED_MAX + 5):
        exchange._note_asked(nobody(number), 0)
    assert len(exchange._asked) == ASKED_MAX


def test_a_key_that_is_none_teaches_nothing():
    _, one, two = pair()
    low = b"\x01" + bytes(31)
    said = Introduction(low, wanted=True)
    sent = DirectDatagram(one.node, two.node, 1, node_id(low)[:2], said.encode())
    arrives(one, two, sent.encode())
    assert one.dropped(DropReason.LETTER_MALFORMED) == 1


def test_who_asks_for_a_key_again_and_again_is_told_seldom():
    _, one, two = pair()
    said = Introduction(two.identity.public, wanted=True).encode()
    for number in range(20):
        arrives(one, two, DirectDatagram(one.node, two.node, number, two.node[:2], said).encode())
    assert one.dropped(DropReason.LETTER_LIMITED) == 18


def test_a_sealed_body_that_is_no_letter_is_malformed():
    net = Net("a", "b", edges=[("a", "b", "lora")])
    one, two = net["a"], net["b"]
    there = Pairwise(one.identity.device_seed, OPEN_MESH_ID).with_device(two.identity.public).there
    body = pairwise.seal(there, b"\x09")
    two.tell(DirectArrived("lora0", one.node[:2], 1, body, two.node[:2], 1))
    assert two.dropped(DropReason.LETTER_MALFORMED) == 1
