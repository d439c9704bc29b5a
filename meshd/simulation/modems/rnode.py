"""An emulated RNode: its KISS commands, its queue, its listening before talking, its reports.

Enters: KISS from the host, frames from the air. Leaves: KISS to the host, frames on the air.
Written from the facts of firmware 1.86, as docs/radios.md and hardware/radios/rnode.toml say them.

On the air each frame begins with one byte: a random number above, and below a flag that two frames
are one packet. Modelled: clamped values, the doubled answer of RADIO_STATE, READY only when asked,
reports before each packet and each second, contention windows that grow with the own airtime. Not
modelled: EEPROM, display, Bluetooth, the airtime locks, holding off for interference.
"""

from collections import deque
from struct import Struct
from typing import ClassVar

from meshd.core.airtime import Modulation, airtime_us, noise_dbm
from meshd.core.errors import UsageError
from meshd.core.law import HOUR_US
from meshd.simulation.media.lora import Radio, RadioSetting, TimeAndChance
from meshd.simulation.modems import kiss
from meshd.simulation.modems.emulator import Emulator
from meshd.simulation.schedule import SECOND

SINGLE_BYTES, PACKET_BYTES = 254, 508
QUEUE_PACKETS, QUEUE_BYTES = 200, 6_144

_DATA, _FREQUENCY, _BANDWIDTH, _POWER, _SPREADING, _CODING, _STATE, _LOCKED, _DETECT = range(9)
_READY, _RSSI, _SNR, _CHANNEL, _PHYSICAL = 0x0F, 0x23, 0x24, 0x25, 0x26
_PLATFORM, _MCU, _VERSION, _RESET, _RANDOM, _ERROR = 0x48, 0x49, 0x50, 0x55, 0x40, 0x90
_ARGUMENT_BYTES = {_FREQUENCY: 4, _BANDWIDTH: 4, 0x0B: 2, 0x0C: 2}
_LONG = Struct(">I")
_CHANNEL_REPORT = Struct(">HHHHBBB")
_PHYSICAL_REPORT = Struct(">HHHHHH")
_SHORT_US = 15 * SECOND
_BANDS = (0.07, 0.33, 0.59, 0.85)
_SPLIT = 0x01
_BOOT_US = 1_500_000
_LATE_US = 700_000
_BOOT_LOG = (
    b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x17 (SPI_FAST_FLASH_BOOT)\r\n"
    b"configsip: 0, SPIWP:0xee\r\nload:0x3fff0030,len:1184\r\nentry 0x400805f0\r\n"
)


class RnodeEmulator(Emulator):
    """One RNode on an ESP32."""

    kind = "rnode"
    FAULTS: ClassVar[dict[str, str]] = {
        "silent": "never says anything",
        "boot-log": "prints its boot log, and answers only 1.5 s after power came",
        "late": "answers everything 0.7 s late",
        "old-firmware": "says that its firmware is 1.40",
        "no-channel-report": "never reports airtime and noise, as boards with AVR",
        "no-figures": "gives packets without RSSI and SNR",
        "ready-silent": "does not answer READY",
        "weak": "takes no more than 7 dBm",
        "wrong-frequency": "sets another frequency than it was told",
        "stays-off": "does not switch its radio on",
        "lies": "counts each frame as sent, and sends nothing",
        "tx-fails": "reports that it could not send, and does not send",
        "resets": "restarts when it should send its third packet",
        "hangs": "says nothing more after its third packet",
        "garbage": "puts random bytes before what it says",
        "half-frames": "loses the second half of every fifth packet that it hands over",
    }

    def __init__(self, radio: Radio, schedule: TimeAndChance, faults: frozenset[str]) -> None:
        super().__init__(radio, schedule, faults)
        self._random = schedule.random(f"rnode {radio.name}")
        self._unpacker = kiss.Unpacker(1 + PACKET_BYTES, self._told)
        self._set: dict[int, int] = {}
        self._queue: deque[bytes] = deque()
        self._airing: deque[bytes] = deque()
        self._contending = False
        self._half: tuple[int, bytes] | None = None
        self._sent_us: deque[tuple[int, int]] = deque()
        self._asked_to_send = 0
        self._given = 0
        self._dead = "silent" in faults
        self._from_us = 0
        self._boots = 0

    # --- power ------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Begin with no settings; say RESET when it is up."""
        self._boots += 1
        self._set.clear()
        self._queue.clear()
        self._airing.clear()
        self._half = None
        self.listening = False
        self._from_us = self.schedule.now
        if "boot-log" in self.faults:
            self._put(_BOOT_LOG)
            self._from_us += _BOOT_US
        self.schedule.at(self._from_us, self._say, _RESET, 0xF8)

    # --- the host ---------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take bytes from the host; nobody reads them while it starts."""
        if self.schedule.now >= self._from_us:
            self._unpacker.feed(data)

    def _told(self, body: bytes) -> None:
        command, payload = body[0], body[1:]
        if command == _DATA:
            self._enqueue(payload)
            return
        needed = _ARGUMENT_BYTES.get(command, 1)
        if len(payload) < needed:
            return
        argument = int.from_bytes(payload[:needed], "big")
        if command in (_FREQUENCY, _BANDWIDTH):
            self._set_long(command, argument)
        elif command in (_POWER, _SPREADING, _CODING):
            self._set_byte(command, argument)
        elif command == _STATE:
            self._switch(argument)
        elif command == _DETECT:
            if argument == 0x73:
                self._say(_DETECT, 0x46)
        elif command == _RESET:
            if argument == 0xF8:
                self.power_on()
        else:
            self._report(command, payload[:needed])

    def _report(self, command: int, argument: bytes) -> None:
        if command == _PLATFORM:
            self._say(_PLATFORM, 0x90 if "no-channel-report" in self.faults else 0x80)
        elif command == _MCU:
            self._say(_MCU, 0x81)
        elif command == _VERSION:
            self._say(_VERSION, *((1, 40) if "old-firmware" in self.faults else (1, 86)))
        elif command == _LOCKED:
            self._say(_LOCKED, int(not self._complete()))
        elif command == _READY:
            if "ready-silent" not in self.faults:
                self._say(_READY, int(len(self._queue) < QUEUE_PACKETS))
        elif command == _RANDOM:
            self._say(_RANDOM, self._random.randrange(256))
        elif command == 0x47:
            self._say(0x47, 0x3A)
        elif command in (0x09, 0x0B, 0x0C, 0x0E):
            self._say(command, argument)

    def _set_long(self, command: int, value: int) -> None:
        if value:
            self._set[command] = value
            if command == _FREQUENCY and "wrong-frequency" in self.faults:
                self._set[command] = 433_000_000
            self._tune()
        self._say(command, _LONG.pack(self._set.get(command, 0)))

    def _set_byte(self, command: int, value: int) -> None:
        low, high = {_POWER: (0, 22), _SPREADING: (5, 12), _CODING: (5, 8)}[command]
        if command == _POWER and "weak" in self.faults:
            high = 7
        if value != 0xFF:
            self._set[command] = min(max(value, low), high)
            self._tune()
        self._say(command, self._set.get(command, 0xFF))

    def _complete(self) -> bool:
        return self._set.keys() >= {_FREQUENCY, _BANDWIDTH, _POWER, _SPREADING}

    def _switch(self, argument: int) -> None:
        if argument == 1:
            was = self.listening
            self.listening = self._complete() and "stays-off" not in self.faults
            self._say(_STATE, int(self.listening))
            if self.listening and not was:
                self._tune()
                self.schedule.at(self.schedule.now + SECOND, self._each_second, self._boots)
        elif argument == 0:
            self.listening = False
        if argument in (0, 1, 0xFF):
            self._say(_STATE, int(self.listening))

    # --- the radio --------------------------------------------------------------------------------

    def _tune(self) -> None:
        """Set the radio; with fewer than all parameters nothing changes on the air."""
        if not self._complete():
            return
        bandwidth_hz, spreading = self._set[_BANDWIDTH], self._set[_SPREADING]
        symbol_us = max((1_000_000 << spreading) // bandwidth_hz, 1)
        preamble = max(18, -(-24_000 // symbol_us))
        coding = self._set.get(_CODING, 5) - 4
        modulation = Modulation(spreading, bandwidth_hz, coding, preamble)
        power_dbm = float(self._set[_POWER])
        try:
            self.radio.tune(RadioSetting(modulation, self._set[_FREQUENCY], power_dbm))
        except UsageError:
            return  # A chip can be set so; this air has no such radio.
        milliseconds = modulation.preamble_us // 1_000
        self._say(
            _PHYSICAL,
            _PHYSICAL_REPORT.pack(
                min(symbol_us, 0xFFFF),
                min(1_000_000 // symbol_us, 0xFFFF),
                preamble,
                min(milliseconds, 0xFFFF),
                self._slot_us() // 1_000,
                self._slot_us() // 500,
            ),
        )

    def _enqueue(self, packet: bytes) -> None:
        if not self.listening or not 0 < len(packet) <= PACKET_BYTES:
            return
        self._asked_to_send += 1
        third = self._asked_to_send == 3
        if "tx-fails" in self.faults:
            self._say(_ERROR, 0x02)
        elif third and "resets" in self.faults:
            self.power_on()
        elif third and "hangs" in self.faults:
            self._dead = True
        elif len(self._queue) < QUEUE_PACKETS and sum(map(len, self._queue)) < QUEUE_BYTES:
            self._queue.append(packet)
            if not self._contending:
                self._contending = True
                self._contend(2, self._drawn_slots())

    def _contend(self, space: int, slots: int) -> None:
        """Listen a slot at a time: a free space first, then as many free slots as were drawn."""
        if not self.listening:
            self._contending = False
        elif self.radio.busy():
            self.schedule.at(self.schedule.now + self._slot_us(), self._contend, 2, slots)
        elif space:
            self.schedule.at(self.schedule.now + self._slot_us(), self._contend, space - 1, slots)
        elif slots:
            self.schedule.at(self.schedule.now + self._slot_us(), self._contend, 0, slots - 1)
        else:
            while self._queue:
                self._airing.extend(self._framed(self._queue.popleft()))
            self._next()

    def _framed(self, packet: bytes) -> list[bytes]:
        """Return the frames of a packet: one, or two with the same first byte."""
        number = self._random.randrange(16) << 4
        if len(packet) <= SINGLE_BYTES:
            return [bytes((number,)) + packet]
        first = bytes((number | _SPLIT,))
        return [first + packet[:SINGLE_BYTES], first + packet[SINGLE_BYTES:]]

    def _next(self) -> None:
        if self._airing and self.listening and not self.radio.sending:
            frame = self._airing.popleft()
            if "lies" in self.faults:
                now = self.schedule.now
                duration_us = airtime_us(self.radio.setting.modulation, len(frame))
                self._sent_us.append((now + duration_us, duration_us))
                self.schedule.at(now + duration_us, self._sent)
                return
            duration_us = self.radio.transmit(frame, "rnode")
            self._sent_us.append((self.schedule.now + duration_us, duration_us))
        else:
            self._contending = False
            if self._queue:
                self._contending = True
                self._contend(2, self._drawn_slots())

    def _sent(self) -> None:
        self._report_channel()
        self._next()

    def _received(self, frame: bytes, rssi_dbm: float, snr_db: float) -> None:
        if not self.listening or not frame:
            return
        head, body = frame[0], frame[1:]
        if head & _SPLIT:
            half, self._half = self._half, None
            if half is None or half[0] != head:
                self._half = (head, body)
                return
            body = half[1] + body
        if not body:
            return
        if "no-figures" not in self.faults:
            self._say(_RSSI, min(max(round(rssi_dbm) + 157, 0), 255))
            told = max(round(self.told_snr_db(snr_db) * 4), -128)
            self._say(_SNR, told & 0xFF)
        self._given += 1
        line = kiss.packed(_DATA, body)
        if "half-frames" in self.faults and self._given % 5 == 0:
            line = line[: len(line) // 2]
        self._put(line)

    # --- reports ----------------------------------------------------------------------------------

    def _each_second(self, boot: int) -> None:
        if self.listening and boot == self._boots:
            self._report_channel()
            self.schedule.at(self.schedule.now + SECOND, self._each_second, boot)

    def _report_channel(self) -> None:
        if "no-channel-report" in self.faults or not self.listening:
            return
        setting = self.radio.setting
        noise = noise_dbm(setting.modulation.bandwidth_hz, setting.noise_figure_db)
        level = min(max(round(noise) + 157, 0), 255)
        now_load = 10_000 if self.radio.busy() else round(self._share(_SHORT_US) * 10_000)
        report = _CHANNEL_REPORT.pack(
            round(self._share(_SHORT_US) * 10_000),
            round(self._share(HOUR_US) * 10_000),
            now_load,
            round(self._share(HOUR_US) * 10_000),
            level,
            level,
            0xFF,
        )
        self._say(_CHANNEL, report)

    def _share(self, window_us: int) -> float:
        """Return the share of a window until now that this radio was sending."""
        now = self.schedule.now
        while self._sent_us and self._sent_us[0][0] < now - HOUR_US:
            self._sent_us.popleft()
        inside = sum(length for end, length in self._sent_us if now - window_us <= end <= now)
        return min(inside / window_us, 1.0)

    def _slot_us(self) -> int:
        return min(max(12 * self.radio.setting.modulation.symbol_us, 24_000), 100_000)

    def _drawn_slots(self) -> int:
        share = self._share(_SHORT_US)
        band = sum(share > edge for edge in _BANDS[:3])
        return self._random.randrange(15) + 15 * band

    # --- to the host ------------------------------------------------------------------------------

    def _say(self, *parts: int | bytes) -> None:
        line = kiss.packed(*parts)
        if "garbage" in self.faults:
            line = self._random.randbytes(self._random.randrange(12)) + line
        self._put(line)

    def _put(self, line: bytes) -> None:
        if self._dead:
            return
        if "late" in self.faults:
            self.schedule.at(self.schedule.now + _LATE_US, self._write, line)
        else:
            self._write(line)

    def _write(self, line: bytes) -> None:
        if not self._dead:
            self.written(line)
