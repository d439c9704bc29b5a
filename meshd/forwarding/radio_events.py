"""What comes out of a radio for the parts of a node that use it.

Enters: nothing. Leaves: values. `node` is the NodeId of who sent the frame, known by the link key
alone: what an item claims is for its reader to prove. Shorts are first bytes of NodeIds.
"""

from typing import NamedTuple

from meshd.core.drops import DropReason
from meshd.forwarding.direct import Arrived, State


class ObjectHeard(NamedTuple):
    """An object for everybody that was not known here; `born_us` is when, by its told age.

    `trusted`: its sender is there now; what may be a recording goes on by no radio.
    """

    link: str
    node: bytes
    body: bytes
    priority: int
    born_us: int
    trusted: bool


class LocalHeard(NamedTuple):
    """A LOCAL item of a neighbour. `named`: its frame names this node as the one that is meant;
    `trusted`: the sender has shown that it is there now, so that this is no recording.
    """

    link: str
    node: bytes
    sub: int
    body: bytes
    named: bool
    trusted: bool


class DirectArrived(NamedTuple):
    """A sealed message for this node. Who opens it calls `Radios.answer` with a tag.

    Another `destination` is a node to which this one leads; the message has made `hops`.
    """

    link: str
    origin: bytes
    number: int
    body: bytes
    destination: bytes
    hops: int

    @property
    def arrived(self) -> Arrived:
        """Return it as its radio's forwarder knows it."""
        return Arrived(self.origin, self.number, self.body, self.destination, self.hops)


class DirectAnswered(NamedTuple):
    """An answer to message `number` of this node. Who finds its tag right calls `confirm`.

    It has made `hops` on its way.
    """

    link: str
    number: int
    tag: bytes
    hops: int = 0


class DirectChanged(NamedTuple):
    """An own message has another state."""

    link: str
    number: int
    state: State
    reason: DropReason | None


RadioEvent = ObjectHeard | LocalHeard | DirectArrived | DirectAnswered | DirectChanged
