"""A run of coded symbols of a set: what the difference to another set is found from.

Enters: the body of a SYMBOLS item. Leaves: a `SymbolBatch`, or WireError. Each batch tells how many
members the set has and the XOR of all their checks: both serve whoever missed the others.

    subject:1 about:4 salt:4 size:varint check:4 first:varint  then symbols to the end, each
    sum:8 check:4 count:varint

`count` is told as its distance from what is likely at that place (0, -1, 1, -2 … as 0, 1, 2, 3 …).
Big-endian. Ref: docs/wire-format.md#lora-symbols.
"""

from struct import Struct
from typing import NamedTuple

from meshd.core.errors import WireError
from meshd.wire import varint

FEEDS = 1
"""Subject: the feeds of a space and how far they go."""
ABOUT_LEN = 4
SALT_LEN = 4
SET_MAX = 65_536
"""Members of a set."""
SYMBOLS_MAX = 1_024
"""Symbols of one set: enough for about 700 differences."""

HEAD_MAX = 20
SYMBOL_MAX = 14
"""Bytes of a head, and of a symbol where no count is far from what is likely."""

_HEAD = Struct(f">B{ABOUT_LEN}s{SALT_LEN}s")
_CHECK = Struct(">I")
_SYMBOL = Struct(">QI")


class Symbol(NamedTuple):
    """The members of a set that fall on one place: XOR of ids and of checks, and how many."""

    sum: int
    check: int
    members: int


class SymbolBatch(NamedTuple):
    """SYMBOLS: the symbols of a set from number `first` on; without any: those are wanted.

    `subject` and `about` say which set, `salt` how its members were hashed.
    """

    subject: int
    about: bytes
    salt: bytes
    size: int
    check: int
    first: int
    symbols: tuple[Symbol, ...]

    def encode(self) -> bytes:
        """Return the body."""
        head = _HEAD.pack(self.subject, self.about, self.salt) + varint.encode(self.size)
        parts = [head, _CHECK.pack(self.check), varint.encode(self.first)]
        for place, symbol in enumerate(self.symbols, self.first):
            off = symbol.members - likely(self.size, place)
            parts.append(_SYMBOL.pack(symbol.sum, symbol.check))
            parts.append(varint.encode(2 * off if off >= 0 else -2 * off - 1))
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> "SymbolBatch":
        """Decode a body. Raises: WireError."""
        if len(data) < _HEAD.size:
            raise WireError("symbols without a head")
        subject, about, salt = _HEAD.unpack_from(data)
        size, at = varint.decode(data, _HEAD.size)
        if size > SET_MAX or at + _CHECK.size > len(data):
            raise WireError("symbols of a set so large")
        (check,) = _CHECK.unpack_from(data, at)
        first, at = varint.decode(data, at + _CHECK.size)
        symbols: list[Symbol] = []
        while at < len(data):
            place = first + len(symbols)
            if place >= SYMBOLS_MAX or at + _SYMBOL.size > len(data):
                raise WireError("symbol cut off, or too many")
            total, mark = _SYMBOL.unpack_from(data, at)
            off, at = varint.decode(data, at + _SYMBOL.size)
            count = likely(size, place) + (off >> 1 if not off & 1 else -(off + 1 >> 1))
            if not 0 <= count <= size:
                raise WireError("symbol of more members than there are")
            symbols.append(Symbol(total, mark, count))
        if not symbols and (size or check):
            raise WireError("no symbols")
        return cls(subject, about, salt, size, check, first, tuple(symbols))


def likely(size: int, place: int) -> int:
    """Return how many of `size` members fall on a place, as a whole number."""
    return 2 * size // (place + 2)
