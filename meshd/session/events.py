"""The values that sessions hand to the layer above.

Enters: nothing. Leaves: NamedTuples, taken by `Sessions.poll_event`. `session` is a number that is
never used twice in one run of a node.
"""

from typing import NamedTuple


class SessionUp(NamedTuple):
    """A node proved who it is and that it is here now.

    `via` is "link" (direct neighbour), "route" (mesh address) or "peer" (configured, or from
    elsewhere); `link` is the interface, "" where routing chose it.
    """

    session: int
    node: bytes
    public: bytes
    via: str
    link: str


class SessionDown(NamedTuple):
    """The session is over; what was queued in it may or may not have arrived."""

    session: int
    node: bytes
    why: str


class RecordReceived(NamedTuple):
    """One record, as the peer's `send` took it."""

    session: int
    data: bytes


class BulkReceived(NamedTuple):
    """A bulk: `head` is authentic, `data` is not and must be verified by its hash."""

    session: int
    head: bytes
    data: bytes


class SessionRoom(NamedTuple):
    """A session whose queue was fuller than half has drained to half."""

    session: int


SessionEvent = SessionUp | SessionDown | RecordReceived | BulkReceived | SessionRoom
