"""Files to many over LoRa: small ones are offered, taken and passed on; large ones wait for WiFi.

Enters: news of files that are here or wanted, items from the air, answers of the store, `now`.
Leaves: items for radios, chunks for the store, states of files for people. Offers are told by
whoever has a file as soon as it has it, and to neighbours whom the node that it came from does not
reach. What came is kept as any other chunk is. `sending` gives, `taking` takes, `rule` says which
go by LoRa. Must not know: sessions, how spaces judge.
Ref: docs/wire-format.md#lora-pieces, docs/decisions/0015-files-by-lora.md.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Protocol

from meshd.core.context import Context
from meshd.core.crypto import verify
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.events import Answer, KeepQuery, Notice, StoreImage
from meshd.core.timers import Key
from meshd.sync.files.air.blob import blob_size, chunks_in
from meshd.sync.files.air.blobs import AirBlobs
from meshd.sync.files.air.giving import Giver
from meshd.sync.files.air.holders import Told
from meshd.sync.files.air.kept import KeptPieces
from meshd.sync.files.air.looks import WHOLE_MAX, File, Looks, plain_size
from meshd.sync.files.air.seeking import Seeker
from meshd.sync.files.air.sending import Senders
from meshd.sync.files.air.states import FileStates
from meshd.sync.files.air.taking import IDLE_US, Taking, Takings
from meshd.sync.files.catalogue import HOLDERS_MAX, Catalogue, Manifest
from meshd.sync.files.ports import FileRadios
from meshd.sync.ports import LocalPort
from meshd.sync.reads import Reads
from meshd.wire import lora_pieces as wire
from meshd.wire.lora_payload import Sub

AHEAD_MAX = 8
"""Offers that came before the manifest of their file."""
BLAMED_MAX = 64
"""Nodes that signed what was no such file; they are believed no more."""
WORD_US = (3_000_000, 9_000_000)
WORDS_MAX = 32
"""How soon an author in earshot is told that his file is here, and of how many at a time."""
TIMER: Key = ("files", "air")


class AirFilesOwner(Protocol):
    """Who has the files."""

    def file_wanted(self, manifest: Manifest) -> bool:
        """Tell whether a file is to be taken from the air: nothing nearer gives it."""

    def file_near(self, manifest: Manifest) -> bool:
        """Tell whether a session leads to somebody who has a file."""

    def file_givers(self, space: bytes) -> Collection[bytes]:
        """Return the nodes with which a space is shared in a session now."""

    def file_came(self, manifest: Manifest, now: int) -> None:
        """A file came whole by air, and is on disk."""

    def file_members(self, space: bytes) -> frozenset[bytes]:
        """Return the nodes of a space's other members, as far as they are known."""

    def file_spaces(self) -> Sequence[bytes]:
        """Return the ids of all spaces."""

    def file_author(self, manifest: Manifest) -> bytes:
        """Return the node that put a file; b"" where that is not known."""

    def file_own(self, manifest: Manifest) -> bool:
        """Tell whether a file was put here."""

    def file_word(self, manifest: Manifest) -> bytes | None:
        """Return what tells its author that a file is here; None where nobody is to be told."""

    def file_told(
        self, node: bytes, body: bytes, numbered: Callable[[bytes, bytes, int], Manifest | None]
    ) -> Manifest | None:
        """Return which own file a neighbour proves to have whole. Raises: WireError."""


class AirFiles:
    """The files of one node that go by LoRa. `blobs` is how others do by the same, `states` what
    people are told.
    """

    subs = (
        *(Sub.PIECE, Sub.PIECES_WANTED, Sub.OFFER, Sub.MARKS),
        *(Sub.PIECES_LATER, Sub.FILE_HELD),
    )
    """What `local` takes."""

    def __init__(
        self,
        ctx: Context,
        reads: Reads,
        catalogue: Catalogue,
        owner: AirFilesOwner,
        air: FileRadios,
        *,
        image: StoreImage,
    ) -> None:
        self._ctx = ctx
        self._reads = reads
        self._catalogue = catalogue
        self._owner = owner
        self._air = air
        self._refs: OrderedDict[bytes, File] = OrderedDict()
        self._ahead: OrderedDict[bytes, tuple[str, bytes, wire.Offer]] = OrderedDict()
        self._blamed: OrderedDict[bytes, None] = OrderedDict()
        self._near: dict[str, frozenset[bytes]] = {}
        self._watched: set[bytes] = set()
        self._resumed = False
        self._words: dict[tuple[str, File], int] = {}
        self._told = Told()
        self._looks = looks = Looks(reads)
        self._senders = Senders(ctx, air)
        self.pieces = KeptPieces(ctx, image)
        self._takings = Takings(ctx, air, self.pieces, wrong=self._blame)
        self._giver = Giver(ctx, air, self._senders, looks, planned=self._plan)
        self._seeker = Seeker(ctx, air, lambda file: catalogue.get(*file), self._lacks)
        self.states = FileStates(
            owner,
            air,
            looks=looks,
            giver=self._giver,
            takings=self._takings,
            seeker=self._seeker,
        )
        self.blobs = AirBlobs(
            air, self._senders, self._takings, planned=self._plan, looked=self._look_around
        )

    # --- news of files ----------------------------------------------------------------------------

    def found(self, manifest: Manifest, now: int) -> None:
        """A file is known: perhaps it was offered before that."""
        ref = wire.ref_of(manifest.space, manifest.clear.root)
        self._refs[ref] = (manifest.space, manifest.clear.root)
        if len(self._refs) > WHOLE_MAX:
            self._refs.popitem(last=False)
        self._seeker.found(manifest, now)
        self._plan(now)
        ahead = self._ahead.pop(ref, None)
        if ahead is not None:
            self._offered(*ahead, now)
        for one in self.pieces.waiting():
            if one.offer.ref == ref:
                self._offered(one.link, one.node, one.offer, now)

    def holds(self, manifest: Manifest, now: int, *, first: bool = False) -> None:
        """A file is here whole: offer it to whom it may help. `first`: it was put here."""
        self._looks.note_whole(manifest)
        self._seeker.here(manifest)
        self._takings.stop(manifest.clear.root)
        self.pieces.done(wire.ref_of(manifest.space, manifest.clear.root))
        for link in self._air.links():
            self._offer(manifest, link, now)
            if not first:
                self._tell_author(manifest, link, now)
        waits = self.waits_of(manifest.space, plain_size(manifest), now) if first else ""
        if waits:
            fields: dict[str, object] = {"file": manifest.text, "why": waits}
            self._ctx.emit(Notice("file-waits", fields))
        self._plan(now)

    def seek(self, manifest: Manifest, now: int) -> None:
        """Somebody here waits for a file that no session has: ask for an offer."""
        if not self._seeker.may_seek(manifest, now) or blob_size(manifest.clear) is None:
            return
        if not self.states.may_come(manifest, now):
            return
        self._looks.forget(manifest)
        taking = self._takings.of(manifest.clear.root)
        if taking is not None:
            self._takings.start(taking, now)
        else:
            ref = wire.ref_of(manifest.space, manifest.clear.root)
            self._refs[ref] = (manifest.space, manifest.clear.root)
            self._seeker.ask(manifest, now)
        self._plan(now)

    # --- for people -------------------------------------------------------------------------------

    @property
    def used(self) -> bool:
        """Tell whether there are radios at all."""
        return bool(self._air.links())

    def waits_of(self, space: bytes, size: int, now: int) -> str:
        """Say what a file of `size` bytes waits for; "" when it goes, or nobody waits for it."""
        return self.states.waits_of(space, size, now)

    def goes(self, space: bytes, size: int, now: int) -> str:
        """Say how long a file of `size` bytes takes by LoRa; "" when it waits."""
        return self.states.goes(space, size, now)

    def survey(self, manifests: Sequence[Manifest], then: Callable[[int], None], now: int) -> None:
        """Look which of these files are here, the newest only; then call `then(now)`."""
        self._looks.survey(manifests, then, now)

    def comes(self, manifest: Manifest, now: int) -> bool:
        """Tell whether pieces of a file come by LoRa, though slowly."""
        taking = self._takings.of(manifest.clear.root)
        return taking is not None and now - taking.moved_us < IDLE_US

    # --- the air ----------------------------------------------------------------------------------

    def local(self, heard: LocalPort, now: int) -> None:
        """Take an item of a neighbour."""
        self.heard(heard.link, heard.node, heard.sub, heard.body, now)

    def heard(self, link: str, node: bytes, sub: int, body: bytes, now: int) -> None:
        """Take the parts of an item."""
        try:
            if sub == Sub.PIECE:
                piece = wire.Piece.decode(body)
                self._senders.heard(link, piece, now)
                self._takings.piece(link, piece, now)
            elif sub == Sub.MARKS:
                self._takings.marks(link, wire.Marks.decode(body), now)
            elif sub == Sub.OFFER:
                self._offer_heard(link, node, wire.Offer.decode(body), now)
            elif sub == Sub.PIECES_LATER:
                later = wire.Later.decode(body)
                self._takings.later(later, now)
                self._seeker.later(later, now)
            elif sub == Sub.FILE_HELD:
                self._told_held(node, body)
            else:
                self._wanted(link, wire.decode_wanted(body), now)
        except WireError:
            self._ctx.drop(DropReason.PIECE_MALFORMED, link)
        self._plan(now)

    def handle_timer(self, now: int) -> None:
        """Do what is due."""
        self._takings.tick(now)
        self._senders.tick(now)
        self._seeker.tick(now)
        self._giver.tick(now)
        self._say_held(now)
        self.pieces.tick(now)
        self._plan(now)

    def _plan(self, now: int) -> None:
        parts = (self._takings, self._seeker, self._giver, self.pieces)
        dues = [*(part.due_us() for part in parts), self._senders.due_us(now)]
        dues += self._words.values()
        due_us = min((due_us for due_us in dues if due_us is not None), default=None)
        if due_us is None:
            self._ctx.timers.cancel(TIMER)
        else:
            self._ctx.timers.set(TIMER, max(due_us, now + 1_000))

    def _look_around(self, link: str, neighbours: Collection[bytes], now: int) -> None:
        """See who is in earshot: who is new may have what is wanted here, or lack what is here."""
        known, near = self._near.get(link, frozenset()), frozenset(neighbours)
        self._near[link] = near
        if near and not self._resumed:
            self._resumed = True
            self._resume(now)
        if near:
            for space in self._owner.file_spaces():
                if space not in self._watched:
                    self._watched.add(space)
                    self._catalogue.watch(space, now)
        if near - known:
            self._takings.met(link, now)
            self._seeker.met(now)
            self._giver.met(link, now)
            self._plan(now)

    def _resume(self, now: int) -> None:
        """Go on with what is no file; files are gone on with when they are known."""
        for one in self.pieces.waiting():
            known = self.blobs.offered(one.link, one.node, one.offer, now)
            if known and not one.taken and not self.blobs.awaits(one.offer.ref):
                self.pieces.done(one.offer.ref)

    # --- taking -----------------------------------------------------------------------------------

    def _lacks(self, manifest: Manifest, then: Callable[[int], None]) -> bool:
        """Call `then` when a file is not here and does not come; False: it is not to be asked."""
        if self._looks.is_whole(manifest) or not self._owner.file_wanted(manifest):
            return False
        if self._takings.of(manifest.clear.root) is None and not self._looks.full:

            def looked(index: bytes | None, at: int) -> None:
                if index is None and self.states.may_come(manifest, at):
                    then(at)

            self._looks.look(manifest, looked, content=False)
        return True

    def _offer_heard(self, link: str, node: bytes, offer: wire.Offer, now: int) -> None:
        public = self._air.public_of(node)
        if node in self._blamed or public is None:
            self._ctx.drop(DropReason.PIECE_UNSIGNED, link)
            return
        if not verify(public, offer.signed, offer.signature):
            self._ctx.drop(DropReason.PIECE_UNSIGNED, link)
            return
        self._takings.heard_offer(offer.tag)
        covers = not self._air.others(link, node)
        self._senders.offered(link, offer, covers=covers)
        if covers and offer.ref in self._refs:
            self._giver.covered(link, self._refs[offer.ref])
        if self.blobs.offered(link, node, offer, now):
            return
        if self._offered(link, node, offer, now):
            return
        self._ahead[offer.ref] = (link, node, offer)
        if len(self._ahead) > AHEAD_MAX:
            self._ahead.popitem(last=False)
        for space in self._owner.file_spaces():
            self._catalogue.watch(space, now)

    def _offered(self, link: str, node: bytes, offer: wire.Offer, now: int) -> bool:
        """Take a file that is offered, if it is wanted; False when it is not known."""
        manifest = self._manifest(offer.ref)
        if manifest is None:
            return False
        if offer.size != blob_size(manifest.clear):
            self._ctx.drop(DropReason.PIECES_WRONG, link)
        elif self._looks.full:
            self._ctx.drop(DropReason.PIECES_FULL, link)
        elif self._looks.is_whole(manifest):
            if node == self._owner.file_author(manifest):
                self._tell_author(manifest, link, now)
        elif self._owner.file_wanted(manifest):
            took = partial(self._came, manifest)
            taking = Taking(link, node, offer, root=manifest.clear.root, take=took)
            taking.trusted = node in self._owner.file_members(manifest.space)
            self._looks.look(manifest, partial(self._take, taking), content=False)
        return True

    def _take(self, taking: Taking, index: bytes | None, now: int) -> None:
        if index is None:
            self._takings.start(taking, now)
            self._plan(now)
        else:
            self.pieces.done(taking.offer.ref)

    def _came(self, manifest: Manifest, taking: Taking, blob: bytes, now: int) -> bool:
        """Keep a file: what it holds first, then the index that names it."""
        chunks = chunks_in(blob, manifest.clear)
        if chunks is None:
            return False
        index, content = chunks
        last = KeepQuery(manifest.clear.root, index, True)
        kept = partial(self._kept, manifest=manifest, taking=taking)
        first = partial(kept, following=(last, kept))
        self._reads.ask(KeepQuery(index, content, True), first)
        return True

    def _kept(
        self,
        answer: Answer,
        why: str,
        now: int,
        *,
        manifest: Manifest,
        taking: Taking,
        following: tuple[KeepQuery, Callable[[Answer, str, int], None]] | None = None,
    ) -> None:
        if why or answer is not True:
            return  # the next offer finds it missing
        if following is not None:
            self._reads.ask(*following)
            return
        self._looks.note_whole(manifest)
        self._seeker.here(manifest)
        self.pieces.done(taking.offer.ref)
        fields: dict[str, object] = {"file": manifest.text, "link": taking.link}
        self._ctx.emit(Notice("file-by-lora", fields))
        self._owner.file_came(manifest, now)
        for link in self._air.links():
            reached = link == taking.link and not self._air.others(link, taking.node)
            if not reached:
                self._offer(manifest, link, now)
            self._tell_author(manifest, link, now)
        self._plan(now)

    def _tell_author(self, manifest: Manifest, link: str, now: int) -> None:
        """Tell the author of a file soon that it is here, where he is in earshot."""
        key = (link, (manifest.space, manifest.clear.root))
        if self._owner.file_author(manifest) in self._air.neighbours_of(link):
            if self._told.may(key, now) and len(self._words) < WORDS_MAX:
                self._words.setdefault(key, now + self._ctx.jitter(*WORD_US))
                self._plan(now)

    def _say_held(self, now: int) -> None:
        for (link, file), due_us in list(self._words.items()):
            if due_us <= now:
                del self._words[link, file]
                manifest = self._catalogue.get(*file)
                body = None if manifest is None else self._owner.file_word(manifest)
                if body is not None:
                    self._told.note((link, file), now)
                    self._air.tell(link, Sub.FILE_HELD, body, now, bulk=False)

    def _blame(self, taking: Taking) -> None:
        self._blamed[taking.node] = None
        if len(self._blamed) > BLAMED_MAX:
            self._blamed.popitem(last=False)

    # --- giving -----------------------------------------------------------------------------------

    def _wanted(self, link: str, wanted: wire.Wanted | wire.Sought, now: int) -> None:
        if isinstance(wanted, wire.Wanted):
            self._takings.wanted(wanted, now)
            self._senders.wanted(link, wanted, now)
            return
        manifest = self._manifest(wanted.ref)
        if manifest is not None:
            self._seeker.asked(manifest, now)
            self._offer(manifest, link, now, asked=True)
        elif wanted.ref not in self._ahead:
            for space in self._owner.file_spaces():
                self._catalogue.watch(space, now)

    def _offer(self, manifest: Manifest, link: str, now: int, *, asked: bool = False) -> None:
        first = self._owner.file_own(manifest)
        self._giver.offer(manifest, link, now, first=first, asked=asked)

    def _told_held(self, node: bytes, body: bytes) -> None:
        """Note who has an own file whole; most such words are for others."""
        manifest = self._owner.file_told(node, body, self._catalogue.numbered)
        if manifest is not None and len(manifest.whole_at) < HOLDERS_MAX:
            manifest.whole_at.add(node)

    # --- inside -----------------------------------------------------------------------------------

    def _manifest(self, ref: bytes) -> Manifest | None:
        file = self._refs.get(ref)
        return None if file is None else self._catalogue.get(*file)
