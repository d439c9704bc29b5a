"""Any bytes in any state of a session: legal, or a named drop and the end of the stream."""

from devices.session_net import SessionNet, identity
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.core.crypto import exchange_public
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.events import Datagram
from meshd.core.ids import OPEN_MESH_ID
from meshd.session.channel import Bulk, Channel
from meshd.session.connection import Connection, Ends
from meshd.session.handshake import Handshake, Local
from meshd.session.lifecycle import State
from meshd.session.noise import Cipher
from meshd.wire.echo import EchoPacket
from meshd.wire.knock import Knock
from meshd.wire.session_records import (
    BulkHead,
    Data,
    HandshakePayload,
    Opening,
    decode_record,
)

ENDS = Ends("w0", "fe80::1", "link")
OPENING = st.builds(Opening, st.integers(1, 2), st.integers(0, 3), st.just(OPEN_MESH_ID))
JUNK = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda opening, rest: opening.encode() + rest, OPENING, st.binary(max_size=300)),
)


def connection(name, *, initiator, by_key=False):
    who = identity(name)
    payload = HandshakePayload(who.certificate(OPEN_MESH_ID), 1, 6697).encode()
    own = Local(OPEN_MESH_ID, who.session_secret, payload, lambda length: b"\x05" * length)
    remote = exchange_public(identity("b").session_secret) if by_key else None
    handshake = Handshake(own, initiator=initiator, remote=remote)
    return Connection(2 if initiator else 1, handshake, ends=ENDS, now=0)


def pour(source, sink):
    """Carry what one side has to send."""
    while source.can_send:
        sink.receive(source.take().data, 0)


def partners(*, by_key, steps):
    """Return two ends of a stream after `steps` turns of an honest dialogue."""
    initiator = connection("a", initiator=True, by_key=by_key)
    responder = connection("b", initiator=False)
    initiator.connected()
    for step in range(steps):
        pour(*((initiator, responder) if step % 2 == 0 else (responder, initiator)))
    return initiator, responder


@given(st.booleans(), st.integers(0, 4), st.booleans(), st.lists(JUNK, min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_any_bytes_in_any_state_never_raise(by_key, steps, to_initiator, pieces):
    initiator, responder = partners(by_key=by_key, steps=steps)
    victim = initiator if to_initiator else responder
    was_up = victim.state is State.UP
    for piece in pieces:
        items = victim.receive(piece, 0)
        assert not items
    assert victim.failure is None or victim.state is State.CLOSED
    assert was_up or victim.state is not State.UP


@given(st.booleans(), st.integers(0, 400), st.integers(0, 7))
@settings(max_examples=150, deadline=None)
def test_any_flipped_bit_of_the_dialogue_keeps_the_session_from_the_responder(by_key, place, bit):
    initiator, responder = (
        connection("a", initiator=True, by_key=by_key),
        connection("b", initiator=False),
    )
    initiator.connected()
    seen = 0
    bent = False
    sides = [(initiator, responder), (responder, initiator)]
    for source, sink in sides * 2:
        while source.can_send:
            data = bytearray(source.take().data)
            if seen <= place < seen + len(data):
                data[place - seen] ^= 1 << bit
                bent = True
            seen += len(data)
            sink.receive(bytes(data), 0)
    assert (responder.state is State.UP) != bent


@given(
    st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=3000)), max_size=12), st.data()
)
@settings(max_examples=80, deadline=None)
def test_what_goes_in_comes_out_under_any_fragmentation(sent, data):
    one, two = b"\1" * 32, b"\2" * 32
    sender, receiver = Channel(Cipher(one), Cipher(two)), Channel(Cipher(two), Cipher(one))
    stream = b""
    for bulk, body in sent:
        stream += sender.seal_bulk(b"h", len(body)) + body if bulk else sender.seal_data(body)
    items = []
    while stream:
        length = data.draw(st.integers(1, len(stream)))
        items += receiver.feed(stream[:length])
        stream = stream[length:]
    assert items == [Bulk(b"h", body) if bulk else Data(body) for bulk, body in sent]


@given(st.binary(max_size=300))
def test_any_bytes_decode_to_a_value_that_encodes_back_or_wire_error(data):
    for decode in (Knock.decode, EchoPacket.decode, Opening.decode, decode_record):
        try:
            value = decode(data)
        except WireError:
            continue
        assert value.encode() == data


@given(st.binary(max_size=96, min_size=96), st.integers(0, 2**64 - 1), st.integers(0, 65535))
def test_payload_survives(certificate, boot, port):
    payload = HandshakePayload(certificate, boot, port)
    assert HandshakePayload.decode(payload.encode()) == payload


@given(st.integers(1, 65536), st.binary(max_size=500))
def test_bulk_head_survives(length, head):
    assert decode_record(BulkHead(length, head).encode()) == BulkHead(length, head)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("knock"), st.binary(max_size=40)),
            st.tuples(st.just("claim"), st.binary(min_size=10, max_size=10)),
            st.tuples(st.just("accept"), st.sampled_from(["fe80::1", "fd00::1", "x", "1.2.3.4"])),
            st.tuples(st.just("bytes"), JUNK),
            st.tuples(st.just("closed"), st.integers(0, 9)),
            st.tuples(st.just("failed"), st.integers(0, 9)),
            st.tuples(st.just("opened"), st.integers(0, 9)),
            st.tuples(st.just("seen"), st.binary(min_size=16, max_size=16)),
            st.tuples(st.just("lost"), st.binary(min_size=16, max_size=16)),
            st.tuples(st.just("want"), st.binary(min_size=10, max_size=10)),
            st.tuples(st.just("unwant"), st.binary(min_size=10, max_size=10)),
            st.tuples(st.just("run"), st.integers(1, 20)),
        ),
        max_size=25,
    )
)
@settings(max_examples=100, deadline=None)
def test_any_order_of_inputs_never_raises_and_makes_no_session(inputs):
    net = SessionNet("a")
    net.link("w0", "a")
    host = net["a"]
    sessions = host.sessions
    for what, value in inputs:
        if what == "knock":
            sessions.receive("w0", Datagram(b"\xfe\x80" + bytes(14), 6697, value), net.now)
        elif what == "claim":
            knock = Knock(OPEN_MESH_ID, value, 6697).encode()
            sessions.receive("w0", Datagram(b"\xfe\x80" + bytes(14), 6697, knock), net.now)
        elif what == "accept":
            sessions.stream_accepted(value, "w0", net.now)
        elif what == "bytes":
            for stream in range(6):
                sessions.stream_received(stream, value, net.now)
        elif what in ("closed", "failed"):
            getattr(sessions, f"stream_{what}")(value, "x", net.now)
        elif what == "opened":
            sessions.stream_opened(value, net.now)
        elif what in ("seen", "lost"):
            getattr(sessions, f"neighbour_{what}")("w0", value, net.now)
        elif what in ("want", "unwant"):
            getattr(sessions, what)(value, net.now)
        else:
            net.run(value)
        net.drain(host)
    assert not host.events
    assert host.ctx.drops.total(DropReason.RECORD_FORGED) == 0
