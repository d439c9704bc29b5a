"""Gives files and long entries to all in earshot: an offer, then pieces as who lacks most asks.

Enters: packed blobs, wants from the air, `now`. Leaves: items for radios, one frame at a time and
within what the law leaves to bulk data. The first that are sent are the blob itself, then repair
pieces, each a help to all; who asks again gets others, up to a bound an hour. An offer that nobody
answers is told some more times. Who had least of this hour goes first; what others wrote has equal
parts of it, of which one stays free. Must not know: the store, spaces, who it is that asks.
"""

from collections import OrderedDict
from functools import partial
from typing import NamedTuple

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.law import HOUR_US, Budget
from meshd.core.spans import span
from meshd.sync.files.air.blob import Packed
from meshd.sync.files.air.rule import PACE_MIN, PACE_PERCENT, frames_of, needed_us
from meshd.sync.files.ports import FileRadios
from meshd.wire.lora_payload import Sub
from meshd.wire.lora_pieces import OFFER_AGAIN, Later, Offer, Piece, Wanted

SENDINGS_MAX = 4
"""Blobs in memory to be sent; one that nobody asks for makes room, or one of who had more."""
SENT_PARTS = 3
"""Pieces of one blob an hour, in times of those that suffice, and `SENT_MORE`."""
SENT_MORE = 16
SENT_MAX = 64
"""Blobs that made room, of which that is remembered."""
OFFERS = (60_000_000, 600_000_000)
"""Pauses before an offer that nobody answered is told again."""
LATER = 4
"""Frames that who has a file from another leaves to that other, before it answers a want itself."""
OFFER_PAUSE_US = 10_000_000
LAW_PAUSE_US = 30_000_000
LATER_US = 300_000_000
"""Who asks for what waits for airtime is told until when, once in so long."""
PAYERS_MAX = 256
LITTLE = 64
"""Who had less than one of so many of an hour's frames is not counted among those who share it."""


class Plan(NamedTuple):
    """By which radio a blob is offered, when, and at whose expense. `first`: who offers it made it,
    and answers wants at once.
    """

    link: str
    due_us: int
    first: bool
    payer: bytes


class Sending:
    """One blob by one radio, at the expense of its author's part."""

    __slots__ = (
        *(
            "again",
            "first",
            "given",
            "link",
            "next",
            "offer",
            "offer_due_us",
            "offered_us",
            "packed",
            "payer",
        ),
        *("asked", "heard", "later_us", "latest_us", "paced", "paced_us", "ready_us", "runs"),
        *("sent", "since_us", "tag", "todo", "told", "vain"),
    )

    def __init__(
        self, link: str, packed: Packed, signature: bytes, now: int, *, payer: bytes
    ) -> None:
        self.link = link
        self.payer = payer
        self.packed = packed
        self.offer: Offer = packed.offer._replace(signature=signature)
        self.tag = packed.offer.tag
        self.offer_due_us: int | None = now
        self.offered_us: int | None = None
        self.again = 0
        self.first = False
        self.ready_us = self.latest_us = now
        self.todo = 0
        self.next = 0
        self.given: set[int] = set()
        self.heard: set[int] = set()
        self.sent = 0
        self.since_us = now
        self.paced = 0
        self.paced_us = now
        self.runs: set[int] = set()
        self.told: set[int] = set()
        self.vain = 0
        self.asked = True
        self.later_us = now - LATER_US

    @property
    def before(self) -> int:
        """Return how many pieces are still to go, those too that nobody asked for yet."""
        fresh = self.first and not self.sent and self.offer_due_us is not None
        return self.todo or (self.offer.need if fresh else 0)

    def left_us(self, now: int) -> int | None:
        """Return how long the rest takes at the pace so far; None: too few went to know it."""
        if self.paced < PACE_MIN:
            return None
        return (now - self.paced_us) * self.todo // self.paced

    def busy(self, now: int) -> bool:
        """Tell whether there is anything to send now."""
        due_us = self.offer_due_us
        asked = (self.todo or self.runs) and self.ready_us <= now
        return bool(asked or (due_us is not None and due_us <= now))


class Senders:
    """The giving side of `AirFiles`."""

    def __init__(self, ctx: Context, air: FileRadios) -> None:
        self._ctx = ctx
        self._air = air
        self._sendings: dict[tuple[str, bytes], Sending] = {}
        self._pace_us: dict[str, int] = {}
        self._parts = _Parts()
        self._sent: OrderedDict[tuple[str, bytes], tuple[int, int]] = OrderedDict()

    def add(self, plan: Plan, packed: Packed, signature: bytes) -> bool:
        """Offer a blob by a radio; False when too many are being sent."""
        link, due_us, first, payer = plan
        key = (link, packed.offer.tag)
        if key not in self._sendings and len(self._sendings) >= SENDINGS_MAX:
            up = self._air.links()
            idle = [key for key, one in self._sendings.items() if not one.todo or key[0] not in up]
            least = self._parts.of(link, payer, due_us)
            most = max(self._sendings, key=self._had)
            if not idle and self._had(most) <= least:
                self._ctx.drop(DropReason.PIECES_FULL, link)
                return False
            self._forget(idle[0] if idle else most)
        if key not in self._sendings:
            new = Sending(link, packed, signature, due_us, payer=payer)
            new.since_us, new.sent = self._sent.get(key, (due_us, 0))
            self._sendings[key] = new
        sending = self._sendings[key]
        sending.offer_due_us = due_us
        sending.first = sending.first or first
        sending.asked = True
        return True

    def gives(self, link: str, ref: bytes) -> Sending | None:
        """Return what is being done for a blob by a radio."""
        mine = (one for (name, _), one in self._sendings.items() if name == link)
        return next((one for one in mine if one.offer.ref == ref), None)

    def of(self, payer: bytes) -> list[Sending]:
        """Return what is being given of one author."""
        return [one for one in self._sendings.values() if one.payer == payer]

    def before_us(self, link: str, now: int) -> int:
        """Return how long a radio needs for what is on its way, which comes before what is new."""
        budget = self._air.budget(link, now)
        if budget is None:
            return 0
        return _pace_us(budget) * sum(
            one.before for one in self._sendings.values() if one.link == link
        )

    def least_us(self, link: str, size: int, now: int) -> int | None:
        """Return how long a new blob takes at least by a radio, after all that is on its way."""
        budget = self._air.budget(link, now)
        needs_us = None if budget is None else needed_us(size, budget)
        if budget is None or needs_us is None:
            return None
        needs_us += self.ahead(link, b"") * budget.frame_us
        wait_us = self._air.free_us(link, needs_us, now) - now
        return max(needs_us * PACE_PERCENT // 100, wait_us)

    def ahead(self, link: str, ref: bytes) -> int:
        """Return how many frames go before another blob by a radio."""
        mine = (one for (name, _), one in self._sendings.items() if name == link)
        return sum(one.before for one in mine if one.offer.ref != ref)

    def text(self, sending: Sending, now: int) -> str:
        """Say how it is with giving a blob; "" when there is nothing to give."""
        budget = self._air.budget(sending.link, now)
        if budget is None:
            return ""
        if not sending.todo:
            waits = sending.offer_due_us is not None and not sending.sent
            return f"offered by LoRa on {sending.link}, nobody asked for it yet" if waits else ""
        if budget.left_us < 2 * budget.frame_us:
            wait_us = self._free_us(sending.link, budget, now) - now
            wait = span(max(wait_us // 1_000_000, 1))
            return f"waits for airtime on {sending.link}: it goes on in {wait} at the earliest"
        needs_us = frames_of(sending.todo) * budget.frame_us
        wait_us = self._air.free_us(sending.link, needs_us, now) - now
        least_us = max(needs_us * PACE_PERCENT // 100, wait_us)
        pace_us = sending.left_us(now) or 0
        left = span(max(max(least_us, pace_us) // 1_000_000, 1))
        said = f"about {left} more" if pace_us > least_us else f"{left} more at least"
        return f"goes by LoRa on {sending.link}: {said}"

    def _free_us(self, link: str, budget: Budget, now: int) -> int:
        """Return when a radio that has had its hour goes on, at the earliest."""
        return self._air.free_us(link, 2 * budget.frame_us, now)

    def stop(self, link: str, tag: bytes) -> None:
        """Nobody needs a blob by a radio any more."""
        self._forget((link, tag))

    def _forget(self, key: tuple[str, bytes]) -> None:
        """Let a blob go, but not how much of it went out: the hour's bound is kept."""
        gone = self._sendings.pop(key, None)
        if gone is not None and gone.sent:
            self._sent[key] = gone.since_us, gone.sent
            self._sent.move_to_end(key)
            if len(self._sent) > SENT_MAX:
                self._sent.popitem(last=False)

    def _had(self, key: tuple[str, bytes]) -> int:
        one = self._sendings[key]
        return self._parts.of(one.link, one.payer, one.since_us)

    def offered(self, link: str, offer: Offer, *, covers: bool) -> None:
        """Somebody else offers the same; keep quiet when that reaches all."""
        sending = self._sendings.get((link, offer.tag))
        same = sending is not None and sending.offer.signed == offer.signed
        if sending is not None and same and covers and not sending.todo:
            sending.offer_due_us = None

    def heard(self, link: str, piece: Piece, now: int) -> None:
        """Somebody else sends the same: there is one piece less to give, and they go on first.

        Only a true piece shows that they have the file, and none that they may have from here. Each
        stands for itself, once an hour, and for a few frames, up to the latest that a want leaves:
        what its sender says of those to come may be false.
        """
        sending = self._sendings.get((link, piece.tag))
        if sending is None:
            return
        number, count = piece.number, sending.offer.pieces
        if number >= count or piece.data != sending.packed.pieces[number]:
            self._ctx.drop(DropReason.PIECE_FORGED, link)
        elif sending.todo and number not in sending.given and number not in sending.heard:
            sending.heard.add(number)
            sending.next = (number + 1) % count
            sending.todo -= 1
            wait_us = self._ctx.jitter(LATER, 2 * LATER) * self._air.frame_us(link)
            sending.ready_us = max(sending.ready_us, min(now + wait_us, sending.latest_us))

    def wanted(self, link: str, wanted: Wanted, now: int) -> None:
        """Somebody lacks pieces of a file."""
        sending = self._sendings.get((link, wanted.tag))
        if sending is None:
            return
        if now - sending.since_us > HOUR_US:
            sending.since_us, sending.sent = now, 0
            sending.heard.clear()
        offer = sending.offer
        if sending.sent >= SENT_PARTS * offer.need + SENT_MORE:
            self._ctx.drop(DropReason.PIECES_SPENT, link)
            return
        sending.vain = 0
        sending.asked = True
        offered_us = sending.offered_us
        if not wanted.runs & OFFER_AGAIN:
            sending.offer_due_us = None
        elif offered_us is None or now - offered_us > OFFER_PAUSE_US:
            sending.offer_due_us = now
        runs = range(len(offer.digests))
        sending.runs.update(run for run in runs if wanted.runs >> run & 1)
        more = min(wanted.more, offer.need)
        if more < offer.need and not sending.sent and not sending.next:
            sending.next = offer.need % offer.pieces  # it has some from before: not those again
        if not sending.todo:
            sending.paced = 0
            frame_us = self._air.frame_us(link)
            sending.latest_us = now + 2 * (LATER + more) * frame_us
            if not sending.first:
                sending.ready_us = now + self._ctx.jitter(LATER, 2 * LATER) * frame_us
        sending.todo = max(sending.todo, more)

    def due_us(self, now: int) -> int | None:
        """Return when `tick` has something to do; may be in the past."""
        dues = []
        for sending in self._sendings.values():
            pace_us = self._pace_us.get(sending.link, 0)
            if sending.busy(now):
                had = self._had_part(sending, now)
                dues.append(self._parts.ends_us(sending) if had else pace_us)
            elif sending.todo or sending.runs:
                dues.append(max(sending.ready_us, pace_us))
            elif sending.offer_due_us is not None:
                dues.append(max(sending.offer_due_us, pace_us))
        return min(dues, default=None)

    def tick(self, now: int) -> None:
        """Hand each radio the next frame when it may have one."""
        for link in {sending.link: None for sending in self._sendings.values()}:
            mine = [one for one in self._sendings.values() if one.link == link]
            busy = [one for one in mine if one.busy(now) and not self._had_part(one, now)]
            for one in mine:
                if one.asked and one.busy(now) and one not in busy:
                    self._tell_later(one, self._parts.ends_us(one), now)
            if busy and self._pace_us.get(link, 0) <= now:
                busy.sort(key=partial(self._order, now))
                self._pace_us[link] = now + self._go(link, busy, now)

    def _go(self, link: str, busy: list[Sending], now: int) -> int:
        """Send one frame of the first; return how long to wait."""
        budget, sending = self._air.budget(link, now), busy[0]
        if budget is None:
            return LAW_PAUSE_US
        if budget.left_us < 2 * budget.frame_us:
            self._pause(busy, budget, now)
            return LAW_PAUSE_US
        if not self._say(sending, now):
            return 4 * budget.frame_us
        self._parts.count(link, sending.payer, now)
        return _pace_us(budget)

    def _pause(self, busy: list[Sending], budget: Budget, now: int) -> None:
        """Tell who waits when there will be airtime again."""
        at_us = self._free_us(budget.link, budget, now)
        for sending in busy:
            self._tell_later(sending, at_us, now)

    def _tell_later(self, sending: Sending, at_us: int, now: int) -> None:
        """Tell who asks for a blob when it goes on, at the earliest; not again and again."""
        if not sending.asked or now - sending.later_us < LATER_US or at_us - now < LAW_PAUSE_US:
            return
        sending.asked, sending.later_us = False, now
        body = Later(sending.offer.ref, -(-(at_us - now) // 1_000_000)).encode()
        self._air.tell(sending.link, Sub.PIECES_LATER, body, now, bulk=False)

    def _had_part(self, sending: Sending, now: int) -> bool:
        """Tell whether an author had all that this node gives to him in an hour."""
        budget = self._air.budget(sending.link, now)
        if sending.first or budget is None:
            return False
        part = self._parts.part(sending.link, budget.hour_us // max(budget.frame_us, 1), now)
        return self._parts.of(sending.link, sending.payer, now) >= part

    def _order(self, now: int, sending: Sending) -> tuple[bool, int, int]:
        """Return what goes first: offers, whose author had least, then what is nearly done."""
        due_us = sending.offer_due_us
        offers = due_us is not None and due_us <= now
        return not offers, self._parts.of(sending.link, sending.payer, now), sending.todo

    def _say(self, sending: Sending, now: int) -> bool:
        """Tell the next item of a file: its offer, marks that were missed, a piece."""
        due_us = sending.offer_due_us
        if due_us is not None and due_us <= now:
            if not self._tell(sending, Sub.OFFER, sending.offer.encode(), now):
                return False
            sending.offered_us = now
            sending.vain += 1
            last = sending.again == len(OFFERS)
            sending.offer_due_us = None if last else now + OFFERS[sending.again]
            sending.again = 0 if last else sending.again + 1
            return True
        number, offer = sending.next, sending.offer
        if sending.todo and number // offer.run not in sending.told:
            sending.runs.add(number // offer.run)
        if sending.runs:
            run = min(sending.runs)
            if not self._tell(sending, Sub.MARKS, sending.packed.marks(run).encode(), now):
                return False
            sending.runs.remove(run)
            sending.sent += run in sending.told
            sending.told.add(run)
            return True
        left = sending.todo - 1
        piece = Piece(sending.tag, number, left, sending.packed.pieces[number])
        if not self._tell(sending, Sub.PIECE, piece.encode(), now):
            return False
        sending.todo = left
        sending.sent += 1
        if not sending.paced:
            sending.paced_us = now
        sending.paced += 1
        sending.next = (number + 1) % offer.pieces
        if sending.next:
            sending.given.add(number)
        else:
            sending.given.clear()  # from here on it tells again what others have heard
        return True

    def _tell(self, sending: Sending, sub: Sub, body: bytes, now: int) -> bool:
        return self._air.tell(sending.link, sub, body, now, bulk=sub is not Sub.OFFER)


class _Parts:
    """How many frames of each author went out by each radio in the hour that goes on."""

    def __init__(self) -> None:
        self._frames: dict[tuple[str, bytes], tuple[int, int]] = {}

    def of(self, link: str, payer: bytes, now: int) -> int:
        """Return the frames that went out for an author."""
        since_us, frames = self._frames.get((link, payer), (now, 0))
        return frames if now - since_us < HOUR_US else 0

    def part(self, link: str, hour: int, now: int) -> int:
        """Return how many of the `hour` frames one author may have: as much stays for one more."""
        rows = ((row, had) for (name, _), (row, had) in self._frames.items() if name == link)
        many = sum(now - row < HOUR_US and had * LITTLE >= hour for row, had in rows)
        return max(hour // (max(many, 1) + 1), 1)

    def ends_us(self, sending: Sending) -> int:
        """Return when an author has a part again."""
        since_us, _ = self._frames.get((sending.link, sending.payer), (0, 0))
        return since_us + HOUR_US

    def count(self, link: str, payer: bytes, now: int) -> None:
        """Count a frame."""
        since_us, frames = self._frames.pop((link, payer), (now, 0))
        if now - since_us >= HOUR_US:
            since_us, frames = now, 0
        if len(self._frames) >= PAYERS_MAX:
            del self._frames[min(self._frames, key=lambda name: self._frames[name])]
        self._frames[link, payer] = since_us, frames + 1


def _pace_us(budget: Budget) -> int:
    return budget.frame_us * PACE_PERCENT // 100
