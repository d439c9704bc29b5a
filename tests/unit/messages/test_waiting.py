"""What an own text waits for is said as it is."""

from devices.letter_net import Net

from meshd.core.ids import node_text
from meshd.messages.sending import LORA_STORED_MAX, LORA_TEXT_MAX


def pair(kind="lora", *, share=True):
    net = Net("a", "b", edges=[("a", "b", kind)])
    if share:
        net.share("a", "b")
    return net, net["a"], net["b"]


def waits(device):
    return device.list(peek=True)[0].get("waits", "")


def test_a_text_that_goes_in_pieces_by_lora_says_so_at_once_and_in_the_list():
    net, a, b = pair()
    value = a.text(b, "x" * (LORA_STORED_MAX + 1)).value
    assert value["state"] == "queued" and value["waits"].startswith("goes as an entry of ")
    net.run(30)
    assert waits(a).startswith("goes as an entry of ")


def test_without_a_space_of_both_less_fits():
    _, a, b = pair(share=False)
    assert "waits" not in a.text(b, "x" * 5).value or "WiFi" not in waits(a)
    value = a.text(b, "x" * (LORA_TEXT_MAX + 1)).value
    assert "in a space of both" in value["waits"]


def test_the_longest_text_for_lora_goes_by_lora():
    net, a, b = pair()
    assert "waits" not in a.text(b, "x" * LORA_TEXT_MAX).value
    net.run(30)
    assert b.shown() == ["x" * LORA_TEXT_MAX]
    assert waits(a) == ""


def test_a_long_text_goes_by_ip_without_a_word():
    net, a, b = pair("ip")
    assert "WiFi" not in a.text(b, "x" * 1000).value.get("waits", "")
    net.run(5)
    assert b.shown() == ["x" * 1000]


def test_a_text_without_a_way_says_so_and_when_it_is_tried_again():
    net = Net("a", "b")
    a, b = net["a"], net["b"]
    value = a.text(b, "hello").value
    assert (
        value["waits"] == "waits for a way to its receiver: there is none now; tried again in 2 s"
    )
    net.run(1)
    assert waits(a).endswith("tried again in 1 s")


def test_a_text_stored_in_a_space_names_it():
    net, a, b = pair()
    net.away.add("b")
    a.text(b, "hello")
    net.run(2)
    assert waits(a) == "waits in the space home: nobody said yet to hold it"


def test_a_stored_text_goes_by_a_way_too_once_there_is_one_and_is_shown_once():
    net, a, b = pair()
    net.away.add("b")
    a.text(b, "hello")
    net.run(20)
    assert a.states() == []
    net.away.discard("b")
    net.run(8)
    assert b.shown() == ["hello"] and a.states()[-1] == "delivered"
    net.sync("a", "b")
    net.run(30)
    assert b.shown() == ["hello"]


def test_a_stored_text_is_tried_ever_more_seldom_where_nobody_answers():
    net, a, b = pair()
    net.away.add("b")
    a.text(b, "hello")
    net.run(2)
    net.away.discard("b")
    net.lost = lambda what, sender, to: what == "direct"
    net.run(3600)
    assert 4 <= next(a.numbers) - 1 <= 12


def test_of_many_stored_texts_one_is_under_way_at_a_time():
    net, a, b = pair()
    net.away.add("b")
    for number in range(6):
        a.text(b, f"text {number}")
    net.run(2)
    net.away.discard("b")
    for _ in range(60):
        net.run(1)
        assert len(a.out) <= 1
    assert sorted(b.shown()) == [f"text {number}" for number in range(6)]


def test_a_key_that_was_asked_for_is_named():
    net, a, b = pair("ip", share=False)
    net.met = False
    value = a.ask("message", node=node_text(b.node), text="hi").value
    assert value["waits"].startswith("waits for the receiver's key")
