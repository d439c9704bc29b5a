"""What one packet of a neighbour asked for, gathered so that it is answered together.

Enters: acknowledgment requests and prefixes that it wants to hear of. Leaves: a bounded set of
them. An honest packet wants one acknowledgment; eight bytes must not be worth a datagram each.
Must not know: routes, links, how answers are sent.
"""

from meshd.core.ids import Prefix

ACKS_MAX = 4
PREFIXES_MAX = 64


class Answers:
    """Answers due to one packet of `asker`; `limited` when it wanted more than it gets."""

    __slots__ = ("acks", "asker", "limited", "prefixes")

    def __init__(self, asker: bytes) -> None:
        self.asker = asker
        self.acks: list[int] = []
        self.prefixes: dict[Prefix, None] = {}
        self.limited = False

    def ack(self, opaque: int) -> None:
        """Acknowledge, unless it wanted that often."""
        if len(self.acks) < ACKS_MAX:
            self.acks.append(opaque)
        else:
            self.limited = True

    def route(self, prefix: Prefix) -> None:
        """Tell the route to `prefix`, once."""
        if prefix in self.prefixes or len(self.prefixes) < PREFIXES_MAX:
            self.prefixes[prefix] = None
        else:
            self.limited = True
