"""The handshake of one stream: its table of states, and what a stranger or a liar gets."""

import pytest
from devices.session_net import identity

from meshd.core.crypto import exchange_public
from meshd.core.drops import DropReason
from meshd.core.ids import OPEN_MESH_ID
from meshd.session.handshake import PROLOGUE, Handshake, Local
from meshd.session.lifecycle import TABLE, Input, State
from meshd.session.noise import XX, Noise
from meshd.wire.session_records import LENGTH, HandshakePayload, Opening, PatternCode


def entropy(length):
    return b"\x05" * length


def local(name, *, mesh=OPEN_MESH_ID, certificate=None):
    who = identity(name)
    payload = HandshakePayload(certificate or who.certificate(mesh), 7, 6697)
    return Local(mesh, who.session_secret, payload.encode(), entropy)


def both(*, by_key, left=None, right=None):
    remote = exchange_public(identity("b").session_secret) if by_key else None
    return (
        Handshake(left or local("a"), initiator=True, remote=remote),
        Handshake(right or local("b"), initiator=False),
    )


def talk(initiator, responder):
    """Carry bytes to and fro until neither has more to say."""
    out = initiator.connected()
    sides = [responder, initiator]
    while out:
        out = sides[0].feed(out)
        sides.reverse()


@pytest.mark.parametrize("by_key", [True, False], ids=["IK", "XX"])
def test_each_side_learns_who_the_other_is(by_key):
    initiator, responder = both(by_key=by_key)
    talk(initiator, responder)
    assert initiator.state is State.UP and responder.state is State.CONFIRM_AWAITED
    for side, name in ((initiator, "b"), (responder, "a")):
        assert (side.peer.node, side.peer.public) == (identity(name).node, identity(name).public)
        assert (side.peer.boot, side.peer.port) == (7, 6697)
    assert initiator.binding == responder.binding


@pytest.mark.parametrize("by_key", [True, False], ids=["IK", "XX"])
def test_one_byte_at_a_time_is_enough(by_key):
    initiator, responder = both(by_key=by_key)
    out = initiator.connected()
    sides = [responder, initiator]
    while out:
        out = b"".join(sides[0].feed(bytes([byte])) for byte in out)
        sides.reverse()
    assert initiator.ciphers and responder.ciphers


def test_every_pair_of_state_and_input_is_in_the_table_or_fails_by_name():
    for state in State:
        for what in Input:
            side = both(by_key=True)[0]
            side.state = state
            legal = side.step(what)
            assert legal == ((state, what) in TABLE)
            assert side.state is TABLE.get((state, what), State.CLOSED)
            assert side.failure is (None if legal else DropReason.HANDSHAKE_MALFORMED)


def test_every_state_is_reached_and_left():
    reached = set(TABLE.values()) | {State.DIALLING, State.ACCEPTED}
    left = {state for state, _ in TABLE} | {State.CLOSED}
    assert reached == left == set(State)


@pytest.mark.parametrize(
    ("reason", "opening"),
    [
        (DropReason.SESSION_STRANGER, b"G"),
        (DropReason.SESSION_STRANGER, b"GET / HTTP/1.1\r\n"),
        (DropReason.SESSION_STRANGER, b"mX"),
        (DropReason.SESSION_VERSION, Opening(2, 1, OPEN_MESH_ID).encode()),
        (DropReason.SESSION_OTHER_MESH, Opening(1, 1, b"other").encode()),
        (DropReason.HANDSHAKE_MALFORMED, Opening(1, 9, OPEN_MESH_ID).encode()),
        (DropReason.HANDSHAKE_MALFORMED, Opening(1, 2, OPEN_MESH_ID).encode() + b"\0\0"),
        (DropReason.HANDSHAKE_MALFORMED, Opening(1, 2, OPEN_MESH_ID).encode() + b"\x02\x01"),
        (DropReason.HANDSHAKE_FORGED, Opening(1, 1, OPEN_MESH_ID).encode() + b"\0\x01x"),
        (
            DropReason.HANDSHAKE_FORGED,
            Opening(1, PatternCode.XX, OPEN_MESH_ID).encode() + b"\0\x20" + bytes(32),
        ),
    ],
)
def test_wrong_opening_is_refused_by_name(reason, opening):
    _, responder = both(by_key=True)
    assert responder.feed(opening) == b""
    assert responder.failure is reason and responder.state is State.CLOSED
    assert responder.feed(b"more") == b""


def test_certificate_of_another_session_key_is_refused():
    liar = local("a", certificate=identity("c").certificate(OPEN_MESH_ID))
    initiator, responder = both(by_key=True, left=liar)
    talk(initiator, responder)
    assert responder.failure is DropReason.CERTIFICATE_FORGED and responder.peer is None


def test_certificate_for_another_mesh_is_refused():
    liar = local("b", certificate=identity("b").certificate(b"other"))
    initiator, responder = both(by_key=False, right=liar)
    talk(initiator, responder)
    assert initiator.failure is DropReason.CERTIFICATE_FORGED


def test_payload_too_short_is_malformed():
    liar = local("b")._replace(payload=b"short")
    initiator, responder = both(by_key=False, right=liar)
    talk(initiator, responder)
    assert initiator.failure is DropReason.HANDSHAKE_MALFORMED


def test_answer_to_a_replay_needs_the_initiators_key():
    """Whoever replays a first message of IK cannot go on: it lacks the ephemeral secret."""
    initiator, _ = both(by_key=True)
    first = initiator.connected()
    _, responder = both(by_key=True)
    assert responder.feed(first)
    assert responder.state is State.CONFIRM_AWAITED and responder.failure is None


def test_opening_is_bound_into_the_handshake():
    """An opening altered on the way gives other prologues, so the first tag does not fit."""
    initiator, responder = both(by_key=False)
    raw = initiator.connected()
    opening = Opening(1, PatternCode.XX, OPEN_MESH_ID).encode()
    assert raw.startswith(opening)
    answer = responder.feed(raw)
    other = Noise(
        XX,
        initiator=True,
        prologue=PROLOGUE + b"another",
        static=identity("a").session_secret,
        ephemeral=entropy(32),
    )
    other.write()
    assert other.read(answer[LENGTH.size :]) is None
