"""Whom a person means: ids, names that spaces vouch for, and names that are a node's own word."""

import pytest
from devices.letter_net import Net
from devices.space_devices import join, meet

from meshd.core.errors import Exit, RequestError
from meshd.core.ids import OPEN_MESH_ID, address_text, grouped, mesh_address, node_text
from meshd.core.snapshot import NeighbourStatus
from meshd.messages.people import NAMED_MAX

LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def mistyped(node, *, letters=1):
    """Return an id that differs in its last letters."""
    text = node_text(node)
    wrong = "".join(LETTERS[(LETTERS.index(each) + 1) % 32] for each in text[-letters:])
    return text[:-letters] + wrong


def pair(*, kind="lora"):
    net = Net("a", "b", edges=[("a", "b", kind)])
    net.share("a", "b")
    return net, net["a"], net["b"]


def calls(device, names):
    """Let nodes call themselves something, as neighbours do."""
    device.messages.people.said.append(lambda: names)


def test_an_id_nobody_ever_heard_of_is_told_with_the_one_that_was_meant():
    _, a, b = pair()
    value = a.ask("message", node=mistyped(b.node), text="typo").value
    assert value["state"] == "queued" and value["heard"] is False
    assert value["nearest"] == node_text(b.node)
    assert "heard" not in a.ask("message", node=node_text(b.node), text="right").value


def test_an_id_that_resembles_none_has_no_nearest():
    _, a, b = pair()
    assert "nearest" in a.ask("who", node=mistyped(b.node, letters=2)).value
    value = a.ask("who", node=mistyped(b.node, letters=3)).value
    assert value["heard"] is False and "nearest" not in value


def test_who_tells_names_and_the_way():
    _, a, b = pair()
    calls(a, {b.node: "Bibi"})
    assert a.ask("who", node="b").value == {
        "node": node_text(b.node),
        "own": False,
        "heard": True,
        "names": [{"name": "b", "space": "home"}],
        "calls_itself": "Bibi",
        "way": "lora",
    }
    assert a.ask("who", node=node_text(a.node)).value["own"] is True


def test_own_word_of_a_neighbour_finds_whom_to_ping_and_never_whom_to_write_to():
    net = Net("a", "b", edges=[("a", "b", "ip")])
    a, b = net["a"], net["b"]
    calls(a, {b.node: "Ben"})
    assert a.ask("ping", node="Ben").value == {"ip": True}
    with pytest.raises(RequestError) as caught:
        a.ask("message", node="Ben", text="secret")
    assert caught.value.code is Exit.NOT_FOUND
    assert grouped(node_text(b.node)) in caught.value.text and "anybody may" in caught.value.text


def test_member_goes_before_a_stranger_who_takes_his_name():
    _, a, b = pair()
    calls(a, {bytes(10): "b"})
    assert a.ask("who", node="b").value["node"] == node_text(b.node)
    assert a.ask("message", node="b", text="hi").value["node"] == node_text(b.node)


def test_name_of_several_is_refused_with_their_ids():
    net = Net("a", "b", "c", edges=[("a", "b", "ip"), ("a", "c", "ip")])
    a, b, c = net["a"], net["b"], net["c"]
    for number, device in enumerate((b, c)):
        device.ask("space.create", name=f"s{number}", **{"as": "Ben"})
        join(a, device, device.ask("invite", space=f"s{number}", role="writer").value["url"])
        meet(device, a)
    for verb in ("message", "ping"):
        with pytest.raises(RequestError, match="name of 2 nodes") as caught:
            a.ask(verb, node="Ben", text="hi")
        assert all(grouped(node_text(one.node)) in caught.value.text for one in (b, c))
    calls(a, {bytes([number]) * 10: "Joe" for number in range(NAMED_MAX + 3)})
    with pytest.raises(RequestError, match=r"call themselves so.* and 3 more"):
        a.ask("ping", node="Joe")
    with pytest.raises(RequestError, match="nobody known here"):
        a.ask("ping", node="Nobody")


def test_name_that_a_neighbour_by_lora_has_not_told_yet_is_said_to_come():
    _, a, b = pair()
    a.messages.people.in_earshot = lambda: {b.node}
    with pytest.raises(RequestError, match="nobody known here") as caught:
        a.ask("ping", node="Ann")
    told = "one neighbour has told no name yet: a name comes by LoRa about a minute after the first"
    assert told in caught.value.remedy
    calls(a, {b.node: "Joe"})
    with pytest.raises(RequestError) as caught:
        a.ask("ping", node="Ann")
    assert "told no name" not in caught.value.remedy


def test_id_with_a_digit_that_no_id_has_is_told_so_with_the_one_that_was_meant():
    _, a, b = pair()
    right = grouped(node_text(b.node))
    misread = right[:5] + "1" + right[6:]
    with pytest.raises(RequestError, match="is no id: none has 1 in it") as caught:
        a.ask("message", node=misread, text="hi")
    assert f"did you mean {right}?" in caught.value.remedy and "l or i for 1" in caught.value.remedy
    with pytest.raises(RequestError, match="none has 8 or 9 in it") as caught:
        a.ask("ping", node="9999-8888-9999-8888")
    assert "did you mean" not in caught.value.remedy
    with pytest.raises(RequestError, match="nobody known here"):
        a.ask("ping", node="Ben 1999")


def test_mistyped_name_is_answered_with_the_one_that_was_meant():
    _, a, b = pair()
    b.ask("space.create", name="other", **{"as": "Ben"})
    join(a, b, b.ask("invite", space="other", role="writer").value["url"])
    meet(b, a)
    for text in ("ben", "Bne", grouped(node_text(b.node))[:6]):
        with pytest.raises(RequestError, match="nobody known here") as caught:
            a.ask("message", node=text, text="hi")
        meant = grouped(node_text(b.node)) if "-" in text else "Ben"
        assert f'did you mean "{meant}"?' in caught.value.remedy


def test_address_of_the_mesh_means_its_node_and_another_nobody():
    _, a, b = pair()
    address = address_text(mesh_address(OPEN_MESH_ID, b.node))
    assert a.ask("who", node=address).value["node"] == node_text(b.node)
    assert a.ask("message", node=address, text="hi").value["node"] == node_text(b.node)
    for other in ("fd00::1", "fe80::1", "::", "fd7c:::1"):
        with pytest.raises(RequestError, match="nobody known here"):
            a.ask("who", node=other)


def test_this_node_answers_its_own_ping_at_once():
    _, a, _ = pair()
    value = a.ask("ping", node=node_text(a.node)).value
    assert (value["own"], value["sent"], value["received"]) == (True, 1, 1)


def test_neighbours_have_the_names_of_spaces_apart_from_their_own_word():
    _, a, b = pair()
    calls(a, {b.node: "Bibi"})
    rows = [
        NeighbourStatus("w0", "fe80::1", node, 96, 96, 96, 1.0, 5.0, True)
        for node in (node_text(b.node), None)
    ]
    known, stranger = a.messages.people.named(*rows)
    assert (known.names, known.calls_itself) == (("b",), "Bibi")
    assert (stranger.names, stranger.calls_itself) == ((), None)
