"""Sending entries: answers to WANT and pushes of what is new, within room, lease and reads.

Enters: WANT, new entries, answers of the store, room in sessions. Leaves: ENTRIES. One read at a
time a session, so that a greedy peer cannot take the store from the others; runs of at most
`RUN_BYTES`. What cannot be pushed now is told by HAVE later.
"""

from meshd.core.drops import DropReason
from meshd.core.events import EntriesQuery
from meshd.space.space import Space
from meshd.sync.hub import Hub, Outgoing, Peer, Share
from meshd.sync.leases import may_send
from meshd.sync.recent import Recent
from meshd.sync.vectors import Vectors
from meshd.wire.sync_messages import RUN_BYTES, Entries, Want

ANSWER_BYTES_MAX = 96 * 1024
"""Entry bytes in the answer to one range; the peer asks again for the rest."""
SERVING_MAX = 64
"""Answers that wait on one session; further ranges are refused."""
PUSH_GAP_MAX = 32
"""A peer that is at most so many entries behind in a feed is sent them without being asked."""

PUSH_AHEAD_MAX = 64
"""Entries of a feed pushed beyond what the peer acknowledged; after that it has to ask."""

_OVERHEAD = 64


class Serving:
    """What is being sent to whom."""

    __slots__ = ("_hub", "_reads", "_vectors", "recent")

    def __init__(self, hub: Hub, vectors: Vectors) -> None:
        self._hub = hub
        self._vectors = vectors
        self._reads: dict[int, tuple[Peer, Outgoing]] = {}
        self.recent = Recent()

    def want(self, share: Share, message: Want, space: Space, now: int) -> None:
        """Take a WANT; ranges beyond what we hold durably are cut."""
        peer = share.peer
        for author, first, length in message.ranges:
            if len(peer.serving) >= SERVING_MAX:
                self._hub.drop(DropReason.SYNC_TABLE_FULL, peer)
                return
            feed = space.feeds.get(author)
            last = min(first + length - 1, feed.durable_seq if feed else 0)
            peer.serving.append(
                Outgoing(share, author, first, last, asked=True, bytes_max=ANSWER_BYTES_MAX)
            )
        self.pump(peer, now)

    def forward(self, source: Share, author: bytes, seq: int, data: bytes) -> None:
        """Pass a verified entry on at once to every peer that is waiting for just this one."""
        self.spread(source.space, (author, seq), data, source)

    def spread(
        self, space: bytes, name: tuple[bytes, int], data: bytes, source: Share | None = None
    ) -> None:
        """The same for an entry that may have come by another way than sessions."""
        author, seq = name
        self.recent.put(space, author, seq, data)
        for share in self._hub.shares(space):
            if share is not source and share.has(author) == seq - 1 and _keeps_up(share, author):
                self._push(share, author, seq, data)

    def durable(self, space: bytes, name: tuple[bytes, int], data: bytes, now: int) -> None:
        """Send an own entry, now durable, to every peer that is only a little behind."""
        author, seq = name
        self.recent.put(space, author, seq, data)
        for share in self._hub.shares(space):
            known = share.has(author)
            queue = share.peer.serving
            if not 0 < seq - known <= PUSH_GAP_MAX or not _keeps_up(share, author):
                continue
            if len(queue) < SERVING_MAX:
                share.pushed[author] = seq
                limit = ANSWER_BYTES_MAX
                queue.append(Outgoing(share, author, known + 1, seq, asked=False, bytes_max=limit))
                self.pump(share.peer, now)

    def pump(self, peer: Peer, now: int) -> None:
        """Send what waits, as far as room, lease and the read in flight allow."""
        while peer.serving and not peer.reading and not peer.outbox:
            answer = peer.serving[0]
            if answer.next > answer.last:
                self._finish(peer, answer, (), now)
                continue
            if self._hub.sessions.room(peer.session) < RUN_BYTES + _OVERHEAD:
                return
            entries = self.recent.run(answer.share.space, answer.author, answer.next, answer.last)
            if entries:
                self._send(peer, answer, entries, now)
            else:
                self._read(peer, answer)

    def read_done(self, token: int, entries: tuple[bytes, ...], now: int) -> bool:
        """Take an answer of the store, empty when it failed; False when another part asked."""
        peer, answer = self._reads.pop(token, (None, None))
        if peer is None or answer is None:
            return False
        peer.reading = False
        if self._hub.peers.get(peer.session) is peer:
            for place, data in enumerate(entries):
                self.recent.put(answer.share.space, answer.author, answer.next + place, data)
            self._send(peer, answer, entries, now)
            self.pump(peer, now)
        return True

    def _read(self, peer: Peer, answer: Outgoing) -> None:
        query = EntriesQuery(answer.share.space, answer.author, answer.next, answer.last, RUN_BYTES)
        token = self._hub.ctx.read("sync", query)
        self._reads[token] = (peer, answer)
        peer.reading = True

    def _send(self, peer: Peer, answer: Outgoing, entries: tuple[bytes, ...], now: int) -> None:
        """Send as many of `entries` as one record and the lease hold; finish what ends."""
        fitting: list[bytes] = []
        size = 0
        for data in entries:
            if fitting and size + len(data) > RUN_BYTES:
                break
            if not may_send(answer.share, len(data)):
                answer.last = answer.next + len(fitting) - 1
                break
            fitting.append(data)
            size += len(data)
        answer.bytes_left -= size
        if not entries or answer.bytes_left <= 0:
            answer.last = answer.next + len(fitting) - 1
        if answer.next + len(fitting) > answer.last:
            self._finish(peer, answer, tuple(fitting), now)
        else:
            self._record(answer, tuple(fitting), last=False, now=now)
            answer.next += len(fitting)

    def _finish(self, peer: Peer, answer: Outgoing, entries: tuple[bytes, ...], now: int) -> None:
        peer.serving.remove(answer)
        if answer.asked or entries:
            self._record(answer, entries, last=answer.asked, now=now)
        share, author = answer.share, answer.author
        if not answer.asked and answer.last < share.pushed.get(author, 0):
            share.pushed[author] = answer.last
            self._vectors.owe(share, author, now)

    def _record(
        self, answer: Outgoing, entries: tuple[bytes, ...], *, last: bool, now: int
    ) -> None:
        share = answer.share
        first = max(1, answer.next)
        if entries:
            known = share.pushed.get(answer.author, 0)
            share.pushed[answer.author] = max(known, first + len(entries) - 1)
        message = Entries(share.number, answer.author, first, entries, last=last)
        self._hub.send(share.peer, message, now)

    def _push(self, share: Share, author: bytes, seq: int, data: bytes) -> None:
        peer = share.peer
        if peer.outbox or self._hub.sessions.room(peer.session) < len(data) + _OVERHEAD:
            return
        record = Entries(share.number, author, seq, (data,)).encode()
        if may_send(share, len(data)) and self._hub.sessions.send(peer.session, record):
            share.pushed[author] = seq


def _keeps_up(share: Share, author: bytes) -> bool:
    """Tell whether a peer told its first vector and acknowledges what it is sent."""
    known = share.theirs.get(author)
    ahead = share.pushed.get(author, 0) - (known.seq if known else 0)
    return share.complete and ahead < PUSH_AHEAD_MAX
