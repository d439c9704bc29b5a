"""RaptorQ (RFC 6330) by the package `raptorq`, beside which the project's own code is measured."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from meshd.core.errors import UsageError
from meshd.sync.files.air.erasure import cut


class Code(Protocol):
    """A way to make repair pieces of `count` pieces of `size` bytes, and to do without some."""

    def repair(self, pieces: Sequence[bytes], number: int) -> bytes:
        """Return piece `number`, from `len(pieces)` on. Raises: UsageError."""

    def restore(self, count: int, pieces: Mapping[int, bytes]) -> tuple[bytes, ...] | None:
        """Return pieces 0 to `count` - 1 from any, or None when these are too few."""


class RaptorQ:
    """RFC 6330 by the package `raptorq`: now and then it wants a piece or two more than `count`.

    Pieces are multiples of eight bytes long.
    """

    def __init__(self) -> None:
        self._package = import_module("raptorq")

    def repair(self, pieces: Sequence[bytes], number: int) -> bytes:
        """Return piece `number`, from `len(pieces)` on. Raises: UsageError."""
        count, size = len(pieces), len(pieces[0])
        if number < count or size % 8:
            raise UsageError("repair pieces follow the others, all multiples of 8 bytes long")
        encoder = self._package.Encoder.with_defaults(b"".join(pieces), size)
        packets = encoder.get_encoded_packets(number - count + 1)
        return bytes(packets[number][4:])

    def restore(self, count: int, pieces: Mapping[int, bytes]) -> tuple[bytes, ...] | None:
        """Return pieces 0 to `count` - 1 from any, or None when these are too few."""
        size = len(next(iter(pieces.values()), b""))
        if len(pieces) < count:
            return None
        decoder = self._package.Decoder.with_defaults(count * size, size)
        for number, piece in sorted(pieces.items()):
            whole = decoder.decode(number.to_bytes(4, "big") + piece)
            if whole is not None:
                return tuple(cut(bytes(whole), size))
        return None


def has_raptorq() -> bool:
    """Tell whether the package `raptorq` is there."""
    return find_spec("raptorq") is not None
