"""Malice on LoRa: a second radio on the same roof, that sends what no node would, under no law.

Enters: what that radio hears, the link key, which anybody has on an open mesh. Leaves: as many
frames a second as the fault's `count` says, and as fit on the air one behind the other. Must not
know: what the nodes make of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from meshd.core.errors import UsageError
from meshd.core.identity import Identity
from meshd.core.ids import NODE_ID_LEN, SHORT_LEN
from meshd.link.sender import Sender
from meshd.simulation.faults.hostile import Attack
from meshd.simulation.schedule import SECOND
from meshd.wire.lora_beacon import SALT_LEN
from meshd.wire.lora_frame import FrameKind
from meshd.wire.lora_items import TAG_LEN, Listing, Object, Wants
from meshd.wire.lora_payload import Item, Local, Sub, encode
from meshd.wire.lora_routes import Answer, Direct, NamedEntry, Receipt, Routes

if TYPE_CHECKING:
    from meshd.simulation.host import Host
    from meshd.simulation.media.lora import Radio
    from meshd.simulation.plan.plan import Fault
    from meshd.simulation.world import World

HEARD_MAX = 200
FRAMES_EACH = 12
"""Frames of one made-up node before the next comes."""


class OnAir(Attack):
    """Keeps a lent radio while it lasts; a host without a LoRa radio does nothing."""

    def __init__(self, world: World, host: Host, fault: Fault) -> None:
        super().__init__(world, host, fault)
        self.every_us = SECOND // max(1, min(fault.count, 100))
        self.heard: deque[bytes] = deque(maxlen=HEARD_MAX)
        self._radio: Radio | None = None
        self._medium = next((air for air in world.airs.values() if air.has(host)), None)

    def begin(self) -> None:
        if self._medium is not None:
            self._radio = self._medium.lend(self.host, f"{self.planned.behaviour} {self.host.name}")
            self._radio.received = self._received
            super().begin()

    def end(self) -> None:
        super().end()
        if self._medium is not None and self._radio is not None:
            self._medium.take_back(self._radio)
            self._radio = None

    def tick(self) -> None:
        if self._radio is None or self._radio.sending:
            return
        frame = self.frame()[: self._radio.setting.module.frame_max]
        if frame:
            self._radio.transmit(frame, "hostile")

    def frame(self) -> bytes:
        """Return what to send next; nothing: stay silent."""
        raise NotImplementedError

    def _received(self, frame: bytes, rssi_dbm: float, snr_db: float) -> None:
        self.heard.append(frame)


class AirReplay(OnAir):
    """What it heard, again, later."""

    def frame(self) -> bytes:
        return self.rng.choice(self.heard) if self.heard else b""


class AirJunk(AirReplay):
    """Random bytes, and what it heard with bits flipped or cut short."""

    def frame(self) -> bytes:
        known = super().frame() if self.rng.random() < 0.7 else b""
        if not known:
            return self.rng.randbytes(self.rng.randint(1, 255))
        data = bytearray(known[: self.rng.choice((len(known), self.rng.randint(1, len(known))))])
        for _ in range(self.rng.randint(0, 3)):
            data[self.rng.randrange(len(data))] ^= 1 << self.rng.randrange(8)
        return bytes(data)


class AirFlood(OnAir):
    """Nodes that are none, one after the other: well sealed, and full of claims and demands."""

    def __init__(self, world: World, host: Host, fault: Fault) -> None:
        super().__init__(world, host, fault)
        self._sender: Sender | None = None
        self._left = 0

    def frame(self) -> bytes:
        link = next(iter(self.host.node.radios.links.values()), None)
        if link is None:
            return b""
        rng = self.rng
        self._left -= 1
        if self._sender is None or self._left < 0:
            identity = Identity(rng.randbytes(32), rng.randbytes(32))
            key, salt = link.sender.link, rng.randbytes(SALT_LEN)
            self._sender = Sender(identity, key, boot=rng.randint(1, 9), salt=salt)
            self._left = FRAMES_EACH
            return self._sender.beacon(echoes_max=0)
        try:
            return self._sealed(self._sender)
        except UsageError:
            return b""  # more than a frame holds; the next will be shorter

    def _sealed(self, sender: Sender) -> bytes:
        rng = self.rng
        if rng.random() < 0.4:
            kind, to = FrameKind.ROUTED, self._node()[:SHORT_LEN]
            items: list[Item] = [rng.choice((self._direct, self._answer, self._receipt))(sender)]
            return sender.seal(kind, encode(items), hop_limit=rng.randint(0, 7), destination=to)
        makers: tuple[Callable[[], Item], ...]
        makers = (self._local, self._local, self._object, self._wants, self._listing, self._routes)
        items = [rng.choice(makers)() for _ in range(rng.randint(1, 3))]
        near = self.world.hosts[rng.randrange(len(self.world.hosts))].node.id
        return sender.seal(
            FrameKind.LOCAL, encode(items), next_hop=near if rng.random() < 0.3 else None
        )

    def _node(self) -> bytes:
        """Return the NodeId of somebody, or of nobody."""
        if self.rng.random() < 0.5:
            return self.rng.choice(self.world.hosts).node.id
        return self.rng.randbytes(NODE_ID_LEN)

    def _tags(self) -> tuple[bytes, ...]:
        return tuple(self.rng.randbytes(TAG_LEN) for _ in range(self.rng.randint(1, 12)))

    def _local(self) -> Item:
        body = self.rng.randbytes(self.rng.choice((0, 4, 20, 60)))
        return Local(self.rng.choice((*Sub, 31)), body)

    def _object(self) -> Item:
        return Object(self.rng.randbytes(self.rng.randint(1, 60)), self.rng.randrange(4))

    def _wants(self) -> Item:
        return Wants(self._tags())

    def _listing(self) -> Item:
        return Listing(self._tags(), 0, 255)

    def _routes(self) -> Item:
        """Claim to be near to some that are nobody."""
        named = tuple(
            NamedEntry(self.rng.randbytes(NODE_ID_LEN), self.rng.randrange(65_536), 12, heard=True)
            for _ in range(self.rng.randint(1, 4))
        )
        return Routes(self.rng.randrange(128), self.rng.randrange(256), named=named)

    def _direct(self, sender: Sender) -> Item:
        body = self.rng.randbytes(self.rng.randint(1, 60))
        return Direct(self._node()[:SHORT_LEN], self.rng.randrange(65_536), 0, 1, body)

    def _answer(self, sender: Sender) -> Item:
        return Answer(self.rng.randrange(65_536), 0, self.rng.randbytes(8))

    def _receipt(self, sender: Sender) -> Item:
        return Receipt(self._node()[:SHORT_LEN], self.rng.randrange(65_536))
