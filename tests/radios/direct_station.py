"""A station that sends direct messages by `LoraDialect` and `Forwarder`, for the field of rivals.

Enters and leaves: see `meshd/simulation/rivals/engine.py`. Frames are as long as sealed ones; the
next hop stands in them in clear, and tags are zeros, for nobody here forges.
"""

from collections import deque
from random import Random

from radios.talk import node

from meshd.core.airtime import Modulation, airtime_us
from meshd.core.context import Context
from meshd.core.ids import EVERYONE, OPEN_MESH_ID, host_prefix, mesh_address
from meshd.forwarding import direct_rules
from meshd.forwarding.direct import Arrived, Forwarder, State
from meshd.forwarding.relay import Send
from meshd.routing.lora.rules import Rules
from meshd.routing.speaker import Babel
from meshd.simulation.rivals.engine import (
    ACK,
    CONTROL,
    DATA,
    RELAY,
    Delivered,
    Event,
    Frame,
    Settled,
    earliest,
)
from meshd.wire import lora_routes
from meshd.wire.lora_frame import FRAME_LEN_MAX, FrameKind, LoraFrame, overhead
from meshd.wire.lora_routes import ANSWER_TAG_LEN, Answer, Direct, Receipt, Routes

SOON_US = 20_000_000
LONG_FRAME = 83
TAG = bytes(ANSWER_TAG_LEN)


class DirectStation:
    """One engine; the number of a station is its short address."""

    def __init__(self, number: int, modulation: Modulation, random: Random) -> None:
        self.number = number
        self._own = number.to_bytes(2, "big")
        self._modulation = modulation
        self._random = random
        self._frame_us = airtime_us(modulation, LONG_FRAME)
        rules = Rules(SOON_US, byte_us=airtime_us(modulation, 250) // 250)
        self._ctx = Context(rng=random, entropy=bytes)
        address = mesh_address(OPEN_MESH_ID, node(number))
        self.babel = Babel(
            self._ctx,
            own=(host_prefix(address),),
            router_id=address[8:],
            seqno=0,
            seqno_limit=1000,
        )
        self.routes = self.babel.radio_up("lora0", rules, 0)
        self.forwarder = Forwarder(
            self._own,
            self.routes,
            direct_rules.Rules(self._frame_us),
            random,
            drops=self._ctx.drops,
            link="lora0",
        )
        self._events: deque[Event] = deque()
        self._flying: tuple[Send | None, Frame] | None = None
        self._waiting: Frame | None = None
        self._hold_us = 0
        self._now = 0

    def send_broadcast(self, payload: bytes, now: int) -> int:
        """Not what this station is for."""
        raise NotImplementedError

    def send_direct(self, to: int, payload: bytes, now: int) -> int:
        """Send to one, sealed: eight bytes more."""
        self._now = now
        return self.forwarder.send(to.to_bytes(2, "big"), payload + TAG, now)

    def receive(self, data: bytes, rssi_dbm: float, snr_db: float, now: int) -> None:
        """Take a frame."""
        self._now = now
        frame = LoraFrame.decode(data)
        source = node(int.from_bytes(frame.source, "big"))
        self.routes.heard(source, snr_db - self._modulation.snr_limit_db, now)
        item, _ = lora_routes.parse(frame.body)
        if isinstance(item, Routes):
            self.routes.learn(source, item, now)
            return
        destination = frame.destination or frame.next_hop
        heard = Send(frame.next_hop, destination, frame.hop_limit, item, None)
        named = frame.next_hop == self._own
        tag = self.forwarder.receive(frame.source, heard, named=named, now=now)
        if tag is not None and isinstance(item, Answer):
            self.forwarder.confirm(item.number)
        self._collect(now)

    def handle_timeout(self, now: int) -> None:
        """Do what is due."""
        self._now = now
        for key in self._ctx.timers.expired(now):
            if key[0] == "routing":
                self.babel.handle_timer(key, now)
        self._ctx.events.clear()
        self.forwarder.handle_timeout(now)
        self._collect(now)

    def poll_timeout(self) -> int | None:
        """Return when something is due; nothing is while a frame flies."""
        if self._flying is not None:
            return None
        timer = self._ctx.timers.next()
        due_us = earliest(self.forwarder.due_us(), self.routes.due_us(), timer and timer[0]) or 0
        if self._waiting is not None:
            due_us = self._hold_us
        return max(due_us, self._hold_us, self._now + 1)

    def poll_transmit(self) -> Frame | None:
        """Return the next frame: messages before routes."""
        if self._flying is not None or self._hold_us > self._now:
            return None
        send = self.forwarder.poll_transmit(self._now)
        frame = self._message(send) if send is not None else self._waiting or self._routes()
        if frame is None:
            return None
        if send is None:
            self._waiting = None
        self._flying = send, frame
        return frame

    def poll_event(self) -> Event | None:
        """Return the next event."""
        return self._events.popleft() if self._events else None

    def refused(self, frame: Frame, now: int) -> None:
        """Wait for up to a frame: the channel was busy."""
        assert self._flying is not None
        send, self._flying, self._now = self._flying[0], None, now
        if send is not None and not isinstance(send.item, Receipt):
            self.forwarder.refused(send, now)
        elif send is None:
            self._waiting = frame
        self._hold_us = now + self._random.randint(20_000, self._frame_us)

    def sent(self, airtime_us: int, now: int) -> None:
        """Go on, after a moment for others."""
        assert self._flying is not None
        send, self._flying, self._now = self._flying[0], None, now
        self._hold_us = now + self._random.randint(10_000, 100_000)
        if send is not None:
            self.forwarder.sent(send, now)

    def _message(self, send: Send) -> Frame:
        receipt = isinstance(send.item, Receipt)
        kind = FrameKind.LOCAL if receipt else FrameKind.ROUTED
        to = b"" if receipt else send.destination
        data = self._frame(kind, send.hop_limit, send.next_hop, to, send.item.encode())
        if not isinstance(send.item, Direct):
            return Frame(data, ACK)
        return Frame(data, DATA if send.item.origin == self._own else RELAY)

    def _routes(self) -> Frame | None:
        said = self.routes.build(self._now, FRAME_LEN_MAX - overhead(FrameKind.LOCAL))
        if said is None:
            return None
        return Frame(self._frame(FrameKind.LOCAL, 0, EVERYONE, b"", said.encode()), CONTROL)

    def _frame(
        self, kind: FrameKind, hop_limit: int, next_hop: bytes, to: bytes, body: bytes
    ) -> bytes:
        return LoraFrame(kind, hop_limit, 0, next_hop, self._own, 0, to, body).encode()

    def _collect(self, now: int) -> None:
        while (event := self.forwarder.poll_event()) is not None:
            if isinstance(event, Arrived):
                origin = int.from_bytes(event.origin, "big")
                self._events.append(Delivered(origin, event.number, event.body))
                self.forwarder.answer(event, TAG, now)
            elif event.state in (State.DELIVERED, State.GIVEN_UP):
                self._events.append(Settled(event.number, event.state is State.DELIVERED))
