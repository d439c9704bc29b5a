"""How much of the time one radio tells objects, and how much of that for whom.

Enters: how much of the channel is taken, what frames went out with which objects. Leaves: whether
an object waits. What others brought is told on in fair parts: the hour of a relay is the law's, and
what one neighbour has spent of it is not there for another. So nobody's objects, messages and
packets take more than what is left for everybody else: alone a half, each of two a third; distress
is counted for itself.
Must not know: frames, who listens, when anything else is due.
"""

from collections.abc import Iterable
from random import Random

from meshd.core.law import HOUR_US
from meshd.forwarding.objects import HeldObject
from meshd.wire.lora_items import OBJECT_HEAD

SHED = (2.0, 2.0, 0.6, 0.5, 0.45)
"""While more of the channel is taken than that, own objects of a priority are not told."""
BEGUN = 0.2
"""How much more must be taken until those of others are not told on: what is begun is finished."""

LOOK_AGAIN_US = 20_000_000

PACED = 0.25
PART = 0.8
"""While more than `PACED` is taken, a node sends no more than its equal part of `PART` of the time,
one among all that tell objects: more at once would collide, and be sent again."""

SLOTS = 12
SLOT_US = HOUR_US // SLOTS
SOURCES_MAX = 128
"""Who has spent least is forgotten first."""


def part_of(source: bytes, *, urgent: bool = False) -> object:
    """Return whose part something takes; distress has one of its own."""
    return source, urgent


class RelayParts:
    """What each neighbour brought, of any kind, took of an hour's relaying, told apart by `key`."""

    def __init__(self, relayed_us: int) -> None:
        self._relayed_us = relayed_us
        self._slots: dict[int, dict[object, int]] = {}
        self._spent_us: dict[object, int] = {}
        self._all_us = 0

    def took(self, key: object, airtime_us: int, now: int) -> None:
        """Note what was told on."""
        if key not in self._spent_us and len(self._spent_us) >= SOURCES_MAX:
            self._forget(min(self._spent_us, key=lambda one: self._spent_us[one]))
        slot = self._slots.setdefault(now // SLOT_US, {})
        slot[key] = slot.get(key, 0) + airtime_us
        self._add(key, airtime_us)

    def expire(self, now: int) -> None:
        """Forget what is older than an hour."""
        for number in [one for one in self._slots if one + SLOTS < now // SLOT_US]:
            for key, airtime_us in self._slots.pop(number).items():
                self._add(key, -airtime_us)

    def over(self, key: object, ahead_us: int = 0) -> bool:
        """Tell whether it has had its part: more than is left for all others.

        `ahead_us` is what waits to be sent of it.
        """
        spent_us = self._spent_us.get(key, 0) + ahead_us
        return spent_us > max(self._relayed_us - self._all_us, 0)

    def _add(self, key: object, airtime_us: int) -> None:
        self._spent_us[key] = self._spent_us.get(key, 0) + airtime_us
        self._all_us += airtime_us
        if not self._spent_us[key]:
            del self._spent_us[key]

    def _forget(self, key: object) -> None:
        self._all_us -= self._spent_us.pop(key)
        for slot in self._slots.values():
            slot.pop(key, None)


class Turns:
    """The turns of one radio, and of those whose objects it tells on."""

    def __init__(self, rng: Random, relayed_us: int) -> None:
        """`relayed_us` is what may be told on in an hour."""
        self.load = 0.0
        self.next_us = 0
        self._load_us = 0
        self._rng = rng
        self.parts = RelayParts(relayed_us)

    def loaded(self, share: float, now: int) -> None:
        """Note how much of the channel is taken."""
        self.load, self._load_us = share, now
        self.parts.expire(now)

    def took(self, objects: Iterable[HeldObject], airtime_us: int, tellers: int, now: int) -> None:
        """Note that a frame with objects went out, and how many others tell some of late."""
        sizes = [(held, OBJECT_HEAD + len(held.body)) for held in objects]
        whole = sum(size for _, size in sizes)
        for held, size in sizes:
            if not held.own or held.sends > 1:
                self.parts.took(_key(held), airtime_us * size // whole, now)
        wait_us = round(airtime_us * ((tellers + 1) / PART - 1))
        self.next_us = now + self._rng.randint(wait_us * 3 // 4, wait_us * 5 // 4)

    def sheds(self, held: HeldObject) -> bool:
        """Tell whether an object waits: too much is taken, or of too much its neighbour had."""
        begun = held.sends or not held.own
        if self.load > SHED[held.rank] + (BEGUN if begun else 0.0):
            return True
        return not held.own and self.parts.over(_key(held))

    def when(self, held: HeldObject) -> int | None:
        """Return when to look at an object, None: nothing is to be done."""
        if held.due_us is None or not self.sheds(held):
            return held.due_us
        return max(held.due_us, self._load_us + LOOK_AGAIN_US)


def _key(held: HeldObject) -> object:
    return part_of(held.source, urgent=not held.priority)


def in_turn(waiting: list[HeldObject], now: int) -> list[HeldObject]:
    """Return what goes first: of each urgency, the best of every neighbour's before the next best.

    What is not due yet may ride along, but goes after all that is.
    """
    waiting.sort(key=lambda held: (-held.reach, held.due_us))
    turns: dict[tuple[bool, int, bytes], int] = {}
    order = []
    for place, held in enumerate(waiting):
        early = held.due_us is None or held.due_us > now
        key = (early, held.rank, held.source)
        turn = turns[key] = turns.get(key, -1) + 1
        order.append(((held.rank > 0, early, held.rank, turn, place), held))
    order.sort(key=lambda entry: entry[0])
    return [held for _, held in order]
