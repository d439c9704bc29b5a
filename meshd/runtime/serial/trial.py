"""Tries one radio by hand: sends a few frames within the law, and tells what it hears.

Enters: a port, a kind, a plan, a sub-band of the law, the ledger. Leaves: what happened, as values,
in order. The ledger is asked before each frame, and told what became of it.
Must not know: regions and words for people.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from meshd.core.drops import DropReason
from meshd.core.errors import UsageError
from meshd.core.law import SubBand
from meshd.link.account import Share
from meshd.link.ledger import Emission, Priority, Reservation, Wait
from meshd.radio.kinds import made
from meshd.radio.modem import Broken, Configured, Event, Heard, Modem, NotSent, RadioPlan, Sent
from meshd.runtime.airtime_file import AirtimeFile
from meshd.runtime.serial.port import SerialPort

PAUSE_S = 1.0
WORD_MAX_S = 180.0
"""Longer than any dialect takes to say what became of a frame."""

_BUSY = "the radio takes no frame now: unplug it, plug it in again, and try once more"


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried: `count` frames under the rule of `band`, then listening for `listen_s`."""

    port: str
    kind: str
    plan: RadioPlan
    band: SubBand | None
    count: int
    listen_s: float
    module_dbm: int | None = None


Tell = Callable[[Event | Wait], None]


class RadioTest:
    """One trial. `tell` gets each event, and what the ledger said when it keeps a frame back.

    Afterwards `sent` and `heard` count frames, `held` is why the law kept one back, `broken` why
    the radio is of no use.
    """

    def __init__(self, trial: Trial, airtime: AirtimeFile | None, tell: Tell) -> None:
        self._trial = trial
        self._airtime = airtime
        self._tell = tell
        self.held: Wait | None = None
        self.broken: Broken | None = None
        self.sent = self.heard = 0
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._port = SerialPort(trial.port, self._make, self._told)

    def _make(self) -> Modem:
        return made(self._trial.kind, self._trial.plan, module_dbm=self._trial.module_dbm)

    async def run(self) -> None:
        """Carry it out. Raises: RequestError."""
        running = asyncio.create_task(self._port.run())
        try:
            await self._next(Configured, Broken)
            if self.broken is not None:
                return
            for number in range(self._trial.count):
                if not await self._send(b"meshd radio test %d" % (number + 1)):
                    return
                await asyncio.sleep(PAUSE_S)
            await asyncio.sleep(self._trial.listen_s)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    def _told(self, event: Event) -> None:
        self.sent += isinstance(event, Sent)
        self.heard += isinstance(event, Heard)
        if isinstance(event, Broken | Configured):
            self.broken = event if isinstance(event, Broken) else None
        self._tell(event)
        self._events.put_nowait(event)

    async def _next(self, *kinds: type[Event]) -> Event:
        async with asyncio.timeout(WORD_MAX_S):
            while True:
                event = await self._events.get()
                if isinstance(event, kinds):
                    return event

    async def _send(self, frame: bytes) -> bool:
        """Send one frame if the ledger lets it go; tell whether another may be tried."""
        reservation = self._reserved(len(frame))
        if reservation is None or self._airtime is None:
            return False
        ledger, now = self._airtime.ledger, self._airtime.now
        try:
            self._port.transmit(frame)
        except UsageError:
            ledger.settle(reservation.number, now(), airtime_us=0)
            self.broken = self.broken or Broken(DropReason.MODEM_SILENT, _BUSY)
            return False
        try:
            event = await self._next(Sent, NotSent)
        except (TimeoutError, asyncio.CancelledError):
            ledger.settle(reservation.number, now(), airtime_us=None, maybe=True)
            raise
        if isinstance(event, NotSent):
            spent_us = None if event.maybe else 0
            ledger.settle(reservation.number, now(), airtime_us=spent_us, maybe=event.maybe)
        else:
            ledger.settle(reservation.number, now(), airtime_us=None)
        return True

    def _reserved(self, size: int) -> Reservation | None:
        """Set airtime aside for a frame; None, and the reason told, when the law has none left."""
        band, modem = self._trial.band, self._port.modem
        if band is None or modem is None or self._airtime is None:
            return None
        bandwidth_hz = self._trial.plan.modulation.bandwidth_hz
        wanted = Emission(band, bandwidth_hz, modem.airtime_us(size), Share.OWN, Priority.TEXT)
        ledger, now = self._airtime.ledger, self._airtime.now
        answer = ledger.reserve(wanted, now())
        if isinstance(answer, Wait) and answer.at_us is None:
            self._airtime.save()  # It may have waited for the disk only.
            answer = ledger.reserve(wanted, now())
        if isinstance(answer, Reservation):
            return answer
        self.held = answer
        self._tell(answer)
        return None
