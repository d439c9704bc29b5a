"""An emulated Ebyte E22: registers in one mode, a pipe of bytes in the other.

Enters: bytes from the host, mode pins, frames from the air. Leaves: bytes, frames. Written from
the facts in hardware/radios/ebyte.toml. Bytes that come without a pause become one packet of at
most the sub-packet's length. What a packet looks like on the air and which LoRa setting an air rate
stands for is not published: here it is a mark and the network number before the data, and a setting
of about that bit rate. A pseudo-terminal has no CTS or DSR that could carry the pin AUX: `aux` is
its level, for tests of who keeps its timing, and what is written at a wrong time is lost as in a
module. Not modelled: fixed mode, repeater, wake on radio, the key.
"""

from collections import deque
from typing import ClassVar

from meshd.core.airtime import Modulation
from meshd.simulation.media.lora import Radio, RadioSetting, TimeAndChance
from meshd.simulation.modems.emulator import Emulator

MARK = 0xE2
PAUSE_US = 40_000
"""Silence on the serial line that ends a packet: some bytes at 9600 baud."""

MODE_US, SLOW_MODE_US = 60_000, 180_000
LISTEN_US = 20_000
_LATE_US, _BOOT_US = 300_000, 500_000
BUFFER_MAX = 1_000
_SUB_PACKETS = (240, 128, 64, 32)
_POWERS_DBM = (22, 17, 13, 10)
_AIR = (
    *(Modulation(12, 125_000), Modulation(11, 250_000), Modulation(11, 500_000)),
    *(Modulation(9, 250_000), Modulation(8, 500_000), Modulation(7, 500_000)),
    *(Modulation(7, 500_000), Modulation(7, 500_000)),
)
_PRODUCT = bytes.fromhex("00220b10160000")
_REGISTERS = 9


class EbyteEmulator(Emulator):
    """An E22-900T22, or with the fault `band-400` an E22-400T22."""

    kind = "ebyte"
    baud = 9_600
    has_pins = True
    FAULTS: ClassVar[dict[str, str]] = {
        "silent": "never says anything",
        "band-400": "is the module for 410 to 493 MHz",
        "slow-mode": "takes 0.18 s to change its mode, and loses what is written meanwhile",
        "pins-not-wired": "stays in its pipe whatever the mode pins say",
        "refuses": "answers FF FF FF to every writing of registers",
        "forgets": "answers writing with what it held before",
        "half-rssi": "tells signal strength as manuals of 2018 say",
        "no-signal-byte": "never appends the byte of signal strength",
        "merges": "holds back a packet until the next one, and gives both at once",
        "cuts": "sends what the host writes in packets of 32 bytes",
        "noise": "puts random bytes before every third packet that it gives",
        "late": "answers everything 0.3 s late",
        "boot-log": "gives random bytes when power comes, and takes nothing for 0.5 s",
        "resets": "restarts when it is given its third packet, which is lost",
        "hangs": "says nothing and sends nothing more after its third packet",
        "lies": "sends nothing at all; only its pin AUX, which nobody reads, would tell",
        "half-frames": "loses the second half of every fifth packet that it gives",
    }

    def __init__(self, radio: Radio, schedule: TimeAndChance, faults: frozenset[str]) -> None:
        super().__init__(radio, schedule, faults)
        self._random = schedule.random(f"ebyte {radio.name}")
        self._registers = bytearray.fromhex("000000 62 00 12 03 0000")
        self._settings_mode = False
        self._changes_until_us = 0
        self._typed = bytearray()
        self._typed_us = 0
        self._packets: deque[bytes] = deque()
        self._given = self._asked_to_send = 0
        self._kept = b""
        self._dead = "silent" in faults

    def power_on(self) -> None:
        """Begin with the registers that were kept."""
        if "boot-log" in self.faults:
            self._say(self._random.randbytes(24))
            self._changes_until_us = self.schedule.now + _BOOT_US
        self._typed.clear()
        self._packets.clear()
        self.listening = True
        self._tune()

    def pins(self, *, m0: bool, m1: bool) -> None:
        """Change the mode: M1 high and M0 low is for registers."""
        if "pins-not-wired" in self.faults:
            return
        self._settings_mode = m1 and not m0
        self.listening = not m0 and not m1
        change_us = SLOW_MODE_US if "slow-mode" in self.faults else MODE_US
        self._changes_until_us = self.schedule.now + change_us
        self._typed.clear()

    @property
    def aux(self) -> bool:
        """Tell whether its pin AUX is high: it is in its mode, and has nothing left to send."""
        changing = self.schedule.now < self._changes_until_us
        return not (changing or self._typed or self._packets or self.radio.sending)

    def _tune(self) -> None:
        first_hz = 410_125_000 if "band-400" in self.faults else 850_125_000
        modulation = _AIR[self._registers[3] & 7]
        power_dbm = _POWERS_DBM[self._registers[4] & 3]
        frequency_hz = first_hz + 1_000_000 * self._registers[5]
        self.radio.tune(RadioSetting(modulation, frequency_hz, float(power_dbm)))

    # --- the host ---------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take bytes from the host."""
        if self.schedule.now < self._changes_until_us:
            return
        room = BUFFER_MAX - len(self._typed)
        self._typed += data[:room]
        self._typed_us = self.schedule.now
        if not self._settings_mode:
            self._cut()
        self.schedule.at(self.schedule.now + PAUSE_US, self._paused)

    def _paused(self) -> None:
        """End a packet or a command when the line has been quiet."""
        if self.schedule.now - self._typed_us < PAUSE_US or not self._typed:
            return
        typed = bytes(self._typed)
        self._typed.clear()
        if self._settings_mode:
            self._command(typed)
        else:
            self._enqueue(typed)

    def _command(self, typed: bytes) -> None:
        what, start, length = (*typed[:3], 0, 0, 0)[:3]
        held = self._product_or_registers(start, length)
        if held is None or len(typed) < 3:
            self._say(b"\xff\xff\xff")
        elif what == 0xC1 and len(typed) == 3:
            self._say(b"\xc1" + typed[1:3] + held)
        elif what in (0xC0, 0xC2) and len(typed) == 3 + length and start + length <= _REGISTERS:
            self._write(start, typed[3:], held)
        else:
            self._say(b"\xff\xff\xff")

    def _product_or_registers(self, start: int, length: int) -> bytes | None:
        if start >= 0x80 and start + length <= 0x80 + len(_PRODUCT):
            return _PRODUCT[start - 0x80 : start - 0x80 + length]
        if start + length <= _REGISTERS:
            return bytes(self._registers[start : start + length])
        return None

    def _write(self, start: int, values: bytes, held: bytes) -> None:
        if "refuses" in self.faults:
            self._say(b"\xff\xff\xff")
            return
        if "forgets" not in self.faults:
            self._registers[start : start + len(values)] = values
            held = values
            self._tune()
        self._say(bytes((0xC1, start, len(values))) + held)

    def _say(self, data: bytes) -> None:
        if "late" in self.faults:
            self.schedule.at(self.schedule.now + _LATE_US, self._write_line, data)
        else:
            self._write_line(data)

    def _write_line(self, data: bytes) -> None:
        if not self._dead:
            self.written(data)

    # --- to the air -------------------------------------------------------------------------------

    def _cut(self) -> None:
        length = _SUB_PACKETS[self._registers[4] >> 6]
        if "cuts" in self.faults:
            length = 32
        while len(self._typed) >= length:
            self._enqueue(bytes(self._typed[:length]))
            del self._typed[:length]

    def _enqueue(self, packet: bytes) -> None:
        self._asked_to_send += 1
        third = self._asked_to_send == 3
        self._dead = self._dead or (third and "hangs" in self.faults)
        if third and "resets" in self.faults:
            self.power_on()
        elif "lies" in self.faults or ("hangs" in self.faults and self._dead):
            return
        elif sum(map(len, self._packets)) + len(packet) <= BUFFER_MAX:
            self._packets.append(packet)
            self._next()

    def _next(self) -> None:
        if not self._packets or self.radio.sending or self._settings_mode:
            return
        if self._registers[6] & 0x10 and self.radio.busy():
            self.schedule.at(self.schedule.now + LISTEN_US, self._next)
            return
        head = bytes((MARK, self._registers[2]))
        self.radio.transmit(head + self._packets.popleft(), "ebyte")

    def _sent(self) -> None:
        self._next()

    # --- from the air -----------------------------------------------------------------------------

    def _received(self, frame: bytes, rssi_dbm: float, snr_db: float) -> None:
        if not self.listening or frame[:2] != bytes((MARK, self._registers[2])):
            return
        self._given += 1
        data = frame[2:]
        if self._registers[6] & 0x80 and "no-signal-byte" not in self.faults:
            half = "half-rssi" in self.faults
            told = round(-2 * rssi_dbm) if half else 256 + round(rssi_dbm)
            data += bytes((min(max(told, 0), 255),))
        if "half-frames" in self.faults and self._given % 5 == 0:
            data = data[: len(data) // 2]
        if "noise" in self.faults and self._given % 3 == 0:
            data = self._random.randbytes(self._random.randrange(1, 20)) + data
        if "merges" in self.faults and not self._kept:
            self._kept = data
            return
        self._say(self._kept + data)
        self._kept = b""
