"""An emulated MeshCore KISS modem: one frame at a time, TxDone, figures after each frame.

Enters: KISS from the host, frames from the air. Leaves: KISS to the host, frames on the air.
Written from the facts of the firmware's protocol, as docs/radios.md says them. Modelled: the queue
of two outgoing frames, whose overflow costs the figures of a frame; p-persistent access to the
channel with its three settings; settings lost at a restart. Not modelled: keys and signatures.
"""

from struct import Struct
from typing import ClassVar

from meshd.core.airtime import Modulation, airtime_us, noise_dbm
from meshd.core.errors import UsageError
from meshd.simulation.media.lora import Radio, RadioSetting, TimeAndChance
from meshd.simulation.modems import kiss
from meshd.simulation.modems.emulator import Emulator

PREAMBLE = 16
PACKET_BYTES = 255

_DATA, _TX_DELAY, _PERSISTENCE, _SLOT_TIME, _TX_TAIL, _FULL_DUPLEX, _HARDWARE = range(7)
_INVALID_LENGTH, _INVALID_VALUE, _UNKNOWN, _BUSY = 1, 2, 5, 7
_RADIO = Struct("<IIBB")
_FACTORY = (869_618_000, 62_500, 8, 8)
_POLL_US = 1_000
_LATE_US = 700_000
_BOOT_US = 1_000_000
_BOOT_LOG = (
    b"\xff\x00ESP-ROM:esp32c3\r\nrst:0x1 (POWERON),boot:0xc\r\nload:0x3fcd5820,len:0x1714\r\n"
)
_LOG = b"[  1240][E][Wire.cpp:499] requestFrom(): i2cRead returned Error 263\r\n"


class MeshCoreEmulator(Emulator):
    """One MeshCore modem, board unspecified."""

    kind = "meshcore"
    FAULTS: ClassVar[dict[str, str]] = {
        "silent": "never says anything",
        "no-figures": "leaves RxMeta out, as when its queue to the host is full",
        "late-figures": "says RxMeta half a second after its frame",
        "late": "answers everything 0.7 s late",
        "early-done": "says TxDone as soon as it has the frame",
        "no-done": "never says TxDone, and does send",
        "late-done": "says TxDone 5 s late",
        "tx-fails": "says that the transmission failed",
        "never-free": "holds every frame back and says that the channel is taken",
        "log": "prints a line of its log before each answer",
        "boot-log": "prints its boot log, and answers only 1 s after power came",
        "half-frames": "loses the second half of every fifth frame that it hands over",
        "resets": "restarts when it is given its third frame",
        "hangs": "says nothing more when it is given its third frame",
        "keeps-radio": "says OK to SetRadio and keeps what it had",
        "full-power": "says OK to SetTxPower and keeps 22 dBm",
        "garbage": "puts random bytes before what it says",
        "nameless": "does not know GetDeviceName and SetSignalReport, as old firmware",
    }

    def __init__(self, radio: Radio, schedule: TimeAndChance, faults: frozenset[str]) -> None:
        super().__init__(radio, schedule, faults)
        self._random = schedule.random(f"meshcore {radio.name}")
        self._unpacker = kiss.Unpacker(512, self._told)
        self._radio_set: tuple[int, ...] = _FACTORY
        self._power_dbm = 22
        self._access = {_TX_DELAY: 50, _PERSISTENCE: 63, _SLOT_TIME: 10, _FULL_DUPLEX: 0}
        self._pending: bytes | None = None
        self._boots = 0
        self._figures = True
        self._handed = 0
        self._counts = [0, 0, 0]
        self._dead = "silent" in faults
        self._from_us = 0

    def power_on(self) -> None:
        """Begin with the settings of the factory, and listen."""
        self._boots += 1
        self._radio_set = (0, 0, 0, 0) if self._boots > 1 else _FACTORY
        self._power_dbm = 22
        self._access = {_TX_DELAY: 50, _PERSISTENCE: 63, _SLOT_TIME: 10, _FULL_DUPLEX: 0}
        self._pending = None
        self._figures = True
        self.listening = True
        self._tune(_FACTORY)
        slow = self._boots > 1 or "boot-log" in self.faults
        self._from_us = self.schedule.now + (_BOOT_US if slow else 0)
        if "boot-log" in self.faults:
            self._put(_BOOT_LOG)

    # --- the host ---------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take bytes from the host; nobody reads them while it starts."""
        if self.schedule.now >= self._from_us:
            self._unpacker.feed(data)

    def _told(self, body: bytes) -> None:
        command, data = body[0], body[1:]
        if command >> 4:
            return
        if command == _DATA:
            self._take(data)
        elif command in self._access and data:
            self._access[command] = data[0]
        elif command == _HARDWARE and data:
            self._hardware(data[0], data[1:])

    def _hardware(self, command: int, data: bytes) -> None:
        if command == 0x09:
            self._set_radio(data)
        elif command == 0x0A:
            if not data:
                self._say(0xF1, _INVALID_LENGTH)
                return
            if "full-power" not in self.faults:
                self._power_dbm = data[0]
            self._tune(self._radio_set)
            self._say(0xF0)
        elif command == 0x18:
            self._say(0xF0)
            self.power_on()
        elif command in (0x16, 0x19, 0x1A) and "nameless" in self.faults:
            self._say(0xF1, _UNKNOWN)
        elif command == 0x19:
            self._figures = data[:1] != b"\0"
            self._say(0x9A, int(self._figures))
        elif command == 0x0F and not data:
            self._say(0xF1, _INVALID_LENGTH)
        else:
            self._answer(command, data)

    def _answer(self, command: int, data: bytes) -> None:
        """Answer a question that changes nothing."""
        modulation = self.radio.setting.modulation
        noise = round(noise_dbm(modulation.bandwidth_hz))
        if command == 0x0B:
            self._say(0x8B, _RADIO.pack(*self._radio_set))
        elif command == 0x0C:
            self._say(0x8C, self._power_dbm)
        elif command == 0x0D:
            self._say(0x8D, noise & 0xFF)
        elif command == 0x0E:
            self._say(0x8E, int(self._channel_busy()))
        elif command == 0x0F:
            milliseconds = airtime_us(modulation, data[0]) // 1_000
            self._say(0x8F, milliseconds.to_bytes(4, "little"))
        elif command == 0x10:
            self._say(0x90, noise.to_bytes(2, "little", signed=True))
        elif command == 0x11:
            self._say(0x91, 1, 0)
        elif command == 0x12:
            self._say(0x92, b"".join(count.to_bytes(4, "little") for count in self._counts))
        elif command == 0x16:
            self._say(0x96, b"Emulated MeshCore modem")
        elif command == 0x17:
            self._say(0x97)
        elif command == 0x1A:
            self._say(0x9A, int(self._figures))
        else:
            self._say(0xF1, _UNKNOWN)

    def _set_radio(self, data: bytes) -> None:
        if len(data) < _RADIO.size:
            self._say(0xF1, _INVALID_LENGTH)
            return
        asked = _RADIO.unpack_from(data)
        if not 5 <= asked[2] <= 12 or not 5 <= asked[3] <= 8:
            self._say(0xF1, _INVALID_VALUE)
            return
        if "keeps-radio" not in self.faults:
            self._radio_set = asked
            self._tune(asked)
        self._say(0xF0)

    def _tune(self, radio: tuple[int, ...]) -> None:
        frequency_hz, bandwidth_hz, spreading, coding = radio
        modulation = Modulation(spreading, bandwidth_hz, coding - 4, PREAMBLE)
        try:
            self.radio.tune(RadioSetting(modulation, frequency_hz, float(self._power_dbm)))
        except UsageError:
            return  # A chip can be set so; this air has no such radio.

    # --- sending ----------------------------------------------------------------------------------

    def _take(self, packet: bytes) -> None:
        if not 0 < len(packet) <= PACKET_BYTES:
            return
        if self._pending is not None:
            self._say(0xF1, _BUSY)
            return
        self._handed += 1
        if self._handed == 3 and "resets" in self.faults:
            self.power_on()
            return
        self._dead = self._dead or (self._handed == 3 and "hangs" in self.faults)
        if "tx-fails" in self.faults:
            self._say(0xF8, 0)
            return
        self._pending = packet
        if "early-done" in self.faults:
            self._say(0xF8, 1)
        self._contend(self._boots)

    def _contend(self, boot: int) -> None:
        """Send with a chance of P + 1 in 256 a slot on a free channel, after the key-up delay."""
        if boot != self._boots or self._pending is None:
            return
        now = self.schedule.now
        if self._channel_busy() and not self._access[_FULL_DUPLEX]:
            self.schedule.at(now + _POLL_US, self._contend, boot)
        elif self._random.randrange(256) <= self._access[_PERSISTENCE]:
            self.schedule.at(now + self._access[_TX_DELAY] * 10_000, self._key_up, boot)
        else:
            self.schedule.at(
                now + self._access[_SLOT_TIME] * 10_000 + _POLL_US, self._contend, boot
            )

    def _key_up(self, boot: int) -> None:
        if boot == self._boots and self._pending is not None and not self.radio.sending:
            self.radio.transmit(self._pending, "meshcore")

    def _channel_busy(self) -> bool:
        return "never-free" in self.faults or self.radio.busy()

    def _sent(self) -> None:
        self._counts[1] += 1
        self._pending = None
        if "late-done" in self.faults:
            self.schedule.at(self.schedule.now + 5_000_000, self._say, 0xF8, 1)
        elif not self.faults & {"early-done", "no-done"}:
            self._say(0xF8, 1)

    # --- hearing ----------------------------------------------------------------------------------

    def _received(self, frame: bytes, rssi_dbm: float, snr_db: float) -> None:
        if not self.listening or self.schedule.now < self._from_us:
            return
        self._counts[0] += 1
        line = kiss.packed(_DATA, frame)
        half = "half-frames" in self.faults and self._counts[0] % 5 == 0
        self._put(line[: len(line) // 2] if half else line)
        if not self._figures or "no-figures" in self.faults:
            return
        snr = round(self.told_snr_db(snr_db) * 4) & 0xFF
        rssi = max(round(rssi_dbm), -128) & 0xFF
        later_us = 500_000 if "late-figures" in self.faults else 0
        self.schedule.at(self.schedule.now + later_us, self._say, 0xF9, snr, rssi)

    # --- to the host ------------------------------------------------------------------------------

    def _say(self, *parts: int | bytes) -> None:
        line = kiss.packed(_HARDWARE, *parts)
        if "log" in self.faults:
            line = _LOG + line
        if "garbage" in self.faults:
            line = self._random.randbytes(self._random.randrange(12)) + line
        self._put(line)

    def _put(self, line: bytes) -> None:
        if "late" in self.faults:
            self.schedule.at(self.schedule.now + _LATE_US, self._write, line)
        else:
            self._write(line)

    def _write(self, line: bytes) -> None:
        if not self._dead:
            self.written(line)
