"""A distance vector with fixed hellos: how LoRaMesher does it.

Enters and leaves: see `engine`. Knows its own frames and the modulation.
Ref: `docs/decisions/0004-lora-medium.md` says what was taken from which description.

Every 120 s a station tells its whole table: address and hops of each station it knows, in packets
of at most 100 bytes. Who hears it can go there with one hop more. A route that no hello confirms
for five of them is forgotten. A direct message goes from next hop to next hop; its receiver sends
an acknowledgement the same way, and without one the sender tries again.

Chosen here, where the descriptions leave it open: broadcasts. The published protocol has none
beyond one hop. Ours are repeated once by each station that got them from its own next hop towards
the sender, so that they follow the routes backwards; every copy counts as delivered. Without a
route to the sender the first copy is repeated. A frame waits 0 to 4 times its airtime; a busy
channel is asked again after as long; three tries, 20 airtimes a hop apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from struct import Struct
from typing import NamedTuple

from meshd.core.airtime import Modulation, airtime_us
from meshd.simulation.rivals.engine import (
    ACK,
    CONTROL,
    DATA,
    RELAY,
    Delivered,
    Frame,
    Queued,
    Settled,
)

_HEADER = Struct(">HHBBB")
_VIA = Struct(">H")
_ORDER = Struct(">BH")
_ENTRY = Struct(">HBB")
HEADER_BYTES = _HEADER.size + _VIA.size
PACKET_MAX = 100
PAYLOAD_MAX = PACKET_MAX - HEADER_BYTES - _ORDER.size
TABLE_MAX = 256
HOPS_MAX = 16
_HELLO, _DATA, _ACKNOWLEDGE, _SPREAD = 4, 2, 10, 1
_ALL = 0xFFFF


@dataclass(frozen=True, slots=True)
class Rules:
    """The constants."""

    hello_us: int = 120_000_000
    hellos_missed: int = 5
    tries: int = 3
    wait_steps: int = 5
    patience_airtimes: int = 20


class Route(NamedTuple):
    """How a station is reached."""

    via: int
    hops: int
    expires_us: int


class _Packet(NamedTuple):
    """`via` is who shall take it next, `last` who sent it last."""

    to: int
    source: int
    kind: int
    number: int
    via: int
    last: int
    payload: bytes

    def encode(self) -> bytes:
        head = _HEADER.pack(self.to, self.source, self.kind, self.number & 0xFF, 7)
        order = _ORDER.pack(self.last & 0xFF, self.number)
        return head + _VIA.pack(self.via) + order + self.payload

    @classmethod
    def decode(cls, data: bytes) -> _Packet | None:
        if len(data) < HEADER_BYTES + _ORDER.size:
            return None
        to, source, kind, _, _ = _HEADER.unpack_from(data)
        (via,) = _VIA.unpack_from(data, _HEADER.size)
        last, number = _ORDER.unpack_from(data, HEADER_BYTES)
        if kind not in (_HELLO, _DATA, _ACKNOWLEDGE, _SPREAD):
            return None
        return cls(to, source, kind, number, via, last, data[HEADER_BYTES + _ORDER.size :])


class _Own(NamedTuple):
    to: int
    payload: bytes
    tries_left: int


class DistanceVector(Queued):
    """One station; its number is its address of two bytes."""

    def __init__(self, number: int, modulation: Modulation, random: Random) -> None:
        super().__init__(number)
        self.rules = Rules()
        self.routes: dict[int, Route] = {}
        self._modulation = modulation
        self._random = random
        self._next = random.getrandbits(16)
        self._own: dict[int, _Own] = {}
        self._timers.set(("hello",), random.randrange(self.rules.hello_us))

    # --- requests ---------------------------------------------------------------------------------

    def send_broadcast(self, payload: bytes, now: int) -> int:
        """Send to all, backwards along their routes; nothing acknowledges it."""
        number = self._number()
        self._seen.add((self.number, number))
        packet = _Packet(_ALL, self.number, _SPREAD, number, _ALL, self.number, payload)
        self._enqueue(packet, DATA, now)
        return number

    def send_direct(self, to: int, payload: bytes, now: int) -> int:
        """Send to one along the route, and again without an acknowledgement."""
        number = self._number()
        self._own[number] = _Own(to, payload, self.rules.tries)
        self._try(number, now)
        return number

    # --- the five verbs ---------------------------------------------------------------------------

    def receive(self, data: bytes, rssi_dbm: float, snr_db: float, now: int) -> None:
        """Take a frame; what is no packet is left alone."""
        self._now = now
        packet = _Packet.decode(data)
        if packet is None or packet.source == self.number:
            return
        if packet.kind == _HELLO:
            self._learn(packet, now)
        elif packet.kind == _SPREAD:
            self._spread(packet, now)
        elif packet.via == self.number:
            self._take(packet, now)

    def handle_timeout(self, now: int) -> None:
        """Tell the table; try again what was not acknowledged."""
        self._now = now
        for key in self._timers.expired(now):
            if key[0] == "hello":
                self._hello(now)
                self._timers.set(key, now + self.rules.hello_us)
            elif key[0] == "patience":
                self._try(int(str(key[1])), now)

    def refused(self, frame: Frame, now: int) -> None:
        """Draw a new wait: the channel was busy."""
        wait_us = self._wait_us(len(frame.data)) + self._modulation.symbol_us
        self._queue.put_back(now + wait_us)

    def sent(self, airtime_us: int, now: int) -> None:
        """Go on to the next frame."""
        self._now = now
        self._queue.sent()

    # --- routes -----------------------------------------------------------------------------------

    def _hello(self, now: int) -> None:
        """Tell all routes that still hold, in as many packets as they need."""
        self.routes = {to: one for to, one in self.routes.items() if one.expires_us > now}
        rows = [_ENTRY.pack(to, route.hops, 0) for to, route in sorted(self.routes.items())]
        room = PAYLOAD_MAX // _ENTRY.size
        for at in range(0, max(len(rows), 1), room):
            body = b"".join(rows[at : at + room])
            packet = _Packet(_ALL, self.number, _HELLO, self._number(), _ALL, self.number, body)
            self._enqueue(packet, CONTROL, now)

    def _learn(self, packet: _Packet, now: int) -> None:
        self._offer(packet.source, packet.source, 1, now)
        whole = len(packet.payload) // _ENTRY.size * _ENTRY.size
        for to, hops, _ in _ENTRY.iter_unpack(packet.payload[:whole]):
            if to not in (self.number, _ALL) and hops < HOPS_MAX:
                self._offer(to, packet.source, hops + 1, now)

    def _offer(self, to: int, via: int, hops: int, now: int) -> None:
        """Take a route that is shorter, comes from the same neighbour, or replaces a stale one."""
        known = self.routes.get(to)
        if known is None and len(self.routes) >= TABLE_MAX:
            return
        stale = known is None or known.expires_us <= now
        if stale or known is None or hops < known.hops or via == known.via:
            expires_us = now + self.rules.hellos_missed * self.rules.hello_us
            self.routes[to] = Route(via, hops, expires_us)

    def _route(self, to: int, now: int) -> Route | None:
        route = self.routes.get(to)
        return route if route is not None and route.expires_us > now else None

    # --- packets ----------------------------------------------------------------------------------

    def _spread(self, packet: _Packet, now: int) -> None:
        """Deliver a broadcast, and repeat it when it came the way that a route would go."""
        route = self._route(packet.source, now)
        again = self._seen.add((packet.source, packet.number))
        if not again:
            self._events.append(Delivered(packet.source, packet.number, packet.payload))
        backwards = route is not None and route.via & 0xFF == packet.last
        first = route is None and not again
        if (backwards or first) and not self._seen.add((~packet.source, packet.number)):
            self._enqueue(packet._replace(last=self.number), RELAY, now)

    def _take(self, packet: _Packet, now: int) -> None:
        if packet.to != self.number:
            self._forward(packet, RELAY, now)
        elif packet.kind == _ACKNOWLEDGE:
            number = packet.number
            if self._own.pop(number, None) is not None:
                self._timers.cancel(("patience", number))
                self._events.append(Settled(number, True))
        else:
            if not self._seen.add((packet.source, packet.number)):
                self._events.append(Delivered(packet.source, packet.number, packet.payload))
            answer = packet._replace(
                to=packet.source, source=self.number, kind=_ACKNOWLEDGE, payload=b""
            )
            self._forward(answer, ACK, now)

    def _forward(self, packet: _Packet, purpose: str, now: int) -> None:
        route = self._route(packet.to, now)
        if route is not None:
            self._enqueue(packet._replace(via=route.via, last=self.number), purpose, now)

    def _try(self, number: int, now: int) -> None:
        own = self._own[number]
        if not own.tries_left:
            del self._own[number]
            self._events.append(Settled(number, False))
            return
        self._own[number] = own._replace(tries_left=own.tries_left - 1)
        packet = _Packet(own.to, self.number, _DATA, number, 0, self.number, own.payload)
        route = self._route(own.to, now)
        hops = route.hops if route is not None else 1
        self._forward(packet, DATA, now)
        size = HEADER_BYTES + _ORDER.size + len(own.payload)
        a_hop_us = self.rules.patience_airtimes * airtime_us(self._modulation, size)
        self._timers.set(("patience", number), now + hops * a_hop_us)

    # --- frames that leave ------------------------------------------------------------------------

    def _enqueue(self, packet: _Packet, purpose: str, now: int) -> None:
        self._now = now
        if self._queue.has_room():
            data = packet.encode()
            self._queue.add(Frame(data, purpose), now + self._wait_us(len(data)))

    def _wait_us(self, size: int) -> int:
        steps = self._random.randrange(self.rules.wait_steps)
        return steps * airtime_us(self._modulation, size)

    def _number(self) -> int:
        self._next = (self._next + 1) & 0xFFFF
        return self._next
