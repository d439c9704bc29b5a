"""Where a file from the air belongs: what `AirFiles` has to know of spaces, sessions and promises.

Enters: manifests. Leaves: whether they are wanted, who their members are, news for who waits. Must
not know: radios.
"""

from collections.abc import Callable
from typing import Protocol

from meshd.sync.files.air.holders import FileHolders
from meshd.sync.files.catalogue import Manifest
from meshd.sync.files.ports import FileSpaces


class FilesHere(Protocol):
    """The files of this node."""

    def lacks(self, space: bytes, root: bytes) -> bool:
        """Tell whether this node promised a file as a relay, and lacks it."""

    def givers(self, space: bytes) -> set[bytes]:
        """Return the nodes with which a space is shared now."""

    def came(self, space: bytes, root: bytes, now: int) -> None:
        """A file came by air."""


class AirFilesPlace:
    """The owner of `AirFiles`."""

    def __init__(self, spaces: FileSpaces, files: FilesHere) -> None:
        self._spaces = spaces
        self._files = files
        self._holders: FileHolders | None = None

    def file_wanted(self, manifest: Manifest) -> bool:
        """Tell whether a file is to be taken: not when a session has it, or it is not for here."""
        space = self._spaces.get(manifest.space)
        if space is None or self.file_near(manifest):
            return False
        return not space.carries_only or self._files.lacks(manifest.space, manifest.clear.root)

    def file_near(self, manifest: Manifest) -> bool:
        """Tell whether a session leads to somebody who has a file."""
        having = manifest.held_by | {self.file_author(manifest)}
        return bool(having & self._files.givers(manifest.space))

    def file_author(self, manifest: Manifest) -> bytes:
        """Return the node that put a file; b"" where that is not known."""
        space = self._spaces.get(manifest.space)
        return b"" if space is None else bytes(space.node_of(manifest.author))

    def file_own(self, manifest: Manifest) -> bool:
        """Tell whether a file was put here."""
        space = self._spaces.get(manifest.space)
        return space is not None and bool(space.is_own(manifest.author))

    def file_word(self, manifest: Manifest) -> bytes | None:
        """Return what tells its author that a file is here; None where nobody is to be told."""
        return self._words().word(manifest)

    def file_told(
        self, node: bytes, body: bytes, numbered: Callable[[bytes, bytes, int], Manifest | None]
    ) -> Manifest | None:
        """Return which own file a neighbour proves to have whole. Raises: WireError."""
        return self._words().told(node, body, numbered)

    def _words(self) -> FileHolders:
        if self._holders is None:
            self._holders = FileHolders(self._spaces)
        return self._holders

    def file_givers(self, space: bytes) -> set[bytes]:
        """Return the nodes with which a space is shared in a session now."""
        return self._files.givers(space)

    def file_came(self, manifest: Manifest, now: int) -> None:
        """Tell who waits for a file that it is on disk."""
        self._files.came(manifest.space, manifest.clear.root, now)

    def file_members(self, space: bytes) -> frozenset[bytes]:
        """Return the nodes of a space's other members, as far as they are known."""
        known = self._spaces.get(space)
        feeds = known.feeds if known is not None else ()
        others = (author for author in feeds if not known.is_own(author))
        return frozenset(node for author in others if (node := known.node_of(author)))

    def file_spaces(self) -> tuple[bytes, ...]:
        """Return the ids of all spaces."""
        return tuple(space.id for space in self._spaces.all())
