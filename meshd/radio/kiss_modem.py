"""What modems behind KISS have in common: how they are opened, how a frame is handed over.

Enters: what a dialect read, time. Leaves: bytes for the port, events. Subclasses say what is asked
and what answers mean. Must not know: any command but that of data.
"""

from abc import abstractmethod

from meshd.core.drops import DropReason
from meshd.radio import kiss
from meshd.radio.modem import TOO_WEAK, Configured, Modem, Noise, Opened, RadioPlan

DATA = 0
ANSWER_US = 500_000
BOOT_TRIES = 14
"""A modem that restarts when its port opens may take seconds."""
SCAN_TRIES = 3
"""The same when nobody knows whether there is such a modem at all."""
TRIES = 5
HELD_MAX_US = 10_000_000
"""How long the firmware may hold a frame back for a taken channel before it is given up."""


class KissModem(Modem):
    """A modem that speaks KISS on its line. Subclasses fill in `_end`."""

    listens = True
    other_kind = ""
    """Advice when something else answers."""
    silent = ""
    """Advice when nothing does."""

    def __init__(self, plan: RadioPlan, *, body_max: int) -> None:
        super().__init__(plan)
        self._reader = kiss.Reader(body_max)
        self._tries = 0
        self._answer_us: int | None = None
        self._granted_dbm = plan.tx_dbm
        self._noise: int | None = None
        self._strange = False

    @abstractmethod
    def _end(self, reason: DropReason, advice: str) -> None:
        """Tell of a frame under way; then be of no use."""

    def _await(self, now: int) -> None:
        """A question was put."""
        self._answer_us = now + ANSWER_US

    def _spent(self, *, opening: bool) -> bool:
        """Tell whether a question was put in vain as often as it may be; else it is put again."""
        self._tries += 1
        boot_tries = SCAN_TRIES if self.asks_only else BOOT_TRIES
        return self._tries >= (boot_tries if opening else TRIES)

    def _give_up(self, *, opening: bool) -> None:
        """No answer came, however often it was asked."""
        if opening and self._strange:
            self._end(DropReason.MODEM_OTHER_KIND, self.other_kind)
        else:
            self._end(DropReason.MODEM_SILENT, self.silent)

    def _opened(self, model: str, firmware: str) -> bool:
        """Tell who is there; return whether it is to be set, and can be."""
        self._events.append(Opened(model, firmware))
        if not self.asks_only and self.plan.tx_dbm < 0:
            self._end(DropReason.MODEM_SETTING, TOO_WEAK)
            return False
        return not self.asks_only

    def _online(self) -> None:
        """All is set: frames may come."""
        self.ready = True
        self._events.append(Configured(self.plan._replace(tx_dbm=self._granted_dbm)))

    def _hand_over(self, frame: bytes, now: int) -> int:
        """Write a frame; return when it can be out at the earliest."""
        data = kiss.frame(DATA, frame)
        self.ready = False
        self._writes.append(data)
        return now + len(data) * 10_000_000 // self.baud + self.airtime_us(len(frame))

    def _hear_noise(self, said: int, dbm: int) -> None:
        """Tell how loud the channel is, when that is news."""
        if said != self._noise:
            self._noise = said
            self._events.append(Noise(float(dbm)))
