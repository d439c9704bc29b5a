"""Replicas that may speak in the end are equal in the end, whatever happened before."""

from copy import deepcopy
from itertools import pairwise

from devices.sync_net import MS, SECOND, Puppet, SyncNet
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.store.interface import StoreError, StoreFault
from meshd.wire import sync_messages as wire

COUNT = 4
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["post", "post", "big", "connect", "connect", "cut", "crash", "wait", "invite", "fail"]
        ),
        st.integers(0, COUNT - 1),
        st.integers(0, COUNT - 1),
        st.integers(0, 40),
    ),
    min_size=8,
    max_size=60,
)


def replicas(seed):
    net = SyncNet(seed)
    houses = [net.founder("r0")]
    for place in range(1, COUNT):
        role = "relay" if place == 2 else "writer"
        houses.append(net.joined(f"r{place}", houses[0], role=role))
    for place, house in enumerate(houses):
        house.commit_us, house.read_us = (place + seed % 7) * 3 * MS, seed % 11 * MS
    for house in houses[1:]:
        net.cut(house, houses[0])
    return net, houses


def act(net, houses, step):
    what, one, other, number = step
    here, there = houses[one], houses[other]
    connected = any(house is there for house, _, _ in here.sessions.ends.values())
    if what == "post":
        for place in range(number // 8 + 1):
            here.post(f"{here.name} {net.now} {place}")
    elif what == "big":
        for _ in range(number // 4):
            here.post(f"{here.name} {net.now} " + "x" * 700 * number)
    elif what == "fail":
        here.store.fail_next = StoreError(StoreFault.FULL, "no space left", remedy="")
    elif what == "invite":
        here.ask("invite", space="home", role="reader")
    elif what == "connect" and here is not there and not connected:
        net.connect(here, there, delay_us=(number + 1) * MS)
    elif what == "cut" and here is not there:
        net.cut(here, there)
    elif what == "crash":
        net.crash(here)
    net.run(number * number * 100)


def meet_all(net, houses):
    for house in houses:
        house.store.fail_next = None
    for one, other in pairwise(houses):
        if not any(house is other for house, _, _ in one.sessions.ends.values()):
            net.connect(one, other)
    net.run(400 * SECOND)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), steps=STEPS)
def test_replicas_converge(seed, steps):
    net, houses = replicas(seed)
    for step in steps:
        act(net, houses, step)
    meet_all(net, houses)
    first = houses[0]
    for house in houses[1:]:
        assert house.heads() == first.heads()
        assert house.home.log.digest() == first.home.log.digest()
        assert not any(feed.frozen for feed in house.home.feeds.values())
        assert house.store.entries == first.store.entries
    for house in houses:
        assert not house.messages(wire.Probe)
        assert house.sync.statuses(net.now)[0].behind == 0
        house.sessions.sent.clear()
    net.run(60 * SECOND)
    assert not any(house.sessions.sent for house in houses)


TWINS = st.lists(
    st.tuples(
        st.sampled_from(["post", "post", "post", "connect", "connect", "cut", "save", "roll"]),
        st.integers(0, COUNT - 1),
        st.integers(0, COUNT - 1),
        st.integers(0, 40),
    ),
    min_size=8,
    max_size=60,
)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), steps=TWINS)
def test_cards_that_are_rolled_back_split_nothing(seed, steps):
    """Forked feeds are frozen on all replicas, all others are equal, and every device writes on."""
    net, houses = replicas(seed)
    saved = {}
    for step in steps:
        house = houses[step[1]]
        if step[0] == "save":
            store = house.store
            saved[house.name] = deepcopy((store.metas, store.entries, store.membership))
        elif step[0] != "roll":
            act(net, houses, step)
        elif house.name in saved:
            store = house.store
            store.metas, store.entries, store.membership = deepcopy(saved[house.name])
            net.crash(house)
    meet_all(net, houses)
    frozen = [
        {author for author, feed in house.home.feeds.items() if feed.frozen} for house in houses
    ]
    assert all(each == frozen[0] for each in frozen)
    for house in houses:
        if not house.home.carries_only:
            house.post(f"{house.name} is here")
    net.run(20 * SECOND)
    alive = [
        {author: head for author, head in house.heads().items() if author not in frozen[0]}
        for house in houses
    ]
    assert all(each == alive[0] for each in alive)
    for house in houses:
        if not house.home.carries_only:
            assert {f"{each.name} is here" for each in houses if not each.home.carries_only} <= set(
                house.texts()
            )


AUTHORS = st.sampled_from([bytes(32), bytes(range(32)), b"own"])
SEQS = st.one_of(st.integers(0, 12), st.sampled_from([2**32, 2**63 - 1, 2**64 - 1]))
NUMBERS = st.sampled_from([0, 7, 7, 7, 9])
BLOBS = st.binary(max_size=300)


def messages(seqs=SEQS):
    heads = st.builds(wire.Head, AUTHORS, seqs, st.binary(min_size=8, max_size=8))
    ranges = st.builds(wire.Range, AUTHORS, seqs, st.integers(0, 65535))
    tags = st.builds(wire.SpaceTag, NUMBERS, st.binary(min_size=16, max_size=16))
    many = {"max_size": 4}
    return st.one_of(
        st.builds(wire.Hello, st.binary(min_size=16, max_size=16), st.integers(0, 255)),
        st.builds(wire.SpaceTags, st.lists(tags, **many).map(tuple)),
        st.builds(
            wire.Have, NUMBERS, st.lists(heads, **many).map(tuple), st.booleans(), st.booleans()
        ),
        st.builds(wire.Want, NUMBERS, st.lists(ranges, **many).map(tuple)),
        st.builds(
            wire.Entries,
            NUMBERS,
            AUTHORS,
            seqs,
            st.lists(st.one_of(BLOBS, st.just(b"own")), **many).map(tuple),
            st.booleans(),
        ),
        st.builds(
            wire.Lease, NUMBERS, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.booleans()
        ),
        st.builds(wire.Probe, NUMBERS, AUTHORS, seqs),
        st.builds(wire.Probed, NUMBERS, AUTHORS, seqs, BLOBS),
        st.builds(wire.Fork, NUMBERS, AUTHORS, seqs, BLOBS, BLOBS),
        st.builds(wire.Join, NUMBERS, BLOBS),
        st.builds(wire.Joined, NUMBERS, st.integers(0, 255), BLOBS),
        BLOBS,
    )


def localised(message, space, entries):
    """Put the real feed and its real entries where a message says "own"."""
    if isinstance(message, bytes):
        return message
    swap = {b"own": space.author}
    if isinstance(message, wire.Have):
        heads = (head._replace(author=swap.get(head.author, head.author)) for head in message.heads)
        return message._replace(heads=tuple(heads))
    if isinstance(message, wire.Want):
        ranges = (
            item._replace(author=swap.get(item.author, item.author)) for item in message.ranges
        )
        return message._replace(ranges=tuple(ranges))
    if hasattr(message, "author"):
        message = message._replace(author=swap.get(message.author, message.author))
    if isinstance(message, wire.Entries):
        own = entries[message.first % len(entries)]
        runs = (own if data == b"own" else data for data in message.entries)
        message = message._replace(entries=tuple(runs))
    return message


@settings(max_examples=60, deadline=None)
@given(first=st.booleans(), relay=st.booleans(), said=st.lists(messages(), max_size=30))
def test_any_message_in_any_state_is_legal_or_a_named_drop(first, relay, said):
    net = SyncNet()
    anna = net.founder()
    for number in range(4):
        anna.post(f"note {number}")
    net.run(SECOND)
    house = net.joined("relay", anna, role="relay") if relay else anna
    before = dict(anna.heads())
    mallory = Puppet(net).meet(house)
    if first:
        mallory.share(house.home)
    entries = list(anna.store.entries[anna.home.id, anna.home.author].values())
    for message in said:
        if mallory.session in mallory.sessions.ends:
            mallory.say(localised(message, anna.home, entries), within=5 * MS)
    net.run(60 * SECOND)
    assert anna.heads() == before
    assert house.heads() == before
    anna.post("still at work")
    net.run(20 * SECOND)
    assert house.heads() == anna.heads() != before


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_are_a_message_or_a_wire_error(data):
    try:
        message = wire.decode(data)
    except wire.WireError:
        return
    if message is not None:
        assert wire.decode(message.encode()) == message
