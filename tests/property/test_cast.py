"""A mesh of casts in virtual time, over links that lose frames: everybody gets everything.

The air here is simpler than the simulator's: no collisions, each link loses a share at random.
"""

from heapq import heappop, heappush
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.core.airtime import LONG_FAST, airtime_us
from meshd.core.crowd import NEIGHBOURS_MAX
from meshd.core.drops import Drops
from meshd.core.errors import WireError
from meshd.forwarding.cast import Cast
from meshd.forwarding.neighbours import Neighbours
from meshd.forwarding.objects import HELD_MAX, LISTERS_MAX, WANTED_MAX
from meshd.forwarding.rules import rules_for
from meshd.wire.lora_items import Heard, Listing, Object, Wants
from meshd.wire.lora_payload import encode, parse

ROOM = 239
SECOND = 1_000_000
RULES = rules_for(LONG_FAST, shared=True)
FRAMES_MAX = 20_000
BEACONS_S = (1, 60, 120, 180, 400, 900)


class Mesh:
    """Casts, who hears whom, and the share of frames that each link loses."""

    def __init__(self, links, loss, seed):
        self.rng = Random(seed)
        self.links, self.loss = links, loss
        self.casts = [
            Cast(
                Neighbours(number.to_bytes(2, "big")),
                RULES,
                Random(seed * 1000 + number),
                drops=Drops(),
                link="lora0",
            )
            for number in range(len(links))
        ]
        self.got = [set() for _ in links]
        self.now, self.order, self.frames = 0, 0, 0
        self.heap = []
        for number in range(len(links)):
            for at_s in BEACONS_S:
                self.at(at_s * SECOND + number * SECOND, self.beacon, number)

    def at(self, when_us, action, *args):
        self.order += 1
        heappush(self.heap, (when_us, self.order, action, args))

    def beacon(self, number):
        self.casts[number].listings.beacon(self.now)
        self.wake(number)

    def publish(self, number, body, priority=1):
        self.casts[number].publish(body, priority, self.now)
        self.got[number].add(body)
        self.wake(number)

    def wake(self, number):
        due_us = self.casts[number].due_us()
        if due_us is not None:
            self.at(max(due_us, self.now), self.send, number)

    def send(self, number):
        cast = self.casts[number]
        batch = cast.build(self.now, ROOM)
        if batch is None:
            return
        self.frames += 1
        assert self.frames < FRAMES_MAX, "the mesh does not come to rest"
        data = encode(batch.items)
        assert len(data) <= ROOM
        cast.sent(batch, self.now)
        end_us = self.now + airtime_us(LONG_FAST, 16 + len(data))
        for other in self.links[number]:
            if self.rng.random() >= self.loss:
                self.at(end_us, self.hear, other, number, data)
        self.at(end_us + 1, self.wake, number)

    def hear(self, number, sender, data):
        cast, short = self.casts[number], sender.to_bytes(2, "big")
        cast.neighbours.heard(short, 0.0, self.now)
        try:
            items = parse(data)
        except WireError:
            return
        self.got[number].update(item.body for item in cast.receive(short, items, self.now))
        self.wake(number)

    def run(self, until_us=None):
        while self.heap and (until_us is None or self.heap[0][0] <= until_us):
            self.now, _, action, args = heappop(self.heap)
            action(*args)
        self.now = max(self.now, until_us or 0)


def connected(count, seed):
    """Return two-way links: a tree, and some more."""
    rng = Random(seed)
    links = [set() for _ in range(count)]
    for number in range(1, count):
        others = [rng.randrange(number), rng.randrange(count)]
        for other in others:
            if other != number:
                links[number].add(other)
                links[other].add(number)
    return [sorted(one) for one in links]


def missed(count, loss, seed, messages=12):
    """Let random nodes publish; return how many deliveries were due, and how many never came."""
    mesh = Mesh(connected(count, seed), loss, seed)
    mesh.run(200 * SECOND)
    sent = set()
    for number in range(messages):
        body = bytes([number]) * (1 + mesh.rng.randrange(60))
        mesh.run(mesh.now + mesh.rng.randrange(60) * SECOND)
        mesh.publish(mesh.rng.randrange(count), body, mesh.rng.randrange(5))
        sent.add(body)
    mesh.run()
    assert mesh.frames < 40 * count, "the mesh does not come to rest"
    return (count - 1) * len(sent), sum(len(sent - got) for got in mesh.got)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 9), st.integers(0, 2**16))
def test_everybody_gets_everything_where_nothing_is_lost(count, seed):
    assert missed(count, 0.0, seed)[1] == 0


@pytest.mark.parametrize(("loss", "least"), [(0.1, 0.99), (0.3, 0.93)])
def test_repair_brings_nearly_everything_where_frames_are_lost(loss, least):
    runs = [missed(2 + seed % 8, loss, seed) for seed in range(40)]
    due, lost = (sum(run[place] for run in runs) for place in (0, 1))
    assert 1 - lost / due >= least


class Flooder:
    """A member that sends anything as fast as it can."""

    def __init__(self, seed):
        self.rng = Random(seed)

    def items(self):
        rng = self.rng
        words = tuple(rng.randbytes(2) for _ in range(rng.randrange(100)))
        return rng.choice(
            [
                (Object(rng.randbytes(rng.randrange(1, 9)), rng.randrange(5), rng.randrange(256)),),
                (Listing(words, rng.randrange(256), rng.randrange(256)),),
                (Wants(words),),
                (Heard(words),),
                (Wants(tuple(self.known)),),
            ]
        )

    known = ()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**16))
def test_a_flooding_member_fills_no_table_and_the_rest_still_hear_each_other(seed):
    mesh = Mesh([[1, 2], [0, 2], [0, 1]], 0.0, seed)
    mesh.run(200 * SECOND)
    mesh.publish(0, b"from 0 to 1", 0)
    flooder = Flooder(seed)
    for _ in range(400):
        flooder.known = [held.tag for held in mesh.casts[1].store.by_name.values()][:100]
        data = encode(flooder.items())
        for other in (0, 1):
            mesh.hear(other, 2, data)
        mesh.run(mesh.now + SECOND)
    assert b"from 0 to 1" in mesh.got[1]
    for cast in mesh.casts:
        assert len(cast.store.by_name) <= HELD_MAX
        assert len(cast.listings.wanted.by_tag) <= WANTED_MAX
        assert len(cast.listings.wanted._vain) <= LISTERS_MAX
        assert len(cast.neighbours.known) <= NEIGHBOURS_MAX
    mesh.run()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=60)), max_size=20), st.integers(0, 9)
)
def test_any_frames_in_any_order_never_raise(frames, seed):
    mesh = Mesh([[1], [0]], 0.0, seed)
    for sender, data in frames:
        mesh.hear(1, sender, data)
        mesh.run(mesh.now + 100 * SECOND)
    mesh.run()
