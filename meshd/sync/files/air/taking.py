"""Takes files and long entries from the air: pieces held to their marks, marks to a signed offer.

Enters: signed offers of what is wanted here, marks and pieces in any order, wants of others, `now`.
Leaves: wants, whole blobs to whoever wants them. Who lacks most asks first, and whoever hears that
keeps quiet: the pieces that come help all. Pieces that came before their marks wait for these. What
is held of a blob stays while it is not whole, so that it goes on after any pause, and on the disk.

A forged piece costs its sender more air than anybody else: beside a known mark it is nothing, and
before that it takes the place of one piece until the marks come. Bounded: files, offers, pieces.
Must not know: the store, spaces.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.law import HOUR_US
from meshd.core.spans import span
from meshd.sync.files.air.blob import unpack
from meshd.sync.files.air.erasure import mark_of
from meshd.sync.files.air.kept import KeptPieces
from meshd.sync.files.air.rule import PACE_MIN, time_us
from meshd.sync.files.ports import FileRadios
from meshd.wire.lora_payload import Sub
from meshd.wire.lora_pieces import (
    MARK_LEN,
    OFFER_AGAIN,
    Later,
    Marks,
    Offer,
    Piece,
    Sought,
    Wanted,
    run_digest,
)

TAKINGS_MAX = 5
"""Blobs under way; one that brought nothing for `IDLE_US` makes room."""
GIVERS_MAX = 12
"""The same where each member who gives has one place alone."""
IDLE_US = 600_000_000
PART = 4
SPANS = 2
"""Within twice the time that a blob takes by a radio a quarter must come, or it makes room."""
ASKS_MAX = 8
"""Wants without an answer, each after a longer pause; then an offer or a piece must come first, or
somebody new be heard. What a member gives is asked for on and on, once in `SLOW_US`."""
SLOW_US = 1_800_000_000
SEEK_EACH = 3
"""Each third of them asks for an offer: who gave it may have been started again, or be gone."""
LOOSE = 4
"""So many pieces that wait for marks are worth a want, not to be lost by a restart."""
LOOSE_US = 30_000_000
MET_US = 60_000_000
QUIET_US = 120_000_000
"""After so long without a piece people are told so."""
LOST_ASKS = 3
LOST_MAX = 8
"""Pieces of so many unknown files are remembered, to ask for an offer so often."""
WINDOW = 6
"""Frames within which one of those who lack most asks."""
YIELDS_MAX = 3
"""How often in a row this node keeps quiet because another asks for as much."""
LIES_MAX = 2
"""Who brings pieces before the time that it names has airtime: so often that word is believed."""
PATIENCE = 12
"""Frames without a piece after which a want is told again, at first."""


class Taking:
    """One blob on its way here. `root` names what it is, whoever offers it.

    `take(taking, blob, now)` is called when it is whole; False: it is something else.
    """

    __slots__ = (
        *(
            "ask_us",
            "asks",
            "began_us",
            "body",
            "first_us",
            "last_us",
            "later_us",
            "lied",
            "link",
            "loose",
            "marks",
            "moved_us",
            "node",
            "offer",
        ),
        *("asked_us", "moves", "pieces", "root", "tag", "take", "trusted", "yields"),
    )

    def __init__(self, link: str, node: bytes, offer: Offer, *, root: bytes, take: "Take") -> None:
        self.link = link
        self.node = node
        self.offer = offer
        self.tag = offer.tag
        self.body = offer.signed
        self.root = root
        self.take = take
        self.trusted = False
        self.marks: dict[int, bytes] = {}
        self.pieces: dict[int, bytes] = {}
        self.loose: dict[int, bytes] = {}
        self.ask_us: int | None = None
        self.asks = 0
        self.yields = 0
        self.began_us = self.moved_us = 0
        self.first_us = self.last_us = 0
        self.later_us = self.asked_us = self.lied = 0
        self.moves: deque[int] = deque(maxlen=max(offer.need // PART, 1))

    def is_slow(self, now: int, span_us: int) -> bool:
        """Tell whether less than its part came within a span."""
        if now - self.began_us <= span_us:
            return False
        return len(self.moves) < (self.moves.maxlen or 1) or now - self.moves[0] > span_us

    @property
    def lacks(self) -> int:
        """Return how many pieces are missing; those that are not proven yet count as here."""
        return max(self.offer.need - len(self.pieces) - len(self.loose), 0)

    @property
    def lacks_runs(self) -> int:
        """Return the runs of marks that pieces wait for, as bits."""
        runs = {number // self.offer.run for number in self.loose}
        return sum(1 << run for run in sorted(runs))


Take = Callable[[Taking, bytes, int], bool]


class Takings:
    """The taking side of `AirFiles`. `wrong(taking)` is called for what is not what it was said to
    be: its signer made it so.
    """

    def __init__(
        self,
        ctx: Context,
        air: FileRadios,
        kept: KeptPieces,
        *,
        wrong: Callable[[Taking], None],
    ) -> None:
        self._kept = kept
        self._ctx = ctx
        self._air = air
        self._wrong = wrong
        self._takings: dict[bytes, Taking] = {}
        self._lost: OrderedDict[bytes, tuple[str, int, int]] = OrderedDict()
        self._passed: OrderedDict[bytes, None] = OrderedDict()

    def of(self, root: bytes) -> Taking | None:
        """Return what is under way of a blob: a member's before a stranger's, what lacks least."""
        found = [one for one in self._takings.values() if one.root == root]
        return min(found, key=lambda one: (not one.trusted, one.lacks), default=None)

    def start(self, taking: Taking, now: int) -> bool:
        """Begin to take a blob, or go on with it; False when there is no room."""
        known = self._takings.get(taking.body)
        if known is not None:
            known.trusted = known.trusted or taking.trusted
            known.asks, known.link = 0, taking.link
            self._kept.begin(known)
            planned_us = known.ask_us
            self._ask_later(known, now)
            if planned_us is not None:
                known.ask_us = min(planned_us, known.ask_us or now)
            return True
        if not self._make_room(taking, now):
            self._ctx.drop(DropReason.PIECES_FULL, taking.link)
            return False
        taking.began_us = taking.moved_us = now
        self._takings[taking.body] = taking
        self._passed.pop(taking.tag, None)
        self._kept.begin(taking)
        self._ask_later(taking, now)
        self._whole(taking, now)
        return True

    def heard_offer(self, tag: bytes) -> None:
        """An offer came, wanted or not: it need not be asked for, nor its pieces looked at."""
        self._lost.pop(tag, None)
        self._passed[tag] = None
        if len(self._passed) > 8 * LOST_MAX:
            self._passed.popitem(last=False)

    def stop(self, root: bytes) -> None:
        """A blob is here by another way, or gone."""
        for body in [body for body, one in self._takings.items() if one.root == root]:
            del self._takings[body]
            self._kept.drop(body)

    def text(self, taking: Taking, now: int) -> str:
        """Say how far a blob is, and how long the rest takes at the pace so far.

        Pieces that wait for their marks count too: most are what they seem.
        """
        need = taking.offer.need
        here = need - taking.lacks
        said = f"waits for pieces by LoRa: {here} of {need} are here"
        if taking.later_us > now:
            wait = span(max((taking.later_us - now) // 1_000_000, 1))
            return (
                f"{said}; who gives it has spent its airtime and goes on in {wait} at the earliest"
            )
        if (quiet_us := now - max(taking.last_us, taking.began_us)) >= QUIET_US:
            gone = taking.node not in self._air.neighbours_of(taking.link)
            why = "is not heard now" if gone else "may wait for airtime"
            return f"{said}; none came for {span(quiet_us / 1e6)}: who gives it {why}"
        taken_us = taking.last_us - taking.first_us
        piece_us = taken_us / (here - 1) if here >= PACE_MIN else 0
        left_us = max(piece_us, self._air.frame_us(taking.link)) * max(need - here, 1)
        return f"{said}, about {span(max(round(left_us / 1e6), 1))} more"

    def met(self, link: str, now: int) -> None:
        """Somebody new is heard: ask again soon for what does not come."""
        for taking in self._takings.values():
            if taking.link == link and now - max(taking.moved_us, taking.asked_us) >= MET_US:
                taking.asks = 0
                self._ask_later(taking, now)

    def later(self, later: Later, now: int) -> None:
        """Who gives a blob has no airtime for it now: do not ask again and again until then.

        Nothing proves that word, so it puts wants off once, until a piece comes, and pieces that
        come before the time that it names prove it wrong.
        """
        for taking in self._takings.values():
            if taking.offer.ref == later.ref and taking.lied < LIES_MAX:
                new = taking.later_us <= taking.moved_us
                taking.later_us = now + later.after_s * 1_000_000
                if new and taking.ask_us is not None:
                    taking.ask_us = max(taking.ask_us, min(taking.later_us, now + IDLE_US))

    def done(self, ref: bytes) -> None:
        """What a ref names is on disk: its pieces need not be."""
        self._kept.done(ref)

    def _named(self, tag: bytes) -> list[Taking]:
        """Return what a tag means: two offers may be made to share one."""
        return [one for one in self._takings.values() if one.tag == tag]

    # --- from the air -----------------------------------------------------------------------------

    def marks(self, link: str, marks: Marks, now: int) -> None:
        """Take a run of marks."""
        found = self._named(marks.tag)
        if not found:
            self._unknown(link, marks.tag, now)
        elif not [one for one in found if self._mark(one, marks, now)]:
            self._ctx.drop(DropReason.PIECE_FORGED, link)

    def piece(self, link: str, piece: Piece, now: int) -> None:
        """Take a piece."""
        found = self._named(piece.tag)
        if not found:
            self._unknown(link, piece.tag, now)
        elif not [one for one in found if self._piece(one, piece, now)]:
            self._ctx.drop(DropReason.PIECE_FORGED, link)

    def _mark(self, taking: Taking, marks: Marks, now: int) -> bool:
        """Take a run of marks for one offer; False when it is not of it."""
        number, digests = marks.number, taking.offer.digests
        if number >= len(digests) or run_digest(number, marks.marks) != digests[number]:
            return False
        taking.marks[number] = marks.marks
        run = taking.offer.run
        for place in [place for place in taking.loose if place // run == number]:
            if not self._judge(taking, place, taking.loose.pop(place), now):
                self._ctx.drop(DropReason.PIECE_FORGED, taking.link)
        self._whole(taking, now)
        return True

    def _piece(self, taking: Taking, piece: Piece, now: int) -> bool:
        """Take a piece for one offer; False when it is not of it."""
        number, offer, lacked = piece.number, taking.offer, taking.lacks
        if number >= offer.pieces or len(piece.data) != offer.piece:
            return False
        if number not in taking.pieces and number // offer.run in taking.marks:
            if not self._judge(taking, number, piece.data, now):
                return False
        elif number not in taking.pieces:
            taking.loose.setdefault(number, piece.data)
        if taking.lacks < lacked:
            taking.first_us, taking.last_us = taking.first_us or now, now
        if not self._whole(taking, now):
            more = min(piece.left, taking.lacks)
            self._ask_later(taking, now, after=more + (more + 3) // 4)
            # What proves nothing puts a want off for so long, and no longer.
            limit_us = 2 * (PATIENCE + offer.need) * self._air.frame_us(taking.link)
            taking.ask_us = min(taking.ask_us or now, max(taking.moved_us + limit_us, now))
            if len(taking.loose) >= LOOSE and now - taking.asked_us >= LOOSE_US:
                soon_us = self._ctx.jitter(1, WINDOW) * self._air.frame_us(taking.link)
                taking.ask_us = min(taking.ask_us, now + soon_us)
        return True

    def wanted(self, wanted: Wanted, now: int) -> None:
        """Somebody asks: who lacks no more than that waits for what comes."""
        if wanted.runs & OFFER_AGAIN and wanted.tag in self._lost:
            link, _, asks = self._lost[wanted.tag]
            self._lost[wanted.tag] = (link, now + PATIENCE * self._air.frame_us(link), asks + 1)
        for taking in self._named(wanted.tag):
            if taking.ask_us is None or taking.yields >= YIELDS_MAX:
                continue
            if taking.lacks <= wanted.more and not taking.lacks_runs & ~wanted.runs:
                taking.yields += 1
                planned_us = taking.ask_us
                self._ask_later(taking, now, after=PATIENCE)
                taking.ask_us = max(planned_us, taking.ask_us or now)

    # --- time -------------------------------------------------------------------------------------

    def due_us(self) -> int | None:
        """Return when `tick` has something to do; may be in the past."""
        dues = [one.ask_us for one in self._takings.values() if one.ask_us is not None]
        return min(dues + [due_us for _, due_us, _ in self._lost.values()], default=None)

    def tick(self, now: int) -> None:
        """Ask for what is due."""
        for taking in list(self._takings.values()):
            if taking.ask_us is not None and taking.ask_us <= now:
                self._ask(taking, now)
        for tag, (link, due_us, asks) in list(self._lost.items()):
            if due_us > now:
                continue
            if asks < LOST_ASKS:
                again_us = now + (PATIENCE * self._air.frame_us(link) << asks)
                self._lost[tag] = (link, again_us, asks + 1)
                self._tell(link, Wanted(tag, 0, OFFER_AGAIN), now)
            else:
                self.heard_offer(tag)

    def _ask(self, taking: Taking, now: int) -> None:
        taking.asks += 1
        taking.yields, taking.ask_us = 0, None
        if taking.asks > ASKS_MAX and not taking.trusted:
            return
        taking.asked_us = now
        wanted: Wanted | Sought = Wanted(taking.tag, taking.lacks, taking.lacks_runs)
        if taking.asks % SEEK_EACH == 0 and taking.root != taking.offer.ref:
            wanted = Sought(taking.offer.ref)
        self._tell(taking.link, wanted, now)
        self._ask_later(taking, now, after=PATIENCE << min(taking.asks, ASKS_MAX) - 1)
        if taking.asks > ASKS_MAX:
            taking.ask_us = max(taking.ask_us or now, now + SLOW_US)

    def _ask_later(self, taking: Taking, now: int, *, after: int = 0) -> None:
        """Plan to ask, after so many frames: who lacks most first."""
        unit_us = self._air.frame_us(taking.link)
        here = WINDOW * (taking.offer.need - taking.lacks) // taking.offer.need
        wait_us = unit_us * (after + here) + self._ctx.jitter(0, WINDOW * unit_us)
        taking.ask_us = now + unit_us // 2 + wait_us

    def _tell(self, link: str, wanted: Wanted | Sought, now: int) -> None:
        self._air.tell(link, Sub.PIECES_WANTED, wanted.encode(), now, bulk=False)

    # --- inside -----------------------------------------------------------------------------------

    def _judge(self, taking: Taking, number: int, data: bytes, now: int) -> bool:
        """Keep a piece that is what its mark says; False for another."""
        run, place = divmod(number, taking.offer.run)
        mark = taking.marks[run][MARK_LEN * place : MARK_LEN * (place + 1)]
        if mark_of(number, data) != mark:
            return False
        taking.pieces[number] = data
        self._kept.came(now)
        taking.moved_us = now
        taking.lied += now < taking.later_us
        taking.later_us = 0
        taking.moves.append(now)
        taking.asks = taking.yields = 0
        return True

    def _whole(self, taking: Taking, now: int) -> bool:
        """Put a blob together when pieces suffice."""
        if len(taking.pieces) < taking.offer.need:
            return False
        if self._takings.pop(taking.body, None) is not taking:
            return True  # another offer of the same brought it
        blob = unpack(taking.offer, taking.pieces)
        self._kept.pause(taking.body)
        self.heard_offer(taking.tag)
        if blob is None or not taking.take(taking, blob, now):
            self._ctx.drop(DropReason.PIECES_WRONG, taking.link)
            self._kept.drop(taking.body)
            self._wrong(taking)
            return True
        for tag in [one.tag for one in self._takings.values() if one.root == taking.root]:
            self.heard_offer(tag)
        self.stop(taking.root)
        return True

    def _unknown(self, link: str, tag: bytes, now: int) -> None:
        """Ask for an offer that was not heard, unless it is known not to be for this node."""
        if tag in self._passed or tag in self._lost:
            return
        self._ctx.drop(DropReason.PIECE_UNKNOWN, link)
        if len(self._lost) < LOST_MAX:
            unit_us = self._air.frame_us(link)
            self._lost[tag] = (link, now + unit_us + self._ctx.jitter(0, WINDOW * unit_us), 0)

    def _span_us(self, taking: Taking, now: int) -> int:
        """Return within what time a part of a blob must come."""
        budget = self._air.budget(taking.link, now)
        whole_us = None if budget is None else time_us(taking.offer.size, budget)
        return max(IDLE_US, SPANS * (HOUR_US if whole_us is None else whole_us))

    def _make_room(self, taking: Taking, now: int) -> bool:
        """Tell whether there is a place for one more; the last is for who has none.

        Where there is none, it lets go of what brings nothing, of a stranger's for that of a
        member, of one of him who has most places for who has fewer, or of another's that brings too
        little. Beyond that a member who has no place gets one.
        """
        given = Counter(one.node for one in self._takings.values())
        places = TAKINGS_MAX - 1 if given[taking.node] else TAKINGS_MAX
        if len(self._takings) < places:
            return True
        most = max(given.values())
        idle = [
            one
            for one in self._takings.values()
            if now - one.moved_us > IDLE_US
            or (taking.trusted and not one.trusted)
            or (taking.trusted and given[one.node] == most > given[taking.node] + 1)
            or (one.node != taking.node and one.is_slow(now, self._span_us(one, now)))
        ]
        if not idle:
            alone = taking.trusted and not given[taking.node]
            return alone and len(self._takings) < GIVERS_MAX
        gone = min(idle, key=lambda one: (one.trusted, one.moved_us)).body
        del self._takings[gone]
        self._kept.pause(gone)
        return True
