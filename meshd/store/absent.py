"""A store that could not be opened: it refuses every write, and tries the real one at `reopen`.

So a node whose card is broken goes on routing, and says what is wrong with its data.
"""

from collections.abc import Callable, Sequence

from meshd.core.events import Answer, Query, Row, StoreImage
from meshd.store.interface import Backend, StoreError


class AbsentStore:
    """Stands in for a backend until `open_store` succeeds."""

    def __init__(self, error: StoreError, open_store: Callable[[], Backend]) -> None:
        self.error = error
        self._open_store = open_store
        self._found: Backend | None = None

    def load(self) -> StoreImage:
        """Return an empty image while there is no store. Raises: StoreError."""
        return self._found.load() if self._found else StoreImage({}, (), ())

    def commit(self, groups: Sequence[tuple[Row, ...]]) -> None:
        """Refuse while there is no store. Raises: StoreError."""
        self._store().commit(groups)

    def answer(self, query: Query) -> Answer:
        """Refuse while there is no store. Raises: StoreError."""
        return self._store().answer(query)

    def reopen(self) -> StoreImage:
        """Try to open the real store. Raises: StoreError."""
        if self._found is not None:
            return self._found.reopen()
        self._found = self._open_store()
        return self._found.load()

    def add_file(self, fd: int, *, writable: bool) -> int:
        """Refuse while there is no store. Raises: StoreError."""
        return self._store().add_file(fd, writable=writable)

    def release_file(self, handle: int) -> None:
        """Close the file of a handle."""
        if self._found is not None:
            self._found.release_file(handle)

    def close(self) -> None:
        """Release everything."""
        if self._found is not None:
            self._found.close()

    def _store(self) -> Backend:
        if self._found is None:
            raise self.error
        return self._found
