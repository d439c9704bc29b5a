"""Nodes that hear each other's LoRa frames, for tests: no radio, no time, no loss."""

from meshd.core import crypto
from meshd.core.identity import Identity
from meshd.link.seal import link_key
from meshd.link.sender import Sender
from meshd.link.sources import Sources
from meshd.wire.lora_frame import FrameKind

LINK = link_key(b"k" * 32)
OTHER_LINK = link_key(b"o" * 32)
SECOND_US = 1_000_000


def identity(number):
    return Identity(crypto.digest(b"device %d" % number), crypto.digest(b"session %d" % number))


class Node:
    """A node on the air: it seals, hears, challenges and answers."""

    def __init__(self, number, *, boot=1, salt=None, link=LINK, links=None):
        self.identity = identity(number)
        self.number = number
        self.draws = 0
        self.sender = Sender(self.identity, link, boot=boot, salt=salt or b"salt%04d" % boot)
        self.sources = Sources(self.sender, links or (link,))

    @property
    def node(self):
        return self.sender.node

    def reboot(self, *, boot=None, salt=None):
        """Return the same device after a restart: it remembers nobody."""
        boot = self.sender.boot + 1 if boot is None else boot
        return Node(self.number, boot=boot, salt=salt)

    def say(self, text=b"hello", **options):
        """Return a frame that is to be sent on, so its sender has to prove itself."""
        return self.sender.seal(FrameKind.ROUTED, text, destination=b"to", **options)

    def hear(self, frame, now=0):
        return self.sources.hear(frame, now)

    def challenge(self, now=0):
        """Return a challenge to whoever should be challenged now, or None."""
        node = self.sources.poll_challenge(now)
        if node is None:
            return None
        self.draws += 1
        drawn = b"%s %d %d" % (self.node, self.sender.boot, self.draws)
        nonce = crypto.digest(drawn, size=8)
        return self.sender.challenge(self.sources.challenge(node, nonce, now))

    def answer(self, now=0):
        """Return the beacon that answers who challenged, or None while none is due."""
        due_us = self.sender.answer_due()
        if due_us is None or now < due_us:
            return None
        self.sender.answers(now)
        return self.sender.beacon()

    def meet(self, other, now=0):
        """Hear another's beacon."""
        return self.hear(other.sender.beacon(), now)

    def prove(self, other, now=0):
        """Hear another's beacon and frame, challenge it, and hear its answer."""
        self.meet(other, now)
        self.hear(other.say(b"anybody?"), now)
        other.hear(self.challenge(now), now)
        return self.hear(other.answer(now), now)
