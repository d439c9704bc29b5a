"""Entries and what neighbours say of them over LoRa: vectors, round trips, what is none of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vectors import air as air_vectors

from meshd.core.errors import WireError
from meshd.wire import air_entry, air_messages
from meshd.wire.air_entry import Part, Thin
from meshd.wire.air_messages import AirHead, AirRange, Digest, Digests, Heads, Needs
from meshd.wire.entry import Kind
from meshd.wire.lora_pieces import REF_LEN

DECODERS = {
    "thin": air_entry.decode_thin,
    "part": air_entry.decode_part,
    "digests": air_messages.decode_digests,
    "heads": air_messages.decode_heads,
    "needs": air_messages.decode_needs,
    "held": air_messages.decode_held,
}
seqs = st.integers(1, 2**32 - 1)
fours, feeds, salts = st.binary(min_size=4, max_size=4), st.binary(min_size=3, max_size=3), b"sa"
thins = st.builds(
    Thin,
    kind=st.sampled_from([1, 2, 5, 32, 33, 34, 35, 40, 255]),
    flags=st.integers(0, 15),
    author=fours | st.binary(min_size=32, max_size=32),
    seq=seqs,
    time_s=st.integers(0, 2**32 - 1),
    membership=st.binary(min_size=2, max_size=2) | st.binary(min_size=8, max_size=8),
    prev=fours,
    seed=st.binary(min_size=8, max_size=8),
    clear=st.binary(max_size=300),
    sealed=st.binary(min_size=16, max_size=300),
    signature=st.binary(min_size=64, max_size=64),
    is_stub=st.just(False),
)
eights = st.binary(min_size=8, max_size=8)
calls = st.builds(Thin._replace, thins, kind=st.just(Kind.DISTRESS), membership=eights, prev=eights)


def test_bytes_are_those_of_the_vectors():
    assert json.loads(air_vectors.PATH.read_text()) == air_vectors.make()


@given(thins | calls)
def test_thin_entry_comes_back_as_it_was(thin):
    assert air_entry.decode_thin(thin.encode()) == thin


@given(calls)
def test_a_call_for_help_needs_nothing_before_it_or_is_none(thin):
    assert not air_entry.decode_thin(thin.encode()).is_stub
    with pytest.raises(WireError):
        air_entry.decode_thin(thin._replace(membership=b"ha").encode())


@given(fours, seqs, st.binary(min_size=1, max_size=2048), st.integers(150, 230))
def test_parts_together_are_the_entry(author, seq, data, room):
    parts = air_entry.split(author, seq, data, room)
    assert all(len(part.encode()) <= room for part in parts)
    assert b"".join(part.data for part in parts) == data
    if len(parts) > 1:
        assert all(air_entry.decode_part(part.encode()) == part for part in parts)


def test_ref_of_a_long_entry_is_its_author_and_number():
    ref = air_entry.blob_ref(bytes.fromhex("31A47B17"), 5)
    assert ref == bytes.fromhex("31A47B1700000005")
    assert len(ref) == REF_LEN


@given(fours, seqs)
def test_refs_of_long_entries_read_back(author, seq):
    assert air_entry.ref_parts(air_entry.blob_ref(author, seq)) == (author, seq)


def test_too_many_parts_are_none():
    assert air_entry.split(b"idid", 1, bytes(2000), 60) == ()
    assert air_entry.split(b"idid", 1, bytes(air_entry.THIN_MAX + 1), 200) == ()
    assert air_entry.split(b"idid", 1, b"x", 6) == ()


@given(
    st.builds(
        Digests, st.just(salts), st.lists(st.builds(Digest, fours, fours), min_size=1, max_size=28)
    )
    | st.builds(
        Heads, st.just(salts), fours, st.lists(st.builds(AirHead, feeds, seqs)), st.booleans()
    )
    | st.builds(
        Needs,
        st.just(salts),
        fours,
        st.lists(st.builds(AirRange, feeds, seqs, st.integers(1, 255)), min_size=1, max_size=32),
    )
)
def test_words_come_back_as_they_were(word):
    word = word._replace(
        **{
            field: tuple(getattr(word, field))
            for field in word._fields[-1:]
            if isinstance(getattr(word, field), list)
        }
    )
    if isinstance(word, Heads):
        word = word._replace(heads=tuple(word.heads)[:48])
    decode = DECODERS[type(word).__name__.lower()]
    assert decode(word.encode()) == word


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.binary(max_size=260))
def test_any_bytes_are_a_value_or_a_wire_error(name, data):
    try:
        value = DECODERS[name](data)
    except WireError:
        return
    assert value.encode() == data


@pytest.mark.parametrize(
    "name", [name for name in air_vectors.make() if name.split(",")[0] in DECODERS]
)
def test_truncated_value_is_refused_or_another(name):
    data = bytes.fromhex(air_vectors.make()[name]["bytes"])
    decode = DECODERS[name.split(",")[0]]
    for length in range(len(data)):
        try:
            assert decode(data[:length]) != decode(data)
        except WireError:
            continue


@pytest.mark.parametrize(
    "data",
    [
        b"\x0b" + bytes(200),
        b"\x06idid\x80\x00" + bytes(200),
        b"\x06idid\x00" + bytes(200),
        b"\x46\x00idid\x01" + bytes(200),
        b"\x46\x10idid\x01" + bytes(200),
        b"\x00\x20idid\x01" + bytes(200),
        b"\x26idid\x01" + bytes(18) + b"\x00" + bytes(200),
        b"\x06idid\x01" + bytes(18 + 15 + 64),
        b"\x06idid\x01" + bytes(air_entry.THIN_MAX),
        b"\x06idid\xff\xff\xff\xff\x7f" + bytes(200),
    ],
)
def test_no_second_form_of_a_thin_entry(data):
    with pytest.raises(WireError):
        air_entry.decode_thin(data)


@pytest.mark.parametrize(
    "data", [b"idid\x01\x00x", b"idid\x01\x32x", b"idid\x01\x12", b"idid\x00\x12x"]
)
def test_part_of_nothing_is_refused(data):
    with pytest.raises(WireError):
        air_entry.decode_part(data)


def test_fifty_bytes_fit_in_a_frame_with_their_signature():
    """16 bytes of frame, 3 of object, 1 of kind; a message has its receiver's 10 in the text."""
    for text, limit in ((50, 175), (60, 185)):
        thin = Thin(33, 0, bytes(4), 16383, 0, bytes(2), bytes(4), bytes(8), b"", b"", bytes(64))
        size = 16 + 3 + 1 + len(thin._replace(sealed=bytes(text + 16)).encode())
        assert size <= limit


def test_part_value():
    assert Part(b"idid", 1, 0, 2, b"x").encode() == b"idid\x01\x01x"
