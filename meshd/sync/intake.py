"""The inbox: what peers send is worked off in fair turns, a slice at a time.

Enters: records as they arrive. Leaves: one message, or one entry to verify, per turn and session.
Checking a signature costs more than sending junk, so every session has an equal part of the CPU and
of the memory, and a slice ends early enough for routing to go on. A peer that sends more than the
inbox holds was not asked for it: its session is closed.
"""

from collections import deque
from collections.abc import Callable

from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.sync.hub import Hub, Peer, Share
from meshd.wire.sync_messages import Entries, Message, decode

INBOX_BYTES_MAX = 2 * 1024 * 1024
INBOX_RECORDS_MAX = 2048
INBOXES_BYTES_MAX = 12 * 1024 * 1024
"""In all inboxes together; beyond it the session with the fullest inbox is closed."""

SLICE_UNITS = 16
"""Work in one slice, about 5 ms of a Raspberry Pi's core: an entry or small message is one."""
UNIT_BYTES = 4096
"""A large message is a unit more for each so many bytes."""
SLICE_GAP_US = 1_000
"""Pause after a full slice; longer in proportion when the last message was a large one."""

MALFORMED_MAX = 8
"""Records that make no sense before a session is closed."""


class Intake:
    """Inboxes of all sessions and the turn among them."""

    __slots__ = ("_bytes", "_hub", "_malformed", "_on_entry", "_on_message", "_turns")

    def __init__(
        self,
        hub: Hub,
        *,
        on_message: Callable[[Peer, Message, int], Share | None],
        on_entry: Callable[[Share, Entries, int, int], None],
    ) -> None:
        self._hub = hub
        self._on_message = on_message
        self._on_entry = on_entry
        self._turns: deque[Peer] = deque()
        self._bytes = 0
        self._malformed: dict[int, int] = {}

    def receive(self, peer: Peer, record: bytes, now: int) -> None:
        """Take a record; work on it at once when nothing waits."""
        fits = peer.inbox_bytes + len(record) <= INBOX_BYTES_MAX
        if not fits or len(peer.inbox) >= INBOX_RECORDS_MAX:
            self._overflow(peer, now)
            return
        if not peer.inbox and peer.turn is None:
            self._turns.append(peer)
        peer.inbox.append(record)
        peer.inbox_bytes += len(record)
        self._bytes += len(record)
        if self._bytes > INBOXES_BYTES_MAX:
            fullest = max(self._hub.peers.values(), key=lambda each: each.inbox_bytes)
            self._overflow(fullest, now)
        if self._hub.ctx.timers.deadline(("sync", "slice")) is None:
            self.slice(now)

    def session_down(self, peer: Peer) -> None:
        """Throw away what a session left behind."""
        self._malformed.pop(peer.session, None)
        self._empty(peer)

    def slice(self, now: int) -> None:
        """Work off about `SLICE_UNITS`, then let others in."""
        units = 0
        while self._turns and units < SLICE_UNITS:
            peer = self._turns.popleft()
            units += self._turn(peer, now)
            alive = self._hub.peers.get(peer.session) is peer
            if alive and (peer.inbox or peer.turn is not None):
                self._turns.append(peer)
        gap_us = SLICE_GAP_US * max(units, SLICE_UNITS) // SLICE_UNITS
        self._hub.ctx.timers.set(("sync", "slice"), now + gap_us)

    def wake(self, now: int) -> None:
        """Go on with the next slice when its time has come and something waits."""
        if self._turns:
            self.slice(now)

    def _turn(self, peer: Peer, now: int) -> int:
        """Do one thing for a peer; return how many units it cost."""
        if peer.turn is not None:
            share, run, place = peer.turn
            peer.turn = (share, run, place + 1) if place + 1 < len(run.entries) else None
            self._on_entry(share, run, place, now)
            return 1
        record = peer.inbox.popleft()
        peer.inbox_bytes -= len(record)
        self._bytes -= len(record)
        try:
            message = decode(record)
        except WireError:
            self._mistake(peer, now)
            return 1
        if message is None:
            return 1
        source = self._on_message(peer, message, now)
        if not isinstance(message, Entries):
            return 1 + len(record) // UNIT_BYTES
        if source is not None:
            peer.turn = (source, message, 1) if len(message.entries) > 1 else None
            self._on_entry(source, message, 0, now)
        return 1

    def _overflow(self, peer: Peer, now: int) -> None:
        self._hub.drop(DropReason.SYNC_INBOX_FULL, peer)
        self._empty(peer)
        self._hub.sessions.close(peer.session, "floods", now)

    def _empty(self, peer: Peer) -> None:
        self._bytes -= peer.inbox_bytes
        peer.inbox_bytes = 0
        peer.inbox.clear()
        peer.turn = None
        if peer in self._turns:
            self._turns.remove(peer)

    def _mistake(self, peer: Peer, now: int) -> None:
        self._hub.drop(DropReason.SYNC_MALFORMED, peer)
        self._malformed[peer.session] = self._malformed.get(peer.session, 0) + 1
        if self._malformed[peer.session] >= MALFORMED_MAX:
            self._hub.sessions.close(peer.session, "malformed messages", now)
