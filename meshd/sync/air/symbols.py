"""How far many feeds go, told in coded symbols: instead of HEADS, which name no more than 48.

Enters: spaces to be told, batches of neighbours, asks for more, time. Leaves: batches, asks, and,
once a difference is known, a neighbour's heads as if it had named them all: which set it has is
covered by its tag, and symbols that do not lead there lead nowhere. A batch serves all in
earshot, each with its own difference; who cannot read it yet asks for the next ones, and one ask
does for all. A set that changes begins anew. Bounded: spaces, differences, asks; a neighbour that
begins ever new ones is held to a pace.
Must not know: entries, radios. Ref: docs/wire-format.md#lora-symbols.
"""

from collections import OrderedDict
from random import Random

from meshd.space.space import Space
from meshd.sync.air.names import Names, head_of
from meshd.sync.air.riblt import Difference, Sketch
from meshd.sync.air.states import State
from meshd.wire.air_messages import FEED_LEN, SALT_LEN, AirHead, Heads
from meshd.wire.symbols import FEEDS, HEAD_MAX, SYMBOL_MAX, SYMBOLS_MAX, SymbolBatch

SEQ_LEN = 5
TELLINGS_MAX = 8
"""Spaces whose symbols are kept to go on telling."""
TOLD_MAX = 64
"""Batches of one set, however often somebody asks."""
OPEN_MAX = 16
"""Differences that are being found."""
ASKS_MAX = 4
"""Asks without an answer, each after a longer pause."""
NEW_US = 10_000_000
"""A neighbour may begin a difference so often."""
ASK_US = 3_000_000, 9_000_000
MORE_US = 500_000, 2_000_000
STATE_PART = 2


class _Telling:
    """The own symbols of a space: under which salt, and which come next."""

    __slots__ = ("due_us", "head", "next", "sketch", "told")

    def __init__(self, head: SymbolBatch, sketch: Sketch) -> None:
        self.head = head
        self.sketch = sketch
        self.next = 0
        self.told = 0
        self.due_us: int | None = None


class _Open:
    """A neighbour's difference as far as it is found."""

    __slots__ = ("about", "ask_us", "asks", "began_us", "difference", "done", "own", "salt", "top")

    def __init__(self, batch: SymbolBatch, own: Sketch, now: int) -> None:
        self.salt = batch.salt
        self.about = batch.about
        self.own = own
        self.difference = Difference(own, batch.size, batch.check)
        self.began_us = now
        self.ask_us: int | None = None
        self.asks = 0
        self.top = 0
        self.done = False


class Symbols:
    """The symbols of all neighbours of one radio."""

    def __init__(self, names: Names, rng: Random) -> None:
        self._names = names
        self._rng = rng
        self._tellings: OrderedDict[bytes, _Telling] = OrderedDict()
        self._open: OrderedDict[tuple[bytes, bytes], _Open] = OrderedDict()

    def tell(self, space: Space, state: State, now: int) -> None:
        """Begin to tell a space, or go on when it has not changed."""
        salt = self._names.salt + state.now[:STATE_PART]
        telling = self._tellings.get(space.id)
        if telling is None or telling.head.salt != salt:
            telling = self._tellings[space.id] = self._telling(space, salt)
        telling.due_us = now
        if len(self._tellings) > TELLINGS_MAX:
            self._tellings.popitem(last=False)

    def due_us(self) -> int | None:
        """Return when `build` has something."""
        dues = [one.due_us for one in self._tellings.values()]
        dues += [one.ask_us for one in self._open.values()]
        return min((due_us for due_us in dues if due_us is not None), default=None)

    def build(self, now: int, room: int) -> SymbolBatch | None:
        """Return the next batch or ask, in a body of at most `room` bytes."""
        for space_id, telling in self._tellings.items():
            if telling.due_us is not None and telling.due_us <= now:
                telling.due_us = None
                held = self._names.spaces.get(space_id) is not None
                batch = self._batch(telling, room) if held else None
                if batch is not None:
                    return batch
        for one in self._open.values():
            if one.ask_us is not None and one.ask_us <= now:
                one.asks += 1
                pause_us = self._rng.randint(*ASK_US) << one.asks
                one.ask_us = now + pause_us if one.asks < ASKS_MAX else None
                return SymbolBatch(FEEDS, one.about, one.salt, 0, 0, one.top, ())
        return None

    def take(self, node: bytes, space: Space, batch: SymbolBatch, now: int) -> Heads | None:
        """Take a batch about a space; return the heads of a neighbour once they are known."""
        if batch.subject != FEEDS:
            return None
        one = self._difference(node, space, batch, now)
        if one is None:
            return None
        for place, symbol in enumerate(batch.symbols, batch.first):
            one.difference.add(place, symbol)
        if one.top or not batch.first:  # else its beginning was missed, and is asked for
            one.top = max(one.top, batch.first + len(batch.symbols))
        one.ask_us, one.asks = None, 0
        if one.difference.done:
            one.done = True
            return _heads(space, one, batch)
        if not one.difference.failed and one.top < SYMBOLS_MAX:
            one.ask_us = now + self._rng.randint(*ASK_US)
        return None

    def _telling(self, space: Space, salt: bytes) -> _Telling:
        sketch = _sketch(space, salt)
        head = SymbolBatch(FEEDS, b"", salt, sketch.size, sketch.check, 0, ())
        return _Telling(self._names.told_set(space, head), sketch)

    def _batch(self, telling: _Telling, room: int) -> SymbolBatch | None:
        count = min((room - HEAD_MAX) // SYMBOL_MAX, SYMBOLS_MAX - telling.next)
        if count <= 0:
            telling.next = 0
            return None
        first, sketch = telling.next, telling.sketch
        symbols = sketch.symbols(first, count)
        batch = telling.head._replace(first=first, symbols=symbols)
        while len(batch.encode()) > room and batch.symbols:
            batch = batch._replace(symbols=batch.symbols[:-1])
        telling.next = first + len(batch.symbols)
        telling.told += 1
        return batch

    def asked(self, batch: SymbolBatch, now: int) -> None:
        """Go on telling when it is this node that is asked; else somebody asks for all."""
        for telling in self._tellings.values():
            head = telling.head
            if (batch.about, batch.salt) == (head.about, head.salt) and telling.told < TOLD_MAX:
                telling.next = telling.next if batch.first else 0
                due_us = now + self._rng.randint(*MORE_US)
                telling.due_us = due_us if telling.due_us is None else min(telling.due_us, due_us)
        for one in self._open.values():
            if (one.about, one.salt) == (batch.about, batch.salt) and one.ask_us is not None:
                one.ask_us = max(one.ask_us, now + ASK_US[1] + self._rng.randint(*ASK_US))

    def _difference(self, node: bytes, space: Space, batch: SymbolBatch, now: int) -> _Open | None:
        """Return what is found so far; begin when there is nothing of this set yet."""
        one = self._open.get((node, space.id))
        if one is not None and one.salt == batch.salt:
            if one.done:
                return None
            if not one.difference.failed and _is_same(space, one.own):
                return one
        if one is not None and now - one.began_us < NEW_US:
            return None
        if one is None and len(self._open) >= OPEN_MAX:
            self._open.popitem(last=False)
        one = self._open[node, space.id] = _Open(batch, _sketch(space, batch.salt), now)
        return one


def _members(space: Space) -> list[bytes]:
    return [
        head.feed + head.seq.to_bytes(SEQ_LEN, "big")
        for author in space.feeds
        if (head := head_of(space, author)) is not None and head.seq < 1 << 8 * SEQ_LEN
    ]


def _sketch(space: Space, salt: bytes) -> Sketch:
    return Sketch(space.fetch_key + salt, _members(space), plain=True)


def _is_same(space: Space, own: Sketch) -> bool:
    members = _members(space)
    return own.size == len(members) and all(own.name_of(member) for member in members)


def _heads(space: Space, one: _Open, batch: SymbolBatch) -> Heads:
    """Return all heads of a neighbour: the own ones, but for what differs."""
    theirs = dict.fromkeys(_members(space))
    for member in one.difference.only_here:
        theirs.pop(member, None)
    theirs |= dict.fromkeys(one.difference.only_there)
    heads = [
        AirHead(member[:FEED_LEN], int.from_bytes(member[FEED_LEN:], "big")) for member in theirs
    ]
    return Heads(batch.salt[:SALT_LEN], batch.about, tuple(heads))
