"""message and messages (meshd.cli.messages) against the real control socket."""

import io
import json

import pytest
from daemons.fake_host import NODE, OTHER, say

from meshd.cli.messages import message_text
from meshd.core.errors import Exit, RequestError
from meshd.core.limits import MESSAGE_TEXT_MAX


def test_message_says_how_far_it_is(host, capsys):
    code, out, err = say(capsys, "message", OTHER, "hi")
    assert (code, out) == (0, "") and err.startswith("queued; meshd messages shows")
    assert host.asked[-1] == ("message", {"node": OTHER, "text": "hi"})


def test_message_waits_for_a_state_when_asked(host, capsys):
    code, out, _ = say(capsys, "message", OTHER, "hi", "--wait", "delivered", "--json")
    assert code == 0 and json.loads(out)["state"] == "delivered"
    verb, args = host.asked[-1]
    assert verb == "message.wait"
    assert args == {"number": 7, "state": "delivered", "timeout_s": 120.0}


def test_message_that_is_late_shows_what_is_written_and_exits_with_75(host, capsys):
    late = RequestError("is sent: not yet", code=Exit.TEMPORARY, remedy="wait")
    host.answers["message.wait"] = late
    code, out, err = say(capsys, "message", OTHER, "hi", "--wait", "delivered", "--json")
    assert code == Exit.TEMPORARY and json.loads(out)["state"] == "queued" and "not yet" in err
    late.reached = {"state": "sent", "reached": "sent"}
    code, out, err = say(capsys, "message", OTHER, "hi", "--wait", "delivered", "--json")
    value = json.loads(out)
    assert (code, value["schema"], value["number"]) == (Exit.TEMPORARY, "meshd.message/1", 7)
    assert (value["state"], value["reached"]) == ("sent", "sent")
    assert (value["error"], value["code"], value["remedy"]) == ("is sent: not yet", 75, "wait")
    assert say(capsys, "message", OTHER, "hi", "--wait", "delivered")[1] == ""


def test_message_reads_standard_input(host, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"from a pipe\n")))
    assert say(capsys, "message", OTHER, "-")[0] == 0
    assert host.asked[-1][1]["text"] == "from a pipe"


def test_messages_shows_both_ways_with_states(host, capsys):
    code, out, err = say(capsys, "messages")
    assert code == 0 and "older messages are left out" in err
    assert out.splitlines() == [
        "2026-11-21 00:00Z  to qrst-uvwx-yz23-4567: are you there  [kept by aaaa-bbbb-cccc-dddd]",
        "2026-11-21 00:00Z  to qrst-uvwx-yz23-4567: are you there  [given up after it was sent]",
        "2026-11-21 00:01Z  from qrst-uvwx-yz23-4567: yes",
        "    indeed  [new]",
    ]
    assert host.asked[-1] == ("messages", {"limit": 50, "peek": False})


def test_messages_of_one_node_as_json_without_reading_them(host, capsys):
    code, out, _ = say(capsys, "messages", OTHER, "-n", "5", "--peek", "--json")
    assert code == 0 and json.loads(out)["schema"] == "meshd.messages/1"
    assert host.asked[-1] == ("messages", {"limit": 5, "peek": True, "node": OTHER})


def test_no_messages_says_how_to_write_one(host, capsys):
    host.answers["messages"] = {"messages": [], "more": False}
    code, out, err = say(capsys, "messages")
    assert (code, out) == (0, "") and "meshd message NODE TEXT" in err


def test_a_state_that_is_the_last_is_not_told_to_go_on(host, capsys):
    _, _, err = say(capsys, "message", OTHER, "hi", "--wait", "delivered")
    assert err.splitlines() == [
        "queued; waiting up to 120 s until it is delivered; Ctrl-C ends the waiting alone",
        "delivered",
    ]


def test_message_to_an_id_never_heard_of_warns_with_the_one_that_was_meant(host, capsys):
    sent = host.answers["message"]
    host.answers["message"] = {**sent, "heard": False, "nearest": NODE}
    code, _, err = say(capsys, "message", OTHER, "hi")
    assert code == 0
    assert err.startswith(
        "nothing was heard of qrst-uvwx-yz23-4567 since this node started;"
        " did you mean abcd-efgh-ijkl-mnop?\n"
    )
    host.answers["message"] = {**sent, "heard": False}
    assert "is it right?" in say(capsys, "message", OTHER, "hi")[2]


def test_what_a_message_waits_for_is_said(host, capsys):
    waiting = {**host.answers["message"], "waits": "waits for WiFi: LoRa takes less"}
    host.answers["message"] = waiting
    assert "queued; it waits for WiFi: LoRa takes less" in say(capsys, "message", OTHER, "hi")[2]
    host.answers["messages"] = {"messages": [waiting]}
    listed = say(capsys, "messages", "--waiting")[1]
    assert "[queued; it waits for WiFi: LoRa takes less; number 7]" in listed
    assert host.asked[-1] == ("messages", {"limit": 50, "peek": False, "waiting": True})


def test_message_that_has_not_left_is_taken_back_by_its_number(host, capsys):
    assert "--cancel 7 takes it back" in say(capsys, "message", OTHER, "hi")[2]
    code, out, err = say(capsys, "messages", "--cancel", "7")
    assert (code, out) == (0, "") and err == "taken back: message 7 to qrst-uvwx-yz23-4567\n"
    assert host.asked[-1] == ("message.cancel", {"number": 7})
    code, out, _ = say(capsys, "messages", "--cancel", "7", "--json")
    value = json.loads(out)
    assert (value["schema"], value["state"]) == ("meshd.message/1", "taken back")
    host.answers["message.cancel"] = RequestError("message 7 is sent: it cannot be taken back")
    code, out, err = say(capsys, "messages", "--cancel", "7", "--json")
    assert code == Exit.ERROR and json.loads(out)["schema"] == "meshd.error/1" and "is sent" in err


def test_nothing_waits(host, capsys):
    host.answers["messages"] = {"messages": [], "more": False}
    assert say(capsys, "messages", "--waiting")[2].startswith("no message waits")


@pytest.mark.parametrize("length", [MESSAGE_TEXT_MAX + 1, 70_000])
def test_text_that_no_message_holds_is_refused_before_it_is_sent(host, capsys, length):
    code, _, err = say(capsys, "message", OTHER, "x" * length)
    assert code == Exit.USAGE and "a message holds 32.7 kB" in err and "meshd put SPACE" in err
    assert not host.asked
    assert say(capsys, "message", OTHER, "x" * MESSAGE_TEXT_MAX)[0] == 0


@pytest.mark.parametrize("text", ["x" * 5000, "line\n" * 50])
def test_long_texts_are_cut_in_the_list_unless_all_is_wanted(host, capsys, text):
    host.answers["messages"] = {"messages": [{**host.answers["message"], "text": text}]}
    out = say(capsys, "messages")[1]
    assert len(out) < 700 and f"({len(text)} characters in all; --full shows them)" in out
    full = say(capsys, "messages", "--full")[1]
    assert full.count("x") >= text.count("x") and full.count("line") == text.count("line")
    assert json.loads(say(capsys, "messages", "--json")[1])["messages"][0]["text"] == text


def test_messages_calls_people_by_the_names_that_spaces_vouch_for():
    row = {"way": "in", "node": OTHER, "text": "hi", "time": 1795219200, "read": True}
    assert message_text(row) == "2026-11-21 00:00Z  from qrst-uvwx-yz23-4567: hi"
    named = {**row, "names": ["Ben", "B\x1b"]}
    assert message_text(named) == "2026-11-21 00:00Z  from Ben, B\ufffd: hi"
    own = {**named, "way": "out", "names": ["Ben"], "state": "sent"}
    assert message_text(own) == "2026-11-21 00:00Z  to Ben: hi  [sent]"
