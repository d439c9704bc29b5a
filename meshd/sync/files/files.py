"""Files of spaces: put, get, list, serve to peers that share the space, keep as a relay.

Enters: local requests, sessions and their file messages, answers of the store, space events.
Leaves: records and bulks for sessions, store queries, FILE entries, replies. This file only orders
calls: `catalogue` (what files there are), `requests`, `fetch`, `serving`, `keeping`.
Must not know: how sessions encrypt, how spaces judge. Ref: docs/wire-format.md#files.
"""

from collections.abc import Callable, Sequence
from functools import partial

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.events import Answer, StoreImage
from meshd.core.timers import Key
from meshd.space.feed import EntryApplied, EntryDurable, SpaceEvent
from meshd.sync.files.air.files import AirFiles
from meshd.sync.files.air.place import AirFilesPlace
from meshd.sync.files.catalogue import HOLDERS_MAX, Catalogue, Manifest
from meshd.sync.files.fetch import Fetcher
from meshd.sync.files.jobs import Fetch
from meshd.sync.files.keeping import Keeper
from meshd.sync.files.ports import FileRadios, FileSessions, FileSpaces
from meshd.sync.files.requests import FileRequests
from meshd.sync.files.serving import Serving
from meshd.sync.reads import Reads
from meshd.wire import file_messages as wire

EARLY_MAX = 16
"""Messages of one session about spaces that it is about to share; a further one is dropped."""


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
        air: FileRadios,
        *,
        image: StoreImage,
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
        self._keeper = Keeper(
            ctx, self._fetcher, self._catalogue, self._tell_held, authors=self._authors
        )
        self._keeper.load(image)
        self._shared: dict[int, set[bytes]] = {}
        self._nodes: dict[int, bytes] = {}
        self.lora = AirFiles(
            ctx, reads, self._catalogue, AirFilesPlace(spaces, self), air, image=image
        )
        self._early: dict[int, list[tuple[bytes, bytes]]] = {}
        self._requests = FileRequests(
            ctx, reads, spaces, self._catalogue, self._fetcher, lora=self.lora
        )
        self.requests = self._requests.verbs

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

    def _asked(self, session: int, ask: wire.Ask, now: int) -> None:
        """Serve an ask, once the entries that name its file are read."""
        if ask.space in self._shared.get(session, ()):
            self._serving.ask(session, ask, now)

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
                asked = partial(self._asked, session, message)
                if not self._catalogue.watch(message.space, now, asked):
                    self._asked(session, message, now)
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
        self.lora.pieces.committed(up_to)

    def commit_failed(self, number: int, why: str, now: int) -> None:
        """This append is not on disk; `reload` follows."""
        self._keeper.commit_failed(number)
        self.lora.pieces.commit_failed(number, now)

    def reload(self, image: StoreImage, now: int) -> None:
        """Go on from what the store really holds."""
        self._keeper.load(image)
        self.lora.pieces.reload(image, now)
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

    # --- fetches (FetchOwner): with a target somebody's get, without one what a relay keeps -------

    def chunk_done(self, fetch: Fetch, address: int, now: int) -> None:
        """A chunk is held: others may be waiting for it, people too."""
        manifest = fetch.manifest
        self._serving.held(manifest.space, manifest.clear.root, address)
        if fetch.target is not None:
            self._requests.chunk_done(fetch)

    def fetch_done(self, fetch: Fetch, now: int) -> None:
        """All chunks are in place."""
        self.lora.holds(fetch.manifest, now)
        if fetch.target is None:
            self._keeper.fetched(fetch, now)
        else:
            self._requests.done(fetch)

    def fetch_failed(self, fetch: Fetch, why: str, now: int) -> None:
        """The store could not go on."""
        if fetch.target is None:
            self._keeper.gave_up(fetch, now)
        else:
            self._requests.failed(fetch, why)

    def fetch_starved(self, fetch: Fetch, now: int) -> None:
        """Nobody had anything for too long."""
        if fetch.target is None:
            self._keeper.gave_up(fetch, now, starved=True)
        else:
            self._requests.starved(fetch, now)

    def nobody_has(self, fetch: Fetch, now: int) -> None:
        """No session has what is wanted now: a get looks further away, with its author first."""
        manifest = fetch.manifest
        self.lora.seek(manifest, now)
        if fetch.target is None:
            return
        self._requests.nobody_has(fetch, now)
        space = self._spaces.get(manifest.space)
        if self.seek is not None and space is not None:
            likely = (space.node_of(manifest.author), *sorted(manifest.held_by))
            self.seek(manifest.space, likely, now)

    def comes(self, fetch: Fetch, now: int) -> bool:
        """Tell whether a file comes by LoRa."""
        return self.lora.comes(fetch.manifest, now)

    def piece_came(self, fetch: Fetch, session: int, now: int) -> None:
        """Who gives to a get is still needed, however long that takes."""
        if fetch.target is not None and self.gave is not None:
            self.gave(fetch.manifest.space, self._nodes.get(session, b""), now)

    # --- inside -----------------------------------------------------------------------------------

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

    def _lost(self, manifest: Manifest, now: int) -> None:
        self._keeper.lost(manifest.space, manifest.clear.root, now)

    def _tell_held(self, space: bytes, message: wire.Held) -> None:
        for session, spaces in self._shared.items():
            if space in spaces:
                self._sessions.send(session, message.encode())

    def _note_held(self, node: bytes, space: bytes, roots: tuple[bytes, ...], now: int) -> None:
        for root in roots:
            manifest = self._catalogue.get(space, root)
            if manifest is not None and node and len(manifest.held_by) < HOLDERS_MAX:
                manifest.held_by.add(node)
