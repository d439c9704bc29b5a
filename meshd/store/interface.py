"""What every store offers: rows committed in groups, questions answered, one image at start.

Enters: groups of rows and queries of `core.events`. Leaves: answers, a `StoreImage`, `StoreError`.
Backends block; `runtime.store_worker` keeps them off the event loop, the simulator calls them
under virtual time. Must not know: threads, the event loop, what the rows mean.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from meshd.core.errors import MeshdError
from meshd.core.events import Answer, Query, Row, StoreImage


class StoreFault(StrEnum):
    """What is wrong with a store, as status and scripts name it."""

    FULL = "store-full"
    READ_ONLY = "store-read-only"
    DENIED = "store-denied"
    CORRUPT = "store-corrupt"
    NEWER = "store-newer"
    BUSY = "store-busy"
    CONFLICT = "store-conflict"
    BROKEN = "store-broken"


class StoreError(MeshdError):
    """A store that cannot do what was asked: what, and what a person does next."""

    def __init__(self, fault: StoreFault, text: str, *, remedy: str) -> None:
        super().__init__(text)
        self.fault = fault
        self.text = text
        self.remedy = remedy


class Backend(Protocol):
    """A blocking store. `commit` has one caller at a time; `answer` may run beside it."""

    def load(self) -> StoreImage:
        """Return what the engine keeps in memory. Raises: StoreError."""

    def commit(self, groups: Sequence[tuple[Row, ...]]) -> None:
        """Write all groups in one transaction; on return they survive a power cut.

        Raises: StoreError; then nothing more is asked of this handle before `reopen`.
        """

    def answer(self, query: Query) -> Answer:
        """Answer a query of `core.events`, from any thread. Raises: StoreError."""

    def reopen(self) -> StoreImage:
        """Close, open again, verify, and load: after a failed commit. Raises: StoreError."""

    def add_file(self, fd: int, *, writable: bool) -> int:
        """Take over an open file descriptor; return its handle. Raises: StoreError."""

    def release_file(self, handle: int) -> None:
        """Close the file of a handle, once no query uses it. Unknown handles are ignored."""

    def close(self) -> None:
        """Release everything. Calling it again does nothing."""
