"""What sync needs of sessions and files, and nothing more: narrow faces, so that tests stand in.

Enters: the real `Sessions` and `Files`, given by `Node`. Must not know: how they work.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from meshd.core.drops import DropReason
from meshd.sync.recent import Recent
from meshd.wire.lora_payload import Local


class SessionsPort(Protocol):
    """The encrypted sessions of this node."""

    def send(self, session: int, record: bytes) -> bool:
        """Queue a record; False when there is no room."""

    def room(self, session: int) -> int:
        """Return how many bytes may be queued now."""

    def use(self, session: int) -> None:
        """Note that a space is shared with this peer."""

    def close(self, session: int, why: str, now: int) -> None:
        """End a session."""

    def want(self, node: bytes, now: int) -> None:
        """Ask for a routed session; counted."""

    def unwant(self, node: bytes, now: int) -> None:
        """Take one `want` back."""

    def is_thin(self, node: bytes) -> bool:
        """Tell whether a LoRa hop lies on the way to a node: then no session is opened."""


class FilesPort(Protocol):
    """Files and their chunks, which have messages and bulks of their own.

    `seek(space, likely, now)` is called when no session has what a get needs, with the nodes that
    should have it; `gave(space, node, now)` when a node gave a part of it.
    """

    seek: Callable[[bytes, Sequence[bytes], int], None] | None
    gave: Callable[[bytes, bytes, int], None] | None

    @property
    def kept_bytes(self) -> int:
        """Bytes that this node promised to keep as a relay."""

    def share_opened(self, session: int, space: bytes, now: int, *, node: bytes) -> None:
        """A space is shared on a session from now on, with `node` at its other end."""

    def set_quota(self, quota_bytes: int) -> None:
        """Change how many bytes of files this node keeps as a relay."""

    def record(self, session: int, data: bytes, now: int) -> None:
        """Take a message of the types 32 to 47."""

    def bulk(self, session: int, head: bytes, data: bytes, now: int) -> None:
        """Take a piece of a chunk."""

    def session_room(self, session: int, now: int) -> None:
        """A session has room again."""

    def session_down(self, session: int, now: int) -> None:
        """A session is over."""


class RadioPort(Protocol):
    """One radio."""

    @property
    def up(self) -> bool: ...
    @property
    def listens(self) -> bool: ...
    def airtime_us(self, size: int) -> int: ...

    def free_us(self, airtime_us: int, priority: int, now: int) -> int:
        """Return when law and shares let so much of own data go: now, or later."""


class RadiosPort(Protocol):
    """The LoRa radios of this node. Bodies of objects begin with one byte for their kind."""

    @property
    def links(self) -> Mapping[str, RadioPort]:
        """All radios by name."""

    def publish(self, body: bytes, priority: int, now: int, *, link: str = "") -> int:
        """Tell everybody, by one radio or all; return how many took it."""

    def body_max(self, link: str = "") -> int:
        """Return how long the body of an object may be."""

    def tell(self, link: str, item: Local, priority: int, now: int) -> bool:
        """Tell all in earshot; False when there is no room."""

    def say(self, link: str, item: Local, now: int, *, want: bool = False) -> bool:
        """Tell all in earshot what is held, or what is wanted."""

    def room(self, link: str) -> int:
        """Return how long the body of a LOCAL item may be."""

    def neighbours_of(self, link: str) -> tuple[bytes, ...]:
        """Return who is in earshot, by NodeId."""

    def beside(self, link: str) -> tuple[bytes, ...]:
        """Return those of them who are reached without LoRa too: gateways as this node is."""


class HeardPort(Protocol):
    """What came by a radio, and from whom by the word of the link key."""

    @property
    def link(self) -> str: ...
    @property
    def node(self) -> bytes: ...
    @property
    def body(self) -> bytes: ...


class ObjectPort(HeardPort, Protocol):
    """What is for everybody, and when it was new, by the age that its sender told."""

    @property
    def born_us(self) -> int: ...


class LocalPort(HeardPort, Protocol):
    """A LOCAL item; `trusted` when its sender is known to be there now."""

    @property
    def sub(self) -> int: ...
    @property
    def trusted(self) -> bool: ...


class PassingPort(Protocol):
    """Sync over sessions, to which what came by radio is handed on."""

    @property
    def recent(self) -> Recent:
        """The entries seen last."""

    def came(self, space: bytes, author: bytes, seq: int, data: bytes, now: int) -> None:
        """An entry was accepted: pass it on at once to sessions that wait for it."""

    def sharers(self, space: bytes) -> frozenset[bytes]:
        """Return the nodes that share a space by a session, and hear of everything there."""

    def forked(
        self, space: bytes, author: bytes, proof: tuple[int, bytes, bytes], now: int
    ) -> DropReason | None:
        """Take the proof of a fork: the number, and both entries; return why it is none."""

    def proof(self, space: bytes, author: bytes) -> tuple[int, bytes, bytes] | None:
        """Return the proof that a feed was forked."""

    def held(self, node: bytes, space: bytes, author: bytes, seq: int) -> None:
        """A node proved that it holds an own feed durably."""

    def free_bytes(self) -> int:
        """Return how much more this node may carry as a relay."""
