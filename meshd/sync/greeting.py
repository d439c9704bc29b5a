"""The start of a session: HELLO, then the spaces by keyed tags.

Enters: sessions that come up, HELLO and SPACES. Leaves: shares in the hub. A tag is a keyed hash
over both ends and both fresh nonces, in the direction of the sender: it proves that the sender
holds the fetch key, on this session, now. Who has not the key learns a count and nothing else.
A space is shared when each side's tag was recognised by the other.
"""

from meshd.core.crypto import digest
from meshd.core.drops import DropReason
from meshd.space.space import Space
from meshd.sync.hub import Hub, Peer, Share
from meshd.wire.sync_messages import ITEMS_MAX, TAG_LEN, Hello, SpaceTag, SpaceTags

NUMBERS_MAX = 1024
"""Spaces that one peer may announce; further ones are refused."""


class Greeter:
    """Finds which spaces two nodes share."""

    __slots__ = ("_hub",)

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def greet(self, peer: Peer, now: int) -> None:
        """Open the dialogue on a new session."""
        self._hub.send(peer, Hello(peer.nonce), now)

    def hello(self, peer: Peer, message: Hello, now: int) -> None:
        """Take the peer's nonce and announce every space of ours."""
        if peer.theirs_nonce is not None:
            self._hub.drop(DropReason.SYNC_ORDER, peer)
            return
        peer.theirs_nonce = message.nonce
        self._announce(peer, tuple(self._hub.spaces.all()), now)

    def spaces(self, peer: Peer, message: SpaceTags, now: int) -> list[Share]:
        """Match the peer's tags; return the spaces that are shared from now on."""
        if peer.theirs_nonce is None:
            self._hub.drop(DropReason.SYNC_ORDER, peer)
            return []
        for number, tag in message.tags:
            if number in peer.numbers:
                self._hub.drop(DropReason.SYNC_ORDER, peer)
            elif len(peer.numbers) >= NUMBERS_MAX:
                self._hub.drop(DropReason.SYNC_TABLE_FULL, peer)
            else:
                peer.numbers[number] = tag
        announced = [self._hub.spaces.get(space) for space in peer.announced]
        return self._match(peer, tuple(space for space in announced if space))

    def space_added(self, space: Space, now: int) -> list[Share]:
        """Announce a new space on every open session; return where it is shared already."""
        shared = []
        for peer in self._hub.peers.values():
            if peer.theirs_nonce is not None and space.id not in peer.announced:
                self._announce(peer, (space,), now)
                shared += self._match(peer, (space,))
        return shared

    def _announce(self, peer: Peer, spaces: tuple[Space, ...], now: int) -> None:
        tags = []
        for space in spaces[: NUMBERS_MAX - len(peer.announced)]:
            number = peer.announced[space.id] = len(peer.announced)
            tags.append(SpaceTag(number, self._tag(peer, space, ours=True)))
        for start in range(0, len(tags), ITEMS_MAX):
            self._hub.send(peer, SpaceTags(tuple(tags[start : start + ITEMS_MAX])), now)

    def _match(self, peer: Peer, spaces: tuple[Space, ...]) -> list[Share]:
        waiting = {tag: number for number, tag in peer.numbers.items() if isinstance(tag, bytes)}
        shared = []
        for space in spaces:
            if space.id in peer.shares or not waiting:
                continue
            number = waiting.pop(self._tag(peer, space, ours=False), None)
            if number is not None:
                share = Share(peer, space.id, peer.announced[space.id])
                peer.numbers[number] = share
                self._hub.add_share(share)
                shared.append(share)
        return shared

    def _tag(self, peer: Peer, space: Space, *, ours: bool) -> bytes:
        own = self._hub.public + peer.nonce
        other = peer.public + (peer.theirs_nonce or b"")
        text = own + other if ours else other + own
        return digest(text, key=space.fetch_key, size=TAG_LEN, person=b"meshd-space-tag")
