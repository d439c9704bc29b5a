"""What two sets do not share, from coded symbols of one of them: a rateless lookup table.

Enters: names, a key; symbols of the other side. Leaves: symbols without end, or the names that only
one side has. Symbol 0 sums up all members, symbol i each with chance 1/(1 + i/2); subtract the own
ones, and places with a single member left give it away, and with it all places that it is on. About
1.4 to 1.7 symbols a difference do, whatever the sets' sizes and whichever symbols were lost.

Members are 8-byte hashes under a key that both sides know: nobody without it makes two names meet.
What a liar sends is no more than wrong: each symbol yields one member at most, and none twice.
Must not know: what names mean, when symbols are sent. Ref: Yang, Gilad, Alizadeh, "Practical
Rateless Set Reconciliation", 2024; docs/wire-format.md#lora-symbols.
"""

from collections.abc import Iterable
from math import isqrt

from meshd.core.crypto import digest
from meshd.core.errors import UsageError
from meshd.wire.symbols import SET_MAX, SYMBOLS_MAX, Symbol

ID_LEN = 8
_ID_PERSON = b"meshd riblt id"
_MARK_PERSON = b"meshd riblt mark"
_GROW = 64
"""Symbols are made so many at a time at least, since each time costs a look at all members."""
_STEP, _ADD, _WORD = 0x5851F42D4C957F2D, 0x14057B7EF767814F, 2**64 - 1


class _Walk:
    """A member and the next place that it falls on, found from its hash alone."""

    __slots__ = ("check", "id", "place", "state")

    def __init__(self, key: bytes, number: int) -> None:
        mark = digest(number.to_bytes(ID_LEN, "big"), key=key, size=12, person=_MARK_PERSON)
        self.id = number
        self.check = int.from_bytes(mark[8:], "big")
        self.state = int.from_bytes(mark[:8], "big")
        self.place = 0

    def go(self) -> int:
        """Return the place, and step to the next: so far on that all chances come out as told."""
        place = self.place
        self.state = (self.state * _STEP + _ADD) & _WORD
        root = isqrt(((self.state >> 32) + 1) << 32)
        self.place += max(1, -((2 * place + 3) * (root - 2**32) // (2 * root)))
        return place


class _Cell:
    """A place: XOR of ids and checks, number of members."""

    __slots__ = ("check", "count", "sum")

    def __init__(self, total: int = 0, check: int = 0, count: int = 0) -> None:
        self.sum = total
        self.check = check
        self.count = count

    def put(self, member: _Walk, sign: int) -> None:
        """Add a member, or take it away."""
        self.sum ^= member.id
        self.check ^= member.check
        self.count += sign


class Sketch:
    """The symbols of an own set, made as far as they were asked for and kept up to date.

    `plain`: names are eight bytes and stand for themselves, so that who lacks one can read it.
    """

    def __init__(self, key: bytes, names: Iterable[bytes] = (), *, plain: bool = False) -> None:
        self.key = digest(key, size=32)
        self.plain = plain
        self.check = 0
        self.version = 0
        self._names: dict[int, bytes] = {}
        self._walks: dict[int, _Walk] = {}
        self._cells: list[_Cell] = []
        for name in names:
            self.add(name)

    @property
    def size(self) -> int:
        """Return how many members there are."""
        return len(self._names)

    def add(self, name: bytes) -> None:
        """Take a member in. Raises: UsageError when the set is full."""
        number = self._number(name)
        if number in self._names:
            return
        if len(self._names) >= SET_MAX:
            raise UsageError(f"a set has {SET_MAX} members at most")
        self._names[number] = name
        walk = self._walks[number] = _Walk(self.key, number)
        self._change(walk, 1)

    def remove(self, name: bytes) -> None:
        """Take a member out, if it is there."""
        number = self._number(name)
        if self._names.pop(number, None) is not None:
            del self._walks[number]
            self._change(_Walk(self.key, number), -1)

    def name_of(self, member: bytes) -> bytes | None:
        """Return the name behind an 8-byte id, if it is a member."""
        return self._names.get(int.from_bytes(member, "big"))

    def has(self, number: int) -> bool:
        """Tell whether a member has this id."""
        return number in self._names

    def symbols(self, first: int, count: int) -> tuple[Symbol, ...]:
        """Return symbols from number `first` on. Raises: UsageError beyond `SYMBOLS_MAX`."""
        if not 0 <= first <= first + count <= SYMBOLS_MAX:
            raise UsageError(f"a set has {SYMBOLS_MAX} symbols")
        if first + count > len(self._cells):
            self._grow(min(SYMBOLS_MAX, max(first + count, 2 * len(self._cells), _GROW)))
        cells = self._cells[first : first + count]
        return tuple(Symbol(cell.sum, cell.check, cell.count) for cell in cells)

    def _number(self, name: bytes) -> int:
        if not self.plain:
            name = digest(name, key=self.key, size=ID_LEN, person=_ID_PERSON)
        return int.from_bytes(name, "big")

    def _change(self, walk: _Walk, sign: int) -> None:
        self.version += 1
        self.check ^= walk.check
        while walk.place < len(self._cells):
            self._cells[walk.go()].put(walk, sign)

    def _grow(self, count: int) -> None:
        cells = self._cells
        cells += [_Cell() for _ in range(count - len(cells))]
        for walk in self._walks.values():
            while walk.place < count:
                cells[walk.go()].put(walk, 1)


class Difference:
    """What is found of the difference between an own set and one that is told in symbols.

    `done` once sizes and checks of both sets agree with what was found. `failed` when symbols
    contradict each other or the own set: then begin anew. Symbols may come in any order, and some
    not at all.
    """

    def __init__(self, own: Sketch, size: int, check: int) -> None:
        self.failed = False
        self._own = own
        self._version = own.version
        self._lacking = size - own.size
        self._check = check ^ own.check
        self._cells: dict[int, _Cell] = {}
        self._top = 0
        self._found: dict[int, tuple[int, _Walk, list[int]]] = {}

    @property
    def done(self) -> bool:
        """Tell whether all of the difference is known."""
        return not self._lacking and not self._check and not self.failed

    @property
    def received(self) -> int:
        """Return how many symbols were taken."""
        return len(self._cells)

    @property
    def only_there(self) -> tuple[bytes, ...]:
        """Return the 8-byte ids of members that the own set has not."""
        return tuple(
            number.to_bytes(ID_LEN, "big") for number, row in self._found.items() if row[0] > 0
        )

    @property
    def only_here(self) -> tuple[bytes, ...]:
        """Return the names of own members that the other set has not."""
        ids = (number.to_bytes(ID_LEN, "big") for number, row in self._found.items() if row[0] < 0)
        return tuple(name for name in map(self._own.name_of, ids) if name is not None)

    def add(self, place: int, symbol: Symbol) -> None:
        """Take a symbol of the other set; one that is known or not needed is passed over."""
        if self.done or self.failed or place in self._cells or not 0 <= place < SYMBOLS_MAX:
            return
        if self._version != self._own.version:
            self.failed = True
            return
        (mine,) = self._own.symbols(place, 1)
        cell = _Cell(
            symbol.sum ^ mine.sum, symbol.check ^ mine.check, symbol.members - mine.members
        )
        self._cells[place] = cell
        self._top = max(self._top, place + 1)
        for sign, walk, places in self._found.values():
            self._walk_on(walk, places)
            if place in places:
                cell.put(walk, -sign)
        self._peel(place)

    def _peel(self, place: int) -> None:
        """Take out members that stand alone, as long as that leaves others alone."""
        waiting = [place]
        while waiting and not self.failed:
            cell = self._cells[waiting.pop()]
            sign = cell.count
            if sign not in (1, -1):
                continue
            member = _Walk(self._own.key, cell.sum)
            if member.check != cell.check:
                continue
            if member.id in self._found or self._own.has(member.id) is not (sign < 0):
                self.failed = True
                return
            places: list[int] = []
            self._walk_on(member, places)
            self._found[member.id] = (sign, member, places)
            self._lacking -= sign
            self._check ^= member.check
            for other in places:
                if (known := self._cells.get(other)) is not None:
                    known.put(member, -sign)
                    waiting.append(other)

    def _walk_on(self, walk: _Walk, places: list[int]) -> None:
        while walk.place < self._top:
            places.append(walk.go())
