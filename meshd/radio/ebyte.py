"""Ebyte E22 modules: registers while the mode pins say so, then a pipe of bytes without an end.

Enters and leaves: see `modem.py`; `Pins` asks for the mode. The pipe has no frames, so this file
makes them: two bytes to find them by, a length, a CRC-16 (docs/wire-format.md#lora-radios). What
came in two pieces, or two frames as one piece, is put right by that; after a fault the search
begins one byte further on. The module appends a byte of signal strength to each packet.

A plan is met as far as the module can: its frequencies are 1 MHz apart, and it names an air rate
instead of a spreading factor. The rate nearest to the plan's bit rate is set, the slower one if
equally near; all modules of a mesh choose the same. How the rate becomes LoRa is not published:
airtime is bounded from the rate, and `Sent` is reckoned, since the pin AUX is not seen.
Ref: hardware/radios/ebyte.toml.
"""

from binascii import crc_hqx
from enum import Enum
from struct import Struct

from meshd.core.drops import DropReason
from meshd.radio.modem import (
    SECOND,
    STALE_US,
    TRIES,
    Configured,
    Dropped,
    Heard,
    Modem,
    Opened,
    Pins,
    RadioPlan,
    Sent,
)
from meshd.radio.strangers import advice

SYNC = b"\x6d\xd7"
HEAD = Struct(">2sB")
CRC = Struct(">H")
PACKET_MAX = 240
"""A frame fits into one packet of the module, so that nothing is cut."""

AIR_RATES = (300, 1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 62_500)
"""Bits per second, by their number in the register REG0."""

BANDS_HZ = ((850_125_000, 81), (410_125_000, 84))
"""Channel 0 and how many there are, for the two families of modules."""

CHANNEL_STEP_HZ = 1_000_000
POWERS_DBM = {22: (22, 17, 13, 10), 30: (30, 27, 24, 21)}
"""By what a module's name says after its T, and by their number in the register REG1."""

MODE_US = SECOND // 5
"""From setting the pins until the module is in its new mode."""

ANSWER_US = SECOND

QUIET_US = SECOND // 10
"""A signal byte that has not followed its frame by now will not come."""

UNNAMED = (
    "an Ebyte does not tell how strong it is, and one of 30 dBm sends 8 dB more or worse for the "
    "same setting: set module_dbm to the number after the T in its name, 22 (as E22-900T22S) or 30 "
    "(as E22-900T30S)"
)

READ_PRODUCT = b"\xc1\x80\x07"
READ_SETTINGS = b"\xc1\x00\x07"
WRITE_KEPT = b"\xc0\x00\x09"
NO_KEY = b"\x00\x00"
REFUSED = b"\xff\xff\xff"
"""Written to be kept over a loss of power, which would go unnoticed; read before, for the flash."""


class RssiScale(Enum):
    """How the signal byte is meant: manuals disagree. HALF is from 2018, FULL from 2024."""

    FULL = "full"
    HALF = "half"


class Stage(Enum):
    """What is going on with the module."""

    TO_SETTINGS = "its mode changes, then its registers can be read"
    ASKING = "registers are read or written"
    TO_PIPE = "its mode changes, then it is a pipe"
    PIPE = "frames"
    OVER = "no use"


class Ebyte(Modem):
    """An E22 module, as on many serial HATs.

    `module_dbm` is what its name says after the T, 22 or 30. No register tells it, and the stronger
    one sends 8 to 11 dB more for the same number: so it is named, or nothing is set and sent.
    """

    kind = "ebyte"
    baud = 9_600
    frame_max = PACKET_MAX - HEAD.size - CRC.size
    listens = True
    needs_pins = True

    def __init__(
        self,
        plan: RadioPlan,
        *,
        rssi_scale: RssiScale = RssiScale.FULL,
        module_dbm: int | None = None,
    ) -> None:
        super().__init__(plan)
        self.wanted = plan
        self.air_rate = nearest_air_rate(plan)
        self.rssi_scale = rssi_scale
        self.module_dbm = module_dbm
        self._stage = Stage.TO_SETTINGS
        self._buffer = bytearray()
        self._asked = b""
        self._tries = 0
        self._settings = b""
        self._held: bytes | None = None
        self._step_us: int | None = None
        self._sent_us: int | None = None
        self._quiet_us: int | None = None

    def airtime_us(self, size: int) -> int:
        """Return a bound of the airtime: the modulation behind an air rate is not published.

        Payload at nine tenths of the rate, with room for the low-rate optimisation; preamble,
        header and rounding as 33 symbols of SF12.
        """
        bits = 400 + (size + HEAD.size + CRC.size) * 25 // 2
        return bits * SECOND // self.air_rate

    # --- what the owner calls ---------------------------------------------------------------------

    def open(self, now: int) -> None:
        """Begin: the port is open."""
        if not self.asks_only:
            unfit = self._plan_settings()
            if unfit:
                self._over(DropReason.MODEM_SETTING, unfit)
                return
        self._events.append(Pins(m0=False, m1=True))
        self._step_us = now + MODE_US

    def poll_timeout(self) -> int | None:
        """Return when `handle_timeout` is wanted next, in µs; None: not at all."""
        dues = (self._step_us, self._sent_us, self._quiet_us)
        return min((due for due in dues if due is not None), default=None)

    def receive(self, data: bytes, now: int) -> None:
        """Take bytes from the port, cut anywhere."""
        for start in range(0, len(data), PACKET_MAX):
            self._buffer += data[start : start + PACKET_MAX]
            if self._stage is Stage.PIPE:
                self._search()
            elif self._stage is Stage.ASKING:
                self._answer(now)
            else:
                self._buffer.clear()
        if self._stage is not Stage.PIPE:
            return
        waits_us = QUIET_US if self._held is not None else STALE_US
        self._quiet_us = now + waits_us if self._held is not None or self._buffer else None

    def handle_timeout(self, now: int) -> None:
        """Do what is due."""
        if self._quiet_us is not None and now >= self._quiet_us:
            self._quiet_us = None
            self._no_more_comes()
        if self._sent_us is not None and now >= self._sent_us:
            self._sent_us = None
            self.ready = True
            self._events.append(Sent(told=False))
        if self._step_us is not None and now >= self._step_us:
            self._step_us = None
            self._step(now)

    def transmit(self, frame: bytes, now: int) -> None:
        """Send a frame. Allowed while `ready`; then `ready` is False until `Sent` or `NotSent`."""
        if not self._takes(frame):
            return
        self.ready = False
        packet = wrap(frame)
        self._writes.append(packet)
        line_us = len(packet) * 10 * SECOND // self.baud
        self._sent_us = now + line_us + self.airtime_us(len(frame))

    # --- registers --------------------------------------------------------------------------------

    def _plan_settings(self) -> str:
        """Reckon the registers, and what of the plan is granted; return advice if that is none."""
        if self.module_dbm is None or self.module_dbm not in POWERS_DBM:
            return UNNAMED
        plan = self.wanted
        channels = [
            (plan.frequency_hz - first_hz) // CHANNEL_STEP_HZ
            for first_hz, count in BANDS_HZ
            if (plan.frequency_hz - first_hz) % CHANNEL_STEP_HZ == 0
            and 0 <= (plan.frequency_hz - first_hz) // CHANNEL_STEP_HZ < count
        ]
        if not channels:
            return _raster_advice(plan.frequency_hz)
        powers = POWERS_DBM[self.module_dbm]
        dbm = granted_dbm(self.module_dbm, plan.tx_dbm)
        if dbm is None:
            return too_strong(self.module_dbm)
        self.plan = plan._replace(tx_dbm=dbm)
        serial = 3 << 5
        signal_byte, listen_first = 0x80, 0x10
        self._settings = bytes(
            (
                *(0xFF, 0xFF, plan.network),
                serial | AIR_RATES.index(self.air_rate),
                powers.index(dbm),
                channels[0],
                signal_byte | listen_first,
            )
        )
        return ""

    def _step(self, now: int) -> None:
        """The mode has changed, or no answer came."""
        if self._stage is Stage.TO_SETTINGS:
            self._stage = Stage.ASKING
            self._ask(READ_PRODUCT, now)
        elif self._stage is Stage.TO_PIPE:
            self._stage = Stage.PIPE
            self._buffer.clear()
            self.ready = True
            self._events.append(Configured(self.plan))
        elif self._tries < TRIES:
            self._ask(self._asked, now, self._tries + 1)
        elif self._asked == READ_PRODUCT and self._buffer:
            said = bytes(self._buffer)
            self._over(DropReason.MODEM_OTHER_KIND, advice(said, self.kind, self.baud))
        else:
            self._over(
                DropReason.MODEM_SILENT,
                "no answer in the module's mode for settings: check RX and TX, and that its pin "
                "M0 is low and M1 high then (no jumpers), or that it is an ebyte at all",
            )

    def _ask(self, command: bytes, now: int, tries: int = 1) -> None:
        self._asked = command
        self._tries = tries
        self._writes.append(command)
        self._step_us = now + ANSWER_US

    def _answer(self, now: int) -> None:
        """Look for the answer in what came: noise may stand before it."""
        size = self._asked[2]
        head = b"\xc1" + self._asked[1:3]
        found = self._buffer.find(head)
        if found >= 0 and len(self._buffer) >= found + len(head) + size:
            said = bytes(self._buffer[found + len(head) : found + len(head) + size])
            self._buffer.clear()
            self._answered(said, now)
        elif found < 0 and REFUSED in self._buffer and self._asked != READ_PRODUCT:
            self._over(
                DropReason.MODEM_SETTING,
                "the module refuses its registers: it is no E22, or one with other registers",
            )
        elif found < 0:
            del self._buffer[: len(self._buffer) - PACKET_MAX]

    def _answered(self, said: bytes, now: int) -> None:
        if self._asked == READ_PRODUCT:
            self._events.append(Opened("E22", said.hex()))
            if self.asks_only:
                self._stage, self._step_us = Stage.OVER, None
                self._events.append(Pins(m0=False, m1=False))
                return
            self._ask(READ_SETTINGS, now)
            return
        if said[: len(self._settings)] == self._settings:
            self._stage = Stage.TO_PIPE
            self._events.append(Pins(m0=False, m1=False))
            self._step_us = now + MODE_US
        elif self._asked == READ_SETTINGS:
            self._ask(WRITE_KEPT + self._settings + NO_KEY, now)
        else:
            self._over(
                DropReason.MODEM_SETTING,
                f"the module did not take its settings: it holds {said.hex(' ')}",
            )

    def _over(self, reason: DropReason, advice: str) -> None:
        self._stage = Stage.OVER
        self._step_us = self._sent_us = self._quiet_us = None
        self._buffer.clear()
        self._break(reason, advice)

    # --- the pipe ---------------------------------------------------------------------------------

    def _search(self) -> None:
        """Take all complete frames out of the buffer."""
        while True:
            if self._held is not None and not self._take_signal():
                return
            start = self._buffer.find(SYNC)
            if start < 0:
                half = self._buffer.endswith(SYNC[:1])
                self._skip(len(self._buffer) - half)
                return
            self._skip(start)
            frame = self._whole()
            if frame is None:
                return
            if frame:
                self._held = frame
                del self._buffer[: HEAD.size + len(frame) + CRC.size]
            else:
                self._skip(1)

    def _whole(self) -> bytes | None:
        """Return the frame at the start of the buffer; empty: there is none; None: not yet."""
        if len(self._buffer) < HEAD.size:
            return None
        size = self._buffer[2]
        if not 0 < size <= self.frame_max:
            return b""
        end = HEAD.size + size
        if len(self._buffer) < end + CRC.size:
            return None
        (told,) = CRC.unpack_from(self._buffer, end)
        whole = told == _crc(bytes(self._buffer[2:end]))
        return bytes(self._buffer[HEAD.size : end]) if whole else b""

    def _take_signal(self) -> bool:
        """Take the signal byte behind the held frame; False: whether there is one is open.

        Where the next frame begins at once there is none.
        """
        if self._buffer[:2] == SYNC:
            self._tell(None)
        elif self._buffer and self._buffer != SYNC[:1]:
            self._tell(self._buffer.pop(0))
        else:
            return False
        return True

    def _no_more_comes(self) -> None:
        """The line is quiet: what is held is whole, what is half will stay so."""
        if self._held is not None:
            self._tell(self._buffer.pop(0) if self._buffer else None)
        while self._buffer:
            self._skip(1)
            self._search()
            if self._held is not None:
                self._tell(None)

    def _tell(self, signal: int | None) -> None:
        frame, self._held = self._held, None
        if frame is None:
            return
        rssi_dbm = None
        if signal is not None:
            half = self.rssi_scale is RssiScale.HALF
            rssi_dbm = -signal / 2 if half else float(signal - 256)
        self._events.append(Heard(frame, rssi_dbm, None))

    def _skip(self, count: int) -> None:
        """Leave out bytes that are no frame; bytes in a row are one drop."""
        if count > 0:
            del self._buffer[:count]
            last = self._events[-1] if self._events else None
            if last != Dropped(DropReason.MODEM_GARBAGE):
                self._events.append(Dropped(DropReason.MODEM_GARBAGE))


def granted_dbm(module_dbm: int, wanted_dbm: int) -> int | None:
    """Return the highest power of a module that is not above the wanted one; None: it has none."""
    return max((dbm for dbm in POWERS_DBM[module_dbm] if dbm <= wanted_dbm), default=None)


def too_strong(module_dbm: int) -> str:
    """Return in words what a module that has no power so low can not do."""
    return f"this module can not send with less than {min(POWERS_DBM[module_dbm])} dBm"


def nearest_air_rate(plan: RadioPlan) -> int:
    """Return the air rate that stands for the plan's modulation, in bit/s: nearest by ratio."""
    wanted = plan.modulation.bits_per_s
    return min(AIR_RATES, key=lambda rate: max(rate / wanted, wanted / rate))


def wrap(frame: bytes) -> bytes:
    """Return a frame as it goes through the pipe."""
    packet = HEAD.pack(SYNC, len(frame)) + frame
    return packet + CRC.pack(_crc(packet[2:]))


def _crc(data: bytes) -> int:
    """CRC-16 with the polynomial 0x1021, begun with ones."""
    return crc_hqx(data, 0xFFFF)


def _raster_advice(frequency_hz: int) -> str:
    nearest = min(
        (
            first_hz + CHANNEL_STEP_HZ * channel
            for first_hz, count in BANDS_HZ
            for channel in range(count)
        ),
        key=lambda hz: abs(hz - frequency_hz),
    )
    return (
        f"this module has channels 1 MHz apart and none at {frequency_hz / 1e6:g} MHz; the nearest "
        f"is {nearest / 1e6:g} MHz: meshd radio set PORT --kind ebyte takes one that the law gives "
        "airtime to, and all radios of the mesh have to use it"
    )
