"""Pieces of a blob, more than it needs: any `k` of them give it back.

Enters: a blob cut into `k` pieces of one size, or pieces with their numbers. Leaves: pieces 0 to
k - 1, which are the blob itself, and from k on repair pieces, each a help to whoever lacks any.
`Cauchy` is Reed-Solomon over GF(256) with a Cauchy matrix: exactly `k` pieces do, there are
`PIECES_MAX` at most. Whole pieces are handled as one: a product is `bytes.translate` with a table,
a sum the XOR of two whole numbers, so plain Python is quick enough for a small board. A piece
altered on the way would spoil all that is made of it, so each is held to its mark first.

Must not know: radios, files, who asks. Ref: docs/wire-format.md#lora-pieces.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from meshd.core.crypto import digest
from meshd.core.errors import UsageError
from meshd.wire.lora_pieces import MARK_LEN

_MARK_PERSON = b"meshd piece"

PIECES_MAX = 255
"""Pieces of a blob, repair pieces among them: their numbers are one byte."""
_POLYNOMIAL = 0x11D


class Cauchy:
    """The code of this project: needs nothing, and no piece more than there were."""

    def repair(self, pieces: Sequence[bytes], number: int) -> bytes:
        """Return piece `number`, from `len(pieces)` on. Raises: UsageError."""
        count, size = len(pieces), len(pieces[0])
        if not count <= number < PIECES_MAX:
            raise UsageError(f"a blob has {PIECES_MAX} pieces at most")
        total = 0
        for place, piece in enumerate(pieces):
            product = piece.translate(_times(_INVERSE[number ^ place]))
            total ^= int.from_bytes(product, "little")
        return total.to_bytes(size, "little")

    def restore(self, count: int, pieces: Mapping[int, bytes]) -> tuple[bytes, ...] | None:
        """Return pieces 0 to `count` - 1 from any, or None when these are too few."""
        lacking = [place for place in range(count) if place not in pieces]
        repairs = sorted(number for number in pieces if number >= count)[: len(lacking)]
        if len(repairs) < len(lacking):
            return None
        rows = [
            bytes(_INVERSE[number ^ place] for place in lacking)
            + _rest(pieces, number, [place for place in range(count) if place in pieces])
            for number in repairs
        ]
        solved = dict(zip(lacking, _solve(rows), strict=True))
        return tuple(solved[place] if place in solved else pieces[place] for place in range(count))


def cut(blob: bytes, size: int) -> Iterator[bytes]:
    """Yield the pieces of a blob, the last filled up with zeros."""
    for start in range(0, len(blob), size):
        yield blob[start : start + size].ljust(size, b"\0")


def mark_of(number: int, piece: bytes) -> bytes:
    """Return what a piece must hash to, at its number."""
    return digest(bytes([number]) + piece, size=MARK_LEN, person=_MARK_PERSON)


def wrong(marks: Sequence[bytes], pieces: Mapping[int, bytes]) -> tuple[int, ...]:
    """Return the numbers of pieces that are not what their marks say."""
    return tuple(
        number
        for number, piece in sorted(pieces.items())
        if number >= len(marks) or mark_of(number, piece) != marks[number]
    )


# --- GF(256) --------------------------------------------------------------------------------------


def _powers() -> tuple[list[int], list[int]]:
    """Return the powers of 2, twice over, and what power each number is."""
    powers, logs = [0] * 512, [0] * 256
    value = 1
    for exponent in range(255):
        powers[exponent] = powers[exponent + 255] = value
        logs[value] = exponent
        value <<= 1
        if value > 255:
            value ^= _POLYNOMIAL
    return powers, logs


_POWER, _LOG = _powers()
_INVERSE = bytes([0, *(_POWER[255 - _LOG[value]] for value in range(1, 256))])


@lru_cache(maxsize=256)
def _times(factor: int) -> bytes:
    """Return the products of a factor other than 0 with 0 to 255."""
    log = _LOG[factor]
    return bytes([0, *(_POWER[log + _LOG[value]] for value in range(1, 256))])


def _rest(pieces: Mapping[int, bytes], number: int, held: Sequence[int]) -> bytes:
    """Return what a repair piece says of the pieces that are lacking: those held are taken out."""
    piece = pieces[number]
    total = int.from_bytes(piece, "little")
    for place in held:
        product = pieces[place].translate(_times(_INVERSE[number ^ place]))
        total ^= int.from_bytes(product, "little")
    return total.to_bytes(len(piece), "little")


def _solve(rows: list[bytes]) -> Iterator[bytes]:
    """Yield the unknowns of rows of coefficients with what they come to behind them.

    Any square part of a Cauchy matrix can be solved, and no step meets a zero where it divides.
    """
    count = len(rows)
    for place in range(count):
        pivot = rows[place].translate(_times(_INVERSE[rows[place][place]]))
        rows[place] = pivot
        for other in range(count):
            factor = rows[other][place]
            if other != place and factor:
                product = int.from_bytes(pivot.translate(_times(factor)), "little")
                total = int.from_bytes(rows[other], "little") ^ product
                rows[other] = total.to_bytes(len(pivot), "little")
    for row in rows:
        yield row[count:]
