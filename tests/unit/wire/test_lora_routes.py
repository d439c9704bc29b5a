"""Routes, direct messages, answers, receipts: golden bytes, sizes, what is refused."""

import pytest

from meshd.core.errors import UsageError, WireError
from meshd.wire import lora_routes
from meshd.wire.lora_frame import FrameKind, overhead
from meshd.wire.lora_routes import (
    BODY_MAX,
    ENTRIES_MAX,
    Answer,
    Direct,
    Receipt,
    RouteEntry,
    Routes,
    Want,
)

ENTRY = RouteEntry(b"\xab\xcd", 5, 30, heard=True)
GOLDEN = {
    "a0070101abcd851e123409": Routes(7, (ENTRY,), (Want(b"\x12\x34", 9),)),
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
        *("00", "20", "a1000000", "a0800000", "a0003d00", "a0000011", "a0000001123480"),
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
    with pytest.raises(UsageError):
        Routes(0, (ENTRY,) * (ENTRIES_MAX + 1)).encode()
    for body in (b"", bytes(BODY_MAX + 1)):
        with pytest.raises(UsageError):
            Direct(b"\xaa\xbb", 1, 0, 1, body).encode()
