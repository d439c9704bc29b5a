"""What waits to be sent by one radio: by priority, bounded, in equal parts for each ingress.

Enters: frames not sealed yet, so that counters rise in the order of sending. Leaves: them, the most
urgent first and within a priority whoever was served least. What does not fit is the least urgent
of whoever has most waiting. Must not know: airtime law, slots, modems.
"""

from collections.abc import Iterator
from typing import NamedTuple

from meshd.core.drops import DropReason, Drops
from meshd.link.account import Share
from meshd.link.ledger import Priority
from meshd.wire.lora_frame import FrameKind, overhead

QUEUE_MAX = 64
INGRESSES_MAX = QUEUE_MAX + 2

_SECOND_US = 1_000_000
LIFE_US = {
    Priority.DISTRESS: 3600 * _SECOND_US,
    Priority.TEXT: 600 * _SECOND_US,
    Priority.MEMBERSHIP: 600 * _SECOND_US,
    Priority.DOCUMENT: 1800 * _SECOND_US,
    Priority.BULK: 1800 * _SECOND_US,
}
"""How long a frame waits before nobody wants it any more."""


class Outgoing(NamedTuple):
    """A frame to be sealed and sent. `ingress`: the neighbour that handed it over, empty: own."""

    kind: FrameKind
    plaintext: bytes
    share: Share
    priority: Priority
    hop_limit: int = 0
    next_hop: bytes | None = None
    destination: bytes = b""
    ingress: bytes = b""

    @property
    def size(self) -> int:
        """Return its length on the air, without what a module adds."""
        return overhead(self.kind) + len(self.plaintext)


class Waiting:
    """A frame in the queue: when it may go, when it is too late, how often it was tried."""

    __slots__ = ("expires_us", "order", "outgoing", "ready_us", "tries")

    def __init__(self, outgoing: Outgoing, order: int, ready_us: int) -> None:
        self.outgoing = outgoing
        self.order = order
        self.ready_us = ready_us
        self.expires_us = ready_us + LIFE_US[outgoing.priority]
        self.tries = 0


class TransmitQueue:
    """The frames of one radio that are not with its modem yet."""

    def __init__(self, drops: Drops, link: str) -> None:
        self._drops = drops
        self._link = link
        self._waiting: list[Waiting] = []
        self._served_us: dict[bytes, int] = {}
        self._level_us = 0
        self._order = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._waiting)

    def put(self, outgoing: Outgoing, ready_us: int) -> bool:
        """Take a frame that may go from `ready_us` on; False when it was the one to give way."""
        ingress = outgoing.ingress
        if all(one.outgoing.ingress != ingress for one in self._waiting):
            # Whoever had nothing waiting catches up with nobody's past.
            self._serve(ingress, max(self._served_us.get(ingress, 0), self._level_us))
        self._order += 1
        waiting = Waiting(outgoing, self._order, ready_us)
        self._waiting.append(waiting)
        if len(self._waiting) <= QUEUE_MAX:
            return True
        victim = self._victim()
        self.remove(victim)
        self._drops.count(DropReason.LORA_QUEUE_FULL, self._link)
        return victim is not waiting

    def put_back(self, waiting: Waiting) -> None:
        """Take back a frame that did not go out: its place is the one it had."""
        self._waiting.append(waiting)

    def remove(self, waiting: Waiting) -> None:
        """Take a frame out."""
        self._waiting.remove(waiting)

    def expire(self, now: int) -> None:
        """Drop what nobody wants any more."""
        for waiting in [one for one in self._waiting if one.expires_us <= now]:
            self.remove(waiting)
            self._drops.count(DropReason.LORA_QUEUE_LATE, self._link)

    def in_order(self, now: int) -> list[Waiting]:
        """Return what may go now, who goes first first."""
        ready = [waiting for waiting in self._waiting if waiting.ready_us <= now]
        return sorted(
            ready,
            key=lambda one: (
                one.outgoing.priority,
                self._served_us.get(one.outgoing.ingress, 0),
                one.order,
            ),
        )

    def served(self, ingress: bytes, airtime_us: int) -> None:
        """Note that a frame of an ingress went out."""
        before_us = self._served_us.get(ingress, self._level_us)
        self._level_us = max(self._level_us, before_us)
        self._serve(ingress, before_us + airtime_us)

    def _serve(self, ingress: bytes, served_us: int) -> None:
        """Set how far an ingress was served; those who have nothing waiting may be forgotten."""
        if len(self._served_us) >= INGRESSES_MAX:
            waiting = {one.outgoing.ingress for one in self._waiting}
            kept = {one: us for one, us in self._served_us.items() if one in waiting}
            self._served_us = kept
        self._served_us[ingress] = served_us

    def _victim(self) -> Waiting:
        """Return who gives way: of the least urgent, the last of whoever has most waiting."""
        least = max(waiting.outgoing.priority for waiting in self._waiting)
        candidates = [one for one in self._waiting if one.outgoing.priority is least]
        count: dict[bytes, int] = {}
        for one in candidates:
            count[one.outgoing.ingress] = count.get(one.outgoing.ingress, 0) + 1
        return max(candidates, key=lambda one: (count[one.outgoing.ingress], one.order))
