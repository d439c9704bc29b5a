"""A direct message of this node until it is answered or given up.

Enters: whom it is for, its sealed body, until when it is tried; answers, before they are judged.
Leaves: the attempt it is at. Must not know: ways, frames, keys.
"""

ATTEMPT_DOUBTED = 2
"""From this attempt on relays answer no more from memory: what they remember may be forged. Who got
an answer that was false goes on with it."""


class Own:
    """One message. `others`: somebody else made it; `once`: one try of one attempt.

    `fooled`: an answer came since it was sent, and nobody has called it true.
    """

    __slots__ = ("attempt", "body", "due_us", "ends_us", "fooled", "once", "others", "sent", "to")

    def __init__(self, to: bytes, body: bytes, now: int, ends_us: int, *, once: bool) -> None:
        self.once = once
        self.others = False
        self.fooled = False
        self.to = to
        self.body = body
        self.attempt = 0
        self.due_us = now
        self.ends_us = ends_us
        self.sent = False

    def answered(self) -> None:
        """Note an answer, which may be false."""
        self.fooled = self.sent

    def begin(self, attempts: int) -> int:
        """Return the number of the attempt that begins, of so many at most."""
        if self.fooled:
            self.attempt = max(self.attempt, min(ATTEMPT_DOUBTED, attempts - 1))
        self.attempt += 1
        return self.attempt - 1
