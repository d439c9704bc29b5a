"""Messages about files: golden bytes, and every length that is not right is refused."""

import json
from pathlib import Path

import pytest

from meshd.core.errors import WireError
from meshd.wire.file_messages import (
    ITEMS_MAX,
    PIECE_BYTES_MAX,
    Ask,
    Asked,
    Cancel,
    Held,
    Missing,
    Offer,
    Piece,
    decode,
    decode_piece,
)

SPACE, ROOT = bytes(range(32)), bytes(range(32, 64))
VECTORS = Path(__file__).parents[2] / "vectors" / "file_messages.json"
MESSAGES = {
    "ask": Ask(SPACE, ROOT, (Asked(1, 0xFFFFFFFF), Asked(2, 7))),
    "missing": Missing((1, 0xFFFFFFFF)),
    "cancel": Cancel((3,)),
    "offer": Offer(SPACE, ROOT, (0x80000001, 9)),
    "held": Held(SPACE, (ROOT, SPACE)),
}


def test_golden_bytes():
    known = json.loads(VECTORS.read_text())
    assert {name: message.encode().hex() for name, message in MESSAGES.items()} == {
        name: known[name]["bytes"] for name in MESSAGES
    }
    assert Piece(5, 65536).encode().hex() == known["piece"]["bytes"]


@pytest.mark.parametrize("name", MESSAGES)
def test_what_was_encoded_is_decoded(name):
    data = MESSAGES[name].encode()
    assert decode(data) == MESSAGES[name]
    for length in range(len(data)):
        with pytest.raises(WireError):
            decode(data[:length])
    with pytest.raises(WireError):
        decode(data + b"x")


def test_piece_is_decoded_with_its_length():
    head = Piece(5, 65536).encode()
    assert decode_piece(head, PIECE_BYTES_MAX) == Piece(5, 65536)
    for bad, length in ((head, 0), (head, PIECE_BYTES_MAX + 1), (head[1:], 1), (b"x" * 9, 1)):
        with pytest.raises(WireError):
            decode_piece(bad, length)


def test_empty_and_overlong_lists_are_refused():
    with pytest.raises(WireError):
        decode(Ask(SPACE, ROOT, ()).encode())
    with pytest.raises(WireError):
        decode(Missing(tuple(range(ITEMS_MAX + 1))).encode())
    with pytest.raises(WireError):
        decode(Held(SPACE, ()).encode())
    with pytest.raises(WireError):
        decode(b"\x2f")
    with pytest.raises(WireError):
        decode(b"")
