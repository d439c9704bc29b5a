"""Who is connected and what is shared with whom: the state that all parts of sync work on.

Enters: sessions that come and go. Leaves: records for sessions. A `Peer` is one session, a `Share`
one space on one session. Must not know: what any message means.
"""

from collections import deque
from collections.abc import Iterator
from typing import Protocol

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.space.spaces import Spaces
from meshd.sync.ports import SessionsPort
from meshd.wire.sync_messages import Entries, Head

OUTBOX_MAX = 256
"""Control messages that may wait for a session's room; a session that takes none is closed."""

OUTBOX_BYTES_MAX = 4 * 1024 * 1024

THEIRS_MAX = 2048
"""Feeds in one peer's remembered vector of one space."""
PEER_THEIRS_MAX = 8192
"""The same of all spaces that are shared with one peer."""


class Encodable(Protocol):
    """Anything from `wire/sync_messages.py`."""

    def encode(self) -> bytes:
        """Return the record."""


class Share:
    """One space on one session.

    theirs   the peer's heads, as it says (not more than a claim until its entries came)
    told     durable seq by author that this peer was told
    pushed   seq by author up to which the peer has, or will have, what we know
    owed     authors whose entries came from this peer and wait for its acknowledgement
    dirty    authors whose head the peer may not know
    missing  authors where the peer claims more than we have, and not put aside
    order    the same, best last once `sorted`; may name some that are missing no more
    unknown  authors whose entries nobody admitted yet: asked again when membership changes
    aside    feeds that this peer claimed and did not send: (not before, pause)
    """

    __slots__ = (
        *("aside", "complete", "dirty", "missing", "number", "order", "owed", "peer", "pushed"),
        *("sorted", "space", "theirs", "told", "unknown"),
        *("granted", "lease", "refused"),
    )

    def __init__(self, peer: "Peer", space: bytes, number: int) -> None:
        self.peer = peer
        self.space = space
        self.number = number
        self.theirs: dict[bytes, Head] = {}
        self.told: dict[bytes, int] = {}
        self.pushed: dict[bytes, int] = {}
        self.owed: set[bytes] = set()
        self.dirty: set[bytes] = set()
        self.missing: set[bytes] = set()
        self.order: list[bytes] = []
        self.sorted = True
        self.unknown: set[bytes] = set()
        self.aside: dict[bytes, tuple[int, int]] = {}
        self.complete = False
        self.lease: int | None = None
        self.granted = 0
        self.refused = False

    def has(self, author: bytes) -> int:
        """Return up to which seq the peer has a feed, or is about to."""
        known = self.theirs.get(author)
        return max(known.seq if known else 0, self.pushed.get(author, 0))


class Outgoing:
    """Entries that a peer asked for (`asked`) or that are pushed to it, being sent."""

    __slots__ = ("asked", "author", "bytes_left", "last", "next", "share")

    def __init__(
        self, share: Share, author: bytes, first: int, last: int, *, asked: bool, bytes_max: int
    ) -> None:
        self.share = share
        self.author = author
        self.next = first
        self.last = last
        self.asked = asked
        self.bytes_left = bytes_max


class Peer:
    """One session, from its start to its end."""

    __slots__ = (
        *("announced", "inbox", "inbox_bytes", "join_tokens", "node", "nonce", "numbers"),
        *(
            "outbox",
            "outbox_bytes",
            "public",
            "serving",
            "session",
            "shares",
            "theirs_nonce",
            "turn",
            "via",
        ),
        *("reading", "wants", "wants_strange"),
    )

    def __init__(self, session: int, node: bytes, public: bytes, via: str, nonce: bytes) -> None:
        self.session = session
        self.node = node
        self.public = public
        self.via = via
        self.nonce = nonce
        self.theirs_nonce: bytes | None = None
        self.announced: dict[bytes, int] = {}
        self.numbers: dict[int, bytes | Share] = {}
        self.shares: dict[bytes, Share] = {}
        self.outbox: deque[bytes] = deque()
        self.outbox_bytes = 0
        self.inbox: deque[bytes] = deque()
        self.inbox_bytes = 0
        self.turn: tuple[Share, Entries, int] | None = None
        self.serving: deque[Outgoing] = deque()
        self.reading = False
        self.wants = 0
        self.wants_strange = 0
        self.join_tokens: tuple[int, int] | None = None


class Hub:
    """All sessions and shares of one node, and the way out of it."""

    __slots__ = ("by_space", "ctx", "peers", "public", "sessions", "spaces")

    def __init__(
        self, ctx: Context, spaces: Spaces, sessions: SessionsPort, *, public: bytes
    ) -> None:
        self.ctx = ctx
        self.spaces = spaces
        self.sessions = sessions
        self.public = public
        self.peers: dict[int, Peer] = {}
        self.by_space: dict[bytes, dict[int, Share]] = {}

    def add_share(self, share: Share) -> None:
        """Enter a space that both ends proved to hold."""
        share.peer.shares[share.space] = share
        self.sessions.use(share.peer.session)
        self.by_space.setdefault(share.space, {})[share.peer.session] = share

    def remove_peer(self, session: int) -> Peer | None:
        """Forget a session and all its shares."""
        peer = self.peers.pop(session, None)
        if peer is None:
            return None
        for space in peer.shares:
            shares = self.by_space[space]
            del shares[session]
            if not shares:
                del self.by_space[space]
        return peer

    def shares(self, space: bytes) -> tuple[Share, ...]:
        """Return the shares of a space on all sessions."""
        return tuple(self.by_space.get(space, {}).values())

    def all_shares(self) -> Iterator[Share]:
        """Yield every share."""
        for shares in self.by_space.values():
            yield from shares.values()

    def send(self, peer: Peer, message: Encodable, now: int) -> None:
        """Send a control message, after those that wait for room."""
        record = message.encode()
        if not peer.outbox and self.sessions.send(peer.session, record):
            return
        full = peer.outbox_bytes + len(record) > OUTBOX_BYTES_MAX
        if len(peer.outbox) < OUTBOX_MAX and not full:
            peer.outbox.append(record)
            peer.outbox_bytes += len(record)
            return
        self.drop(DropReason.SYNC_SLOW, peer)
        self.sessions.close(peer.session, "takes nothing", now)

    def flush(self, peer: Peer) -> None:
        """Send what waited, as far as the session has room."""
        while peer.outbox and self.sessions.send(peer.session, peer.outbox[0]):
            peer.outbox_bytes -= len(peer.outbox.popleft())

    def drop(self, reason: DropReason, peer: Peer) -> None:
        """Count a named drop under the kind of the session it came by."""
        self.ctx.drop(reason, peer.via)
