"""What nodes call themselves by LoRa: signed, told to who is new, and no more often."""

import pytest
from radios.mesh import Mesh

from meshd.core.drops import DropReason
from meshd.core.errors import UsageError, WireError
from meshd.core.ids import node_text
from meshd.core.options import NodeOptions
from meshd.forwarding import own_names
from meshd.forwarding.radio_events import LocalHeard
from meshd.wire.lora_name import OwnName, statement
from meshd.wire.lora_payload import Sub

MINUTE = 60


def named(*names):
    """Return a mesh of hosts that call themselves so; "" is a host without a name."""
    mesh = Mesh(0)
    for number, name in enumerate(names):
        mesh.world.options = NodeOptions(name=name)
        mesh.add(f"n{number}")
    return mesh


def heard(host, name, *, node, signature):
    """Let a host hear a name from the air."""
    body = signature + name.encode()
    (link,) = host.node.radios.links
    event = LocalHeard(link, node, Sub.OWN_NAME, body, named=False, trusted=True)
    host.node.names.heard(event, host.now)


def unproven(host):
    return host.node.snapshot(host.now).drops.get("name-unproven", {})


def told(mesh, minutes):
    """Run; return how many times a name was told."""
    counts = []
    tell = mesh.hosts[0].node.radios.tell

    def counting(link, item, *more, **options):
        counts.append(item.sub)
        return tell(link, item, *more, **options)

    mesh.hosts[0].node.radios.tell = counting
    mesh.run(minutes * MINUTE)
    mesh.hosts[0].node.radios.tell = tell
    return counts.count(Sub.OWN_NAME)


def test_neighbours_learn_a_name_and_may_ping_by_it():
    mesh = named("Anna", "Ben", "")
    anna, ben, nobody = mesh.hosts
    mesh.run(3 * MINUTE)
    assert anna.node.names.names() == {ben.node.id: "Ben"}
    assert nobody.node.names.names() == {anna.node.id: "Anna", ben.node.id: "Ben"}
    rows = anna.node.snapshot(anna.now).neighbours
    assert {row.node: row.calls_itself for row in rows} == {
        node_text(ben.node.id): "Ben",
        node_text(nobody.node.id): None,
    }
    assert nobody.ask("who", node="Ben")["node"] == node_text(ben.node.id)


def test_name_is_told_twice_to_who_is_new_and_then_no_more():
    mesh = named("Anna", "")
    assert told(mesh, 5) == 1
    assert told(mesh, 10) == 1
    assert told(mesh, 60) == 0
    assert told(mesh, 240) == 1, "to whom false names kept it from, and who forgot it"
    mesh.add("late")
    assert told(mesh, 3) == 1
    assert mesh.hosts[2].node.names.names() == {mesh.hosts[0].node.id: "Anna"}


def test_node_without_a_name_or_with_one_too_long_says_nothing():
    assert told(named("", "Ben"), 5) == 0
    assert told(named("x" * 65, ""), 5) == 0


def test_name_that_its_node_did_not_sign_is_not_believed():
    mesh = named("", "")
    here, other = mesh.hosts
    mesh.run(MINUTE)
    mesh_id, public = here.node.options.mesh, other.identity.public
    good = other.identity.sign(statement(mesh_id, public, "Ben"))
    stolen = {"node": here.node.id, "signature": good}
    for bad in (stolen, {"node": other.node.id, "signature": bytes(64)}):
        heard(here, "Ben", **bad)
    heard(here, "Bert", node=other.node.id, signature=good)
    heard(here, "\x1b[2J", node=other.node.id, signature=good)
    assert here.node.names.names() == {} and sum(unproven(here).values()) == 4
    heard(here, "Ben", node=other.node.id, signature=good)
    assert here.node.names.names() == {other.node.id: "Ben"}


def test_false_names_cost_a_few_looks_and_names_are_bounded(monkeypatch):
    mesh = named("", "", "")
    here, *others = mesh.hosts
    mesh.run(MINUTE)
    looks = []
    monkeypatch.setattr(own_names, "verify", lambda *more: looks.append(more) or True)
    monkeypatch.setattr(own_names, "NAMES_MAX", 1)
    for number in range(50):
        heard(here, f"n{number}", node=others[0].node.id, signature=bytes(64))
    assert len(looks) == own_names.CHECKS
    heard(here, "other", node=others[1].node.id, signature=bytes(64))
    assert here.node.names.names() == {others[1].node.id: "other"}, (
        "each sender has looks of its own"
    )
    mesh.run(MINUTE)
    heard(here, "last", node=others[1].node.id, signature=bytes(64))
    assert here.node.names.names() == {others[1].node.id: "last"}


def test_three_false_names_in_each_frame_of_two_seconds_keep_no_true_one_out():
    mesh = named("", "")
    here, other = mesh.hosts
    mesh.run(MINUTE)
    node = other.node.id
    good = other.identity.sign(statement(here.node.options.mesh, other.identity.public, "Ben"))
    for _ in range(30):
        mesh.run(2)
        for number in range(3):
            heard(here, f"n{number}", node=node, signature=bytes(64))
    heard(here, "Ben", node=node, signature=good)
    assert here.node.names.names() == {node: "Ben"}


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_name_without_letters_or_with_too_many_is_not_encoded(name):
    with pytest.raises(UsageError):
        OwnName(name, bytes(64)).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(64),
        bytes(30),
        bytes(64) + b"\xff",
        bytes(64) + b" a",
        bytes(64) + b"\xe3\x85\xa4",
    ],
)
def test_bytes_that_are_no_name_are_refused(data):
    with pytest.raises(WireError):
        OwnName.decode(data)
    assert DropReason.NAME_UNPROVEN.value == "name-unproven"


def test_name_goes_there_and_back():
    said = OwnName("Großmutter", bytes(range(64)))
    assert OwnName.decode(said.encode()) == said
