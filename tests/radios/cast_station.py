"""One station that tells everybody by `Cast`, for the simulated air that the rivals use too.

The frame's seal is stood in for by its 16 bytes, of which two are the sender's short address.
"""

from collections import deque

from meshd.core.drops import Drops
from meshd.forwarding.cast import Batch, Cast
from meshd.forwarding.neighbours import Neighbours
from meshd.simulation.rivals.engine import Delivered, Frame, Settled
from meshd.wire.lora_payload import encode, parse

SEAL_BYTES = 16
ROOM = 255 - SEAL_BYTES
SECOND = 1_000_000
ORIGIN_BYTES = 4
"""Who wrote it and which of its messages it is: so that no two bodies are alike."""


class CastStation:
    """An engine as `Station` wants it; three early beacons, as after a start.

    The first byte of a payload is its priority.
    """

    def __init__(self, number, rng, rules):
        self.number = number
        self.own = number.to_bytes(2, "big")
        self.neighbours = Neighbours(self.own)
        self.cast = Cast(self.neighbours, rules, rng, drops=Drops(), link="lora0")
        self.events = deque()
        self.rng = rng
        self.beacons = [rng.randrange(a * SECOND, b * SECOND) for a, b in BEACONS_S]
        self._flying: Batch | None = None
        self._tells_us: int | None = None
        self._back_us = self._now = self._messages = 0

    def send_broadcast(self, payload, now):
        self._now = now
        self._messages += 1
        self.cast.publish(self._name() + payload, payload[0], now)
        self.events.append(Settled(self._messages, True))
        return self._messages

    def send_direct(self, to, payload, now):
        raise NotImplementedError

    def receive(self, data, rssi_dbm, snr_db, now):
        self._now = now
        sender = data[:2]
        self.neighbours.heard(sender, snr_db, now)
        for item in self.cast.receive(sender, parse(data[SEAL_BYTES:]), now):
            origin, message = item.body[:2], item.body[2:ORIGIN_BYTES]
            self.events.append(
                Delivered(int.from_bytes(origin), int.from_bytes(message), item.body[ORIGIN_BYTES:])
            )
        if self.cast.listings.news and self._tells_us is None:
            rules = self.cast.rules
            self._tells_us = now + self.rng.randint(rules.slot_us, rules.young_us)

    def handle_timeout(self, now):
        self._now = now
        if self._tells_us is not None and self._tells_us <= now:
            self._tells_us = None
            if self.cast.listings.news:
                self.cast.listings.beacon(now)
        while self.beacons and self.beacons[0] <= now:
            self.beacons.pop(0)
            self.cast.listings.beacon(now)

    def poll_timeout(self):
        dues = [
            due
            for due in (self.cast.due_us(), self._tells_us, *self.beacons[:1])
            if due is not None
        ]
        return max(min(dues), self._back_us) if dues and self._flying is None else None

    def poll_transmit(self):
        if self._flying is not None or self._now < self._back_us:
            return None
        self._flying = batch = self.cast.build(self._now, ROOM)
        if batch is None:
            return None
        return Frame(self.own + bytes(SEAL_BYTES - 2) + encode(batch.items), _purpose(batch))

    def poll_event(self):
        return self.events.popleft() if self.events else None

    def refused(self, frame, now):
        slot_us = self.cast.rules.slot_us
        self._flying, self._now = None, now
        self._back_us = now + slot_us + self.rng.randrange(8 * slot_us)

    def sent(self, airtime_us, now):
        self._now = now
        self.cast.sent(self._flying, now)
        self._flying = None
        self._back_us = now + self.rng.randrange(self.cast.rules.slot_us)

    def _name(self):
        return self.own + self._messages.to_bytes(2, "big")


BEACONS_S = ((2, 30), (32, 60), (90, 150))


def _purpose(batch):
    if any(held.own and not held.sends for held in batch.objects):
        return "data"
    return "relay" if batch.objects else "control"
