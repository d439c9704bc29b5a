"""Letters, introductions and their datagrams: what is read, what is refused."""

import pytest

from meshd.core.errors import UsageError, WireError
from meshd.wire.letters import (
    DATAGRAM_BODY_MAX,
    HOP_LIMIT,
    AnswerDatagram,
    DirectDatagram,
    Echo,
    Introduction,
    Read,
    Text,
    decode_datagram,
    parse,
)

NODE, OTHER = b"n" * 10, b"o" * 10
DIRECT = DirectDatagram(NODE, OTHER, 513, b"ab", b"body")
ANSWER = AnswerDatagram(NODE, 513, b"12345678")


@pytest.mark.parametrize("letter", [Echo(b"abcd"), Text(9, "ö"), Text(0xFFFFFFFF, "x"), Read(1)])
def test_letters_come_back(letter):
    assert parse(letter.encode()) == letter


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x01abc",
        b"\x01abcde",
        b"\x02abcd",
        b"\x03\0\0\0\1",
        b"\x03\0\0\0\1\xff",
        b"\x04\0\0\0",
        b"\x04\0\0\0\1\0",
        b"\x05\0\0\0\1x",
    ],
)
def test_what_is_no_letter_is_refused(data):
    with pytest.raises(WireError):
        parse(data)


def test_a_text_has_something_in_it():
    with pytest.raises(UsageError):
        Text(1, "").encode()


@pytest.mark.parametrize("datagram", [DIRECT, ANSWER, DIRECT._replace(hop_limit=0)])
def test_datagrams_come_back(datagram):
    assert decode_datagram(datagram.encode()) == datagram


@pytest.mark.parametrize("datagram", [DIRECT, ANSWER])
def test_cut_and_other_datagrams_are_refused(datagram):
    data = datagram.encode()
    fixed = len(data) - (4 if datagram is DIRECT else 0)
    for size in range(fixed if datagram is ANSWER else fixed + 1):
        with pytest.raises(WireError):
            decode_datagram(data[:size])
    for wrong in (bytes([data[0], HOP_LIMIT + 1]) + data[2:], b"\x07" + data[1:]):
        with pytest.raises(WireError):
            decode_datagram(wrong)
    with pytest.raises(WireError):
        decode_datagram(data + bytes(DATAGRAM_BODY_MAX))


def test_a_body_too_long_is_the_callers_mistake():
    with pytest.raises(UsageError):
        DIRECT._replace(body=bytes(DATAGRAM_BODY_MAX + 1)).encode()


def test_introductions_come_back_and_others_are_refused():
    said = Introduction(b"k" * 32, wanted=True)
    assert Introduction.decode(said.encode()) == said and len(said.encode()) == 33
    for wrong in (b"", said.encode()[:-1], said.encode() + b"\0", b"\x02" + bytes(32)):
        with pytest.raises(WireError):
            Introduction.decode(wrong)
