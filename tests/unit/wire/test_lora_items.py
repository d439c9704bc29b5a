"""Items of LoRa frames: golden bytes, a second declaration in construct, and what is refused."""

import pytest
from construct import (
    Bytes,
    GreedyRange,
    Int8ub,
    Rebuild,
    Struct,
    Switch,
    len_,
    this,
)
from hypothesis import given
from hypothesis import strategies as st

from meshd.core.errors import WireError
from meshd.wire.lora_items import (
    BODY_MAX,
    Heard,
    Listing,
    Object,
    Wants,
    tag_of,
)
from meshd.wire.lora_payload import ITEMS_MAX, encode, parse

GOLDEN = {
    "240309" + "416c6c2077656c6c2e": (Object(b"All well.", 1, 3),),
    "4002" + "0f3e" + "c49a" + "72d4": (Listing((b"\xc4\x9a", b"\x72\xd4"), 15, 62),),
    "6001" + "c49a": (Wants((b"\xc4\x9a",)),),
    "8002" + "01020304": (Heard((b"\x01\x02", b"\x03\x04")),),
    "200001" + "ff" + "6000": (Object(b"\xff", 0), Wants(())),
    "": (),
}

TAGS = Struct("count" / Rebuild(Int8ub, len_(this.tags)), "tags" / Bytes(2)[this.count])
LISTING = Struct(
    "count" / Rebuild(Int8ub, len_(this.tags)),
    "young" / Int8ub,
    "old" / Int8ub,
    "tags" / Bytes(2)[this.count],
)
OBJECT = Struct(
    "age" / Int8ub, "length" / Rebuild(Int8ub, len_(this.body)), "body" / Bytes(this.length)
)
ITEMS = GreedyRange(
    Struct(
        "head" / Int8ub,
        "rest" / Switch(this.head >> 5, {1: OBJECT, 2: LISTING, 3: TAGS, 4: TAGS}),
    )
)

bytes_of_frame = st.integers(0, 255)
tags = st.lists(st.binary(min_size=2, max_size=2), max_size=20).map(tuple)
items = st.lists(
    st.one_of(
        st.builds(
            Object, st.binary(min_size=1, max_size=BODY_MAX), st.integers(0, 4), bytes_of_frame
        ),
        st.builds(Listing, tags, bytes_of_frame, bytes_of_frame),
        st.builds(Wants, tags),
        st.builds(Heard, tags),
    ),
    max_size=ITEMS_MAX,
).map(tuple)


@pytest.mark.parametrize("data", GOLDEN)
def test_golden_bytes(data):
    assert parse(bytes.fromhex(data)) == GOLDEN[data]
    assert encode(GOLDEN[data]).hex() == data


def test_tag_of_an_object():
    assert tag_of(b"All well.").hex() == "b92c"


@given(items)
def test_items_come_back_as_they_went(some):
    data = encode(some)
    assert parse(data) == some
    for item in some:
        if isinstance(item, Object | Listing):
            assert item.size == len(item.encode())


@given(items)
def test_construct_reads_the_same(some):
    found = ITEMS.parse(encode(some))
    assert len(found) == len(some)
    for item, other in zip(some, found, strict=True):
        if isinstance(item, Object):
            assert other.head == 1 << 5 | item.priority << 2
            assert (other.rest.age, other.rest.body) == (item.age, item.body)
        elif isinstance(item, Listing):
            assert (other.rest.young, other.rest.old) == (item.young, item.old)
            assert tuple(other.rest.tags) == item.tags
        else:
            kind, words = (3, item.tags) if isinstance(item, Wants) else (4, item.shorts)
            assert (other.head >> 5, tuple(other.rest.tags)) == (kind, words)


@given(st.binary(max_size=240))
def test_any_bytes_are_items_or_refused(data):
    try:
        some = parse(data)
    except WireError:
        return
    assert encode(some) == data


@given(items, st.data())
def test_a_cut_payload_is_never_something_else(some, data):
    whole = encode(some)
    short = whole[: data.draw(st.integers(0, len(whole)))]
    try:
        found = parse(short)
    except WireError:
        return
    assert found == some[: len(found)]


@pytest.mark.parametrize(
    "data",
    [
        "000001ff",  # type 0
        "a00000",  # type 5
        "4100",  # a bit that must be zero
        "21000141",  # the same in an object
        "34000141",  # priority 5
        "200000",  # no body
        "2000",  # no length
        "2000f1" + "00" * 241,  # longer than a body may be
        "200005" + "00" * 4,  # body cut off
        "40",  # no count
        "400000",  # no ages
        "6002" + "0000" + "00",  # half a tag
        "6000" * (ITEMS_MAX + 1),  # too many items
    ],
)
def test_wrong_items_are_refused(data):
    with pytest.raises(WireError):
        parse(bytes.fromhex(data))
