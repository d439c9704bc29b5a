"""Messages of sync: round trips, and what is no message."""

import json

import construct
import pytest
from vectors import sync as sync_vectors
from vectors.sync import AUTHOR

from meshd.core.errors import WireError
from meshd.wire import sync_messages as wire

MESSAGES = list(sync_vectors.MESSAGES.values())


def test_bytes_are_those_of_the_vectors():
    assert json.loads(sync_vectors.PATH.read_text()) == sync_vectors.make()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_decode_inverts_encode(message):
    assert wire.decode(message.encode()) == message


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_truncated_message_is_refused_or_shorter(message):
    data = message.encode()
    for length in range(len(data)):
        try:
            assert wire.decode(data[:length]) != message
        except WireError:
            continue


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(wire.RECORD_BYTES_MAX + 1),
        wire.Have(3, ()).encode() + b"x",
        wire.Want(3, (wire.Range(AUTHOR, 0, 1),)).encode(),
        wire.Want(3, (wire.Range(AUTHOR, 1, 0),)).encode(),
        wire.Want(3, (wire.Range(AUTHOR, 2**63, 1),)).encode(),
        wire.Entries(3, AUTHOR, 0, (b"one",)).encode(),
        wire.Entries(3, AUTHOR, 2**63, (b"one",)).encode(),
        wire.Entries(3, AUTHOR, 1, (b"",)).encode(),
        wire.Entries(3, AUTHOR, 1, (b"one",)).encode() + b"x",
        wire.Entries(3, AUTHOR, 1, (bytes(wire.ENTRY_BYTES_MAX + 1),)).encode(),
        wire.Fork(3, AUTHOR, 1, b"", b"other").encode(),
        wire.Fork(3, AUTHOR, 1, b"one", b"").encode(),
        wire.Have(3, tuple(wire.Head(AUTHOR, 1, bytes(8)) for _ in range(681))).encode(),
    ],
)
def test_nonsense_is_refused(data):
    with pytest.raises(WireError):
        wire.decode(data)


def test_type_of_a_later_version_is_no_mistake():
    assert wire.decode(bytes([30]) + b"whatever") is None


def test_largest_entry_fits_a_record():
    from meshd.wire.entry import ENTRY_LEN_MAX

    assert ENTRY_LEN_MAX <= wire.ENTRY_BYTES_MAX
    record = wire.Entries(3, AUTHOR, 5, (bytes(range(1, 2)) * ENTRY_LEN_MAX,)).encode()
    assert wire.decode(record).entries[0] == b"\x01" * ENTRY_LEN_MAX


HEAD = construct.Struct(
    "author" / construct.Bytes(32), "seq" / construct.Int64ub, "hash8" / construct.Bytes(8)
)
RANGE = construct.Struct(
    "author" / construct.Bytes(32), "first" / construct.Int64ub, "length" / construct.Int16ub
)
DECLARED = {
    wire.Have: construct.Struct(
        construct.Const(b"\x02"),
        "space" / construct.Int16ub,
        "flags" / construct.Byte,
        "heads" / construct.PrefixedArray(construct.Int16ub, HEAD),
        construct.Terminated,
    ),
    wire.Want: construct.Struct(
        construct.Const(b"\x03"),
        "space" / construct.Int16ub,
        "ranges" / construct.PrefixedArray(construct.Int16ub, RANGE),
        construct.Terminated,
    ),
    wire.Entries: construct.Struct(
        construct.Const(b"\x04"),
        "space" / construct.Int16ub,
        "author" / construct.Bytes(32),
        "first" / construct.Int64ub,
        "flags" / construct.Byte,
        "entries"
        / construct.PrefixedArray(
            construct.Int16ub, construct.Prefixed(construct.Int16ub, construct.GreedyBytes)
        ),
        construct.Terminated,
    ),
}


@pytest.mark.parametrize(
    "message",
    [each for each in MESSAGES if type(each) in DECLARED],
    ids=lambda each: repr(each)[:20],
)
def test_declared_format_agrees(message):
    parsed = DECLARED[type(message)].parse(message.encode())
    for name, value in message._asdict().items():
        if name in ("heads", "ranges"):
            shown = [{key: item[key] for key in value[0]._fields} for item in parsed[name]]
            assert shown == [item._asdict() for item in value]
        elif name == "entries":
            assert tuple(parsed.entries) == value
        elif name in parsed:
            assert parsed[name] == value
        else:
            assert bool(parsed.flags & {"kept": 1, "more": 2, "last": 1}[name]) is value
