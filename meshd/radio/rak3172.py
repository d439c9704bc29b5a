"""RAK3172 with RUI3 firmware: AT commands, point-to-point mode, packets as hexadecimal digits.

Enters and leaves: see `lines.py`. The module listens before it talks (channel-activity detection)
and tells when a frame is out. Reception in mode 65533 goes on while and after sending; firmware
that does not know it gets 65534, which has to be stopped before and started after each frame.
Firmware up to 1.0.4 is not RUI3 and is refused. Ref: hardware/radios/rak3172.toml.
"""

import re
from collections.abc import Sequence

from meshd.core.drops import DropReason
from meshd.radio.lines import Ask, Stage, TextModem, Unfit
from meshd.radio.modem import SECOND, NotSent, RadioPlan

OK = re.compile(rb"OK$")
VALUE = re.compile(rb"(AT\+(\w+)=)(.+)$")
RECEIVES = re.compile(rb"OK$|AT_BUSY_ERROR$|P2P_RX_ON")
READ_PARAMETERS = b"AT+P2P=?"
OLD_VERSION = re.compile(rb"V1\.0\.[0-4]$")
PACKET = re.compile(rb"\+EVT:RXP2P:(-?\d{1,4}):(-?\d{1,3}):([0-9A-Fa-f]+)$")
BOOTS = (b"RAKwireless", b"Current Work Mode", b"LoRa (R)", b"-----", b"=====", b"*****")

BANDWIDTH_CODES = {125_000: 0, 250_000: 1, 500_000: 2}
POWERS_DBM = (5, 22)
RECEIVE_ON = b"AT+PRECV=65533"
RECEIVE_UNTIL_STOPPED = b"AT+PRECV=65534"
REBOOT_US = 3 * SECOND
STOP = Ask(b"AT+PRECV=0", OK)


class Rak3172(TextModem):
    """A RAK3172 or one of its relatives."""

    kind = "rak3172"
    baud = 115_200
    frame_max = 239
    listens = True

    def __init__(self, plan: RadioPlan) -> None:
        super().__init__(plan)
        self._mode = b""
        self._stays = True
        self._changing_mode = False

    def _questions(self) -> Sequence[Ask]:
        self._changing_mode = False
        return (Ask(b"AT", OK), Ask(b"AT+VER=?", OK), Ask(b"AT+NWM=?", OK))

    def _settings(self) -> Sequence[Ask] | Unfit:
        plan = self.wanted
        factor, bandwidth_hz, coding_rate, preamble = plan.modulation
        least, most = POWERS_DBM
        if bandwidth_hz not in BANDWIDTH_CODES:
            return Unfit(f"a RAK3172 is set to 125, 250 or 500 kHz, not {bandwidth_hz} Hz")
        if not 150_000_000 <= plan.frequency_hz <= 960_000_000:
            return Unfit(f"a RAK3172 does 150 to 960 MHz, not {plan.frequency_hz / 1e6:g} MHz")
        if plan.tx_dbm < least:
            return Unfit(f"a RAK3172 can not send with less than {least} dBm")
        power_dbm = min(plan.tx_dbm, most)
        self.plan = plan._replace(tx_dbm=power_dbm)
        head = f"AT+P2P={plan.frequency_hz}:{factor}:"
        tail = f":{coding_rate - 1}:{preamble}:{power_dbm}"
        sync_word = ((plan.network & 0xF0) << 8 | 0x400) | ((plan.network & 0x0F) << 4 | 0x4)
        self._stays = True
        mode = [] if self._mode == b"0" else self._change_mode()
        return [
            *mode,
            STOP,
            Ask(
                f"{head}{BANDWIDTH_CODES[bandwidth_hz]}{tail}".encode(),
                OK,
                f"{plan.modulation.text} on {plan.frequency_hz} Hz",
                instead=f"{head}{bandwidth_hz // 1000}{tail}".encode(),
            ),
            Ask(f"AT+SYNCWORD={sync_word:04X}".encode(), OK, f"network {plan.network}"),
            Ask(b"AT+CAD=1", OK, "to listen before it talks"),
            Ask(RECEIVE_ON, OK, "to receive", instead=RECEIVE_UNTIL_STOPPED),
        ]

    def _change_mode(self) -> list[Ask]:
        """Leave LoRaWAN: the module restarts, and answers only after that."""
        self._changing_mode = True
        return [
            Ask(b"AT+NWM=0", OK, "its point-to-point mode"),
            Ask(b"AT", OK, within_us=REBOOT_US // 6, tries=6),
            Ask(b"AT+NWM=?", OK),
        ]

    def _took(self, ask: Ask, line: bytes, now: int) -> None:
        if ask.command == RECEIVE_UNTIL_STOPPED:
            self._stays = False
        elif ask.command == b"AT+CAD=1":
            self._changing_mode = False

    def _resting(self) -> Sequence[Ask]:
        return () if self._stays else (Ask(RECEIVE_UNTIL_STOPPED, OK),)

    def _health(self) -> Sequence[Ask]:
        """After a restart that nobody saw it is deaf, and its parameters may be others.

        A module that receives refuses to begin again: that is as good as an OK.
        """
        receive = RECEIVE_ON if self._stays else RECEIVE_UNTIL_STOPPED
        return (Ask(READ_PARAMETERS, OK, optional=True), Ask(receive, RECEIVES))

    def _sending(self, frame: bytes) -> Sequence[Ask]:
        send = Ask(b"AT+PSEND=" + frame.hex().upper().encode(), OK, tries=1)
        return (send,) if self._stays else (STOP, send)

    def _no(self, line: bytes) -> NotSent | None:
        if line == b"AT_BUSY_ERROR":
            return NotSent(DropReason.MODEM_CHANNEL_TAKEN)
        if line.startswith((b"AT_", b"P2P_RX_ON")):
            return NotSent(DropReason.MODEM_REFUSED)
        return None

    def _news(self, line: bytes, now: int) -> bool:
        if found := PACKET.search(line):
            self._packet(found[3], int(found[1]), int(found[2]))
        elif line == b"+EVT:TXP2P DONE":
            if not self._told_done(now):
                self._drop(DropReason.MODEM_GARBAGE)
        elif line.startswith(b"+EVT:RXP2P"):
            self._drop(DropReason.MODEM_GARBAGE)
        elif line.startswith(BOOTS):
            if not self._changing_mode:
                self._restarted(now)
        elif OLD_VERSION.match(line):
            self._end(
                DropReason.MODEM_SETTING,
                "this RAK3172 has firmware from before RUI3: install RUI3 with the vendor's tool",
            )
        elif found := VALUE.match(line):
            self._value(found[2], found[3], now)
        elif self._ask is None and RECEIVES.match(line):
            pass  # What follows a refusal that was an answer already.
        else:
            return False
        return True

    def _value(self, name: bytes, value: bytes, now: int) -> None:
        if name == b"VER":
            self.model = "RAK3172"
            self.firmware = value[:40].decode("ascii", "replace")
        elif name == b"NWM":
            self._mode = value[:1]
        elif name == b"P2P" and self._stage is Stage.IDLE:
            frequency = re.match(rb"\d{9}", value)
            if frequency and int(frequency[0]) != self.plan.frequency_hz:
                self._restarted(now)

    def _packet(self, digits: bytes, rssi_dbm: int, snr_db: int) -> None:
        if len(digits) % 2:
            self._drop(DropReason.MODEM_GARBAGE)
        else:
            self._hear(bytes.fromhex(digits.decode()), float(rssi_dbm), float(snr_db))
