"""An emulated RAK3172 with RUI3 firmware: its AT commands in point-to-point mode.

Enters: command lines, frames from the air. Leaves: answers and events, frames on the air. Written
from the facts in hardware/radios/rak3172.toml. It comes in LoRaWAN mode, as from the shop, and
restarts when the mode changes. Modelled: what may not be changed while it receives, listening
before sending, the kinds of reception. Not modelled: LoRaWAN, FSK, encryption, sleep.
"""

from typing import ClassVar

from meshd.core.airtime import Modulation
from meshd.simulation.media.lora import Radio, RadioSetting, TimeAndChance
from meshd.simulation.modems.text import COMMON_FAULTS, TextEmulator

DATA_MAX = 239
_BANDWIDTHS_HZ = {0: 125_000, 1: 250_000, 2: 500_000}
_RESTART_US = 300_000
_OFF, _STAYS, _UNTIL_STOPPED, _ONE = 0, 65_533, 65_534, 65_535


class Rak3172Emulator(TextEmulator):
    """A RAK3172 as from the shop."""

    kind = "rak3172"
    FAULTS: ClassVar[dict[str, str]] = COMMON_FAULTS | {
        "kilohertz": "takes the bandwidth in kHz instead of its number",
        "old-receive": "does not know reception that stays while it sends",
        "old-firmware": "has firmware 1.0.4, from before RUI3",
        "receiving": "was left receiving by whoever used it before",
        "receive-errors": "reports a fault of reception before each packet",
        "lies": "says that a packet is out when it begins to send",
        "never-done": "never says that a packet is out",
    }

    def __init__(self, radio: Radio, schedule: TimeAndChance, faults: frozenset[str]) -> None:
        super().__init__(radio, schedule, faults)
        self._lorawan = True
        self._parameters = (868_000_000, 7, 125_000, 1, 8, 14)
        self._sync_word = 0x34
        self._listens_first = False
        self._receives = _OFF

    # --- power ------------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._listens_first = False
        self._sync_word = 0x34
        self._parameters = (868_000_000, 7, 125_000, 1, 8, 14)
        self._receives = _OFF
        self._tune()

    def _started(self) -> None:
        self._say(b"RAKwireless RAK3172-H Example")
        self._say(b"-" * 54)
        self._say(b"Current Work Mode: %s." % (b"LoRaWAN" if self._lorawan else b"LoRa P2P"))
        if "receiving" in self.faults:
            self._lorawan = False
            self._set_receive(_UNTIL_STOPPED)

    def _tune(self) -> None:
        frequency_hz, factor, bandwidth_hz, coding_rate, preamble, power_dbm = self._parameters
        modulation = Modulation(factor, bandwidth_hz, coding_rate, preamble)
        self.radio.tune(
            RadioSetting(modulation, frequency_hz, float(power_dbm), sync_word=self._sync_word)
        )

    # --- commands ---------------------------------------------------------------------------------

    def _command(self, line: bytes) -> None:
        name, equals, value = line.partition(b"=")
        if line == b"AT":
            self._status(b"OK")
        elif name == b"AT+VER" and value == b"?":
            old = "old-firmware" in self.faults
            self._value(b"V1.0.4" if old else b"AT+VER=RUI_4.0.6_RAK3172-E")
        elif name == b"AT+P2P" and value == b"?":
            self._value(b"AT+P2P=%d:%d:%d:%d:%d:%d" % self._written())
        elif name == b"AT+NWM" and value == b"?":
            self._value(b"AT+NWM=%d" % self._lorawan)
        elif name == b"AT+NWM" and value in (b"0", b"1"):
            self._change_mode(value == b"1")
        elif name == b"AT+PRECV" and value.isdigit() and len(value) < 6:
            self._receive_command(int(value))
        elif name == b"AT+P2P" and equals:
            self._set_parameters(value)
        elif name == b"AT+SYNCWORD" and equals:
            self._set_sync_word(value)
        elif name == b"AT+CAD" and value in (b"0", b"1"):
            self._listens_first = value == b"1"
            self._status(b"OK")
        elif name == b"AT+PSEND" and equals:
            self._send(value)
        else:
            self._status(b"AT_COMMAND_NOT_FOUND" if line.startswith(b"AT") else b"AT_ERROR")

    def _status(self, status: bytes) -> None:
        self._put(b"\r\n")
        self._say(status)

    def _value(self, value: bytes) -> None:
        self._say(value)
        self._status(b"OK")

    def _change_mode(self, lorawan: bool) -> None:
        self._status(b"OK")
        if lorawan != self._lorawan:
            self._lorawan = lorawan
            self._deaf_until_us = self.schedule.now + _RESTART_US
            self.schedule.at(self._deaf_until_us, self.power_on)

    def _free_to_change(self) -> bool:
        """Tell whether parameters can be changed now; say so if not."""
        if self._lorawan:
            self._status(b"AT_MODE_NO_SUPPORT")
        elif self._receives:
            self._say(b"P2P_RX_ON already, stop it first")
            self._status(b"AT_BUSY_ERROR")
        else:
            return True
        return False

    def _set_parameters(self, value: bytes) -> None:
        fields = value.split(b":")
        if not self._free_to_change():
            return
        if len(fields) != 6 or not all(field.isdigit() and len(field) < 10 for field in fields):
            self._status(b"AT_PARAM_ERROR")
            return
        frequency_hz, factor, width, coding, preamble, power_dbm = map(int, fields)
        if "kilohertz" in self.faults:
            width = {125: 0, 250: 1, 500: 2}.get(width, -1)
        fits = (
            150_000_000 <= frequency_hz <= 960_000_000
            and 7 <= factor <= 12
            and width in _BANDWIDTHS_HZ
            and coding <= 3
            and 6 <= preamble <= 65_535
            and 5 <= power_dbm <= 22
        )
        if not fits:
            self._status(b"AT_PARAM_ERROR")
            return
        bandwidth_hz = _BANDWIDTHS_HZ[width]
        self._parameters = (frequency_hz, factor, bandwidth_hz, coding + 1, preamble, power_dbm)
        self._tune()
        self._status(b"OK")

    def _written(self) -> tuple[int, ...]:
        """Return the parameters in the numbers of the command."""
        frequency_hz, factor, bandwidth_hz, coding_rate, preamble, power_dbm = self._parameters
        width = next(code for code, hz in _BANDWIDTHS_HZ.items() if hz == bandwidth_hz)
        return frequency_hz, factor, width, coding_rate - 1, preamble, power_dbm

    def _set_sync_word(self, value: bytes) -> None:
        """Four digits, as the chip wants it: those of the short word, each with a 4 behind it."""
        if not self._free_to_change():
            return
        if len(value) != 4 or value[1:2] != b"4" or value[3:] != b"4":
            self._status(b"AT_PARAM_ERROR")
            return
        self._sync_word = int(value[:1] + value[2:3], 16)
        self._tune()
        self._status(b"OK")

    # --- reception --------------------------------------------------------------------------------

    def _receive_command(self, how: int) -> None:
        if self._lorawan:
            self._status(b"AT_MODE_NO_SUPPORT")
        elif how == _STAYS and "old-receive" in self.faults:
            self._status(b"AT_PARAM_ERROR")
        elif how != _OFF and self._receives:
            self._say(b"P2P_RX_ON already, stop it first")
            self._status(b"AT_BUSY_ERROR")
        else:
            self._set_receive(how)
            self._status(b"OK")

    def _set_receive(self, how: int) -> None:
        self._receives = how
        self.listening = how != _OFF

    def _received(self, frame: bytes, rssi_dbm: float, snr_db: float) -> None:
        if not self.listening:
            return
        if self._receives == _ONE:
            self._set_receive(_OFF)
        if "receive-errors" in self.faults:
            self._say(b"+EVT:RXP2P RECEIVE ERROR")
        figures = (round(rssi_dbm), round(self.told_snr_db(snr_db)))
        digits = frame.hex().upper().encode()
        self._hand_over(b"+EVT:RXP2P:%d:%d:%s" % (*figures, digits))

    # --- sending ----------------------------------------------------------------------------------

    def _send(self, digits: bytes) -> None:
        try:
            frame = bytes.fromhex(digits.decode("ascii", "replace"))
        except ValueError:
            frame = b""
        if self._lorawan:
            self._status(b"AT_MODE_NO_SUPPORT")
        elif not 0 < len(frame) <= DATA_MAX:
            self._status(b"AT_PARAM_ERROR")
        elif self.radio.sending or self._receives in (_UNTIL_STOPPED, _ONE):
            self._status(b"AT_BUSY_ERROR")
        elif self._listens_first and self.radio.busy():
            self._status(b"AT_BUSY_ERROR")
        elif self._may_send():
            self.radio.transmit(frame, "rak3172")
            self._status(b"OK")
            if "lies" in self.faults:
                self._say(b"+EVT:TXP2P DONE")

    def _sent(self) -> None:
        if not self.faults & {"lies", "never-done"}:
            self._say(b"+EVT:TXP2P DONE")
