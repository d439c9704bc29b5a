"""What a node remembers of direct messages and answers that came by, so that none goes on twice.

Enters: messages by origin, number and a mark of the body, and answers, with the neighbour that
brought them first. Leaves: what is known of each. The mark is there because anybody may send bodies
in the name of another: they are messages of their own, and keep out none of those that are true;
so are answers with another tag.
Nor do many of them have true ones forgotten: all neighbours have equal parts of the memory.
Must not know: ways, times, keys.
"""

from collections import Counter
from collections.abc import Collection

from meshd.core import crypto
from meshd.forwarding.carried import Key
from meshd.wire.lora_routes import Answer

SEEN_MAX = 512
MARK_LEN = 8


class Seen:
    """What is known of a message that came by. `done`: a nearer node has it, or it arrived.

    `via`: whom it was given to, this node itself once it has answered. `put_off`: an answer came
    before it had left.
    """

    __slots__ = ("answer", "attempt", "done", "ingress", "put_off", "receipts", "via")

    def __init__(self, ingress: bytes) -> None:
        self.ingress = ingress
        self.answer: Answer | None = None
        self.attempt = -1
        self.done = False
        self.put_off = False
        self.receipts = 0
        self.via = b""


class Passed(dict[Key, Seen]):
    """What came by, oldest first."""

    def note(self, key: Key, ingress: bytes) -> Seen:
        """Return what is known of one, from now on something; `ingress`: the neighbour it is of."""
        seen = self.get(key)
        if seen is None:
            if len(self) >= SEEN_MAX:
                del self[self._oldest(self._gives_way(ingress))]
            seen = self[key] = Seen(ingress)
        return seen

    def answered(self, origin: bytes, answer: Answer, sender: bytes, but: Collection[Key]) -> None:
        """Keep an answer for all bodies that came by under its number, `but` for some.

        No relay can prove it: the first counts, and before it that of whom a body was given to.
        """
        for key, seen in self.items():
            if key[:3] == (origin, answer.number, False) and key not in but:
                if seen.answer is None or seen.via == sender:
                    seen.answer = answer
                seen.done = True

    def _gives_way(self, ingress: bytes) -> bytes:
        """Return of whom something is forgotten: itself, unless others have more."""
        count = Counter(seen.ingress for seen in self.values())
        most = max(count, key=lambda one: count[one])
        return ingress if count[ingress] >= count[most] else most

    def _oldest(self, ingress: bytes) -> Key:
        return next(key for key, seen in self.items() if seen.ingress == ingress)


def message(origin: bytes, number: int, body: bytes) -> Key:
    """Return the key of a message: another body in the same name is another one."""
    return origin, number, False, crypto.digest(body, size=MARK_LEN, person=b"meshd-direct-bd")


def answer_to(origin: bytes, answer: Answer) -> Key:
    """Return the key of an answer: with another tag it is another one, of which one is true."""
    return origin, answer.number, True, answer.tag
