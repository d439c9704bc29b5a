"""Letters under any bytes and any order of things."""

from devices.letter_net import Net
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.core.errors import WireError
from meshd.core.events import Datagram
from meshd.forwarding.radio_events import DirectAnswered, DirectArrived
from meshd.messages.letter import State, decode_got, decode_letter
from meshd.messages.prekeys import DAY_US
from meshd.messages.window import Verdict, Window
from meshd.wire.letters import Introduction, decode_datagram, parse

SOURCE = b"\xfe\x80" + bytes(14)


@given(st.binary(max_size=1200))
def test_any_bytes_are_a_letter_or_a_wire_error(data):
    for decode in (parse, decode_datagram, Introduction.decode, Window.decode):
        try:
            found = decode(data)
        except WireError:
            continue
        assert found.encode() == data or decode is Window.decode


@given(st.binary(max_size=200))
def test_any_row_is_a_letter_or_a_wire_error(data):
    for decode in (decode_letter, decode_got):
        try:
            decode("letter/out/00000001", data)
        except WireError:
            continue


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=6), st.lists(st.binary(min_size=1), max_size=6))
def test_any_bytes_of_a_neighbour_or_a_radio_change_no_state(datagrams, bodies):
    net = Net("a", "b", edges=[("a", "b", "lora")])
    net.share("a", "b")
    one = net["a"]
    net.lost = lambda what, sender, to: True
    one.text(net["b"], "hello")
    for kind in (5, 6):
        for data in datagrams:
            heard = Datagram(SOURCE, 6697, bytes([kind, 3]) + one.node + data)
            one.messages.receive("w0", heard, one.now)
    for number, body in enumerate(bodies):
        one.tell(DirectArrived("lora0", body[:2], number, body, one.node[:2], 1))
        one.tell(DirectAnswered("lora0", 1, body[:8]))
    one.run()
    net.run(2)
    assert one.shown() == [] and one.states() == ["sent"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 2)), max_size=400))
def test_a_window_takes_each_text_once_through_any_restarts(texts):
    window, taken = Window(), []
    for number, twin in texts:
        tag = bytes([twin]) * 8
        if window.judge(number, tag) in (Verdict.NEW, Verdict.TWIN):
            taken.append((number, twin))
            window.take(number, tag)
        if number % 7 == 0:
            window = Window.decode(window.encode())
    assert len(taken) == len(set(taken))


MOVES = ["loss", "away", "back", "sync", "restart", "month", "doubt", "put back", "lose keys"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(MOVES), max_size=10))
def test_whatever_becomes_of_prekeys_each_text_is_shown_once_and_arrives(moves):
    net = Net("a", "b", edges=[("a", "b", "lora")])
    net.share("a", "b")
    net.run(1_200)
    net.sync("a", "b")
    old = dict(net["b"].store.metas)
    shown = []
    for number, move in enumerate(moves):
        change(net, move, old)
        net["a"].text(net["b"], f"text {number}")
        net.run(15)
        if move in ("restart", "put back", "lose keys"):
            shown += net["b"].shown()
            for name in "ab":
                net[name].notices.clear()
                net.restart(name)
    net.lost, net.away = lambda what, sender, to: False, set()
    for _ in range(12):
        net.run(700)
        net.sync("a", "b")
    shown += net["b"].shown()
    assert sorted(shown) == sorted(f"text {number}" for number in range(len(moves)))
    states = {letter.state for letter in net["a"].messages.outbox.letters.values()}
    assert states <= {State.DELIVERED}


def change(net, move, old):
    """Let something happen to the second device, or to what is between the two."""
    prekeys, store = net["b"].messages.prekeys, net["b"].store
    if move == "loss":
        drops = iter([True, True])
        net.lost = lambda what, sender, to: next(drops, False)
    elif move in ("away", "back"):
        net.away = {"b"} if move == "away" else set()
    elif move == "sync":
        net.sync("a", "b")
    elif move == "month":
        prekeys._uptime_us += 31 * DAY_US
        net.run(1_800)
    elif move == "doubt":
        net["a"].messages.prekeys.doubt(net["b"].node, net.now)
    elif move in ("put back", "lose keys"):
        for key in [key for key in store.metas if key.startswith("letter/own/")]:
            del store.metas[key]
        if move == "put back":
            store.metas |= {key: old[key] for key in old if key.startswith("letter/own/")}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["loss", "away", "back", "sync", "restart", "wait"]), max_size=12))
def test_a_text_is_shown_at_most_once_and_delivered_means_that_it_was(moves):
    net = Net("a", "b", edges=[("a", "b", "lora")])
    net.share("a", "b")
    net["a"].text(net["b"], "hello")
    shown = 0
    for move in moves:
        if move == "loss":
            drops = iter([True, True])
            net.lost = lambda what, sender, to, drops=drops: next(drops, False)
        elif move in ("away", "back"):
            net.away = {"b"} if move == "away" else set()
        elif move == "sync":
            net.sync("a", "b")
        elif move == "restart":
            shown += len(net["b"].shown())
            for name in "ab":
                net[name].notices.clear()
                net.restart(name)
        net.run(15)
    shown += len(net["b"].shown())
    rows = list(net["b"].messages.inbox.texts.values())
    letter = net["a"].messages.outbox.letters[1]
    assert shown <= 1 and len(rows) == shown
    assert letter.state is not State.DELIVERED or shown == 1
