"""HELD: a member's word, to the author in earshot, that a feed is on its disk up to a number.

Enters: entries that came by LoRa and are durable, words of neighbours. Leaves: words, and whose
feeds they are about. A frame proves no sender, so the word does: eight bytes under a key of both
devices, over space, author, number and the entry that has it. It says the same as HAVE does in a
session, is true for good once it was said, and so may be heard again at any time: where the author
wrote another entry under that number since, as a card that was put back does, it proves nothing.
Ref: docs/wire-format.md#entries-over-lora.
"""

from collections import OrderedDict
from hmac import compare_digest
from typing import NamedTuple

from meshd.core import crypto
from meshd.core.errors import WireError
from meshd.core.identity import Identity
from meshd.space.space import Space
from meshd.space.spaces import Spaces
from meshd.sync.air.names import Feed
from meshd.wire.air_messages import MAC_LEN, AirHeld, decode_held
from meshd.wire.entry import Kind
from meshd.wire.payload import decode_message

SAID = (Kind.POST, Kind.DISTRESS, Kind.MESSAGE, Kind.FILE, Kind.LETTER)
FEW = 8
"""In a space of more members only who a message is for says that it has it."""
PEERS_MAX = 128
WAITING_MAX = 64
WAIT_US = 3_000_000, 9_000_000


class Holding(NamedTuple):
    """A neighbour holds an own feed up to a number."""

    space: bytes
    author: bytes
    seq: int


class Acks:
    """The keys with other devices, and the words that wait for one radio to say them."""

    def __init__(self, spaces: Spaces) -> None:
        self._spaces = spaces
        self._pairs = Pairs(spaces.identity)
        self._due: dict[tuple[str, Feed], int] = {}

    def plan(self, link: str, feed: Feed, due_us: int) -> None:
        """Say soon by a radio how far a feed is held; once for all that comes until then."""
        if len(self._due) < WAITING_MAX:
            self._due.setdefault((link, feed), due_us)

    def due_us(self, link: str) -> int | None:
        """Return when `build` has something for a radio."""
        return min(
            (due_us for (name, _), due_us in self._due.items() if name == link), default=None
        )

    def build(self, link: str, now: int) -> AirHeld | None:
        """Return a word to say now."""
        for (name, feed), due_us in tuple(self._due.items()):
            if name == link and due_us <= now:
                del self._due[name, feed]
                held = self._word(feed)
                if held is not None:
                    return held
        return None

    def taken(self, node: bytes, body: bytes) -> Holding | None:
        """Return what a neighbour proves to hold of an own feed; None for what proves nothing.

        Raises: WireError.
        """
        held = decode_held(body)
        for space in self._spaces.all():
            device = device_of(space, node)
            key = self._pairs.by(device) if device else None
            if key is None:
                continue
            for author in (space.author, *space.former[-1:]):
                feed = space.feeds.get(author)
                if feed is None or held.seq > feed.durable_seq:
                    continue
                digest = feed.digest_at(held.seq)
                if not digest:
                    continue
                if compare_digest(_mac(key, (space.id, author), held.seq, digest), held.mac):
                    return Holding(space.id, author, held.seq)
        return None

    def _word(self, feed: Feed) -> AirHeld | None:
        space = self._spaces.get(feed[0])
        device = device_by(space, feed[1]) if space is not None else b""
        key = self._pairs.to(device) if device else None
        if space is None or key is None:
            return None
        held = space.feeds[feed[1]]
        seq = held.durable_seq
        digest = held.digest_at(seq)
        return AirHeld(seq, _mac(key, feed, seq, digest)) if digest else None


class Pairs:
    """The keys with other devices under which each proves to the other what it holds."""

    def __init__(self, identity: Identity) -> None:
        self._secret = crypto.exchange_secret_of(identity.device_seed)
        self._public = identity.public
        self._shared: OrderedDict[bytes, bytes | None] = OrderedDict()

    def by(self, device: bytes) -> bytes | None:
        """Return the key of what another device says to this one; None where its key is none."""
        return self._key(device, self._public, device)

    def to(self, device: bytes) -> bytes | None:
        """Return the key of what this device says to another one."""
        return self._key(self._public, device, device)

    def _key(self, holder: bytes, author: bytes, other: bytes) -> bytes | None:
        """Return the key of one direction; None with a device whose key is none."""
        if other not in self._shared:
            public = crypto.exchange_public_of(other) if other != self._public else None
            shared = None if public is None else crypto.exchange(self._secret, public)
            self._shared[other] = shared
            if len(self._shared) > PEERS_MAX:
                self._shared.popitem(last=False)
        shared = self._shared[other]
        if shared is None:
            return None
        return crypto.digest(holder + author, key=shared, person=b"meshd-air-held")


def wants_word(space: Space, author: bytes, data: bytes) -> bool:
    """Tell whether an author would hear from this node that it holds this entry."""
    opened = space.open(author, data)
    if opened is None or opened.kind not in SAID:
        return False
    if opened.kind == Kind.MESSAGE:
        try:
            return decode_message(opened.payload).to == space.node
        except WireError:
            return False
    return len(space.log.authors()) <= FEW


def device_of(space: Space, node: bytes) -> bytes:
    """Return the key of a member's device by its NodeId; b"" where it is no member's."""
    return next((one.device_public for one in space.members() if one.node == node), b"")


def device_by(space: Space, author: bytes) -> bytes:
    """Return the key of the device behind an author; b"" where it is no member's."""
    return next((one.device_public for one in space.members() if one.author == author), b"")


def _mac(key: bytes, feed: Feed, seq: int, digest: bytes) -> bytes:
    said = feed[0] + feed[1] + seq.to_bytes(4, "big") + digest
    return crypto.digest(said, key=key, size=MAC_LEN)
