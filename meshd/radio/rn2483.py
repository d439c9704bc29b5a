"""Microchip RN2483 and RN2903 (LoStik): words and hexadecimal digits, one packet per reception.

Enters and leaves: see `lines.py`. Reception ends with each packet and has to be asked for anew;
before a frame can go out it has to be stopped. The module does not listen before it talks, and
tells when a frame is out. Ref: hardware/radios/rn2483.toml.
"""

import re
from collections.abc import Sequence

from meshd.core.drops import DropReason
from meshd.radio.lines import Ask, Stage, TextModem, Unfit
from meshd.radio.modem import SECOND, NotSent, RadioPlan

OK = re.compile(rb"ok$")
ANYTHING = re.compile(rb"(ok|busy|invalid_param)$")
NUMBER = re.compile(rb"-?\d{1,4}$")
PAUSED = re.compile(rb"[1-9]\d*$")
BANNER = re.compile(rb"(RN2483A?|RN2903A?) (\S+)")
PACKET = re.compile(rb"radio_rx +([0-9A-Fa-f]+)$")

BANDS_HZ = {
    "RN2483": ((433_050_000, 434_790_000), (863_000_000, 870_000_000)),
    "RN2903": ((902_000_000, 928_000_000),),
}
POWERS_DBM = {"RN2483": (-3, 15), "RN2903": (2, 20)}
STOP = Ask(b"radio rxstop", ANYTHING)
LISTEN = Ask(b"radio rx 0", re.compile(rb"(ok|busy)$"))
"""Busy: the module listens already."""

SNR, RSSI = b"radio get snr", b"radio get rssi"


class Rn2483(TextModem):
    """An RN2483 or RN2903."""

    kind = "rn2483"
    baud = 57_600
    frame_max = 255

    def __init__(self, plan: RadioPlan) -> None:
        super().__init__(plan)
        self._packet = b""
        self._snr_db: float | None = None
        self._rssi_dbm: float | None = None
        self._knows_rssi = True
        self._versions_owed = 0

    def _questions(self) -> Sequence[Ask]:
        return (Ask(b"sys get ver", BANNER),)

    def _took(self, ask: Ask, line: bytes, now: int) -> None:
        if ask.good is BANNER:
            self._versions_owed = self._tries - 1
        if ask.good is BANNER and (found := BANNER.match(line)):
            self.model = found[1].decode().removesuffix("A")
            self.firmware = found[2].decode("ascii", "replace")
        elif ask.command == SNR:
            self._snr_db = float(line) if line else None
        elif ask.command == RSSI:
            self._knows_rssi = bool(line)
            self._rssi_dbm = float(line) if line else None
        if ask.command in (SNR, RSSI) and not (self._asks and self._asks[0].command == RSSI):
            self._tell_packet()

    def _settings(self) -> Sequence[Ask] | Unfit:
        plan = self.wanted
        factor, bandwidth_hz, coding_rate, preamble = plan.modulation
        bands = BANDS_HZ[self.model]
        if not any(low <= plan.frequency_hz <= high for low, high in bands):
            fits = ", ".join(f"{low / 1e6:g} to {high / 1e6:g}" for low, high in bands)
            return Unfit(f"an {self.model} does {fits} MHz, not {plan.frequency_hz / 1e6:g} MHz")
        if bandwidth_hz not in (125_000, 250_000, 500_000):
            return Unfit(f"an {self.model} does 125, 250 and 500 kHz, not {bandwidth_hz} Hz")
        least, most = POWERS_DBM[self.model]
        if plan.tx_dbm < least:
            return Unfit(f"an {self.model} can not send with less than {least} dBm")
        self.plan = plan._replace(tx_dbm=min(plan.tx_dbm, most))
        return [
            STOP,
            Ask(b"mac pause", PAUSED, "to leave LoRaWAN"),
            *(
                Ask(f"radio set {words}".encode(), OK, words)
                for words in (
                    "mod lora",
                    f"freq {plan.frequency_hz}",
                    f"sf sf{factor}",
                    f"bw {bandwidth_hz // 1000}",
                    f"cr 4/{4 + coding_rate}",
                    f"prlen {preamble}",
                    f"pwr {self.plan.tx_dbm}",
                    f"sync {plan.network:02x}",
                    "crc on",
                    "iqi off",
                    "wdt 0",
                )
            ),
        ]

    def _resting(self) -> Sequence[Ask]:
        return (LISTEN,)

    def _sending(self, frame: bytes) -> Sequence[Ask]:
        send = Ask(b"radio tx " + frame.hex().upper().encode(), OK, tries=1)
        return (STOP, send)

    def _no(self, line: bytes) -> NotSent | None:
        if line == b"busy":
            return NotSent(DropReason.MODEM_CHANNEL_TAKEN)
        if line in (b"invalid_param", b"err", b"0"):
            return NotSent(DropReason.MODEM_REFUSED)
        return None

    def _news(self, line: bytes, now: int) -> bool:
        if found := PACKET.search(line):
            self._received(found[1], now)
        elif line == b"radio_tx_ok":
            if not self._told_done(now):
                self._drop(DropReason.MODEM_GARBAGE)
        elif line == b"radio_err":
            if self._on_air:
                self._finish(NotSent(DropReason.MODEM_REFUSED, maybe=True), now)
            else:
                self._drop(DropReason.MODEM_GARBAGE)
                self._listen_again(now)
        elif BANNER.match(line) and not (self._ask and self._ask.good is BANNER):
            if self._versions_owed > 0:
                self._versions_owed -= 1
            else:
                self._restarted(now)
        else:
            return False
        return True

    def _health(self) -> Sequence[Ask]:
        frequency = Ask(b"radio get freq", re.compile(rb"%d$" % self.plan.frequency_hz))
        return (LISTEN, frequency)

    def _line_lost(self, now: int) -> None:
        """It may have been a packet, and with that the end of reception."""
        if self._ask is None:
            self._listen_again(now)

    def _silent(self, now: int) -> None:
        self._tell_packet()
        super()._silent(now)

    # --- reception --------------------------------------------------------------------------------

    def _received(self, digits: bytes, now: int) -> None:
        """Keep a packet until the module has told how well it came in."""
        if len(digits) % 2:
            self._drop(DropReason.MODEM_GARBAGE)
            self._listen_again(now)
            return
        self._tell_packet()
        self._packet = bytes.fromhex(digits.decode())
        if self._stage is not Stage.IDLE:
            self._tell_packet()
            return
        self._listen_again(now)

    def _listen_again(self, now: int) -> None:
        """Reception is over with each packet: listen first, then ask how it was."""
        if self._stage is not Stage.IDLE or len(self._asks) > 3:
            return
        self._asks.append(LISTEN)
        if self._packet:
            self._asks.append(Ask(SNR, NUMBER, within_us=SECOND // 4, tries=1, optional=True))
            if self._knows_rssi:
                self._asks.append(Ask(RSSI, NUMBER, within_us=SECOND // 4, tries=1, optional=True))
        self._next(now)

    def _tell_packet(self) -> None:
        if self._packet:
            self._hear(self._packet, self._rssi_dbm, self._snr_db)
        self._packet = b""
        self._snr_db = self._rssi_dbm = None
