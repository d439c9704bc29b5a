"""Epochs and bootstrap: who reads what, which key is used, how a record travels.

Enters: a `View`; confirmations, beacons and time for the link key. Leaves: readers of each
epoch, the epoch to write under, pieces that prove themselves. A key is sealed or wrapped.
"""

from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b
from typing import NamedTuple

from models.history import pasts
from models.membership import View, grants, precedence
from models.records import REMOVALS, Entry, Found, Rank, Rotate
from models.validity import view

GATHER_S = 3600
BEACONS = 3


def epochs(seen: View) -> list[Entry]:
    """Return the records that made an epoch key: the founding, removals and rotations."""
    made = (Found, Rotate, *REMOVALS)
    return sorted((e for e in seen.valid if isinstance(e.act, made)), key=lambda e: e.name)


def sealed_to(epoch: Entry, seen: View) -> set[str]:
    """Return the devices and recovery keys to which the maker of an epoch seals its key.

    Those whom it knew, itself included, after its own act; a relay is never among them.
    """
    then = view(pasts(seen.entries)[epoch] | {epoch})
    readers = {key for key in then.seats if (then.rank(key) or Rank.RELAY) >= Rank.READER}
    phrases = {key for key, who in then.recovery.items() if who not in then.expelled}
    return readers | {key for key in phrases if (then.rank(key) or Rank.RELAY) >= Rank.READER}


def readers(seen: View) -> dict[Entry, set[str]]:
    """Return who can ever read each epoch, by keys sealed, wrapped, and handed on at an admission.

    A new key wraps the old ones that its maker knew; who lets a key in gives it what it has itself,
    of the epochs that it knew: so an admitter who has not got a removal gives away nothing newer.
    """
    before = pasts(seen.entries)
    found = {epoch: sealed_to(epoch, seen) for epoch in epochs(seen)}
    moved = True
    while moved:
        count = sum(map(len, found.values()))
        for epoch in found:
            for newer in (other for other in found if epoch in before[other]):
                found[epoch] |= found[newer]
            for entry in (e for e in seen.valid if grants(e) and epoch in before[e]):
                rank = view(before[entry] | {entry}).rank(grants(entry)) or Rank.RELAY
                if entry.author in found[epoch] and rank >= Rank.READER:
                    found[epoch].add(grants(entry))
        moved = sum(map(len, found.values())) > count
    return found


def write_epoch(seen: View) -> Entry | None:
    """Return the epoch to write under, None when somebody must rotate first.

    Never one that a removed key can read: after two concurrent removals each new key has reached
    the other's target. Of several, a newest one, of the mightiest maker, then by admission order.
    """
    can_read, before = readers(seen), pasts(seen.entries)
    safe = [epoch for epoch in can_read if not can_read[epoch] & removed(seen)]
    newest = [e for e in safe if not any(e in before[other] for other in safe)]
    order = precedence(seen)

    def place(epoch: Entry) -> tuple[int, int]:
        rank = view(before[epoch] | {epoch}).rank(epoch.author) or Rank.OWNER
        return -rank, order.index(epoch.author) if epoch.author in order else len(order)

    return min(newest, key=lambda epoch: (place(epoch), epoch.author, epoch.seq), default=None)


def removed(seen: View) -> set[str]:
    """Return the keys that read nothing new: devices that went, phrases of the expelled."""
    phrases = {key for key, who in seen.recovery.items() if who in seen.expelled}
    return set(seen.gone) | {key for key in phrases if seen.rank(key) is None}


class Frame(Enum):
    """Classes of frames: catch-up goes without the link key and is never routed."""

    CATCH_UP = "genesis, membership records, answers to invitations, pieces of a rotation"
    DATA = "everything else"


@dataclass
class LinkKeys:
    """One node's link keys in the two phases of a rotation: accepted at once, used later."""

    using: str
    accepted: set[str] = field(default_factory=set)
    old: set[str] = field(default_factory=set)
    confirmed: set[str] = field(default_factory=set)
    beacons: int = 0
    coming: str = ""

    def learn(self, key: str) -> None:
        """A rotation's own piece was opened: phase one."""
        if key not in {self.using, self.coming} | self.old:
            self.old |= {self.coming} - {""}
            self.coming, self.beacons, self.confirmed = key, 0, set()

    def confirm(self, neighbour: str, key: str, neighbours: set[str]) -> None:
        """A direct neighbour said that it accepts a key; all of them: phase two."""
        if key == self.coming:
            self.confirmed.add(neighbour)
            self._switch(neighbours <= self.confirmed)

    def beacon(self) -> None:
        """An own beacon went out under the old key; after three: phase two, whoever is silent."""
        self.beacons += bool(self.coming)
        self._switch(self.beacons >= BEACONS)

    def opens(self, key: str, frame: Frame) -> bool:
        """Tell whether a frame is taken; catch-up carries only what proves itself."""
        return frame is Frame.CATCH_UP or key in {self.using, self.coming} - {""}

    def _switch(self, due: bool) -> None:
        if due and self.coming:
            self.old.add(self.using)
            self.using, self.coming = self.coming, ""


class Piece(NamedTuple):
    """One frame of a rotation: a key sealed to one reader, and its way to the signed root."""

    place: int
    reader: str
    way: tuple[bytes, ...]


def root_of(names: list[str]) -> bytes:
    """Return the root that the record's author signs, with the number of pieces in it."""
    return _levels(names)[-1][0]


def pieces(names: list[str]) -> list[Piece]:
    """Cut a rotation into pieces, each of which is verified alone."""
    levels = _levels(names)[:-1]
    ways = [tuple(row[(at >> up) ^ 1] for up, row in enumerate(levels)) for at in range(len(names))]
    return [Piece(at, name, way) for at, (name, way) in enumerate(zip(names, ways, strict=True))]


def verifies(piece: Piece, root: bytes) -> bool:
    """Tell whether a piece belongs under a root; no other piece is needed."""
    node, place = _leaf(piece.reader), piece.place
    for other in piece.way:
        node = _join(other, node) if place & 1 else _join(node, other)
        place >>= 1
    return node == root and place == 0


def _levels(names: list[str]) -> list[list[bytes]]:
    rows = [[_leaf(name) for name in names]]
    while len(rows[-1]) > 1:
        row = rows[-1]
        row += [_leaf("")] * (len(row) % 2)
        rows.append([_join(*row[at : at + 2]) for at in range(0, len(row), 2)])
    return rows


def _leaf(name: str) -> bytes:
    return blake2b(b"leaf" + name.encode(), digest_size=16).digest()


def _join(one: bytes, other: bytes) -> bytes:
    return blake2b(b"node" + one + other, digest_size=16).digest()


@dataclass
class Gathering:
    """Removals gathered for up to an hour, so that one rotation serves several; urgent ones go."""

    waiting: list[str] = field(default_factory=list)
    due_s: int | None = None

    def ask(self, now_s: int, target: str, *, urgent: bool = False) -> None:
        """Take a request to remove somebody."""
        if target not in self.waiting:
            self.waiting.append(target)
        due_s = now_s if urgent else now_s + GATHER_S
        self.due_s = due_s if self.due_s is None else min(self.due_s, due_s)

    def tick(self, now_s: int) -> tuple[str, ...]:
        """Return all that go in one record now."""
        if self.due_s is None or now_s < self.due_s:
            return ()
        going, self.waiting, self.due_s = tuple(self.waiting), [], None
        return going
