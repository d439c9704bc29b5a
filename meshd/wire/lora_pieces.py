"""Files in pieces for all in earshot: what is offered, marks of the pieces, pieces, who wants more.

Enters: bodies of LOCAL items. Leaves: values, or WireError.

    OFFER           ref:8 size:3 piece:1 pieces:1 run:1 digest:8 ... signature:64
    MARKS           tag:4 run:1 mark:8 ...
    PIECE           tag:4 number:1 left:1 then `piece` bytes
    PIECES_WANTED   tag:4 more:1 runs:2, or ref:8 alone: who has this, offer it
    PIECES_LATER    ref:8 after_s:2
    FILE_HELD       seq number, mac:8, as HELD

Marks are what pieces must hash to; they come in runs, and the offer has a digest of each run: so
whatever is heard can be held to the signature, in any order. Big-endian.
Ref: docs/wire-format.md#lora-pieces.
"""

from struct import Struct
from typing import NamedTuple

from meshd.core.crypto import SIGNATURE_LEN, digest
from meshd.core.errors import WireError

REF_LEN = 8
TAG_LEN = 4
MARK_LEN = 8
PIECE_HEAD = TAG_LEN + 2
MARKS_HEAD = TAG_LEN + 1
RUNS_MAX = 12
OFFER_AGAIN = 1 << 15
"""Among `runs` of a want: the offer itself is missing."""

_OFFER = Struct(f">{REF_LEN}s3sBBB")
_WANTED = Struct(f">{TAG_LEN}sBH")
_LATER = Struct(f">{REF_LEN}sH")
AFTER_MAX = 0xFFFF
OFFER_BYTES_MIN = _OFFER.size + SIGNATURE_LEN
"""An offer without its digests."""

_REF_PERSON = b"meshd file ref"
_TAG_PERSON = b"meshd offer tag"
_RUN_PERSON = b"meshd mark run"
_SIGNED = b"meshd offer 1"


def ref_of(space: bytes, root: bytes) -> bytes:
    """Return how a file is called where strangers hear it."""
    return digest(space + root, size=REF_LEN, person=_REF_PERSON)


def run_digest(number: int, marks: bytes) -> bytes:
    """Return what an offer says of a run of marks."""
    return digest(bytes([number]) + marks, size=MARK_LEN, person=_RUN_PERSON)


class Offer(NamedTuple):
    """A file that the sender has: `pieces` of `piece` bytes may come, `need` of them suffice."""

    ref: bytes
    size: int
    piece: int
    pieces: int
    run: int
    digests: tuple[bytes, ...]
    signature: bytes = bytes(SIGNATURE_LEN)

    @property
    def need(self) -> int:
        """Return how many pieces suffice."""
        return -(-self.size // self.piece)

    @property
    def tag(self) -> bytes:
        """Return how pieces name it: the same whoever offers the same."""
        return digest(self._body(), size=TAG_LEN, person=_TAG_PERSON)

    @property
    def signed(self) -> bytes:
        """Return what the signature is over."""
        return _SIGNED + self._body()

    def _body(self) -> bytes:
        size = self.size.to_bytes(3, "big")
        return _OFFER.pack(self.ref, size, self.piece, self.pieces, self.run) + b"".join(
            self.digests
        )

    def encode(self) -> bytes:
        """Return the body."""
        return self._body() + self.signature

    @classmethod
    def decode(cls, data: bytes) -> "Offer":
        """Decode a body. Raises: WireError."""
        if len(data) < _OFFER.size + SIGNATURE_LEN:
            raise WireError("offer cut off")
        ref, long_size, piece, pieces, run = _OFFER.unpack_from(data)
        size = int.from_bytes(long_size, "big")
        if not size or not piece or not run or not -(-size // piece) <= pieces:
            raise WireError("offer of no pieces")
        runs = -(-pieces // run)
        end = _OFFER.size + MARK_LEN * runs
        if runs > RUNS_MAX or len(data) != end + SIGNATURE_LEN:
            raise WireError("offer of another length")
        starts = range(_OFFER.size, end, MARK_LEN)
        digests = tuple(data[start : start + MARK_LEN] for start in starts)
        return cls(ref, size, piece, pieces, run, digests, data[end:])


class Marks(NamedTuple):
    """One run of marks, of the pieces from `number` · run on."""

    tag: bytes
    number: int
    marks: bytes

    def encode(self) -> bytes:
        """Return the body."""
        return self.tag + bytes([self.number]) + self.marks

    @classmethod
    def decode(cls, data: bytes) -> "Marks":
        """Decode a body. Raises: WireError."""
        marks = data[MARKS_HEAD:]
        if not marks or len(marks) % MARK_LEN or data[TAG_LEN] >= RUNS_MAX:
            raise WireError("marks of pieces")
        return cls(data[:TAG_LEN], data[TAG_LEN], marks)


class Piece(NamedTuple):
    """A piece. `left`: how many the sender will send after it without being asked again."""

    tag: bytes
    number: int
    left: int
    data: bytes

    def encode(self) -> bytes:
        """Return the body."""
        return self.tag + bytes((self.number, self.left)) + self.data

    @classmethod
    def decode(cls, data: bytes) -> "Piece":
        """Decode a body. Raises: WireError."""
        if len(data) <= PIECE_HEAD:
            raise WireError("piece without bytes")
        return cls(data[:TAG_LEN], data[TAG_LEN], data[TAG_LEN + 1], data[PIECE_HEAD:])


class Wanted(NamedTuple):
    """`more` pieces are wanted, and the runs whose bits are set."""

    tag: bytes
    more: int
    runs: int

    def encode(self) -> bytes:
        """Return the body."""
        return _WANTED.pack(*self)


class Sought(NamedTuple):
    """An offer of this file is wanted."""

    ref: bytes

    def encode(self) -> bytes:
        """Return the body."""
        return self.ref


class Later(NamedTuple):
    """Who has this has no airtime for it: it goes on after so many seconds, at the earliest."""

    ref: bytes
    after_s: int

    def encode(self) -> bytes:
        """Return the body."""
        return _LATER.pack(self.ref, min(max(self.after_s, 0), AFTER_MAX))

    @classmethod
    def decode(cls, data: bytes) -> "Later":
        """Decode a body. Raises: WireError."""
        if len(data) != _LATER.size:
            raise WireError("a pause of pieces")
        return cls(*_LATER.unpack(data))


def decode_wanted(data: bytes) -> Wanted | Sought:
    """Decode the body of PIECES_WANTED. Raises: WireError."""
    if len(data) == REF_LEN:
        return Sought(data)
    if len(data) != _WANTED.size:
        raise WireError("want of pieces")
    wanted = Wanted(*_WANTED.unpack(data))
    if not wanted.more and not wanted.runs:
        raise WireError("want of nothing")
    return wanted
