"""Entries that nobody should take: without the right to write them, or in another's name.

Enters: a host that is in spaces or carries them. Leaves: entries right behind the last one of a
feed, pushed on each session that shares the space; the host's own disk keeps none of them. Must not
know: routes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.core import crypto
from meshd.simulation.faults.hostile import Attack
from meshd.space import entries, invitations
from meshd.space.entries import Draft, Place
from meshd.space.feed import FeedHead
from meshd.wire import entry as wire
from meshd.wire import payload
from meshd.wire.entry import Entry, Kind
from meshd.wire.invitation import SECRET_LEN
from meshd.wire.membership import Rank
from meshd.wire.sync_messages import Entries

if TYPE_CHECKING:
    from meshd.space.space import Space


class Usurp(Attack):
    """Writes what its rank does not allow: relays and readers post, writers invite admins."""

    every_us = 4_000_000

    def end(self) -> None:
        """Be honest: the sessions begin anew, since peers think that it holds what it sent."""
        if not self.over and self.host.running:
            self.host.crash()
            self.host.start()
        super().end()

    def tick(self) -> None:
        host = self.host
        for space in host.node.spaces.all():
            made = self.made(space)
            if made is None:
                continue
            author, entry = made
            for share in host.node.sync._hub.shares(space.id):
                run = Entries(share.number, author, entry.head.seq, (entry.encode(),))
                host.node.sessions.send(share.peer.session, run.encode())
        host.drain()

    def made(self, space: Space) -> tuple[bytes, Entry] | None:
        """Return an author and the entry to send; None when there is nothing to usurp here."""
        draft = self._draft(space)
        return None if draft is None else (space.author, _behind_last(space, space.author, draft))

    def _draft(self, space: Space) -> Draft | None:
        rank = space.rank
        if rank is None or rank >= Rank.ADMIN:
            return None
        if rank < Rank.WRITER:
            text = f"{self.host.name} has no right to say so"
            return Draft(Kind.POST, b"", payload.Post(text).encode())
        keys = invitations.InviteKeys(self.rng.randbytes(SECRET_LEN), space.id)
        terms = invitations.Terms(Rank.ADMIN, 1, 0)
        return invitations.invite_draft(space, keys, terms, self.rng.randbytes(crypto.KEY_LEN))


class Forge(Usurp):
    """Writes in the names of the others, and signs with its own key."""

    def made(self, space: Space) -> tuple[bytes, Entry] | None:
        others = [author for author in space.log.authors() if not space.is_own(author)]
        if not others:
            return None
        author = self.rng.choice(others)
        draft = Draft(Kind.POST, b"", payload.Post(f"not by {author.hex()[:8]}").encode())
        entry = _behind_last(space, author, draft)
        return author, entry


def _behind_last(space: Space, author: bytes, draft: Draft) -> Entry:
    """Write an entry that follows the last one of a feed, signed with this space's own key."""
    feed = space.feeds.get(author) or FeedHead(space.first_running(author))
    seed = space.record().seed
    place = Place(feed.seq + 1, feed.hash32, space.log.digest(), 0)
    entry = entries.write(space.keys, space.id, seed, place=place, draft=draft)
    head = entry.head._replace(author_id=space.keys.author_id(author))
    statement = wire.statement(space.id, author, head, entry.body_hash)
    return entry._replace(head=head, signature=crypto.sign(seed, statement))
