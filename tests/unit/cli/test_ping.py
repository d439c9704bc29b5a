"""ping (meshd.cli.ping) against the real control socket, and why nobody answers."""

import json

import pytest
from daemons.fake_host import NODE, OTHER, WHO, snapshot

from meshd.cli.main import main
from meshd.core.errors import Exit, RequestError
from meshd.core.events import Progress, Reply
from meshd.core.snapshot import RadioStatus


def say(capsys, *arguments):
    code = main(["ping", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def pings(host):
    return [args for verb, args in host.asked if verb == "ping"]


def radio(state, advice=None):
    return RadioStatus("lora0", "/dev/ttyUSB0", state, "rnode", advice=advice)


def test_ping_of_a_script_is_one_request(host, capsys):
    host.answers["ping"] = {"address": "fd00::2", "sent": 3, "received": 2, "rtt_ms": [9.0, 4.5]}
    code, out, _ = say(capsys, OTHER, "-c", "3", "--interval", "0.5", "--json")
    assert code == 0
    assert json.loads(out) == {
        "schema": "meshd.ping/1",
        "address": "fd00::2",
        "sent": 3,
        "received": 2,
        "rtt_ms": 9.0,
        "rtts_ms": [9.0, 4.5],
    }
    assert pings(host) == [{"node": OTHER, "count": 3, "interval_s": 0.5}]


def test_ping_of_a_person_shows_each_answer(host, capsys):
    host.answers["who"] = RequestError("nobody known here", code=Exit.NOT_FOUND)
    _, out, err = say(capsys, "fd7c::2", "-c", "2", "--interval", "0")
    assert out == "fd7c:38e3:d782::2: 12.2 ms\n" * 2 and err == "2 of 2 answered\n"
    assert pings(host) == [{"address": "fd7c::2", "count": 1, "interval_s": 0.0}] * 2


def test_address_of_the_mesh_is_that_of_its_node(host, capsys):
    say(capsys, "fd7c::2", "-c", "1")
    assert pings(host)[0]["node"] == OTHER


def test_ping_by_lora_tells_medium_and_hops(host, capsys):
    host.answers["ping"] = {**host.answers["ping"], "medium": "lora", "hops": 1}
    assert say(capsys, OTHER, "-c", "1")[1] == "fd7c:38e3:d782::2: 12.2 ms by lora, 1 hop\n"


def test_what_an_answer_waits_for_is_said_once(host, capsys):
    def slow(verb, args, on_event):
        for done in range(2):
            on_event(Progress(1, "waits for answers by LoRa", done, 2))
        on_event(Reply(1, host.answers[verb]))

    host.request = slow
    _, _, err = say(capsys, OTHER, "-c", "2", "--interval", "0")
    assert err == "it waits for answers by LoRa\n2 of 2 answered\n"


def test_own_node_is_told_at_once(host, capsys):
    host.answers["who"] = {**WHO, "node": NODE, "own": True}
    code, _, err = say(capsys, NODE)
    assert code == 0 and "this node itself" in err
    assert len(pings(host)) == 1


def test_name_that_is_a_nodes_own_word_is_marked_as_such(host, capsys):
    host.answers["who"] = {**WHO, "calls_itself": "Ben"}
    _, _, err = say(capsys, "Ben", "-c", "1")
    assert err.startswith("qrst-uvwx-yz23-4567 calls itself Ben; nobody vouches for it\n")
    assert pings(host)[0]["node"] == OTHER
    host.answers["who"] = {**WHO, "calls_itself": "Ben", "names": [{"name": "Ben", "space": "x"}]}
    assert "calls itself" not in say(capsys, "Ben", "-c", "1")[2]


def test_nobody_of_that_name_is_not_pinged(host, capsys):
    host.answers["who"] = RequestError("nobody known here", code=Exit.NOT_FOUND, remedy="look")
    assert say(capsys, "Ben")[0] == Exit.NOT_FOUND
    assert not pings(host)


SILENT = ("-c", "4", "--interval", "0")


def test_ping_that_nobody_answers_is_code_5_and_keeps_its_counts(host, capsys):
    host.answers["ping"] = RequestError("no answer", code=Exit.TIMEOUT)
    code, _, err = say(capsys, OTHER, *SILENT)
    assert code == Exit.TIMEOUT and f"no answer from {OTHER} to 4 echoes" in err
    assert "there is a way to it by IP" in err
    code, out, _ = say(capsys, OTHER, *SILENT, "--json")
    value = json.loads(out)
    assert code == Exit.TIMEOUT and value["code"] == 5 and "no answer" in value["error"]
    assert (value["schema"], value["sent"], value["received"]) == ("meshd.ping/1", 4, 0)
    host.answers["ping"] = RequestError("no such node", code=Exit.NOT_FOUND, remedy="look")
    assert say(capsys, OTHER)[0] == Exit.NOT_FOUND


@pytest.mark.parametrize(
    ("who", "node", "words"),
    [
        ({"way": "lora"}, {}, ("a way to it by LoRa", "airtime")),
        ({"way": "ip and lora"}, {}, ("a way to it by IP and LoRa",)),
        ({}, {"radios": (radio("port gone", "plug it in"),)}, ("lora0: port gone", "plug it in")),
        ({}, {"radios": (radio("looking"),), "mode": "leaf"}, ("lora0: looking", "radio list")),
        ({"heard": False, "nearest": NODE, "way": "lora"}, {}, ("did you mean", "is known here")),
        ({"heard": False, "way": "lora"}, {}, ("there is a way to it by LoRa",)),
        ({"heard": False}, {}, ("nothing was heard of that node", "is the id right?")),
        ({"heard": False, "nearest": NODE}, {}, ("abcd-efgh-ijkl-mnop is known here",)),
        ({}, {"mode": "leaf"}, ("runs as a leaf (--leaf, or no root)", "as root")),
        ({}, {"mode": "leaf", "radios": (radio("up"),)}, ("no way to it by LoRa now",)),
        ({}, {}, ("no route to it now", "meshd routes")),
    ],
)
def test_silence_has_its_true_cause(host, capsys, who, node, words):
    host.answers["ping"] = RequestError("no answer", code=Exit.TIMEOUT)
    host.answers["who"] = {key: item for key, item in WHO.items() if key != "way"} | who
    host.now = snapshot(**node)
    _, _, err = say(capsys, OTHER, "-c", "1")
    assert all(word in err for word in words), err
