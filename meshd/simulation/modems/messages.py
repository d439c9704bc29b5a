"""Protocol buffers for the emulated Meshtastic radio: written apart from those of the dialect.

Enters: bytes, or values to write. Leaves: fields by number (integers or bytes; of repeated ones the
last), or None for what is no message. Zeros, empty texts and false are written as nothing at all,
as the library of the firmware does.
"""

from struct import pack, unpack

LENGTHS = {1: 8, 5: 4}


def fields(data: bytes) -> dict[int, int | bytes] | None:
    """Read a message; None when it is none."""
    found: dict[int, int | bytes] = {}
    rest = memoryview(data)
    while rest:
        key = _take_number(rest)
        if key is None:
            return None
        rest = rest[key[1] :]
        tag, kind = key[0] >> 3, key[0] & 7
        if kind in LENGTHS:
            if len(rest) < LENGTHS[kind]:
                return None
            found[tag] = int.from_bytes(rest[: LENGTHS[kind]], "little")
            rest = rest[LENGTHS[kind] :]
            continue
        value = _take_number(rest)
        if value is None or kind not in (0, 2):
            return None
        rest = rest[value[1] :]
        if kind == 0:
            found[tag] = value[0]
            continue
        if len(rest) < value[0]:
            return None
        found[tag] = bytes(rest[: value[0]])
        rest = rest[value[0] :]
    return found


def number(tag: int, value: int) -> bytes:
    """Write a number; negative ones take ten bytes."""
    return _number(tag << 3) + _number(value & (1 << 64) - 1) if value else b""


def flag(tag: int, value: bool) -> bytes:
    """Write a truth."""
    return number(tag, int(value))


def fixed(tag: int, value: int) -> bytes:
    """Write a number of four bytes."""
    return _number(tag << 3 | 5) + pack("<I", value)


def real(tag: int, value: float) -> bytes:
    """Write a float of four bytes."""
    return _number(tag << 3 | 5) + pack("<f", value)


def real_of(value: int) -> float:
    """Return the float that a field of four bytes holds."""
    found: float = unpack("<f", pack("<I", value & 0xFFFFFFFF))[0]
    return found


def text(tag: int, value: str | bytes) -> bytes:
    """Write a text, bytes or a message."""
    data = value.encode() if isinstance(value, str) else value
    return _number(tag << 3 | 2) + _number(len(data)) + data


def _number(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    return bytes((value & 0x7F | 0x80,)) + _number(value >> 7)


def _take_number(data: memoryview) -> tuple[int, int] | None:
    """Return a number and how many bytes it took."""
    value = 0
    for length in range(1, min(len(data), 10) + 1):
        byte = data[length - 1]
        value += (byte & 0x7F) << 7 * (length - 1)
        if byte < 0x80:
            return value & (1 << 64) - 1, length
    return None
