"""Meshtastic radios by their serial API: our frames as packets of a private port, broadcast.

Enters and leaves: see `radio/modem.py`. Each message is `94 C3`, two bytes of length, and a
protocol buffer; text of the console may stand between. The radio says its settings when asked:
they are checked against the plan and never changed here, since the board may be somebody's own and
keeps what is written to it; what does not fit ends in `Broken`, and the owner may have it written
(`setup.py`). Frames go out with hop limit 0, for the mesh is ours. A queue report says that a
packet was taken, not that it is out: `Sent` is reckoned.
The firmware sends by itself too, and says how much in all (`board.py`).

The firmware adds 24 bytes, and from version 2.8 signs broadcasts of up to 165 bytes (66 more).
Ref: hardware/radios/meshtastic.toml.
"""

from enum import Enum

from meshd.core.airtime import FRAME_BYTES_MAX, airtime_us
from meshd.core.drops import DropReason
from meshd.radio.meshtastic.board import REPEATS, UNTOLD, aired, repeats
from meshd.radio.meshtastic.plan import LoraSettings, granted
from meshd.radio.meshtastic.stream import Stream, framed
from meshd.radio.modem import (
    ASKED_TRIES,
    RESTARTS_MAX,
    SECOND,
    STALE_US,
    STRANGE_MAX,
    TRIES,
    Advised,
    Configured,
    Dropped,
    Heard,
    Modem,
    NotSent,
    Opened,
    RadioPlan,
    Sent,
)
from meshd.radio.protobuf import MalformedError, Message, delimited, fixed32, varint
from meshd.radio.strangers import advice

WAKE = b"\xc3" * 32
WAKE_US = SECOND // 10
ANSWER_US = 5 * SECOND
ASKED_US = 1_800_000
"""The same when nobody knows whether there is such a radio at all."""

SETTINGS_US = 60 * SECOND
"""A radio with 200 known nodes tells for some seconds; one that tells for ever is none."""

QUEUE_US = 5 * SECOND
HEARTBEAT_US = 300 * SECOND
CHECK_NONCE = 69_420
"""Asked with this number a radio tells its settings, and nothing of other nodes."""

FULL_ASK_US = 10 * SECOND
FULL_ASKS_MAX = 12

PRIVATE_APP = 256
EVERYBODY = 0xFFFFFFFF
SIGNED_PAYLOAD_MAX = 165
SIGNATURE_BYTES = 66
SIGNS_FROM = (2, 8)
CONTENTION_SLOTS = 40
"""How long the firmware may wait for a free channel, reckoned for `Sent`, in slots of its own."""

_PACKET, _MY_INFO, _CONFIG, _COMPLETE, _REBOOTED = 2, 3, 5, 7, 8
_CHANNEL, _QUEUE, _METADATA = 10, 11, 13
_KNOWN = frozenset(range(1, 19))
"""Numbers of the fields that a message from the radio may have; one of them it has."""


class Stage(Enum):
    """What goes on."""

    WAKING = "it was woken, and gets a moment"
    READING = "it tells its settings"
    IDLE = "nothing"
    QUEUED = "a packet was handed over, its queue report is awaited"
    ON_AIR = "a packet was taken"
    FULL = "its queue is full"
    WRITING = "settings were handed over, its answer is awaited"
    SETTLING = "settings were written, it may restart"
    OVER = "no use"


class Meshtastic(Modem):
    """A radio with Meshtastic firmware 2.3 or later."""

    kind = "meshtastic"
    baud = 115_200
    frame_max = 231
    added_bytes = 24
    listens = True

    def __init__(self, plan: RadioPlan) -> None:
        super().__init__(plan)
        self.wanted = plan
        self.firmware = ""
        self.signs = True
        self._stage = Stage.WAKING
        self._stream = Stream(self._understood, self._left_out)
        self._strange = bytearray()
        self._heard_us = 0
        self._tries = 0
        self._restarts = 0
        self._number = 0
        self._nonce = 0
        self._told_by_us = 0
        self._lora: bytes | None = None
        self._channel_name = ""
        self._managed = False
        self._packet_id = 0
        self._size = 0
        self._free = 1
        self._full_asks = 0
        self._beat_us = 0
        self._check_us: int | None = None
        self._repeats = False
        self._airtime_told = True
        self._advised = ""

    def airtime_us(self, size: int) -> int:
        """Return the airtime with what the firmware adds, a signature where it may be there."""
        added = self.added_bytes
        if self.signs and size <= SIGNED_PAYLOAD_MAX:
            added += SIGNATURE_BYTES
        return airtime_us(self.plan.modulation, size + added)

    # --- what the owner calls ---------------------------------------------------------------------

    def open(self, now: int) -> None:
        """Begin: the port is open."""
        self._wake(now)

    def poll_timeout(self) -> int | None:
        """Return when `handle_timeout` is wanted next, in µs; None: not at all."""
        dues = [] if self._due_us is None else [self._due_us]
        if self._stage is not Stage.OVER:
            if self._stream.waits:
                dues.append(self._heard_us + STALE_US)
            if self._beat_us:
                dues.append(self._beat_us)
            if self._check_us is not None:
                dues.append(self._check_us)
        return min(dues, default=None)

    def receive(self, data: bytes, now: int) -> None:
        """Take bytes from the port, cut anywhere."""
        self._heard_us = now
        self._stream.feed(data, now)

    def handle_timeout(self, now: int) -> None:
        """Do what is due."""
        if self._stage is Stage.OVER:
            return
        if self._stream.waits and now >= self._heard_us + STALE_US:
            self._stream.quiet(now)
        if self._beat_us and now >= self._beat_us:
            self._advise()
            self._airtime_told = False
            self._beat(now)
            self._check(now)
        if self._check_us is not None and now >= self._check_us:
            self._check_us = None
            if self._stage is Stage.IDLE:
                self._wake(now)
        if self._due_us is not None and now >= self._due_us:
            self._due_us = None
            self._due(now)

    def transmit(self, frame: bytes, now: int) -> None:
        """Send a frame. Allowed while `ready`; then `ready` is False until `Sent` or `NotSent`."""
        if not self._takes(frame):
            return
        self.ready = False
        self._size = len(frame)
        self._packet_id = (self._packet_id + 1) & EVERYBODY or 1
        data = varint(1, PRIVATE_APP) + delimited(2, frame)
        packet = fixed32(2, EVERYBODY) + delimited(4, data) + fixed32(6, self._packet_id)
        self._put(delimited(1, packet))
        self._stage = Stage.QUEUED
        self._due_us = now + QUEUE_US

    # --- opening ----------------------------------------------------------------------------------

    def _wake(self, now: int) -> None:
        self.ready = False
        self.plan = self.wanted
        self._stage = Stage.WAKING
        self._tries = 0
        self._told_by_us = now + SETTINGS_US
        self._free = 1
        self._beat_us = 0
        self._check_us = None
        self._writes.append(WAKE)
        self._due_us = now + WAKE_US

    def _ask_settings(self, now: int) -> None:
        self._stage = Stage.READING
        self._tries += 1
        self._lora = None
        self._channel_name = ""
        self._nonce = (now * 2_654_435_761 + self._tries) & 0x7FFFFFFF or 1
        self._put(varint(3, self._nonce))
        self._due_us = now + (ASKED_US if self.asks_only else ANSWER_US)

    def _complete(self, now: int) -> None:
        """All settings are told."""
        self._strange.clear()
        self._due_us = None
        self._events.append(Opened("Meshtastic", self.firmware))
        if self.asks_only:
            self._put(varint(4, 1))
            self._stage = Stage.OVER
            self._stream.close()
            return
        self._packet_id = (now * 2_654_435_761 ^ self._number) & EVERYBODY
        self._judge(now)

    def _told_lora(self) -> LoraSettings | None:
        """Return what the radio is set to, as it said. Raises: MalformedError."""
        if self._lora is None:
            return None
        return LoraSettings.read(Message.decode(self._lora), self._channel_name)

    def _judge(self, now: int) -> None:
        """Go on with what the radio is set to, or say what does not fit."""
        plan = granted(self._told_lora(), self.wanted)
        if isinstance(plan, str):
            self._end(DropReason.MODEM_SETTING, plan)
            return
        self.plan = plan
        self._stage = Stage.IDLE
        self.ready = True
        self._beat(now)
        self._events.append(Configured(plan))
        self._advised = ""
        self._airtime_told = True
        self._advise()

    def _beat(self, now: int) -> None:
        """Without a heartbeat the radio takes the port for abandoned."""
        self._put(delimited(7, b""))
        self._beat_us = now + HEARTBEAT_US

    def _advise(self) -> None:
        """Tell the owner what else the board does with the airtime, when that is news."""
        advice = REPEATS if self._repeats else "" if self._airtime_told else UNTOLD
        if advice != self._advised:
            self._advised = advice
            self._events.append(Advised(advice))

    def _check(self, now: int) -> None:
        """See that the radio is still there, and as it was set; its owner may change it."""
        if self._stage is Stage.IDLE and self._check_us is None:
            self._lora = None
            self._put(varint(3, CHECK_NONCE))
            self._check_us = now + ANSWER_US

    def _checked(self) -> None:
        self._check_us = None
        if self._lora is None:
            return
        plan = granted(self._told_lora(), self.wanted)
        if isinstance(plan, str):
            self._give_up_frame(DropReason.MODEM_SETTING)
            self._end(DropReason.MODEM_SETTING, plan)
        else:
            self.plan = plan

    def _put(self, message: bytes) -> None:
        self._writes.append(framed(message))

    # --- timers -----------------------------------------------------------------------------------

    def _due(self, now: int) -> None:
        if self._stage is Stage.WAKING:
            self._ask_settings(now)
        elif self._stage is Stage.READING:
            self._unanswered(now)
        elif self._stage is Stage.QUEUED:
            self._events.append(NotSent(DropReason.MODEM_SILENT, maybe=True))
            self._wake(now)
        elif self._stage is Stage.ON_AIR:
            self._out(now)
        elif self._stage is Stage.FULL:
            self._still_full(now)

    def _unanswered(self, now: int) -> None:
        tries = ASKED_TRIES if self.asks_only else TRIES
        if self._tries < tries and now < self._told_by_us:
            self._ask_settings(now)
        elif self._strange:
            said = bytes(self._strange)
            self._end(DropReason.MODEM_OTHER_KIND, advice(said, self.kind, self.baud))
        else:
            self._end(
                DropReason.MODEM_SILENT,
                "nothing answers: check the port, that the radio runs Meshtastic, and that its "
                "serial console is switched on",
            )

    def _out(self, now: int) -> None:
        """The airtime of the packet is over; with a full queue the next one has to wait."""
        self._restarts = 0
        if self._free > 0:
            self._settle(Sent(told=False))
        else:
            self._stage = Stage.FULL
            self._full_asks = 0
            self._still_full(now)

    def _still_full(self, now: int) -> None:
        self._full_asks += 1
        if self._full_asks > FULL_ASKS_MAX:
            self._give_up_frame(DropReason.MODEM_SILENT)
            self._end(
                DropReason.MODEM_SILENT,
                "the queue of the radio stays full: it does not transmit; look at its duty cycle "
                "and its region",
            )
        else:
            self._beat(now)
            self._due_us = now + FULL_ASK_US

    def _settle(self, verdict: Sent | NotSent) -> None:
        self._stage = Stage.IDLE
        self._due_us = None
        self.ready = True
        self._events.append(verdict)

    def _restarted(self, now: int) -> None:
        if self._stage in (Stage.WAKING, Stage.READING):
            return
        self._events.append(Dropped(DropReason.MODEM_RESET))
        self._give_up_frame(DropReason.MODEM_RESET)
        self._restarts += 1
        if self._restarts > RESTARTS_MAX:
            self._end(
                DropReason.MODEM_RESET,
                "the radio restarts again and again: look at its supply and its battery",
            )
        else:
            self._wake(now)

    def _give_up_frame(self, reason: DropReason) -> None:
        if self._stage in (Stage.QUEUED, Stage.ON_AIR, Stage.FULL):
            self._events.append(NotSent(reason, maybe=True))

    def _end(self, reason: DropReason, advice: str) -> None:
        self._stage = Stage.OVER
        self._beat_us = 0
        self._stream.close()
        self._writes.clear()
        self._break(reason, advice)

    # --- messages ---------------------------------------------------------------------------------

    def _left_out(self, piece: bytes) -> None:
        """Text of the console is no fault; anything else is one, once in a row."""
        if self._stage in (Stage.WAKING, Stage.READING):
            self._strange += piece[: STRANGE_MAX - len(self._strange)]
        if all(byte in b"\t\r\n\x1b" or 0x20 <= byte < 0x7F for byte in piece):
            return
        garbage = Dropped(DropReason.MODEM_GARBAGE)
        if not self._events or self._events[-1] != garbage:
            self._events.append(garbage)

    def _understood(self, data: bytes, now: int) -> bool:
        """Act on a message; tell whether it was one."""
        try:
            message = Message.decode(data)
            if data and not any(number in message for number in _KNOWN):
                return False
            self._act(message, now)
        except MalformedError:
            return False
        return True

    def _act(self, message: Message, now: int) -> None:
        if _PACKET in message:
            self._packet(message.message(_PACKET), now)
        elif _QUEUE in message:
            self._queue(message.message(_QUEUE), now)
        elif _REBOOTED in message:
            self._restarted(now)
        elif self._stage is Stage.READING:
            self._due_us = min(now + ANSWER_US, self._told_by_us)
            self._setting(message)
            if message[_COMPLETE].number == self._nonce:
                self._complete(now)
        elif self._check_us is not None:
            self._setting(message)
            if message[_COMPLETE].number == CHECK_NONCE:
                self._checked()

    def _setting(self, message: Message) -> None:
        if _MY_INFO in message:
            self._number = message.message(_MY_INFO)[1].number
        elif _METADATA in message:
            self._version(message.message(_METADATA)[1].data)
        elif _CONFIG in message:
            config = message.message(_CONFIG)
            if 6 in config:
                config.message(6)
                self._lora = config[6].data
            elif 8 in config:
                self._managed = bool(config.message(8)[4].number)
            elif 1 in config:
                self._repeats = repeats(config.message(1))
        elif _CHANNEL in message:
            channel = message.message(_CHANNEL)
            if channel[1].number == 0:
                self._channel_name = channel.message(2)[3].data.decode("utf-8", "replace")

    def _version(self, text: bytes) -> None:
        """Keep the version; from 2.8 on the firmware signs, and what is unreadable may sign."""
        self.firmware = text[:40].decode("ascii", "replace")
        numbers = self.firmware.split(".")[:2]
        if len(numbers) == 2 and all(number.isdecimal() for number in numbers):
            self.signs = (int(numbers[0]), int(numbers[1])) >= SIGNS_FROM

    def _packet(self, packet: Message, now: int) -> None:
        """Tell of a packet of our port that came by radio; others are not ours to read."""
        board = aired(packet, self._number) if 4 in packet else None
        if board is not None and self._stage not in (Stage.WAKING, Stage.READING):
            self._airtime_told = True
            self._events.append(board)
            return
        data = packet.message(4)
        over_internet, own = packet[14].number, packet[1].number == self._number
        if 4 not in packet or data[1].number != PRIVATE_APP or over_internet or own:
            return
        frame = data[2].data
        if self._stage in (Stage.WAKING, Stage.READING) or not 0 < len(frame) <= FRAME_BYTES_MAX:
            return
        rssi_dbm = float(packet[12].signed()) if 12 in packet else None
        snr_db = packet[8].real() if 8 in packet else None
        self._events.append(Heard(frame, rssi_dbm, snr_db))

    def _queue(self, report: Message, now: int) -> None:
        """Take a queue report: about our packet, or about the room that is left."""
        self._free = report[2].number
        about = report[4].number
        if self._stage is Stage.QUEUED and about == self._packet_id:
            if report[1].signed() != 0:
                self._settle(NotSent(DropReason.MODEM_REFUSED))
                return
            self._stage = Stage.ON_AIR
            slots_us = CONTENTION_SLOTS * (3 * self.plan.modulation.symbol_us + 7_600)
            self._due_us = now + self.airtime_us(self._size) + slots_us
        elif self._stage is Stage.FULL and self._free > 0:
            self._settle(Sent(told=False))
