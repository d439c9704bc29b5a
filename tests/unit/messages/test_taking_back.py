"""A text that has not left can be taken back; of one that has, the truth is told."""

import pytest
from devices.letter_net import Net

from meshd.core.errors import Exit, RequestError
from meshd.store.interface import StoreError, StoreFault


def pair(*edges, share=False):
    net = Net("a", "b", edges=edges)
    if share:
        net.share("a", "b")
    return net, net["a"], net["b"]


def test_queued_text_without_a_way_is_taken_back_and_never_sent():
    net, a, b = pair()
    assert a.text(b, "hello").value["state"] == "queued"
    net.run(1)
    value = a.ask("message.cancel", number=1).value
    assert (value["state"], value["reached"]) == ("taken back", "queued") and "waits" not in value
    net.edges[frozenset("ab")] = "ip"
    net.run(4000)
    assert b.shown() == [] and a.states() == ["taken back"]
    assert a.list(waiting=True) == []


def test_text_taken_back_stays_so_after_a_restart():
    net, a, b = pair()
    a.text(b, "hello")
    a.ask("message.cancel", number=1)
    a = net.restart("a")
    net.edges[frozenset("ab")] = "ip"
    net.run(100)
    assert [row["state"] for row in a.list()] == ["taken back"] and b.shown() == []
    assert a.ask("message.cancel", number=1).value["state"] == "taken back", "asked twice"


def test_text_in_the_queue_of_a_radio_is_taken_back():
    net, a, b = pair(("a", "b", "lora"), share=True)
    a.spent = True
    a.text(b, "hello")
    net.run(5)
    assert a.ask("message.cancel", number=1).value["state"] == "taken back"
    assert not a.out and not net.frames
    net.run(1000)
    assert b.shown() == [] and a.states() == ["taken back"]


@pytest.mark.parametrize(
    ("edges", "seconds", "why"),
    [
        ([("a", "b", "lora")], 0.1, "is just leaving"),
        ([("a", "b", "lora")], 0.8, "is sent"),
        ([("a", "b", "ip")], 5, "is delivered"),
        ([], 5, "stands sealed in a space"),
    ],
)
def test_text_that_left_is_not_taken_back(edges, seconds, why):
    net, a, b = pair(*edges, share=True)
    if edges:
        net.lost = lambda what, sender, to: what == "answer"
    a.text(b, "hello")
    net.run(seconds)
    with pytest.raises(RequestError, match=f"message 1 {why}.*: it cannot be taken back") as told:
        a.ask("message.cancel", number=1)
    assert "--waiting" in told.value.remedy
    assert a.list(peek=True)[0]["state"] != "taken back"


def test_unknown_number_is_told():
    _, a, _ = pair()
    with pytest.raises(RequestError, match="no message 7") as told:
        a.ask("message.cancel", number=7)
    assert told.value.code is Exit.NOT_FOUND


def test_who_waits_for_a_text_that_is_taken_back_is_told_at_once():
    _, a, b = pair()
    a.text(b, "hello")
    ticket = a.begin("message.wait", number=1, state="delivered", timeout_s=600)
    a.ask("message.cancel", number=1)
    assert "is taken back: not yet delivered" in a.replies[ticket].error
    assert "nothing more is tried" in a.replies[ticket].remedy


def test_list_of_what_waits_has_neither_what_came_nor_what_is_over():
    net, a, b = pair(("a", "b", "ip"), share=True)
    a.text(b, "first")
    b.text(a, "back")
    net.run(5)
    net.away.add("b")
    a.text(b, "second")
    net.run(60)
    assert [row["text"] for row in a.list(waiting=True)] == ["second"]
    assert len(a.list(peek=True)) == 3


def test_who_waits_until_it_is_read_waits_on_after_it_is_delivered():
    net, a, b = pair(("a", "b", "ip"), share=True)
    b.messages.tells_read = True
    a.text(b, "hello")
    ticket = a.begin("message.wait", number=1, state="read", timeout_s=600)
    net.run(5)
    assert a.states()[-1] == "delivered" and ticket not in a.replies
    b.list()
    net.run(5)
    assert a.replies[ticket].value["state"] == "read"


def test_a_text_is_called_taken_back_only_when_that_is_on_the_disk():
    net, a, b = pair()
    a.text(b, "hello")
    a.held = True
    ticket = a.begin("message.cancel", number=1)
    again = a.begin("message.cancel", number=1)
    assert ticket not in a.replies and again not in a.replies and a.states() == []
    net.edges[frozenset("ab")] = "ip"
    net.run(100)
    assert b.shown() == [], "nothing leaves while it is written"
    a.held = False
    a.commit()
    a.run()
    assert [a.replies[each].value["state"] for each in (ticket, again)] == ["taken back"] * 2
    assert a.states() == ["taken back"]
    net.run(4000)
    assert b.shown() == []


def test_a_crash_before_the_answer_leaves_the_text_queued():
    net, a, b = pair()
    a.text(b, "hello")
    a.held = True
    ticket = a.begin("message.cancel", number=1)
    a.held = False
    a = net.restart("a")
    assert ticket not in a.replies and a.list()[0]["state"] == "queued"
    net.edges[frozenset("ab")] = "ip"
    net.run(100)
    assert b.shown() == ["hello"]


def test_a_failed_write_is_answered_with_an_error_and_the_text_goes_on():
    net, a, b = pair()
    a.text(b, "hello")
    commit, a.store.commit = a.store.commit, failing
    reply = a.ask("message.cancel", number=1)
    assert reply.value is None and "was not taken back, it is still queued" in reply.error
    assert reply.remedy and a.list()[0]["state"] == "queued" and a.states() == []
    a.store.commit = commit
    net.edges[frozenset("ab")] = "ip"
    net.run(100)
    assert b.shown() == ["hello"]


def failing(groups):
    raise StoreError(StoreFault.BROKEN, "the disk failed", remedy="change the card")
