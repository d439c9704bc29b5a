"""What a host tells a node about its store: the inputs that answer `StoreAppend` and `StoreRead`.

A part of `Node`, which inherits it: each input is handed to whom it concerns, and recorded by name.
"""

from meshd.core.context import Context, Reader
from meshd.core.events import Answer
from meshd.space.spaces import Spaces
from meshd.sync.files.files import Files


class StoreInputs:
    """The inputs of the store; the attributes are set by the node."""

    spaces: Spaces
    files: Files
    _ctx: Context
    _readers: dict[str, Reader]

    def committed(self, up_to: int, now: int) -> None:
        """All appends up to this number are on disk."""
        self.spaces.committed(up_to, now)
        self.files.committed(up_to, now)
        self._settle(now)

    def commit_failed(self, number: int, why: str, now: int) -> None:
        """An append, and all after it, are not on disk and will not be."""
        self.spaces.commit_failed(number, why, now)
        self.files.commit_failed(number, why, now)
        self._settle(now)

    def read_done(self, token: int, answer: Answer, now: int) -> None:
        """A read that the engine asked for is answered."""
        owner = self._ctx.read_finished(token)
        if owner is not None:
            self._readers[owner].read_done(token, answer, now)
        self._settle(now)

    def read_failed(self, token: int, why: str, now: int) -> None:
        """A read that the engine asked for cannot be answered."""
        owner = self._ctx.read_finished(token)
        if owner is not None:
            self._readers[owner].read_failed(token, why, now)
        self._settle(now)

    def _settle(self, now: int) -> None:
        """Let the parts of the node hear of each other."""
        raise NotImplementedError
