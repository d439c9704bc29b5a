"""Which files are here whole, as far as the air must know: remembered, or looked for in the store.

Enters: manifests, answers of the store. Leaves: whether a file is here, and its blob. A few
questions at a time. Must not know: radios, who asks.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from meshd.core.events import Answer, ChunkQuery
from meshd.sync.files.catalogue import Manifest
from meshd.sync.reads import Reads
from meshd.wire.file_messages import NAME_LEN

WHOLE_MAX = 10_000
"""Files that are known to be here whole; the oldest is looked for in the store again."""
LOOKS_MAX = 16
"""Questions to the store at a time, because of what came from the air."""
SURVEY_MAX = 64
"""Files that are looked for in the store when somebody lists them."""
File = tuple[bytes, bytes]
Then = Callable[[bytes | None, int], None]


class _Look(NamedTuple):
    """A question to the store about a file: who is told, and whether its bytes are wanted."""

    manifest: Manifest
    then: Then
    content: bool


class Looks:
    """What one node has whole."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._whole: OrderedDict[File, None] = OrderedDict()
        self._many = 0

    @property
    def full(self) -> bool:
        """Tell whether nothing more may be asked because of what came from the air."""
        return self._many >= LOOKS_MAX

    def is_whole(self, manifest: Manifest) -> bool:
        """Tell whether a file is known to be here."""
        return (manifest.space, manifest.clear.root) in self._whole

    def note_whole(self, manifest: Manifest) -> None:
        """A file is here."""
        self._whole[manifest.space, manifest.clear.root] = None
        if len(self._whole) > WHOLE_MAX:
            self._whole.popitem(last=False)

    def forget(self, manifest: Manifest) -> None:
        """A file may not be here any more: look again."""
        self._whole.pop((manifest.space, manifest.clear.root), None)

    def survey(self, manifests: Sequence[Manifest], then: Callable[[int], None], now: int) -> None:
        """Look which of these files are here, the newest only; then call `then(now)`."""
        rest = [one for one in manifests[-SURVEY_MAX:] if not self.is_whole(one)]

        def on(_: bytes | None, at: int) -> None:
            if rest:
                self.look(rest.pop(), on, content=False)
            else:
                then(at)

        on(None, now)

    def look(self, manifest: Manifest, then: Then, *, content: bool) -> None:
        """Ask the store for a file's last chunk; with `content` for its blob of one chunk.

        `then` gets the blob, or what there is of it; None where the file is not here.
        """
        self._many += 1
        names = manifest.clear.chunks if manifest.clear.levels == 1 else 0
        query = ChunkQuery(manifest.clear.root, 0, NAME_LEN * names)
        self._reads.ask(query, partial(self._looked_index, _Look(manifest, then, content)))

    def _looked_index(self, look: _Look, answer: Answer, why: str, now: int) -> None:
        index = _bytes_of(answer)
        if not index or (look.content and len(index) != NAME_LEN):
            self._many -= 1
            look.then(None, now)
            return
        # Chunks come in order: with its last one a file is here.
        size = look.manifest.clear.size if look.content else 0
        query = ChunkQuery(index[-NAME_LEN:], 0, size)
        self._reads.ask(query, partial(self._looked, look, index))

    def _looked(self, look: _Look, index: bytes, answer: Answer, why: str, now: int) -> None:
        self._many -= 1
        chunk = _bytes_of(answer)
        if chunk is not None:
            self.note_whole(look.manifest)
        look.then(None if chunk is None else index + chunk, now)


def plain_size(manifest: Manifest) -> int:
    """Return the bytes of a file, near enough where this node cannot read it."""
    return manifest.clear.size if manifest.size is None else manifest.size


def _bytes_of(answer: Answer) -> bytes | None:
    held = answer[1] if isinstance(answer, tuple) and len(answer) == 2 else None
    return held if isinstance(held, bytes) else None
