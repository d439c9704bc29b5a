"""The objects that a node holds for its neighbours, and those it misses. Bounded.

Enters: bodies, who has them, who listed what is missing here. Leaves: the same, by tag. Must not
know: when anything is sent.
"""

from collections.abc import Container, Iterator
from hashlib import blake2b
from random import Random

from meshd.core.drops import DropReason
from meshd.wire.lora_items import tag_of

NAME_LEN = 8
"""Objects are told apart by more than their tags, which two of them may share."""

HELD_MAX = 512
"""Objects held, shared by the neighbours that brought them: who brought most loses first, of what
is least urgent the oldest. Own objects give way to own ones only."""

WANTED_MAX = 64
WANTS_MAX = 3
"""How often one object is asked for."""

VAIN_MAX = 16
"""A neighbour whose listings were asked for in vain so often since is not believed until one of the
objects comes that it listed."""

LISTERS_MAX = 64


def name_of(body: bytes) -> bytes:
    """Return what an object is known by here; it never travels."""
    return blake2b(body, digest_size=NAME_LEN).digest()


class HeldObject:
    """An object that this node has. `covered`: who has it too, as far as known.

    `source`: the neighbour that brought it. `rank`: as what it is sent on here, which is less than
    its `priority` when a neighbour says of too much that it is urgent.
    """

    __slots__ = (
        *("body", "born_us", "covered", "due_us", "name", "own", "priority", "rank", "reach"),
        *("sends", "source", "tag"),
    )

    def __init__(self, body: bytes, priority: int, born_us: int, source: bytes = b"") -> None:
        self.name = name_of(body)
        self.tag = tag_of(body)
        self.body = body
        self.source = source
        self.priority = self.rank = priority
        self.born_us = born_us
        self.covered: set[bytes] = set()
        self.due_us: int | None = None
        self.reach = 0
        self.sends = 0
        self.own = False


class Store:
    """Objects by name."""

    def __init__(self, window_us: int) -> None:
        self.by_name: dict[bytes, HeldObject] = {}
        self._window_us = window_us

    def add(self, held: HeldObject, now: int) -> bool:
        """Take an object; False when nothing gives way to it."""
        if len(self.by_name) >= HELD_MAX:
            kept = list(self.recent(now))
            worst = _worst(held, kept)
            if len(kept) >= HELD_MAX and worst is held:
                return False
            if len(kept) >= HELD_MAX:
                del self.by_name[worst.name]
        self.by_name[held.name] = held
        return True

    def tagged(self, tags: Container[bytes]) -> list[HeldObject]:
        """Return the objects with these tags; one tag may stand for several."""
        return [held for held in self.by_name.values() if held.tag in tags]

    def recent(self, now: int) -> Iterator[HeldObject]:
        """Yield all objects; what is too old is let go."""
        for held in list(self.by_name.values()):
            if now - held.born_us > self._window_us:
                del self.by_name[held.name]
            else:
                yield held


def _worst(held: HeldObject, kept: list[HeldObject]) -> HeldObject:
    """Return what goes for an object, itself perhaps: of what one neighbour brought, who has most.

    An own one goes only for another own one, when there is nothing else.
    """
    shares: dict[bytes, list[HeldObject]] = {} if held.own else {held.source: [held]}
    for one in kept:
        if not one.own:
            shares.setdefault(one.source, []).append(one)
    most = max(shares.values(), key=len, default=[held, *kept])
    return max(most, key=_worth)


def _worth(held: HeldObject) -> tuple[int, int]:
    return held.priority, -held.born_us


class Want:
    """An object that a neighbour listed and this node has not."""

    __slots__ = ("due_us", "left", "lister")

    def __init__(self, lister: bytes, due_us: int) -> None:
        self.lister = lister
        self.due_us = due_us
        self.left = WANTS_MAX


class Wanted:
    """What this node misses, by tag, and whose listings led nowhere."""

    def __init__(self, want_us: int, rng: Random) -> None:
        self.by_tag: dict[bytes, Want] = {}
        self._vain: dict[bytes, int] = {}
        self._want_us = want_us
        self._rng = rng

    def add(self, lister: bytes, tag: bytes, due_us: int) -> DropReason | None:
        """Ask for an object later on; return why not, if so."""
        if self._vain.get(lister, 0) >= VAIN_MAX:
            return DropReason.CAST_VAIN
        if len(self.by_tag) >= WANTED_MAX:
            return DropReason.CAST_WANTS_FULL
        self.by_tag[tag] = Want(lister, due_us)
        return None

    def came(self, tag: bytes) -> None:
        """Note that an object is here."""
        want = self.by_tag.pop(tag, None)
        if want is not None:
            self._vain.pop(want.lister, None)

    def later(self, tag: bytes, now: int) -> None:
        """Wait: a neighbour has just asked for the same."""
        want = self.by_tag.get(tag)
        if want is not None:
            wait_us = self._rng.randint(self._want_us, 2 * self._want_us)
            want.due_us = max(want.due_us, now + wait_us)

    def asked(self, tags: tuple[bytes, ...], now: int) -> None:
        """Note that this node has asked; who asked often enough gives up."""
        for tag in tags:
            want = self.by_tag.get(tag)
            if want is None:
                continue
            want.left -= 1
            want.due_us = now + self._rng.randint(2 * self._want_us, 4 * self._want_us)
            if not want.left:
                del self.by_tag[tag]
                self._blame(want.lister)

    def due(self, now: int) -> list[bytes]:
        """Return what to ask for now: nothing, or all whose time is near."""
        if not any(want.due_us <= now for want in self.by_tag.values()):
            return []
        return self.soon(now)

    def soon(self, now: int) -> list[bytes]:
        """Return what to ask for in a frame that goes anyway."""
        limit_us = now + self._want_us
        return [tag for tag, want in self.by_tag.items() if want.due_us <= limit_us]

    def _blame(self, lister: bytes) -> None:
        if lister not in self._vain and len(self._vain) >= LISTERS_MAX:
            del self._vain[next(iter(self._vain))]
        self._vain[lister] = self._vain.get(lister, 0) + 1
