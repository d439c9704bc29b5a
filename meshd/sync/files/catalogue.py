"""Which files each space has: manifests, found by reading feeds once from the store.

Enters: news that feeds have grown, entries from the store. Leaves: `Manifest` values and a call
for each new one. Feeds are read from where the last reading ended, first when a space is asked for
at all, so that an idle start reads nothing. Must not know: chunks, peers.
"""

from collections.abc import Callable
from functools import partial

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.events import Answer, EntriesQuery
from meshd.core.ids import encode_text
from meshd.sync.files.layout import is_sound, sealed_size
from meshd.sync.files.ports import FileSpace, FileSpaces
from meshd.sync.reads import Reads
from meshd.wire import entry as entries
from meshd.wire.payload import FileClear, decode_file_clear, decode_file_secret

MANIFESTS_MAX = 10_000
"""Files known in one space; the oldest of the author who has most is forgotten first (its entry and
its chunks stay)."""
HOLDERS_MAX = 64
WAITING_MAX = 256
"""Callers that wait for a space to be read to its end; a further one is refused."""
BATCH_BYTES = 128 * 1024
FILE_REF_LEN_MIN = 6


class Manifest:
    """A file of a space. `name`, `key` and `size` are None where this node cannot read them.

    `held_by` are nodes that said to have it, `whole_at` members who proved to this node, its
    author, that they have all of it.
    """

    __slots__ = (
        *("author", "clear", "held_by", "key", "media_type", "name", "seq", "size", "space"),
        *("time_s", "whole_at"),
    )

    def __init__(self, space: bytes, author: bytes, seq: int, clear: FileClear) -> None:
        self.space = space
        self.author = author
        self.seq = seq
        self.clear = clear
        self.time_s = 0
        self.key: bytes | None = None
        self.name: str | None = None
        self.size: int | None = None
        self.media_type = ""
        self.held_by: set[bytes] = set()
        self.whole_at: set[bytes] = set()

    @property
    def text(self) -> str:
        """The file's id as people read it; any beginning of six letters or more names it too."""
        return encode_text(self.clear.root)


class _Shelf:
    """One space: manifests by root, roots by author, how far each feed was read, and what waits for
    the end."""

    __slots__ = ("ahead", "by_author", "manifests", "reading", "space", "waiting")

    def __init__(self, space: bytes) -> None:
        self.space = space
        self.manifests: dict[bytes, Manifest] = {}
        self.by_author: dict[bytes, dict[bytes, None]] = {}
        self.ahead: dict[bytes, int] = {}
        self.reading = False
        self.waiting: list[Callable[[int], None]] = []

    def add(self, manifest: Manifest) -> None:
        """Put a file on the shelf."""
        self.manifests[manifest.clear.root] = manifest
        self.by_author.setdefault(manifest.author, {})[manifest.clear.root] = None

    def make_room(self) -> None:
        """Forget the oldest file of the author who has most."""
        most = max(self.by_author.values(), key=len)
        root = next(iter(most))
        del most[root]
        del self.manifests[root]

    def clear(self) -> None:
        """Forget what was read."""
        self.ahead.clear()
        self.by_author.clear()
        self.manifests.clear()


class Catalogue:
    """The files of all spaces of this node that anybody asked about."""

    def __init__(
        self,
        ctx: Context,
        spaces: FileSpaces,
        reads: Reads,
        found: Callable[[Manifest, int], None],
    ) -> None:
        self._ctx = ctx
        self._spaces = spaces
        self._reads = reads
        self._found = found
        self._shelves: dict[bytes, _Shelf] = {}

    def get(self, space: bytes, root: bytes) -> Manifest | None:
        """Return a file by its root."""
        shelf = self._shelves.get(space)
        return shelf.manifests.get(root) if shelf else None

    def all(self, space: bytes) -> tuple[Manifest, ...]:
        """Return the files of a space, in the order in which they were learned."""
        shelf = self._shelves.get(space)
        return tuple(shelf.manifests.values()) if shelf else ()

    def numbered(self, space: bytes, author: bytes, seq: int) -> Manifest | None:
        """Return the file that an entry names."""
        shelf = self._shelves.get(space)
        roots = shelf.by_author.get(author, {}) if shelf else {}
        found = (shelf.manifests[root] for root in roots) if shelf else iter(())
        return next((manifest for manifest in found if manifest.seq == seq), None)

    def find(self, space: bytes, text: str) -> Manifest | None:
        """Return the newest file of that name, or the one whose id begins so."""
        known = self.all(space)
        named = [manifest for manifest in known if manifest.name == text]
        if not named and len(text) >= FILE_REF_LEN_MIN:
            wanted = text.lower().replace("-", "")
            named = [manifest for manifest in known if manifest.text.startswith(wanted)]
        return max(named, key=lambda manifest: manifest.time_s, default=None)

    def watch(self, space: bytes, now: int, then: Callable[[int], None] | None = None) -> bool:
        """Read what is unread of a space, from now on too; call `then(now)` once that is done.

        False when too many wait for that already; `then` is not called.
        """
        shelf = self._shelves.setdefault(space, _Shelf(space))
        if then is not None and len(shelf.waiting) >= WAITING_MAX:
            return False
        if then is not None:
            shelf.waiting.append(then)
        self._advance(shelf, now)
        return True

    def applied(self, space: bytes, author: bytes, seq: int, data: bytes, now: int) -> None:
        """Take a new entry without reading it back, when all before it was read."""
        shelf = self._shelves.get(space)
        if shelf is None:
            return
        if data and not shelf.reading and shelf.ahead.get(author, 0) == seq - 1:
            shelf.ahead[author] = seq
            self._entry(shelf, author, data, now)
        else:
            self._advance(shelf, now)

    def reload(self, now: int) -> None:
        """Read everything again: the store's heads may have gone back."""
        for shelf in tuple(self._shelves.values()):
            shelf.clear()
            self._advance(shelf, now)

    def _advance(self, shelf: _Shelf, now: int) -> None:
        """Ask for the next run of unread entries, or tell who waits that there is none."""
        space = self._spaces.get(shelf.space)
        if shelf.reading:
            return
        for author, feed in (space.feeds if space else {}).items():
            first = shelf.ahead.get(author, 0) + 1
            if feed.durable_seq >= first:
                shelf.reading = True
                query = EntriesQuery(shelf.space, author, first, feed.durable_seq, BATCH_BYTES)
                self._reads.ask(query, partial(self._read, shelf, query))
                return
        self._rest(shelf, now)

    def _rest(self, shelf: _Shelf, now: int) -> None:
        waiting, shelf.waiting = shelf.waiting, []
        for then in waiting:
            then(now)

    def _read(self, shelf: _Shelf, query: EntriesQuery, answer: Answer, why: str, now: int) -> None:
        shelf.reading = False
        if why:
            self._rest(shelf, now)
            return
        run = answer if isinstance(answer, tuple) else ()
        for data in run:
            if isinstance(data, bytes):
                self._entry(shelf, query.author, data, now)
        if shelf.ahead.get(query.author, 0) == query.first - 1:  # not reloaded meanwhile
            # A hole is passed over: it is the store's to report, not ours to wait for.
            shelf.ahead[query.author] = query.first - 1 + len(run) if run else query.last
        self._advance(shelf, now)

    def _entry(self, shelf: _Shelf, author: bytes, data: bytes, now: int) -> None:
        space = self._spaces.get(shelf.space)
        try:
            entry = entries.decode(data)
            if space is None or entry.head.kind != entries.Kind.FILE or entry.body is None:
                return
            clear = decode_file_clear(entry.clear)
            if not is_sound(clear):
                raise WireError("numbers of a file")
            manifest = Manifest(shelf.space, author, entry.head.seq, clear)
            self._open(space, manifest, author, data)
        except WireError:
            self._ctx.drop(DropReason.FILE_MANIFEST)
            return
        if clear.root in shelf.manifests:
            return
        if len(shelf.manifests) >= MANIFESTS_MAX:
            shelf.make_room()
            self._ctx.drop(DropReason.FILE_TABLE_FULL)
        shelf.add(manifest)
        self._found(manifest, now)

    def _open(self, space: FileSpace, manifest: Manifest, author: bytes, data: bytes) -> None:
        opened = space.open(author, data)
        if opened is None:
            return
        secret = decode_file_secret(opened.payload)
        if sealed_size(secret.size) != manifest.clear.size:
            raise WireError("sizes of a file")
        manifest.time_s = opened.time_s
        manifest.key, manifest.name = secret.key, secret.name
        manifest.size, manifest.media_type = secret.size, secret.media_type
