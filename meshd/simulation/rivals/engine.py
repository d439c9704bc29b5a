"""What every rival engine offers: the five verbs of meshd's own node, and two requests.

Enters: frames with their strength, time, requests, and what became of the own frames. Leaves:
frames with their purpose, and events. Engines know no radio and no schedule; `Station` drives them.
Beside it what two or three of them share: memory of messages, a queue of frames with their times.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import NamedTuple, Protocol

from meshd.core.timers import Timers

DATA, RELAY, ACK, CONTROL = "data", "relay", "ack", "control"
QUEUE_MAX = 16
"""Frames that wait in a station; more are lost, as in the modules that run the rivals."""

SEEN_MAX = 512
"""Messages that a station remembers to have seen."""


class Frame(NamedTuple):
    """Something to send now, and what for."""

    data: bytes
    purpose: str


class Delivered(NamedTuple):
    """A message of `origin` arrived here for the first time."""

    origin: int
    message: int
    payload: bytes


class Settled(NamedTuple):
    """An own message was acknowledged (by the standards of the protocol), or given up."""

    message: int
    acknowledged: bool


Event = Delivered | Settled


class Engine(Protocol):
    """One station's protocol. `now` is microseconds; nodes are numbers from 0."""

    number: int

    def send_broadcast(self, payload: bytes, now: int) -> int:
        """Send to all; return the number of the message."""

    def send_direct(self, to: int, payload: bytes, now: int) -> int:
        """Send to one; return the number of the message. `Settled` tells the acknowledgement."""

    def receive(self, data: bytes, rssi_dbm: float, snr_db: float, now: int) -> None:
        """Take a frame."""

    def handle_timeout(self, now: int) -> None:
        """Do what is due."""

    def poll_timeout(self) -> int | None:
        """Return when `handle_timeout` is wanted next."""

    def poll_transmit(self) -> Frame | None:
        """Return the frame to send now; the station asks only while its radio is free."""

    def poll_event(self) -> Event | None:
        """Return the next event."""

    def refused(self, frame: Frame, now: int) -> None:
        """Take back a frame: the channel was busy."""

    def sent(self, airtime_us: int, now: int) -> None:
        """Learn that the own frame has left the air."""


class Seen:
    """How often each message was heard; the oldest is forgotten first."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[tuple[int, int], int] = {}

    def __contains__(self, key: tuple[int, int]) -> bool:
        return key in self._counts

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, key: tuple[int, int]) -> int:
        """Count one more; return how often it was heard before."""
        before = self._counts.get(key, 0)
        if not before and len(self._counts) >= SEEN_MAX:
            del self._counts[next(iter(self._counts))]
        self._counts[key] = before + 1
        return before


class _Waiting(NamedTuple):
    due_us: int
    order: int
    frame: Frame


class Queue:
    """Frames that wait, each for its time, and the one that is on the air."""

    __slots__ = ("_flying", "_heap", "_order", "silent_until_us")

    def __init__(self) -> None:
        self.silent_until_us = 0
        """Nothing leaves before."""
        self._heap: list[_Waiting] = []
        self._flying: _Waiting | None = None
        self._order = 0

    def __len__(self) -> int:
        return len(self._heap)

    def has_room(self) -> bool:
        """Tell whether one more can wait here."""
        return len(self._heap) < QUEUE_MAX

    def add(self, frame: Frame, due_us: int) -> None:
        """Let a frame wait for its time."""
        self._order += 1
        heappush(self._heap, _Waiting(due_us, self._order, frame))

    def next_us(self) -> int | None:
        """Return when the next may leave; none may while one is on the air."""
        if self._flying is not None or not self._heap:
            return None
        return max(self._heap[0].due_us, self.silent_until_us)

    def take(self, now: int) -> Frame | None:
        """Return the earliest whose wait is over; it is on the air until it is sent or put back."""
        if not self._heap or max(self._heap[0].due_us, self.silent_until_us) > now:
            return None
        self._flying = heappop(self._heap)
        return self._flying.frame

    def put_back(self, due_us: int = 0) -> None:
        """Take the frame back from the air: it waits until `due_us`, or goes before all others."""
        if self._flying is not None:
            heappush(self._heap, self._flying._replace(due_us=due_us or self._flying.due_us))
        self._flying = None

    def sent(self) -> None:
        """Forget the frame that was on the air."""
        self._flying = None


class Queued:
    """What engines share whose frames wait in one queue: timers, memory, the verbs that poll."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._now = 0
        self._seen = Seen()
        self._queue = Queue()
        self._timers = Timers()
        self._events: deque[Event] = deque()

    def poll_timeout(self) -> int | None:
        """Return when something is due; while a frame flies, no other is."""
        head = self._timers.next()
        return earliest(head[0] if head else None, self._queue.next_us())

    def poll_transmit(self) -> Frame | None:
        """Return the earliest frame whose wait, and the silence after the last, are over."""
        return self._queue.take(self._now)

    def poll_event(self) -> Event | None:
        """Return the next event."""
        return self._events.popleft() if self._events else None


def earliest(*times_us: int | None) -> int | None:
    """Return the first of the times that there are."""
    return min((one for one in times_us if one is not None), default=None)
