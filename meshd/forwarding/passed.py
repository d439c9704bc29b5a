"""What a node remembers of direct messages and answers that came by, so that none goes on twice.

Enters: messages by origin, number and a mark of the body, and answers. Leaves: what is known of
each. The mark is there because anybody may send bodies in the name of another: they are messages
of their own, and keep out none of those that are true. Must not know: ways, times, keys.
"""

from meshd.core import crypto
from meshd.forwarding.carried import Key
from meshd.wire.lora_routes import Answer

SEEN_MAX = 512
MARK_LEN = 8


class Seen:
    """What is known of a message that came by. `done`: a nearer node has it, or it arrived."""

    __slots__ = ("answer", "attempt", "done", "receipts")

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.attempt = -1
        self.done = False
        self.receipts = 0


class Passed(dict[Key, Seen]):
    """What came by, oldest first."""

    def note(self, key: Key) -> Seen:
        """Return what is known of one, from now on something."""
        seen = self.get(key)
        if seen is None:
            if len(self) >= SEEN_MAX:
                del self[next(iter(self))]
            seen = self[key] = Seen()
        return seen

    def answered(self, origin: bytes, answer: Answer) -> None:
        """Keep an answer for all bodies that came by under its number."""
        for key, seen in self.items():
            if key[:3] == (origin, answer.number, False):
                seen.answer, seen.done = answer, True


def message(origin: bytes, number: int, body: bytes) -> Key:
    """Return the key of a message: another body in the same name is another one."""
    return origin, number, False, crypto.digest(body, size=MARK_LEN, person=b"meshd-direct-bd")


def answer_to(origin: bytes, number: int) -> Key:
    """Return the key of the answer to a message."""
    return origin, number, True, b""
