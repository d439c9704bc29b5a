"""What every rival engine offers: the five verbs of meshd's own node, and two requests.

Enters: frames with their strength, time, requests, and what became of the own frames. Leaves:
frames with their purpose, and events. Engines know no radio and no schedule; `Station` drives them.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

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
