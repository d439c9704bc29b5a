"""Files of spaces: put, get, list, serve to peers that share the space, keep as a relay.

Enters: local requests, sessions and their file messages, answers of the store, space events.
Leaves: records and bulks for sessions, store queries, FILE entries, replies. This file only orders
calls: catalogue (what files there are), file_put, file_fetch, file_serving, file_keeping.
Must not know: how sessions encrypt, how spaces judge. Ref: docs/wire-format.md#files.
"""

from collections.abc import Callable, Sequence
from functools import partial

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import Exit, RequestError, WireError
from meshd.core.events import Answer, Progress, Reply, StoreImage, SyncFileQuery
from meshd.core.timers import Key
from meshd.space.entries import Draft
from meshd.space.feed import EntryApplied, EntryDurable, SpaceEvent
from meshd.sync.air_file_place import AirFilesPlace
from meshd.sync.air_files import AirFiles
from meshd.sync.catalogue import HOLDERS_MAX, Catalogue, Manifest
from meshd.sync.file_fetch import Fetcher
from meshd.sync.file_jobs import Fetch, Target
from meshd.sync.file_keeping import Keeper
from meshd.sync.file_layout import FILE_BYTES_MAX
from meshd.sync.file_ports import FileSessions, FileSpaces
from meshd.sync.file_put import Puts
from meshd.sync.file_serving import Serving
from meshd.sync.reads import Reads
from meshd.wire import file_messages as wire
from meshd.wire.payload import FILE_NAME_MAX, FileSecret, decode_file_secret

GETS_MAX = 8
EARLY_MAX = 16
"""Messages of one session about spaces that it is about to share; a further one is dropped."""
WAIT_S = 30
WAIT_MAX_S = 3600
Args = dict[str, object]


class Files:
    """The files of one node.

    `seek(space, likely, now)` is called when no session has what a get needs, with the nodes that
    should have it; `gave(space, node, now)` when a node gave a part of it.
    """

    def __init__(
        self,
        ctx: Context,
        spaces: FileSpaces,
        sessions: FileSessions,
        *,
        image: StoreImage,
        quota_bytes: int = 0,
    ) -> None:
        self._ctx = ctx
        self._spaces = spaces
        self._sessions = sessions
        self.seek: Callable[[bytes, Sequence[bytes], int], None] | None = None
        self.gave: Callable[[bytes, bytes, int], None] | None = None
        self._reads = reads = Reads(ctx, "files")
        self._catalogue = Catalogue(ctx, spaces, reads, self._found)
        self._serving = Serving(ctx, sessions, self._catalogue, reads, lost=self._lost)
        self._fetcher = Fetcher(ctx, sessions, reads, self)
        self._puts = Puts(ctx, reads, self._append, written=self._put_written)
        self._keeper = Keeper(
            ctx, self._fetcher, self._catalogue, self._relay_fetch, self._tell_held
        )
        self._keeper.quota_bytes = quota_bytes
        self._keeper.authors = self._authors
        self._keeper.load(image)
        self._shared: dict[int, set[bytes]] = {}
        self._nodes: dict[int, bytes] = {}
        self.lora = AirFiles(ctx, reads, self._catalogue, AirFilesPlace(spaces, self))
        self._early: dict[int, list[tuple[bytes, bytes]]] = {}
        self._gets: dict[int, Fetch] = {}
        self._fetches = 0
        self.requests: dict[str, Callable[[Args, int, int], None]] = {
            "put": self._put,
            "get": self._get,
            "files": self._list,
        }

    @property
    def kept_bytes(self) -> int:
        """Bytes that this node promised to keep as a relay."""
        return self._keeper.used_bytes

    def set_quota(self, quota_bytes: int) -> None:
        """Change how many bytes of files this node keeps as a relay; what is kept stays."""
        self._keeper.set_quota(quota_bytes)

    # --- sessions ---------------------------------------------------------------------------------

    def share_opened(self, session: int, space: bytes, now: int, *, node: bytes = b"") -> None:
        """A space is shared on a session from now on; `node` is who is at its other end."""
        self._shared.setdefault(session, set()).add(space)
        self._nodes[session] = node
        self._serving.session_up(session)
        self._fetcher.session_up(session, {space}, now)
        known = self._spaces.get(space)
        if known is not None and known.carries_only:
            self._catalogue.watch(space, now)
        for message in self._keeper.space_shared(session, space, now):
            self._sessions.send(session, message.encode())
        early = self._early.pop(session, [])
        for record in [record for about, record in early if about == space]:
            self.record(session, record, now)
        if left := [item for item in early if item[0] != space]:
            self._early[session] = left

    def session_down(self, session: int, now: int) -> None:
        """A session is over."""
        self._early.pop(session, None)
        if self._shared.pop(session, None) is not None:
            del self._nodes[session]
            self._serving.session_down(session, now)
            self._fetcher.session_down(session, now)

    def session_room(self, session: int, now: int) -> None:
        """A session has room again."""
        if session in self._shared:
            self._serving.room(session, now)
            self._fetcher.room(now)

    def record(self, session: int, data: bytes, now: int) -> None:
        """Take a record of the types 32 to 47."""
        try:
            message = wire.decode(data)
        except WireError:
            self._ctx.drop(DropReason.FILE_MALFORMED)
            return
        shared = self._shared.get(session)
        space = message.space if isinstance(message, wire.Ask | wire.Offer | wire.Held) else None
        if space is not None and (shared is None or space not in shared):
            self._keep_early(session, space, data)
        elif shared is None:
            self._ctx.drop(DropReason.FILE_UNSHARED)
        else:
            self._message(session, message, now)

    def _keep_early(self, session: int, space: bytes, record: bytes) -> None:
        """Keep what came before the share was opened here: the peer opened it a moment earlier."""
        early = self._early.setdefault(session, [])
        if self._spaces.get(space) is None or len(early) >= EARLY_MAX:
            self._ctx.drop(DropReason.FILE_UNSHARED)
        else:
            early.append((space, record))

    def _message(self, session: int, message: wire.FileMessage, now: int) -> None:
        match message:
            case wire.Ask():
                self._catalogue.watch(message.space, now)
                self._serving.ask(session, message, now)
            case wire.Missing(requests):
                self._fetcher.missing(session, requests, now)
            case wire.Cancel(requests):
                self._serving.cancel(session, requests, now)
            case wire.Offer():
                self._keeper.news(message.space, message.root, now)
                self._fetcher.offer(session, message, now)
            case wire.Held(space_id, roots):
                for root in roots:
                    self._keeper.news(space_id, root, now)
                self._fetcher.held(session, space_id, roots, now)
                holder = partial(self._note_held, self._nodes[session], space_id, roots)
                if not self._catalogue.watch(space_id, now, holder):
                    self._ctx.drop(DropReason.FILE_TABLE_FULL)

    def bulk(self, session: int, head: bytes, data: bytes, now: int) -> None:
        """Take a piece of a chunk: its head is authentic, its bytes are not."""
        if session not in self._shared:
            self._ctx.drop(DropReason.FILE_UNSHARED)
            return
        try:
            piece = wire.decode_piece(head, len(data))
        except WireError:
            self._ctx.drop(DropReason.FILE_MALFORMED)
            return
        self._fetcher.piece(session, piece, data, now)

    # --- spaces, store, time ----------------------------------------------------------------------

    def space_event(self, event: SpaceEvent, now: int) -> None:
        """Learn of new manifests."""
        if isinstance(event, EntryApplied):
            self.entry_applied(event.space, event.author, event.seq, now, data=event.data)
        elif isinstance(event, EntryDurable):
            self.entry_applied(event.space, event.author, event.seq, now)

    def entry_applied(
        self, space: bytes, author: bytes, seq: int, now: int, *, data: bytes = b""
    ) -> None:
        """A verified entry became part of a space."""
        self._catalogue.applied(space, author, seq, data, now)

    def committed(self, up_to: int, now: int) -> None:
        """All appends up to this number are on disk."""
        self._keeper.committed(up_to, now)

    def commit_failed(self, number: int, why: str, now: int) -> None:
        """This append is not on disk; `reload` follows."""
        self._keeper.commit_failed(number)

    def reload(self, image: StoreImage, now: int) -> None:
        """Go on from what the store really holds."""
        self._keeper.load(image)
        self._catalogue.reload(now)

    def read_done(self, token: int, answer: Answer, now: int) -> None:
        """Take an answer of the store."""
        self._reads.done(token, answer, now)

    def read_failed(self, token: int, why: str, now: int) -> None:
        """A question to the store has failed."""
        self._reads.failed(token, why, now)

    def handle_timer(self, key: Key, now: int) -> None:
        """Act on a deadline of ours."""
        match key[1:]:
            case ("stall", int(session)):
                self._serving.stalled(session, now)
            case ("quiet", int(session)):
                self._fetcher.quiet(session, now)
            case ("retry", int(number)):
                self._fetcher.retry(number, now)
            case ("again", bytes(space), bytes(root)):
                self._keeper.again(space, root, now)
            case ("air",):
                self.lora.handle_timer(now)

    # --- files by LoRa ----------------------------------------------------------------------------

    def lacks(self, space: bytes, root: bytes) -> bool:
        """Tell whether this node promised a file as a relay, and lacks it."""
        return self._keeper.lacks(space, root)

    def givers(self, space: bytes) -> set[bytes]:
        """Return the nodes with which a space is shared now."""
        shared = self._shared.items()
        return {self._nodes[session] for session, spaces in shared if space in spaces}

    def came(self, space: bytes, root: bytes, now: int) -> None:
        """A file came by air: others may be waiting for it, people too."""
        self._serving.known(space, root)
        self._fetcher.look_again(space, root, now)
        self._keeper.news(space, root, now)

    # --- fetches (FetchOwner) ---------------------------------------------------------------------

    def chunk_done(self, fetch: Fetch, address: int, now: int) -> None:
        """A chunk is held: others may be waiting for it, people too."""
        manifest = fetch.manifest
        self._serving.held(manifest.space, manifest.clear.root, address)
        if fetch.target is None or not fetch.done:
            return
        step = max(1, manifest.clear.chunks // 100)
        if fetch.done % step == 0 or fetch.complete:
            total = manifest.size or 0
            self._ctx.emit(Progress(fetch.ticket, "bytes", min(fetch.done_bytes, total), total))

    def fetch_done(self, fetch: Fetch, now: int) -> None:
        """All chunks are in place."""
        self.lora.holds(fetch.manifest, now)
        if fetch.target is None:
            self._keeper.fetched(fetch, now)
        else:
            self._reads.ask(SyncFileQuery(fetch.target.handle), partial(self._synced, fetch))

    def fetch_failed(self, fetch: Fetch, why: str, now: int) -> None:
        """The store could not go on."""
        if fetch.target is None:
            self._keeper.gave_up(fetch, now)
        else:
            remedy = "what came is kept: run it again once that is mended"
            self._end_get(fetch, RequestError(why, remedy=remedy))

    def fetch_starved(self, fetch: Fetch, now: int) -> None:
        """Nobody had anything for too long."""
        if fetch.target is None:
            self._keeper.gave_up(fetch, now, starved=True)
            return
        chunks = fetch.manifest.clear.chunks
        text = f"nobody within reach has the rest: {fetch.done} of {chunks} chunks are here"
        remedy = "move nearer to a member or relay of the space and run it again; it resumes"
        if waits := self.lora.waits(fetch.manifest, now):
            text = f"{text}; it {waits}"
        self._end_get(fetch, RequestError(text, code=Exit.TIMEOUT, remedy=remedy))

    def nobody_has(self, fetch: Fetch, now: int) -> None:
        """No session has what is wanted now: a get looks further away, with its author first."""
        manifest = fetch.manifest
        space = self._spaces.get(manifest.space)
        self.lora.seek(manifest, now)
        if fetch.target is not None and (waits := self.lora.waits(manifest, now)):
            self._ctx.emit(Progress(fetch.ticket, waits, fetch.done_bytes, manifest.size or 0))
        if fetch.target is not None and self.seek is not None and space is not None:
            likely = (space.node_of(manifest.author), *sorted(manifest.held_by))
            self.seek(manifest.space, likely, now)

    def piece_came(self, fetch: Fetch, session: int, now: int) -> None:
        """Who gives to a get is still needed, however long that takes."""
        if fetch.target is not None and self.gave is not None:
            self.gave(fetch.manifest.space, self._nodes.get(session, b""), now)

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
        wait_s = _number(args, "wait_s", 1, WAIT_MAX_S, default=WAIT_S)
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
        fetch = self._new_fetch(manifest, Target(handle, manifest.key), ticket)
        fetch.patience_us = wait_s * 1_000_000
        self._gets[fetch.id] = fetch
        self._fetcher.start(fetch, now)

    def _list(self, args: Args, ticket: int, now: int) -> None:
        """files: space: the files that are known."""
        space = self._spaces.find(_text(args, "space"))

        def answer(at: int) -> None:
            known = self._catalogue.all(space.id)
            lines = [_line(manifest) | self.lora.state(manifest, at) for manifest in known]
            self._ctx.emit(Reply(ticket, {"files": lines}))

        def look(at: int) -> None:
            self.lora.survey(self._catalogue.all(space.id), answer, at)

        self._watch(space.id, now, look)

    # --- inside -----------------------------------------------------------------------------------

    def _put_written(self, space: bytes, root: bytes, size: int, now: int) -> str:
        def hold(at: int) -> None:
            manifest = self._catalogue.get(space, root)
            if manifest is not None:
                self.lora.holds(manifest, at, first=True)

        if self.lora.used:
            self._catalogue.watch(space, now, hold)
        return self.lora.waits_of(size, now)

    def _found(self, manifest: Manifest, now: int) -> None:
        self.lora.found(manifest, now)
        self._serving.known(manifest.space, manifest.clear.root)
        space = self._spaces.get(manifest.space)
        if space is not None and space.carries_only:
            self._keeper.found(manifest, now)

    def _authors(self) -> dict[bytes, int]:
        """Return how many authors each space has that this node carries."""
        carried = [space for space in self._spaces.all() if space.carries_only]
        return {space.id: len(space.feeds) for space in carried}

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

    def _lost(self, manifest: Manifest, now: int) -> None:
        self._keeper.lost(manifest.space, manifest.clear.root, now)

    def _new_fetch(self, manifest: Manifest, target: Target | None, ticket: int) -> Fetch:
        self._fetches += 1
        return Fetch(self._fetches, manifest, target, ticket)

    def _relay_fetch(self, manifest: Manifest) -> Fetch:
        return self._new_fetch(manifest, None, 0)

    def _tell_held(self, space: bytes, message: wire.Held) -> None:
        for session, spaces in self._shared.items():
            if space in spaces:
                self._sessions.send(session, message.encode())

    def _note_held(self, node: bytes, space: bytes, roots: tuple[bytes, ...], now: int) -> None:
        for root in roots:
            manifest = self._catalogue.get(space, root)
            if manifest is not None and node and len(manifest.held_by) < HOLDERS_MAX:
                manifest.held_by.add(node)

    def _synced(self, fetch: Fetch, answer: Answer, why: str, now: int) -> None:
        if why:
            remedy = "free space where the file goes, then run it again"
            self._end_get(fetch, RequestError(why, remedy=remedy))
            return
        del self._gets[fetch.id]
        self._ctx.emit(Reply(fetch.ticket, _line(fetch.manifest)))

    def _end_get(self, fetch: Fetch, error: RequestError) -> None:
        del self._gets[fetch.id]
        self._refuse(fetch.ticket, error)

    def _refuse(self, ticket: int, error: RequestError) -> None:
        self._ctx.emit(Reply(ticket, None, error.text, int(error.code), error.remedy))


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
