"""The control socket against polite and hostile clients. Server: real; daemon: a table."""

import json
import os
import random
import socket

import pytest
from daemons.control_talk import Raw, raw
from daemons.fake_host import NODE, served

from meshd.core.errors import Exit, RequestError, UsageError
from meshd.core.events import Progress, Reply
from meshd.runtime import control, control_client


@pytest.fixture
def host(tmp_path):
    with served(tmp_path) as (host, server):
        host.server = server
        yield host


@pytest.fixture
def client(host, tmp_path):
    with raw(tmp_path) as client:
        yield client


def test_snapshot_answers_without_the_engine(host, client):
    assert client.ask("id")["value"] == {
        "node": NODE,
        "address": "fd7c:38e3:d782::1",
        "mesh": "pq4ohv4c",
    }
    assert client.ask("version")["value"] == {"version": "0.1.0"}
    status = client.ask("status")["value"]
    assert status["links"][0]["protection"] == "SAE"
    assert client.ask("neighbours")["value"] == {"neighbours": status["neighbours"]}
    assert client.ask("routes")["value"] == {"routes": status["routes"]}
    assert client.ask("sessions")["value"] == {"sessions": status["sessions"]}
    assert host.asked == []


def test_request_reaches_the_host_and_errors_keep_code_and_remedy(host, client):
    assert client.ask("ping", {"node": NODE}, "a")["value"]["rtt_ms"] == [12.25]
    assert host.asked == [("ping", {"node": NODE})]
    assert client.ask("nonsense", number=2) == {
        "id": 2,
        "ok": False,
        "error": "no verb nonsense",
        "code": 2,
        "remedy": "meshd --help",
    }


def test_answers_keep_their_numbers_when_they_come_late(host, client):
    host.hold.add("slow")
    client.send(b'{"id":1,"verb":"slow"}\n{"id":2,"verb":"id"}\n')
    assert client.line()["id"] == 2
    host.call(host.held[0], Progress(1, "chunks", 1, 3))
    host.call(host.held[0], Reply(1, None, "too bad", 5, "wait"))
    host.call(host.held[0], Reply(1, {"late": True}))
    assert client.line() == {"id": 1, "progress": {"what": "chunks", "done": 1, "total": 3}}
    assert client.line() == {"id": 1, "ok": False, "error": "too bad", "code": 5, "remedy": "wait"}
    assert client.ask("id", number=3)["id"] == 3


def test_unknown_exit_code_of_a_reply_is_an_error(host, client):
    host.hold.add("slow")
    client.send(b'{"id":1,"verb":"slow"}\n')
    client.ask("id", number=2)
    host.call(host.held[0], Reply(1, None, "odd", 99))
    assert client.line()["code"] == Exit.ERROR


BAD_LINES = [
    b"nonsense",
    b"\xff\xfe",
    b"[]",
    b"1",
    b"null",
    b'{"id":1}',
    b'{"verb":"id"}',
    b'{"id":true,"verb":"id"}',
    b'{"id":1.5,"verb":"id"}',
    b'{"id":null,"verb":"id"}',
    b'{"id":9007199254740993,"verb":"id"}',
    b'{"id":"' + b"x" * 65 + b'","verb":"id"}',
    b'{"id":1,"verb":7}',
    b'{"id":1,"verb":""}',
    b'{"id":1,"verb":"' + b"x" * 65 + b'"}',
    b'{"id":1,"verb":"id","args":[]}',
    b'{"id":1,"verb":"id","args":{"x":NaN}}',
    b'{"id":1,"verb":"id","args":{"x":"\\ud800"}}',
    b'{"id":1,"verb":"id","args":' + b"[" * 30000,
    b'{"id":1,"verb":"id","args":{"x":' + b"9" * 5000 + b"}}",
    b'{"id":1,"verb":"put","args":{}}',
    b'{"id":1,"verb":"put","args":{"file":0}}',
    b'{"id":1,"verb":"put","args":{"file":-1}}',
    b'{"id":1,"verb":"get","args":{"file":"0","handle":100}}',
]


@pytest.mark.parametrize("line", BAD_LINES, ids=lambda line: repr(line[:40]))
def test_bad_line_is_answered_and_the_connection_lives(host, client, line):
    client.send(line + b"\n")
    answer = client.line()
    assert answer["ok"] is False and answer["code"] == Exit.USAGE and answer["error"]
    assert client.ask("id")["ok"] is True
    assert host.asked == []


def test_blank_lines_are_nothing(client):
    client.send(b"\n \n\r\n")
    assert client.ask("id")["ok"] is True


def test_line_too_long_ends_the_connection_with_a_reason(host, client, tmp_path):
    client.send(b"x" * (control_client.LINE_BYTES_MAX + 1))
    line = client.line()
    assert "longer than 65536" in line["error"] and "send less at once" in line["remedy"]
    assert client.ended()
    with raw(tmp_path) as second:
        second.send(b"y" * control_client.LINE_BYTES_MAX + b"\n")
        assert second.line()["error"] == "a line is not JSON"
        assert second.ask("id")["ok"] is True


def test_failure_inside_the_daemon_is_an_answer(host, client, caplog):
    assert client.ask("explode")["error"] == "internal error"
    assert "a control call failed" in caplog.text
    assert host.server.calls == 0
    host.answers["ping"] = RequestError("no such node", code=Exit.NOT_FOUND)
    assert client.ask("ping")["code"] == Exit.NOT_FOUND

    def misuse(verb, args, on_event):
        raise UsageError("'x' is not 10 bytes in base32")

    host.request = misuse
    assert client.ask("ping")["code"] == Exit.USAGE


def test_seeded_noise_never_stops_the_server(host, tmp_path):
    rng = random.Random(20)
    valid = b'{"id":1,"verb":"status","args":{"a":[1,{"b":null}]}}\n'
    for _ in range(60):
        with raw(tmp_path) as client:
            noise = bytearray(valid * rng.randint(1, 20))
            for _ in range(rng.randint(0, 40)):
                noise[rng.randrange(len(noise))] = rng.randrange(256)
            client.send(noise if rng.random() < 0.5 else rng.randbytes(rng.randint(0, 5000)))
            if rng.random() < 0.5:
                client.socket.shutdown(socket.SHUT_WR)
                while client.socket.recv(65536):
                    pass
    with raw(tmp_path) as client:
        assert client.ask("id")["ok"] is True


def test_calls_in_flight_are_bounded_for_one_client(host, client):
    host.hold.add("slow")
    for number in range(control_client.CALLS_PER_CLIENT_MAX + 1):
        client.send(b'{"id":%d,"verb":"slow"}\n' % number)
    answer = client.line()
    assert answer["id"] == control_client.CALLS_PER_CLIENT_MAX
    assert answer["code"] == Exit.TEMPORARY
    host.call(host.held[0], Reply(1, {}))
    assert client.line()["id"] == 0
    host.hold.clear()
    assert client.ask("ping")["ok"] is True


def test_calls_of_clients_that_left_still_count(host, tmp_path, monkeypatch):
    monkeypatch.setattr(control_client, "CALLS_MAX", 6)
    host.hold.add("slow")
    for _ in range(3):
        with raw(tmp_path) as client:
            client.send(b'{"id":1,"verb":"slow"}\n{"id":2,"verb":"slow"}\n')
            client.ask("id")
    with raw(tmp_path) as client:
        assert client.ask("slow")["code"] == Exit.TEMPORARY
        for on_event in host.held:
            host.call(on_event, Reply(1, {}))
        assert host.server.calls == 0
        host.hold.clear()
        assert client.ask("ping")["ok"] is True


def test_when_clients_are_too_many_the_idlest_goes(host, tmp_path):
    clients = [Raw(tmp_path) for _ in range(control.CLIENTS_MAX)]
    for client in clients:
        client.ask("id")
    clients[0].ask("id")
    newest = Raw(tmp_path)
    assert newest.ask("id")["ok"] is True
    assert clients[1].ended()
    assert clients[0].ask("id")["ok"] is True
    for client in (*clients, newest):
        client.close()


def test_when_all_clients_are_at_work_the_newest_is_turned_away(host, tmp_path):
    clients = [Raw(tmp_path) for _ in range(control.CLIENTS_MAX)]
    for client in clients:
        client.ask("watch")
    with raw(tmp_path) as newest:
        answer = newest.line()
        assert answer["code"] == Exit.TEMPORARY and answer["remedy"]
        assert newest.ended()
    assert host.server.refused == 1
    for client in clients:
        client.close()


def test_reader_that_never_reads_is_neither_waited_for_nor_stored(host, tmp_path):
    lazy = Raw(tmp_path)
    lazy.socket.setblocking(False)
    line = b'{"id":1,"verb":"status"}\n' * 400
    sent = 0
    for _ in range(2000):
        try:
            sent += lazy.socket.send(line)
        except BlockingIOError:
            break
    with raw(tmp_path) as polite:
        assert polite.ask("id")["ok"] is True
    waiting = [len(item._output) for item in host.server._clients.values()]
    assert max(waiting) < 2 * control_client.OUTPUT_BYTES_SOFT
    lazy.socket.setblocking(True)
    lazy.socket.shutdown(socket.SHUT_WR)
    answered = sum(1 for _ in lazy.file)
    assert answered == sent // 25, "and what it asked is answered once it reads"
    lazy.close()


def test_client_that_stops_sending_still_gets_its_answers(host, client):
    host.hold.add("slow")
    client.send(b'{"id":1,"verb":"id"}\n{"id":2,"verb":"slow"}\n')
    client.socket.shutdown(socket.SHUT_WR)
    assert client.line()["id"] == 1
    while not host.held:
        host.call(lambda: None)
    host.call(host.held[0], Reply(1, {}))
    assert client.line()["id"] == 2
    assert client.line() is None


def test_watch_passes_notices_and_stops_with_the_client(host, client, tmp_path):
    assert client.ask("watch")["value"] == {"watching": True}
    assert client.ask("watch", number=2)["code"] == Exit.USAGE
    host.notify("neighbour-up", node=NODE, link="mesh0")
    assert client.line() == {
        "id": 1,
        "notice": {"kind": "neighbour-up", "fields": {"node": NODE, "link": "mesh0"}},
    }
    client.close()
    with raw(tmp_path) as other:
        other.ask("id")
    for _ in range(100):
        if not host.watchers:
            break
        host.call(lambda: None)
    assert host.watchers == []


def test_slow_watcher_is_told_how_many_notices_it_missed(host, client):
    client.ask("watch")
    for _ in range(100):
        host.notify("flood", text="x" * 10_000)
    (missed,) = [item._missed for item in host.server._clients.values()]
    assert 0 < missed < 100
    for _ in range(100 - missed):
        assert client.line()["notice"]["kind"] == "flood"
    host.notify("small")
    assert client.line()["notice"] == {"kind": "small", "fields": {}, "missed": missed}
    host.notify("small")
    assert "missed" not in client.line()["notice"]


def test_files_are_passed_and_released(host, client, tmp_path):
    source = tmp_path / "a.bin"
    source.write_bytes(b"hello" * 1000)
    with open(source, "rb") as file:
        line = b'{"id":1,"verb":"put","args":{"file":0,"name":"a","size":5000,"space":"s"}}\n'
        socket.send_fds(client.socket, [b'{"id":0,"verb":"id"}\n' + line], [file.fileno()])
    assert client.line()["id"] == 0
    assert client.line()["progress"]["done"] == 5000
    assert client.line()["value"]["size"] == 5000
    with open(tmp_path / "b.bin", "wb") as file:
        socket.send_fds(
            client.socket, [b'{"id":2,"verb":"get","args":{"file":0}}\n'], [file.fileno()]
        )
        client.line()
        assert client.line()["ok"] is True
    assert (tmp_path / "b.bin").read_bytes() == b"hello" * 1000
    assert host.released == [100, 101]


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_file_of_the_wrong_kind_is_refused_and_closed(host, client, tmp_path):
    (tmp_path / "a").write_text("x")
    reading, writing = os.pipe()
    folder = os.open(tmp_path, os.O_RDONLY)
    plain = os.open(tmp_path / "a", os.O_RDONLY)
    only_writing = os.open(tmp_path / "a", os.O_WRONLY)
    client.ask("id")
    before = open_fds()
    for verb, fd in (
        *(("put", reading), ("put", folder), ("get", writing), ("get", plain)),
        ("put", only_writing),
    ):
        line = json.dumps({"id": 1, "verb": verb, "args": {"file": 0}}).encode() + b"\n"
        socket.send_fds(client.socket, [line], [fd])
        answer = client.line()
        assert answer["code"] == Exit.USAGE and "regular file" in answer["error"]
    assert host.files == {}
    assert open_fds() == before
    for fd in (reading, writing, folder, plain, only_writing):
        os.close(fd)


def test_flood_of_files_ends_the_connection_and_leaks_nothing(host, tmp_path):
    with raw(tmp_path) as client:
        client.ask("id")
    before = open_fds()
    hostile = Raw(tmp_path)
    with open(tmp_path / "f", "wb") as file:
        try:
            for _ in range(50):
                socket.send_fds(hostile.socket, [b" "], [file.fileno()] * 100)
        except OSError:
            pass
    while not hostile.ended():
        pass
    hostile.close()
    assert open_fds() <= before


def test_files_never_used_are_closed_with_the_client(host, tmp_path):
    with raw(tmp_path) as client:
        client.ask("id")
    before = open_fds()
    for _ in range(20):
        with raw(tmp_path) as client, open(tmp_path / "f", "wb") as file:
            socket.send_fds(client.socket, [b'{"id":1,"verb":"id"}\n'], [file.fileno()])
            client.line()
    with raw(tmp_path) as client:
        client.ask("id")
        assert open_fds() <= before + 3


def test_failed_request_releases_its_file(host, client, tmp_path):
    def refuse(verb, args, on_event):
        raise RequestError("no such space", code=Exit.NOT_FOUND)

    host.request = refuse
    (tmp_path / "a").write_text("x")
    with open(tmp_path / "a", "rb") as file:
        socket.send_fds(
            client.socket, [b'{"id":1,"verb":"put","args":{"file":0}}\n'], [file.fileno()]
        )
    assert client.line()["code"] == Exit.NOT_FOUND
    assert host.released == [100]
