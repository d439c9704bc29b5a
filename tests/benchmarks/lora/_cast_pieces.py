"""The other way to send a file to many: each piece an object that everybody tells on and repairs.

All hear each other, one frame at a time, lost by chance for each listener on its own.
"""

from heapq import heappop, heappush
from random import Random

from meshd.core.airtime import LONG_FAST, airtime_us
from meshd.core.drops import Drops
from meshd.forwarding.cast import Cast
from meshd.forwarding.neighbours import Neighbours
from meshd.forwarding.rules import rules_for
from meshd.wire.lora_frame import FrameKind, overhead
from meshd.wire.lora_payload import encode, parse

ROOM = 239
SECOND = 1_000_000


class CastPieces:
    """`count` + 1 casts of one radio each; the first publishes."""

    def __init__(self, count: int, loss: float, seed: int) -> None:
        self.random = Random(seed)
        self.loss = loss
        self.now = self.bytes = self.order = self.free_us = 0
        rules = rules_for(LONG_FAST, shared=False)
        self.casts = [
            Cast(
                Neighbours(bytes([0, number])),
                rules,
                Random(seed * 1000 + number),
                drops=Drops(),
                link="lora0",
            )
            for number in range(count + 1)
        ]
        self.got: list[set[bytes]] = [set() for _ in self.casts]
        self.heap: list[tuple[int, int, int]] = []
        shorts = tuple(cast.neighbours.own for cast in self.casts)
        for cast in self.casts:
            for short in shorts:
                if short != cast.neighbours.own:
                    cast.neighbours.heard(short, 0.0, 0)
                    others = tuple(other for other in shorts if other != short)
                    cast.neighbours.told(short, others)

    def play(self, bodies: list[bytes], seconds: int) -> None:
        """Publish all, and let time pass; neighbours are known, and said so, before that."""
        for cast in self.casts:
            cast._heard_version = cast.neighbours.version
        for body in bodies:
            self.casts[0].publish(body, 4, self.now)
            self.got[0].add(body)
        for number in range(len(self.casts)):
            self._wake(number)
        while self.heap and self.heap[0][0] < seconds * SECOND:
            self.now, _, number = heappop(self.heap)
            self._send(number)

    def _wake(self, number: int) -> None:
        due_us = self.casts[number].due_us()
        if due_us is not None:
            self.order += 1
            heappush(self.heap, (max(due_us, self.free_us, self.now), self.order, number))

    def _send(self, number: int) -> None:
        cast = self.casts[number]
        if self.now < self.free_us:
            self._wake(number)
            return
        batch = cast.build(self.now, ROOM)
        if batch is None:
            return
        data = encode(batch.items)
        size = overhead(FrameKind.LOCAL) + len(data)
        self.bytes += size
        end_us = self.now + airtime_us(LONG_FAST, size)
        self.free_us = end_us + self.random.randint(5_000, 100_000)
        cast.sent(batch, end_us)
        for other, hearer in enumerate(self.casts):
            if other != number and self.random.random() >= self.loss:
                for item in hearer.receive(cast.neighbours.own, parse(data), end_us):
                    self.got[other].add(item.body)
                self._wake(other)
        self._wake(number)
