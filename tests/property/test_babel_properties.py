"""Babel under arbitrary input: no bytes raise, values survive the wire, no state is a trap."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speakers.air import SECOND, Air, Station, link_address
from speakers.second_opinion import babel_packet, names

from meshd.core.errors import WireError
from meshd.core.events import Datagram, Link, LinkKind
from meshd.core.ids import Prefix
from meshd.core.limits import BABEL_PORT
from meshd.wire import babel
from meshd.wire.babel_parser import decode

SOURCE = link_address(2)
u16 = st.integers(0, 0xFFFF)
interval = st.integers(1, 0xFFFF)
router_ids = st.binary(min_size=8, max_size=8).filter(
    lambda value: value not in (bytes(8), b"\xff" * 8)
)
link_locals = st.binary(min_size=8, max_size=8).map(lambda low: babel.LINK_LOCAL_HEAD + low)


@st.composite
def prefixes(draw) -> Prefix:
    length = draw(st.integers(0, 128))
    head = draw(st.sampled_from([b"\xfd\x00\x00\x00\x00\x00", b"\xfd\x42", b""]))
    address = head + draw(st.binary(min_size=16 - len(head), max_size=16 - len(head)))
    shift = 128 - length
    return Prefix((int.from_bytes(address, "big") >> shift << shift).to_bytes(16, "big"), length)


updates = st.builds(
    babel.Update,
    prefixes(),
    router_ids,
    u16,
    st.integers(0, 0xFFFE),
    interval,
    link_locals,
    st.just(0) | u16,
)
near_updates = (
    prefixes()
    .flatmap(
        lambda prefix: st.builds(
            babel.Update,
            st.just(prefix),
            st.just(prefix.address[8:]) if any(prefix.address[8:]) else router_ids,
            u16,
            st.integers(0, 0xFFFE),
            interval,
            st.just(SOURCE),
            st.just(0) | u16,
        )
    )
    .filter(lambda update: update.router_id != b"\xff" * 8)
)
tlvs = st.one_of(
    st.builds(babel.AckRequest, u16, interval),
    st.builds(babel.Ack, u16),
    st.builds(babel.Hello, u16, u16, st.booleans()),
    st.builds(
        babel.Ihu, st.none() | link_locals | st.binary(min_size=4, max_size=4), u16, interval
    ),
    updates,
    near_updates,
    st.builds(babel.Retraction, prefixes(), u16, interval, st.booleans()),
    st.builds(babel.Retraction, st.none(), u16, interval, st.just(False)),
    st.builds(babel.RouteRequest, st.none() | prefixes()),
    st.builds(babel.SeqnoRequest, prefixes(), router_ids, u16, st.integers(1, 255)),
)
packets = st.lists(tlvs, max_size=30)


@given(packets)
def test_values_survive_the_wire(values):
    assert decode(babel.encode(values, SOURCE), SOURCE) == babel.Packet(tuple(values))


@given(packets, st.integers(100, 600))
def test_values_survive_being_cut_into_packets(values, size_max):
    datagrams = babel.pack(values, SOURCE, size_max)
    assert all(len(data) <= size_max for data in datagrams)
    assert [tlv for data in datagrams for tlv in decode(data, SOURCE).tlvs] == values


@given(packets)
def test_a_declarative_parser_sees_the_same_tlvs(values):
    data = babel.encode(values, SOURCE)
    parsed = babel_packet.parse(data)
    assert names(parsed) == [type(value).__name__ for value in values]
    assert babel_packet.build(parsed) == data


@given(st.binary(max_size=200) | packets.map(lambda values: babel.encode(values, SOURCE)))
def test_any_bytes_are_a_packet_or_a_wire_error(data):
    try:
        decode(data, SOURCE)
    except WireError:
        pass


@given(st.binary(max_size=120))
def test_any_body_is_a_packet_or_a_wire_error(body):
    try:
        packet = decode(bytes((42, 2)) + len(body).to_bytes(2, "big") + body, SOURCE)
    except WireError:
        return
    assert decode(babel.encode(packet.tlvs, SOURCE), SOURCE).tlvs == packet.tlvs


@given(packets, st.data())
def test_a_flipped_bit_never_raises_beyond_a_wire_error(values, data):
    raw = bytearray(babel.encode(values, SOURCE))
    at = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[at // 8] ^= 1 << at % 8
    try:
        decode(bytes(raw), SOURCE)
    except WireError:
        pass


steps = st.lists(
    st.tuples(
        st.integers(2, 5),
        packets.map(lambda values: babel.encode(values, SOURCE)) | st.binary(max_size=60),
        st.integers(0, 200 * SECOND),
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(steps, st.sampled_from([kind for kind in LinkKind if kind is not LinkKind.RADIO]))
def test_any_packet_in_any_state_is_legal_or_a_named_drop(moves, kind):
    """The speaker takes it, its timers still run, its tables agree with each other."""
    station = Station(1, routes_max=20)
    speaker, now = station.babel, SECOND
    speaker.link_up(Link("w0", kind, link_address(1)), now)
    hello = babel.encode((babel.Hello(1, 400), babel.Ihu(None, 256, 1200)), SOURCE)
    for number, data, pause in moves:
        for raw in (hello, data):
            speaker.receive("w0", Datagram(link_address(number), BABEL_PORT, raw), now)
        now += pause
        for _ in range(50):
            due = station.ctx.timers.next()
            if due is None or due[0] > now:
                break
            for key in station.ctx.timers.expired(now):
                speaker.handle_timer(key, now)
        speaker.neighbours(now)
        statuses = speaker.routes(now)
        assert len(statuses) <= 20
        assert all(status.feasible for status in statuses if status.selected)
        station.take_events()
        selected = {status.prefix for status in statuses if status.selected}
        held = {str(item.prefix) for item in station.routes.values() if item.link}
        assert selected == held
        for transmit in station.ctx.transmits:
            assert not decode(transmit.data, link_address(1)).ignored
        station.ctx.transmits.clear()


def random_mesh(seed: int, rng: Random) -> Air:
    """Ten stations in a square, those near each other joined, and a chain through all."""
    air = Air(seed=seed)
    for number in range(10):
        air.add(Station(number))
    spots = [(rng.random(), rng.random()) for _ in air.stations]
    for one in range(10):
        for other in range(one):
            far = sum((a - b) ** 2 for a, b in zip(spots[one], spots[other], strict=True))
            if far < 0.12 or other == one - 1:
                air.join(one, other)
    for station in air.stations:
        air.up(station)
    air.loss_multicast, air.loss = 0.25, 0.05
    return air


def churn(air: Air, rng: Random, whole: list[tuple[int, int]]) -> None:
    """Cut some edges and mend others, in one direction or both."""
    for one, other in rng.sample(whole, 4):
        air.cut(one, other)
    air.edges -= set(rng.sample(whole, 2))
    for _ in range(4):
        air.run(rng.uniform(0.5, 6))
        no_loops(air)
    for one, other in rng.sample(whole, 5):
        air.join(one, other)


def no_loops(air: Air) -> None:
    for one in air.stations:
        for other in air.stations:
            air.path(one.number, other.number)


def heal(air: Air, whole: list[tuple[int, int]]) -> float:
    air.edges, air.loss, air.loss_multicast = set(whole), 0.0, 0.0
    return air.run(180, air.complete)


@pytest.mark.parametrize("seed", range(1, 11))
def test_random_mesh_with_loss_and_partitions_never_loops_and_converges(seed):
    rng = Random(seed)
    air = random_mesh(seed, rng)
    whole = sorted(air.edges)
    for _ in range(12):
        churn(air, rng, whole)
    assert heal(air, whole) < 60


@pytest.mark.parametrize("seed", range(1, 7))
def test_random_mesh_whose_nodes_restart_converges(seed):
    """A node that forgot its feasibility distances may be part of a loop until it is heard."""
    rng = Random(seed)
    air = random_mesh(seed, rng)
    whole = sorted(air.edges)
    air.strict = False
    for _ in range(8):
        number = rng.randrange(10)
        air.stations[number] = Station(number, seqno=air.stations[number].babel.seqno + 1000)
        air.up(air.stations[number])
        air.run(rng.uniform(1, 20))
    assert heal(air, whole) < 60
    air.strict = True
    no_loops(air)
