"""Pieces on the disk: what came of a blob by LoRa is there again after a power cut.

Enters: proven pieces of takings, rows that the store holds, its answers, `now`. Leaves: rows, some
pieces to a row and a few writes a minute, and what they hold to whoever takes the same blob again.
Each row stands for itself, so any of them may be missing: what is read is held to its checksum, to
its offer and to its marks. Bounded, what others than members offered more narrowly. A row goes
when its blob is on disk as what it is, or is given up. Where the disk takes nothing, all goes on
in memory.

Must not know: who gives, what a blob is. Ref: docs/wire-format.md#lora-pieces.
"""

from collections.abc import Iterator, Mapping
from struct import Struct, error
from typing import Protocol

from meshd.core.context import Context
from meshd.core.crypto import digest
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.events import MetaRow, StoreImage
from meshd.core.guard import guarded, unguarded
from meshd.core.ids import NODE_ID_LEN
from meshd.sync.files.air.erasure import mark_of
from meshd.wire.lora_pieces import MARK_LEN, Offer, run_digest

PREFIX = "piece/"
BATCH = 8
"""So many pieces make a write worth it, or one that waited for `WAIT_US`."""
PAUSE_US = 10_000_000
WAIT_US = 30_000_000
ROWS_MAX = 16
"""Rows of one blob; the next one holds all of it, and those before it go."""
KEPT_MAX = 24
"""Blobs of which anything is here; of those that nobody takes the oldest makes room."""
BYTES_MAX = 640_000
STRANGERS_MAX = 96_000
"""Bytes of all rows, and of what others than members offered."""
AGAIN_US = 600_000_000
"""So long nothing is written after the disk took nothing."""

_HEAD = Struct(f">B{NODE_ID_LEN}sBHB")
"""Member, node, bytes of the radio's name, bytes of the offer, runs of marks."""
_RUN = Struct(">BB")
"""Number and bytes of a run of marks."""


class Coming(Protocol):
    """A blob that is being taken."""

    link: str
    node: bytes
    offer: Offer
    body: bytes
    trusted: bool
    marks: dict[int, bytes]
    pieces: dict[int, bytes]


class Kept:
    """One blob as it is here: what came of it, and by which rows the disk has it."""

    __slots__ = ("link", "marks", "node", "offer", "pieces", "rows", "saved", "taken", "trusted")

    def __init__(self, link: str, node: bytes, offer: Offer, *, trusted: bool) -> None:
        self.link = link
        self.node = node
        self.offer = offer
        self.trusted = trusted
        self.marks: dict[int, bytes] = {}
        self.pieces: dict[int, bytes] = {}
        self.rows: dict[str, int] = {}
        self.saved: set[int] = set()
        self.taken = False

    @property
    def size(self) -> int:
        """Return the bytes of its rows."""
        return sum(self.rows.values())

    @property
    def unsaved(self) -> list[int]:
        """Return the pieces that no row has."""
        return [number for number in self.pieces if number not in self.saved]


class KeptPieces:
    """The pieces of one node, by what their offers sign."""

    def __init__(self, ctx: Context, image: StoreImage) -> None:
        self._ctx = ctx
        self._kept: dict[bytes, Kept] = {}
        self._trash: list[str] = []
        self._commits: set[int] = set()
        self._since_us: int | None = None
        self._wrote_us = -PAUSE_US
        self._again_us = 0
        self._load(image)

    def waiting(self) -> list[Kept]:
        """Return the blobs that were under way when this node stopped, and are not again yet."""
        return [one for one in self._kept.values() if not one.taken]

    # --- takings ----------------------------------------------------------------------------------

    def begin(self, taking: Coming) -> None:
        """A blob is taken: give it what is here of it."""
        known = self._kept.get(taking.body)
        if known is None:
            known = Kept(taking.link, taking.node, taking.offer, trusted=taking.trusted)
            self._kept[taking.body] = known
        taking.marks.update(known.marks)
        taking.pieces.update(known.pieces)
        known.marks, known.pieces, known.taken = taking.marks, taking.pieces, True
        known.trusted = taking.trusted
        for body, other in list(self._kept.items()):
            if len(self._kept) > KEPT_MAX and not other.taken:
                self.drop(body)

    def came(self, now: int) -> None:
        """A piece came that no row has."""
        if self._since_us is None:
            self._since_us = now

    def pause(self, body: bytes) -> None:
        """A blob is whole, and not on disk as such: until it is, its pieces may be wanted again."""
        if body in self._kept:
            self._kept[body].taken = False

    def drop(self, body: bytes) -> None:
        """A blob is here, or is given up: delete its rows, with the next write."""
        gone = self._kept.pop(body, None)
        if gone is not None and gone.rows:
            self._trash += gone.rows
            if self._since_us is None:
                self._since_us = self._wrote_us

    def done(self, ref: bytes) -> None:
        """What a ref names is here."""
        for body in [body for body, one in self._kept.items() if one.offer.ref == ref]:
            self.drop(body)

    # --- the store --------------------------------------------------------------------------------

    def due_us(self) -> int | None:
        """Return when `tick` has something to write."""
        if self._since_us is None:
            return None
        many = sum(len(one.unsaved) for one in self._kept.values() if one.taken)
        wait_us = self._wrote_us + PAUSE_US if many >= BATCH else self._since_us + WAIT_US
        return max(wait_us, self._again_us)

    def tick(self, now: int) -> None:
        """Write what is due, all of it at once."""
        due_us = self.due_us()
        if due_us is None or due_us > now:
            return
        rows, self._since_us = [MetaRow(key, None) for key in self._trash], None
        self._trash.clear()
        for body, one in list(self._kept.items()):
            if one.taken and one.unsaved:
                rows += self._write(body, one)
                one.saved.update(one.pieces)
        if rows:
            self._wrote_us = now
            self._commits.add(self._ctx.append(tuple(rows)))

    def committed(self, up_to: int) -> None:
        """All appends up to this number are on disk."""
        self._commits = {number for number in self._commits if number > up_to}

    def commit_failed(self, number: int, now: int) -> None:
        """This append is not on disk; `reload` follows, and tells what is."""
        if number in self._commits:
            self._commits.discard(number)
            self._ctx.drop(DropReason.PIECES_UNKEPT)
            self._again_us = now + AGAIN_US
            self.came(now)

    def reload(self, image: StoreImage, now: int) -> None:
        """Go on from the rows that the store really holds."""
        self._commits.clear()
        found = dict(self._read(image))
        for body, one in self._kept.items():
            held = found.get(body)
            one.rows = {} if held is None else held.rows
            one.saved = set() if held is None else held.saved
        self._trash = [
            key for body, one in found.items() if body not in self._kept for key in one.rows
        ]
        self.came(now)

    # --- inside -----------------------------------------------------------------------------------

    def _write(self, body: bytes, one: Kept) -> list[MetaRow]:
        """Return the rows that add what is new of a blob; none where there is no room."""
        again = len(one.rows) >= ROWS_MAX
        numbers = sorted(one.pieces) if again else one.unsaved
        place = 1 + max((int(key.rpartition("/")[2]) for key in one.rows), default=-1)
        key = f"{PREFIX}{_name(body)}/{place}"
        value = guarded(_encode(one, numbers), key)
        if not self._fits(one, len(value)):
            self._ctx.drop(DropReason.PIECES_UNKEPT)
            return []
        old = list(one.rows) if again else []
        for gone in old:
            del one.rows[gone]
        one.rows[key] = len(value)
        return [*(MetaRow(gone, None) for gone in old), MetaRow(key, value)]

    def _fits(self, one: Kept, more: int) -> bool:
        """Tell whether there is room; what nobody takes any more makes some, the oldest first."""
        if not one.trusted:
            strangers = sum(other.size for other in self._kept.values() if not other.trusted)
            if strangers + more > STRANGERS_MAX:
                return False
        for body, other in list(self._kept.items()):
            if sum(each.size for each in self._kept.values()) + more <= BYTES_MAX:
                return True
            if not other.taken:
                self._trash += self._kept.pop(body).rows
        return sum(each.size for each in self._kept.values()) + more <= BYTES_MAX

    def _load(self, image: StoreImage) -> None:
        self._kept = dict(self._read(image))

    def _read(self, image: StoreImage) -> Iterator[tuple[bytes, Kept]]:
        """Yield what the rows of a store hold, as far as they are what was written."""
        found: dict[bytes, Kept] = {}
        for key, value in image.metas.items():
            if not key.startswith(PREFIX):
                continue
            try:
                _decode(key, unguarded(value, key), found)
            except (WireError, ValueError, IndexError):
                self._ctx.drop(DropReason.PIECES_UNKEPT)
                self._trash.append(key)
        yield from found.items()


def _name(body: bytes) -> str:
    return digest(body, size=8, person=b"meshd kept piece").hex()


def _encode(one: Kept, numbers: list[int]) -> bytes:
    """Return pieces with all that proves them."""
    offer, link = one.offer.encode(), one.link.encode()
    runs = sorted({number // one.offer.run for number in numbers})
    parts = [_HEAD.pack(one.trusted, one.node, len(link), len(offer), len(runs)), link, offer]
    for run in runs:
        parts += [_RUN.pack(run, len(one.marks[run])), one.marks[run]]
    parts += [bytes([number]) + one.pieces[number] for number in numbers]
    return b"".join(parts)


def _decode(key: str, data: bytes, found: dict[bytes, Kept]) -> None:
    """Add what a row holds. Raises: WireError, ValueError."""
    try:
        trusted, node, link_len, offer_len, runs = _HEAD.unpack_from(data)
    except error as cut:
        raise WireError("kept pieces cut off") from cut
    at = _HEAD.size + link_len
    link = data[_HEAD.size : at].decode()
    offer = Offer.decode(data[at : at + offer_len])
    at += offer_len
    name, _, place = key.removeprefix(PREFIX).partition("/")
    if name != _name(offer.signed) or not place.isdecimal():
        raise WireError("kept pieces under another name")
    marks: dict[int, bytes] = {}
    for _ in range(runs):
        number, length = data[at], data[at + 1]
        marks[number] = data[at + 2 : at + 2 + length]
        at += 2 + length
        if (
            number >= len(offer.digests)
            or run_digest(number, marks[number]) != offer.digests[number]
        ):
            raise WireError("kept marks of another offer")
    pieces = dict(_pieces(data[at:], offer, marks))
    one = found.setdefault(offer.signed, Kept(link, node, offer, trusted=bool(trusted)))
    one.marks.update(marks)
    one.pieces.update(pieces)
    one.saved.update(pieces)
    one.rows[key] = len(data)


def _pieces(data: bytes, offer: Offer, marks: Mapping[int, bytes]) -> Iterator[tuple[int, bytes]]:
    step = 1 + offer.piece
    if len(data) % step:
        raise WireError("kept pieces of another length")
    for start in range(0, len(data), step):
        number, piece = data[start], data[start + 1 : start + step]
        run, place = divmod(number, offer.run)
        mark = marks.get(run, b"")[MARK_LEN * place : MARK_LEN * (place + 1)]
        if mark_of(number, piece) != mark:
            raise WireError("a kept piece is not what its mark says")
        yield number, piece
