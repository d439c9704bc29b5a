"""What LoRa frames say about ways to single nodes, and what they carry along these ways.

Enters: an item of a decrypted payload. Leaves: a value and where the next item begins, or
WireError. An item is a head byte, whose upper three bits are its type, and tells its own length:

    5 ROUTES   head [type:3 0:5] seqno:2 boot:1 period:1 entries:1 named:1 [wants:4 asks:4]
               entries * entry:4, a check:2 for each eight of them, named * named entry:14,
               wants * want:4, asks * ask:4
               entry = short address:2 [heard:1 seqno:7] metric:1
               named entry = NodeId:10 seqno:2 [heard:1 0:7] metric:1
               want = short address:2 seqno:2; ask = short address of who is asked:2 and of whom:2
    6 DIRECT   head [type:3 0:1 distance:4] attempt:1 origin:2 number:2 length:1, sealed body
    7 ANSWER   head [type:3 0:1 distance:4] number:2 tag:8
    7 RECEIPT  head [type:3 1:1 0:3 answer:1] origin:2 number:2

Metrics count steps of 256, distances steps of 4,096, both rounded up; periods, of 15 minutes.
Short addresses may stand for two nodes: named entries do not. The body of DIRECT and the tag of
ANSWER are sealed between the two ends.
Ref: docs/wire-format.md#lora-routes.
"""

from struct import Struct
from typing import NamedTuple

from meshd.core.errors import UsageError, WireError
from meshd.core.ids import NODE_ID_LEN

ANSWER_TAG_LEN = 8
SEQNO_MODULUS = 128
METRIC_STEP = 256
UNREACHABLE = 255
"""The metric, in steps, of a node that the sender cannot reach."""

DISTANCE_STEP = 4096
DISTANCE_MAX = 15
PERIOD_STEP_US = 900_000_000
PERIOD_MAX = 255
ENTRIES_MAX = 56
GROUP = 8
CHECK_LEN = 2
"""Each so many entries have a check of so many bytes, for who knows the names from elsewhere."""

NAMED_MAX = 17
WANTS_MAX = ASKS_MAX = 15
ATTEMPT_MAX = 7
BODY_MAX = 200
ENTRY_LEN, NAMED_LEN, WANT_LEN, ASK_LEN, ROUTES_HEAD = 4, 14, 4, 4, 8

_ROUTES, _DIRECT, _ANSWER = 5, 6, 7
_RECEIPT = 16
_ROUTES_STRUCT = Struct(">BHBBBBB")
_ENTRY_STRUCT = Struct(">2sBB")
_NAMED_STRUCT = Struct(f">{NODE_ID_LEN}sHBB")
_WANT_STRUCT = Struct(">2sH")
_ASK_STRUCT = Struct(">2s2s")
_DIRECT_STRUCT = Struct(">BB2sHB")
_ANSWER_STRUCT = Struct(f">BH{ANSWER_TAG_LEN}s")
_RECEIPT_STRUCT = Struct(">B2sH")


class RouteEntry(NamedTuple):
    """How far the sender is from a node, in steps; `heard`: it hears that node itself.

    Only who knows whom the sender means by the short address can read it, and the seqno with it.
    """

    short: bytes
    seqno: int
    metric: int
    heard: bool


class NamedEntry(NamedTuple):
    """The same with the whole NodeId and seqno."""

    node: bytes
    seqno: int
    metric: int
    heard: bool


class Want(NamedTuple):
    """A node to which the sender has no feasible route with this seqno or a later one."""

    short: bytes
    seqno: int


class Ask(NamedTuple):
    """Asks `teller` for its named entry of a node; for all of them, by its own short address."""

    teller: bytes
    short: bytes


class Routes(NamedTuple):
    """What the sender knows of others, its own seqno, and what it wants to know.

    `checks` has one for each eight entries, see `routing/lora/names.py`.
    `boot` is another number after each restart, in which the sender forgot what it said; `period`
    is in which time it says all it knows, in steps.
    """

    seqno: int
    boot: int = 0
    period: int = 4
    entries: tuple[RouteEntry, ...] = ()
    checks: tuple[bytes, ...] = ()
    named: tuple[NamedEntry, ...] = ()
    wants: tuple[Want, ...] = ()
    asks: tuple[Ask, ...] = ()

    def encode(self) -> bytes:
        """Return the item. Raises: UsageError when there is too much for one."""
        counts = (len(self.entries), len(self.named), len(self.wants), len(self.asks))
        if any(n > most for n, most in zip(counts, _COUNTS_MAX, strict=True)):
            raise UsageError("more routes than one item may hold")
        if len(self.checks) != -(-counts[0] // GROUP):
            raise UsageError(f"{len(self.checks)} checks for {counts[0]} entries")
        head = (_ROUTES << 5, self.seqno, self.boot, self.period)
        rows = (
            *(_ENTRY_STRUCT.pack(e.short, e.heard << 7 | e.seqno, e.metric) for e in self.entries),
            *self.checks,
            *(_NAMED_STRUCT.pack(e.node, e.seqno, e.heard << 7, e.metric) for e in self.named),
            *(_WANT_STRUCT.pack(*want) for want in self.wants),
            *(_ASK_STRUCT.pack(*ask) for ask in self.asks),
        )
        fixed = _ROUTES_STRUCT.pack(*head, counts[0], counts[1], counts[2] << 4 | counts[3])
        return fixed + b"".join(rows)


_COUNTS_MAX = (ENTRIES_MAX, NAMED_MAX, WANTS_MAX, ASKS_MAX)


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
    _, seqno, boot, period, count, named, more = _ROUTES_STRUCT.unpack_from(data, at)
    if count > ENTRIES_MAX or named > NAMED_MAX or not period:
        raise WireError("more routes than an item may hold, or no period")
    middle = begin + count * ENTRY_LEN
    names = middle + -(-count // GROUP) * CHECK_LEN
    wants = names + named * NAMED_LEN
    asks = wants + (more >> 4) * WANT_LEN
    end = _end(data, asks + (more & 15) * ASK_LEN)
    entries = tuple(
        RouteEntry(short, flags & 127, metric, heard=bool(flags >> 7))
        for short, flags, metric in _ENTRY_STRUCT.iter_unpack(data[begin:middle])
    )
    return Routes(
        seqno,
        boot,
        period,
        entries,
        tuple(data[place : place + CHECK_LEN] for place in range(middle, names, CHECK_LEN)),
        _named(data[names:wants]),
        tuple(Want(*want) for want in _WANT_STRUCT.iter_unpack(data[wants:asks])),
        tuple(Ask(*ask) for ask in _ASK_STRUCT.iter_unpack(data[asks:end])),
    ), end


def _named(data: bytes) -> tuple[NamedEntry, ...]:
    entries = []
    for node, seqno, flags, metric in _NAMED_STRUCT.iter_unpack(data):
        if flags & 127:
            raise WireError("a named entry with flags that do not exist")
        entries.append(NamedEntry(node, seqno, metric, heard=bool(flags)))
    return tuple(entries)


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
