"""The formats of knock, echo and session: golden bytes, round trips, refusals."""

import json
from pathlib import Path

import construct as c
import pytest

from meshd.core.errors import WireError
from meshd.wire.echo import EchoPacket
from meshd.wire.knock import Knock
from meshd.wire.session_records import (
    BulkHead,
    Confirm,
    Data,
    HandshakePayload,
    Opening,
    decode_record,
)

GOLDEN = json.loads((Path(__file__).resolve().parents[2] / "vectors" / "session.json").read_text())
VALUES = {
    "knock": Knock(b"mesh5", b"0123456789", 6697),
    "knock-answer": Knock(b"mesh5", b"0123456789", 0, answer=True),
    "echo-request": EchoPacket(bytes(range(16))),
    "echo-reply": EchoPacket(bytes(range(16)), reply=True),
    "opening-ik": Opening(1, 1, b"mesh5"),
    "payload": HandshakePayload(bytes(range(96)), 258, 6697),
    "confirm": Confirm(),
    "data": Data(b"body"),
    "bulk": BulkHead(65536, b"head"),
}

SECOND_OPINION = {
    "knock": c.Struct(
        "kind" / c.Const(1, c.Byte),
        "version" / c.Const(1, c.Byte),
        "mesh" / c.Bytes(5),
        "node" / c.Bytes(10),
        "port" / c.Int16ub,
    ),
    "echo-request": c.Struct("kind" / c.Const(3, c.Byte), "token" / c.Bytes(16)),
    "opening-ik": c.Struct(
        c.Const(b"md"), "version" / c.Byte, "pattern" / c.Byte, "mesh" / c.Bytes(5)
    ),
    "payload": c.Struct("certificate" / c.Bytes(96), "boot" / c.Int64ub, "port" / c.Int16ub),
    "data": c.Struct(c.Const(1, c.Byte), "body" / c.GreedyBytes),
    "bulk": c.Struct(c.Const(2, c.Byte), "length" / c.Int32ub, "head" / c.GreedyBytes),
}


def decode(name, data):
    if name in ("confirm", "data", "bulk"):
        return decode_record(data)
    return type(VALUES[name]).decode(data)


@pytest.mark.parametrize("name", VALUES)
def test_golden_bytes(name):
    assert VALUES[name].encode().hex() == GOLDEN[name]
    assert decode(name, bytes.fromhex(GOLDEN[name])) == VALUES[name]


@pytest.mark.parametrize("name", SECOND_OPINION)
def test_declared_format_agrees(name):
    fields = {
        key: each for key, each in VALUES[name]._asdict().items() if key not in {"answer", "reply"}
    }
    assert SECOND_OPINION[name].build(fields).hex() == GOLDEN[name]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("knock", ""),
        ("knock", "0201"),
        ("knock", "03016d65736835303132333435363738391a29"),
        ("knock", "01026d65736835303132333435363738391a29"),
        ("knock", "01016d6573683530313233343536373839" + "0016"),
        ("echo-request", "05" + "00" * 16),
        ("echo-request", "03"),
        ("opening-ik", "6d64"),
        ("opening-ik", "6d58010100000000ff"),
        ("payload", "00" * 105),
        ("data", ""),
        ("data", "00ff"),
        ("data", "07"),
        ("bulk", "02000000"),
        ("bulk", "0200000000"),
        ("bulk", "0200010001"),
    ],
)
def test_bad_bytes_are_refused(name, data):
    with pytest.raises(WireError):
        decode(name, bytes.fromhex(data))


@pytest.mark.parametrize("name", ["Ben", "Großmutter", "x" * 64])
def test_payload_carries_the_name_that_a_node_gives_itself(name):
    payload = VALUES["payload"]._replace(name=name)
    assert HandshakePayload.decode(payload.encode() + b"later") == payload


@pytest.mark.parametrize("name", [b"x" * 65, b"\xff\xfe", b"a\nb", b" a", b"\x1b[2J"])
def test_name_that_is_none_is_left_out(name):
    data = VALUES["payload"].encode() + bytes([len(name)]) + name
    assert HandshakePayload.decode(data).name == ""
    assert HandshakePayload.decode(data[:-1]) == VALUES["payload"]


def test_name_that_is_too_long_is_not_told():
    payload = VALUES["payload"]
    assert payload._replace(name="x" * 65).encode() == payload.encode()


def test_payload_of_a_later_version_is_read_as_far_as_it_is_known():
    payload = VALUES["payload"]
    assert HandshakePayload.decode(payload.encode() + b"later") == payload
