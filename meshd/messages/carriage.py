"""Carry sealed bodies from node to node, over IP, over LoRa, and from one to the other.

Enters: bodies to send, what radios and datagrams bring, time. Leaves: bodies for this node, what
became of those it sent, datagrams, bodies for radios. Where a way goes from IP to LoRa or back,
this node hands bodies and answers on: it cannot read them, nor tell a false answer from a true one.
On IP a body goes hop by hop to the next hop's link-local address, so it needs no kernel routes.
Must not know: keys, what bodies say.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from meshd.core.buckets import Buckets
from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import UsageError, WireError
from meshd.core.events import Datagram, Transmit
from meshd.core.ids import SHORT_LEN, is_link_local
from meshd.core.limits import MESHD_PORT
from meshd.forwarding.direct import State
from meshd.forwarding.radio_events import DirectAnswered, DirectArrived, DirectChanged
from meshd.messages.ways import RadioVerbs, Way, Ways
from meshd.wire.letters import (
    DATAGRAM_BODY_MAX,
    HOP_LIMIT,
    AnswerDatagram,
    DirectDatagram,
    decode_datagram,
)
from meshd.wire.lora_routes import BODY_MAX

PARCELS_MAX = 64
"""Bodies of this node that are under way at once."""

PASSAGES_MAX = 64
"""Bodies of others that this node carries between IP and LoRa, of them `PER_NODE_MAX` for one."""

PER_NODE_MAX = 16
PASSAGE_US = 600_000_000
GATEWAYS_MAX = 3
"""How often a body may go from one medium to the other: each gateway adds whose it is."""

LORA_BODY_MAX = BODY_MAX - SHORT_LEN * GATEWAYS_MAX

RESEND_US = 1_000_000
THIN_RESEND_US = 30_000_000
ATTEMPTS = 4


class Came(NamedTuple):
    """A body for this node; `answer(tag, now)` acknowledges it to whoever sent it.

    `origin` is the short address that it says it is of, `via` the NodeId that sent it by IP, empty
    when it came by the radio `link`.
    """

    origin: bytes
    via: bytes
    body: bytes
    link: str
    hops: int
    answer: Callable[[bytes, int], None]


class Left(NamedTuple):
    """A body left the air, or went to the first hop's socket."""

    parcel: int


class Answered(NamedTuple):
    """Somebody says that a body arrived; who made it checks the tag and calls `settle`.

    `hops` is 0 where a gateway lies between, since each counts its own.
    """

    parcel: int
    tag: bytes
    hops: int


class Failed(NamedTuple):
    """No answer came, or the way was lost."""

    parcel: int
    reason: DropReason


Event = Came | Left | Answered | Failed
Key = TypeVar("Key")


class _Parcel:
    """A body of this node. `number` is that of the radio's forwarder, or of our datagrams."""

    __slots__ = ("attempts", "attempts_max", "body", "due_us", "link", "number", "to", "wait_us")

    def __init__(self, to: bytes, body: bytes, link: str, number: int) -> None:
        self.to = to
        self.body = body
        self.link = link
        self.number = number
        self.attempts = 0
        self.attempts_max = ATTEMPTS
        self.due_us = 0
        self.wait_us = RESEND_US


class _Passage:
    """A body of somebody else between two media: until when its answer is awaited, and that."""

    __slots__ = ("back", "ends_us", "owner", "repeated", "tag")

    def __init__(self, owner: bytes, back: Callable[[bytes, int], None], ends_us: int) -> None:
        self.owner = owner
        self.back = back
        self.ends_us = ends_us
        self.tag = b""
        self.repeated = False


class _Trip(NamedTuple):
    """A body of somebody else for a radio: whence, whose, what, to whom, and how to answer it."""

    link: str
    owner: bytes
    number: int
    origin: bytes
    body: bytes
    destination: bytes
    back: Callable[[bytes, int], None]


class Carriage:
    """What this node sends, gets and hands on."""

    def __init__(self, ctx: Context, node: bytes, *, ways: Ways, radios: RadioVerbs) -> None:
        self.node = node
        self._ctx = ctx
        self._ways = ways
        self._radios = radios
        self._parcels: dict[int, _Parcel] = {}
        self._next = 0
        self._number = ctx.rng.getrandbits(16)
        self._to_lora: dict[tuple[bytes, int], _Passage] = {}
        self._on_lora: dict[tuple[str, int], tuple[bytes, int]] = {}
        self._to_ip: dict[tuple[str, bytes, int, bytes], _Passage] = {}
        self._on_ip: dict[int, tuple[str, bytes, int, bytes]] = {}
        self._events: deque[Event] = deque()
        self._by_source = Buckets(burst=40, interval_us=50_000, sources_max=256)
        self._by_origin = Buckets(burst=8, interval_us=2_000_000, sources_max=256)

    # --- own bodies -------------------------------------------------------------------------------

    def send(self, to: bytes, body: bytes, now: int, *, once: bool = False) -> int | None:
        """Send a body to a node; return what it is called in events, None: there is no way now.

        `once`: where a LoRa hop lies on the way one try is enough.
        """
        way = self._ways.way(to)
        if way is None or len(self._parcels) >= PARCELS_MAX:
            return None
        if len(body) > (LORA_BODY_MAX if way.thin else DATAGRAM_BODY_MAX):
            return None
        if way.radio:
            return self._by_radio(way.link, to, body, now, once=once)
        parcel = _Parcel(to, body, "", self._take_number())
        parcel.wait_us = THIN_RESEND_US if way.thin else RESEND_US
        parcel.attempts_max = 1 if once and way.thin else ATTEMPTS
        self._next += 1
        self._parcels[self._next] = parcel
        self._push(self._next, parcel, way, now)
        return self._next

    def send_back(self, came: Came, body: bytes, now: int) -> int | None:
        """Send a body once to whoever sent one, though only where it came from is known."""
        if came.via:
            return self.send(came.via, body, now, once=True)
        if len(self._parcels) >= PARCELS_MAX:
            return None
        return self._by_radio(came.link, came.origin, body, now, once=True)

    def radio_to(self, node: bytes) -> str:
        """Return the radio by which the way to a node begins, or ""."""
        way = self._ways.way(node)
        return way.link if way is not None and way.radio else ""

    def medium(self, node: bytes) -> str:
        """Return what lies on the way to a node, as far as this node knows."""
        way = self._ways.way(node)
        return "ip" if way is None or not way.thin else "lora" if way.radio else "ip and lora"

    def thin(self, node: bytes) -> bool | None:
        """Tell whether a LoRa hop lies on the way to a node; None: there is no way."""
        way = self._ways.way(node)
        return None if way is None else way.thin

    def settle(self, parcel_id: int, now: int) -> None:
        """The answer was true, or nobody waits for it any more: stop."""
        parcel = self._parcels.pop(parcel_id, None)
        if parcel is not None:
            self._ctx.timers.cancel(("messages", "parcel", parcel_id))
            if parcel.link:
                self._radios.confirm(parcel.link, parcel.number, now)

    def withdraw(self, parcel_id: int, now: int) -> bool:
        """Send a body no more; False where it has left, or is just leaving."""
        parcel = self._parcels.get(parcel_id)
        if parcel is None or not parcel.link:  # what goes by IP goes at once
            return False
        if not self._radios.withdraw(parcel.link, parcel.number, now):
            return False
        del self._parcels[parcel_id]
        return True

    def handle_timer(self, parcel_id: int, now: int) -> None:
        """Send a datagram again, or give it up."""
        parcel = self._parcels.get(parcel_id)
        if parcel is None or parcel.link:
            return
        way = self._ways.way(parcel.to)
        if parcel.attempts >= parcel.attempts_max or way is None or way.radio:
            self._fail(parcel_id, DropReason.DIRECT_UNANSWERED)
        else:
            self._push(parcel_id, parcel, way, now)

    def poll_event(self) -> Event | None:
        """Return the next event."""
        return self._events.popleft() if self._events else None

    # --- LoRa -------------------------------------------------------------------------------------

    def radio_event(self, event: DirectArrived | DirectAnswered | DirectChanged, now: int) -> None:
        """Take what a radio brought, or what became of a body that was given to it."""
        if isinstance(event, DirectArrived):
            self._arrived(event, now)
        elif isinstance(event, DirectAnswered):
            self._radio_answered(event, now)
        elif event.state is State.SENT:
            for parcel_id in self._of_radio(event.link, event.number):
                self._events.append(Left(parcel_id))
        elif event.state is State.GIVEN_UP:
            key = self._on_lora.pop((event.link, event.number), None)
            if key is not None:
                self._to_lora.pop(key, None)
            for parcel_id in self._of_radio(event.link, event.number):
                self._fail(parcel_id, event.reason or DropReason.DIRECT_UNANSWERED)

    def _arrived(self, event: DirectArrived, now: int) -> None:
        def answer(tag: bytes, at: int) -> None:
            self._radios.answer(event, tag, at)

        if event.destination in (b"", self.node[:SHORT_LEN]):
            origin, body = event.origin, event.body
            self._events.append(Came(origin, b"", body, event.link, event.hops, answer))
        if event.destination and self._ways.behind(event.destination):
            self._out_of_lora(event, answer, now)

    def _radio_answered(self, event: DirectAnswered, now: int) -> None:
        key = self._on_lora.pop((event.link, event.number), None)
        passage = self._to_lora.get(key) if key is not None else None
        if passage is not None:
            # True or not: its origin judges, and comes again when it was not.
            passage.tag = event.tag
            passage.back(event.tag, now)
            self._radios.confirm(event.link, event.number, now)
            return
        for parcel_id in self._of_radio(event.link, event.number):
            self._events.append(Answered(parcel_id, event.tag, event.hops))

    def _of_radio(self, link: str, number: int) -> list[int]:
        """Return the own body that a radio has under a number, if there is one."""
        return [
            parcel_id
            for parcel_id, parcel in self._parcels.items()
            if parcel.link == link and parcel.number == number
        ]

    # --- IP ---------------------------------------------------------------------------------------

    def receive(self, link: str, datagram: Datagram, now: int) -> None:
        """Take a datagram of a neighbour."""
        try:
            packet = decode_datagram(datagram.data)
        except WireError:
            self._ctx.drop(DropReason.LETTER_MALFORMED, link)
            return
        if datagram.multicast or not is_link_local(datagram.source):
            self._ctx.drop(DropReason.LETTER_MALFORMED, link)
        elif not self._by_source.allow((link, datagram.source), now):
            self._ctx.drop(DropReason.LETTER_LIMITED, link)
        elif packet.destination != self.node:
            self._hand_on(link, packet, now)
        elif isinstance(packet, DirectDatagram):
            hops = _hops(packet.hop_limit)
            answer = self._answer_to(packet)
            came = Came(packet.origin, packet.via, packet.body, link, hops, answer)
            self._events.append(came)
        else:
            self._answered(link, packet, now)

    def _answered(self, link: str, packet: AnswerDatagram, now: int) -> None:
        key = self._on_ip.get(packet.number)
        passage = self._to_ip.get(key) if key is not None else None
        if passage is not None:
            passage.back(packet.tag, now)
            return
        for parcel_id, parcel in self._parcels.items():
            if not parcel.link and parcel.number == packet.number:
                way = self._ways.way(parcel.to)
                hops = 0 if way is None or way.thin else _hops(packet.hop_limit)
                self._events.append(Answered(parcel_id, packet.tag, hops))
                return
        self._ctx.drop(DropReason.LETTER_UNASKED, link)

    def _hand_on(self, link: str, packet: DirectDatagram | AnswerDatagram, now: int) -> None:
        way = self._ways.way(packet.destination)
        if way is None:
            self._ctx.drop(DropReason.DIRECT_NO_WAY, link)
        elif packet.hop_limit <= 1:
            self._ctx.drop(DropReason.DIRECT_HOP_LIMIT, link)
        elif not way.radio:
            sent = packet._replace(hop_limit=packet.hop_limit - 1).encode()
            self._ctx.transmit(Transmit(way.link, MESHD_PORT, way.next_hop, sent))
        elif isinstance(packet, DirectDatagram):
            what = (link, packet.via, packet.number, packet.origin, packet.body)
            back = self._answer_to(packet)
            self._onto_radio(_Trip(*what, packet.destination, back), way, now)
        else:
            self._ctx.drop(DropReason.DIRECT_NO_WAY, link)

    # --- from one to the other --------------------------------------------------------------------

    def _onto_radio(self, trip: _Trip, way: Way, now: int) -> None:
        """Put somebody's body on LoRa, once, and hand its answer back whenever it is asked for."""
        key = (trip.owner, trip.number)
        known = self._to_lora.get(key)
        if known is not None and now < known.ends_us:
            if key in self._on_lora.values():
                return
            if not known.repeated:  # who asks a third time does not believe the answer
                known.repeated = True
                known.back(known.tag, now)
                return
        if not self._by_origin.allow(trip.owner, now):
            self._ctx.drop(DropReason.LETTER_LIMITED, trip.link)
            return
        body, number = trip.origin + trip.body, None
        if len(body) <= BODY_MAX and self._room(self._to_lora, trip.owner, now):
            to = trip.destination[:SHORT_LEN]
            number = self._begin_radio(way.link, to, body, now, others=True)
        if number is None:
            self._ctx.drop(DropReason.DIRECT_FULL, trip.link)
            return
        self._to_lora[key] = _Passage(trip.owner, trip.back, now + PASSAGE_US)
        self._on_lora[way.link, number] = key

    def _out_of_lora(
        self, event: DirectArrived, answer: Callable[[bytes, int], None], now: int
    ) -> None:
        """Send a body that came by LoRa to each node behind here that may be meant."""
        for node in self._ways.behind(event.destination):
            way = self._ways.way(node)
            if way is None or way.link == event.link:
                continue
            if way.radio:
                owner = event.link.encode() + event.origin
                what = (event.link, owner, event.number, event.origin, event.body)
                self._onto_radio(_Trip(*what, node, answer), way, now)
                continue
            key = (event.link, event.origin, event.number, node)
            passage = self._to_ip.get(key)
            if passage is None:
                if not self._room(self._to_ip, event.origin, now):
                    self._ctx.drop(DropReason.DIRECT_FULL, event.link)
                    return
                passage = _Passage(event.origin, answer, now + PASSAGE_US)
                self._to_ip[key] = passage
                self._on_ip[self._take_number()] = key
            number = next(number for number, held in self._on_ip.items() if held == key)
            passage.back = answer
            fixed = (node, self.node, number, event.origin, event.body)
            sent = DirectDatagram(*fixed).encode()
            self._ctx.transmit(Transmit(way.link, MESHD_PORT, way.next_hop, sent))

    def _room(self, table: dict[Key, _Passage], owner: bytes, now: int) -> bool:
        """Forget what is over; tell whether one more passage of `owner` may be."""
        for key in [key for key, passage in table.items() if passage.ends_us <= now]:
            del table[key]
        self._on_lora = {at: key for at, key in self._on_lora.items() if key in self._to_lora}
        self._on_ip = {at: key for at, key in self._on_ip.items() if key in self._to_ip}
        theirs = sum(passage.owner == owner for passage in table.values())
        return len(table) < PASSAGES_MAX and theirs < PER_NODE_MAX

    # --- inside -----------------------------------------------------------------------------------

    def _by_radio(self, link: str, to: bytes, body: bytes, now: int, *, once: bool) -> int | None:
        number = self._begin_radio(link, to[:SHORT_LEN], body, now, once=once)
        if number is None:
            return None
        self._next += 1
        self._parcels[self._next] = _Parcel(to, body, link, number)
        return self._next

    def _begin_radio(
        self,
        link: str,
        short: bytes,
        body: bytes,
        now: int,
        *,
        once: bool = False,
        others: bool = False,
    ) -> int | None:
        try:
            return self._radios.direct(link, short, body, now, once=once, others=others)
        except UsageError:
            return None

    def _push(self, parcel_id: int, parcel: _Parcel, way: Way, now: int) -> None:
        short = self.node[:SHORT_LEN]
        packet = DirectDatagram(parcel.to, self.node, parcel.number, short, parcel.body)
        self._ctx.transmit(Transmit(way.link, MESHD_PORT, way.next_hop, packet.encode()))
        parcel.attempts += 1
        if parcel.attempts == 1:
            self._events.append(Left(parcel_id))
        wait_us = parcel.wait_us << parcel.attempts - 1
        self._ctx.timers.set(("messages", "parcel", parcel_id), now + wait_us)

    def _answer_to(self, packet: DirectDatagram) -> Callable[[bytes, int], None]:
        def answer(tag: bytes, now: int) -> None:
            way = self._ways.way(packet.via)
            if way is not None and not way.radio:
                sent = AnswerDatagram(packet.via, packet.number, tag).encode()
                self._ctx.transmit(Transmit(way.link, MESHD_PORT, way.next_hop, sent))

        return answer

    def _fail(self, parcel_id: int, reason: DropReason) -> None:
        del self._parcels[parcel_id]
        self._ctx.timers.cancel(("messages", "parcel", parcel_id))
        self._events.append(Failed(parcel_id, reason))

    def _take_number(self) -> int:
        """Return a number that is not in use."""
        used = {parcel.number for parcel in self._parcels.values() if not parcel.link}
        while True:
            self._number = (self._number + 1) & 0xFFFF
            if self._number not in used and self._number not in self._on_ip:
                return self._number


def _hops(hop_limit: int) -> int:
    return HOP_LIMIT - hop_limit + 1
