"""Payloads of LoRa frames: items of all kinds in one, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.core.errors import UsageError, WireError
from meshd.wire.lora_items import Heard, Object
from meshd.wire.lora_payload import ITEMS_MAX, LOCAL_MAX, Local, Sub, encode, parse
from meshd.wire.lora_routes import Answer, RouteEntry, Routes

ALL = (
    Local(Sub.PACKET, b"\x01\x02"),
    Object(b"All well.", 1, 3),
    Heard((b"\x01\x02",)),
    Routes(5, entries=(RouteEntry(b"\x01\x02", 3, 15, heard=True),), checks=(b"ok",)),
    Answer(7, 2, b"8 bytes!"),
)


def test_items_of_all_kinds_share_a_payload():
    assert encode(ALL).hex()[:8] == "0a020102"
    assert parse(encode(ALL)) == ALL


def test_an_unknown_sub_is_kept_for_others_to_skip():
    assert parse(bytes((31, 1, 7))) == (Local(31, b"\x07"),)


@pytest.mark.parametrize("data", [b"\x00", b"\x00\x01", b"\x0a\x02\x01", b"\xa0", b"\x80\x01\x01"])
def test_what_is_cut_off_is_refused(data):
    with pytest.raises(WireError):
        parse(data)


def test_bounds():
    assert len(parse(bytes(2 * ITEMS_MAX))) == ITEMS_MAX
    with pytest.raises(WireError):
        parse(bytes(2 * ITEMS_MAX + 2))
    with pytest.raises(UsageError):
        Local(1, bytes(LOCAL_MAX + 1)).encode()


@given(st.binary(max_size=255))
def test_any_bytes_parse_or_are_refused(data):
    try:
        items = parse(data)
    except WireError:
        return
    assert encode(items) == data
