"""Routes and direct messages on LoRa: any bytes, any words of neighbours, lost frames; no loops."""

from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st
from radios.talk import S, Talker, node, plain

from meshd.core.drops import Drops
from meshd.core.errors import WireError
from meshd.forwarding.carried import CARRIED_MAX
from meshd.forwarding.direct import Arrived, Forwarder
from meshd.forwarding.direct_rules import Rules as DirectRules
from meshd.forwarding.relay import Send
from meshd.routing.lora.names import check_of, grouped
from meshd.routing.lora.words import Rules
from meshd.wire import lora_routes
from meshd.wire.lora_routes import (
    Answer,
    Ask,
    Direct,
    NamedEntry,
    Receipt,
    RouteEntry,
    Routes,
    Want,
)

shorts = st.integers(1, 8).map(lambda number: number.to_bytes(2, "big"))
numbers = st.integers(0, 0xFFFF)
distances = st.integers(0, 15)
entries = st.builds(RouteEntry, shorts, st.integers(0, 127), st.integers(0, 255), st.booleans())
nodes = st.integers(1, 8).map(node) | st.binary(min_size=10, max_size=10)
bytes_ = st.integers(0, 255)
named = st.builds(NamedEntry, nodes, numbers, bytes_, st.booleans())
wants = st.builds(Want, shorts, numbers)
asks = st.builds(Ask, shorts | st.just(b"\xff\xff"), shorts)


@st.composite
def routes_items(draw):
    """Any items; their checks are right for what the first entry's sender may mean, or not."""
    rows = tuple(draw(st.lists(entries, max_size=20)))
    meant = [(node(int.from_bytes(row.short, "big")), row.seqno) for row in rows]
    teller, right = node(draw(st.integers(1, 8))), draw(st.booleans())
    checks = [check_of(teller, group) if right else bytes(2) for group in grouped(meant)]
    return Routes(
        draw(numbers),
        draw(bytes_),
        draw(st.integers(1, 255)),
        rows,
        tuple(checks),
        tuple(draw(st.lists(named, max_size=9))),
        tuple(draw(st.lists(wants, max_size=9))),
        tuple(draw(st.lists(asks, max_size=9))),
    )


few = st.integers(0, 2)
tags = st.binary(min_size=8, max_size=8)
bodies = st.binary(min_size=1, max_size=200)
directs = st.builds(Direct, shorts, few, st.integers(0, 7), distances, bodies)
answers = st.builds(Answer, few, distances, tags)
receipts = st.builds(Receipt, shorts, few, st.booleans())
items = routes_items() | directs | answers | receipts


@given(st.binary(max_size=260))
def test_any_bytes_are_an_item_or_a_wire_error(data):
    try:
        item, end = lora_routes.parse(data)
    except WireError:
        return
    assert item.encode() == data[:end]


@given(items)
def test_an_item_comes_back_as_it_was(item):
    data = item.encode()
    assert lora_routes.parse(data) == (item, len(data))


@given(
    st.lists(st.tuples(shorts, directs | answers | receipts, shorts, st.booleans()), max_size=40)
)
def test_a_forwarder_takes_any_items_in_any_order(heard):
    own = b"\x00\x01"
    routes = Talker(1).lora
    for number in range(2, 9):
        routes.heard(node(number), 9.0, 0)
        routes.learn(node(number), plain(number, [(1, 0, 15, True)]), 0)
    relay = Forwarder(own, routes, DirectRules(S), Random(1), drops=Drops(), link="lora0")
    now = 0
    for sender, item, destination, named in heard:
        relay.receive(sender, Send(own, destination, 3, item, None), named=named, now=now)
        while (event := relay.poll_event()) is not None:
            if isinstance(event, Arrived):
                relay.answer(event, bytes(8), now)
        if (send := relay.poll_transmit(now)) is not None:
            assert send.item.encode()
            relay.sent(send, now)
        assert len(relay._carried) <= CARRIED_MAX
        now += S
    for _ in range(400):
        now = max(now, relay.due_us() or now)
        relay.handle_timeout(now)
        if (send := relay.poll_transmit(now)) is not None:
            relay.sent(send, now)
    assert relay.due_us() is None


def looped(nodes, destination):
    """Follow every way that any node would use; tell whether one comes back."""
    state = {}

    def visit(own):
        if own == destination:
            return False
        if own in state:
            return state[own]
        state[own] = True
        found = any(visit(nodes[own].node(via)) for via, _ in nodes[own].ways(destination))
        state[own] = found
        return found

    return any(visit(own) for own in nodes)


@settings(max_examples=60, deadline=None)
@example(13835699, 0.5)  # a loop, when LoRa had a table of its own
@given(st.integers(0, 1 << 32), st.floats(0, 0.6))
def test_no_choice_of_ways_closes_a_loop(seed, loss):
    """Links come and go, words are lost: whatever is told late, ways never lead in a circle."""
    rng = Random(seed)
    names = [node(number) for number in range(1, 8)]
    talkers = {node(n): Talker(n, rules=Rules(S), rng=rng) for n in range(1, 8)}
    nodes = {own: talker.lora for own, talker in talkers.items()}
    up = {(a, b): rng.random() < 0.4 for a in names for b in names if a != b}
    now = 0
    for _ in range(150):
        own = min(names, key=lambda one: nodes[one].due_us())
        now = max(now, nodes[own].due_us())
        for talker in talkers.values():
            talker.at(now)
        said = nodes[own].build(now, 200)
        for other in names:
            if said is not None and other != own and up[own, other] and rng.random() >= loss:
                nodes[other].heard(own, rng.uniform(0, 9), now)
                nodes[other].learn(own, said, now)
        if rng.random() < 0.1:
            link = rng.choice(sorted(up))
            up[link] = not up[link]
        if rng.random() < 0.1:
            nodes[own].failed(rng.choice(names)[:2], now, own=True)
        for destination in names:
            assert not looped(nodes, destination), f"seed {seed} at {now}"
