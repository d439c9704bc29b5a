"""What one node says it hears, lacks and has: lists that repair what was lost, and choose relays.

Enters: lists of others, what came, the room left in a frame. Leaves: lists for that frame, what a
neighbour lacks, when a list is due. A listing names what its sender has of the last minutes: who
misses one asks for it, and who hears that another misses one sends it again. One that names all
that is here stands for the own one.
Must not know: when objects are sent, what they mean, whom to believe.
"""

from collections.abc import Container, Iterator
from random import Random
from typing import NamedTuple

from meshd.core.drops import DropReason
from meshd.core.ids import SHORT_LEN
from meshd.forwarding.neighbours import Neighbours
from meshd.forwarding.objects import HeldObject, Store, Wanted
from meshd.forwarding.rules import Rules
from meshd.wire.lora_items import (
    AGE_STEP_US,
    COUNT_MAX,
    LISTING_HEAD,
    TAG_LEN,
    TAGS_HEAD,
    Heard,
    Item,
    Listing,
    Wants,
)

FEW = 2
"""A node with no more listeners lists everything twice: nobody else might tell them."""


class Said(NamedTuple):
    """Which lists a frame carries. Hand it back to `said` once it is on the air no more."""

    wants: tuple[bytes, ...] = ()
    listed: bool = False
    heard_version: int | None = None


class Listings:
    """The lists of one radio."""

    def __init__(self, neighbours: Neighbours, store: Store, rules: Rules, rng: Random) -> None:
        self.rules = rules
        self.wanted = Wanted(rules.want_us, rng)
        self._neighbours = neighbours
        self._store = store
        self._rng = rng
        self._repeat = False
        self._listed_us: int | None = None
        self._listing_due_us: int | None = None
        self._heard_due_us: int | None = None
        self._heard_version = 0

    # --- inputs -----------------------------------------------------------------------------------

    def came(self, held: HeldObject) -> None:
        """Note an object that is new here: a listing will name it."""
        self.wanted.came(held.tag)
        if self._listing_due_us is None:
            wait_us = self.rules.listing_us + self._rng.randint(0, self.rules.spread_us)
            self._listing_due_us = held.born_us + wait_us

    def compare(
        self, sender: bytes, present: set[bytes], listing: Listing, now: int
    ) -> tuple[DropReason | None, list[HeldObject]]:
        """Take a listing, want what is missing here; return what is missing there.

        `present`: tags of the objects in its frame. Returns first: why not all of it is wanted.
        """
        rules, theirs, refused = self.rules, present.union(listing.tags), None
        known = {held.tag for held in self._store.by_name.values()} | self.wanted.by_tag.keys()
        for tag in dict.fromkeys(listing.tags):
            if tag in known:
                continue
            due_us = now + self._rng.randint(rules.slot_us, rules.want_us)
            refused = self.wanted.add(sender, tag, due_us)
            if refused is not None:
                break
        young_us = listing.young * AGE_STEP_US + rules.margin_us
        old_us = listing.old * AGE_STEP_US - rules.margin_us
        lacking = []
        for held in self._store.recent(now):
            if held.tag in theirs:
                held.covered.add(sender)
            elif young_us < now - held.born_us < old_us:
                lacking.append(held)
                held.covered.discard(sender)
        if not lacking and self._listing_due_us is not None:
            self._list_later(now)
        return refused, lacking

    def beacon(self, now: int) -> None:
        """Have the list of neighbours sent with the next frame, or alone."""
        self._heard_due_us = now

    def ride(self, room: int, now: int) -> None:
        """Have it sent with a frame of so much room when it has changed."""
        if self.news and TAGS_HEAD + SHORT_LEN * len(self._neighbours.told_to_others()) <= room:
            self._heard_due_us = now

    def relist(self) -> None:
        """Somebody missed the list of neighbours: it goes with what is sent next."""
        self._heard_version = -1

    # --- what to send -----------------------------------------------------------------------------

    @property
    def news(self) -> bool:
        """Tell whether whom this node hears has changed since it was said."""
        return self._neighbours.version != self._heard_version

    def dues(self) -> Iterator[int]:
        """Yield when something is to be said."""
        for want in self.wanted.by_tag.values():
            yield want.due_us
        if self._listing_due_us is not None:
            yield self._listing_due_us
        if self._heard_due_us is not None:
            yield self._heard_due_us

    def say(self, items: list[Item], hidden: Container[bytes], room: int, now: int) -> Said:
        """Add to a frame what is due, or changed, in at most `room` bytes; `hidden` is not listed.

        `items` are what it carries so far.
        """
        version, spent = self._heard(items, now, room)
        room -= spent
        wants = self._wants(items, now, room)
        room -= TAGS_HEAD + TAG_LEN * len(wants) if wants else 0
        return Said(wants, self._list(items, hidden, room, now), version)

    def said(self, said: Said, now: int) -> None:
        """Note that a frame with these lists went out."""
        self.wanted.asked(said.wants, now)
        if said.listed:
            self._listed_us = now
            self._repeat = not self._repeat and len(self._neighbours.listeners) <= FEW
            self._list_later(now)
        if said.heard_version is not None:
            self._heard_version, self._heard_due_us = said.heard_version, None

    # --- inside -----------------------------------------------------------------------------------

    def _list_later(self, now: int) -> None:
        """Plan the next listing, if there is something that none has named yet."""
        rules = self.rules
        later = self._repeat or any(
            now - held.born_us < rules.young_us for held in self._store.recent(now)
        )
        wait_us = rules.listing_us + self._rng.randint(0, rules.spread_us)
        if self._repeat:
            wait_us //= 4
        self._listing_due_us = now + wait_us if later else None

    def _heard(self, items: list[Item], now: int, room: int) -> tuple[int | None, int]:
        """Add the list of neighbours when it changed; return its version and size."""
        due = self._heard_due_us is not None and self._heard_due_us <= now
        if not (due or (items and self.news)):
            return None, 0
        fits = max(room - TAGS_HEAD, 0) // SHORT_LEN
        shorts = self._neighbours.told_to_others(fits)
        whole = shorts == self._neighbours.told_to_others()
        if TAGS_HEAD > room or (items and not whole):
            return None, 0
        items.append(Heard(shorts))
        return self._neighbours.version, TAGS_HEAD + SHORT_LEN * len(shorts)

    def _wants(self, items: list[Item], now: int, room: int) -> tuple[bytes, ...]:
        tags = self.wanted.soon(now) if items else self.wanted.due(now)
        chosen = tuple(tags[: max(room - TAGS_HEAD, 0) // TAG_LEN])
        if chosen:
            items.append(Wants(chosen))
        return chosen

    def _list(self, items: list[Item], hidden: Container[bytes], room: int, now: int) -> bool:
        """Add the listing when its time has come: of the youngest, as many as there is room for."""
        if self._listing_due_us is None:
            return False
        rules, alone = self.rules, not items
        quiet = self._listed_us is None or now - self._listed_us >= rules.listing_us
        if self._listing_due_us > now and not (items and quiet):
            return False
        young, old = -(-rules.young_us // AGE_STEP_US), rules.old_us // AGE_STEP_US
        ages = [
            ((now - held.born_us) // AGE_STEP_US, held.tag)
            for held in self._store.recent(now)
            if held.tag not in hidden
        ]
        named = sorted(one for one in ages if young <= one[0] < old)
        fits = min(max(room - LISTING_HEAD, 0) // TAG_LEN, COUNT_MAX)
        if len(named) > fits:
            if not alone:
                return False
            old = named[fits][0]
            named = [one for one in named[:fits] if one[0] < old]
        if not named:
            self._repeat = False
            self._list_later(now)
            return False
        items.append(Listing(tuple(tag for _, tag in named), young, old))
        return True
