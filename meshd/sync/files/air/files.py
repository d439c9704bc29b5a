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
from typing import NamedTuple, Protocol

from meshd.core.context import Context
from meshd.core.crypto import verify
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.events import Answer, ChunkQuery, KeepQuery, Notice
from meshd.core.spans import span
from meshd.core.timers import Key
from meshd.sync.files.air.blob import blob_size, chunks_in, pack
from meshd.sync.files.air.blobs import AirBlobs
from meshd.sync.files.air.rule import Verdict, Way, judge
from meshd.sync.files.air.sending import Plan, Senders
from meshd.sync.files.air.taking import IDLE_US, Taking, Takings
from meshd.sync.files.catalogue import Catalogue, Manifest
from meshd.sync.files.ports import FileRadios
from meshd.sync.ports import LocalPort
from meshd.sync.reads import Reads
from meshd.wire import lora_pieces as wire
from meshd.wire.file_messages import NAME_LEN
from meshd.wire.lora_payload import Sub

WHOLE_MAX = 10_000
"""Files that are known to be here whole; the oldest is looked for in the store again."""
AHEAD_MAX = 8
"""Offers that came before the manifest of their file."""
BLAMED_MAX = 64
"""Nodes that signed what was no such file; they are believed no more."""
LOOKS_MAX = 16
"""Questions to the store at a time, because of what came from the air."""
SURVEY_MAX = 64
"""Files that are looked for in the store when somebody lists them."""
SOUGHT_US = 300_000_000
SOUGHT_MAX = 64
"""How soon an offer of the same file is asked for again, and for how many that is remembered."""
MISSED_US = (600_000_000, 1_200_000_000)
MISSED_MAX = 32
MISSED_ASKS = 4
"""When a file that is known and was not offered is asked for, for how many, and how often: whoever
has it may believe that its giver was heard by all."""
FIRST_US = (500_000, 3_000_000)
ONWARD_US = (10_000_000, 60_000_000)
"""How soon a file is offered that was put here, and one that came from elsewhere."""
AWAITED = "waits to be offered by LoRa: a node that has it may wait for airtime"
TIMER: Key = ("files", "air")
_File = tuple[bytes, bytes]
Then = Callable[[bytes | None, int], None]


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
        """Return the nodes of a space's members, as far as they are known."""

    def file_spaces(self) -> Sequence[bytes]:
        """Return the ids of all spaces."""


class _Look(NamedTuple):
    """A question to the store about a file: who is told, and whether its bytes are wanted."""

    manifest: Manifest
    then: Then
    content: bool


class AirFiles:
    """The files of one node that go by LoRa. `blobs` is how others do by the same."""

    subs = (Sub.PIECE, Sub.PIECES_WANTED, Sub.OFFER, Sub.MARKS)
    """What `local` takes."""

    def __init__(
        self,
        ctx: Context,
        reads: Reads,
        catalogue: Catalogue,
        owner: AirFilesOwner,
        air: FileRadios,
    ) -> None:
        self._ctx = ctx
        self._reads = reads
        self._catalogue = catalogue
        self._owner = owner
        self._air = air
        self._refs: OrderedDict[bytes, _File] = OrderedDict()
        self._whole: OrderedDict[_File, None] = OrderedDict()
        self._ahead: OrderedDict[bytes, tuple[str, bytes, wire.Offer]] = OrderedDict()
        self._blamed: OrderedDict[bytes, None] = OrderedDict()
        self._sought: OrderedDict[bytes, int] = OrderedDict()
        self._missed: OrderedDict[_File, tuple[int, int]] = OrderedDict()
        self._looks = 0
        self._senders = Senders(ctx, air)
        self._takings = Takings(ctx, air, wrong=self._blame)
        self.blobs = AirBlobs(air, self._senders, self._takings, planned=self._plan)

    # --- news of files ----------------------------------------------------------------------------

    def found(self, manifest: Manifest, now: int) -> None:
        """A file is known: perhaps it was offered before that."""
        ref = wire.ref_of(manifest.space, manifest.clear.root)
        self._refs[ref] = (manifest.space, manifest.clear.root)
        if len(self._refs) > WHOLE_MAX:
            self._refs.popitem(last=False)
        self._missed[manifest.space, manifest.clear.root] = now + self._ctx.jitter(*MISSED_US), 0
        if len(self._missed) > MISSED_MAX:
            self._missed.popitem(last=False)
        self._plan(now)
        ahead = self._ahead.pop(ref, None)
        if ahead is not None:
            self._offered(*ahead, now)

    def holds(self, manifest: Manifest, now: int, *, first: bool = False) -> None:
        """A file is here whole: offer it to whom it may help. `first`: it was put here."""
        self._note_whole(manifest)
        self._takings.stop(manifest.clear.root)
        for link in self._air.links():
            if self._air.neighbours_of(link):
                wait_us = self._ctx.jitter(*(FIRST_US if first else ONWARD_US))
                self._offer(manifest, link, now + wait_us, first=first)
        waits = self.waits_of(manifest.space, _plain_size(manifest), now) if first else ""
        if waits:
            fields: dict[str, object] = {"file": manifest.text, "why": waits}
            self._ctx.emit(Notice("file-waits", fields))

    def seek(self, manifest: Manifest, now: int) -> None:
        """Somebody here waits for a file that no session has: ask for an offer."""
        root = manifest.clear.root
        if self._sought.get(root, 0) > now or not self._goes(manifest, now):
            return
        self._sought[root] = now + SOUGHT_US
        if len(self._sought) > SOUGHT_MAX:
            self._sought.popitem(last=False)
        self._whole.pop((manifest.space, root), None)
        taking = self._takings.of(manifest.clear.root)
        if taking is not None:
            self._takings.start(taking, now)
        else:
            ref = wire.ref_of(manifest.space, manifest.clear.root)
            self._refs[ref] = (manifest.space, manifest.clear.root)
            for link in self._air.links():
                body = wire.Sought(ref).encode()
                self._air.tell(link, Sub.PIECES_WANTED, body, now, bulk=False)
        self._plan(now)

    # --- for people -------------------------------------------------------------------------------

    @property
    def used(self) -> bool:
        """Tell whether there are radios at all."""
        return bool(self._air.links())

    def waits_of(self, space: bytes, size: int, now: int) -> str:
        """Say what a file of `size` bytes waits for; "" when it goes, or nobody waits for it.

        Neighbours with whom the space is shared in a session take it there when they want it.
        """
        verdict = self._verdict(size, now, but=self._owner.file_givers(space))
        return "" if verdict is None or verdict.way is Way.LORA else verdict.text

    def goes(self, space: bytes, size: int, now: int) -> str:
        """Say how long a file of `size` bytes takes by LoRa, with what goes before it; "" when it
        waits, or nobody is there who takes it so.
        """
        verdict = self._verdict(size, now, but=self._owner.file_givers(space))
        if verdict is None or verdict.way is not Way.LORA:
            return ""
        took_us = verdict.took_us + self._senders.before_us(verdict.link, now)
        return f"{verdict.text}, {span(max(took_us // 1_000_000, 1))} at least"

    def states(self, manifests: Sequence[Manifest], now: int) -> list[dict[str, object]]:
        """Return where each file stands, for `files`: nothing where `survey` did not look."""
        old = max(0, len(manifests) - SURVEY_MAX)
        return [
            {} if at < old and not self._is_whole(one) else self._state(one, now)
            for at, one in enumerate(manifests)
        ]

    def _state(self, manifest: Manifest, now: int) -> dict[str, object]:
        if self._is_whole(manifest):
            return {"state": "here"}
        if not self.used:
            return {"state": "elsewhere"}
        taking = self._takings.of(manifest.clear.root)
        why = self.awaits(manifest, now)
        if taking is not None:
            pieces = [len(taking.pieces), taking.offer.need]
            return {"state": "coming", "pieces": pieces, "why": why}
        if self._owner.file_near(manifest):
            return {"state": "elsewhere"}
        verdict = self._verdict(_plain_size(manifest), now)
        if verdict is None:
            return {"state": "elsewhere"}
        state = Way.WIFI.value if verdict.way is Way.WIFI else "awaited"
        return {"state": state, "why": why}

    def awaits(self, manifest: Manifest, now: int) -> str:
        """Say what a file that is not here waits for; "" where LoRa has no part in that."""
        taking = self._takings.of(manifest.clear.root)
        if taking is not None:
            return taking.text(now, self._air.frame_us(taking.link))
        verdict = self._verdict(_plain_size(manifest), now)
        if verdict is None or verdict.way is Way.WIFI:
            return "" if verdict is None else verdict.text
        return AWAITED

    def comes(self, manifest: Manifest, now: int) -> bool:
        """Tell whether pieces of a file come by LoRa, though slowly."""
        taking = self._takings.of(manifest.clear.root)
        return taking is not None and now - taking.moved_us < IDLE_US

    def survey(self, manifests: Sequence[Manifest], then: Callable[[int], None], now: int) -> None:
        """Look which of these files are here, the newest only; then call `then(now)`."""
        rest = [one for one in manifests[-SURVEY_MAX:] if not self._is_whole(one)]

        def on(_: bytes | None, at: int) -> None:
            if rest:
                self._look(rest.pop(), on, content=False)
            else:
                then(at)

        on(None, now)

    def _verdict(self, size: int, now: int, but: Collection[bytes] = ()) -> Verdict | None:
        """Judge by the radios that hear somebody `but` those."""
        air = self._air
        links = [link for link in air.links() if set(air.neighbours_of(link)).difference(but)]
        budgets = [air.budget(link, now) for link in links]
        return judge(size, [one for one in budgets if one is not None])

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
            else:
                self._wanted(link, wire.decode_wanted(body), now)
        except WireError:
            self._ctx.drop(DropReason.PIECE_MALFORMED, link)
        self._plan(now)

    def handle_timer(self, now: int) -> None:
        """Do what is due."""
        self._takings.tick(now)
        self._senders.tick(now)
        self._ask_for_missed(now)
        self._plan(now)

    def _plan(self, now: int) -> None:
        missed_us = min((due_us for due_us, _ in self._missed.values()), default=None)
        dues = [self._takings.due_us(), self._senders.due_us(now), missed_us]
        due_us = min((due_us for due_us in dues if due_us is not None), default=None)
        if due_us is None:
            self._ctx.timers.cancel(TIMER)
        else:
            self._ctx.timers.set(TIMER, max(due_us, now + 1_000))

    # --- taking -----------------------------------------------------------------------------------

    def _ask_for_missed(self, now: int) -> None:
        """Ask for files that are known for long and were never offered."""
        for file, (due_us, asks) in list(self._missed.items()):
            if due_us > now:
                continue
            manifest = self._catalogue.get(*file)
            wanted = manifest is not None and self._owner.file_wanted(manifest)
            if manifest is None or not wanted or self._is_whole(manifest) or asks >= MISSED_ASKS:
                del self._missed[file]
                continue
            self._missed[file] = now + (self._ctx.jitter(*MISSED_US) << asks + 1), asks + 1
            if self._takings.of(manifest.clear.root) is None and self._looks < LOOKS_MAX:
                self._look(manifest, partial(self._seek_missing, manifest), content=False)

    def _seek_missing(self, manifest: Manifest, index: bytes | None, now: int) -> None:
        if index is None:
            self.seek(manifest, now)

    def _offer_heard(self, link: str, node: bytes, offer: wire.Offer, now: int) -> None:
        public = self._air.public_of(node)
        if node in self._blamed or public is None:
            self._ctx.drop(DropReason.PIECE_UNSIGNED, link)
            return
        if not verify(public, offer.signed, offer.signature):
            self._ctx.drop(DropReason.PIECE_UNSIGNED, link)
            return
        self._takings.heard_offer(offer.tag)
        self._senders.offered(link, offer, covers=not self._air.others(link, node))
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
        elif self._looks >= LOOKS_MAX:
            self._ctx.drop(DropReason.PIECES_FULL, link)
        elif not self._is_whole(manifest) and self._owner.file_wanted(manifest):
            took = partial(self._came, manifest)
            taking = Taking(link, node, offer, root=manifest.clear.root, take=took)
            taking.trusted = node in self._owner.file_members(manifest.space)
            self._look(manifest, partial(self._take, taking), content=False)
        return True

    def _take(self, taking: Taking, index: bytes | None, now: int) -> None:
        if index is None:
            self._takings.start(taking, now)
            self._plan(now)

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
        self._note_whole(manifest)
        fields: dict[str, object] = {"file": manifest.text, "link": taking.link}
        self._ctx.emit(Notice("file-by-lora", fields))
        self._owner.file_came(manifest, now)
        for link in self._air.links():
            reached = link == taking.link and not self._air.others(link, taking.node)
            if not reached and self._air.neighbours_of(link):
                self._offer(manifest, link, now + self._ctx.jitter(*ONWARD_US))

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
            self._offer(manifest, link, now + self._ctx.jitter(*FIRST_US))
        elif wanted.ref not in self._ahead:
            for space in self._owner.file_spaces():
                self._catalogue.watch(space, now)

    def _offer(self, manifest: Manifest, link: str, due_us: int, *, first: bool = False) -> None:
        """Offer a file by a radio, if it is here and small enough for it now."""
        if self._looks < LOOKS_MAX and self._goes(manifest, due_us, link):
            then = partial(self._send, manifest, Plan(link, due_us, first, manifest.author))
            self._look(manifest, then, content=True)

    def _send(self, manifest: Manifest, plan: Plan, blob: bytes | None, now: int) -> None:
        if blob is None:
            return
        budget = self._air.budget(plan.link, now)
        ref = wire.ref_of(manifest.space, manifest.clear.root)
        packed = None if budget is None else pack(ref, blob, budget.room)
        if packed is not None:
            signature = self._air.sign(packed.offer.signed)
            self._senders.add(plan, packed, signature)
            self._plan(now)

    # --- inside -----------------------------------------------------------------------------------

    def _goes(self, manifest: Manifest, now: int, link: str = "") -> bool:
        links = [one for one in self._air.links() if not link or one == link]
        budgets = [budget for one in links if (budget := self._air.budget(one, now)) is not None]
        verdict = judge(_plain_size(manifest), budgets)
        one_chunk = blob_size(manifest.clear) is not None
        return one_chunk and verdict is not None and verdict.way is Way.LORA

    def _manifest(self, ref: bytes) -> Manifest | None:
        file = self._refs.get(ref)
        return None if file is None else self._catalogue.get(*file)

    def _is_whole(self, manifest: Manifest) -> bool:
        return (manifest.space, manifest.clear.root) in self._whole

    def _note_whole(self, manifest: Manifest) -> None:
        self._whole[manifest.space, manifest.clear.root] = None
        if len(self._whole) > WHOLE_MAX:
            self._whole.popitem(last=False)

    def _look(self, manifest: Manifest, then: Then, *, content: bool) -> None:
        """Ask the store for a file's last chunk; with `content` for its blob of one chunk."""
        self._looks += 1
        names = manifest.clear.chunks if manifest.clear.levels == 1 else 0
        query = ChunkQuery(manifest.clear.root, 0, NAME_LEN * names)
        self._reads.ask(query, partial(self._looked_index, _Look(manifest, then, content)))

    def _looked_index(self, look: _Look, answer: Answer, why: str, now: int) -> None:
        index = _bytes_of(answer)
        if not index or (look.content and len(index) != NAME_LEN):
            self._looks -= 1
            look.then(None, now)
            return
        # Chunks come in order: with its last one a file is here.
        size = look.manifest.clear.size if look.content else 0
        query = ChunkQuery(index[-NAME_LEN:], 0, size)
        self._reads.ask(query, partial(self._looked, look, index))

    def _looked(self, look: _Look, index: bytes, answer: Answer, why: str, now: int) -> None:
        self._looks -= 1
        chunk = _bytes_of(answer)
        if chunk is not None:
            self._note_whole(look.manifest)
        look.then(None if chunk is None else index + chunk, now)


def _plain_size(manifest: Manifest) -> int:
    """Return the bytes of a file, near enough where this node cannot read it."""
    return manifest.clear.size if manifest.size is None else manifest.size


def _bytes_of(answer: Answer) -> bytes | None:
    held = answer[1] if isinstance(answer, tuple) and len(answer) == 2 else None
    return held if isinstance(held, bytes) else None
