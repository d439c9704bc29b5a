"""An emulated Meshtastic radio at its serial port: settings, packets, queue reports, console text.

Enters: messages to the radio, frames from the air. Leaves: messages from the radio, frames on the
air: a header of 16 bytes and the packet's data, in clear, as if all knew the channel's key. Written
from the facts in hardware/radios/meshtastic.toml and checked by the vendor's own client in
tests/integration. Modelled: the order of settings at connecting, the queue of 16, listening before
sending in random slots, signatures, duplicates; with `chatty` node infos of its own and packets of
others sent on; and each minute the telemetry for the host that says how long it was on the air; and
LoRa settings from the owner's application, one at a time or between begin and commit: with firmware
2.8 they hold at once, before it a restart follows 7 s later. Not modelled: sleep, and of the
owner's application anything but LoRa settings.
"""

from collections import deque
from struct import Struct
from typing import ClassVar

from meshd.core.airtime import LONG_FAST
from meshd.simulation.media.lora import Radio, RadioSetting, TimeAndChance
from meshd.simulation.modems.emulator import Emulator
from meshd.simulation.modems.meshtastic_owner import Owner
from meshd.simulation.modems.messages import fields, fixed, flag, number, real, text
from meshd.simulation.schedule import SECOND

MARK = b"\x94\xc3"
MESSAGE_MAX = 512
PAYLOAD_MAX = 233
AIR_MAX = 255
QUEUE_MAX = 16
EVERYBODY = 0xFFFFFFFF
SIGNED_MAX, SIGNATURE = 165, 66
_TOO_LARGE, _LIMIT = 7, 32
_SEEN_MAX = 64
_ADMIN_PORT = 6
_NODE_INFO, _TELEMETRY = 4, 67
_CLIENT_MUTE = 1
_MINUTE_US = 60 * SECOND
_OWN_US = 20 * SECOND
_SET_CONFIG, _BEGIN, _COMMIT = 34, 64, 65
_ROUTING_PORT = 5
_NO_RESPONSE, _BAD_REQUEST = 8, 32
REBOOT_US = 7 * SECOND
"""From settings that want a restart to the restart."""

_HEADER = Struct("<IIIBBBB")
_FLAGS_AT = 12
_BOOT_US = 2 * SECOND
_BOOT_LOG = (
    b"ESP-ROM:esp32s3-20210327\r\nBuild:Mar 27 2021\r\nrst:0x1 (POWERON),boot:0x8\r\n"
    b"\x1b[34mDEBUG\x1b[0m | ??:??:?? 0 Filesystem files:\r\n"
)
_CONSOLE = b"\x1b[32mINFO \x1b[0m | 12:00:01 42 [Router] Received position\r\n"


class MeshtasticEmulator(Emulator):
    """A radio that its owner has set to what its `radio` is set to when it gets power."""

    kind = "meshtastic"
    factory = RadioSetting(LONG_FAST, 869_525_000, 14.0)
    FAULTS: ClassVar[dict[str, str]] = {
        "silent": "never says anything",
        "boot-log": "prints its boot log, and answers only 2 s after power came",
        "console": "prints lines of its console between messages",
        "no-region": "was never given a region, and does not transmit",
        "other-preset": "is set to ShortTurbo",
        "short-fast": "is set to ShortFast, which is no fault, and quick",
        "no-settings": "does not tell its LoRa settings",
        "transmit-off": "was told by its owner not to transmit",
        "no-complete": "never ends its list of settings",
        "signs": "has firmware 2.8, which signs short broadcasts",
        "full": "says that its queue is full after each packet, for 15 s",
        "always-full": "says that its queue is full after its first packet, and stays so",
        "no-queue-reports": "never reports its queue",
        "refuses": "refuses every packet",
        "resets": "restarts at its third packet",
        "hangs": "says nothing more after its third packet",
        "chatty": "has the role CLIENT: it repeats others, and tells of itself every 20 s",
        "managed": "is managed, and takes no settings from its port",
        "refuses-settings": "answers that its settings are a bad request",
        "ignores-settings": "does not answer when it is given settings, and keeps its own",
        "keeps-settings": "answers that it took its settings, and keeps its own",
        "other-settings": "takes the region and goes back to LongFast, whatever it is given",
        "stays-down": "never comes back from the restart that new settings want",
        "untold": "does not tell how long it was on the air",
        "half-frames": "loses the second half of every fifth packet that it hands over",
        "garbage": "puts random bytes before every fourth message",
    }

    def __init__(self, radio: Radio, schedule: TimeAndChance, faults: frozenset[str]) -> None:
        super().__init__(radio, schedule, faults)
        self._random = schedule.random(f"meshtastic {radio.name}")
        self.number = self._random.randrange(1 << 28, 1 << 31)
        self._buffer = bytearray()
        self._queue: deque[bytes] = deque()
        self._seen: deque[tuple[int, int]] = deque(maxlen=_SEEN_MAX)
        self._contending = False
        self._deaf_until_us = 0
        self._dead = "silent" in faults
        self._asked_to_send = self._given = self._said = 0
        self._full_until_us = 0
        self._connected = False
        self._boots = 0
        self._up_us = 0
        self._aired: deque[tuple[int, int]] = deque()
        self._editing = False
        self.owner = Owner(radio.setting)
        self._misset()

    def _misset(self) -> None:
        """Be set by an owner who forgot something."""
        told = fields(self.owner.told) or {}
        region = told.get(7, 0) if "no-region" not in self.faults else 0
        if self.faults & {"no-region", "transmit-off", "other-preset", "short-fast"}:
            preset = 8 if "other-preset" in self.faults else 6 * ("short-fast" in self.faults)
            self.owner.change(
                flag(1, True)
                + number(2, preset)
                + number(7, region if isinstance(region, int) else 0)
                + flag(9, "transmit-off" not in self.faults)
                + number(10, round(self.radio.setting.tx_dbm))
                + real(14, self.radio.setting.frequency_hz / 1e6)
            )

    # --- power ------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Begin: the owner's settings are kept."""
        self.radio.tune(self.owner.on_air())
        self._boots += 1
        self._up_us = self.schedule.now
        self._aired.clear()
        self.schedule.at(self._up_us + _MINUTE_US, self._tell_airtime, self._boots)
        if "chatty" in self.faults:
            self.schedule.at(self._up_us + _OWN_US, self._tell_of_itself, self._boots)
        self._buffer.clear()
        self._queue.clear()
        self._connected = self._editing = False
        self.listening = True
        if "boot-log" in self.faults:
            self._deaf_until_us = self.schedule.now + _BOOT_US
            self._write(_BOOT_LOG)

    # --- the host ---------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take bytes from the host: anything that is no message is left out."""
        if self.schedule.now < self._deaf_until_us:
            return
        self._buffer += data
        while True:
            start = self._buffer.find(MARK)
            if start < 0:
                del self._buffer[: len(self._buffer) - 1]
                return
            del self._buffer[:start]
            if len(self._buffer) < 4:
                return
            length = int.from_bytes(self._buffer[2:4], "big")
            if length > MESSAGE_MAX:
                del self._buffer[:2]
                continue
            if len(self._buffer) < 4 + length:
                return
            message = bytes(self._buffer[4 : 4 + length])
            del self._buffer[: 4 + length]
            self._told(message)

    def _told(self, message: bytes) -> None:
        asked = fields(message)
        if asked is None:
            return
        if isinstance(packet := asked.get(1), bytes):
            self._packet(packet)
        elif isinstance(nonce := asked.get(3), int):
            self._tell_settings(nonce)
        elif 4 in asked:
            self._connected = False
        elif 7 in asked:
            self._report(0, 0)

    def _tell_settings(self, nonce: int) -> None:
        """The order of the firmware, shortened to what clients need."""
        self._connected = True
        name = f"!{self.number:08x}"
        user = text(1, name) + text(2, f"Emulated {name[-4:]}") + text(3, name[-4:])
        version = "2.8.0.0000000" if "signs" in self.faults else "2.7.11.0000000"
        self._say(text(3, number(1, self.number)))
        self._say(text(4, number(1, self.number) + text(2, user)))
        self._say(text(13, text(1, version)))
        self._say(text(10, number(1, 0) + text(2, b"") + number(3, 1)))
        self._say(text(5, text(1, b"" if "chatty" in self.faults else number(1, _CLIENT_MUTE))))
        if "no-settings" not in self.faults:
            self._say(text(5, text(6, self.owner.told)))
        self._say(text(5, text(8, flag(4, "managed" in self.faults))))
        if "no-complete" not in self.faults:
            self._say(number(7, nonce))

    # --- sending ----------------------------------------------------------------------------------

    def _packet(self, packet: bytes) -> None:
        told = fields(packet)
        data = told.get(4) if told is not None else None
        if told is None or not isinstance(data, bytes):
            return
        packet_id = told.get(6)
        if not isinstance(packet_id, int) or not packet_id:
            packet_id = self._random.randrange(1, 1 << 32)
        inside = fields(data) or {}
        if inside.get(1) == _ADMIN_PORT and told.get(2) == self.number:
            self._report(0, packet_id)
            self._administer(inside.get(2), packet_id, wants_answer=bool(inside.get(3)))
            return
        self._asked_to_send += 1
        if self._asked_to_send == 3 and "resets" in self.faults:
            self._restart()
            return
        if self._asked_to_send == 3 and "hangs" in self.faults:
            self._dead = True
            return
        self._report(self._take(told, data, packet_id), packet_id)

    def _administer(self, said: int | bytes | None, packet_id: int, *, wants_answer: bool) -> None:
        """Take LoRa settings from the owner's application, and answer where that is wanted."""
        asked = fields(said) if isinstance(said, bytes) else None
        if asked is None or "ignores-settings" in self.faults:
            return
        error = 0
        if "managed" in self.faults:
            error = _NO_RESPONSE
        elif "refuses-settings" in self.faults:
            error = _BAD_REQUEST
        elif _BEGIN in asked:
            self._editing = True
        elif _COMMIT in asked:
            self._editing = False
            self._settle(restarts=True)
        elif isinstance(lora := self._lora_of(asked), bytes):
            self._change(lora)
            if not self._editing:
                self._settle(restarts="signs" not in self.faults)
        if wants_answer:
            routing = number(3, error) or b"\x18\x00"
            data = number(1, _ROUTING_PORT) + text(2, routing) + fixed(6, packet_id)
            ids = fixed(1, self.number) + fixed(2, self.number)
            answer_id = fixed(6, self._random.randrange(1, 1 << 32))
            self._say(text(2, ids + text(4, data) + answer_id))

    @staticmethod
    def _lora_of(asked: dict[int, int | bytes]) -> int | bytes | None:
        config = asked.get(_SET_CONFIG)
        inside = fields(config) if isinstance(config, bytes) else None
        return inside.get(6) if inside else None

    def _change(self, lora: bytes) -> None:
        if "other-settings" in self.faults:
            region = (fields(lora) or {}).get(7, 0)
            lora = flag(1, True) + number(7, region if isinstance(region, int) else 0)
            lora += flag(9, True) + number(10, 14)
        if "keeps-settings" not in self.faults:
            self.owner.change(lora)

    def _settle(self, *, restarts: bool) -> None:
        """New settings are kept: from now, or from a restart that is due."""
        if restarts:
            self.schedule.at(self.schedule.now + REBOOT_US, self._go_down)
        else:
            self.radio.tune(self.owner.on_air())

    def _go_down(self) -> None:
        """Restart: nobody is there while it starts."""
        self._boots += 1
        self.listening = self._connected = False
        self._dead = self._dead or "stays-down" in self.faults
        self._deaf_until_us = self.schedule.now + _BOOT_US
        self.schedule.at(self._deaf_until_us, self._restart)

    def _restart(self) -> None:
        self.power_on()
        self._say(flag(8, True))

    def _take(self, told: dict[int, int | bytes], data: bytes, packet_id: int) -> int:
        """Put a packet into the queue; return what the queue report says of it."""
        inside = fields(data)
        payload = inside.get(2, b"") if inside is not None else None
        if inside is None or not isinstance(payload, bytes):
            return _LIMIT
        to, limit = told.get(2, EVERYBODY), told.get(9, 0)
        if not isinstance(to, int) or not isinstance(limit, int):
            return _LIMIT
        bitfield = b"\x48\x00"
        body = data + bitfield
        if "signs" in self.faults and to == EVERYBODY and len(payload) <= SIGNED_MAX:
            body += b"\x52\x40" + bytes(SIGNATURE - 2)
        if _HEADER.size + len(body) > AIR_MAX or len(payload) > PAYLOAD_MAX:
            return _TOO_LARGE
        mute = not self.owner.region() or not self.owner.transmits()
        if "refuses" in self.faults or mute or len(self._queue) >= QUEUE_MAX:
            return _LIMIT
        flags = limit & 7 | (limit & 7) << 5
        self._seen.append((self.number, packet_id))
        head = _HEADER.pack(to & EVERYBODY, self.number, packet_id, flags, 8, 0, 0)
        self._enqueue(head + body)
        if "full" in self.faults:
            self._full_until_us = self.schedule.now + 15 * SECOND
        return 0

    def _enqueue(self, frame: bytes) -> None:
        self._queue.append(frame)
        if not self._contending:
            self._contending = True
            self._contend(self._random.randrange(8))

    # --- by itself --------------------------------------------------------------------------------

    def _tell_of_itself(self, boot: int) -> None:
        """Send a node info, as the firmware does every few hours."""
        if boot != self._boots or not self.listening:
            return
        user = text(2, f"Emulated {self.number:08x}") + text(3, "emul")
        body = number(1, _NODE_INFO) + text(2, user)
        head = (EVERYBODY, self.number, self._random.randrange(1, 1 << 32), 3 | 3 << 5, 8, 0, 0)
        if len(self._queue) < QUEUE_MAX:
            self._enqueue(_HEADER.pack(*head) + body)
        self.schedule.at(self.schedule.now + _OWN_US, self._tell_of_itself, boot)

    def _repeat(self, frame: bytes) -> None:
        """Send on what another radio sent, where its hop limit allows it."""
        flags = frame[_FLAGS_AT]
        if "chatty" in self.faults and flags & 7 and len(self._queue) < QUEUE_MAX:
            lower = frame[:_FLAGS_AT] + bytes((flags - 1,)) + frame[_FLAGS_AT + 1 :]
            self._enqueue(lower)

    def _tell_airtime(self, boot: int) -> None:
        """Tell the host, and nobody else, how busy the radio was: a share of an hour, always."""
        if boot != self._boots or not self.listening:
            return
        now = self.schedule.now
        while self._aired and self._aired[0][0] < now - 60 * _MINUTE_US:
            self._aired.popleft()
        percent = sum(airtime for _, airtime in self._aired) / (60 * _MINUTE_US) * 100
        if self._connected and "untold" not in self.faults:
            metrics = real(4, percent) + number(5, (now - self._up_us) // SECOND)
            data = number(1, _TELEMETRY) + text(2, text(2, metrics))
            ids = fixed(1, self.number) + fixed(2, EVERYBODY)
            packet_id = fixed(6, self._random.randrange(1, 1 << 32))
            self._say(text(2, ids + text(4, data) + packet_id))
        self.schedule.at(now + _MINUTE_US, self._tell_airtime, boot)

    def _report(self, result: int, packet_id: int) -> None:
        if "no-queue-reports" in self.faults:
            return
        free = QUEUE_MAX - len(self._queue)
        stuck = "always-full" in self.faults and self._asked_to_send
        if self.schedule.now < self._full_until_us or stuck:
            free = 0
        self._say(
            text(
                11,
                number(1, result) + number(2, free) + number(3, QUEUE_MAX) + number(4, packet_id),
            )
        )

    def _contend(self, slots: int) -> None:
        """Wait the drawn slots, then send when the channel is free."""
        modulation = self.radio.setting.modulation
        slot_us = 5 * modulation.symbol_us // 2 + 7_600
        if not self._queue:
            self._contending = False
        elif slots:
            self.schedule.at(self.schedule.now + slot_us, self._contend, slots - 1)
        elif self.radio.busy():
            self._contend_later(slot_us)
        else:
            airtime = self.radio.transmit(self._queue.popleft(), "meshtastic")
            self._aired.append((self.schedule.now + airtime, airtime))

    def _contend_later(self, slot_us: int) -> None:
        slots = self._random.randrange(8)
        self.schedule.at(self.schedule.now + slot_us, self._contend, slots)

    def _sent(self) -> None:
        self._contending = bool(self._queue)
        if self._queue:
            self._contend(self._random.randrange(8))

    # --- receiving --------------------------------------------------------------------------------

    def _received(self, frame: bytes, rssi_dbm: float, snr_db: float) -> None:
        if not self.listening or len(frame) < _HEADER.size:
            return
        to, sender, packet_id, flags, _, _, _ = _HEADER.unpack_from(frame)
        body = frame[_HEADER.size :]
        if (sender, packet_id) in self._seen or fields(body) is None:
            return
        self._seen.append((sender, packet_id))
        self._repeat(frame)
        if not self._connected:
            return
        packet = b"".join(
            (
                *(fixed(1, sender), fixed(2, to), text(4, body), fixed(6, packet_id)),
                *(fixed(7, self.schedule.now // SECOND), real(8, self.told_snr_db(snr_db))),
                *(number(9, flags & 7), number(12, round(rssi_dbm)), number(15, flags >> 5)),
            )
        )
        message = text(2, packet)
        self._given += 1
        if "half-frames" in self.faults and self._given % 5 == 0:
            line = MARK + len(message).to_bytes(2, "big") + message
            self._write(line[: len(line) // 2])
        else:
            self._say(message)

    # --- to the host ------------------------------------------------------------------------------

    def _say(self, message: bytes) -> None:
        self._said += 1
        line = MARK + len(message).to_bytes(2, "big") + message
        if "console" in self.faults:
            line = _CONSOLE + line
        if "garbage" in self.faults and self._said % 4 == 0:
            line = self._random.randbytes(self._random.randrange(1, 12)) + line
        self._write(line)

    def _write(self, data: bytes) -> None:
        if not self._dead:
            self.written(data)
