"""FILE_HELD: a member's word, to the author in earshot, that a file is on its disk whole.

Enters: files that are here, words of neighbours. Leaves: words, and which own file who has. A frame
proves no sender, so the word does, as HELD does for entries: eight bytes under a key of both
devices, over space, author, number of the entry that names the file, and the file's root.
Ref: docs/wire-format.md#lora-pieces.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from hmac import compare_digest

from meshd.core import crypto
from meshd.sync.air.acks import FEW, Pairs, device_by, device_of
from meshd.sync.files.catalogue import Manifest
from meshd.sync.files.ports import FileSpaces
from meshd.wire.air_messages import MAC_LEN, AirHeld, decode_held

AGAIN_US, DOUBLINGS = 120_000_000, 6
"""How soon the same author is told again of the same file; then after twice as long, so often."""
TOLD_MAX = 256

Numbered = Callable[[bytes, bytes, int], Manifest | None]
"""Returns the file of (space, author, number of its entry)."""


class FileHolders:
    """The words of one node about whole files."""

    def __init__(self, spaces: FileSpaces) -> None:
        self._spaces = spaces
        self._pairs = Pairs(spaces.identity)

    def word(self, manifest: Manifest) -> bytes | None:
        """Return what tells its author that a file is here; None where nobody is to be told."""
        space = self._spaces.get(manifest.space)
        if space is None or space.carries_only or len(space.log.authors()) > FEW:
            return None
        device = device_by(space, manifest.author)
        key = self._pairs.to(device) if device and not space.is_own(manifest.author) else None
        return None if key is None else AirHeld(manifest.seq, _mac(key, manifest)).encode()

    def told(self, node: bytes, body: bytes, numbered: Numbered) -> Manifest | None:
        """Return which own file a neighbour proves to have whole; None for what proves nothing.

        Raises: WireError.
        """
        held = decode_held(body)
        for space in self._spaces.all():
            manifest = numbered(space.id, space.author, held.seq)
            device = device_of(space, node) if manifest is not None else b""
            key = self._pairs.by(device) if device else None
            if manifest is not None and key is not None:
                if compare_digest(_mac(key, manifest), held.mac):
                    return manifest
        return None


class Told:
    """What authors were told of late: who plays an old offer again is not answered each time."""

    def __init__(self) -> None:
        self._told: OrderedDict[Hashable, tuple[int, int]] = OrderedDict()

    def may(self, what: Hashable, now: int) -> bool:
        """Tell whether it may be told now."""
        return now >= self._told.get(what, (0, 0))[0]

    def note(self, what: Hashable, now: int) -> None:
        """Note that it is told."""
        _, times = self._told.pop(what, (0, 0))
        self._told[what] = now + (AGAIN_US << min(times, DOUBLINGS)), times + 1
        if len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)


def _mac(key: bytes, manifest: Manifest) -> bytes:
    said = b"file" + manifest.space + manifest.author + manifest.seq.to_bytes(4, "big")
    return crypto.digest(said + manifest.clear.root, key=key, size=MAC_LEN)
