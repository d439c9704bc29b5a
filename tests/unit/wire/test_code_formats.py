"""Coded symbols and repair pieces as docs/wire-format.md says, made here with nothing of meshd."""

import json
from hashlib import blake2b
from math import isqrt

from vectors import codes as codes_vectors

GOLDEN = json.loads(codes_vectors.PATH.read_text())
SYMBOLS, PIECES = GOLDEN["symbols"], GOLDEN["pieces"]


def hashed(message, size, key, person):
    return blake2b(message, key=key, digest_size=size, person=person).digest()


def places(seed, count):
    """Return the places below `count` of a member whose walk begins with `seed`."""
    state, place, found = seed, 0, []
    while place < count:
        found.append(place)
        state = (state * 0x5851F42D4C957F2D + 0x14057B7EF767814F) % 2**64
        root = isqrt((state // 2**32 + 1) * 2**32)
        over, under = (2 * place + 3) * (2**32 - root), 2 * root
        place += max(1, (over + under - 1) // under)
    return found


def times(one, two):
    product = 0
    while two:
        product ^= one if two & 1 else 0
        one = one << 1 ^ (0x11D if one & 0x80 else 0)
        two >>= 1
    return product


def inverse(value):
    return next(other for other in range(256) if times(value, other) == 1)


def test_vectors_are_what_the_code_makes():
    assert codes_vectors.make() == GOLDEN


def test_symbols_are_made_as_the_page_says():
    key = blake2b(bytes.fromhex(SYMBOLS["key"]), digest_size=32).digest()
    assert key.hex() == SYMBOLS["set_key"]
    cells, whole = [[0, 0, 0] for _ in range(8)], 0
    for name in map(bytes.fromhex, SYMBOLS["names"]):
        member = hashed(name, 8, key, b"meshd riblt id")
        mark = hashed(member, 12, key, b"meshd riblt mark")
        check = int.from_bytes(mark[8:], "big")
        whole ^= check
        for place in places(int.from_bytes(mark[:8], "big"), 8):
            cell = cells[place]
            cell[0] ^= int.from_bytes(member, "big")
            cell[1] ^= check
            cell[2] += 1
    data = bytes.fromhex("01 00010203") + b"salt" + bytes([20]) + whole.to_bytes(4, "big") + b"\0"
    for place, (total, check, count) in enumerate(cells):
        off = count - 40 // (place + 2)
        code = 2 * off if off >= 0 else -2 * off - 1
        data += total.to_bytes(8, "big") + check.to_bytes(4, "big") + bytes([code])
    assert data.hex() == SYMBOLS["batch"]


def test_repair_pieces_are_made_as_the_page_says():
    pieces = [bytes.fromhex(piece) for piece in PIECES["pieces"]]
    assert b"".join(pieces).rstrip(b"\0") == bytes.fromhex(PIECES["blob"])
    for number, repair in PIECES["repairs"].items():
        made = bytearray(8)
        for place, piece in enumerate(pieces):
            factor = inverse(int(number) ^ place)
            for at, byte in enumerate(piece):
                made[at] ^= times(factor, byte)
        assert made.hex() == repair
    for number, (piece, mark) in enumerate(zip(pieces, PIECES["marks"], strict=True)):
        assert hashed(bytes([number]) + piece, 8, b"", b"meshd piece").hex() == mark
