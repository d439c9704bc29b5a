"""Reyax RYLR998 and RYLR896: AT commands, packets in `+RCV=` whose length is told.

Enters and leaves: see `lines.py`. The guide calls data "ASCII" and promises nothing for zeros and
line ends, so frames travel as base85: 5 characters for 4 bytes. A frame of 100 bytes is 125
characters on the air; base64 would make it 134. 192 bytes fit into the 240 characters of a packet.
The module neither listens before it talks nor tells when a frame is out: `+OK` may mean "taken",
so `Sent` is reckoned from the airtime. Ref: hardware/radios/reyax.toml.
"""

import re
from base64 import b85decode, b85encode
from collections.abc import Sequence

from meshd.core.airtime import Modulation, airtime_us
from meshd.core.drops import DropReason
from meshd.radio.lines import Ask, TextModem, Unfit
from meshd.radio.modem import SECOND, NotSent, Sent

OK = re.compile(rb"\+OK$")
PACKET = re.compile(rb"\+RCV=(\d{1,5}),(\d{1,3}),")
PACKET_MARK = b"+RCV="
PACKET_TAIL = re.compile(rb",(-?\d{1,4}),(-?\d{1,3})\r?\n")
PACKET_TAIL_MAX = len(b",-1234,-123\r\n")
CHARACTERS_MAX = 240

BANDWIDTH_CODES = {125_000: 7, 250_000: 8, 500_000: 9}
SPREADING_MAX = {125_000: 9, 250_000: 10, 500_000: 11}
"""The RYLR998 has no slower ones; the RYLR896 takes SF7 to SF12 at each."""

NETWORK_FREE = 18
"""The one network number with which a RYLR998 lets its preamble be chosen; else it is 12."""

UNASKED = (b"+ERR=11", b"+ERR=12", b"+ERR=19", b"+ERR=20")
"""Faults of reception: they answer no command."""


class Reyax(TextModem):
    """A RYLR998, RYLR498, RYLR896 or RYLR406."""

    kind = "reyax"
    baud = 115_200
    frame_max = CHARACTERS_MAX // 5 * 4
    added_bytes = 8

    def airtime_us(self, size: int) -> int:
        """Return the airtime with base85 and with what the module adds."""
        return airtime_us(self.plan.modulation, -(-size * 5 // 4) + self.added_bytes)

    @property
    def _old(self) -> bool:
        """Tell whether this is the family with the SX127x chip, RYLR896 and RYLR406."""
        return self.model.startswith(("RYLR89", "RYLR40"))

    def _questions(self) -> Sequence[Ask]:
        return (
            Ask(b"AT", OK),
            Ask(b"AT+VER?", re.compile(rb"\+VER="), optional=True),
        )

    def _took(self, ask: Ask, line: bytes, now: int) -> None:
        if ask.command == b"AT+VER?":
            text = line.removeprefix(b"+VER=").decode("ascii", "replace")
            model, _, version = text.partition("_")
            self.model = "RYLR896" if model.startswith("RYLR89") else model or "Reyax"
            self.firmware = version.removeprefix("REYAX_")

    def _settings(self) -> Sequence[Ask] | Unfit:
        plan, old = self.wanted, self._old
        factor, bandwidth_hz, coding_rate, preamble = plan.modulation
        longest = 12 if old else SPREADING_MAX.get(bandwidth_hz, 0)
        if bandwidth_hz not in BANDWIDTH_CODES or factor > longest:
            return Unfit(
                f"{self.model} can not do {plan.modulation.text}: it takes "
                + (
                    "125, 250 or 500 kHz"
                    if old
                    else "SF7 to SF9 at 125 kHz, SF10 at 250 kHz, SF11 at 500 kHz at most"
                )
            )
        networks = range(1, 16) if old else (*range(3, 16), NETWORK_FREE)
        if plan.network not in networks:
            return Unfit(
                f"{self.model} takes the network numbers "
                + ("1 to 15" if old else "3 to 15 and 18")
                + f", not {plan.network}"
            )
        if plan.tx_dbm < 0:
            return Unfit(f"{self.model} can not send with less than 0 dBm")
        if old:
            preamble = min(preamble, 7)
        elif plan.network == NETWORK_FREE:
            preamble = min(preamble, 24)
        else:
            preamble = 12
        modulation = Modulation(factor, bandwidth_hz, coding_rate, preamble)
        power_dbm = min(plan.tx_dbm, 15 if old else 22)
        self.plan = plan._replace(modulation=modulation, tx_dbm=power_dbm)
        code = BANDWIDTH_CODES[bandwidth_hz]
        return [
            Ask(command.encode(), OK, setting)
            for command, setting in (
                ("AT+MODE=0", "to listen all the time"),
                (f"AT+NETWORKID={plan.network}", f"network {plan.network}"),
                ("AT+ADDRESS=0", "address 0"),
                (f"AT+BAND={plan.frequency_hz}", f"{plan.frequency_hz} Hz"),
                (
                    f"AT+PARAMETER={factor},{code},{coding_rate},{preamble}",
                    modulation.text,
                ),
                (f"AT+CRFOP={power_dbm}", f"{power_dbm} dBm"),
            )
        ]

    def _health(self) -> Sequence[Ask]:
        """After a restart that nobody saw the frequency is another one."""
        frequency = re.compile(rb"\+BAND=%d$" % self.plan.frequency_hz)
        return (Ask(b"AT+BAND?", frequency),)

    def _sending(self, frame: bytes) -> Sequence[Ask]:
        text = b85encode(frame)
        within_us = 3 * SECOND + self.airtime_us(len(frame))
        return (Ask(b"AT+SEND=0,%d,%s" % (len(text), text), OK, within_us=within_us, tries=1),)

    def _handed_over(self, now: int) -> None:
        size = len(self._frame or b"")
        line_us = (len("AT+SEND=0,240,\r\n") + size * 5 // 4) * 10 * SECOND // self.baud
        self._due_us = max(now, self._frame_us + line_us + self.airtime_us(size))

    def _awaited(self, now: int) -> None:
        self._finish(Sent(told=False), now)

    def _no(self, line: bytes) -> NotSent | None:
        if not line.startswith(b"+ERR="):
            return None
        return NotSent(DropReason.MODEM_REFUSED, maybe=line == b"+ERR=10")

    def _news(self, line: bytes, now: int) -> bool:
        if line in (b"+READY", b"+RESET"):
            if line == b"+READY":
                self._restarted(now)
            return True
        if line.startswith(UNASKED):
            self._drop(DropReason.MODEM_GARBAGE)
            return True
        return False

    # --- packets: by their length, whatever bytes they hold ---------------------------------------

    def _cut(self) -> bytes | None:
        while True:
            noise = self._buffer.find(PACKET_MARK, 1)
            if noise > 0 and b"\n" not in self._buffer[:noise] and not PACKET.match(self._buffer):
                del self._buffer[:noise]
                self._drop(DropReason.MODEM_GARBAGE)
            head = PACKET.match(self._buffer)
            if head is None:
                return super()._cut()
            end = head.end() + int(head[2])
            tail = PACKET_TAIL.match(self._buffer, end)
            if tail is not None:
                self._packet(bytes(self._buffer[head.end() : end]), int(tail[1]), int(tail[2]))
                del self._buffer[: tail.end()]
            elif len(self._buffer) >= end + PACKET_TAIL_MAX or b"\n" in self._buffer[end:]:
                return super()._cut()
            else:
                return None

    def _packet(self, text: bytes, rssi_dbm: int, snr_db: int) -> None:
        try:
            frame = b85decode(text)
        except ValueError:
            self._drop(DropReason.MODEM_GARBAGE)
            return
        if frame:
            self._hear(frame, float(rssi_dbm), float(snr_db))
