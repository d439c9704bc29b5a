"""What LoRa frames say about ways to single nodes, and what they carry along these ways.

Enters: an item of a decrypted payload. Leaves: a value and where the next item begins, or
WireError. An item is a head byte, whose upper three bits are its type, and tells its own length:

    5 ROUTES   head [type:3 0:5] seqno:1 count:1 wants:1 count * entry:4 wants * want:3
               entry = short address:2 [heard:1 seqno:7] metric:1; want = short address:2 seqno:1
    6 DIRECT   head [type:3 0:1 distance:4] attempt:1 origin:2 number:2 length:1, sealed body
    7 ANSWER   head [type:3 0:1 distance:4] number:2 tag:8
    7 RECEIPT  head [type:3 1:1 0:3 answer:1] origin:2 number:2

Metrics count steps of 256, distances steps of 4,096, both rounded up. Short addresses may stand
for two nodes. The body of DIRECT and the tag of ANSWER are sealed between the two ends.
Ref: docs/wire-format.md#lora-routes.
"""

from struct import Struct
from typing import NamedTuple

from meshd.core.errors import UsageError, WireError

SHORT_LEN = 2
ANSWER_TAG_LEN = 8
SEQNO_MODULUS = 128
METRIC_STEP = 256
UNREACHABLE = 255
"""The metric, in steps, of a node that the sender cannot reach."""

DISTANCE_STEP = 4096
DISTANCE_MAX = 15
ENTRIES_MAX = 60
WANTS_MAX = 16
ATTEMPT_MAX = 7
BODY_MAX = 200
ENTRY_LEN, WANT_LEN, ROUTES_HEAD = 4, 3, 4

_ROUTES, _DIRECT, _ANSWER = 5, 6, 7
_RECEIPT = 16
_ENTRY_STRUCT = Struct(">2sBB")
_WANT_STRUCT = Struct(">2sB")
_DIRECT_STRUCT = Struct(">BB2sHB")
_ANSWER_STRUCT = Struct(f">BH{ANSWER_TAG_LEN}s")
_RECEIPT_STRUCT = Struct(">B2sH")


class RouteEntry(NamedTuple):
    """How far the sender is from a node, in steps; `heard`: it hears that node itself."""

    short: bytes
    seqno: int
    metric: int
    heard: bool


class Want(NamedTuple):
    """A node to which the sender has no feasible route with this seqno or a later one."""

    short: bytes
    seqno: int


class Routes(NamedTuple):
    """What the sender knows of others, its own seqno, and what it wants to know."""

    seqno: int
    entries: tuple[RouteEntry, ...] = ()
    wants: tuple[Want, ...] = ()

    def encode(self) -> bytes:
        """Return the item. Raises: UsageError when there is too much for one."""
        if len(self.entries) > ENTRIES_MAX or len(self.wants) > WANTS_MAX:
            raise UsageError("more routes than one item may hold")
        head = bytes((_ROUTES << 5, self.seqno, len(self.entries), len(self.wants)))
        entries = (
            _ENTRY_STRUCT.pack(one.short, one.heard << 7 | one.seqno, one.metric)
            for one in self.entries
        )
        return head + b"".join((*entries, *(_WANT_STRUCT.pack(*want) for want in self.wants)))


class Direct(NamedTuple):
    """A message from `origin` to the destination in the frame's header.

    `distance`: how far its sender is from there; `attempt`: how often the origin began anew.
    """

    origin: bytes
    number: int
    attempt: int
    distance: int
    body: bytes

    def encode(self) -> bytes:
        """Return the item. Raises: UsageError for a body too long."""
        if not 0 < len(self.body) <= BODY_MAX:
            raise UsageError(f"a direct message of {len(self.body)} bytes")
        fixed = (self.attempt, self.origin, self.number, len(self.body))
        return _DIRECT_STRUCT.pack(_DIRECT << 5 | self.distance, *fixed) + self.body


class Answer(NamedTuple):
    """That message `number` of the node in the frame's header arrived; the tag proves it."""

    number: int
    distance: int
    tag: bytes

    def encode(self) -> bytes:
        """Return the item."""
        return _ANSWER_STRUCT.pack(_ANSWER << 5 | self.distance, self.number, self.tag)


class Receipt(NamedTuple):
    """That the sender has passed a message, or its answer, on already; for a neighbour alone."""

    origin: bytes
    number: int
    answer: bool = False

    def encode(self) -> bytes:
        """Return the item."""
        return _RECEIPT_STRUCT.pack(_ANSWER << 5 | _RECEIPT | self.answer, self.origin, self.number)


RouteItem = Routes | Direct | Answer | Receipt


def parse(data: bytes, at: int = 0) -> tuple[RouteItem, int]:
    """Take the item apart that begins at `at`; return it and where it ends. Raises: WireError."""
    if at >= len(data):
        raise WireError("no item")
    kind, low = data[at] >> 5, data[at] & 0x1F
    if kind == _ROUTES and not low:
        return _routes(data, at)
    if kind == _DIRECT and low <= DISTANCE_MAX:
        return _direct(data, at)
    if kind == _ANSWER and low <= DISTANCE_MAX:
        end = _end(data, at + _ANSWER_STRUCT.size)
        _, number, tag = _ANSWER_STRUCT.unpack_from(data, at)
        return Answer(number, low, tag), end
    if kind == _ANSWER and low in (_RECEIPT, _RECEIPT | 1):
        end = _end(data, at + _RECEIPT_STRUCT.size)
        _, origin, number = _RECEIPT_STRUCT.unpack_from(data, at)
        return Receipt(origin, number, answer=bool(low & 1)), end
    raise WireError(f"item with the head {data[at]}")


def _routes(data: bytes, at: int) -> tuple[Routes, int]:
    begin = _end(data, at + ROUTES_HEAD)
    seqno, count, wanted = data[at + 1 : begin]
    if count > ENTRIES_MAX or wanted > WANTS_MAX or seqno >= SEQNO_MODULUS:
        raise WireError("more routes than an item may hold")
    middle = begin + count * ENTRY_LEN
    end = _end(data, middle + wanted * WANT_LEN)
    entries = tuple(
        RouteEntry(short, flags & 127, metric, heard=bool(flags >> 7))
        for short, flags, metric in _ENTRY_STRUCT.iter_unpack(data[begin:middle])
    )
    wants = tuple(Want(*want) for want in _WANT_STRUCT.iter_unpack(data[middle:end]))
    if any(want.seqno >= SEQNO_MODULUS for want in wants):
        raise WireError("a seqno that does not exist")
    return Routes(seqno, entries, wants), end


def _direct(data: bytes, at: int) -> tuple[Direct, int]:
    begin = _end(data, at + _DIRECT_STRUCT.size)
    head, attempt, origin, number, length = _DIRECT_STRUCT.unpack_from(data, at)
    if attempt > ATTEMPT_MAX or not 0 < length <= BODY_MAX:
        raise WireError("direct message without a right head")
    end = _end(data, begin + length)
    return Direct(origin, number, attempt, head & 15, data[begin:end]), end


def _end(data: bytes, end: int) -> int:
    if end > len(data):
        raise WireError("item cut off")
    return end
