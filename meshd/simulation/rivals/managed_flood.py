"""Managed flooding, as Meshtastic does it: everybody repeats, the far first, unless another did.

Enters and leaves: see `engine`. Knows its own frames and the modulation, for waits are counted in
its symbols. Ref: `docs/decisions/0004-lora-medium.md` says what was taken from which description.

A message waits a random number of slots out of a window. For an own one the window grows with the
share of time that the channel was taken; for a repeated one with the SNR it came in with, so that
who heard it weakly, likely far away, goes first. Whoever hears a copy meanwhile drops its own. The
sender takes any copy for an acknowledgement and tries again without one. A direct message floods
alike; its receiver answers with an acknowledgement that floods back.
"""

from collections import deque
from dataclasses import dataclass
from random import Random
from struct import Struct
from typing import NamedTuple

from meshd.core.airtime import Modulation, airtime_us
from meshd.core.timers import Timers
from meshd.simulation.rivals.engine import (
    ACK,
    DATA,
    QUEUE_MAX,
    RELAY,
    Delivered,
    Event,
    Frame,
    Seen,
    Settled,
)

_HEADER = Struct(">IIIBBBB")
_BODY = Struct(">BI3x")
OVERHEAD_BYTES = _HEADER.size + _BODY.size
"""16 of header, and 8 that the encoding of the payload takes."""

_ALL = 0xFFFFFFFF
_HOPS_MASK = 0x07
_WANT_ACK = 0x08
_KIND_DATA, _KIND_ACK = 1, 2
_UTILISATION_BUCKETS = 6
_BUCKET_US = 10_000_000


@dataclass(frozen=True, slots=True)
class Rules:
    """The constants; those of firmware 2.8.0 unless said otherwise.

    slot_symbols, slot_fixed_us   a slot: detection takes two symbols and a half, then turnaround
    window_min, window_max        exponents of the window, in slots
    snr_min_db, snr_max_db        the strengths that get the smallest and the largest window
    offset_slots                  who is no router lets routers go first when repeating
    processing_us                 what a retry grants receivers on top of airtime and windows
    utilisation_max               share of the channel above which no own message starts, or None
    """

    slot_symbols: float = 2.5
    slot_fixed_us: int = 7_600
    window_min: int = 3
    window_max: int = 8
    snr_min_db: float = -20.0
    snr_max_db: float = 10.0
    offset_slots: int = 16
    hop_limit: int = 3
    retries: int = 3
    processing_us: int = 4_500_000
    utilisation_max: float | None = None


FIRMWARE_2_8 = Rules()


class _Packet(NamedTuple):
    to: int
    origin: int
    number: int
    hops_left: int
    want_ack: bool
    kind: int
    about: int
    payload: bytes

    @property
    def key(self) -> tuple[int, int]:
        return self.origin, self.number

    def encode(self, relay: int) -> bytes:
        flags = self.hops_left | (_WANT_ACK if self.want_ack else 0) | self.hops_left << 5
        head = _HEADER.pack(self.to, self.origin, self.number, flags, 8, 0, relay & 0xFF)
        return head + _BODY.pack(self.kind, self.about) + self.payload

    @classmethod
    def decode(cls, data: bytes) -> "_Packet | None":
        if len(data) < OVERHEAD_BYTES:
            return None
        to, origin, number, flags, _, _, _ = _HEADER.unpack_from(data)
        kind, about = _BODY.unpack_from(data, _HEADER.size)
        if kind not in (_KIND_DATA, _KIND_ACK):
            return None
        want_ack = bool(flags & _WANT_ACK)
        hops = flags & _HOPS_MASK
        return cls(to, origin, number, hops, want_ack, kind, about, data[OVERHEAD_BYTES:])


class _Waiting(NamedTuple):
    """A packet in the queue; `snr_db` of the copy it repeats, None for an own one."""

    packet: _Packet
    purpose: str
    snr_db: float | None


class _Retry(NamedTuple):
    packet: _Packet
    left: int


class ManagedFlood:
    """One station. `router` repeats early and even if another did."""

    def __init__(
        self,
        number: int,
        modulation: Modulation,
        random: Random,
        *,
        rules: Rules = FIRMWARE_2_8,
        router: bool = False,
    ) -> None:
        self.number = number
        self.rules = rules
        self.router = router
        self._modulation = modulation
        self._random = random
        self._slot_us = round(rules.slot_symbols * modulation.symbol_us) + rules.slot_fixed_us
        self._next = random.getrandbits(32)
        self._seen = Seen()
        self._queue: list[_Waiting] = []
        self._ready = False
        self._retries: dict[int, _Retry] = {}
        self._timers = Timers()
        self._events: deque[Event] = deque()
        self._buckets: deque[tuple[int, int]] = deque(maxlen=_UTILISATION_BUCKETS)

    # --- requests ---------------------------------------------------------------------------------

    def send_broadcast(self, payload: bytes, now: int) -> int:
        """Send to all; any copy heard is the acknowledgement."""
        return self._send(_ALL, payload, now)

    def send_direct(self, to: int, payload: bytes, now: int) -> int:
        """Send to one; a copy or the receiver's acknowledgement ends the retries."""
        return self._send(to, payload, now)

    # --- the five verbs ---------------------------------------------------------------------------

    def receive(self, data: bytes, rssi_dbm: float, snr_db: float, now: int) -> None:
        """Take a frame; what is no packet is left alone."""
        self._count_airtime(airtime_us(self._modulation, len(data)), now)
        packet = _Packet.decode(data)
        if packet is None:
            return
        if packet.origin == self.number:
            self._settle(packet.number, acknowledged=True)
            self._cancel(packet.key, now)
        elif self._seen.add(packet.key):
            if not self.router:
                self._cancel(packet.key, now)
        else:
            self._take(packet, snr_db, now)

    def handle_timeout(self, now: int) -> None:
        """Let the head of the queue go, and try again what nobody repeated."""
        for key in self._timers.expired(now):
            if key[0] == "queue":
                self._ready = True
            else:
                self._try_again(int(str(key[1])), now)

    def poll_timeout(self) -> int | None:
        """Return when something is due."""
        head = self._timers.next()
        return head[0] if head else None

    def poll_transmit(self) -> Frame | None:
        """Return the head of the queue once its wait is over."""
        if not self._ready or not self._queue:
            return None
        head = self._queue[0]
        return Frame(head.packet.encode(self.number), head.purpose)

    def poll_event(self) -> Event | None:
        """Return the next event."""
        return self._events.popleft() if self._events else None

    def refused(self, frame: Frame, now: int) -> None:
        """Draw a new wait: the channel was busy."""
        self._ready = False
        self._arm(now)

    def sent(self, airtime_us: int, now: int) -> None:
        """Go on to the next in the queue."""
        self._count_airtime(airtime_us, now)
        self._ready = False
        del self._queue[:1]
        self._arm(now)

    # --- packets ----------------------------------------------------------------------------------

    def _send(self, to: int, payload: bytes, now: int) -> int:
        number = self._next = (self._next + 1) & 0xFFFFFFFF
        packet = _Packet(
            to, self.number, number, self.rules.hop_limit, True, _KIND_DATA, 0, payload
        )
        limit = self.rules.utilisation_max
        if limit is not None and self._utilisation(now) > limit:
            self._events.append(Settled(number, False))
            return number
        self._retries[number] = _Retry(packet, self.rules.retries)
        self._enqueue(_Waiting(packet, DATA, None), now)
        self._timers.set(("retry", number), now + self._retry_us(packet, now))
        return number

    def _take(self, packet: _Packet, snr_db: float, now: int) -> None:
        """Handle a packet that was not heard before."""
        if packet.to == self.number and packet.kind == _KIND_ACK:
            self._settle(packet.about, acknowledged=True)
            return
        if packet.kind == _KIND_DATA and packet.to in (self.number, _ALL):
            self._events.append(Delivered(packet.origin, packet.number, packet.payload))
        if packet.to == self.number:
            if packet.want_ack:
                self._acknowledge(packet, now)
        elif packet.hops_left > 0:
            copy = packet._replace(hops_left=packet.hops_left - 1)
            self._enqueue(_Waiting(copy, RELAY, snr_db), now)

    def _acknowledge(self, packet: _Packet, now: int) -> None:
        number = self._next = (self._next + 1) & 0xFFFFFFFF
        hops = self.rules.hop_limit
        answer = _Packet(
            packet.origin, self.number, number, hops, False, _KIND_ACK, packet.number, b""
        )
        self._enqueue(_Waiting(answer, ACK, None), now)

    def _try_again(self, number: int, now: int) -> None:
        retry = self._retries.get(number)
        if retry is None:
            return
        if not retry.left:
            self._settle(number, acknowledged=False)
            return
        self._retries[number] = retry._replace(left=retry.left - 1)
        self._enqueue(_Waiting(retry.packet, DATA, None), now)
        self._timers.set(("retry", number), now + self._retry_us(retry.packet, now))

    def _settle(self, number: int, *, acknowledged: bool) -> None:
        if self._retries.pop(number, None) is None:
            return
        self._timers.cancel(("retry", number))
        self._events.append(Settled(number, acknowledged))

    # --- the queue and its waits ------------------------------------------------------------------

    def _enqueue(self, waiting: _Waiting, now: int) -> None:
        if len(self._queue) >= QUEUE_MAX:
            return
        self._queue.append(waiting)
        if len(self._queue) == 1:
            self._arm(now)

    def _cancel(self, key: tuple[int, int], now: int) -> None:
        """Drop the pending copy of a packet, unless it is on the air already."""
        for place, waiting in enumerate(self._queue):
            if waiting.packet.key == key and not (place == 0 and self._ready):
                del self._queue[place]
                if place == 0:
                    self._arm(now)
                return

    def _arm(self, now: int) -> None:
        """Draw the wait of the head of the queue."""
        if not self._queue:
            self._timers.cancel(("queue",))
            return
        snr_db = self._queue[0].snr_db
        slots = self._own_slots(now) if snr_db is None else self._relay_slots(snr_db)
        self._timers.set(("queue",), now + slots * self._slot_us)

    def _own_slots(self, now: int) -> int:
        return self._random.randrange(1 << self._own_window(now))

    def _own_window(self, now: int) -> int:
        rules = self.rules
        span = rules.window_max - rules.window_min
        return rules.window_min + int(min(self._utilisation(now), 1.0) * span)

    def _relay_slots(self, snr_db: float) -> int:
        rules = self.rules
        reach = (snr_db - rules.snr_min_db) / (rules.snr_max_db - rules.snr_min_db)
        span = rules.window_max - rules.window_min
        window = rules.window_min + int(min(max(reach, 0.0), 1.0) * span)
        if self.router:
            return self._random.randrange(2 * window)
        return rules.offset_slots + self._random.randrange(1 << window)

    def _retry_us(self, packet: _Packet, now: int) -> int:
        rules = self.rules
        size = OVERHEAD_BYTES + len(packet.payload)
        middle = (rules.window_max + rules.window_min) // 2
        slots = (1 << self._own_window(now)) + rules.offset_slots + (1 << middle)
        air_us = airtime_us(self._modulation, size)
        return 2 * air_us + slots * self._slot_us + rules.processing_us

    # --- how busy the channel is ------------------------------------------------------------------

    def _count_airtime(self, length_us: int, now: int) -> None:
        bucket = now // _BUCKET_US
        if self._buckets and self._buckets[-1][0] == bucket:
            self._buckets[-1] = (bucket, self._buckets[-1][1] + length_us)
        else:
            self._buckets.append((bucket, length_us))

    def _utilisation(self, now: int) -> float:
        """Return the share of the last minute that frames took, heard or sent."""
        oldest = now // _BUCKET_US - _UTILISATION_BUCKETS
        taken = sum(length for bucket, length in self._buckets if bucket > oldest)
        return taken / (_UTILISATION_BUCKETS * _BUCKET_US)
