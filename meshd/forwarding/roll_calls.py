"""Which roll calls a node answers, and how: by an item with the nonces, seldom by a beacon.

Enters: nonces with the short address that called, whom neighbours say that they hear. Leaves: what
to answer with. A call is for those whom the caller does not hear yet, so that who is on its list
answers every second one only, and who stays unknown to it ever more seldom: perhaps it is not heard
there at all. Now and then that one answers by a beacon: perhaps its own was never heard. Anybody
can call under any name, and play old calls: all together are answered at a bounded rate.
Must not know: frames, keys, when anything is sent.
"""

from collections import deque
from enum import Enum

from meshd.core.buckets import Buckets
from meshd.forwarding.neighbours import Neighbours

ECHOES_MAX = 12
ANSWERED_MAX = 64
CALLERS_MAX = 64
ALWAYS, SELDOM = 8, 4
BURST, ANSWER_AIRTIMES = 24, 60
"""So many calls are answered at once, then one in so many airtimes of an answer."""
BEACONS = (6, 24)
"""The answers to one caller that are beacons, while it does not list this node."""


class Reply(Enum):
    """What a call gets."""

    NONE = "none"
    LIMITED = "limited"
    ECHO = "echo"
    BEACON = "beacon"


class Answers:
    """The roll calls that one radio heard."""

    def __init__(self, neighbours: Neighbours, answer_us: int) -> None:
        """`answer_us` is how long an answer is on the air."""
        self.waiting: list[bytes] = []
        self._neighbours = neighbours
        self._answered: deque[bytes] = deque(maxlen=ANSWERED_MAX)
        self._calls: dict[bytes, int] = {}
        self._spared: set[bytes] = set()
        self._all = Buckets(burst=BURST, interval_us=ANSWER_AIRTIMES * answer_us, sources_max=1)

    def take(self, nonce: bytes, caller: bytes, now: int) -> Reply:
        """Judge a call; a nonce to be sent back is among `waiting` then."""
        if nonce in self._answered:
            return Reply.NONE
        self._answered.append(nonce)
        known = self._neighbours.known.get(caller)
        if known is not None and self._neighbours.own in (known.hears or ()):
            self._calls.pop(caller, None)
            if len(self._spared) >= CALLERS_MAX and caller not in self._spared:
                self._spared.clear()
            self._spared ^= {caller}
            if caller in self._spared:
                return Reply.NONE
            count = 1
        else:
            if len(self._calls) >= CALLERS_MAX and caller not in self._calls:
                self._calls.clear()
            count = self._calls[caller] = self._calls.get(caller, 0) + 1
        if count > ALWAYS and count % SELDOM:
            return Reply.NONE
        if not self._all.allow("", now):
            return Reply.LIMITED
        if count in BEACONS:
            return Reply.BEACON
        if len(self.waiting) < ECHOES_MAX:
            self.waiting.append(nonce)
        return Reply.ECHO

    def pop(self) -> bytes:
        """Return the nonces to send back, and forget them."""
        found = b"".join(self.waiting)
        self.waiting.clear()
        return found
