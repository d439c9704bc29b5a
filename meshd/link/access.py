"""When one radio sends what: slots, a busy channel, and the law.

Enters: frames to send, what was heard, what became of what was sent, `now`. Leaves: one frame at a
time that may go, with its airtime reserved. Frames wait a random number of slots, of a window that
grows with how busy the channel is; where the modem itself listens and waits, it does that part.
Must not know: modems, keys, routes.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from meshd.core.airtime import Modulation
from meshd.core.drops import DropReason, Drops
from meshd.core.errors import UsageError
from meshd.core.law import SubBand
from meshd.link.account import Share, since_us
from meshd.link.ledger import LATE_US, Emission, Ledger, Priority, Reservation
from meshd.link.queue import Outgoing, TransmitQueue, Waiting
from meshd.wire.lora_frame import FrameKind

BUSY_WINDOW_US = 60_000_000
BUSY_SAMPLES_MAX = 1024
TRIES_MAX = 8
_AGAIN_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Manners:
    """How a radio shares the channel.

    slot_symbols, slot_fixed_us   a slot: activity detection, and the way from host to antenna
    window_min, window_max        exponents of the random window, in slots
    listens                       the modem waits for a free channel by itself
    """

    slot_symbols: float = 2.5
    slot_fixed_us: int = 7_600
    window_min: int = 3
    window_max: int = 8
    listens: bool = False


class Go(NamedTuple):
    """A frame may be sealed and sent at once; then `sent` or `not_sent` tells what became of it."""

    outgoing: Outgoing
    airtime_us: int


class _Flight(NamedTuple):
    waiting: Waiting
    reservation: Reservation


class Access:
    """One radio under one rule."""

    def __init__(
        self,
        ledger: Ledger,
        sub_band: SubBand,
        modulation: Modulation,
        *,
        manners: Manners,
        rng: Random,
        drops: Drops,
        link: str,
    ) -> None:
        self._ledger = ledger
        self._sub_band = sub_band
        self._modulation = modulation
        self._manners = manners
        self._rng = rng
        self._drops = drops
        self._link = link
        self._queue = TransmitQueue(drops, link)
        self._busy: deque[tuple[int, int]] = deque(maxlen=BUSY_SAMPLES_MAX)
        self._flight: _Flight | None = None
        # What the ledger holds of this radio. What it held before cannot be told apart by radios.
        self._counted = ledger.past(sub_band)
        self._quiet_us = 0
        self._law_us: int | None = None

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def aloft(self) -> Outgoing | None:
        """The frame that is with the modem."""
        return self._flight.waiting.outgoing if self._flight is not None else None

    def waits(self, kind: FrameKind) -> bool:
        """Tell whether a frame of this kind waits to be sent."""
        return any(waiting.outgoing.kind is kind for waiting in self._queue)

    @property
    def slot_us(self) -> int:
        """Return the length of a slot."""
        manners = self._manners
        return int(manners.slot_symbols * self._modulation.symbol_us) + manners.slot_fixed_us

    # --- what goes in -----------------------------------------------------------------------------

    def send(self, outgoing: Outgoing, now: int) -> bool:
        """Queue an own frame, or an urgent answer; False when there was no room for it."""
        self._law_us = None
        wait_us = 0
        if not self._manners.listens:
            urgent = outgoing.priority is Priority.DISTRESS
            wait_us = self._slots(self._manners.window_min) if urgent else self._own_wait_us(now)
        return self._queue.put(outgoing, now + wait_us)

    def heard(self, airtime_us: int, now: int) -> None:
        """The channel was taken for so long until now; whoever waits for it waits anew."""
        self._busy.append((now, airtime_us))
        if not self._manners.listens:
            self._quiet_us = max(self._quiet_us, now + self._slots(self._manners.window_min))

    def holds(self, outgoing: Outgoing) -> bool:
        """Tell whether a frame waits here or is with the modem."""
        return self.carries(outgoing) or any(one.outgoing is outgoing for one in self._queue)

    def carries(self, outgoing: Outgoing) -> bool:
        """Tell whether a frame is with the modem."""
        return self._flight is not None and self._flight.waiting.outgoing is outgoing

    def exchange(self, outgoing: Outgoing, other: Outgoing | None) -> None:
        """Send another frame in the place of one that waits here, or none."""
        for waiting in self._queue:
            if waiting.outgoing is outgoing:
                if other is None:
                    self._queue.remove(waiting)
                else:
                    waiting.outgoing = other
                self._law_us = None
                return

    def free_us(self, airtime_us: int, share: Share, priority: Priority, now: int) -> int:
        """Return when law and shares let so much go: now, or later."""
        bandwidth_hz = self._modulation.bandwidth_hz
        emission = Emission(self._sub_band, bandwidth_hz, airtime_us, share, priority)
        return self._ledger.free_us(emission, now)

    # --- what comes out ---------------------------------------------------------------------------

    def poll_timeout(self) -> int | None:
        """Return when `poll_go` makes sense next, in µs; None: not before something else happens.

        While a frame is with the modem, its end is awaited.
        """
        if self._flight is not None or not len(self._queue):
            return None
        ready_us = min(min(waiting.ready_us, waiting.expires_us) for waiting in self._queue)
        if self._law_us is not None:
            ready_us = max(ready_us, self._law_us)
        return max(ready_us, self._quiet_us)

    def poll_go(self, now: int, airtime_us_of: Callable[[int], int]) -> Go | None:
        """Return a frame that may go now, its airtime reserved, or None.

        `airtime_us_of(size)` is the modem's. Call it too once the ledger's state is stored.
        """
        self._queue.expire(now)
        if self._flight is not None or now < self._quiet_us:
            return None
        wait_us: list[int] = []
        for waiting in self._queue.in_order(now):
            outgoing = waiting.outgoing
            airtime_us = airtime_us_of(outgoing.size)
            emission = Emission(
                self._sub_band,
                self._modulation.bandwidth_hz,
                airtime_us,
                outgoing.share,
                outgoing.priority,
            )
            answer = self._ledger.reserve(emission, now)
            if isinstance(answer, Reservation):
                self._queue.remove(waiting)
                self._flight = _Flight(waiting, answer)
                self._law_us = None
                return Go(outgoing, airtime_us)
            if answer.reason is DropReason.AIRTIME_TOO_LONG:
                self._queue.remove(waiting)
                self._drops.count(answer.reason, self._link)
                continue
            wait_us.append(answer.at_us if answer.at_us is not None else now + _AGAIN_US)
        self._law_us = min(wait_us, default=None)
        return None

    def sent(self, now: int, airtime_us: int | None = None) -> Outgoing:
        """The frame is on the air no more; it took so long, None: as reckoned. Return it."""
        waiting, reservation = self._landed()
        self._ledger.settle(reservation.number, now, airtime_us=airtime_us)
        took_us = reservation.airtime_us if airtime_us is None else airtime_us
        self._counted.add(waiting.outgoing.share, took_us, now)
        self._queue.served(waiting.outgoing.ingress, took_us)
        self._busy.append((now, took_us))
        if not self._manners.listens:
            self._quiet_us = now + self._own_wait_us(now)
        return waiting.outgoing

    def not_sent(self, now: int, *, reason: DropReason, maybe: bool = False) -> Outgoing | None:
        """The frame did not go out, or nobody knows (`maybe`). It is tried again a few times.

        One that may have gone out is not: its copies would be others' work. Returns: the frame
        when it is not tried again.
        """
        waiting, reservation = self._landed()
        airtime_us = None if maybe else 0
        self._ledger.settle(reservation.number, now, airtime_us=airtime_us, maybe=maybe)
        if maybe:
            share = waiting.outgoing.share
            self._counted.add(share, reservation.airtime_us, now + LATE_US)
        waiting.tries += 1
        if maybe or waiting.tries >= TRIES_MAX:
            self._drops.count(reason, self._link)
            return waiting.outgoing
        self._quiet_us = max(self._quiet_us, now + self._own_wait_us(now))
        self._queue.put_back(waiting)
        return None

    def board_aired(self, hour_us: int, up_us: int, now: int) -> None:
        """The board was on the air so long in its hour, or since it has power: count the rest."""
        self._counted.expire(now)
        known_us = since_us(self._counted, now - up_us)
        if self._flight is not None:
            known_us += self._flight.reservation.airtime_us
        if hour_us > known_us:
            self._ledger.charge(self._sub_band, hour_us - known_us, now)
            self._counted.add(Share.UNKNOWN, hour_us - known_us, now)

    # --- inside -----------------------------------------------------------------------------------

    def _landed(self) -> _Flight:
        if self._flight is None:
            raise UsageError("no frame is with the modem")
        flight, self._flight = self._flight, None
        return flight

    def busy(self, now: int) -> float:
        """Return the share of the last minute that own frames and those heard took."""
        while self._busy and self._busy[0][0] <= now - BUSY_WINDOW_US:
            self._busy.popleft()
        return min(sum(airtime_us for _, airtime_us in self._busy) / BUSY_WINDOW_US, 1.0)

    def _own_wait_us(self, now: int) -> int:
        """Return a random wait out of a window that grows with how busy the channel was."""
        manners = self._manners
        span = manners.window_max - manners.window_min
        return self._slots(manners.window_min + round(self.busy(now) * span))

    def _slots(self, exponent: int) -> int:
        return self._rng.randint(0, (1 << exponent) - 1) * self.slot_us
