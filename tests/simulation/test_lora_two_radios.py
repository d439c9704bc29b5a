"""A node with two radios: what it hears on one it tells by the other, as far as it may."""

from random import Random

import pytest
from radios.intruder import Intruder
from radios.mesh import Mesh

from meshd.core.identity import Identity
from meshd.link.sender import Sender
from meshd.wire.lora_frame import FrameKind
from meshd.wire.lora_items import Object
from meshd.wire.lora_payload import encode


@pytest.fixture
def mesh():
    """Two that know each other, the first of them with a second radio on another frequency."""
    mesh = Mesh(2)
    mesh.until_complete()
    first = mesh.hosts[0]
    radio = first.node.radios.links["lora0"].radio
    second = radio._replace(name="lora1", frequency_hz=868_300_000)
    first.input(first.node.radio_up, second)
    mesh.run(60)
    return mesh


def held(host, name, text):
    store = host.node.radios.meshes[name].cast.store
    return [one for one in store.by_name.values() if text in one.body]


def test_an_object_of_a_neighbour_goes_by_the_other_radio_as_relayed_and_as_old_as_it_is(mesh):
    first, second = mesh.hosts
    second.input(lambda now: second.node.radios.publish(b"\xc8seldom", 3, now))
    mesh.run(30)
    (here,), (there,) = held(first, "lora0", b"seldom"), held(first, "lora1", b"seldom")
    assert (there.own, there.priority, there.born_us) == (False, 3, here.born_us)


def test_an_object_of_a_sender_who_may_be_a_recording_goes_by_no_radio(mesh):
    first, _ = mesh.hosts
    link = first.node.radios.links["lora0"]
    chance, intruder = Random(99), Intruder(mesh)
    identity = Identity(chance.randbytes(32), chance.randbytes(32))
    stranger = Sender(identity, link.sender.link, boot=1, salt=chance.randbytes(8))
    got = []
    first.node.radios.on_object[0xC8] = lambda event, now: got.append(event.body)
    intruder.send(stranger.beacon(echoes_max=0))
    mesh.run(1)
    for number in range(8):
        body = b"\xc8old %d" % number
        intruder.send(stranger.seal(FrameKind.LOCAL, encode([Object(body, 0, 62)])))
    mesh.run(10)
    assert got and not link.sources.trusts(stranger.node)
    assert held(first, "lora0", b"old") == held(first, "lora1", b"old") == []
