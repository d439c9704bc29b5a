"""RNode: the KISS dialect of the RNode firmware, 1.52 and later.

Enters: bytes of the port, frames, time. Leaves: bytes for the port, events. Must not know: what a
frame holds. A frame of ours takes 254 bytes at most, so that it is one frame on the air: the
firmware puts one byte before it, and would cut a longer one in two.

What this firmware does not say, and what is done about it. It never tells that a frame went out.
About once a second and after each frame it tells the share of the last 15 s that it was sending
(not on AVR boards): when that grows, the frame is out. Where it can not be seen to grow, airtime
and the firmware's own waiting are reckoned. READY is answered only when asked, and says nothing
about the air: it is not used. Numbers of one byte are escaped like any other.

```
 detecting --answer--> naming --version--> setting --radio is on--> online
     ^                    |                   |                        | reset, off, silent
     +---- reset ---------+-------------------+                        v broken
```
Ref: docs/radios.md
"""

from collections.abc import Callable
from enum import Enum
from struct import Struct

from meshd.core.airtime import airtime_us
from meshd.core.drops import DropReason
from meshd.radio import kiss
from meshd.radio.kiss_modem import DATA, HELD_MAX_US, KissModem
from meshd.radio.modem import Dropped, Heard, NotSent, RadioPlan, Sent

FREQUENCY, BANDWIDTH, TXPOWER, SPREADING, CODING, STATE = range(1, 7)
DETECT, SHORT_LOCK, LONG_LOCK, PROMISCUOUS = 0x08, 0x0B, 0x0C, 0x0E
RSSI, SNR, CHANNEL = 0x23, 0x24, 0x25
PLATFORM, VERSION, RESET, ERROR = 0x48, 0x50, 0x55, 0x90

_UNUSED = frozenset((*range(1, 0x10), *range(0x21, 0x2A), 0x40, 0x47, 0x49))
"""Reports and late echoes that nobody waits for."""

_DETECT_ASK, _DETECT_ANSWER, _RESET_AT_BOOT, _ASK = 0x73, 0x46, 0xF8, 0xFF
_RADIO_FAILED, _TX_FAILED, _QUEUE_FULL, _MODEM_TIMEOUT = 1, 2, 4, 6
_OLDEST = (1, 52)
_PLATFORMS = {0x90: "AVR", 0x80: "ESP32", 0x70: "nRF52"}
_SETTING_NAMES = {
    FREQUENCY: "frequency (Hz)",
    BANDWIDTH: "bandwidth (Hz)",
    TXPOWER: "power (dBm)",
    SPREADING: "spreading factor",
    CODING: "coding rate (4/n)",
}
_LEVEL_DB = 157
_PACKET_MAX = 508
_FREQUENCY_NEAR_HZ = 100

_LONG = Struct(">I")
_CHANNEL = Struct(">HHHHBBB")
_SIGNED = Struct("b")

_RESETS_MAX = 3
_QUIET_US = 15_000_000
_REPORT_US, _REPORTS_END_US = 1_300_000, 4_000_000
"""A report is due each second; a modem that gave none for so long gives none at all."""

_PREAMBLE_MIN, _PREAMBLE_MIN_US = 18, 24_000
_SLOT_SYMBOLS, _SLOT_MIN_US, _SLOT_MAX_US = 12, 24_000, 100_000
_SPACE_SLOTS, _WINDOW_SLOTS = 2, 15
_BANDS = ((0.07, 1), (0.33, 2), (0.59, 3), (0.85, 4))
"""Up to this share of the last 15 s spent sending, the firmware draws from so many windows."""

_SHARE_US = 1_500
"""A hundredth of a percent of 15 s."""

_RESET_ADVICE = "the RNode restarted: it is set up again; if that repeats, check its power supply"


class _State(Enum):
    DETECTING, NAMING, SETTING, ONLINE, ENDED = range(5)


class _Sending:
    """A frame that the modem was given. `share`: what it adds to the 15 s, in hundredths of 1 %."""

    __slots__ = ("earliest_us", "limit_us", "lowest", "share")

    def __init__(self, earliest_us: int, limit_us: int, lowest: int, airtime_us: int) -> None:
        self.earliest_us = earliest_us
        self.limit_us = limit_us
        self.lowest = lowest
        self.share = max(airtime_us // _SHARE_US, 1)


class Rnode(KissModem):
    """An RNode on its line."""

    kind = "rnode"
    frame_max = 254
    added_bytes = 1
    other_kind = "what answers is no RNode: `meshd radio scan` tells what it is"
    silent = "no RNode answers: is it plugged in, is this its port, is it in normal mode?"

    def __init__(self, plan: RadioPlan) -> None:
        super().__init__(plan, body_max=1 + _PACKET_MAX)
        self._state = _State.DETECTING
        self._resets = 0
        self._platform = ""
        self._steps: list[tuple[int, bytes]] = []
        self._rssi_dbm: float | None = None
        self._snr_db: float | None = None
        self._own_share = 0
        self._reports = False
        self._report_us = 0
        self._quiet_us = 0
        self._sending: _Sending | None = None
        self._handlers: dict[int, Callable[[bytes, int], None]] = {
            DATA: self._on_data,
            STATE: self._on_state,
            DETECT: self._on_detect,
            RSSI: self._on_rssi,
            SNR: self._on_snr,
            CHANNEL: self._on_channel,
            PLATFORM: self._on_platform,
            VERSION: self._on_version,
            RESET: self._on_reset,
            ERROR: self._on_error,
        }

    # --- verbs ------------------------------------------------------------------------------------

    def open(self, now: int) -> None:
        """Ask whether an RNode is there; one that restarts when its port opens may take seconds."""
        self._detect(now)
        self._arm()

    def receive(self, data: bytes, now: int) -> None:
        """Take bytes from the port."""
        for found in self._reader.read(data, now):
            if self._state is _State.ENDED:
                return
            if isinstance(found, DropReason):
                self._drop(found)
                continue
            command = found[0]
            if command in self._handlers:
                self._handlers[command](found[1:], now)
            elif self._steps and command == self._steps[0][0]:
                self._on_echo(command, found[1:], now)
            elif command not in _UNUSED:
                self._drop(DropReason.MODEM_GARBAGE)
        self._arm()

    def handle_timeout(self, now: int) -> None:
        """Ask again, give up, or settle what became of a frame."""
        if self._answer_us is not None and now >= self._answer_us:
            self._unanswered(now)
        sending = self._sending
        if sending is not None and now >= sending.limit_us:
            self._overdue(sending, now)
        if self._state is _State.ONLINE and self._answer_us is None and now >= self._quiet_us:
            self._tries = 0
            self._check(now)
        self._arm()

    def transmit(self, frame: bytes, now: int) -> None:
        """Give the modem a frame."""
        if not self._takes(frame):
            return
        earliest_us = self._hand_over(frame, now)
        limit_us = earliest_us + self._waiting_us()
        on_air_us = self.airtime_us(len(frame))
        self._sending = _Sending(earliest_us, limit_us, self._own_share, on_air_us)
        self._arm()

    def airtime_us(self, size: int) -> int:
        """Return the airtime with the preamble that this firmware takes for a modulation."""
        modulation = self.plan.modulation
        preamble = max(_PREAMBLE_MIN, -(-_PREAMBLE_MIN_US // modulation.symbol_us))
        return airtime_us(modulation._replace(preamble=preamble), size + self.added_bytes)

    # --- opening ----------------------------------------------------------------------------------

    def _detect(self, now: int) -> None:
        self._state = _State.DETECTING
        self._tries = 0
        self._write(DETECT, bytes((_DETECT_ASK,)))
        self._await(now)

    def _name(self, now: int) -> None:
        """Ask for the version last: when it comes, the rest has come."""
        self._write(PLATFORM, b"\0")
        self._write(VERSION, b"\0")
        self._await(now)

    def _set(self, now: int) -> None:
        """Write the next setting; each is echoed as it was taken."""
        self._write(*self._steps[0])
        self._await(now)

    def _check(self, now: int) -> None:
        """Nothing came for long: ask whether the radio is on."""
        self._write(STATE, bytes((_ASK,)))
        self._await(now)

    def _unanswered(self, now: int) -> None:
        opening = self._state is _State.DETECTING
        if self._spent(opening=opening):
            self._give_up(opening=opening)
        elif opening:
            self._write(DETECT, bytes((_DETECT_ASK,)))
            self._await(now)
        else:
            again = {_State.NAMING: self._name, _State.SETTING: self._set}
            again.get(self._state, self._check)(now)

    def _on_detect(self, payload: bytes, now: int) -> None:
        if self._state is _State.DETECTING and payload[:1] == bytes((_DETECT_ANSWER,)):
            self._state = _State.NAMING
            self._tries = 0
            self._name(now)

    def _on_platform(self, payload: bytes, now: int) -> None:
        self._platform = _PLATFORMS.get(payload[0], "") if payload else ""
        self._reports = self._platform in ("ESP32", "nRF52")

    def _on_version(self, payload: bytes, now: int) -> None:
        if self._state is not _State.NAMING or len(payload) < 2:
            return
        version = (payload[0], payload[1])
        if version < _OLDEST:
            self._end(
                DropReason.MODEM_SETTING,
                f"firmware {version[0]}.{version[1]:02} is too old: update this RNode to 1.52 "
                "or later",
            )
            return
        model = f"RNode ({self._platform})" if self._platform else "RNode"
        self._tries = 0
        if not self._opened(model, f"{version[0]}.{version[1]:02}"):
            self._state = _State.ENDED
            self._answer_us = None
            return
        self._state = _State.SETTING
        for command in (SHORT_LOCK, LONG_LOCK):
            self._write(command, b"\0\0")
        self._write(PROMISCUOUS, b"\0")
        self._steps = self._settings()
        self._set(now)

    def _settings(self) -> list[tuple[int, bytes]]:
        """Return what to set in the order that the firmware needs it; the radio goes on last."""
        modulation = self.plan.modulation
        return [
            (FREQUENCY, _LONG.pack(self.plan.frequency_hz)),
            (BANDWIDTH, _LONG.pack(modulation.bandwidth_hz)),
            (TXPOWER, bytes((min(self.plan.tx_dbm, 0x7F),))),
            (SPREADING, bytes((modulation.spreading_factor,))),
            (CODING, bytes((modulation.coding_rate + 4,))),
            (STATE, b"\1"),
        ]

    def _on_echo(self, command: int, payload: bytes, now: int) -> None:
        """A setting comes back as it was taken."""
        wanted = int.from_bytes(self._steps[0][1], "big")
        said = int.from_bytes(payload, "big")
        near = _FREQUENCY_NEAR_HZ if command == FREQUENCY else 0
        lower = command == TXPOWER and said <= wanted
        if len(payload) != len(self._steps[0][1]) or not (abs(said - wanted) <= near or lower):
            name = _SETTING_NAMES[command]
            self._end(
                DropReason.MODEM_SETTING,
                f"this RNode set its {name} to {said} instead of {wanted}: choose what it can do",
            )
            return
        if command == TXPOWER:
            self._granted_dbm = said
        self._steps.pop(0)
        self._tries = 0
        self._set(now)

    def _on_state(self, payload: bytes, now: int) -> None:
        """The radio is on or off; switching it on is told twice."""
        if payload not in (b"\0", b"\1"):
            self._drop(DropReason.MODEM_GARBAGE)
        elif self._state is _State.ONLINE:
            self._answer_us = None
            self._quiet_us = now + _QUIET_US
            if payload == b"\0":
                self._end(DropReason.MODEM_RESET, _RESET_ADVICE)
        elif self._state is _State.SETTING and len(self._steps) == 1:
            self._steps.clear()
            self._answer_us = None
            if payload == b"\0":
                self._end(
                    DropReason.MODEM_SETTING,
                    "this RNode does not switch its radio on: `rnodeconf --info` tells whether it "
                    "was provisioned",
                )
                return
            self._state = _State.ONLINE
            self._quiet_us = now + _QUIET_US
            self._report_us = now
            self._online()

    def _on_reset(self, payload: bytes, now: int) -> None:
        """It restarted: to be expected while it is opened, a loss of all settings afterwards."""
        if payload != bytes((_RESET_AT_BOOT,)):
            self._drop(DropReason.MODEM_GARBAGE)
            return
        self._resets += 1
        if self._state is _State.ONLINE or self._resets > _RESETS_MAX:
            self._end(DropReason.MODEM_RESET, _RESET_ADVICE)
            return
        self._steps.clear()
        self._detect(now)

    # --- the air ----------------------------------------------------------------------------------

    def _on_rssi(self, payload: bytes, now: int) -> None:
        if len(payload) == 1:
            self._rssi_dbm = float(payload[0] - _LEVEL_DB)

    def _on_snr(self, payload: bytes, now: int) -> None:
        if len(payload) == 1:
            self._snr_db = _SIGNED.unpack(payload)[0] / 4

    def _on_data(self, payload: bytes, now: int) -> None:
        rssi_dbm, self._rssi_dbm = self._rssi_dbm, None
        snr_db, self._snr_db = self._snr_db, None
        if self._state is not _State.ONLINE:
            return  # heard with whatever was set before
        if not 0 < len(payload) <= self.frame_max:
            reason = DropReason.MODEM_TOO_LONG if payload else DropReason.MODEM_GARBAGE
            self._drop(reason)
            return
        self._quiet_us = now + _QUIET_US
        self._events.append(Heard(payload, rssi_dbm, snr_db))

    def _on_channel(self, payload: bytes, now: int) -> None:
        """The share of time spent sending, and the noise."""
        if len(payload) != _CHANNEL.size:
            self._drop(DropReason.MODEM_GARBAGE)
            return
        self._own_share, _, _, _, _, noise, _ = _CHANNEL.unpack(payload)
        self._report_us = now
        if self._state is not _State.ONLINE:
            return
        self._quiet_us = now + _QUIET_US
        self._hear_noise(noise, noise - _LEVEL_DB)
        sending = self._sending
        if sending is None:
            return
        grown = self._own_share >= sending.lowest + (sending.share + 1) // 2
        if grown and now >= sending.earliest_us:
            self._settle(Sent(told=True))
        else:
            sending.lowest = min(sending.lowest, self._own_share)

    def _on_error(self, payload: bytes, now: int) -> None:
        code = payload[0] if len(payload) == 1 else 0
        if code == _RADIO_FAILED:
            self._end(
                DropReason.MODEM_REFUSED,
                "this RNode can not start its radio: unplug it and plug it in again",
            )
        elif self._sending is not None and code in (_TX_FAILED, _QUEUE_FULL):
            self._settle(NotSent(DropReason.MODEM_REFUSED))
        elif self._sending is not None and code == _MODEM_TIMEOUT:
            self._settle(NotSent(DropReason.MODEM_REFUSED, maybe=True))
        else:
            self._drop(DropReason.MODEM_REFUSED)

    def _overdue(self, sending: _Sending, now: int) -> None:
        """The reckoned time is over: be patient while the modem's reports show that it waits.

        Only a count that was near nothing shows that: from a higher one old frames leave meanwhile,
        and may hide the new one.
        """
        counted = self._report_us >= sending.earliest_us
        waits = counted and self._own_share * 2 < sending.share
        last_us = sending.earliest_us + HELD_MAX_US
        if now >= last_us:
            taken = NotSent(DropReason.MODEM_CHANNEL_TAKEN, maybe=True)
            self._settle(taken if waits else Sent(told=False))
        elif waits:
            sending.limit_us = last_us
        elif not counted and self._reports and now - self._report_us < _REPORTS_END_US:
            sending.limit_us = min(max(now, sending.earliest_us) + _REPORT_US, last_us)
        else:
            self._settle(Sent(told=False))

    def _waiting_us(self) -> int:
        """Return how long the firmware waits at most before it sends on a free channel."""
        symbol_us = self.plan.modulation.symbol_us
        slot_us = min(max(_SLOT_SYMBOLS * symbol_us, _SLOT_MIN_US), _SLOT_MAX_US)
        own = self._own_share / 10_000
        windows = next((windows for share, windows in _BANDS if own <= share), len(_BANDS))
        return slot_us * (_SPACE_SLOTS + windows * _WINDOW_SLOTS)

    # --- the rest ---------------------------------------------------------------------------------

    def _settle(self, event: Sent | NotSent) -> None:
        self._sending = None
        self.ready = True
        self._events.append(event)

    def _end(self, reason: DropReason, advice: str) -> None:
        if self._sending is not None:
            self._settle(NotSent(reason, maybe=True))
        self._state = _State.ENDED
        self._answer_us = None
        self._break(reason, advice)

    def _drop(self, reason: DropReason) -> None:
        self._strange = True
        self._events.append(Dropped(reason))

    def _write(self, command: int, payload: bytes) -> None:
        self._writes.append(kiss.frame(command, payload))

    def _arm(self) -> None:
        """Be woken at the first of what is waited for."""
        if self._state is _State.ENDED:
            self._due_us = None
            return
        waits = [self._sending.limit_us] if self._sending is not None else []
        if self._answer_us is not None:
            waits.append(self._answer_us)
        elif self._state is _State.ONLINE:
            waits.append(self._quiet_us)
        self._due_us = min(waits, default=None)
