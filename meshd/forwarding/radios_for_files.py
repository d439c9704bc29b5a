"""The radios as files see them: items for all in earshot, and what may still be sent.

Enters: items of files. Leaves: the same by `Radios`, bulk only while little waits there. Must not
know: what the items say, who takes those of others.
"""

from meshd.core.identity import Identity
from meshd.core.ids import SHORT_LEN
from meshd.core.law import Budget
from meshd.forwarding.radios import Radios
from meshd.link.ledger import Priority
from meshd.wire.lora_payload import Local

BACKLOG_MAX = 2
"""Items that wait at a radio when a piece is added."""
AWAY_US = 1_000_000


class RadiosForFiles:
    """What `sync.files.ports.FileRadios` asks for."""

    def __init__(self, radios: Radios, identity: Identity) -> None:
        self._radios = radios
        self._identity = identity

    def links(self) -> tuple[str, ...]:
        """Return the radios that take frames now."""
        return self._radios.names()

    def tell(self, link: str, sub: int, body: bytes, now: int, *, bulk: bool) -> bool:
        """Send an item to all in earshot, `bulk` after all else; False when there is no room."""
        if bulk and self._radios.backlog(link) >= BACKLOG_MAX:
            return False
        priority = Priority.BULK if bulk else Priority.DOCUMENT
        return self._radios.tell(link, Local(sub, body), priority, now)

    def budget(self, link: str, now: int) -> Budget | None:
        """Return what a radio may still send of bulk data; None: it is away."""
        return self._radios.budget(link, now)

    def free_us(self, link: str, airtime_us: int, now: int) -> int:
        """Return when bulk data may take so much of a radio's time, at the earliest."""
        return self._radios.bulk_at(link, airtime_us, now)

    def frame_us(self, link: str) -> int:
        """Return how long a full frame takes; a second where the radio is away."""
        radio = self._radios.links.get(link)
        return AWAY_US if radio is None else radio.airtime_us(radio.frame_max)

    def neighbours_of(self, link: str) -> tuple[bytes, ...]:
        """Return the nodes that a radio hears."""
        return self._radios.neighbours_of(link)

    def others(self, link: str, node: bytes) -> int:
        """Return how many neighbours are not known to hear a neighbour, itself left out."""
        if link not in self._radios.meshes:
            return 0
        neighbours, short = self._radios.meshes[link].neighbours, node[:SHORT_LEN]
        reached = {short, *neighbours.audience(short)}
        return sum(one not in reached for one in neighbours.listeners)

    def public_of(self, node: bytes) -> bytes | None:
        """Return a node's Ed25519 key, if its beacon was heard."""
        return self._radios.public_of(node)

    def sign(self, message: bytes) -> bytes:
        """Sign with this device's key."""
        return self._identity.sign(message)
