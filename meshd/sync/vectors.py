"""Vectors: telling peers how far our feeds go, and remembering how far theirs do.

Enters: HAVE, and word of what became durable here. Leaves: HAVE. The first vector of a share is
whole, later ones name changed feeds only. A HAVE names what is durable, so it is the peer's
acknowledgement as well. Nothing here believes a claim: it is only remembered.
"""

from meshd.core.drops import DropReason
from meshd.space.feed import FeedHead
from meshd.space.space import Space
from meshd.sync.hub import PEER_THEIRS_MAX, THEIRS_MAX, Hub, Share
from meshd.wire.sync_messages import HASH_LEN, ITEMS_MAX, Have, Head

TELL_US = 20_000
"""How long changed feeds are gathered into one HAVE. New entries themselves are pushed at once."""

UNSAID = bytes(HASH_LEN)
"""Instead of a hash that the sender does not know at that seq."""


class Vectors:
    """What each peer was told and what each peer claimed."""

    __slots__ = ("_hub",)

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def open(self, share: Share, space: Space, now: int) -> None:
        """Send the first, whole vector."""
        heads = [self._head(author, head) for author, head in space.feeds.items()]
        self._send(share, space, [head for head in heads if head.seq], now, first=True)

    def changed(self, space: bytes, author: bytes, seq: int, now: int) -> None:
        """Note that a feed is durable up to `seq`; tell whoever may not know or waits for it."""
        for share in self._hub.shares(space):
            if share.has(author) < seq or author in share.owed:
                self.owe(share, author, now)

    def owe(self, share: Share, author: bytes, now: int) -> None:
        """Tell this peer soon how far we hold a feed durably."""
        share.dirty.add(author)
        self._hub.ctx.timers.set_earlier(("sync", "tell"), now + TELL_US)

    def tell(self, now: int) -> None:
        """Send the gathered HAVEs."""
        for share in tuple(self._hub.all_shares()):
            if not share.dirty:
                continue
            space = self._hub.spaces.get(share.space)
            heads = []
            for author in sorted(share.dirty) if space else ():
                assert space is not None
                feed = space.feeds.get(author)
                if feed is not None and feed.durable_seq > share.told.get(author, 0):
                    heads.append(self._head(author, feed))
            share.dirty.clear()
            if space and heads:
                self._send(share, space, heads, now, first=False)

    def learn(self, share: Share, message: Have, space: Space) -> list[Head]:
        """Remember the peer's heads; return those that were taken."""
        taken = []
        for head in message.heads:
            if self.remember(share, head, space):
                taken.append(head)
        if not message.more:
            share.complete = True
        return taken

    def remember(self, share: Share, head: Head, space: Space) -> bool:
        """Note how far a peer has a feed; False when that is not news or does not fit."""
        known = share.theirs.get(head.author)
        if known is None and not self._room(share, space, head.author):
            self._hub.drop(DropReason.SYNC_TABLE_FULL, share.peer)
            return False
        if known is not None and head.seq < known.seq:
            return False
        share.theirs[head.author] = head
        return True

    def sent(self, share: Share, author: bytes, seq: int, space: Space) -> bool:
        """Note that a peer has an entry, since it sent it; False when its feed does not fit."""
        known = share.theirs.get(author)
        if known is not None and known.seq >= seq:
            return True
        return self.remember(share, Head(author, seq, UNSAID), space)

    def _room(self, share: Share, space: Space, author: bytes) -> bool:
        """Tell whether one more feed fits; a feed that we hold displaces one that we do not."""
        everywhere = sum(len(each.theirs) for each in share.peer.shares.values())
        if len(share.theirs) < THEIRS_MAX and everywhere < PEER_THEIRS_MAX:
            return True
        if author not in space.feeds:
            return False
        stranger = next((known for known in share.theirs if known not in space.feeds), None)
        if stranger is None:
            return False
        forget(share, stranger)
        return True

    def _head(self, author: bytes, feed: FeedHead) -> Head:
        hash8 = feed.hash32[:HASH_LEN] if feed.durable_seq == feed.seq else UNSAID
        return Head(author, feed.durable_seq, hash8)

    def _send(
        self, share: Share, space: Space, heads: list[Head], now: int, *, first: bool
    ) -> None:
        for head in heads:
            share.told[head.author] = head.seq
            share.owed.discard(head.author)
        for start in range(0, max(len(heads), 1), ITEMS_MAX):
            more = first and start + ITEMS_MAX < len(heads)
            part = tuple(heads[start : start + ITEMS_MAX])
            message = Have(share.number, part, kept=space.carries_only, more=more)
            self._hub.send(share.peer, message, now)


def forget(share: Share, author: bytes) -> None:
    """Drop everything that is remembered of one feed on one share."""
    share.theirs.pop(author, None)
    share.aside.pop(author, None)
    share.unknown.discard(author)
    share.owed.discard(author)
    share.pushed.pop(author, None)
    share.missing.discard(author)
