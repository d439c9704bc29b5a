"""The mesh echo: its answers, its limits, its refusals."""

from random import Random

import pytest

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import Exit, RequestError
from meshd.core.events import Datagram, Reply
from meshd.core.ids import OPEN_MESH_ID, mesh_address, node_text
from meshd.session.echo import PINGS_MAX, Echo
from meshd.wire.echo import EchoPacket

NODE = b"0123456789"
SOURCE = mesh_address(OPEN_MESH_ID, NODE)
SECOND = 1_000_000


@pytest.fixture
def echo():
    rng = Random(1)
    ctx = Context(rng=rng, entropy=rng.randbytes)
    made = Echo(ctx, lambda node: mesh_address(OPEN_MESH_ID, node))
    made.ctx = ctx
    return made


def run(echo, now, until, *, answer=lambda place: 5_000):
    """Let time pass; `answer` gives the round trip of the n-th request, or None for a loss."""
    place = 0
    while (head := echo.ctx.timers.next()) and head[0] <= until:
        while echo.ctx.transmits:
            out = echo.ctx.transmits.popleft()
            rtt, place = answer(place), place + 1
            if rtt is not None:
                token = EchoPacket.decode(out.data).token
                back = EchoPacket(token, reply=True).encode()
                echo.receive("w0", Datagram(out.destination, 6697, back), now + rtt)
        head = echo.ctx.timers.next()
        if head is None:
            return
        now = head[0]
        for key in echo.ctx.timers.expired(now):
            echo.handle_timer(key, now)


def test_ping_tells_each_round_trip(echo):
    echo.ping({"node": node_text(NODE), "count": 3, "interval_s": 0.5}, 7, 0)
    run(echo, 0, 10 * SECOND, answer=lambda place: 1000 * (place + 1))
    (reply,) = echo.ctx.events
    assert reply == Reply(
        7,
        {
            "address": "fd7c:38e3:d782:3031:3233:3435:3637:3839",
            "sent": 3,
            "received": 3,
            "loss": 0.0,
            "rtt_ms": [1.0, 2.0, 3.0],
        },
    )


def test_ping_tells_what_was_lost(echo):
    echo.ping({"address": "fd00::1", "count": 4, "interval_s": 1}, 7, 0)
    run(echo, 0, 10 * SECOND, answer=lambda place: 900 if place % 2 else None)
    (reply,) = echo.ctx.events
    assert (reply.value["received"], reply.value["loss"]) == (2, 0.5)


def test_ping_without_any_answer_times_out(echo):
    echo.ping({"address": "fd00::1", "count": 2}, 7, 0)
    run(echo, 0, 10 * SECOND, answer=lambda place: None)
    (reply,) = echo.ctx.events
    assert reply.value is None and reply.code == Exit.TIMEOUT and reply.remedy


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"node": "x"},
        {"node": 5},
        {"node": node_text(NODE), "address": "fd00::1"},
        {"address": "10.0.0.1"},
        {"address": "2001:db8::1"},
        {"address": "fd00::1", "count": 0},
        {"address": "fd00::1", "count": 101},
        {"address": "fd00::1", "count": True},
        {"address": "fd00::1", "count": "3"},
        {"address": "fd00::1", "interval_s": 0},
        {"address": "fd00::1", "interval_s": float("nan")},
        {"address": "fd00::1", "interval_s": "1"},
    ],
)
def test_unusable_arguments_are_refused(echo, args):
    with pytest.raises(RequestError) as caught:
        echo.requests["ping"](args, 1, 0)
    assert caught.value.code == Exit.USAGE


def test_pings_at_once_are_bounded(echo):
    for ticket in range(PINGS_MAX):
        echo.ping({"address": "fd00::1"}, ticket, 0)
    with pytest.raises(RequestError) as caught:
        echo.ping({"address": "fd00::1"}, 99, 0)
    assert caught.value.code == Exit.TEMPORARY


def test_request_is_answered_with_its_token(echo):
    echo.receive("w0", Datagram(SOURCE, 6697, EchoPacket(b"t" * 16).encode()), 0)
    (out,) = echo.ctx.transmits
    assert (out.link, out.destination, out.port) == ("", SOURCE, 6697)
    assert EchoPacket.decode(out.data) == EchoPacket(b"t" * 16, reply=True)


def test_neighbour_is_answered_on_its_link(echo):
    source = b"\xfe\x80" + bytes(13) + b"\1"
    echo.receive("w0", Datagram(source, 6697, EchoPacket(b"t" * 16).encode()), 0)
    assert echo.ctx.transmits[0].link == "w0"


def test_answers_are_limited_per_source_and_link(echo):
    request = EchoPacket(b"t" * 16).encode()
    for _ in range(100):
        echo.receive("w0", Datagram(SOURCE, 6697, request), 0)
    assert len(echo.ctx.transmits) == 20
    assert echo.ctx.drops.total(DropReason.ECHO_LIMITED) == 80
    for number in range(1000):
        source = b"\xfd" + number.to_bytes(15, "big")
        echo.receive("w0", Datagram(source, 6697, request), 0)
    assert len(echo.ctx.transmits) == 200


def test_multicast_and_malformed_requests_are_dropped(echo):
    echo.receive("w0", Datagram(SOURCE, 6697, EchoPacket(b"t" * 16).encode(), True), 0)
    echo.receive("w0", Datagram(SOURCE, 6697, b"\x03short"), 0)
    echo.receive("w0", Datagram(SOURCE, 6697, b""), 0)
    assert echo.ctx.drops.total(DropReason.ECHO_MALFORMED) == 3
    assert not echo.ctx.transmits


def test_reply_nobody_asked_for_is_dropped(echo):
    echo.ping({"address": "fd00::1", "count": 1}, 7, 0)
    token = EchoPacket.decode(echo.ctx.transmits[0].data).token
    reply = EchoPacket(token, reply=True).encode()
    echo.receive("w0", Datagram(SOURCE, 6697, reply), 1)
    assert echo.ctx.drops.total(DropReason.ECHO_UNASKED) == 1 and not echo.ctx.events
    echo.receive("w0", Datagram(b"\xfd" + bytes(14) + b"\1", 6697, reply), 1)
    assert len(echo.ctx.events) == 1


@pytest.mark.parametrize("whom", [{"node": "anna"}, {"address": "fd7c:38e3"}])
def test_what_is_no_id_is_told_what_one_looks_like(echo, whom):
    with pytest.raises(RequestError, match="is no node id") as caught:
        echo.ping(whom, 1, 0)
    assert "k7q2-m6xw-abcd-efgh" in caught.value.remedy and caught.value.code is Exit.USAGE
