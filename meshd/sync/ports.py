"""What sync needs of sessions and files, and nothing more: narrow faces, so that tests stand in.

Enters: the real `Sessions` and `Files`, given by `Node`. Must not know: how they work.
"""

from collections.abc import Callable, Sequence
from typing import Protocol


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


class FilesPort(Protocol):
    """Files and their chunks, which have messages and bulks of their own.

    `seek(space, likely, now)` is called when no session has what a get needs, with the nodes that
    should have it; `gave(space, node, now)` when a node gave a part of it.
    """

    seek: Callable[[bytes, Sequence[bytes], int], None] | None
    gave: Callable[[bytes, bytes, int], None] | None

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
