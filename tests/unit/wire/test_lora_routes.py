"""Routes, direct messages, answers, receipts: golden bytes, sizes, what is refused."""

import pytest

from meshd.core.errors import UsageError, WireError
from meshd.wire import lora_routes
from meshd.wire.lora_frame import FrameKind, overhead
from meshd.wire.lora_routes import (
    BODY_MAX,
    ENTRIES_MAX,
    GROUP,
    Answer,
    Ask,
    Direct,
    NamedEntry,
    Receipt,
    RouteEntry,
    Routes,
    Want,
)

ENTRY = RouteEntry(b"\xab\xcd", 5, 30, heard=True)
GOLDEN = {
    "a001070304010011abcd851ec0de1234000985 13abcd".replace(" ", ""): Routes(
        263,
        3,
        4,
        (ENTRY,),
        (b"\xc0\xde",),
        wants=(Want(b"\x12\x34", 9),),
        asks=(Ask(b"\x85\x13", b"\xab\xcd"),),
    ),
    "a00007000400010041424344454647484950 0102 80 ff".replace(" ", ""): Routes(
        7, named=(NamedEntry(b"ABCDEFGHIP", 258, 255, heard=True),)
    ),
    "c301aabb010203686579": Direct(b"\xaa\xbb", 258, 1, 3, b"hey"),
    "e201023131313131313131": Answer(258, 2, b"11111111"),
    "f0aabb0102": Receipt(b"\xaa\xbb", 258),
    "f1aabb0102": Receipt(b"\xaa\xbb", 258, answer=True),
}


@pytest.mark.parametrize(("data", "item"), GOLDEN.items())
def test_items_have_these_bytes(data, item):
    assert item.encode().hex() == data
    assert lora_routes.parse(bytes.fromhex(data)) == (item, len(data) // 2)


@pytest.mark.parametrize("data", GOLDEN)
def test_an_item_may_follow_another_and_may_not_be_cut(data):
    whole = bytes.fromhex(data)
    assert lora_routes.parse(b"??" + whole + b"!", 2)[1] == len(whole) + 2
    for end in range(len(whole)):
        with pytest.raises(WireError):
            lora_routes.parse(whole[:end])


@pytest.mark.parametrize(
    "data",
    [
        *("00", "20", "a100000004000000", "a000000004390000", "a000000004001200"),
        *("a000000000000000", "a0000000040000", "a000000004010000abcd0101"),
        "a000000004000100" + "41" * 10 + "00010101",
        *("f2aabb0102", "d001aabb01020168", "c308aabb01020168", "c301aabb010200"),
        "c301aabb0102c9" + "00" * 201,
    ],
)
def test_items_that_are_none_are_refused(data):
    with pytest.raises(WireError):
        lora_routes.parse(bytes.fromhex(data))


def test_a_message_of_50_bytes_and_its_answer_are_short():
    routed = overhead(FrameKind.ROUTED)
    message = Direct(b"\xaa\xbb", 1, 0, 1, bytes(50) + bytes(8))
    assert routed + len(message.encode()) == 83
    assert routed + len(Answer(1, 1, bytes(8)).encode()) == 29


def test_more_than_fits_is_refused():
    most = (bytes(2),) * (ENTRIES_MAX // GROUP + 1)
    with pytest.raises(UsageError):
        Routes(0, entries=(ENTRY,) * (ENTRIES_MAX + 1), checks=most).encode()
    with pytest.raises(UsageError):
        Routes(0, entries=(ENTRY,)).encode()
    for body in (b"", bytes(BODY_MAX + 1)):
        with pytest.raises(UsageError):
            Direct(b"\xaa\xbb", 1, 0, 1, body).encode()
