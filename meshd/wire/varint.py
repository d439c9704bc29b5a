"""Whole numbers in as few bytes as they need: seven bits a byte, the lowest first.

Enters: numbers from 0, or bytes. Leaves: the other. One number has one form: a last byte of zero
behind another is refused. Ref: docs/wire-format.md#lora-symbols.
"""

from meshd.core.errors import WireError

VARINT_MAX = 2**35 - 1
"""What five bytes hold; no longer ones are read."""


def encode(value: int) -> bytes:
    """Return a number from 0 to `VARINT_MAX`."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at `at`, and where it ends. Raises: WireError."""
    value = 0
    for shift in range(0, 35, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if not byte and shift:
                break
            return value, at
    raise WireError("number of several bytes")
