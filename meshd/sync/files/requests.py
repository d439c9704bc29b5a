"""What people ask of files: put one, get one, list them; and the answers, when they come.

Enters: local requests, the ends of fetches that were started here. Leaves: puts, fetches, replies
and progress. Must not know: sessions, what a relay keeps. Ref: docs/wire-format.md#files.
"""

from collections.abc import Callable
from functools import partial

from meshd.core.context import Context
from meshd.core.errors import Exit, RequestError, WireError
from meshd.core.events import Answer, Progress, Reply, SyncFileQuery
from meshd.space.entries import Draft
from meshd.sync.files.air.files import AirFiles
from meshd.sync.files.catalogue import Catalogue, Manifest
from meshd.sync.files.fetch import Fetcher
from meshd.sync.files.jobs import Fetch, Target
from meshd.sync.files.layout import FILE_BYTES_MAX
from meshd.sync.files.ports import FileSpaces
from meshd.sync.files.put import Puts
from meshd.sync.reads import Reads
from meshd.wire.payload import FILE_NAME_MAX, FileSecret, decode_file_secret

GETS_MAX = 8
WAIT_S = 30
WAIT_MAX_S = 3600
Args = dict[str, object]
_WAITS = "waits for a node that has it: none is connected"


class FileRequests:
    """The puts and gets of one node's people."""

    def __init__(
        self,
        ctx: Context,
        reads: Reads,
        spaces: FileSpaces,
        catalogue: Catalogue,
        fetcher: Fetcher,
        *,
        lora: AirFiles,
    ) -> None:
        self._ctx = ctx
        self._reads = reads
        self._spaces = spaces
        self._catalogue = catalogue
        self._fetcher = fetcher
        self._lora = lora
        self._puts = Puts(ctx, reads, self._append, written=self._put_written)
        self._gets: dict[int, Fetch] = {}
        self.verbs: dict[str, Callable[[Args, int, int], None]] = {
            "put": self._put,
            "get": self._get,
            "files": self._list,
        }

    # --- how a get goes on ------------------------------------------------------------------------

    def chunk_done(self, fetch: Fetch) -> None:
        """A chunk of a get is in place."""
        if not fetch.done:
            return
        step = max(1, fetch.manifest.clear.chunks // 100)
        if fetch.done % step == 0 or fetch.complete:
            total = fetch.manifest.size or 0
            self._ctx.emit(Progress(fetch.ticket, "bytes", min(fetch.done_bytes, total), total))

    def done(self, fetch: Fetch) -> None:
        """All chunks of a get are in place: answer once that is on disk."""
        assert fetch.target is not None
        self._reads.ask(SyncFileQuery(fetch.target.handle), partial(self._synced, fetch))

    def failed(self, fetch: Fetch, why: str) -> None:
        """The store could not go on with a get."""
        remedy = "what came is kept: run it again once that is mended"
        self._end(fetch, RequestError(why, remedy=remedy))

    def starved(self, fetch: Fetch, now: int) -> None:
        """Nobody had anything for a get for too long."""
        manifest = fetch.manifest
        waits = self._lora.states.awaits(manifest, now)
        if self._lora.comes(manifest, now) or self._lora.states.comes_by_itself(manifest, now):
            remedy = "it comes by itself: run it again then, or wait with --timeout 0"
            error = RequestError(f"not here yet: it {waits}", code=Exit.TIMEOUT, remedy=remedy)
        else:
            text = f"nobody within reach has the rest: {fetch.done} of {manifest.clear.chunks}"
            text += " chunks are here" + (f"; it {waits}" if waits else "")
            remedy = "move nearer to a member or relay of the space and run it again; it resumes"
            error = RequestError(text, code=Exit.TIMEOUT, remedy=remedy)
        self._end(fetch, error)

    def nobody_has(self, fetch: Fetch, now: int) -> None:
        """No session has what a get wants now: say what it waits for."""
        waits = self._lora.states.awaits(fetch.manifest, now) or _WAITS
        size = fetch.manifest.size or 0
        self._ctx.emit(Progress(fetch.ticket, waits, fetch.done_bytes, size))

    def _synced(self, fetch: Fetch, answer: Answer, why: str, now: int) -> None:
        if why:
            remedy = "free space where the file goes, then run it again"
            self._end(fetch, RequestError(why, remedy=remedy))
            return
        del self._gets[fetch.id]
        self._ctx.emit(Reply(fetch.ticket, _line(fetch.manifest)))

    def _end(self, fetch: Fetch, error: RequestError) -> None:
        del self._gets[fetch.id]
        self._refuse(fetch.ticket, error)

    def _refuse(self, ticket: int, error: RequestError) -> None:
        self._ctx.emit(Reply(ticket, None, error.text, int(error.code), error.remedy))

    # --- requests ---------------------------------------------------------------------------------

    def _put(self, args: Args, ticket: int, now: int) -> None:
        """put: space, name, size, handle, media_type: seal an open file into a space."""
        space = self._spaces.find(_text(args, "space"))
        if space.carries_only or space.role == "reader":
            raise RequestError(
                f"this node is {space.role} in {space.name or 'this space'} and may not put files",
                code=Exit.DENIED,
                remedy="ask an admin of the space for the role writer",
            )
        size = _number(args, "size", 0, FILE_BYTES_MAX)
        secret = FileSecret(
            bytes(32), size, _text(args, "name"), _text(args, "media_type", default="")
        )
        try:
            if len(secret.name.encode()) > FILE_NAME_MAX:
                raise WireError("file name length")
            decode_file_secret(secret.encode())
        except (WireError, UnicodeEncodeError) as error:
            raise RequestError(
                f"{secret.name!r} cannot be the name of a file in a space",
                code=Exit.USAGE,
                remedy="use a name of at most 255 bytes without slashes and control characters",
            ) from error
        handle = _number(args, "handle", 0, 2**63)
        self._puts.start(space.id, secret, handle, ticket)

    def _get(self, args: Args, ticket: int, now: int) -> None:
        """get: space, name (or id), handle, wait_s: gather a file into an open file."""
        space = self._spaces.find(_text(args, "space"))
        wanted = _text(args, "name")
        handle = _number(args, "handle", 0, 2**63)
        wait_s = _number(args, "wait_s", 0, WAIT_MAX_S, default=0)
        if space.carries_only:
            raise RequestError(
                "this node is a relay of the space: it carries files and cannot read them",
                code=Exit.DENIED,
                remedy="run it on a member's device",
            )

        def start(at: int) -> None:
            manifest = self._catalogue.find(space.id, wanted)
            try:
                self._start_get(manifest, wanted, handle, ticket, wait_s=wait_s, now=at)
            except RequestError as error:
                self._refuse(ticket, error)

        self._watch(space.id, now, start)

    def _start_get(
        self,
        manifest: Manifest | None,
        wanted: str,
        handle: int,
        ticket: int,
        *,
        wait_s: int,
        now: int,
    ) -> None:
        if manifest is None or manifest.key is None:
            raise RequestError(
                f"no file {wanted!r} is known here",
                code=Exit.NOT_FOUND,
                remedy="`meshd get SPACE` lists what is known; a new file needs a moment to sync",
            )
        if len(self._gets) >= GETS_MAX:
            raise RequestError(
                f"{GETS_MAX} files are being fetched already",
                code=Exit.TEMPORARY,
                remedy="try again when one of them is done",
            )
        fetch = self._fetcher.new(manifest, Target(handle, manifest.key), ticket)
        fetch.patience_us = (wait_s or WAIT_S) * 1_000_000
        fetch.patient = not wait_s  # who names no time waits as long as it comes
        self._gets[fetch.id] = fetch
        self._fetcher.start(fetch, now)

    def _list(self, args: Args, ticket: int, now: int) -> None:
        """files: space: the files that are known."""
        space = self._spaces.find(_text(args, "space"))

        def answer(at: int) -> None:
            known = self._catalogue.all(space.id)
            states = self._lora.states.all(known, at)
            lines = [_line(one) | state for one, state in zip(known, states, strict=True)]
            self._ctx.emit(Reply(ticket, {"files": lines}))

        def look(at: int) -> None:
            self._lora.survey(self._catalogue.all(space.id), answer, at)

        self._watch(space.id, now, look)

    def _watch(self, space: bytes, now: int, then: Callable[[int], None]) -> None:
        if not self._catalogue.watch(space, now, then):
            raise RequestError(
                "the files of the space are still being read",
                code=Exit.TEMPORARY,
                remedy="try again in a moment",
            )

    def _append(
        self, space_id: bytes, draft: Draft, now: int, done: Callable[[str, int], None]
    ) -> int:
        space = self._spaces.get(space_id)
        if space is None:
            raise RequestError("the space is gone", code=Exit.NOT_FOUND)
        return self._spaces.append(space, draft, now, done)

    def _put_written(self, space: bytes, root: bytes, size: int, now: int) -> dict[str, object]:
        """Offer a file that was put here; return what is said of its way."""

        def hold(at: int) -> None:
            manifest = self._catalogue.get(space, root)
            if manifest is not None:
                self._lora.holds(manifest, at, first=True)

        if self._lora.used:
            self._catalogue.watch(space, now, hold)
        waits = self._lora.waits_of(space, size, now)
        goes = self._lora.goes(space, size, now)
        said = {"waits": waits, "goes": goes}
        return {key: text for key, text in said.items() if text}


def _line(manifest: Manifest) -> dict[str, object]:
    """Return a file as people and scripts see it; what this node cannot read is absent."""
    line: dict[str, object] = {
        "file": manifest.text,
        "name": manifest.name,
        "size": manifest.size,
        "chunks": manifest.clear.chunks,
        "author": manifest.author.hex(),
        "seq": manifest.seq,
        "time_s": manifest.time_s or None,
        "kept_by": len(manifest.held_by),
    }
    return {key: value for key, value in line.items() if value is not None}


def _text(args: Args, key: str, *, default: str | None = None) -> str:
    value = args.get(key, default)
    if not isinstance(value, str) or (not value and default is None):
        raise RequestError(f"{key} is missing or no text", code=Exit.USAGE)
    return value


def _number(args: Args, key: str, low: int, high: int, *, default: int | None = None) -> int:
    value = args.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise RequestError(f"{key} must be a whole number, {low} to {high}", code=Exit.USAGE)
    return value
