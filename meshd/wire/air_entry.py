"""An entry as it goes over LoRa: all of it but what whoever holds the space knows already.

Enters: bytes of an object or of a LOCAL item. Leaves: `Thin` or `Part`, or WireError. Holds no key:
what is left out (space, epoch, the author's key, most of two hashes) is filled in by
`sync/air/thin.py`, and only the signature tells whether it was filled in rightly. One entry has
one form for each choice of `membership` and `author`, so that copies are known as such.
Ref: docs/wire-format.md#entries-over-lora.
"""

from struct import Struct
from typing import NamedTuple

from meshd.core.crypto import KEY_LEN, SIGNATURE_LEN, TAG_LEN
from meshd.core.errors import WireError
from meshd.wire.entry import CLEAR_MAX, SEQ_MAX, Kind

ID_LEN = 4
PREV_LEN, PREV_WHOLE = 4, 8
HASH_LEN = 32
SEED_LEN = 8
HINT_LEN, MEMBERSHIP_LEN = 2, 8
PARTS_MAX = 16
THIN_MAX = 2048
"""What is longer goes in pieces, as it is stored: the ref of its offer is `blob_ref`."""

_KINDS = (
    *(Kind.FOUNDING, Kind.ADMIT, Kind.INVITE, Kind.REVOKE_INVITE, Kind.SUCCESSOR),
    *(Kind.POST, Kind.MESSAGE, Kind.RECEIPT, Kind.FILE, Kind.LETTER, Kind.PREKEY),
    Kind.DISTRESS,
)
"""Codes 1 to 12 in this order; later kinds are added at the end, or written out."""
_OTHER, _STUB = 0, 15
_WHOLE, _CLEAR, _FLAGS, _STRANGER = 0x10, 0x20, 0x40, 0x80
_TIME = Struct("!I")
_SEQ = Struct("!I")
_FLAGS_MAX = 0x0F


class Thin(NamedTuple):
    """An entry without what its space tells. `author` is the 4-byte id, or the whole key of a feed
    that begins; `membership` the first 2 bytes of the digest, or all 8; `prev` the first 4 of 8,
    all of a call for help. A *stub* proves that its author signed an entry, to anybody who knows
    the author, and has all 8: the hash of the body stands where the ciphertext does.
    """

    kind: int
    flags: int
    author: bytes
    seq: int
    time_s: int
    membership: bytes
    prev: bytes
    seed: bytes
    clear: bytes
    sealed: bytes
    signature: bytes
    is_stub: bool = False

    def encode(self) -> bytes:
        """Return the bytes that go on air."""
        code = _KINDS.index(Kind(self.kind)) + 1 if self.kind in _KINDS else _OTHER
        code = _STUB if self.is_stub else code
        shape = code
        shape |= _WHOLE * (len(self.membership) == MEMBERSHIP_LEN) | _CLEAR * bool(self.clear)
        shape |= _FLAGS * bool(self.flags) | _STRANGER * (len(self.author) == KEY_LEN)
        head = bytes([shape]) + (b"" if code not in (_OTHER, _STUB) else bytes([self.kind]))
        head += bytes([self.flags]) if self.flags else b""
        head += self.author + pack_number(self.seq) + _TIME.pack(self.time_s)
        head += self.membership + self.prev + self.seed
        clear = pack_number(len(self.clear)) + self.clear if self.clear else b""
        return head + clear + self.sealed + self.signature


class Part(NamedTuple):
    """A piece of a thin entry that no frame can hold: which, which of how many, its bytes."""

    author: bytes
    seq: int
    place: int
    parts: int
    data: bytes

    def encode(self) -> bytes:
        """Return the bytes that go on air."""
        place = self.place << 4 | self.parts - 1
        return self.author + pack_number(self.seq) + bytes([place]) + self.data


def prev_length(kind: int) -> int:
    """Return how much of what comes before is said: a call for help is proven without that."""
    return PREV_WHOLE if kind == Kind.DISTRESS else PREV_LEN


def thin_length(seq: int, payload: int) -> int:
    """Return the bytes of an entry without a clear part."""
    around = 1 + ID_LEN + _TIME.size + MEMBERSHIP_LEN + PREV_LEN + SEED_LEN + TAG_LEN
    return around + len(pack_number(seq)) + payload + SIGNATURE_LEN


def blob_ref(author_id: bytes, seq: int) -> bytes:
    """Return how an entry is called that is offered in pieces: author's id (4), number (4)."""
    return author_id + _SEQ.pack(seq)


def ref_parts(ref: bytes) -> tuple[bytes, int]:
    """Return the author's id and the number that a ref has, if it is an entry's."""
    return ref[:ID_LEN], _SEQ.unpack_from(ref, ID_LEN)[0]


def pack_number(value: int) -> bytes:
    """Return a number, seven bits a byte, the lowest first; all bytes but the last have bit 7."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def take_number(data: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends.

    Raises: WireError when it is cut off, not the shortest form, or has more than 32 bits.
    """
    value = shift = 0
    while True:
        if at >= len(data) or shift > 28:
            raise WireError("number cut off or too long")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    if (not byte and shift > 7) or value > SEQ_MAX:
        raise WireError("number is not in its shortest form, or too large")
    return value, at


class _Reader:
    """Takes fields from the front; what is missing is a WireError."""

    def __init__(self, data: bytes, end: int) -> None:
        self._data = data
        self._end = end
        self.at = 0

    def take(self, size: int) -> bytes:
        if self.at + size > self._end:
            raise WireError("thin entry cut off")
        self.at += size
        return self._data[self.at - size : self.at]

    def number(self) -> int:
        value, self.at = take_number(self._data, self.at)
        return value


def decode_thin(data: bytes) -> Thin:
    """Decode an entry as it goes over LoRa.

    Raises: WireError.
    """
    end = len(data) - SIGNATURE_LEN
    if not SIGNATURE_LEN < len(data) <= THIN_MAX:
        raise WireError(f"thin entry of {len(data)} bytes")
    reader = _Reader(data, end)
    (shape,) = reader.take(1)
    code = shape & 0x0F
    if len(_KINDS) < code != _STUB:
        raise WireError("thin entry of a kind that has no code yet")
    written = code in (_OTHER, _STUB)
    kind = reader.take(1)[0] if written else int(_KINDS[code - 1])
    flags = reader.take(1)[0] if shape & _FLAGS else 0
    author = reader.take(KEY_LEN if shape & _STRANGER else ID_LEN)
    seq = reader.number()
    (time_s,) = _TIME.unpack(reader.take(_TIME.size))
    membership = reader.take(MEMBERSHIP_LEN if shape & _WHOLE else HINT_LEN)
    prev = reader.take(PREV_WHOLE if code == _STUB else prev_length(kind))
    seed = reader.take(SEED_LEN)
    clear = b""
    if shape & _CLEAR:
        clear = reader.take(reader.number())
    sealed = data[reader.at : end]
    short = (code == _OTHER and kind in _KINDS) or (shape & _FLAGS and not flags)
    if short or (shape & _CLEAR and not clear):
        raise WireError("thin entry is not in its shortest form")
    if not seq or flags > _FLAGS_MAX or len(clear) > CLEAR_MAX or len(sealed) < TAG_LEN:
        raise WireError("thin entry with fields that no entry has")
    if code == _STUB and (shape & ~_FLAGS != _STUB | _WHOLE or len(sealed) != HASH_LEN):
        raise WireError("stub of another form")
    if kind == Kind.DISTRESS and not shape & _WHOLE:
        raise WireError("call for help that needs what comes before it")
    head = (kind, flags, author, seq, time_s, membership, prev, seed, clear)
    return Thin(*head, sealed, data[end:], code == _STUB)


def split(author: bytes, seq: int, data: bytes, room: int) -> tuple[Part, ...]:
    """Return the parts of a thin entry for bodies of at most `room` bytes; () if too many."""
    size = room - ID_LEN - len(pack_number(seq)) - 1
    if size < 1 or len(data) > THIN_MAX:
        return ()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    if len(pieces) > PARTS_MAX:
        return ()
    return tuple(Part(author, seq, index, len(pieces), piece) for index, piece in enumerate(pieces))


def decode_part(data: bytes) -> Part:
    """Decode a part of a thin entry.

    Raises: WireError.
    """
    if len(data) <= ID_LEN:
        raise WireError("part cut off")
    seq, at = take_number(data, ID_LEN)
    if at + 1 >= len(data) or not seq:
        raise WireError("part without data")
    place, parts = data[at] >> 4, (data[at] & 0x0F) + 1
    if place >= parts or parts < 2:
        raise WireError("part of nothing")
    return Part(data[:ID_LEN], seq, place, parts, data[at + 1 :])
