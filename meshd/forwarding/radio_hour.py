"""The hour of all radios of a node: the law they send under, and what each may still send.

Enters: the law and what the disk held, radios to be judged, time. Leaves: states of the ledger to
be stored before they are used, statuses of radios, problems of those that may not send.
Must not know: frames, what is sent.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from meshd.core.context import Context
from meshd.core.errors import UsageError
from meshd.core.events import AirtimeImage, AirtimeSave, RadioLink
from meshd.core.law import HOUR_US, NO_LAW, SubBand
from meshd.core.limits import BEACON_FRAME
from meshd.core.snapshot import Problem, RadioStatus
from meshd.core.timers import Key
from meshd.link.account import Share
from meshd.link.ledger import Airtime, Ledger, Priority
from meshd.link.lora import LoraLink, frame_room
from meshd.wire.ledger_state import BOOT_LEN

SAVE_AGAIN_US = 10_000_000
"""After a failed write the next one waits so long."""
OPEN_PROTECTION = "checksum only: the key of the open mesh is public"
CLOSED_PROTECTION = "encrypted and authenticated: only who has its key_file"
_WITH = "meshd radio set PORT --kind {} names what can be had"
_SAVE: Key = ("lora", "save")


class RadioHour:
    """One ledger of airtime over all radios. `ahead_us`: its clock is ahead of the engine's."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.ahead_us = 0
        self.ledger = Ledger(NO_LAW, boot=bytes(BOOT_LEN), now=0, state=None)
        self._refused: dict[str, Problem] = {}

    # --- the ledger -------------------------------------------------------------------------------

    def start(self, airtime: AirtimeImage, now: int) -> None:
        """Radios will send under this law; the disk held this of what they did."""
        self.ahead_us = airtime.ahead_us
        self.ledger = Ledger(
            airtime.law, boot=airtime.boot, now=now + airtime.ahead_us, state=airtime.state
        )

    def saved(self, number: int, *, durable: bool, now: int) -> None:
        """The ledger's state is on the disk, or it is not known whether it is."""
        if durable:
            self.ledger.stored(number)
        else:
            self.ledger.store_failed(number)
            self._ctx.timers.set(_SAVE, now + SAVE_AGAIN_US)

    def save(self, now: int) -> None:
        """Have stored what the ledger needs on the disk."""
        if self._ctx.timers.deadline(_SAVE) is None:
            if (wanted := self.ledger.poll_state(now + self.ahead_us)) is not None:
                self._ctx.emit(AirtimeSave(*wanted))

    def stop(self, now: int) -> None:
        """Give back what was claimed of the hour."""
        if self.ledger.law.region:
            self._ctx.emit(AirtimeSave(0, self.ledger.final_state(now + self.ahead_us)))
            self.ledger = Ledger(NO_LAW, boot=bytes(BOOT_LEN), now=0, state=None)

    # --- the law ----------------------------------------------------------------------------------

    def judged(self, radio: RadioLink) -> SubBand | None:
        """Return where it may send; None, and why it stays silent, where it may not."""
        try:
            band = self.ledger.law.judge(
                radio.frequency_hz,
                radio.modulation.bandwidth_hz,
                radio.tx_dbm,
                antenna_dbi=radio.antenna_dbi,
                listens=radio.listens,
            )
        except UsageError as error:
            remedy = "choose another frequency, power or radio; docs/regions.md lists what may be"
            text = f"{radio.name} does not send: {error}"
            self._refused[radio.name] = Problem("radio-law", text, remedy)
            return None
        room = frame_room(radio, band)
        if room < BEACON_FRAME:
            text = f"{radio.name} does not send: law and modem leave {room} bytes a frame, and a"
            remedy = (
                f"choose a lower spreading factor, or more bandwidth: {_WITH.format(radio.kind)}"
            )
            problem = Problem("radio-slow", f"{text} beacon has {BEACON_FRAME}", remedy)
            self._refused[radio.name] = problem
            return None
        if radio.airtimes_us[BEACON_FRAME] > band.control_us_max(radio.modulation.bandwidth_hz):
            text = f"{radio.name} does not send: the law gives {band.airtime_us_max / 1e6:g} s in "
            text += "any hour there, and a beacon takes more than a tenth of it"
            remedy = f"choose another frequency, or a faster data rate: {_WITH.format(radio.kind)}"
            self._refused[radio.name] = Problem("radio-slow", text, remedy)
            return None
        self._refused.pop(radio.name, None)
        return band

    def forget(self, name: str) -> None:
        """Say no more why a radio may not send: it is away."""
        self._refused.pop(name, None)

    def problems(self) -> tuple[Problem, ...]:
        """Return which radios may not send as they are set."""
        return tuple(self._refused.values())

    # --- what is left -----------------------------------------------------------------------------

    def bulk(self, radio: LoraLink, now: int) -> tuple[int, int]:
        """Return what files may still send in this hour, and what in one that begins anew."""
        at = now + self.ahead_us
        left_us, hour_us = self.ledger.own_us(radio.band, Priority.BULK, at)
        if not radio.band.limited:
            spent_us = HOUR_US - self.ledger.left_us(radio.band, at)
            hour_us = HOUR_US // 10
            left_us = max(min(left_us, hour_us - spent_us), 0)
        return left_us, hour_us

    def bulk_at(self, radio: LoraLink, airtime_us: int, now: int) -> int:
        """Return when files may send so much more, at the earliest; an hour's part each hour."""
        left_us, hour_us = self.bulk(radio, now)
        hours, rest_us = divmod(max(airtime_us - 1, 0), max(hour_us, 1))
        at = now + self.ahead_us
        at_us = self.ledger.own_at_us(radio.band, rest_us + 1 - left_us, at)
        return now + (at_us - at) + hours * HOUR_US

    def statuses(self, links: Iterable[LoraLink], now: int) -> tuple[RadioStatus, ...]:
        """Return each radio as far as the engine knows it."""
        by_band = {one.name: one for one in self.ledger.status(now + self.ahead_us)}
        return tuple(self._status(link, by_band.get(link.band.name), now) for link in links)

    def _status(self, link: LoraLink, airtime: Airtime | None, now: int) -> RadioStatus:
        radio, modulation = link.radio, link.radio.modulation
        known = RadioStatus(
            name=radio.name,
            port="",
            state="up" if link.up else "down",
            kind=radio.kind,
            region=self.ledger.law.region or None,
            frequency_mhz=radio.frequency_hz / 1e6,
            spreading_factor=modulation.spreading_factor,
            bandwidth_khz=modulation.bandwidth_hz / 1e3,
            tx_dbm=radio.tx_dbm,
            protection=OPEN_PROTECTION if radio.link_key is None else CLOSED_PROTECTION,
            band=link.band.name,
            sent=link.sent_frames,
            heard=link.heard_frames,
            waiting=link.waiting,
        )
        return known if airtime is None else replace(known, **self._airtime(link, airtime, now))

    def _airtime(self, link: LoraLink, airtime: Airtime, now: int) -> dict[str, Any]:
        """Return what was sent in a radio's band, for what, and what is left to whom."""
        told = {
            "airtime_15_s_ms": airtime.spent_15_s_us,
            "airtime_hour_ms": airtime.spent_hour_us,
            **{f"hour_{share.name.lower()}_ms": airtime.shares_us[share] for share in Share},
            "left_file_ms": self.bulk(link, now)[0],
        }
        if link.band.limited:
            told["airtime_hour_max_ms"] = airtime.limit_us
            told["left_ms"] = airtime.left_us
            at = now + self.ahead_us
            told["left_text_ms"] = self.ledger.own_us(link.band, Priority.TEXT, at)[0]
        return {name: value_us // 1000 for name, value_us in told.items()}
