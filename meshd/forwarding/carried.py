"""Direct messages and answers that wait at a node to be passed on: equal parts for each ingress.

Enters: a message or answer with the neighbour that handed it over, its ingress. Leaves: which wait,
who goes next, and to whom. While all places are taken, the last of whoever has most gives way. Must
not know: frames, times of tries.
"""

from typing import NamedTuple

from meshd.core.ids import EVERYONE
from meshd.wire.lora_routes import Answer, Direct

CARRIED_MAX = 64
"""Messages and answers that wait. Own ones (ingress empty) are bounded by their sender, and keep
their place."""

Key = tuple[bytes, int, bool, bytes]
"""Whose message, its number, whether this is its answer, and a mark of its body."""


class Carried:
    """A message or an answer that waits to be passed on, or to be heard passed on.

    `below`: whoever is nearer than that and is heard with it takes it from here: one that was
    called for is wanted of the first that answers. `left_us`: when it last left the air.
    """

    __slots__ = (
        *("below", "destination", "due_us", "flying", "hop_limit", "ingress", "item"),
        *("left_us", "once", "tries", "via"),
    )

    def __init__(
        self,
        item: Direct | Answer,
        destination: bytes,
        hop_limit: int,
        due_us: int,
        *,
        ingress: bytes = b"",
        below: int = 0,
    ) -> None:
        self.item = item
        self.destination = destination
        self.hop_limit = hop_limit
        self.due_us = due_us
        self.ingress = ingress
        self.below = below
        self.left_us = -1
        self.tries = 0
        self.via = b""
        self.flying = False
        self.once = False

    def hop(self, shorts: list[bytes], *, named: int) -> bytes:
        """Return who takes it at this try, of neighbours that are nearer, the best first.

        After `named` tries anybody nearer; a destination that is silent is tried past another.
        """
        direct = shorts[0] == self.destination
        if self.tries <= named or (direct and len(shorts) == 1):
            return shorts[0]
        return shorts[1] if direct else EVERYONE


class Place(NamedTuple):
    """What became of a place that was wanted: taken or not, and whose was given up for it."""

    taken: bool
    gone: Key | None = None


class Places(dict[Key, Carried]):
    """What a node carries, by key."""

    def take(self, key: Key, carried: Carried) -> Place:
        """Give a message of another node a place, if need be that of who has most."""
        if len(self) < CARRIED_MAX:
            self[key] = carried
            return Place(taken=True)
        count = self._waiting()
        most = max(count, key=lambda ingress: count[ingress], default=b"")
        if count.get(most, 0) <= count.get(carried.ingress, 0) + 1:
            return Place(taken=False)
        gone = next(
            one for one in reversed(self) if self[one].ingress == most and not self[one].flying
        )
        del self[gone]
        self[key] = carried
        return Place(True, gone)

    def next(self, ready: list[Key]) -> Key:
        """Return what goes next: whose ingress has least under way, answers, who waited longest."""
        flying: dict[bytes, int] = {}
        for one in self.values():
            flying[one.ingress] = flying.get(one.ingress, 0) + one.flying

        def order(key: Key) -> tuple[int, bool, int, Key]:
            one = self[key]
            return flying[one.ingress], isinstance(one.item, Direct), one.due_us, key

        return min(ready, key=order)

    def _waiting(self) -> dict[bytes, int]:
        """Return how many each neighbour has here, but for what is in a frame already."""
        count: dict[bytes, int] = {}
        for one in self.values():
            if one.ingress and not one.flying:
                count[one.ingress] = count.get(one.ingress, 0) + 1
        return count
