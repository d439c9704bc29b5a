"""MeshCore KISS modem: raw frames and radio settings over KISS, as its modem firmware has it.

Enters: bytes of the port, frames, time. Leaves: bytes for the port, events. Must not know: what a
frame holds.

All but data travels as a sub-command of SetHardware, numbers little-endian; an answer is the
question with its high bit set. An OK does not say what was set, so each setting is read back. A
modem that restarted has forgotten its radio and says nothing of it: its settings are read again
every 20 s, and at once when something unreadable comes. Figures of a frame follow it, or do not:
a frame waits for them `META_US` at most. A TxDone that comes before the frame can be out is of an
earlier frame or a lie, and ends nothing before its time.
Ref: docs/radios.md.
"""

from collections.abc import Callable
from enum import Enum
from struct import Struct
from typing import NamedTuple

from meshd.core.airtime import airtime_us
from meshd.core.drops import DropReason
from meshd.radio import kiss
from meshd.radio.kiss_modem import ANSWER_US, DATA, HELD_MAX_US, KissModem
from meshd.radio.modem import Dropped, Heard, NotSent, RadioPlan, Sent

TX_DELAY, PERSISTENCE, SLOT_TIME, TX_TAIL, FULL_DUPLEX, HARDWARE = range(1, 7)
SET_RADIO, SET_POWER, GET_RADIO, GET_POWER = 0x09, 0x0A, 0x0B, 0x0C
CHANNEL_BUSY, NOISE_FLOOR, VERSION, NAME, PING, SIGNAL_REPORT = 0x0E, 0x10, 0x11, 0x16, 0x17, 0x19
ANSWER, OK, ERROR, TX_DONE, RX_META = 0x80, 0xF0, 0xF1, 0xF8, 0xF9

META_US = 100_000
PREAMBLE = 16
"""Symbols; the firmware's own choice, which can not be changed over the line."""

_BODY_MAX = 512
_TX_BUSY = 7
_RADIO = Struct("<IIBB")
_LEVEL = Struct("<h")
_META = Struct("bb")
_PERSISTENCE_VALUE = 127
_SLOT_UNIT_US = 10_000

_CHECK_US = 20_000_000
_LATE_US = 1_500_000
"""How long TxDone may take beyond the airtime on a free channel, before the modem is asked."""
_FREE_MAX = 2
"""So often is the channel found free before TxDone is held to be lost."""


class _State(Enum):
    OPENING, SETTING, ONLINE, ENDED = range(4)


class _Question(NamedTuple):
    """A sub-command, the answer that it wants, and what to do with it."""

    command: int
    payload: bytes
    answer: int
    then: Callable[[bytes, int], None]
    optional: bool = False


class _Sending:
    """A frame that the modem was given."""

    __slots__ = ("busy", "done", "earliest_us", "free", "limit_us")

    def __init__(self, earliest_us: int) -> None:
        self.earliest_us = earliest_us
        self.limit_us = earliest_us + _LATE_US
        self.busy = False
        self.free = 0
        self.done = False


class MeshCore(KissModem):
    """A MeshCore KISS modem on its line."""

    kind = "meshcore"
    frame_max = 255
    other_kind = "what answers is no MeshCore KISS modem: `meshd radio scan` tells what it is"
    silent = (
        "no MeshCore modem answers: is it plugged in, is this its port, does it run the KISS modem "
        "firmware?"
    )

    def __init__(self, plan: RadioPlan) -> None:
        super().__init__(plan, body_max=_BODY_MAX)
        self._state = _State.OPENING
        self._questions: list[_Question] = []
        self._check_us = 0
        self._firmware = ""
        self._bare: bytes | None = None
        self._bare_us = 0
        self._sending: _Sending | None = None
        self._outcome: Sent | NotSent | None = None

    # --- verbs ------------------------------------------------------------------------------------

    def open(self, now: int) -> None:
        """Ask whether a MeshCore modem is there, and who it is."""
        self._questions = [
            _Question(PING, b"", PING | ANSWER, self._next),
            _Question(VERSION, b"", VERSION | ANSWER, self._on_version),
            _Question(NAME, b"", NAME | ANSWER, self._on_name, optional=True),
        ]
        self._ask(now)
        self._arm()

    def receive(self, data: bytes, now: int) -> None:
        """Take bytes from the port."""
        for found in self._reader.read(data, now):
            if self._state is _State.ENDED:
                return
            if isinstance(found, DropReason):
                self._drop(found, now)
            elif found[0] == DATA:
                self._on_data(found[1:], now)
            elif found[0] == HARDWARE and len(found) > 1:
                self._on_hardware(found[1], found[2:], now)
            else:
                self._drop(DropReason.MODEM_GARBAGE, now)
        self._arm()

    def handle_timeout(self, now: int) -> None:
        """Ask again, give a frame without figures, settle what became of one that was sent."""
        if self._bare is not None and now >= self._bare_us:
            self._give(None, None)
        if self._answer_us is not None and now >= self._answer_us:
            self._unanswered(now)
        sending = self._sending
        if sending is not None and now >= sending.limit_us:
            self._overdue(sending, now)
        if self._idle() and now >= self._check_us:
            self._check(now)
        self._arm()

    def transmit(self, frame: bytes, now: int) -> None:
        """Give the modem a frame; it holds one."""
        if not self._takes(frame):
            return
        self._sending = _Sending(self._hand_over(frame, now))
        self._arm()

    def airtime_us(self, size: int) -> int:
        """Return the airtime with the preamble of this firmware."""
        return airtime_us(self.plan.modulation._replace(preamble=PREAMBLE), size)

    # --- questions --------------------------------------------------------------------------------

    def _ask(self, now: int) -> None:
        """Put the first of the questions."""
        question = self._questions[0]
        self._writes.append(kiss.frame(HARDWARE, bytes((question.command,)) + question.payload))
        self._await(now)

    def _next(self, _: bytes, now: int) -> None:
        """The first question is answered: go on."""
        self._questions.pop(0)
        self._tries = 0
        self._answer_us = None
        if self._questions:
            self._ask(now)
        elif self._state is _State.ONLINE and self._outcome is not None:
            self._tell_outcome()

    def _unanswered(self, now: int) -> None:
        opening = self._questions[0].command == PING
        if not self._spent(opening=opening):
            self._ask(now)
        elif self._questions[0].optional:
            self._questions[0].then(b"", now)
        else:
            self._give_up(opening=opening)

    def _on_version(self, payload: bytes, now: int) -> None:
        self._firmware = str(payload[0]) if payload else ""
        self._next(payload, now)

    def _on_name(self, payload: bytes, now: int) -> None:
        name = "".join(filter(str.isprintable, payload.decode(errors="replace")))[:64]
        self._next(payload, now)
        if not self._opened(name or "MeshCore KISS modem", self._firmware):
            self._state = _State.ENDED
            return
        self._state = _State.SETTING
        self._set(now)

    def _set(self, now: int) -> None:
        """Set radio and power and read them back; then how it shares the channel."""
        power = min(self.plan.tx_dbm, 0x7F)
        self._questions = [
            _Question(SET_RADIO, self._radio(), OK, self._next),
            _Question(GET_RADIO, b"", GET_RADIO | ANSWER, self._on_radio),
            _Question(SET_POWER, bytes((power,)), OK, self._next),
            _Question(GET_POWER, b"", GET_POWER | ANSWER, self._on_power),
            _Question(SIGNAL_REPORT, b"\1", 0x9A, self._on_set, optional=True),
        ]
        symbol_us = self.plan.modulation.symbol_us
        slot = min(max(-(-5 * symbol_us // (2 * _SLOT_UNIT_US)), 1), 255)
        for command, value in (
            *((TX_DELAY, 0), (PERSISTENCE, _PERSISTENCE_VALUE), (SLOT_TIME, slot)),
            *((TX_TAIL, 0), (FULL_DUPLEX, 0)),
        ):
            self._writes.append(kiss.frame(command, bytes((value,))))
        self._ask(now)

    def _radio(self) -> bytes:
        modulation = self.plan.modulation
        return _RADIO.pack(
            self.plan.frequency_hz,
            modulation.bandwidth_hz,
            modulation.spreading_factor,
            modulation.coding_rate + 4,
        )

    def _on_radio(self, payload: bytes, now: int) -> None:
        if payload == self._radio():
            self._next(payload, now)
        elif self._state is _State.ONLINE:
            self._end(
                DropReason.MODEM_RESET,
                "the modem restarted: it is set up again; if that repeats, check its power supply",
            )
        else:
            self._end(
                DropReason.MODEM_SETTING,
                "the modem did not take frequency, bandwidth and spreading factor: choose what it "
                "can do",
            )

    def _on_power(self, payload: bytes, now: int) -> None:
        if len(payload) != 1 or payload[0] > self.plan.tx_dbm:
            self._end(DropReason.MODEM_SETTING, "the modem did not take the power that was set")
            return
        self._granted_dbm = payload[0]
        self._next(payload, now)

    def _on_set(self, payload: bytes, now: int) -> None:
        self._next(payload, now)
        self._state = _State.ONLINE
        self._check_us = now
        self._online()

    def _check(self, now: int) -> None:
        """Ask how loud the channel is, and whether the modem still has its settings."""
        self._check_us = now + _CHECK_US
        self._questions = [
            _Question(NOISE_FLOOR, b"", NOISE_FLOOR | ANSWER, self._on_noise, optional=True),
            _Question(GET_RADIO, b"", GET_RADIO | ANSWER, self._on_radio),
        ]
        self._ask(now)

    def _on_noise(self, payload: bytes, now: int) -> None:
        if len(payload) == _LEVEL.size:
            (noise,) = _LEVEL.unpack(payload)
            self._hear_noise(noise, noise)
        self._next(payload, now)

    # --- what comes -------------------------------------------------------------------------------

    def _on_hardware(self, command: int, payload: bytes, now: int) -> None:
        question = self._questions[0] if self._questions else None
        if command == RX_META:
            if self._bare is not None and len(payload) == _META.size:
                snr, rssi = _META.unpack(payload)
                self._give(float(rssi), snr / 4)
        elif command == TX_DONE:
            self._on_done(payload, now)
        elif command == ERROR:
            self._on_error(payload[0] if payload else 0, question, now)
        elif question is not None and command == question.answer:
            question.then(payload, now)
        elif command < ANSWER:
            self._drop(DropReason.MODEM_GARBAGE, now)

    def _on_error(self, code: int, question: _Question | None, now: int) -> None:
        if code == _TX_BUSY and self._sending is not None and question is None:
            self._settle(NotSent(DropReason.MODEM_REFUSED), now)
        elif question is None or code == _TX_BUSY:
            self._events.append(Dropped(DropReason.MODEM_REFUSED))
        elif question.optional:
            question.then(b"", now)
        elif question.command != PING:
            self._end(
                DropReason.MODEM_SETTING,
                f"the modem refused a setting (error {code}): choose what it can do",
            )

    def _on_data(self, payload: bytes, now: int) -> None:
        """A frame: its figures follow."""
        self._give(None, None)
        if self._state is not _State.ONLINE:
            return  # heard with whatever was set before
        if not 0 < len(payload) <= self.frame_max:
            reason = DropReason.MODEM_TOO_LONG if payload else DropReason.MODEM_GARBAGE
            self._drop(reason, now)
            return
        self._bare = payload
        self._bare_us = now + META_US

    def _give(self, rssi_dbm: float | None, snr_db: float | None) -> None:
        if self._bare is not None:
            self._events.append(Heard(self._bare, rssi_dbm, snr_db))
            self._bare = None

    # --- what goes --------------------------------------------------------------------------------

    def _on_done(self, payload: bytes, now: int) -> None:
        sending = self._sending
        if sending is None:
            self._drop(DropReason.MODEM_GARBAGE, now)  # of a frame that was given up
        elif payload != b"\1":
            self._settle(NotSent(DropReason.MODEM_REFUSED), now)
        elif now < sending.earliest_us:
            sending.done = True
            sending.limit_us = sending.earliest_us
        else:
            self._settle(Sent(told=True), now)

    def _overdue(self, sending: _Sending, now: int) -> None:
        """TxDone did not come, or came too early to be true."""
        if sending.done:
            self._settle(Sent(told=False), now)
        elif now < sending.earliest_us + HELD_MAX_US:
            sending.limit_us = now + _LATE_US
            if self._answer_us is None:
                busy = _Question(CHANNEL_BUSY, b"", CHANNEL_BUSY | ANSWER, self._on_busy, True)
                self._questions = [busy]
                self._ask(now)
        else:
            taken = DropReason.MODEM_CHANNEL_TAKEN if sending.busy else DropReason.MODEM_SILENT
            self._settle(NotSent(taken, maybe=True), now)

    def _on_busy(self, payload: bytes, now: int) -> None:
        """The channel is taken: the frame waits. It is free: then TxDone is lost, or very late."""
        self._next(payload, now)
        sending = self._sending
        if sending is None:
            return
        sending.busy = payload == b"\1"
        sending.free = sending.free + 1 if payload == b"\0" else 0
        if sending.free >= _FREE_MAX:
            self._settle(NotSent(DropReason.MODEM_SILENT, maybe=True), now)

    # --- the rest ---------------------------------------------------------------------------------

    def _settle(self, event: Sent | NotSent, now: int) -> None:
        """Tell what became of a frame; first look whether the modem is due to be looked at.

        One that restarted goes on sending, on another frequency: frames without a pause must not
        keep that from being found out.
        """
        self._sending = None
        self._outcome = event
        if now < self._check_us:
            self._tell_outcome()
        elif self._answer_us is None:
            self._check(now)

    def _tell_outcome(self) -> None:
        if self._outcome is not None:
            self._events.append(self._outcome)
            self._outcome = None
            self.ready = True

    def _end(self, reason: DropReason, advice: str) -> None:
        self._give(None, None)
        if self._sending is not None or self._outcome is not None:
            self._events.append(NotSent(reason, maybe=True))
            self._sending = self._outcome = None
        self._state = _State.ENDED
        self._answer_us = None
        self._break(reason, advice)

    def _drop(self, reason: DropReason, now: int) -> None:
        self._strange = True
        self._check_us = min(self._check_us, now + ANSWER_US)
        self._events.append(Dropped(reason))

    def _idle(self) -> bool:
        online = self._state is _State.ONLINE
        return online and self._answer_us is None and self._sending is None

    def _arm(self) -> None:
        """Be woken at the first of what is waited for."""
        if self._state is _State.ENDED:
            self._due_us = None
            return
        waits = [self._bare_us] if self._bare is not None else []
        if self._sending is not None:
            waits.append(self._sending.limit_us)
        if self._answer_us is not None:
            waits.append(self._answer_us)
        if self._idle():
            waits.append(self._check_us)
        self._due_us = min(waits, default=None)
