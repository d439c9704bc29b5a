"""A relay's files: taken within its quota, whole, and named to peers once they are on disk.

Enters: manifests of spaces that this node only carries, ends of fetches, commits. Leaves: fetches,
rows that remember what was promised, HELD. A file is promised before its first byte is taken, and
refused when it does not fit. Half of the quota is divided among the spaces, and each space's part
among its authors; the other half is for whoever comes first. A size is only a claim: a promise to
which nothing came in `TRIES_MAX` tries shrinks to what is here, and grows again with news. What was
taken is never thrown out.
"""

from collections import Counter, deque
from collections.abc import Callable

from meshd.core.context import Context
from meshd.core.crypto import KEY_LEN
from meshd.core.drops import DropReason
from meshd.core.events import MetaRow, Notice, StoreImage
from meshd.core.ids import encode_text
from meshd.sync.files.catalogue import Catalogue, Manifest
from meshd.sync.files.fetch import Fetcher
from meshd.sync.files.jobs import Fetch
from meshd.sync.files.layout import disk_size
from meshd.wire.file_messages import NAME_LEN, ROOTS_MAX, Held

PREFIX = "file/"
FETCHES_MAX = 2
"""Files that a relay gathers at a time."""
PROMISES_MAX = 20_000
"""Files kept, however small they are; a further one is refused."""
TRIES_MAX = 6
"""Tries that bring nothing, after which a promise shrinks; with their pauses, half an hour."""
PATIENCE_US = 30_000_000
AGAIN_FIRST_US = 30_000_000
AGAIN_LAST_US = 600_000_000
"""Pauses before a file is tried again that nobody had; news of it end the pause."""

_ROW_LENS = (9, 9 + KEY_LEN)
"""Whole or not, bytes; then whose it is, which older rows do not say."""
_File = tuple[bytes, bytes]
_Author = tuple[bytes, bytes]


class _Promise:
    """One file in the quota: whose it is, bytes counted, whether all of it is here, how long the
    next pause is, what was here after the last try and how many tries brought nothing."""

    __slots__ = ("again_us", "author", "complete", "here", "size", "tries", "wanted")

    def __init__(self, author: bytes, size: int, *, complete: bool) -> None:
        self.author = author
        self.size = size
        self.complete = complete
        self.wanted = False
        self.again_us = AGAIN_FIRST_US
        self.here = 0
        self.tries = 0


class Keeper:
    """What this relay promised to keep. `authors` returns how many authors each space has that this
    node carries.
    """

    def __init__(
        self,
        ctx: Context,
        fetcher: Fetcher,
        catalogue: Catalogue,
        tell: Callable[[bytes, Held], None],
        *,
        authors: Callable[[], dict[bytes, int]],
    ) -> None:
        self._ctx = ctx
        self._fetcher = fetcher
        self._catalogue = catalogue
        self._tell = tell
        self.quota_bytes = 0
        self._authors = authors
        self._promises: dict[_File, _Promise] = {}
        self._used: Counter[_Author] = Counter()
        self._full: set[_Author] = set()
        self._queue: deque[_File] = deque()
        self._active: dict[int, _File] = {}
        self._commits: dict[int, tuple[_File, bool]] = {}

    @property
    def used_bytes(self) -> int:
        """Bytes that are promised, here already or not."""
        return self._used.total()

    def load(self, image: StoreImage) -> None:
        """Take up the promises that the store remembers."""
        self._commits.clear()
        self._promises = {}
        self._used.clear()
        self._full.clear()
        for key, value in image.metas.items():
            if key.startswith(PREFIX) and len(value) in _ROW_LENS:
                name = bytes.fromhex(key.removeprefix(PREFIX))
                file = (name[:NAME_LEN], name[NAME_LEN:])
                size, author = int.from_bytes(value[1:9], "big"), value[9:]
                self._promises[file] = _Promise(author, size, complete=bool(value[0]))
                self._used[file[0], author] += size

    def found(self, manifest: Manifest, now: int) -> None:
        """Judge a file of a space that this node carries."""
        file = (manifest.space, manifest.clear.root)
        promise = self._promises.get(file)
        if promise is not None:
            self._want(file, now)
        elif not self._promise(manifest, 0):
            self._ctx.drop(DropReason.FILE_QUOTA)
            fields: dict[str, object] = {"file": manifest.text, "bytes": disk_size(manifest.clear)}
            self._ctx.emit(Notice("file-refused", fields))

    def lacks(self, space: bytes, root: bytes) -> bool:
        """Tell whether a file is promised and not here yet."""
        promise = self._promises.get((space, root))
        return promise is not None and not promise.complete

    def set_quota(self, quota_bytes: int) -> None:
        """Change the quota; what is promised stays."""
        self.quota_bytes = quota_bytes
        self._full.clear()

    def news(self, space: bytes, root: bytes, now: int) -> None:
        """Somebody has something of a file: do not wait any longer, promise it again."""
        if (space, root) in self._promises:
            self._want((space, root), now)
            return
        manifest = self._catalogue.get(space, root)
        if manifest is not None and space in self._authors():
            self._promise_again(manifest)

    def lost(self, space: bytes, root: bytes, now: int) -> None:
        """A chunk of a file was not there, or torn: it is not kept until it is whole again."""
        promise = self._promises.get((space, root))
        if promise is not None and promise.complete:
            promise.complete = promise.wanted = False
            fields: dict[str, object] = {"file": encode_text(root)}
            self._ctx.emit(Notice("file-damaged", fields, warning=True))
            self._remember((space, root), promise)

    def again(self, space: bytes, root: bytes, now: int) -> None:
        """A pause is over."""
        self.news(space, root, now)

    def space_shared(self, session: int, space: bytes, now: int) -> tuple[Held, ...]:
        """A peer shares a space: want what it may have; return what it should hear."""
        roots = [root for (known, root), kept in self._promises.items() if known == space]
        whole = [root for root in roots if self._promises[space, root].complete]
        for root in roots:
            self._want((space, root), now)
        starts = range(0, len(whole), ROOTS_MAX)
        return tuple(Held(space, tuple(whole[start : start + ROOTS_MAX])) for start in starts)

    def fetched(self, fetch: Fetch, now: int) -> None:
        """All chunks of a file are on disk: write that down, then say so."""
        file = self._active.pop(fetch.id)
        promise = self._promises.get(file)
        if promise is not None:
            promise.complete = True
            self._remember(file, promise)
        self._next(now)

    def gave_up(self, fetch: Fetch, now: int, *, starved: bool = False) -> None:
        """Nobody has it, or the store failed: try again later, with growing pauses."""
        file = self._active.pop(fetch.id)
        promise = self._promises.get(file)
        if promise is not None:
            promise.wanted = False
            more = fetch.disk_bytes > promise.here
            promise.here = max(promise.here, fetch.disk_bytes)
            promise.tries = 0 if more else promise.tries + starved
        if promise is not None and promise.tries >= TRIES_MAX:
            self._shrink(file, promise)
        elif promise is not None:
            self._ctx.timers.set(("files", "again", *file), now + promise.again_us)
            promise.again_us = min(AGAIN_LAST_US, 2 * promise.again_us)
        self._next(now)

    def committed(self, up_to: int, now: int) -> None:
        """Promises are on disk: begin, or tell peers that a file is kept."""
        for number in [number for number in self._commits if number <= up_to]:
            file, complete = self._commits.pop(number)
            if complete:
                self._tell(file[0], Held(file[0], (file[1],)))
            else:
                self._want(file, now)

    def commit_failed(self, number: int) -> None:
        """A promise is not on disk; `load` comes next."""
        self._commits.pop(number, None)

    def _promise(self, manifest: Manifest, tries: int) -> bool:
        """Promise a file when there is room for it; what is here of it counts already."""
        file, size = (manifest.space, manifest.clear.root), disk_size(manifest.clear)
        old = self._promises.get(file)
        whose = (manifest.space, old.author if old else manifest.author)
        more = size - (old.size if old else 0)
        full = old is None and len(self._promises) >= PROMISES_MAX
        if full or not self._fits(whose, more):
            self._full.add(whose)
            return False
        promise = self._promises[file] = _Promise(whose[1], size, complete=False)
        promise.here, promise.tries = old.here if old else 0, tries
        self._used[whose] += more
        self._remember(file, promise)
        return True

    def _promise_again(self, manifest: Manifest) -> None:
        """Promise a file that was refused or shrank; a single try without bytes ends that."""
        if (manifest.space, manifest.author) not in self._full:
            self._promise(manifest, TRIES_MAX - 1)

    def _fits(self, whose: _Author, more: int) -> bool:
        """Tell whether an author's part of the quota, or the half without parts, has room."""
        if self.used_bytes + more > self.quota_bytes:
            return False
        authors, half = self._authors(), self.quota_bytes // 2
        over = {}
        for each in {*self._used, whose}:
            part = half // max(1, len(authors)) // max(1, authors.get(each[0], 1))
            over[each] = max(0, self._used[each] + more * (each == whose) - part)
        return not over[whose] or sum(over.values()) <= self.quota_bytes - half

    def _shrink(self, file: _File, promise: _Promise) -> None:
        """Count only what is here of a file, so that others find room; forget an empty promise."""
        self._used[file[0], promise.author] -= promise.size - promise.here
        self._full.clear()
        promise.size = promise.here
        if not promise.size:
            del self._promises[file]
        self._append(file, promise)

    def _append(self, file: _File, promise: _Promise) -> int:
        value = bytes([promise.complete]) + promise.size.to_bytes(8, "big") + promise.author
        key = PREFIX + (file[0] + file[1]).hex()
        return self._ctx.append((MetaRow(key, value if promise.size else None),))

    def _remember(self, file: _File, promise: _Promise) -> None:
        self._commits[self._append(file, promise)] = (file, promise.complete)

    def _want(self, file: _File, now: int) -> None:
        promise, manifest = self._promises.get(file), self._catalogue.get(*file)
        if promise is None or manifest is None or promise.complete or promise.wanted:
            return
        if promise.size < disk_size(manifest.clear):
            self._promise_again(manifest)
            return
        promise.wanted = True
        self._ctx.timers.cancel(("files", "again", *file))
        self._queue.append(file)
        self._next(now)

    def _next(self, now: int) -> None:
        while self._queue and len(self._active) < FETCHES_MAX:
            file = self._queue.popleft()
            promise = self._promises.get(file)
            manifest = self._catalogue.get(*file)
            if promise is None or manifest is None:
                if promise is not None:
                    promise.wanted = False
                continue
            fetch = self._fetcher.new(manifest)
            fetch.patience_us = PATIENCE_US
            self._active[fetch.id] = file
            self._fetcher.start(fetch, now)
