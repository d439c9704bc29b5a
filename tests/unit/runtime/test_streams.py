"""Streams: where accepted ones came by, and why dialled ones were not opened."""

import asyncio
import socket

import pytest

from meshd.core.events import StreamOpen
from meshd.runtime.streams import Streams, _arrival


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")]
)
def test_arrival_interface_is_known_without_a_scope(family, address):
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server,
        socket.create_connection((address, server.getsockname()[1])) as near,
    ):
        accepted, peer = server.accept()
        with accepted:
            assert near.family == family and peer[3] == 0
            assert _arrival(accepted, peer) == "lo"


class Inputs:
    """What the engine is told, and a wait for it."""

    def __init__(self):
        self.failures = []
        self.told = asyncio.Event()

    def stream_failed(self, stream, why):
        self.failures.append((stream, why))
        self.told.set()

    def stream_opened(self, stream):
        self.told.set()

    def stream_closed(self, stream):
        """It is over."""


def dial(*events):
    """Open streams one after the other; return why each was not opened."""

    async def run():
        inputs = Inputs()
        streams = Streams(inputs)
        for event in events:
            inputs.told.clear()
            streams.open(event)
            await asyncio.wait_for(inputs.told.wait(), 10)
        streams.stop()
        return inputs.failures

    return asyncio.run(run())


def peer(stream, host, port):
    return StreamOpen(stream, host, port, keepalive=True)


@pytest.mark.parametrize(
    ("code", "why"), [(socket.EAI_NONAME, "name unknown"), (socket.EAI_AGAIN, "name not looked up")]
)
def test_name_that_leads_nowhere_is_told_in_its_own_words_and_logged_once(
    monkeypatch, caplog, code, why
):
    def lookup(*args, **kwargs):
        raise socket.gaierror(code, "as the C library has it")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert dial(peer(2, "no.such", 6697), peer(4, "no.such", 6697)) == [(2, why), (4, why)]
    (line,) = caplog.records
    assert line.levelname == "WARNING" and "host=no.such" in line.message and why in line.message


def test_port_where_nobody_listens_refuses_by_every_address_of_its_name(monkeypatch, caplog):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        both = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", port)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: both)
        assert dial(peer(2, "both", port)) == []  # the second address is taken
    assert dial(peer(2, "both", port)) == [(2, "refused")]
    assert len(caplog.records) == 1


def test_neighbour_that_does_not_answer_is_no_line_in_the_log(caplog):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert dial(StreamOpen(2, "127.0.0.1", port)) == [(2, "refused")]
    assert not caplog.records
