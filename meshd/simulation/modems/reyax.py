"""An emulated Reyax module: its AT commands, its `+RCV=` lines, the errors it gives unasked.

Enters: command lines, frames from the air. Leaves: answers, frames on the air. Written from the
facts in hardware/radios/reyax.toml. On the air each packet has eight bytes more; what they hold is
not published, here it is a mark, network, addresses and a length. Modelled: limits of spreading
factor and preamble, networks, addresses, what a restart forgets. Not modelled: AES, sleep.
"""

from typing import ClassVar

from meshd.core.airtime import Modulation
from meshd.simulation.media.lora import Radio, RadioSetting, TimeAndChance
from meshd.simulation.modems.text import COMMON_FAULTS, TextEmulator

DATA_MAX = 240
MARK = b"RX"
_BANDWIDTHS_HZ = {7: 125_000, 8: 250_000, 9: 500_000}
_LONGEST = {7: 9, 8: 10, 9: 11}
_RESET_US = 5_000


class ReyaxEmulator(TextEmulator):
    """A RYLR998, or with the fault `rylr896` the older module."""

    kind = "reyax"
    FAULTS: ClassVar[dict[str, str]] = COMMON_FAULTS | {
        "rylr896": "is the older module",
        "no-version": "does not know AT+VER?",
        "early-ok": "says +OK when it begins to send, and +ERR=17 to a packet that comes too soon",
        "unasked-errors": "says +ERR=12 at its start and +ERR=19 before each packet",
        "wrong-length": "says a length in +RCV that is two bytes too much, every fifth time",
    }

    def __init__(self, radio: Radio, schedule: TimeAndChance, faults: frozenset[str]) -> None:
        super().__init__(radio, schedule, faults)
        self._old = "rylr896" in faults
        self._address = 0
        self._network = 18
        self._parameters = (9, 7, 1, 12)
        self._band_hz = 915_000_000
        self._power_dbm = 22
        self._boots = 0

    # --- power ------------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._parameters = (12, 7, 1, 4) if self._old else (9, 7, 1, 12)
        self._band_hz = 915_000_000
        self._power_dbm = 15 if self._old else 22
        self._boots += 1
        self._tune()

    def _started(self) -> None:
        self.listening = True
        self._say(b"+RESET")
        self.schedule.at(self.schedule.now + _RESET_US, self._say, b"+READY")
        if "unasked-errors" in self.faults:
            self._say(b"+ERR=12")

    def _tune(self) -> None:
        factor, code, coding_rate, preamble = self._parameters
        modulation = Modulation(factor, _BANDWIDTHS_HZ[code], coding_rate, max(preamble, 6))
        self.radio.tune(RadioSetting(modulation, self._band_hz, float(self._power_dbm)))

    # --- commands ---------------------------------------------------------------------------------

    def _command(self, line: bytes) -> None:
        if not line.startswith(b"AT"):
            self._say(b"+ERR=2")
            return
        if line == b"AT":
            self._say(b"+OK")
            return
        name, equals, value = line[2:].partition(b"=")
        if name == b"+SEND" and equals:
            self._send(value)
        elif name == b"+RESET":
            self.power_on()
        elif name.endswith(b"?"):
            self._read(name[1:-1])
        elif equals:
            self._say(b"+OK" if self._set(name[1:], value) else b"+ERR=4")
        else:
            self._say(b"+ERR=4")

    def _read(self, name: bytes) -> None:
        version = b"RYLR89C_V1.2.7" if self._old else b"RYLR998_REYAX_V1.2.2"
        values: dict[bytes, bytes] = {
            b"BAND": b"%d" % self._band_hz,
            b"PARAMETER": b"%d,%d,%d,%d" % self._parameters,
            b"ADDRESS": b"%d" % self._address,
            b"NETWORKID": b"%d" % self._network,
            b"CRFOP": b"%d" % self._power_dbm,
            b"MODE": b"0",
            b"IPR": b"115200",
        }
        if "no-version" not in self.faults:
            values[b"VER"] = version
        found = values.get(name)
        self._say(b"+ERR=4" if found is None else b"+%s=%s" % (name, found))

    def _set(self, name: bytes, value: bytes) -> bool:
        """Set one thing; False: it can not be."""
        fields = value.split(b",")
        if not all(field.isdigit() and len(field) < 11 for field in fields):
            return False
        numbers = [int(field) for field in fields]
        if name == b"PARAMETER" and len(numbers) == 4:
            factor, code, coding_rate, preamble = numbers
            longest = 12 if self._old else _LONGEST.get(code, 0)
            fits = 7 <= factor <= longest and code in _BANDWIDTHS_HZ and 1 <= coding_rate <= 4
            if not fits or not self._preamble_fits(preamble):
                return False
            self._parameters = (factor, code, coding_rate, preamble)
        elif name == b"BAND" and 100_000_000 <= numbers[0] <= 1_000_000_000:
            self._band_hz = numbers[0]
        elif name == b"CRFOP" and numbers[0] <= (15 if self._old else 22):
            self._power_dbm = numbers[0]
        elif name == b"ADDRESS" and numbers[0] <= 65_535:
            self._address = numbers[0]
        elif name == b"NETWORKID" and self._network_fits(numbers[0]):
            self._network = numbers[0]
        else:
            return name == b"MODE" and numbers[0] == 0
        self._tune()
        return True

    def _preamble_fits(self, preamble: int) -> bool:
        if self._old:
            return 4 <= preamble <= 7
        return 4 <= preamble <= 24 if self._network == 18 else preamble == 12

    def _network_fits(self, network: int) -> bool:
        return 1 <= network <= 16 if self._old else 3 <= network <= 15 or network == 18

    # --- packets ----------------------------------------------------------------------------------

    def _send(self, value: bytes) -> None:
        address, _, rest = value.partition(b",")
        length, _, data = rest.partition(b",")
        if not (address.isdigit() and length.isdigit()):
            self._say(b"+ERR=4")
        elif len(data) > DATA_MAX:
            self._say(b"+ERR=13")
        elif int(length) != len(data) or not data:
            self._say(b"+ERR=5")
        elif self.radio.sending:
            self._say(b"+ERR=17")
        elif self._may_send():
            to, sender = int(address) & 0xFFFF, self._address
            head = MARK + bytes((self._network, *divmod(to, 256), *divmod(sender, 256), len(data)))
            self.radio.transmit(head + data, "reyax")
            if "early-ok" in self.faults:
                self._say(b"+OK")

    def _sent(self) -> None:
        if "early-ok" not in self.faults:
            self._say(b"+OK")

    def _received(self, frame: bytes, rssi_dbm: float, snr_db: float) -> None:
        if not self.listening or len(frame) < 9 or not frame.startswith(MARK):
            return
        to = int.from_bytes(frame[3:5], "big")
        if frame[2] != self._network or to not in (0, self._address):
            return
        if "unasked-errors" in self.faults:
            self._say(b"+ERR=19")
        data, sender = frame[8:], int.from_bytes(frame[5:7], "big")
        length = len(data)
        if "wrong-length" in self.faults and self._given % 5 == 4:
            length += 2
        figures = b"%d,%d" % (round(rssi_dbm), round(self.told_snr_db(snr_db)))
        self._hand_over(b"+RCV=%d,%d,%s,%s" % (sender, length, data, figures))
