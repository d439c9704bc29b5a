"""A wide table keeps few routes, and loses no prefix: what was left out is had back.

Neighbours say tables in pages, change them with and without a word, fall silent, start again, cost
more and less. When they have then said their tables a few times in peace, each prefix that one of
them announces feasibly has a route.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speakers.talk import LINK, Talk, numbered

from meshd.core.ids import Prefix
from meshd.neighbour.cost import INFINITY
from meshd.routing import lesson, memory, table
from meshd.wire.babel import Hello, Ihu, Retraction, Update
from meshd.wire.babel_parser import decode

PREFIXES = 9
NEIGHBOURS = 5
PAGE = 3
CS = 2400
STEP = st.tuples(
    st.sampled_from(("change", "change", "say", "say", "retract", "dump", "dump", "ihu", "wait")),
    st.integers(0, NEIGHBOURS - 1),
    st.integers(0, PREFIXES - 1),
    st.sampled_from((0, 100, 256, 700, 1500, 3000)),
)
RARE = st.tuples(
    st.sampled_from(("restart", "quit", "raise")),
    st.integers(0, NEIGHBOURS - 1),
    st.integers(0, PREFIXES - 1),
    st.just(256),
)


def plain(at: int) -> bool:
    """Tell whether a prefix is announced as a node announces its own."""
    return at < 2 * PAGE


def prefix_of(at: int) -> Prefix:
    """Return the address of a node, as pages of a mesh hold them, or one of another kind."""
    tail = bytes((at, at, *bytes(7), at + 100))
    return Prefix(bytes.fromhex("fd0102030405") + tail, 128) if plain(at) else numbered(at)


class Peer:
    """A neighbour that announces some prefixes, in pages of a steady order."""

    def __init__(self, talk: Talk, number: int) -> None:
        self.talk = talk
        self.source = LINK.address[:-1] + bytes((number + 2,))
        self.hellos = 7
        self.rxcost = 256
        self.seqno = 1
        self.table = dict.fromkeys(range(PREFIXES - 4), (1, 256 * (number + 1)))
        if number < 2:
            self.table = dict.fromkeys(range(number, PREFIXES - 4, 2), (1, 256))

    def word(self, at: int) -> Update:
        seqno, metric = self.table[at]
        prefix = prefix_of(at)
        router_id = prefix.address[8:] if plain(at) else bytes(7) + b"\7"
        return Update(prefix, router_id, seqno, metric, CS, self.source)

    def greet(self) -> None:
        self.hellos = self.hellos + 1 & 0xFFFF
        self.say(Hello(self.hellos, 6000), Ihu(LINK.address, self.rxcost, 6000))

    def dump(self) -> None:
        for first in range(0, PREFIXES, PAGE):
            page = [self.word(at) for at in range(first, first + PAGE) if at in self.table]
            if page:
                self.say(*page)

    def say(self, *tlvs) -> None:
        self.talk.say(*tlvs, source=self.source)

    def step(self, what: str, at: int, value: int) -> None:
        if what == "change":
            self.table[at] = (self.seqno, value)
        elif what == "say" and at in self.table:
            self.say(self.word(at))
        elif what == "retract":
            self.table.pop(at, None)
            if value:  # else its word is lost
                self.say(Retraction(prefix_of(at), 0, CS))
        elif what == "dump":
            self.dump()
        elif what == "ihu":
            self.rxcost = max(value, 256) if value != 3000 else INFINITY
            self.greet()
        elif what == "restart":
            self.hellos = self.hellos + 5000 & 0xFFFF
            self.greet()
        elif what == "quit":
            self.say(Retraction(None, 0, CS))
        elif what == "raise":
            self.seqno += 1
            self.table[at] = (self.seqno, value)
        else:
            self.talk.wait(value / 100)


def owed(talk: Talk, peers: list[Peer]) -> set[Prefix]:
    """Return the prefixes that somebody announces so that they could be used."""
    babel = talk.station.babel
    found = set()
    for peer in peers:
        for at in peer.table:
            word = peer.word(at)
            usable = babel._sources.feasible(word.prefix, word.router_id, word.seqno, word.metric)
            if usable and peer.rxcost != INFINITY:
                found.add(word.prefix)
    return found


def unaccounted(talk: Talk) -> list[Update]:
    """Return the words of remembered packets that would be lost if these are heard again."""
    learner, found = talk.station.babel._learner, []
    for neighbour, known in learner.remembered.items():
        for data, lease in known.leases.items():
            for word in decode(data, neighbour.address).tlvs:
                entry = learner.table.entries.get(word.prefix)
                route = entry.of(neighbour) if entry is not None else None
                held = route is not None and route.lease is lease
                same = held and (route.seqno, route.advertised) == (word.seqno, word.metric)
                spare = entry is not None and lease in entry.spare
                if not same and not spare and word.prefix not in lease.strays:
                    found.append(word)
    return found


@given(
    st.lists(st.one_of(STEP, STEP, STEP, RARE), max_size=40),
    st.sampled_from((0, 5, 7, 9)),
    st.sampled_from((2, 32)),
)
@settings(max_examples=150, deadline=None)
def test_no_prefix_is_lost_that_a_neighbour_announces(steps, wide, remembered) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "WIDE", wide)
        for module in (table, lesson):
            patch.setattr(module, "WIDE_ROUTES", 2)
        patch.setattr(memory, "REMEMBERED_MAX", remembered)
        talk = Talk()
        peers = [Peer(talk, number) for number in range(NEIGHBOURS)]
        for peer in peers:
            peer.greet()
        for what, number, at, value in steps:
            peers[number].step(what, at, value)
            assert not unaccounted(talk)
        for _ in range(4):
            for peer in peers:
                peer.greet()
                peer.dump()
            talk.wait(24)
        lost = {prefix for prefix in owed(talk, peers) if talk.metric(prefix) is None}
        assert not lost
