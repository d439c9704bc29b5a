"""Check the Noise handshakes against published vectors, and what a liar cannot do."""

import json
from pathlib import Path

import pytest

from meshd.core.crypto import exchange_public
from meshd.core.errors import UsageError
from meshd.session.noise import IK, XX, Noise

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "noise"
CASES = [
    pytest.param(pattern, vector, id=f"{pattern.name}-{place}")
    for pattern in (IK, XX)
    for place, vector in enumerate(
        json.loads((VECTORS / f"{pattern.name.lower()}.json").read_text())["vectors"]
    )
]
LOW_ORDER = [bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"]


def sides(pattern, *, prologues=(b"p", b"p")):
    """Return (initiator, responder) with fixed keys."""
    initiator = Noise(
        pattern,
        initiator=True,
        prologue=prologues[0],
        static=b"\1" * 32,
        ephemeral=b"\3" * 32,
        remote=exchange_public(b"\2" * 32) if pattern.responder_known else None,
    )
    responder = Noise(
        pattern, initiator=False, prologue=prologues[1], static=b"\2" * 32, ephemeral=b"\4" * 32
    )
    return initiator, responder


@pytest.mark.parametrize(("pattern", "vector"), CASES)
def test_published_vector(pattern, vector):
    secret = {
        name: bytes.fromhex(value)
        for name, value in vector.items()
        if name != "messages" and name != "handshake"
    }
    prologue = secret.get("prologue", b"")
    initiator = Noise(
        pattern,
        initiator=True,
        prologue=prologue,
        static=secret["init_static"],
        ephemeral=secret["gen_init_ephemeral"],
        remote=exchange_public(secret["resp_static"]) if pattern.responder_known else None,
    )
    responder = Noise(
        pattern,
        initiator=False,
        prologue=prologue,
        static=secret["resp_static"],
        ephemeral=secret["gen_resp_ephemeral"],
    )
    turn = [initiator, responder]
    count = len(pattern.messages)
    for place, message in enumerate(vector["messages"][:count]):
        payload = bytes.fromhex(message["payload"])
        sent = turn[place % 2].write(payload)
        assert sent == bytes.fromhex(message["ciphertext"])
        assert turn[1 - place % 2].read(sent) == payload
    assert initiator.done and responder.done and initiator.hash == responder.hash
    ciphers = [initiator.split(), responder.split()]
    for place, message in enumerate(vector["messages"][count:]):
        payload = bytes.fromhex(message["payload"])
        sent = ciphers[place % 2][0].encrypt(payload)
        assert sent == bytes.fromhex(message["ciphertext"])
        assert ciphers[1 - place % 2][1].decrypt(sent) == payload


@pytest.mark.parametrize("pattern", [IK, XX], ids=["IK", "XX"])
def test_each_side_learns_the_other_static_key(pattern):
    initiator, responder = sides(pattern)
    turn = [initiator, responder]
    for place in range(len(pattern.messages)):
        assert turn[1 - place % 2].read(turn[place % 2].write()) == b""
    assert initiator.remote == exchange_public(b"\2" * 32)
    assert responder.remote == exchange_public(b"\1" * 32)


def test_other_prologue_is_not_genuine():
    initiator, responder = sides(IK, prologues=(b"mesh a", b"mesh b"))
    assert responder.read(initiator.write()) is None


def test_any_flipped_bit_is_noticed():
    message = sides(IK)[0].write(b"payload")
    for bit in range(0, len(message) * 8, 7):
        bent = bytearray(message)
        bent[bit // 8] ^= 1 << bit % 8
        assert sides(IK)[1].read(bytes(bent)) is None


def test_ignored_top_bit_of_a_point_is_noticed_by_the_hash():
    message = bytearray(sides(IK)[0].write(b"payload"))
    message[31] ^= 0x80
    assert sides(IK)[1].read(bytes(message)) is None


@pytest.mark.parametrize("length", [0, 31, 32, 79, 95])
def test_truncated_message_is_not_genuine(length):
    message = sides(IK)[0].write(b"")
    assert sides(IK)[1].read(message[:length]) is None


@pytest.mark.parametrize("point", LOW_ORDER)
def test_low_order_point_is_refused(point):
    _, responder = sides(IK)
    assert responder.read(point + bytes(64)) is None
    _, responder = sides(XX)
    assert responder.read(point) == b""
    assert responder.write(b"") is None


def test_misuse_raises():
    initiator, responder = sides(XX)
    with pytest.raises(UsageError):
        responder.write()
    with pytest.raises(UsageError):
        initiator.split()
    with pytest.raises(UsageError):
        Noise(IK, initiator=True, prologue=b"", static=b"\1" * 32, ephemeral=b"\2" * 32)
