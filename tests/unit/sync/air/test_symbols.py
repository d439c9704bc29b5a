"""Many feeds told in coded symbols: what it costs, losses, several listeners, and who lies."""

from random import Random
from types import SimpleNamespace

import pytest
from devices.air_net import AirNet, names_of

from meshd.core.crypto import digest
from meshd.sync.air import symbols, talk
from meshd.sync.air.names import feed_name
from meshd.sync.air.symbols import Symbols
from meshd.wire.air_messages import Heads
from meshd.wire.symbols import FEEDS, Symbol, SymbolBatch

ROOM = 204
SECOND = 1_000_000


class Space:
    """As much of a space as names and symbols see."""

    def __init__(self, seqs, number=1):
        self.id = bytes([number]) * 32
        self.fetch_key = bytes([number]) * 32
        self.keys = SimpleNamespace(author_id=lambda author: digest(author, size=4))
        self.log = SimpleNamespace(authors=lambda: (), digest=lambda: bytes(16), forked=())
        self.feeds = {}
        for author, seq in seqs.items():
            self.feeds[author] = SimpleNamespace(durable_seq=seq, seq=seq)

    @property
    def state(self):
        rows = sorted((author, feed.durable_seq) for author, feed in self.feeds.items())
        return SimpleNamespace(now=digest(repr(rows).encode(), size=16))


class Node:
    """A node with one space and its symbols."""

    def __init__(self, number, seqs, seed=0):
        self.node = bytes([number]) * 10
        self.space = Space(seqs)
        spaces = SimpleNamespace(
            all=lambda: [self.space],
            get=lambda space_id: self.space if space_id == self.space.id else None,
            identity=SimpleNamespace(node=self.node),
        )
        self.symbols = Symbols(names_of(spaces, bytes([number, seed])), Random(number))
        self.found = []

    def hear(self, node, body, now):
        batch = SymbolBatch.decode(body)
        if not batch.symbols:
            self.symbols.asked(batch, now)
            return
        space = self.symbols._names.meant_set(node, batch)
        heads = None if space is None else self.symbols.take(node, space, batch, now)
        if heads is not None:
            self.found.append(heads)


def authors(count):
    return {digest(number.to_bytes(2, "big")): 3 for number in range(count)}


def play(teller, *others, lost=lambda: False, limit_s=300):
    """Let the teller tell until nobody has anything to say; return the bodies sent."""
    teller.symbols.tell(teller.space, teller.space.state, 0)
    sent, now, nodes = [], 0, (teller, *others)
    while now < limit_s * SECOND:
        dues = [due_us for node in nodes if (due_us := node.symbols.due_us()) is not None]
        if not dues:
            break
        now = max(now, min(dues))
        for node in nodes:
            batch = node.symbols.build(now, ROOM)
            if batch is None:
                continue
            body = batch.encode()
            assert len(body) <= ROOM
            sent.append(body)
            for other in nodes:
                if other is not node and not lost():
                    other.hear(node.node, body, now)
    return sent


def expected(space):
    return {feed_name(space, author): feed.durable_seq for author, feed in space.feeds.items()}


def changed(seqs, count, seed):
    """Return feeds of which `count` are elsewhere, or not known yet, or longer."""
    random, result = Random(seed), dict(seqs)
    for author in random.sample(sorted(result), count):
        kind = random.randrange(3)
        if kind == 0:
            del result[author]
        else:
            result[author] += kind
    return result


@pytest.mark.parametrize(("count", "differ"), [(60, 1), (100, 4), (300, 12), (300, 60)])
def test_all_heads_of_a_neighbour_are_known_from_what_differs(count, differ):
    here = authors(count)
    teller, listener = Node(1, changed(here, differ, count)), Node(2, here)
    sent = play(teller, listener)
    (heads,) = listener.found
    assert {head.feed: head.seq for head in heads.heads} == expected(teller.space)
    assert isinstance(heads, Heads) and not heads.partial
    batches = [body for body in sent if len(body) > 40]
    assert len(batches) <= 1 + 2 * 1.7 * differ * 14 / (ROOM - 20) + 1


def test_the_same_batches_serve_listeners_with_different_gaps():
    here = authors(120)
    teller = Node(1, here)
    others = [Node(number, changed(here, number, number)) for number in range(2, 8)]
    sent = play(teller, *others)
    assert all(len(other.found) == 1 for other in others)
    alone = []
    for other in others:
        other.found.clear()
        alone += play(Node(1, here, seed=1), Node(99, changed(here, other.node[0], other.node[0])))
    assert len(sent) < len(alone)


def test_lost_batches_and_asks_are_made_good():
    random = Random(5)
    here = authors(150)
    teller, listener = Node(1, changed(here, 20, 3)), Node(2, here)
    play(teller, listener, lost=lambda: random.random() < 0.3)
    assert len(listener.found) == 1


def test_a_set_that_changes_is_told_anew():
    here = authors(80)
    teller, listener = Node(1, changed(here, 30, 1)), Node(2, here)
    teller.symbols.tell(teller.space, teller.space.state, 0)
    first = teller.symbols.build(0, ROOM)
    listener.hear(teller.node, first.encode(), 0)
    teller.space.feeds[b"new" * 10] = SimpleNamespace(durable_seq=1, seq=1)
    teller.symbols.tell(teller.space, teller.space.state, SECOND)
    again = teller.symbols.build(SECOND, ROOM)
    assert again.first == 0 and again.salt != first.salt
    listener.hear(teller.node, again.encode(), symbols.NEW_US)
    assert listener.symbols._open[teller.node, teller.space.id].salt == again.salt


def test_who_has_not_the_key_says_and_learns_nothing():
    teller, stranger = Node(1, authors(60)), Node(2, authors(60))
    stranger.space.fetch_key = bytes(32)
    sent = play(teller, stranger)
    assert len(sent) == 1 and not stranger.found


def test_who_has_not_the_key_tells_no_other_set_under_a_tag_that_was_heard():
    """A set of nothing contradicts nobody, and a member alone on a place shows its check."""
    here = authors(60)
    teller, listener = Node(1, here), Node(2, here)
    teller.symbols.tell(teller.space, teller.space.state, 0)
    true = teller.symbols.build(0, 1_000)
    nothing = tuple(Symbol(0, 0, 0) for _ in true.symbols)
    alone = next(symbol for symbol in true.symbols if symbol.members == 1)
    told = [
        SymbolBatch(FEEDS, about, true.salt, size, check, 0, symbols)
        for about in (true.about, listener.symbols._names.tag(teller.space))
        for size, check, symbols in ((0, 0, nothing), (1, alone.check, (alone, *nothing[1:])))
    ]
    for batch in (*told, true._replace(salt=true.salt[:2] + b"xx"), true._replace(subject=2)):
        listener.hear(teller.node, batch.encode(), 0)
    assert not listener.found and not listener.symbols._open
    listener.hear(teller.node, true.encode(), 0)
    assert len(listener.found) == 1


def test_new_sets_of_one_neighbour_are_held_to_a_pace_and_lies_end():
    listener = Node(2, authors(100))
    names = names_of(listener.symbols._names.spaces, bytes([7, 7]))
    names._node = bytes([7]) * 10
    random = Random(1)
    for number in range(200):
        salt = bytes([7, 7]) + number.to_bytes(2, "big")
        lie = SymbolBatch(FEEDS, b"", salt, 90, 1, 0, listener_symbols(random))
        told = names.told_set(listener.space, lie).encode()
        listener.hear(names._node, told, number * SECOND // 10)
    assert len(listener.symbols._open) == 1
    began_us = listener.symbols._open[names._node, listener.space.id].began_us
    assert began_us % symbols.NEW_US < SECOND
    asks = 0
    for at in range(200):
        asks += listener.symbols.build((300 + 20 * at) * SECOND, ROOM) is not None
    assert asks <= symbols.ASKS_MAX and not listener.found


def listener_symbols(random):
    return tuple(Symbol(random.getrandbits(64), random.getrandbits(32), 5) for _ in range(10))


def test_who_asks_without_end_is_told_so_many_batches():
    teller, listener = Node(1, authors(100)), Node(2, authors(100))
    teller.symbols.tell(teller.space, teller.space.state, 0)
    first = teller.symbols.build(0, ROOM)
    ask = SymbolBatch(FEEDS, first.about, first.salt, 0, 0, 0, ()).encode()
    told = 0
    for second in range(1, 600):
        teller.hear(listener.node, ask, second * SECOND)
        told += teller.symbols.build((second + 2) * SECOND, ROOM) is not None
    assert told < symbols.TOLD_MAX


def test_who_missed_the_beginning_asks_for_it():
    here = authors(100)
    teller, listener = Node(1, changed(here, 9, 1)), Node(2, here)
    first = [True]

    def lost():
        return bool(first) and bool(first.pop())

    play(teller, listener, lost=lost)
    assert not listener.found, "nobody asks for what was not heard at all"
    teller.symbols.tell(teller.space, teller.space.state, 0)
    play(teller, listener)
    assert len(listener.found) == 1


def test_tables_have_ends():
    listener = Node(2, authors(60))
    for number in range(3, 3 + 2 * symbols.OPEN_MAX):
        teller = Node(number, changed(authors(60), 30, number))
        teller.symbols.tell(teller.space, teller.space.state, 0)
        listener.hear(teller.node, teller.symbols.build(0, ROOM).encode(), 0)
    assert len(listener.symbols._open) == symbols.OPEN_MAX
    for number in range(1, 2 * symbols.TELLINGS_MAX):
        space = Space(authors(3), number)
        listener.symbols.tell(space, space.state, 0)
    assert len(listener.symbols._tellings) == symbols.TELLINGS_MAX


def test_members_of_a_space_of_many_feeds_repair_each_other_by_symbols(monkeypatch):
    monkeypatch.setattr(talk, "HEADS_MAX", 0)
    net = AirNet()
    houses = net.home(2)
    net.forgets(*houses)
    assert net.same(houses)
    assert net.named("SYMBOLS") and not net.named("HEADS")
