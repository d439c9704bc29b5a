"""Objects for everybody: told on by as few as will do, several in a frame, and repaired.

Enters: items of opened frames with their sender, own objects. Leaves: items for the next frame,
and objects that were not known yet. A node sends an object on when a listener of its own is not
known to have it: the more such listeners, the earlier, and not at all when others were quicker.
Whatever waits then goes along in the same frame. Now and then a frame lists what its sender has of
the last minutes: who misses one asks for it, and who hears that another misses one sends it again.
Must not know: keys, airtime law, what objects mean, when the channel is free.
"""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from meshd.core.buckets import Buckets
from meshd.core.drops import DropReason, Drops
from meshd.core.errors import UsageError
from meshd.core.ids import SHORT_LEN
from meshd.core.law import HOUR_US
from meshd.forwarding.held import Held, Store, Wanted, name_of
from meshd.forwarding.neighbours import Neighbours
from meshd.forwarding.rules import Rules
from meshd.forwarding.turns import PACED, Turns, in_turn
from meshd.wire import lora_payload
from meshd.wire.lora_items import (
    AGE_MAX,
    AGE_STEP_US,
    BODY_MAX,
    COUNT_MAX,
    LISTING_HEAD,
    OBJECT_HEAD,
    PRIORITIES,
    TAG_LEN,
    TAGS_HEAD,
    Heard,
    Item,
    Listing,
    Object,
    Wants,
    tag_of,
)

OBJECTS_MAX = lora_payload.ITEMS_MAX - 14
"""Objects in a frame, so that wants, listing, neighbours and others have their items too."""

ROOM_MIN = 24
"""Less is no use: no radio has frames so short."""

FEW = 2
"""A node with no more listeners lists everything twice: nobody else might tell them."""

SENDS_MAX = 4
"""After so many transmissions of an object here, nobody gets it again by asking."""

POWER = 1.5
"""How much earlier one goes who reaches more: hold / reach ** POWER."""

FLOOR = 0.8
"""The random part of a wait is the last fifth: order by reach comes before chance."""

URGENT_SLOTS = 16

LAST_HOLDS = 3
"""So many times longer waits, on a busy channel, who would reach one listener only."""

ONLY_PART = 10
"""For whom no other neighbour can tell, a calm channel is used after this part of the wait."""

URGENT_SENDS = 3
URGENT_UNPROVEN = 2
URGENT_AGAIN_US = (10_000_000, 20_000_000)
"""Priority 0 is sent so often here while a listener is not known to have it: no listing is waited
for, and that a frame was sent does not count as having been heard."""

URGENT_BURST = 16
URGENT_EACH_US = 30_000_000
"""So many new objects of priority 0 of one neighbour go before all else, then one each while."""

URGENT_SOURCES = 64
URGENT_OVER = 2
"""As what the rest of them goes on: after texts."""


class Batch(NamedTuple):
    """What the next frame carries. Hand it back to `sent` once it is on the air no more."""

    items: tuple[Item, ...]
    objects: tuple[Held, ...]
    wants: tuple[bytes, ...]
    listed: bool
    heard_version: int | None

    @property
    def priority(self) -> int:
        """Return that of the most urgent object, 1 when there is none."""
        return min((held.rank for held in self.objects), default=1)


class Cast:
    """The objects of one radio."""

    def __init__(
        self,
        neighbours: Neighbours,
        rules: Rules,
        rng: Random,
        *,
        drops: Drops,
        link: str,
        relayed_us: int = HOUR_US,
        lists: bool = True,
    ) -> None:
        """`relayed_us`: so much of an hour is for what others brought. `lists`: it says by itself
        whom this node hears; else `beacon` is called for that.
        """
        self._lists = lists
        self.neighbours = neighbours
        self.rules = rules
        self.store = Store(rules.window_us)
        self.wanted = Wanted(rules.want_us, rng)
        self._urgent = Buckets(
            burst=URGENT_BURST, interval_us=URGENT_EACH_US, sources_max=URGENT_SOURCES
        )
        self.drops = drops
        self._link = link
        self._rng = rng
        self._repeat = False
        self._listed_us: int | None = None
        self._listing_due_us: int | None = None
        self._heard_due_us: int | None = None
        self._heard_version = 0
        self.turns = Turns(rng, relayed_us)

    # --- inputs -----------------------------------------------------------------------------------

    def publish(self, body: bytes, priority: int, now: int) -> bytes:
        """Tell everybody; return the object's tag.

        Raises: UsageError when no frame can carry it, or too much that is more urgent is under way.
        """
        if not 0 < len(body) <= BODY_MAX or not 0 <= priority < PRIORITIES:
            raise UsageError(f"an object has 1 to {BODY_MAX} bytes and priority 0 to 4")
        if name_of(body) in self.store.by_name:
            return tag_of(body)
        held = Held(body, priority, now)
        held.own, held.reach = True, len(self.neighbours.listeners)
        if not self._keep(held, now):
            raise UsageError("too many own objects that are more urgent are under way")
        span_us = self.rules.own_us if priority else self.rules.slot_us
        held.due_us = now + self._rng.randint(min(self.rules.slot_us, span_us), span_us)
        return held.tag

    def relay(self, body: bytes, priority: int, born_us: int, *, source: bytes, now: int) -> None:
        """Tell on what a neighbour told on another radio: neither as own, nor as new."""
        if name_of(body) in self.store.by_name:
            return
        held = Held(body, priority, born_us, source)
        if self._taken(held, now):
            held.reach = len(self.neighbours.listeners)
            held.due_us = now + self._rng.randint(self.rules.slot_us, self.rules.own_us)

    def receive(
        self, sender: bytes, items: tuple[lora_payload.Item, ...], now: int, node: bytes = b""
    ) -> list[Object]:
        """Take what a neighbour sent; return the objects that are new here. `node`: its NodeId."""
        fresh = []
        present: set[bytes] = set()
        once: set[type] = set()
        for item in items:
            if isinstance(item, Listing | Wants):
                if type(item) in once:
                    self.drops.count(DropReason.CAST_REPEATED, self._link)
                    continue
                once.add(type(item))
            if isinstance(item, Object):
                present.add(tag_of(item.body))
                self.neighbours.tells(sender, now)
                if self._object(sender, item, now):
                    fresh.append(item)
            elif isinstance(item, Heard):
                self.neighbours.told(sender, item.shorts, node)
            elif isinstance(item, Wants):
                self._asked(sender, item.tags, now)
            elif isinstance(item, Listing):
                self._compare(sender, present, item, now)
        changed = self.neighbours.version != self._heard_version
        if self._lists and self._heard_due_us is None and changed:
            self._heard_due_us = now + self._rng.randint(self.rules.slot_us, self.rules.young_us)
        return fresh

    def loaded(self, share: float, now: int) -> None:
        """Note how much of the channel is taken: the least urgent waits while it is too much."""
        self.turns.loaded(share, now)

    def took(self, batch: Batch, airtime_us: int, now: int) -> None:
        """Note how long a batch with objects was on the air: then others have their turn."""
        self.turns.took(batch.objects, airtime_us, self.neighbours.tellers(now), now)

    def beacon(self, now: int) -> None:
        """Have the list of neighbours sent with the next frame, or alone."""
        self._heard_due_us = now

    def relist(self) -> None:
        """Somebody missed the list of neighbours: it goes with what is sent next."""
        self._heard_version = -1

    # --- what to send -----------------------------------------------------------------------------

    def due_us(self) -> int | None:
        """Return when `build` has something; may be in the past."""
        due_us = min(self._dues(), default=None)
        if due_us is None or self.turns.load <= PACED or self.turns.next_us <= due_us:
            return due_us
        urgent = (self.turns.when(one) for one in self.store.by_name.values() if not one.rank)
        return min((at for at in urgent if at is not None), default=self.turns.next_us)

    def build(self, now: int, room: int, *, whole: int | None = None) -> Batch | None:
        """Return items of at most `room` bytes when anything is due, all that waits among them.

        `whole`: what a frame with nothing else in it has room for, when others take part of this.
        """
        if room < ROOM_MIN:
            raise UsageError(f"a frame needs room for {ROOM_MIN} bytes")
        due_us = self.due_us()
        if due_us is None or due_us > now:
            return None
        items: list[Item] = []
        objects = self._objects(now, room, room if whole is None else whole)
        for held in objects:
            age = min(max(now - held.born_us, 0) + AGE_STEP_US // 2, self.rules.window_us)
            item = Object(held.body, held.priority, min(age // AGE_STEP_US, AGE_MAX - 1))
            items.append(item)
            room -= item.size
        version, spent = self._heard(items, now, room)
        room -= spent
        wants = self._wants(items, now, room)
        room -= TAGS_HEAD + TAG_LEN * len(wants) if wants else 0
        listed = self._list(items, objects, room, now)
        if not items:
            return None
        return Batch(tuple(items), tuple(objects), wants, listed, version)

    def sent(self, batch: Batch, now: int) -> None:
        """Note that a batch went out."""
        for held in batch.objects:
            held.sends += 1
            held.due_us = None
            if not self._again(held):
                held.covered.update(self.neighbours.listeners)
            elif self._reach(held):
                held.due_us = now + self._rng.randint(*URGENT_AGAIN_US)
        self.wanted.asked(batch.wants, now)
        if batch.listed:
            self._listed_us = now
            self._repeat = not self._repeat and len(self.neighbours.listeners) <= FEW
            self._list_later(now)
        if batch.heard_version is not None:
            self._heard_version, self._heard_due_us = batch.heard_version, None

    # --- objects ----------------------------------------------------------------------------------

    def _object(self, sender: bytes, item: Object, now: int) -> bool:
        """Take an object from the air; True when it is new."""
        held = self.store.by_name.get(name_of(item.body))
        if held is None:
            held = Held(item.body, item.priority, now - item.age * AGE_STEP_US, sender)
            if not self._taken(held, now):
                return False
            self._cover(held, sender)
            self._plan(held, now)
            return True
        self._cover(held, sender)
        waits_first = held.own and not held.sends
        if held.due_us is not None and not waits_first and self._reach(held) < held.reach:
            self._plan(held, now)
        return False

    def _taken(self, held: Held, now: int) -> bool:
        """Keep another node's object; False when it is too old, or nothing gives way to it."""
        age_us = now - held.born_us
        if age_us >= AGE_MAX * AGE_STEP_US or age_us > self.rules.window_us:
            self.drops.count(DropReason.CAST_STALE, self._link)
            return False
        if not self._keep(held, now):
            self.drops.count(DropReason.CAST_FULL, self._link)
            return False
        if not held.priority and not self._urgent.allow(held.source, now):
            held.rank = URGENT_OVER
            self.drops.count(DropReason.CAST_URGENT, self._link)
        return True

    def _keep(self, held: Held, now: int) -> bool:
        if not self.store.add(held, now):
            return False
        self.wanted.came(held.tag)
        if self._listing_due_us is None:
            wait_us = self.rules.listing_us + self._rng.randint(0, self.rules.spread_us)
            self._listing_due_us = held.born_us + wait_us
        return True

    def _cover(self, held: Held, sender: bytes) -> None:
        if sender in self.neighbours.known:
            held.covered.add(sender)
        held.covered.update(self.neighbours.audience(sender))

    def _reach(self, held: Held) -> int:
        """Return how many listeners are not known to have an object."""
        return sum(short not in held.covered for short in self.neighbours.listeners)

    def _only(self, held: Held) -> bool:
        """Tell whether one who lacks an object hears no other neighbour that might tell it."""
        near = self.neighbours
        return any(near.only(one) for one in near.listeners if one not in held.covered)

    def _again(self, held: Held) -> bool:
        """Tell whether an object is sent once more unasked: distress, of others to who is proven,
        and once to who says that it hears this node.
        """
        if held.rank or held.sends >= URGENT_SENDS:
            return False
        if held.own or held.sends < URGENT_UNPROVEN:
            return True
        proven = self.neighbours.proven
        return any(proven(one) for one in self.neighbours.listeners if one not in held.covered)

    def _plan(self, held: Held, now: int) -> None:
        """Decide when an object is sent on, or that it need not be."""
        held.reach = reach = self._reach(held)
        if not reach:
            held.due_us = None
            return
        slot_us = self.rules.slot_us
        hold_us = self.rules.hold_us if held.rank else URGENT_SLOTS * slot_us
        if held.rank and reach == 1 and self.turns.load > PACED:
            hold_us *= LAST_HOLDS
        elif held.rank and self.turns.load <= PACED and self._only(held):
            hold_us //= ONLY_PART
        part = FLOOR + (1 - FLOOR) * self._rng.random()
        held.due_us = now + slot_us + round(hold_us / reach**POWER * part)

    def _objects(self, now: int, room: int, whole: int) -> list[Held]:
        """Choose what rides: distress first, then what is due, then what is not due yet."""
        waiting: list[Held] = []
        for held in self.store.recent(now):
            if held.due_us is None or self.turns.sheds(held):
                continue
            if not self._reach(held) and (held.sends or not held.own):
                held.due_us = None  # a listing named it, or who lacked it is gone
                continue
            if OBJECT_HEAD + len(held.body) > whole:
                held.due_us = None
                self.drops.count(DropReason.CAST_TOO_LONG, self._link)
                continue
            waiting.append(held)
        chosen: list[Held] = []
        for held in in_turn(waiting, now):
            size = OBJECT_HEAD + len(held.body)
            if size <= room and len(chosen) < OBJECTS_MAX:
                chosen.append(held)
                room -= size
        return chosen

    # --- repair -----------------------------------------------------------------------------------

    def _compare(self, sender: bytes, present: set[bytes], listing: Listing, now: int) -> None:
        """Take a listing: want what is missing here, send again what is missing there."""
        rules, theirs = self.rules, present.union(listing.tags)
        known = {held.tag for held in self.store.by_name.values()} | self.wanted.by_tag.keys()
        for tag in dict.fromkeys(listing.tags):
            if tag in known:
                continue
            due_us = now + self._rng.randint(rules.slot_us, rules.want_us)
            refused = self.wanted.add(sender, tag, due_us)
            if refused is not None:
                self.drops.count(refused, self._link)
                break
        listener = sender in self.neighbours.listeners
        young_us = listing.young * AGE_STEP_US + rules.margin_us
        old_us = listing.old * AGE_STEP_US - rules.margin_us
        lacking = 0
        for held in self.store.recent(now):
            if held.tag in theirs:
                held.covered.add(sender)
            elif young_us < now - held.born_us < old_us:
                lacking += 1
                held.covered.discard(sender)
                if listener and held.sends < SENDS_MAX and held.due_us is None:
                    self._plan(held, now)
        if not lacking and self._listing_due_us is not None:
            self._list_later(now)

    def _list_later(self, now: int) -> None:
        """Plan the next listing, if there is something that none has named yet."""
        rules = self.rules
        later = self._repeat or any(
            now - held.born_us < rules.young_us for held in self.store.recent(now)
        )
        wait_us = rules.listing_us + self._rng.randint(0, rules.spread_us)
        if self._repeat:
            wait_us //= 4
        self._listing_due_us = now + wait_us if later else None

    def _asked(self, sender: bytes, tags: tuple[bytes, ...], now: int) -> None:
        """Send again what a listener wants; want later what it wants too."""
        listener = sender in self.neighbours.listeners
        for tag in tags:
            self.wanted.later(tag, now)
        for held in self.store.tagged(frozenset(tags)):
            held.covered.discard(sender)
            if listener and held.sends < SENDS_MAX:
                due_us = now + self._rng.randint(self.rules.slot_us, 12 * self.rules.slot_us)
                held.due_us = due_us if held.due_us is None else min(held.due_us, due_us)

    # --- the parts of a frame ---------------------------------------------------------------------

    def _dues(self) -> Iterator[int]:
        for held in self.store.by_name.values():
            if (at := self.turns.when(held)) is not None:
                yield at
        for want in self.wanted.by_tag.values():
            yield want.due_us
        if self._listing_due_us is not None:
            yield self._listing_due_us
        if self._heard_due_us is not None:
            yield self._heard_due_us

    def _heard(self, items: list[Item], now: int, room: int) -> tuple[int | None, int]:
        """Add the list of neighbours when it changed; return its version and size."""
        due = self._heard_due_us is not None and self._heard_due_us <= now
        changed = self.neighbours.version != self._heard_version
        if not (due or (items and changed)):
            return None, 0
        fits = max(room - TAGS_HEAD, 0) // SHORT_LEN
        shorts = self.neighbours.told_to_others(fits)
        whole = shorts == self.neighbours.told_to_others()
        if TAGS_HEAD > room or (items and not whole):
            return None, 0
        items.append(Heard(shorts))
        return self.neighbours.version, TAGS_HEAD + SHORT_LEN * len(shorts)

    def _wants(self, items: list[Item], now: int, room: int) -> tuple[bytes, ...]:
        tags = self.wanted.soon(now) if items else self.wanted.due(now)
        chosen = tuple(tags[: max(room - TAGS_HEAD, 0) // TAG_LEN])
        if chosen:
            items.append(Wants(chosen))
        return chosen

    def _list(self, items: list[Item], objects: list[Held], room: int, now: int) -> bool:
        """Add the listing when its time has come: of the youngest, as many as there is room for."""
        if self._listing_due_us is None:
            return False
        rules, alone = self.rules, not items
        quiet = self._listed_us is None or now - self._listed_us >= rules.listing_us
        if self._listing_due_us > now and not (items and quiet):
            return False
        inside = {held.tag for held in objects}
        young, old = -(-rules.young_us // AGE_STEP_US), rules.old_us // AGE_STEP_US
        ages = [
            ((now - held.born_us) // AGE_STEP_US, held.tag)
            for held in self.store.recent(now)
            if held.tag not in inside and not self.turns.sheds(held)
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
