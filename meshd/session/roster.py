"""Keep the sessions that are up: one per node, shared out by ingress.

Enters: connections whose peer has proven itself. Leaves: which of two sessions with one node stays,
and which goes when the table is full. Both sides of a pair decide alike from what both know.
A session that shares no space is worth least. Must not know: streams, handshakes, targets.
"""

from collections import Counter
from typing import NamedTuple

from meshd.core.drops import DropReason
from meshd.session.connection import Connection

TOGETHER_US = 5_000_000
"""Two sessions of one pair that came up within this time were dialled at once; later, the newer is
the true one, since nobody dials while it has a session."""

SESSIONS_MAX = 256
UNUSED_US = 60_000_000
"""A session that shares no space for so long may go for another in a full table."""

SESSIONS_HOST_MAX = {"link": 8, "route": 8, "peer": 32}
"""Sessions with one address, however many identities it shows; many nodes may stand behind one
address from afar. What this node itself wishes for is not counted."""


class Verdict(NamedTuple):
    """Whether a connection may be a session, which other one goes for it, and why.

    `refusal` is set when the reason is want of room, not a second session of the same pair.
    """

    enters: bool
    leaves: Connection | None = None
    why: str = ""
    refusal: DropReason | None = None


class Roster:
    """Sessions by number and by node. `own` is this node's NodeId."""

    __slots__ = ("_by_node", "_by_number", "_number", "_own")

    def __init__(self, own: bytes) -> None:
        self._own = own
        self._by_number: dict[int, Connection] = {}
        self._by_node: dict[bytes, Connection] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._by_number)

    def get(self, number: int) -> Connection | None:
        """Return a session by its number."""
        return self._by_number.get(number)

    def of_node(self, node: bytes | None) -> Connection | None:
        """Return the session with `node`."""
        return self._by_node.get(node) if node else None

    def all(self) -> list[Connection]:
        """Return all sessions, oldest first."""
        return list(self._by_number.values())

    def on_link(self, link: str, host: str = "") -> list[Connection]:
        """Return the sessions with direct neighbours on a link, or with one of them."""
        return [
            conn
            for conn in self._by_number.values()
            if conn.ends.direct and conn.ends.link == link and host in ("", conn.ends.host)
        ]

    def judge(self, conn: Connection, node: bytes, now: int) -> Verdict:
        """Decide whether `conn` may become the session with `node`."""
        old = self._by_node.get(node)
        if old is not None:
            stays = self._newer_stays(old, conn, now)
            return Verdict(True, old, "replaced") if stays else Verdict(False, None, "duplicate")
        if not conn.ends.wished:
            mine = sum(_host(each) == _host(conn) for each in self._by_number.values())
            if mine >= SESSIONS_HOST_MAX[conn.ends.via]:
                return Verdict(False, None, "session-full", DropReason.SESSION_FULL)
        if len(self._by_number) < SESSIONS_MAX:
            return Verdict(True)
        return self._share(conn, now)

    def enter(self, conn: Connection, node: bytes) -> int:
        """Take a session in and return its number."""
        self._number += 1
        self._by_number[self._number] = conn
        self._by_node[node] = conn
        return self._number

    def leave(self, conn: Connection) -> None:
        """Take a session out."""
        self._by_number.pop(conn.number, None)
        if conn.peer and self._by_node.get(conn.peer.node) is conn:
            del self._by_node[conn.peer.node]

    def _newer_stays(self, old: Connection, new: Connection, now: int) -> bool:
        """Choose between two sessions with one node; the peer chooses the same."""
        if old.peer is None or new.peer is None or old.peer.boot != new.peer.boot:
            return True  # Whoever restarted has lost the old one.
        if old.ends.direct != new.ends.direct:
            return new.ends.direct
        if now - old.up_us > TOGETHER_US:
            return True
        if old.initiator != new.initiator:
            return new.initiator == (self._own < new.peer.node)
        return new.binding < old.binding

    def _share(self, conn: Connection, now: int) -> Verdict:
        """Make room in the ingress that holds most, from the host there that holds most.

        Sessions that share no space for long go first, the oldest of them; else the youngest.
        """
        ingresses = Counter(each.ends.link for each in self._by_number.values())
        most = max(ingresses.values())
        own = conn.ends.link
        crowd = own if ingresses[own] >= most else max(ingresses, key=ingresses.__getitem__)
        there = [each for each in self._by_number.values() if each.ends.link == crowd]
        hosts = Counter(map(_host, there))
        mine = hosts[_host(conn)]
        idle = [
            each
            for each in there
            if not (each.used or each.ends.wished or now - each.up_us < UNUSED_US)
            and (crowd != own or hosts[_host(each)] > mine)
        ]
        busy = [each for each in there if crowd != own or hosts[_host(each)] > mine + 1]
        leaves = max(idle or busy[::-1], key=lambda each: hosts[_host(each)], default=None)
        if leaves is None:
            return Verdict(False, None, "session-full", DropReason.SESSION_FULL)
        return Verdict(True, leaves, "session-evicted", DropReason.SESSION_EVICTED)


def _host(conn: Connection) -> tuple[str, str]:
    return conn.ends.link, conn.ends.host
