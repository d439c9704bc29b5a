"""Flooding that notes its path, and paths learned from it: how MeshCore does it.

Enters and leaves: see `engine`. Knows its own frames and the modulation.
Ref: `docs/decisions/0004-lora-medium.md` says what was taken from which description.

A flooded packet gathers a short hash of each station that repeats it; every station repeats each
packet once, after a random wait, whether or not others did. The receiver of a direct message turns
the gathered path round, and tells the sender, by a flood that carries the acknowledgement too,
which way it came. From then on the message goes along that path alone, each station on it repeating
it once, and its acknowledgement comes back the same way. Without one the path is forgotten, and the
message floods again: once, for this protocol does not retry. After each frame a station is silent
for as long again (a duty of one half).

Chosen here, where the descriptions leave it open: all stations repeat; a busy channel is asked
again after 200 ms; a direct packet waits a fifth of what a flooded one does; the wait for an
acknowledgement is 12 airtimes a hop. Hashes have two bytes: with one, of a hundred stations many
would share theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from struct import Struct
from typing import NamedTuple

from meshd.core.airtime import Modulation, airtime_us
from meshd.core.law import HOUR_US
from meshd.simulation.rivals.engine import (
    ACK,
    CONTROL,
    DATA,
    RELAY,
    Delivered,
    Frame,
    Queued,
    Seen,
    Settled,
)

HASH_BYTES = 2
_BLOCK = 16
_MAC_BYTES = 2
_ROUTE_FLOOD, _ROUTE_DIRECT = 1, 2
_TEXT, _GROUP, _ACK, _PATH, _ADVERT = 2, 5, 3, 8, 4
_KINDS = (_TEXT, _GROUP, _ACK, _PATH, _ADVERT)
_INNER = Struct(">IHB")
_ADVERT_BYTES = 120
_PATH_MAX = 64


@dataclass(frozen=True, slots=True)
class Rules:
    """The constants of a repeater.

    flood_steps, flood_factor   a flooded packet waits 0 to 4 times half its airtime × 1.04 × factor
    silence_factor              after each frame silence of its airtime × this: duty 1 / (1 + it)
    advert_us                   a station tells all that it exists this often; 0: never
    """

    flood_steps: int = 5
    flood_factor: float = 0.5
    direct_factor: float = 0.1
    silence_factor: float = 1.0
    busy_us: int = 200_000
    advert_us: int = 47 * HOUR_US
    patience_airtimes: int = 12


class _Packet(NamedTuple):
    route: int
    kind: int
    path: tuple[int, ...]
    payload: bytes

    def encode(self) -> bytes:
        head = bytes((self.route | self.kind << 2, len(self.path)))
        return head + b"".join(hop.to_bytes(HASH_BYTES, "big") for hop in self.path) + self.payload

    @classmethod
    def decode(cls, data: bytes) -> _Packet | None:
        if len(data) < 2 or data[0] >> 6:
            return None
        route, kind, hops = data[0] & 3, data[0] >> 2 & 15, data[1]
        end = 2 + hops * HASH_BYTES
        if route not in (_ROUTE_FLOOD, _ROUTE_DIRECT) or kind not in _KINDS or len(data) < end:
            return None
        path = tuple(
            int.from_bytes(data[at : at + HASH_BYTES], "big") for at in range(2, end, HASH_BYTES)
        )
        return cls(route, kind, path, data[end:]) if hops <= _PATH_MAX else None


class _Own(NamedTuple):
    """An own direct message that waits for its acknowledgement."""

    to: int
    payload: bytes
    flooded: bool


class SourcePathFlood(Queued):
    """One station. `contacts` are all whom it could write to: it knows their keys."""

    def __init__(
        self,
        number: int,
        modulation: Modulation,
        random: Random,
        *,
        contacts: Sequence[int],
        rules: Rules | None = None,
    ) -> None:
        super().__init__(number)
        self.rules = rules or Rules()
        self.paths: dict[int, tuple[int, ...]] = {}
        self._hash = station_hash(number)
        self._modulation = modulation
        self._random = random
        self._contacts: dict[int, list[int]] = {}
        for contact in contacts:
            self._contacts.setdefault(station_hash(contact), []).append(contact)
        self._next = random.getrandbits(32)
        self._delivered = Seen()
        self._own: dict[int, _Own] = {}
        if self.rules.advert_us:
            self._timers.set(("advert",), random.randrange(self.rules.advert_us))

    # --- requests ---------------------------------------------------------------------------------

    def send_broadcast(self, payload: bytes, now: int) -> int:
        """Send to the group of all; nothing acknowledges it."""
        message = self._number()
        body = bytes(1) + _sealed(self.number, -1, message, payload)
        self._flood(_GROUP, body, DATA, now)
        return message

    def send_direct(self, to: int, payload: bytes, now: int) -> int:
        """Send along the learned path, or by a flood when there is none."""
        message = self._number()
        self._send_text(message, _Own(to, payload, to not in self.paths), now)
        return message

    # --- the five verbs ---------------------------------------------------------------------------

    def receive(self, data: bytes, rssi_dbm: float, snr_db: float, now: int) -> None:
        """Take a frame; what is no packet is left alone."""
        self._now = now
        packet = _Packet.decode(data)
        if packet is None:
            return
        if packet.route == _ROUTE_DIRECT:
            self._take_direct(packet, now)
        elif not self._seen.add(_name(packet)):
            self._handle(packet, now)
            self._repeat(packet, now)

    def handle_timeout(self, now: int) -> None:
        """Fall back to a flood where no acknowledgement came; tell of itself now and then."""
        self._now = now
        for key in self._timers.expired(now):
            if key[0] == "advert":
                self._flood(_ADVERT, self._random.randbytes(_ADVERT_BYTES), CONTROL, now)
                self._timers.set(key, now + self.rules.advert_us)
            elif key[0] == "patience":
                self._out_of_patience(int(str(key[1])), now)

    def refused(self, frame: Frame, now: int) -> None:
        """Ask again a little later."""
        self._queue.put_back()
        self._queue.silent_until_us = now + self.rules.busy_us

    def sent(self, airtime_us: int, now: int) -> None:
        """Keep silent for a while, that the duty is kept."""
        self._now = now
        self._queue.sent()
        self._queue.silent_until_us = now + round(airtime_us * self.rules.silence_factor)

    # --- packets that arrive ----------------------------------------------------------------------

    def _take_direct(self, packet: _Packet, now: int) -> None:
        """Repeat what names this station as next; handle what has arrived."""
        if not packet.path:
            if not self._seen.add(_name(packet)):
                self._handle(packet, now)
        elif packet.path[0] == self._hash and not self._seen.add(_name(packet)):
            onward = packet._replace(path=packet.path[1:])
            self._enqueue(onward.encode(), RELAY, now, factor=self.rules.direct_factor)

    def _repeat(self, packet: _Packet, now: int) -> None:
        if len(packet.path) < _PATH_MAX:
            onward = packet._replace(path=(*packet.path, self._hash)).encode()
            if len(onward) <= 255:
                self._enqueue(onward, RELAY, now, factor=self.rules.flood_factor)

    def _handle(self, packet: _Packet, now: int) -> None:
        payload = packet.payload
        if packet.kind == _ACK:
            self._acknowledged(int.from_bytes(payload[:4], "big"))
        elif packet.kind == _GROUP:
            opened = _open(payload[1:], None)
            if opened is not None:
                self._events.append(Delivered(*opened))
        elif packet.kind in (_TEXT, _PATH) and payload[:HASH_BYTES] == _hash_bytes(self.number):
            self._for_me(packet, now)

    def _for_me(self, packet: _Packet, now: int) -> None:
        source = int.from_bytes(packet.payload[HASH_BYTES : 2 * HASH_BYTES], "big")
        sealed = packet.payload[2 * HASH_BYTES :]
        for contact in self._contacts.get(source, ()):
            opened = _open(sealed, (contact, self.number))
            if opened is None:
                continue
            if packet.route == _ROUTE_FLOOD:
                self.paths[contact] = packet.path[::-1]
            _, message, inner = opened
            if packet.kind == _PATH:
                self._learn(contact, inner)
                self._acknowledged(message)
            else:
                if not self._delivered.add((contact, message)):
                    self._events.append(Delivered(contact, message, inner))
                self._answer(contact, message, packet, now)
            return

    def _learn(self, contact: int, inner: bytes) -> None:
        """Take the path that a contact says our flood came by."""
        count = inner[0] if inner else 0
        hops = inner[1 : 1 + count * HASH_BYTES]
        if len(hops) == count * HASH_BYTES:
            self.paths[contact] = tuple(
                int.from_bytes(hops[at : at + HASH_BYTES], "big")
                for at in range(0, len(hops), HASH_BYTES)
            )

    def _answer(self, contact: int, message: int, packet: _Packet, now: int) -> None:
        """Acknowledge: with the path by a flood, or briefly along the path."""
        if packet.route == _ROUTE_FLOOD or contact not in self.paths:
            hops = b"".join(hop.to_bytes(HASH_BYTES, "big") for hop in packet.path)
            body = _addressed(contact, self.number, message, bytes((len(packet.path),)) + hops)
            if len(body) < 250:
                self._flood(_PATH, body, ACK, now)
        else:
            answer = _Packet(_ROUTE_DIRECT, _ACK, self.paths[contact], message.to_bytes(4, "big"))
            self._enqueue(answer.encode(), ACK, now, factor=0.0)

    # --- own messages -----------------------------------------------------------------------------

    def _send_text(self, message: int, own: _Own, now: int) -> None:
        body = _addressed(own.to, self.number, message, own.payload)
        hops = 6
        if own.flooded:
            self._flood(_TEXT, body, DATA, now)
        else:
            path = self.paths[own.to]
            hops = len(path) + 1
            packet = _Packet(_ROUTE_DIRECT, _TEXT, path, body)
            self._seen.add(_name(packet))
            self._enqueue(packet.encode(), DATA, now, factor=0.0)
        self._own[message] = own
        a_hop_us = self.rules.patience_airtimes * airtime_us(self._modulation, len(body) + 20)
        self._timers.set(("patience", message), now + hops * a_hop_us)

    def _out_of_patience(self, message: int, now: int) -> None:
        own = self._own.pop(message)
        if own.flooded:
            self._events.append(Settled(message, False))
        else:
            self.paths.pop(own.to, None)
            self._send_text(message, own._replace(flooded=True), now)

    def _acknowledged(self, message: int) -> None:
        if self._own.pop(message, None) is not None:
            self._timers.cancel(("patience", message))
            self._events.append(Settled(message, True))

    # --- frames that leave ------------------------------------------------------------------------

    def _flood(self, kind: int, body: bytes, purpose: str, now: int) -> None:
        packet = _Packet(_ROUTE_FLOOD, kind, (), body)
        self._seen.add(_name(packet))
        self._enqueue(packet.encode(), purpose, now, factor=0.0)

    def _enqueue(self, data: bytes, purpose: str, now: int, *, factor: float) -> None:
        self._now = now
        if not self._queue.has_room():
            return
        step_us = airtime_us(self._modulation, len(data)) * 1.04 / 2 * factor
        wait_us = round(self._random.randrange(self.rules.flood_steps) * step_us)
        self._queue.add(Frame(data, purpose), now + wait_us)

    def _number(self) -> int:
        self._next = (self._next + 1) & 0xFFFFFFFF
        return self._next


def station_hash(number: int) -> int:
    """Return the short hash that stands for a station in paths."""
    digest = blake2b(number.to_bytes(8, "big", signed=True), digest_size=HASH_BYTES).digest()
    return int.from_bytes(digest, "big")


def _hash_bytes(number: int) -> bytes:
    return station_hash(number).to_bytes(HASH_BYTES, "big")


def _name(packet: _Packet) -> tuple[int, int]:
    """Name a packet whatever way it goes: a direct copy and a flooded one differ."""
    digest = blake2b(packet.payload, digest_size=8).digest()
    return packet.kind << 2 | packet.route, int.from_bytes(digest, "big")


def _addressed(to: int, sender: int, message: int, payload: bytes) -> bytes:
    """Return a payload for one: both hashes, and what only the two can open."""
    return _hash_bytes(to) + _hash_bytes(sender) + _sealed(sender, to, message, payload)


def _sealed(sender: int, to: int, message: int, payload: bytes) -> bytes:
    """Stand in for encryption: a MAC of two bytes, and blocks of 16."""
    inner = _INNER.pack(message, sender & 0xFFFF, len(payload)) + payload
    inner += bytes(-len(inner) % _BLOCK)
    return _mac(sender, to, inner) + inner


def _open(sealed: bytes, pair: tuple[int, int] | None) -> tuple[int, int, bytes] | None:
    """Return sender, message and payload; None when the MAC is not of that pair (None: all)."""
    mac, inner = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
    if len(inner) < _INNER.size:
        return None
    message, sender, length = _INNER.unpack_from(inner)
    one, other = pair or (sender, -1)
    if _mac(one, other, inner) != mac:
        return None
    return one, message, inner[_INNER.size : _INNER.size + length]


def _mac(sender: int, to: int, inner: bytes) -> bytes:
    return blake2b(b"%d %d " % (sender, to) + inner, digest_size=_MAC_BYTES).digest()
