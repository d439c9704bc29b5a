"""LoRa in the air: who hears a frame, what a collision leaves of it, and when a channel seems busy.

Enters: frames that radios transmit, and the loss between two radios. Leaves: `received` at each
radio that understood the frame, `sent` at its sender, and to observers airtime with its purpose.
Knows physics only: no protocol, no law. Time and chance come from outside, so that the same air
serves virtual time and modem emulators in real time.

What is modelled: thermal noise and the signal to noise limit of the spreading factor; half duplex;
capture by 6 dB, and only before the receiver has locked on an earlier preamble; the first symbols
of a preamble may be lost; channel-activity detection that needs symbols, and hears only what the
radio could hear. Not modelled: spreading factors disturbing each other, fading between frames.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from meshd.core.airtime import Modulation, airtime_us, noise_dbm
from meshd.core.errors import UsageError
from meshd.simulation.media.modules import BARE, Module

CAPTURE_DB = 6.0
"""How much stronger a frame must be to survive another of its kind."""

PREAMBLE_NEEDED = 5
"""Symbols of a preamble that a receiver must hear undisturbed to lock on it."""

CAD_SYMBOLS = 4
"""Symbols that channel-activity detection listens to; a frame that began later is missed."""

CAD_DEEPER_DB = 3.0
"""Activity is noticed this far below what can be understood."""

TURNAROUND_US = 600
"""From the end of listening to the first symbol on the air, propagation included."""

RECEIVED, COLLIDED, DEAF, WEAK = "received", "collided", "deaf", "weak"
"""What became of a frame at one radio; deaf: it was sending itself; weak: below the limit."""


class TimeAndChance(Protocol):
    """Virtual or real time, and one random stream a name: a world, a schedule."""

    @property
    def now(self) -> int:
        """Return the time in microseconds."""

    def at(self, when_us: int, action: Callable[..., object], *args: Any) -> None:
        """Call `action(*args)` at a time."""

    def random(self, name: str) -> Random:
        """Return the stream of that name."""


Told = Callable[["Radio", str, int, int], None]
"""Is told of each frame: radio, purpose, bytes on the air, airtime in microseconds."""

Bring = Callable[["Radio", "Radio", bytes, float, float], None]
"""Brings a frame to who understood it: sender, hearer, frame, RSSI, SNR."""


@dataclass(frozen=True, slots=True)
class RadioSetting:
    """How a radio is set. `module` says what becomes of its frames on the air.

    Radios with different sync words do not understand each other; 0x12 is that of private networks.
    """

    modulation: Modulation
    frequency_hz: int = 868_100_000
    tx_dbm: float = 14.0
    noise_figure_db: float = 6.0
    module: Module = BARE
    sync_word: int = 0x12


class Radio:
    """One module on the air. Its owner sets `received` and `sent`; both may transmit at once."""

    __slots__ = (
        *("_air", "_flight", "_present", "fates", "heard_us", "name", "received"),
        *("sent", "sent_frames", "sent_us", "setting"),
    )

    def __init__(self, name: str, setting: RadioSetting) -> None:
        setting.modulation.checked()
        self.name = name
        self.setting = setting
        self.received: Callable[[bytes, float, float], None] = _nothing
        self.sent: Callable[[], None] = _nothing
        self.fates = {RECEIVED: 0, COLLIDED: 0, DEAF: 0, WEAK: 0}
        self.sent_frames = 0
        self.sent_us = 0
        self.heard_us = 0
        self._air: LoraAir | None = None
        self._flight: _Flight | None = None
        self._present: list[_Arrival] = []

    @property
    def sending(self) -> bool:
        """Tell whether a frame of this radio is on the air."""
        return self._flight is not None

    def tune(self, setting: RadioSetting) -> None:
        """Set the radio anew; a frame of its own on the air keeps what it was begun with."""
        setting.modulation.checked()
        self.setting = setting
        if self._air is not None:
            self._air.moved(self)

    def transmit(self, frame: bytes, purpose: str) -> int:
        """Put a frame on the air now; return its airtime in µs.

        Raises: UsageError when it is too long, the radio is sending, or it is on no air.
        """
        if self._air is None:
            raise UsageError(f"radio {self.name} is on no air")
        return self._air.launch(self, frame, purpose)

    def busy(self) -> bool:
        """Tell whether the channel seems taken: by itself, or by what its detection can notice."""
        return self._flight is not None or (self._air is not None and self._air.noticed(self))


class _Flight:
    """A frame on the air."""

    __slots__ = ("arrivals", "end_us", "frame", "sender", "start_us")

    def __init__(self, sender: Radio, frame: bytes, start_us: int, end_us: int) -> None:
        self.sender = sender
        self.frame = frame
        self.start_us = start_us
        self.end_us = end_us
        self.arrivals: list[_Arrival] = []


class _Arrival:
    """A flight as one radio hears it. `held`: the receiver follows it, spoiled or not."""

    __slots__ = ("end_us", "fate", "hearing", "held", "start_us")

    def __init__(self, hearing: "_Hearing", flight: _Flight) -> None:
        self.hearing = hearing
        self.start_us = flight.start_us
        self.end_us = flight.end_us
        self.fate = RECEIVED if hearing.understood else WEAK
        self.held = hearing.understood


class _Hearing:
    """How one radio hears another: fixed until somebody moves."""

    __slots__ = ("noticed", "radio", "rssi_dbm", "snr_db", "understood")

    def __init__(self, radio: Radio, rssi_dbm: float, snr_db: float) -> None:
        margin_db = snr_db - radio.setting.modulation.snr_limit_db
        self.radio = radio
        self.rssi_dbm = rssi_dbm
        self.snr_db = snr_db
        self.understood = margin_db >= 0
        self.noticed = margin_db >= -CAD_DEEPER_DB


class LoraAir:
    """All radios that share an area. `loss_db(sender, hearer)` may differ by direction.

    `strangers` is the share of moments in which detection finds the channel taken by others that
    the simulation does not contain. `bring` may lose, change and delay what arrives.
    """

    def __init__(
        self,
        schedule: TimeAndChance,
        loss_db: Callable[[Radio, Radio], float],
        *,
        strangers: float = 0.0,
        told: Told | None = None,
        bring: Bring | None = None,
    ) -> None:
        self.radios: list[Radio] = []
        self.strangers = strangers
        self.told = told
        self._bring = bring or _straight
        self._schedule = schedule
        self._loss_db = loss_db
        self._hearings: dict[Radio, list[_Hearing]] = {}
        self._random = schedule.random("lora air")

    # --- who is there -----------------------------------------------------------------------------

    def attach(self, radio: Radio) -> None:
        """Take a radio in."""
        radio._air = self
        self.radios.append(radio)
        self._hearings.clear()

    def detach(self, radio: Radio) -> None:
        """Take a radio out: it lost its power. What it was sending is cut off."""
        self.radios.remove(radio)
        self._hearings.clear()
        for arrival in radio._present:
            arrival.fate = DEAF
        radio._present.clear()
        radio._air = None
        if radio._flight is not None:
            for arrival in radio._flight.arrivals:
                arrival.fate = WEAK
            radio._flight = None

    def moved(self, radio: Radio) -> None:
        """Reckon the links of a radio anew; frames on the air keep theirs."""
        if radio._air is not self:
            return
        self._hearings.pop(radio, None)
        for sender, hearings in self._hearings.items():
            hearings[:] = [hearing for hearing in hearings if hearing.radio is not radio]
            hearings += self._hearing(sender, radio)

    def link(self, sender: Radio, hearer: Radio) -> tuple[float, float] | None:
        """Return RSSI and SNR of a direction, or None when nothing can be understood."""
        for hearing in self._hearing(sender, hearer):
            if hearing.understood:
                return hearing.rssi_dbm, hearing.snr_db
        return None

    def audible(self, sender: Radio) -> list[Radio]:
        """Return who understands a radio when nobody else sends."""
        return [hearing.radio for hearing in self._audience(sender) if hearing.understood]

    # --- frames -----------------------------------------------------------------------------------

    def launch(self, sender: Radio, frame: bytes, purpose: str) -> int:
        """Put a frame on the air; `Radio.transmit` calls this."""
        setting = sender.setting
        if len(frame) > setting.module.frame_max:
            what = setting.module.name or "LoRa"
            raise UsageError(
                f"a frame of {len(frame)} bytes; {what} takes {setting.module.frame_max}"
            )
        size = setting.module.on_air(len(frame))
        if sender._flight is not None:
            raise UsageError(f"radio {sender.name} is still sending")
        now = self._schedule.now
        duration_us = airtime_us(setting.modulation, size)
        flight = _Flight(sender, frame, now, now + duration_us)
        sender._flight = flight
        sender.sent_frames += 1
        sender.sent_us += duration_us
        for arrival in sender._present:
            if arrival.end_us > now and arrival.fate is RECEIVED:
                arrival.fate = DEAF
            arrival.held = False
        modulation = setting.modulation
        locked_after_us = modulation.preamble_us
        needed_after_us = max(modulation.preamble - PREAMBLE_NEEDED, 0) * modulation.symbol_us
        for hearing in self._audience(sender):
            arrival = _Arrival(hearing, flight)
            flight.arrivals.append(arrival)
            _meet(arrival, needed_us=now + needed_after_us, lock_us=locked_after_us)
            hearing.radio._present.append(arrival)
        self._schedule.at(flight.end_us, self._land, flight)
        if self.told is not None:
            self.told(sender, purpose, size, duration_us)
        return duration_us

    def noticed(self, radio: Radio) -> bool:
        """Tell whether detection finds a frame; `Radio.busy` asks this."""
        if self.strangers and self._random.random() < self.strangers:
            return True
        if not radio._present:
            return False
        blind_us = CAD_SYMBOLS * radio.setting.modulation.symbol_us + TURNAROUND_US
        now = self._schedule.now
        return any(
            arrival.hearing.noticed and arrival.start_us + blind_us <= now < arrival.end_us
            for arrival in radio._present
        )

    def _land(self, flight: _Flight) -> None:
        """A frame ends: all radios are free of it before anybody is told."""
        good = []
        duration_us = flight.end_us - flight.start_us
        for arrival in flight.arrivals:
            radio = arrival.hearing.radio
            if radio._air is not self:
                continue
            if arrival in radio._present:
                radio._present.remove(arrival)
            radio.fates[arrival.fate] += 1
            if arrival.hearing.understood:
                radio.heard_us += duration_us
            if arrival.fate is RECEIVED:
                good.append(arrival.hearing)
        sender = flight.sender
        if sender._flight is flight:
            sender._flight = None
            sender.sent()
        for hearing in good:
            self._bring(sender, hearing.radio, flight.frame, hearing.rssi_dbm, hearing.snr_db)

    # --- links ------------------------------------------------------------------------------------

    def _audience(self, sender: Radio) -> list[_Hearing]:
        known = self._hearings.get(sender)
        if known is None:
            known = []
            for radio in self.radios:
                known += self._hearing(sender, radio)
            self._hearings[sender] = known
        return known

    def _hearing(self, sender: Radio, hearer: Radio) -> list[_Hearing]:
        """Return how `hearer` hears `sender`: nothing, or one thing."""
        here, there = sender.setting, hearer.setting
        same = (
            here.frequency_hz == there.frequency_hz
            and here.sync_word == there.sync_word
            and _alike(here.modulation, there.modulation)
        )
        if sender is hearer or not same:
            return []
        rssi_dbm = here.tx_dbm - self._loss_db(sender, hearer)
        snr_db = rssi_dbm - noise_dbm(there.modulation.bandwidth_hz, there.noise_figure_db)
        if snr_db < there.modulation.snr_limit_db - CAPTURE_DB:
            return []
        return [_Hearing(hearer, rssi_dbm, snr_db)]


def _meet(new: _Arrival, *, needed_us: int, lock_us: int) -> None:
    """Settle what a new frame and those already at its receiver do to each other.

    `needed_us` is when the new frame's preamble must be undisturbed from; `lock_us` the time from
    the start of a frame until its receiver can no longer be won over by a stronger one.
    """
    radio = new.hearing.radio
    own = radio._flight
    if own is not None and own.end_us > needed_us:
        new.held = False
        if new.fate is RECEIVED:
            new.fate = DEAF
    rssi_dbm, now = new.hearing.rssi_dbm, new.start_us
    for old in radio._present:
        if old.end_us <= now:
            continue
        stronger_db = rssi_dbm - old.hearing.rssi_dbm
        if old.end_us > needed_us:
            locked = old.held and now >= old.start_us + lock_us
            if (locked or stronger_db < CAPTURE_DB) and new.fate is RECEIVED:
                new.fate = COLLIDED
            if locked:
                new.held = False
        if stronger_db > -CAPTURE_DB and old.fate is RECEIVED:
            old.fate = COLLIDED
            if stronger_db >= CAPTURE_DB and now < old.start_us + lock_us:
                old.held = False


def _alike(one: Modulation, other: Modulation) -> bool:
    """Coding rate is told in each frame's header, and preambles of any length are heard."""
    return one[:2] == other[:2]


def _straight(_: Radio, hearer: Radio, frame: bytes, rssi_dbm: float, snr_db: float) -> None:
    hearer.received(frame, rssi_dbm, snr_db)


def _nothing(*_: object) -> None:
    """Nobody listens yet."""
