"""Seal what this node sends by LoRa: its own keys of this boot, its counter, its signed beacon.

Enters: identity, link key, boot number, an 8-byte salt fresh at each start, plaintexts. Leaves:
frames. The counter starts anew with each salt, so no disk is needed for it. Must not know: radios,
airtime, when to send.
"""

from collections import deque

from meshd.core.errors import UsageError
from meshd.core.identity import Identity
from meshd.core.ids import EVERYONE, SHORT_LEN
from meshd.link.seal import NOBODY, LinkKey, Mark, hop_address, seal, sender_keys
from meshd.wire.lora_beacon import COUNTER_MAX, ECHOES_MAX, SALT_LEN, Beacon, Challenge
from meshd.wire.lora_frame import FrameKind, LoraFrame

ANSWER_EVERY_US = 4_000_000
"""One signed answer for all challenges of that time."""

ANSWERS_MAX = 12
ANSWERS_SPAN_US = 600_000_000
"""So many answers in ten minutes: recorded challenges shall not spend the airtime."""

NONCES_MAX = 64
"""Challenges that are remembered, so that none is answered twice."""


class Sender:
    """This node on the air, from one start to the next."""

    def __init__(self, identity: Identity, link: LinkKey, *, boot: int, salt: bytes) -> None:
        if len(salt) != SALT_LEN or not 0 <= boot <= 0xFFFF_FFFF:
            raise UsageError(f"a salt has {SALT_LEN} bytes, a boot number 32 bits")
        self.identity = identity
        self.public = identity.public
        self.node = identity.node
        self.short = self.node[:SHORT_LEN]
        self.boot = boot
        self.salt = salt
        self.counter = 0
        self._echoes: list[bytes] = []
        self._answered_us: deque[int] = deque(maxlen=ANSWERS_MAX)
        self._nonces: deque[bytes] = deque(maxlen=NONCES_MAX)
        self.use(link)

    def use(self, link: LinkKey) -> None:
        """Seal with this link key from now on."""
        self.link = link
        self.keys = sender_keys(link, public=self.public, boot=self.boot, salt=self.salt)

    def seal(
        self,
        kind: FrameKind,
        plaintext: bytes,
        *,
        hop_limit: int = 0,
        next_hop: bytes | None = None,
        destination: bytes = b"",
    ) -> bytes:
        """Return a frame for all, or for one neighbour: `next_hop` is its NodeId.

        Raises: UsageError when it does not fit, or the counter is used up.
        """
        counter = self._next()
        mark = Mark(self.node, self.link.epoch, counter)
        short = EVERYONE if next_hop is None else hop_address(self.keys, mark, next_hop)
        frame = self._frame(kind, counter)._replace(
            hop_limit=hop_limit, next_hop=short, destination=destination
        )
        return seal(self.keys, frame, plaintext, mark).encode()

    def beacon(self, *, with_key: bool = True, echoes_max: int = ECHOES_MAX) -> bytes:
        """Return a signed beacon, which answers the challenges that wait, the oldest first.

        `with_key`: for those who may not know the device's key: 32 bytes more.
        """
        counter = self._next()
        echoes, self._echoes = tuple(self._echoes[:echoes_max]), self._echoes[echoes_max:]
        beacon = Beacon(self.public, self.boot, self.salt, counter, echoes)
        signature = self.identity.sign(beacon.statement(self.link.epoch, self.public))
        public = self.public if with_key else b""
        body = beacon._replace(public=public, signature=signature).encode()
        return self._group(FrameKind.BEACON, body, counter)

    def challenge(self, challenge: Challenge) -> bytes:
        """Return a frame that asks a node to show that it is there now."""
        return self._group(FrameKind.CHALLENGE, challenge.encode(), self._next())

    def asked(self, nonce: bytes) -> bool:
        """Note a challenge to be answered; False: it came before, or too many wait already."""
        if nonce in self._nonces or len(self._echoes) >= ECHOES_MAX:
            return False
        self._nonces.append(nonce)
        self._echoes.append(nonce)
        return True

    def answer_due(self) -> int | None:
        """Return from when on a beacon shall answer, in µs; None: nobody asked."""
        if not self._echoes:
            return None
        due_us = self._answered_us[-1] + ANSWER_EVERY_US if self._answered_us else 0
        if len(self._answered_us) < ANSWERS_MAX:
            return due_us
        return max(due_us, self._answered_us[0] + ANSWERS_SPAN_US)

    @property
    def echoes(self) -> int:
        """Return how many challenges wait for an answer."""
        return len(self._echoes)

    def answers(self, now: int) -> None:
        """Note that a beacon which answers challenges goes out now."""
        self._answered_us.append(now)

    def _next(self) -> int:
        if self.counter >= COUNTER_MAX:
            raise UsageError("the counter of this salt is used up; begin with a fresh one")
        self.counter += 1
        return self.counter

    def _frame(self, kind: FrameKind, counter: int) -> LoraFrame:
        return LoraFrame(kind, 0, self.link.context, EVERYONE, self.short, counter & 0xFFFF)

    def _group(self, kind: FrameKind, plaintext: bytes, counter: int) -> bytes:
        frame = self._frame(kind, counter)
        mark = Mark(NOBODY, self.link.epoch, frame.counter)
        return seal(self.link.group, frame, plaintext, mark).encode()
