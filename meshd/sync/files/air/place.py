"""Where a file from the air belongs: what `AirFiles` has to know of spaces, sessions and promises.

Enters: manifests. Leaves: whether they are wanted, who their members are, news for who waits. Must
not know: radios.
"""

from typing import Protocol

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

    def file_wanted(self, manifest: Manifest) -> bool:
        """Tell whether a file is to be taken: not when a session has it, or it is not for here."""
        space = self._spaces.get(manifest.space)
        if space is None or self.file_near(manifest):
            return False
        return not space.carries_only or self._files.lacks(manifest.space, manifest.clear.root)

    def file_near(self, manifest: Manifest) -> bool:
        """Tell whether a session leads to somebody who has a file."""
        space = self._spaces.get(manifest.space)
        author = b"" if space is None else space.node_of(manifest.author)
        return bool((manifest.held_by | {author}) & self._files.givers(manifest.space))

    def file_givers(self, space: bytes) -> set[bytes]:
        """Return the nodes with which a space is shared in a session now."""
        return self._files.givers(space)

    def file_came(self, manifest: Manifest, now: int) -> None:
        """Tell who waits for a file that it is on disk."""
        self._files.came(manifest.space, manifest.clear.root, now)

    def file_members(self, space: bytes) -> frozenset[bytes]:
        """Return the nodes of a space's members, as far as they are known."""
        known = self._spaces.get(space)
        feeds = known.feeds if known is not None else ()
        return frozenset(node for author in feeds if (node := known.node_of(author)))

    def file_spaces(self) -> tuple[bytes, ...]:
        """Return the ids of all spaces."""
        return tuple(space.id for space in self._spaces.all())
