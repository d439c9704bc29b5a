"""What the engine makes is what the page and the vectors say."""

from types import SimpleNamespace

import pytest
from vectors.air import NODE, SALT, fill, made, make
from vectors.space import FOUNDER

from meshd.core import crypto
from meshd.core.identity import Identity
from meshd.sync.air import acks, names, states
from meshd.wire import air_messages as wire
from meshd.wire.lora_payload import Sub

VECTORS = make()


def test_names_and_states_are_those_of_the_vectors():
    _, keys, _, _ = made()
    space = SimpleNamespace(fetch_key=keys.fetch)
    tag = names._tag(space, NODE + SALT)
    state = names.blinded(space, NODE, SALT, fill(7, 16))
    assert (tag + state).hex() == VECTORS["names"]["bytes"]


@pytest.mark.parametrize(
    ("name", "sub", "decode"),
    [
        ("heads, partial", Sub.HEADS, wire.decode_heads),
        ("needs", Sub.NEEDS, wire.decode_needs),
        ("probe", Sub.PROBE, wire.decode_probe),
    ],
)
def test_tag_of_what_is_said_is_that_of_the_vectors(name, sub, decode):
    space = SimpleNamespace(fetch_key=made()[1].fetch)
    said = names.Names(SimpleNamespace(identity=SimpleNamespace(node=NODE)))
    said.salt = SALT
    data = bytes.fromhex(VECTORS[name]["bytes"])
    bare = decode(data)._replace(salt=b"", tag=b"")
    assert said.told(space, sub, bare).encode() == data


def test_state_of_a_feed_is_that_of_the_vectors():
    space, _, entry, _ = made()
    term = states._term(FOUNDER, 300, entry.digest(space, FOUNDER))
    assert term == int(VECTORS["state of that feed alone"]["bytes"], 16)


def test_proof_of_what_is_held_is_that_of_the_vectors():
    space, _, entry, _ = made()
    own = acks.Acks(SimpleNamespace(identity=Identity(fill(6), fill(1))))
    author = crypto.sign_public(fill(4))
    key = own._pairs.to(author)
    mac = acks._mac(key, (space, FOUNDER), 300, entry.digest(space, FOUNDER))
    assert mac.hex() == VECTORS["held"]["fields"]["mac"]
