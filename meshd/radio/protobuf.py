"""The little of protocol buffers that the Meshtastic dialect needs: fields of one message.

Enters: bytes of a message, or numbers and bytes to write. Leaves: fields by number, or bytes.
Messages inside messages are length-delimited fields, read by asking again. Reading is bounded by
the frame that the bytes came in (512 bytes) and by `FIELDS_MAX`.
Ref: the encoding guide of protocol buffers; wire types 0, 1, 2 and 5.
"""

from collections.abc import Collection, Iterator
from struct import Struct
from typing import NamedTuple

from meshd.wire.varint import encode

FIELDS_MAX = 256
VARINT_BYTES_MAX = 10
VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5

_FIXED32 = Struct("<I")
_FLOAT = Struct("<f")


class MalformedError(ValueError):
    """These bytes are no message."""


class Field(NamedTuple):
    """A field: `number` for varints and fixed ones, `data` for what has a length."""

    number: int
    data: bytes

    def signed(self) -> int:
        """Return a varint as the signed number that an int32 or int64 field means."""
        return self.number - (1 << 64) if self.number >> 63 else self.number

    def real(self) -> float:
        """Return a fixed 32-bit field as a float."""
        value: float = _FLOAT.unpack(_FIXED32.pack(self.number & 0xFFFFFFFF))[0]
        return value


ABSENT = Field(0, b"")
"""What a field that is not there means: zero, false, nothing."""


class Message:
    """The fields of a message; of repeated ones the last."""

    def __init__(self, fields: dict[int, Field]) -> None:
        self._fields = fields

    @classmethod
    def decode(cls, data: bytes) -> "Message":
        """Read a message. Raises: MalformedError."""
        return cls({number: value for number, value, _ in _fields(data)})

    def __contains__(self, number: int) -> bool:
        return number in self._fields

    def __getitem__(self, number: int) -> Field:
        return self._fields.get(number, ABSENT)

    def message(self, number: int) -> "Message":
        """Read the message that a field holds. Raises: MalformedError."""
        return Message.decode(self[number].data)


def without(data: bytes, numbers: Collection[int]) -> bytes:
    """Return a message less some fields; all others as they were. Raises: MalformedError."""
    return b"".join(piece for number, _, piece in _fields(data) if number not in numbers)


def varint(number: int, value: int) -> bytes:
    """Write a varint field; zero is written too."""
    return encode(number << 3 | VARINT) + encode(value)


def delimited(number: int, data: bytes) -> bytes:
    """Write a field of bytes, text or a message."""
    return encode(number << 3 | DELIMITED) + encode(len(data)) + data


def fixed32(number: int, value: int) -> bytes:
    """Write a fixed field of 32 bits."""
    return encode(number << 3 | FIXED32) + _FIXED32.pack(value)


def float32(number: int, value: float) -> bytes:
    """Write a float of 32 bits."""
    return encode(number << 3 | FIXED32) + _FLOAT.pack(value)


def _fields(data: bytes) -> Iterator[tuple[int, Field, bytes]]:
    """Read field by field: number, value, and the bytes that both stand in."""
    place = count = 0
    while place < len(data):
        begin = place
        count += 1
        if count > FIELDS_MAX:
            raise MalformedError("too many fields")
        key, place = _read_varint(data, place)
        kind = key & 7
        if kind == VARINT:
            number, place = _read_varint(data, place)
            value = Field(number, b"")
        elif kind == DELIMITED:
            length, place = _read_varint(data, place)
            value, place = Field(0, data[place : place + length]), place + length
        elif kind in (FIXED32, FIXED64):
            length = 4 if kind == FIXED32 else 8
            piece = data[place : place + length]
            value, place = Field(int.from_bytes(piece, "little"), b""), place + length
        else:
            raise MalformedError(f"wire type {kind}")
        if place > len(data):
            raise MalformedError("cut off")
        yield key >> 3, value, data[begin:place]


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[place : place + VARINT_BYTES_MAX]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, place + index + 1
    raise MalformedError("a number without an end")
