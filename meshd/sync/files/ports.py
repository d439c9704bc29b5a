"""What files need of spaces and sessions: narrow faces, so that tests can stand in.

Enters: the real `Spaces` and `Sessions`, given by `Node`. Must not know: how they work.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from meshd.core.law import Budget


class FileFeed(Protocol):
    """How far this node holds a feed."""

    @property
    def durable_seq(self) -> int:
        """The last entry that the store has on disk."""


class FileEntry(Protocol):
    """An entry as a member reads it."""

    @property
    def payload(self) -> bytes:
        """The decrypted payload."""

    @property
    def time_s(self) -> int:
        """The author's wall clock, 0 when it had none."""


class FileSpace(Protocol):
    """One space on this node."""

    @property
    def id(self) -> bytes:
        """32 bytes."""

    @property
    def carries_only(self) -> bool:
        """This node is a relay of it."""

    @property
    def feeds(self) -> Mapping[bytes, FileFeed]:
        """Feeds by author."""

    def node_of(self, author: bytes) -> bytes:
        """Return the NodeId behind a signing key; b"" where this node may not know."""

    def open(self, author: bytes, data: bytes) -> FileEntry | None:
        """Decrypt an entry, or None without the key."""


class FileSpaces(Protocol):
    """All spaces on this node."""

    @property
    def identity(self) -> Any:
        """This device's `Identity`."""

    def get(self, space_id: bytes) -> Any:
        """Return a `FileSpace` by its id, or None."""

    def all(self) -> Sequence[Any]:
        """Return every space."""

    def find(self, text: str) -> Any:
        """Return a `FileSpace` by name or beginning of its id. Raises: RequestError."""

    def append(self, space: Any, draft: Any, now: int, done: Any = None) -> int:
        """Append an own entry; `done(why, now)` when it is durable. Returns its seq.

        Raises: RequestError, WireError.
        """


class FileSessions(Protocol):
    """The encrypted sessions of this node."""

    def send(self, session: int, record: bytes) -> bool:
        """Queue a record; False when there is no room."""

    def send_bulk(self, session: int, head: bytes, data: bytes) -> bool:
        """Queue a bulk; False when there is no room."""

    def room(self, session: int) -> int:
        """Return how many bytes may be queued now."""


class FileRadios(Protocol):
    """The LoRa radios of this node, as far as files go."""

    def links(self) -> Sequence[str]:
        """Return the radios that take frames now."""

    def tell(self, link: str, sub: int, body: bytes, now: int, *, bulk: bool) -> bool:
        """Send an item to all in earshot, `bulk` after all else; False when there is no room."""

    def budget(self, link: str, now: int) -> Budget | None:
        """Return what a radio may still send of bulk data; None: it is away."""

    def free_us(self, link: str, airtime_us: int, now: int) -> int:
        """Return when bulk data may take so much of a radio's time, at the earliest."""

    def frame_us(self, link: str) -> int:
        """Return how long a full frame takes; a second where the radio is away."""

    def neighbours_of(self, link: str) -> Sequence[bytes]:
        """Return the nodes that a radio hears."""

    def others(self, link: str, node: bytes) -> int:
        """Return how many neighbours are not known to hear a neighbour, itself left out."""

    def public_of(self, node: bytes) -> bytes | None:
        """Return a node's Ed25519 key, if it is known."""

    def sign(self, message: bytes) -> bytes:
        """Sign with this device's key."""
