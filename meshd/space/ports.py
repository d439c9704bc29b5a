"""What the parts of `Spaces` want from it: narrow faces, so that none of them imports the whole.

Enters: the one `Spaces` of a node. Must not know: how it keeps anything.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from meshd.core.context import Context
from meshd.core.events import Row
from meshd.core.identity import Identity
from meshd.core.snapshot import SpaceStatus
from meshd.space.damages import Damages
from meshd.space.entries import Draft
from meshd.space.feed import SpaceEvent
from meshd.space.reading import LogReader
from meshd.space.record import SpaceRecord
from meshd.space.space import Space, Taken

Done = Callable[[str, int], None]
"""Called once with "" when durable, or with why not; and the time."""


def no_rows(seq: int) -> tuple[Row, ...]:
    """Return nothing that is to be written together with an entry."""
    return ()


class Held(Protocol):
    """The spaces that a node holds."""

    ctx: Context
    damages: Damages

    def all(self) -> list[Space]:
        """Return all spaces in order of their id."""

    def wall_s(self, now: int) -> int | None:
        """Return the wall clock in seconds, None when this node has none."""

    def commit_own(self, space: Space, author: bytes, taken: Taken, done: Done | None) -> int:
        """Append an own entry; it goes to peers, and `done` hears of it, when it is durable."""


class Joinable(Held, Protocol):
    """The same for who lets others in, and takes in spaces that this node joined."""

    identity: Identity
    closed: bool
    events: deque[SpaceEvent]

    def get(self, space_id: bytes) -> Space | None:
        """Return a space by its 32-byte id."""

    def check_room(self) -> None:
        """Raise RequestError when one more space is too many."""

    def commit(self, rows: tuple[Row, ...], done: Done) -> None:
        """Append rows to the store; `done` hears what became of them."""

    def adopt(self, record: SpaceRecord, done: Done) -> Space:
        """Take in a space that this node joined, with what the store held of it already."""


class AirWaits(Protocol):
    """What radios know of how long entries take."""

    def waits(self, space: Space, now: int) -> tuple[str, ...]:
        """Say what entries of a space wait for."""

    def post_waits(self, space: Space, seq: int, payload: int, now: int) -> str:
        """Say what an own text of `payload` bytes waits for; "" for one that goes at once."""


class Askable(Held, Protocol):
    """The same for what people and scripts ask."""

    reader: LogReader
    air: AirWaits | None

    def find(self, text: str) -> Space:
        """Return the space with this name, or whose id begins so. Raises: RequestError."""

    def shown(self, now: int) -> tuple[SpaceStatus, ...]:
        """Return what `status` shows of each space."""

    def create(self, name: str, person: str, now: int, done: Done) -> Space:
        """Begin a space whose owner is this device. Raises: RequestError."""

    def append(self, space: Space, draft: Draft, now: int, done: Done | None = None) -> int:
        """Append an own entry; return its seq. Raises: RequestError, WireError."""
