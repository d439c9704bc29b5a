"""Airtime as the law gives it: per sub-band, in any sliding hour, kept across restarts.

Enters: what somebody wants to send, what became of it, `now` of a clock that never runs too fast,
the state of the last run. Leaves: a reservation or what to wait for; state for the store. A frame
is counted when it is reserved, hence before it is sent, and corrected afterwards; one whose modem
fell silent counts as sent.

The disk must not be behind: a restart would give airtime back. So the stored state holds a *claim*
beside what was spent: airtime that may have been used since. Nothing is reserved beyond the claim
on disk, and after a restart the claim counts as spent. Times in the state are those of the boot
that wrote them. In another boot only ages hold: what was so old when the state was written is at
least so old now; so it is also written while nothing is claimed, or who restarts ever again would
have no hour that ends. A damaged state counts as a whole hour spent. An old state put back unseen
is the one thing that this cannot know: whoever learns of it calls `assume_spent`.

Must not know: modems, queues, files.
Ref: docs/wire-format.md#airtime-ledger, docs/regions.md.
"""

from enum import IntEnum
from typing import NamedTuple

from meshd.core.drops import DropReason
from meshd.core.errors import UsageError, WireError
from meshd.core.law import CONTROL_PERCENT, HOUR_US, Law, SubBand
from meshd.link.account import BUCKET_US, Share, Spending
from meshd.wire.ledger_state import (
    ACCOUNTS_MAX,
    BOOT_LEN,
    MICROSECONDS_MAX,
    Account,
    LedgerState,
)

RESERVATIONS_MAX = 64
"""Frames reserved and not settled; a modem has one at a time."""

CLAIM_PARTS = 20
"""A claim is this part of what the law allows in an hour, or one frame."""

SMALL_CLAIMS = 4
"""The first one after a start is halved so often, the next once less, and so on: who is restarted
again and again would have no hour left to say that it is there."""

LATE_US = 60_000_000
"""How much later than anybody knows a silent modem may still send what it was handed."""

AGE_FIRST_US = 20_000_000
AGE_YOUNG_US = 180_000_000
AGE_US = 600_000_000
"""A state is written so long after the last one at the latest: soon while a start is young, then
after twice as long each time up to this. A next boot knows no more of how old things are."""

BOOT_CONTROL_PARTS = 8
"""This part of control's tenth is each boot's own, or one frame, whatever former ones sent: who
never says that it is there has nobody to talk to."""

RELAYED_PERCENT = 60


class Priority(IntEnum):
    """What goes first, and may use up more of the hour."""

    DISTRESS = 0
    TEXT = 1
    MEMBERSHIP = 2
    DOCUMENT = 3
    BULK = 4


CEILING_PERCENT = (100, 95, 90, 80, 60)
"""How much of a share each priority may fill; the rest waits for something more urgent."""


class Emission(NamedTuple):
    """A frame that somebody wants to send: at most this long, under a sub-band's rule."""

    sub_band: SubBand
    bandwidth_hz: int
    airtime_us: int
    share: Share
    priority: Priority


class Reservation(NamedTuple):
    """Airtime is set aside; it is settled exactly once."""

    number: int
    airtime_us: int


class Wait(NamedTuple):
    """Not now. `at_us` is when asking again makes sense; None: not before something else happens.

    AIRTIME_UNSAVED waits for `stored`; with AIRTIME_TOO_LONG the frame can never go.
    """

    reason: DropReason
    at_us: int | None


class Airtime(NamedTuple):
    """One sub-band for status, in µs. `left_us` is for the most urgent of one's own data.

    `shares_us` is what the hour was spent for, by `Share`, without frames under way.
    """

    name: str
    limit_us: int
    spent_15_s_us: int
    spent_hour_us: int
    left_us: int
    shares_us: tuple[int, ...] = ()


class _Held(NamedTuple):
    till: "_Till"
    share: Share
    airtime_us: int


class _Till(Spending):
    """The spending of a present sub-band, what is reserved in it, and what the disk covers."""

    __slots__ = (
        *("claim_us", "claims", "held_us", "pending", "spare_us", "sub_band", "used_us"),
        "wanted_us",
    )

    def __init__(self, sub_band: SubBand) -> None:
        super().__init__(sub_band.low_hz, sub_band.high_hz)
        self.sub_band = sub_band
        self.held_us = [0, 0, 0, 0]
        self.claim_us = self.claims = self.used_us = self.wanted_us = 0
        self.pending: tuple[int, int] | None = None
        self.spare_us = 0

    def holds(self, share: Share) -> int:
        return self.totals_us[share] + self.held_us[share]


class Ledger:
    """One per node: all its radios transmit under it.

    `boot` is 16 bytes that tell this boot of the machine from all others, since `now` starts anew
    with each; `state` is what the store holds, None if it never held any: this store's node has
    never sent.
    """

    def __init__(self, law: Law, *, boot: bytes, now: int, state: bytes | None) -> None:
        if len(boot) != BOOT_LEN:
            raise UsageError(f"a boot is told by {BOOT_LEN} bytes")
        self.law = law
        self._boot = boot
        self._now = max(now, 0)
        self._tills = {(band.low_hz, band.high_hz): _Till(band) for band in law.sub_bands}
        self._elsewhere: dict[tuple[int, int], Spending] = {}
        self._held: dict[int, _Held] = {}
        self._number = 0
        self._saving = 0
        self._saving_now = False
        self._aging_us = AGE_FIRST_US
        self._began_us = self._written_us = self._offered_us = self._now
        if state is not None:
            self._restore(state)

    # --- frames -----------------------------------------------------------------------------------

    def reserve(self, emission: Emission, now: int) -> Reservation | Wait:
        """Set airtime aside for a frame, or say what it must wait for.

        Raises: UsageError for a sub-band that is not the law's, airtime that is none, or when
        nobody settles what was reserved.
        """
        band, bandwidth_hz, airtime_us, share, priority = emission
        till = self._till(band)
        if airtime_us <= 0 or share is Share.UNKNOWN:
            raise UsageError(f"{airtime_us} µs of airtime for {share.name}")
        if len(self._held) >= RESERVATIONS_MAX:
            raise UsageError(f"{RESERVATIONS_MAX} reservations that nobody settled")
        self._expire(now)
        if airtime_us > band.frame_us_max(bandwidth_hz):
            return Wait(DropReason.AIRTIME_TOO_LONG, None)
        refusal = self._refusal(till, airtime_us, share, priority)
        if refusal is not None:
            return refusal
        if band.limited and till.used_us + airtime_us > till.claim_us:
            till.wanted_us = max(till.wanted_us, airtime_us)
            return Wait(DropReason.AIRTIME_UNSAVED, None)
        if share is Share.CONTROL and till.holds(share) + airtime_us > _tenth_us(till):
            till.spare_us = max(till.spare_us - airtime_us, 0)
        till.used_us += airtime_us
        till.held_us[share] += airtime_us
        self._number += 1
        self._held[self._number] = _Held(till, share, airtime_us)
        return Reservation(self._number, airtime_us)

    def free_us(self, emission: Emission, now: int) -> int:
        """Return when law and shares let a frame go: now, or later. Nothing is set aside."""
        till = self._till(emission.sub_band)
        self._expire(now)
        refusal = self._refusal(till, emission.airtime_us, emission.share, emission.priority)
        if refusal is None:
            return now
        return now + HOUR_US if refusal.at_us is None else max(refusal.at_us, now + 1)

    def prepare(self, sub_band: SubBand) -> None:
        """Have a claim stored before the first frame wants one: a radio will send here."""
        till = self._till(sub_band)
        till.wanted_us = max(till.wanted_us, 1)

    def settle(self, number: int, now: int, *, airtime_us: int | None, maybe: bool = False) -> None:
        """Say what became of a reserved frame: the airtime it took, 0 for none, None: as reserved.

        `maybe`: the modem fell silent; the frame counts as sent, and late.

        Raises: UsageError for a reservation that is not open.
        """
        held = self._held.pop(number, None)
        if held is None:
            raise UsageError(f"reservation {number} is not open")
        till, share, reserved_us = held
        if maybe or airtime_us is None:
            airtime_us = max(reserved_us, airtime_us or 0)
        self._expire(now)
        till.held_us[share] -= reserved_us
        till.used_us += airtime_us - reserved_us
        if airtime_us:
            till.add(share, airtime_us, self._now + (LATE_US if maybe else 0))
            till.sent(airtime_us, self._now)

    def charge(self, sub_band: SubBand, airtime_us: int, now: int) -> None:
        """Count airtime that nobody reserved: a board sent by itself."""
        till = self._till(sub_band)
        self._expire(now)
        till.used_us += airtime_us
        till.add(Share.UNKNOWN, airtime_us, self._now)

    def past(self, sub_band: SubBand) -> Spending:
        """Return a copy of what the hour of a sub-band holds."""
        till = self._till(sub_band)
        copy = Spending(till.low_hz, till.high_hz)
        for bucket in till.buckets():
            for share in Share:
                copy.add(share, bucket[1 + share], bucket.number * BUCKET_US)
        return copy

    def assume_spent(self, now: int) -> None:
        """Count all that the law allows as just spent: it is not known what was sent."""
        self._expire(now)
        for till in self._tills.values():
            missing_us = till.sub_band.airtime_us_max - self._spent(till)
            if till.sub_band.limited and missing_us > 0:
                till.add(Share.UNKNOWN, missing_us, self._now + LATE_US)

    # --- status -----------------------------------------------------------------------------------

    def left_us(self, sub_band: SubBand, now: int) -> int:
        """Return what distress may still send in this hour."""
        till = self._till(sub_band)
        self._expire(now)
        return max(sub_band.airtime_us_max - self._spent(till), 0)

    def own_us(self, sub_band: SubBand, priority: Priority, now: int) -> tuple[int, int]:
        """Return what own data of a priority may still send, and what in an hour begun anew."""
        till = self._till(sub_band)
        self._expire(now)
        hour_us = sub_band.airtime_us_max
        most_us = hour_us * CEILING_PERCENT[priority] // 100
        kept_us = max(hour_us * CONTROL_PERCENT // 100 - till.holds(Share.CONTROL), 0)
        spent_us = self._spent(till)
        left_us = min(most_us - kept_us, hour_us) - spent_us
        return max(left_us, 0), most_us - hour_us * CONTROL_PERCENT // 100

    def own_at_us(self, sub_band: SubBand, over_us: int, now: int) -> int:
        """Return when so much of what was sent is older than an hour, at the earliest."""
        if over_us <= 0:
            return now
        till = self._till(sub_band)
        self._expire(now)
        at_us = till.when_free(over_us, share=None)
        return now + BUCKET_US if at_us is None else max(at_us, now)

    def status(self, now: int) -> tuple[Airtime, ...]:
        """Return each sub-band of the region."""
        return tuple(
            Airtime(
                till.sub_band.name,
                till.sub_band.airtime_us_max,
                till.recent_us(now),
                self._spent(till),
                self.left_us(till.sub_band, now),
                tuple(till.totals_us),
            )
            for till in self._tills.values()
        )

    # --- the store --------------------------------------------------------------------------------

    def poll_state(self, now: int) -> tuple[int, bytes] | None:
        """Return a number and state to be stored, or None: nothing waits for it.

        One is under way at a time; `stored` or `store_failed` ends it.
        """
        if self._saving_now:
            return None
        self._expire(now)
        if not self._aged() and not any(self._wanting(till) for till in self._tills.values()):
            return None
        for till in self._tills.values():
            claim_us = till.claim_us - till.used_us
            if self._wanting(till):
                room_us = max(till.sub_band.airtime_us_max - self._spent(till), 0)
                part_us = till.sub_band.airtime_us_max // CLAIM_PARTS
                part_us >>= max(SMALL_CLAIMS - till.claims, 0)
                # Never below what may still be used of the claim before: either may be on disk.
                claim_us = max(claim_us, min(max(part_us, till.wanted_us), room_us))
            till.pending = (max(claim_us, 0), till.used_us)
        self._saving += 1
        self._saving_now = True
        self._offered_us = self._now
        return self._saving, self._state(final=False)

    def final_state(self, now: int) -> bytes:
        """Return state to be stored at an orderly stop; nothing may be reserved any more."""
        self._expire(now)
        for till in self._tills.values():
            till.claim_us = till.used_us = 0
        return self._state(final=True)

    def stored(self, number: int) -> None:
        """A state is durable: its claims may be used."""
        if number != self._saving or not self._saving_now:
            raise UsageError(f"state {number} is not being stored")
        self._saving_now = False
        young = self._offered_us - self._began_us < AGE_YOUNG_US
        if self._offered_us - self._written_us >= self._aging_us and not young:
            self._aging_us = min(2 * self._aging_us, AGE_US)
        self._written_us = self._offered_us
        for till in self._tills.values():
            if till.pending is not None:
                claim_us, used_us = till.pending
                till.claims += claim_us > till.claim_us - used_us
                till.claim_us = claim_us
                till.used_us -= used_us
                till.wanted_us = 0
                till.pending = None

    def store_failed(self, number: int) -> None:
        """A state may or may not be durable; the next one supersedes it."""
        if number == self._saving:
            self._saving_now = False

    # --- inside -----------------------------------------------------------------------------------

    def _till(self, band: SubBand) -> _Till:
        till = self._tills.get((band.low_hz, band.high_hz))
        if till is None or till.sub_band != band:
            where = self.law.region or "no region is chosen; choose one first"
            raise UsageError(f"{band} is not allowed here: {where}")
        return till

    def _expire(self, now: int) -> None:
        self._now = max(self._now, now)
        for till in self._tills.values():
            till.expire(self._now)
        for key, spending in list(self._elsewhere.items()):
            spending.expire(self._now)
            if not spending.total_us:
                del self._elsewhere[key]

    def _spent(self, till: _Till) -> int:
        elsewhere_us = sum(
            spending.total_us
            for spending in self._elsewhere.values()
            if spending.overlaps(till.low_hz, till.high_hz)
        )
        return till.total_us + sum(till.held_us) + elsewhere_us

    def _refusal(
        self, till: _Till, airtime_us: int, share: Share, priority: Priority
    ) -> Wait | None:
        """Return what forbids a frame, the law or the shares."""
        hour_us = till.sub_band.airtime_us_max
        ceiling = CEILING_PERCENT[priority]
        kept_us = 0
        bounds: list[tuple[Share, int]] = []
        if share is Share.CONTROL:
            ceiling = 100
            bounds.append((share, hour_us * CONTROL_PERCENT // 100))
        elif priority is not Priority.DISTRESS:
            kept_us = max(hour_us * CONTROL_PERCENT // 100 - till.holds(Share.CONTROL), 0)
        if share is Share.RELAYED:
            bounds.append((share, hour_us * RELAYED_PERCENT // 100 * ceiling // 100))
            ceiling = 100
        over_us = self._spent(till) + airtime_us - hour_us
        if over_us > 0:
            return self._wait(DropReason.AIRTIME_SPENT, till, None, over_us, airtime_us > hour_us)
        for bounded, most_us in bounds:
            over_us = till.holds(bounded) + airtime_us - most_us
            if over_us > 0 and not (bounded is Share.CONTROL and _spared(till, airtime_us)):
                never = airtime_us > most_us
                return self._wait(DropReason.AIRTIME_SHARE, till, bounded, over_us, never)
        most_us = hour_us * ceiling // 100 - kept_us
        over_us = self._spent(till) + airtime_us - most_us
        if over_us > 0:
            never = airtime_us > hour_us * ceiling // 100
            return self._wait(DropReason.AIRTIME_SHARE, till, None, over_us, never)
        return None

    def _wait(
        self, reason: DropReason, till: _Till, share: Share | None, over_us: int, never: bool
    ) -> Wait:
        if never:
            return Wait(DropReason.AIRTIME_TOO_LONG, None)
        at_us = till.when_free(over_us, share=share)
        # What frees enough may be a frame that is still reserved, or another region's spending.
        return Wait(reason, at_us if at_us is not None else self._now + BUCKET_US)

    def _aged(self) -> bool:
        """Tell whether the disk no longer knows how old things are."""
        if self._now - self._written_us < self._aging_us:
            return False
        return bool(self._elsewhere) or any(
            till.sub_band.limited and till.total_us for till in self._tills.values()
        )

    def _wanting(self, till: _Till) -> bool:
        """Tell whether a claim is used up so far that a new one should be on its way."""
        started = till.wanted_us or till.claim_us
        low = till.wanted_us or 2 * till.used_us > till.claim_us
        return bool(till.sub_band.limited and started and low)

    def _state(self, *, final: bool) -> bytes:
        accounts = []
        for till in self._tills.values():
            claim_us = 0 if final or till.pending is None else till.pending[0]
            claim_us = min(claim_us + sum(till.held_us), MICROSECONDS_MAX)
            if till.total_us or claim_us:
                accounts.append(Account(till.low_hz, till.high_hz, claim_us, till.buckets()))
        for spending in self._elsewhere.values():
            accounts.append(Account(spending.low_hz, spending.high_hz, 0, spending.buckets()))
        return LedgerState(self._boot, max(self._now, 0), tuple(accounts)).encode()

    def _restore(self, data: bytes) -> None:
        try:
            state = LedgerState.decode(data)
        except WireError:
            self.assume_spent(self._now)
            return
        same = state.boot == self._boot and state.now_us <= self._now
        # Rounded up once, for all buckets alike: each boot makes them younger by 30 s at most.
        later = 0 if same else -((state.now_us - self._now) // BUCKET_US)
        last = (self._now + LATE_US) // BUCKET_US + 1
        for account in state.accounts:
            key = (account.low_hz, account.high_hz)
            spending = self._tills.get(key) or self._elsewhere.get(key)
            if spending is None:
                spending = self._elsewhere[key] = Spending(*key)
            for bucket in account.buckets:
                end_us = min(bucket.number + later, last) * BUCKET_US
                for share in Share:
                    spending.add(share, bucket[1 + share], end_us)
            spending.add(Share.UNKNOWN, account.claim_us, self._now + LATE_US)
        if not same:
            for till in self._tills.values():
                till.spare_us = _tenth_us(till) // BOOT_CONTROL_PARTS
        self._expire(self._now)
        if len(self._tills) + len(self._elsewhere) > ACCOUNTS_MAX:
            self._elsewhere.clear()
            self.assume_spent(self._now)


def _spared(till: _Till, airtime_us: int) -> bool:
    """Tell whether a control frame is within what is this boot's own; its first one always is."""
    if till.spare_us == _tenth_us(till) // BOOT_CONTROL_PARTS > 0:
        return airtime_us <= _tenth_us(till)
    return airtime_us <= till.spare_us


def _tenth_us(till: _Till) -> int:
    return till.sub_band.airtime_us_max * CONTROL_PERCENT // 100
