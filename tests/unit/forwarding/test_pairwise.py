"""Pairwise sealing: who can open, what a tag covers, what an answer proves, golden bytes."""

import json
from pathlib import Path

import pytest
from vectors import letters as letter_vectors

from meshd.core import crypto
from meshd.core.ids import OPEN_MESH_ID
from meshd.forwarding import pairwise
from meshd.forwarding.pairwise import PEERS_MAX, Pairwise, answer, answers, seal, unseal
from meshd.wire.letters import Text
from meshd.wire.lora_frame import FrameKind, overhead
from meshd.wire.lora_routes import Answer, Direct

ANNA, BERT, CARL = (crypto.digest(b"device %d" % number) for number in range(3))


def keys(own, other, mesh=OPEN_MESH_ID):
    return Pairwise(own, mesh).with_device(crypto.sign_public(other))


def test_the_other_end_opens_and_proves_that_it_did():
    there, back = keys(ANNA, BERT).there, keys(BERT, ANNA).back
    body = seal(there, b"hello")
    assert len(body) == 5 + pairwise.TAG_LEN and b"hello" not in body
    assert unseal(back, body) == b"hello"
    assert answers(there, body, answer(back, body))


def test_nobody_else_opens_or_answers():
    body = seal(keys(ANNA, BERT).there, b"hello")
    for own, other in ((CARL, ANNA), (CARL, BERT)):
        pair = keys(own, other)
        assert unseal(pair.back, body) is None and unseal(pair.there, body) is None
        assert not answers(keys(ANNA, BERT).there, body, answer(pair.back, body))


def test_directions_and_meshes_have_their_own_keys():
    body = seal(keys(ANNA, BERT).there, b"hello")
    assert unseal(keys(BERT, ANNA).there, body) is None
    assert unseal(keys(ANNA, BERT).back, body) is None
    assert unseal(keys(BERT, ANNA, b"other").back, body) is None


def test_every_flipped_bit_and_every_cut_is_refused():
    pair, body = keys(ANNA, BERT), seal(keys(ANNA, BERT).there, b"hello")
    for bit in range(len(body) * 8):
        flipped = bytearray(body)
        flipped[bit // 8] ^= 1 << bit % 8
        assert unseal(pair.there, bytes(flipped)) is None
    assert all(unseal(pair.there, body[:size]) is None for size in range(len(body)))
    assert unseal(pair.there, body + b"\0") is None


def test_one_nonce_means_one_text_whatever_was_counted():
    there = keys(ANNA, BERT).there
    one, two = seal(there, Text(7, "aaaa").encode()), seal(there, Text(7, "bbbb").encode())
    assert one[:8] != two[:8] and seal(there, Text(7, "aaaa").encode()) == one
    streams = [
        bytes(a ^ b for a, b in zip(body[8:], Text(7, text).encode(), strict=True))
        for body, text in ((one, "aaaa"), (two, "bbbb"))
    ]
    assert streams[0] != streams[1]


def test_answers_to_other_bodies_do_not_fit():
    pair, back = keys(ANNA, BERT), keys(BERT, ANNA).back
    one, two = seal(pair.there, b"one"), seal(pair.there, b"two")
    assert not answers(pair.there, one, answer(back, two))
    assert not answers(pair.there, one, bytes(8)) and not answers(pair.there, one, b"")


@pytest.mark.parametrize("public", [b"", bytes(32), b"\xff" * 32, b"\x01" + bytes(31), b"x" * 31])
def test_what_is_no_key_gives_no_pair(public):
    assert Pairwise(ANNA, OPEN_MESH_ID).with_device(public) is None


def test_a_device_has_no_pair_with_itself():
    assert keys(ANNA, ANNA) is None


def test_keys_kept_ready_are_bounded_and_computed_anew_when_they_are_gone():
    own = Pairwise(ANNA, OPEN_MESH_ID)
    first = own.with_device(crypto.sign_public(BERT))
    for number in range(PEERS_MAX + 5):
        own.with_device(crypto.sign_public(crypto.digest(b"peer %d" % number)))
    assert len(own) == PEERS_MAX
    assert own.with_device(crypto.sign_public(BERT)) == first


def test_no_key_is_shown():
    pair = keys(ANNA, BERT)
    assert pair.there.cipher.hex() not in repr(pair) and repr(pair.there) == "PairKeys()"


def test_fifty_bytes_are_eighty_eight_on_the_air_and_their_answer_twenty_nine():
    body = seal(keys(ANNA, BERT).there, Text(1, "x" * 50).encode())
    routed = overhead(FrameKind.ROUTED)
    assert routed + len(Direct(b"aa", 1, 0, 3, body).encode()) == 88 <= 90
    assert routed + len(Answer(1, 3, bytes(8)).encode()) == 29 <= 30


def test_golden_bytes_are_what_this_code_makes():
    path = Path(letter_vectors.PATH)
    assert json.loads(path.read_text()) == letter_vectors.make()
