"""The conversation with a modem that speaks in lines: one command at a time, each with its answer.

Enters: bytes from the port, frames, time. Leaves: command lines, and the events of `modem.py`.
Subclasses say what to ask, what answers mean and what comes unasked; this file waits, asks again,
gives up, and puts a modem that restarted by itself back to work. Must not know: any command.

    open -> IDENTIFY -> SET -> IDLE -> SEND -> AWAIT -> REST -> IDLE

A modem that falls silent or restarts by itself is asked and set anew, beginning with IDENTIFY: a
second `Configured` tells that it takes frames again.
"""

from abc import abstractmethod
from collections import deque
from collections.abc import Sequence
from enum import Enum
from re import Pattern
from typing import NamedTuple

from meshd.core.drops import DropReason
from meshd.radio.modem import (
    ASKED_TRIES,
    RESTARTS_MAX,
    SECOND,
    STALE_US,
    STRANGE_MAX,
    TRIES,
    Configured,
    Dropped,
    Heard,
    Modem,
    NotSent,
    Opened,
    RadioPlan,
    Sent,
)
from meshd.radio.strangers import advice

HEALTH_US = 60 * SECOND
"""How often an idle modem is asked whether it is still there, and as it was set."""

ASKED_US = 800_000
"""Shorter when nobody knows whether there is such a modem at all."""


class Ask(NamedTuple):
    """A command and what answers it.

    `good` matches the beginning of the answer. `instead` is asked when the modem refuses, in the
    words of other firmware; what is `optional` may be refused. `setting` names what is set, for
    people.
    """

    command: bytes
    good: Pattern[bytes]
    setting: str = ""
    within_us: int = SECOND
    tries: int = TRIES
    instead: bytes = b""
    optional: bool = False


class Unfit(NamedTuple):
    """This modem can not be set as the plan wants; `advice` says what to do."""

    advice: str


class Stage(Enum):
    """What the conversation is about."""

    IDENTIFY = "who is there"
    SET = "settings"
    IDLE = "nothing"
    SEND = "handing a frame over"
    AWAIT = "a frame on the air"
    REST = "back to listening"
    BROKEN = "over"


class TextModem(Modem):
    """A modem that speaks in lines. Subclasses fill in the abstract methods below."""

    line_max = 1024
    end = b"\r\n"

    def __init__(self, plan: RadioPlan) -> None:
        super().__init__(plan)
        self.wanted = plan
        self.model = ""
        self.firmware = ""
        self._buffer = bytearray()
        self._heard_us = 0
        self._strange = bytearray()
        self._stage = Stage.IDENTIFY
        self._asks: deque[Ask] = deque()
        self._ask: Ask | None = None
        self._tries = 0
        self._restarts = 0
        self._frame: bytes | None = None
        self._frame_us = 0
        self._lied = False
        self._verdict: Sent | NotSent | None = None

    # --- what a dialect says ----------------------------------------------------------------------

    @abstractmethod
    def _questions(self) -> Sequence[Ask]:
        """Return what to ask a modem that was just opened; answers come to `_took`."""

    @abstractmethod
    def _settings(self) -> Sequence[Ask] | Unfit:
        """Return how to set the plan; may first make `self.plan` what will be granted."""

    @abstractmethod
    def _sending(self, frame: bytes) -> Sequence[Ask]:
        """Return how to hand a frame over."""

    @abstractmethod
    def _news(self, line: bytes, now: int) -> bool:
        """Take a line that answers nothing; tell whether it was one."""

    @abstractmethod
    def _no(self, line: bytes) -> NotSent | None:
        """Return what a refusal means for a frame, or None when the line is no refusal."""

    def _took(self, ask: Ask, line: bytes, now: int) -> None:
        """Take a good answer."""

    def _resting(self) -> Sequence[Ask]:
        """Return what makes the modem listen again after a frame."""
        return ()

    def _health(self) -> Sequence[Ask]:
        """Return what a modem that is well answers while nothing goes on."""
        return self._questions()[:1]

    def _line_lost(self, now: int) -> None:
        """Something came that could not be understood."""

    def _handed_over(self, now: int) -> None:
        """The modem has the frame: wait for its news until well after the airtime."""
        size = len(self._frame or b"")
        self._due_us = now + self.airtime_us(size) + 3 * SECOND

    def _awaited(self, now: int) -> None:
        """No news of the frame came in time."""
        self._silent(now)

    # --- what the owner calls ---------------------------------------------------------------------

    def open(self, now: int) -> None:
        """Begin: the port is open."""
        self._begin(now)

    def receive(self, data: bytes, now: int) -> None:
        """Take bytes from the port, cut anywhere."""
        if self._stage is Stage.BROKEN:
            return
        self._forget_half(now)
        self._heard_us = now
        if self._stage is Stage.IDENTIFY:
            self._strange += data[: STRANGE_MAX - len(self._strange)]
        for start in range(0, len(data), self.line_max):
            self._buffer += data[start : start + self.line_max]
            while (line := self._cut()) is not None:
                if line:
                    self._line(line, now)
            if len(self._buffer) > self.line_max:
                self._buffer.clear()
                self._lose(now)

    def poll_timeout(self) -> int | None:
        """Return when `handle_timeout` is wanted next, in µs; None: not at all."""
        half_us = self._heard_us + STALE_US if self._buffer else None
        return min((due for due in (self._due_us, half_us) if due is not None), default=None)

    def handle_timeout(self, now: int) -> None:
        """Do what is due."""
        self._forget_half(now)
        if self._due_us is None or now < self._due_us:
            return
        self._due_us = None
        if self._ask is not None:
            self._unanswered(self._ask, now)
        elif self._stage is Stage.AWAIT and self._lied:
            self._finish(Sent(told=False), now)
        elif self._stage is Stage.AWAIT:
            self._awaited(now)
        elif self._stage is Stage.IDLE:
            self._enter(Stage.IDLE, self._health(), now)

    def transmit(self, frame: bytes, now: int) -> None:
        """Send a frame. Allowed while `ready`; then `ready` is False until `Sent` or `NotSent`."""
        if not self._takes(frame):
            return
        self.ready = False
        self._frame = frame
        if self._ask is None:
            self._next(now)

    # --- lines ------------------------------------------------------------------------------------

    def _cut(self) -> bytes | None:
        """Take the next line out of the buffer, without its end; None: it is not complete."""
        end = self._buffer.find(b"\n")
        if end < 0:
            return None
        line = bytes(self._buffer[:end]).strip(b"\r\n\0 ")
        del self._buffer[: end + 1]
        return line

    def _line(self, line: bytes, now: int) -> None:
        if self._stage is Stage.BROKEN or self._news(line, now):
            return
        ask = self._ask
        if ask is None:
            self._lose(now)
            return
        if ask.good.match(line):
            self._ask = self._due_us = None
            self._took(ask, line, now)
            self._next(now)
            return
        no = self._no(line)
        if no is not None:
            self._ask = self._due_us = None
            self._refused(ask, no, line, now)
        elif line != ask.command:
            self._lose(now)

    def _forget_half(self, now: int) -> None:
        if self._buffer and now >= self._heard_us + STALE_US:
            self._buffer.clear()
            self._lose(now)

    def _lose(self, now: int) -> None:
        """Leave out what is not understood."""
        self._drop(DropReason.MODEM_GARBAGE)
        self._line_lost(now)

    def _hear(self, frame: bytes, rssi_dbm: float | None, snr_db: float | None) -> None:
        """Tell of a frame; what came in with other settings than the plan's is left out."""
        if self._stage in (Stage.IDENTIFY, Stage.SET):
            self._drop(DropReason.MODEM_GARBAGE)
        else:
            self._events.append(Heard(frame, rssi_dbm, snr_db))

    def _drop(self, reason: DropReason) -> None:
        self._events.append(Dropped(reason))

    # --- asking -----------------------------------------------------------------------------------

    def _begin(self, now: int) -> None:
        self.ready = False
        self._due_us = None
        self.plan = self.wanted
        self._stage = Stage.IDENTIFY
        self._ask = None
        self._asks = deque(self._questions())
        self._next(now)

    def _next(self, now: int) -> None:
        """Ask what is to be asked next; when nothing is, go on to the next stage."""
        if self._ask is not None or self._stage is Stage.BROKEN:
            return
        if self._asks:
            self._put(self._asks.popleft(), now)
            return
        if self._stage is Stage.IDENTIFY:
            self._identified(now)
        elif self._stage is Stage.SET:
            self._stage = Stage.IDLE
            self._events.append(Configured(self.plan))
            self._idle(now)
        elif self._stage is Stage.SEND:
            self._stage = Stage.AWAIT
            self._handed_over(now)
        elif self._stage in (Stage.REST, Stage.IDLE):
            self._stage = Stage.IDLE
            self._idle(now)

    def _identified(self, now: int) -> None:
        self._strange.clear()
        self._events.append(Opened(self.model, self.firmware))
        if self.asks_only:
            self._due_us = None
            self._buffer.clear()
            self._stage = Stage.BROKEN
            return
        settings = self._settings()
        if isinstance(settings, Unfit):
            self._end(DropReason.MODEM_SETTING, settings.advice)
        else:
            self._enter(Stage.SET, [*settings, *self._resting()], now)

    def _enter(self, stage: Stage, asks: Sequence[Ask], now: int) -> None:
        self._stage = stage
        self._asks = deque(asks)
        self._next(now)

    def _idle(self, now: int) -> None:
        """All questions are answered: tell what became of the last frame, begin the next one."""
        if self._verdict is not None:
            self._events.append(self._verdict)
            self._verdict = None
            self.ready = True
        elif self._frame is not None:
            self._frame_us, self._lied = now, False
            self._enter(Stage.SEND, self._sending(self._frame), now)
        else:
            self.ready = True
        if self._ask is None and self._stage is Stage.IDLE:
            self._due_us = now + HEALTH_US

    def _put(self, ask: Ask, now: int, tries: int = 1) -> None:
        line = ask.command + self.end
        self._ask = ask
        self._tries = tries
        self._writes.append(line)
        within_us = min(ask.within_us, ASKED_US) if self.asks_only else ask.within_us
        self._due_us = now + within_us + len(line) * 10 * SECOND // self.baud

    # --- when it does not go well -----------------------------------------------------------------

    def _unanswered(self, ask: Ask, now: int) -> None:
        """No answer came in time."""
        self._ask = None
        if self._tries < (ASKED_TRIES if self.asks_only else ask.tries):
            self._put(ask, now, self._tries + 1)
        elif self._stage is Stage.SEND or self._stage is Stage.IDLE:
            self._silent(now)
        elif self._stage is Stage.IDENTIFY and self._strange:
            self._end(
                DropReason.MODEM_OTHER_KIND, advice(bytes(self._strange), self.kind, self.baud)
            )
        elif self._stage is Stage.IDENTIFY:
            self._end(
                DropReason.MODEM_SILENT,
                f"nothing answers at {self.baud} baud: check the port, the wires RX and TX, "
                f"power, and that the module is a {self.kind}",
            )
        else:
            self._end(
                DropReason.MODEM_SILENT,
                "the module stopped answering: unplug it and plug it in again",
            )

    def _refused(self, ask: Ask, no: NotSent, line: bytes, now: int) -> None:
        if self._stage is Stage.SEND:
            self._finish(no, now)
        elif ask.instead:
            self._put(ask._replace(command=ask.instead, instead=b""), now)
        elif ask.optional:
            self._took(ask, b"", now)
            self._next(now)
        elif self._tries < ask.tries:
            self._put(ask, now, self._tries + 1)
        elif self._stage is Stage.IDENTIFY:
            said = bytes(self._strange)
            self._end(DropReason.MODEM_OTHER_KIND, advice(said, self.kind, self.baud))
        else:
            words = line[:40].decode("ascii", "replace")
            what = ask.setting or ask.command.decode("ascii", "replace")
            self._end(
                DropReason.MODEM_SETTING,
                f"the module refuses {what} ({words}): choose another plan, or renew its firmware",
            )

    def _silent(self, now: int) -> None:
        """The modem owes an answer: tell what that means for a frame, then begin anew with it."""
        self._give_up_frame(DropReason.MODEM_SILENT)
        self._begin(now)

    @property
    def _on_air(self) -> bool:
        """Tell whether a frame was handed over; the last answer to that may have been lost."""
        return self._stage is Stage.AWAIT or (self._stage is Stage.SEND and not self._asks)

    def _told_done(self, now: int) -> bool:
        """The modem says that the frame is out; believe it when that is possible by now."""
        if not self._on_air:
            return False
        out_us = self._frame_us + self.airtime_us(len(self._frame or b""))
        if now >= out_us:
            self._finish(Sent(told=True), now)
        else:
            self._ask = None
            self._stage = Stage.AWAIT
            self._lied = True
            self._due_us = out_us
        return True

    def _finish(self, verdict: Sent | NotSent, now: int) -> None:
        """What became of the frame is known: make the modem listen, then tell."""
        self._frame = None
        self._verdict = verdict
        self._ask = self._due_us = None
        if isinstance(verdict, Sent):
            self._restarts = 0
        self._enter(Stage.REST, self._resting(), now)

    def _restarted(self, now: int) -> None:
        """The modem began anew by itself and forgot its settings; at first that is no fault."""
        if self._stage in (Stage.IDENTIFY, Stage.BROKEN):
            return
        if self._stage is not Stage.SET:
            self._drop(DropReason.MODEM_RESET)
        self._give_up_frame(DropReason.MODEM_RESET)
        self._restarts += 1
        if self._restarts > RESTARTS_MAX:
            self._end(
                DropReason.MODEM_RESET,
                "the module restarts again and again: mostly its supply breaks down when it "
                "transmits; use a shorter cable, another port or less power",
            )
        else:
            self._begin(now)

    def _give_up_frame(self, reason: DropReason) -> None:
        """Tell of a frame that was under way, or was still waiting for its turn."""
        if self._verdict is not None:
            self._events.append(self._verdict)
        elif self._frame is not None:
            begun = self._stage in (Stage.SEND, Stage.AWAIT)
            self._events.append(NotSent(reason, maybe=begun))
        self._verdict = self._frame = None

    def _end(self, reason: DropReason, advice: str) -> None:
        self._give_up_frame(reason)
        self._stage = Stage.BROKEN
        self._ask = None
        self._asks.clear()
        self._writes.clear()
        self._buffer.clear()
        self._break(reason, advice)
