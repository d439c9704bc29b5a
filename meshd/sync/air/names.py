"""How spaces and feeds are called on air, and who is meant by such a name.

Enters: the spaces of this node. Leaves: tags, blinded states, authors. Tags and states are keyed by
the space's fetch key over the sender and the salt of its start: who has not the key learns neither
which space is meant nor that two nodes mean the same one.
"""

from struct import Struct
from typing import TypeVar

from meshd.core.crypto import digest
from meshd.core.errors import WireError
from meshd.space.space import Space
from meshd.space.spaces import Spaces
from meshd.wire.air_entry import HINT_LEN, ID_LEN, MEMBERSHIP_LEN, Thin
from meshd.wire.air_messages import (
    FEED_LEN,
    FORKED,
    STATE_LEN,
    TAG_LEN,
    AirHead,
    AirProbe,
    Heads,
    Needs,
)
from meshd.wire.lora_payload import Sub
from meshd.wire.membership import decode_successor
from meshd.wire.symbols import SymbolBatch

_SET = Struct(">BBII")

MEMBERSHIPS_MAX = 64
"""Membership digests of one space that are remembered, so that hints of them are understood."""

Feed = tuple[bytes, bytes]
"""(space, author)."""

Said = TypeVar("Said", Heads, Needs, AirProbe)
"""What is said of one space."""


class Names:
    """Names of all spaces and feeds here; none before `begin`."""

    def __init__(self, spaces: Spaces) -> None:
        self.salt = b""
        self.spaces = spaces
        self._node = spaces.identity.node
        self._by_id: dict[bytes, list[Feed]] = {}
        self._short: dict[bytes, dict[bytes, bytes | None]] = {}
        self._memberships: dict[bytes, dict[bytes, bytes]] = {}

    def begin(self, salt: bytes) -> None:
        """Take in what is held, under a fresh salt: the first radio is there."""
        self.salt = salt
        for space in self.spaces.all():
            self.learn(space)

    def learn(self, space: Space) -> None:
        """Take in who may write in a space, again after each change of membership."""
        short: dict[bytes, bytes | None] = {}
        for author in dict.fromkeys((*space.log.authors(), *space.feeds)):
            name = space.keys.author_id(author)
            feeds = self._by_id.setdefault(name, [])
            if (space.id, author) not in feeds:
                feeds.append((space.id, author))
            start = name[:FEED_LEN]
            short[start] = None if start in short else author
        self._short[space.id] = short
        known = self._memberships.setdefault(space.id, {})
        now = space.log.digest()[:MEMBERSHIP_LEN]
        known.pop(now[:HINT_LEN], None)
        if len(known) >= MEMBERSHIPS_MAX:
            del known[next(iter(known))]
        known[now[:HINT_LEN]] = now

    def authors(self, name: bytes) -> tuple[Feed, ...]:
        """Return whom a 4-byte id may mean, in all spaces."""
        return tuple(self._by_id.get(name, ()))

    def feeds(self, thin: Thin) -> tuple[Feed, ...]:
        """Return whose entry this may be; one that begins a feed names whom it succeeds."""
        if len(thin.author) == ID_LEN:
            return self.authors(thin.author)
        try:
            old = decode_successor(thin.clear).old
        except WireError:
            return ()
        return tuple((one.id, thin.author) for one in self.spaces.all() if one.is_member(old))

    def author(self, space: bytes, feed: bytes) -> bytes | None:
        """Return whose feed of a space has this short name; None for nobody, or for two."""
        return self._short.get(space, {}).get(feed)

    def memberships(self, space: bytes) -> dict[bytes, bytes]:
        """Return the membership digests known of a space, by their hints."""
        return self._memberships.get(space, {})

    def tag(self, space: Space) -> bytes:
        """Return what this node calls a space."""
        return _tag(space, self._node + self.salt)

    def told(self, space: Space, sub: int, message: Said) -> Said:
        """Return what is said, as this node's word of a space: the tag covers all of it."""
        tag = _tag(space, self._node + self.salt + bytes([sub]) + message.said())
        return message._replace(salt=self.salt, tag=tag)

    def told_set(self, space: Space, told: SymbolBatch) -> SymbolBatch:
        """Return symbols as this node's word of a space: the tag covers which set it is."""
        return told._replace(about=_tag(space, self._node + _set_named(told)))

    def meant_set(self, node: bytes, batch: SymbolBatch) -> Space | None:
        """Return the space whose feeds another tells in symbols; None as for `meant`."""
        return self._tagged(node + _set_named(batch), batch.about)

    def state(self, space: Space, state: bytes) -> bytes:
        """Return what this node says when it holds `state` of a space."""
        return blinded(space, self._node, self.salt, state)

    def find(self, node: bytes, salt: bytes, tag: bytes) -> Space | None:
        """Return the space that another node calls so; None when this node has not its key."""
        return self._tagged(node + salt, tag)

    def meant(self, node: bytes, sub: int, message: Said) -> Space | None:
        """Return the space that another speaks of; None when it is not known here, or it was not
        said by who has its key."""
        return self._tagged(node + message.salt + bytes([sub]) + message.said(), message.tag)

    def _tagged(self, named: bytes, tag: bytes) -> Space | None:
        return next((one for one in self.spaces.all() if _tag(one, named) == tag), None)


def feed_name(space: Space, author: bytes) -> bytes:
    """Return the short name of a feed; `author` may be that name of an author not known."""
    if len(author) == FEED_LEN:
        return author
    return space.keys.author_id(author)[:FEED_LEN]


def head_of(space: Space, author: bytes) -> AirHead | None:
    """Return what is said of a feed among heads; None for an empty one."""
    if author in space.log.forked:
        return AirHead(feed_name(space, author), FORKED)
    feed = space.feeds.get(author)
    return (
        AirHead(feed_name(space, author), feed.durable_seq) if feed and feed.durable_seq else None
    )


def blinded(space: Space, node: bytes, salt: bytes, state: bytes) -> bytes:
    """Return what `node` says when it holds `state`."""
    text = node + salt + state
    return digest(text, key=space.fetch_key, size=STATE_LEN, person=b"meshd-air-state")


def _set_named(batch: SymbolBatch) -> bytes:
    """Return what a set is called by: size and check tell it from any other, symbols must fit."""
    return batch.salt + _SET.pack(Sub.SYMBOLS, batch.subject, batch.size, batch.check)


def _tag(space: Space, named: bytes) -> bytes:
    return digest(named, key=space.fetch_key, size=TAG_LEN, person=b"meshd-air-tag")


assert FEED_LEN <= ID_LEN
