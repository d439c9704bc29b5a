"""Objects for everybody: told on by as few as will do, several in a frame, and repaired.

Enters: items of opened frames with their sender, own objects. Leaves: items for the next frame,
and objects that were not known yet. A node sends an object on when a listener of its own is not
known to have it: the more such listeners, the earlier, and not at all when others were quicker.
Whatever waits then goes along in the same frame, lists of what is here among it (`Listings`).
Must not know: keys, airtime law, what objects mean, when the channel is free.
"""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from meshd.core.buckets import Buckets
from meshd.core.drops import DropReason, Drops
from meshd.core.errors import UsageError
from meshd.core.law import HOUR_US
from meshd.forwarding.listings import Listings, Said
from meshd.forwarding.neighbours import Neighbours
from meshd.forwarding.objects import HeldObject, Store, name_of
from meshd.forwarding.rules import Rules
from meshd.forwarding.turns import PACED, Turns, in_turn
from meshd.wire import lora_payload
from meshd.wire.lora_items import (
    AGE_MAX,
    AGE_STEP_US,
    BODY_MAX,
    OBJECT_HEAD,
    PRIORITIES,
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
    objects: tuple[HeldObject, ...]
    said: Said

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
    ) -> None:
        """`relayed_us`: so much of an hour is for what others brought."""
        self.neighbours = neighbours
        self.rules = rules
        self.store = Store(rules.window_us)
        self.listings = Listings(neighbours, self.store, rules, rng)
        self._urgent = Buckets(
            burst=URGENT_BURST, interval_us=URGENT_EACH_US, sources_max=URGENT_SOURCES
        )
        self.drops = drops
        self._link = link
        self._rng = rng
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
        held = HeldObject(body, priority, now)
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
        held = HeldObject(body, priority, born_us, source)
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
                self._lacking(sender, present, item, now)
        return fresh

    def loaded(self, share: float, now: int) -> None:
        """Note how much of the channel is taken: the least urgent waits while it is too much."""
        self.turns.loaded(share, now)

    def took(self, batch: Batch, airtime_us: int, now: int) -> None:
        """Note how long a batch with objects was on the air: then others have their turn."""
        self.turns.took(batch.objects, airtime_us, self.neighbours.tellers(now), now)

    def use(self, rules: Rules) -> None:
        """Wait as these rules say from now on."""
        self.rules = self.listings.rules = rules

    # --- what to send -----------------------------------------------------------------------------

    def due_us(self) -> int | None:
        """Return when `build` has something; may be in the past."""
        due_us = min(self._dues(), default=None)
        if due_us is None or self.turns.load <= PACED or self.turns.next_us <= due_us:
            return due_us
        urgent = (self.turns.when(one) for one in self.store.by_name.values() if not one.rank)
        return min((at for at in urgent if at is not None), default=self.turns.next_us)

    def ride(self, room: int, now: int) -> None:
        """A frame goes anyway: whom this node hears goes with it when that is news."""
        if self.due_us() is None:
            self.listings.ride(room, now)

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
        inside = {held.tag for held in objects}
        hidden = inside | {held.tag for held in self.store.recent(now) if self.turns.sheds(held)}
        said = self.listings.say(items, hidden, room, now)
        return Batch(tuple(items), tuple(objects), said) if items else None

    def sent(self, batch: Batch, now: int) -> None:
        """Note that a batch went out."""
        for held in batch.objects:
            held.sends += 1
            held.due_us = None
            if not self._again(held):
                held.covered.update(self.neighbours.listeners)
            elif self._reach(held):
                held.due_us = now + self._rng.randint(*URGENT_AGAIN_US)
        self.listings.said(batch.said, now)

    # --- objects ----------------------------------------------------------------------------------

    def _object(self, sender: bytes, item: Object, now: int) -> bool:
        """Take an object from the air; True when it is new."""
        held = self.store.by_name.get(name_of(item.body))
        if held is None:
            held = HeldObject(item.body, item.priority, now - item.age * AGE_STEP_US, sender)
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

    def _taken(self, held: HeldObject, now: int) -> bool:
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

    def _keep(self, held: HeldObject, now: int) -> bool:
        if not self.store.add(held, now):
            return False
        self.listings.came(held)
        return True

    def _cover(self, held: HeldObject, sender: bytes) -> None:
        if sender in self.neighbours.known:
            held.covered.add(sender)
        held.covered.update(self.neighbours.audience(sender))

    def _reach(self, held: HeldObject) -> int:
        """Return how many listeners are not known to have an object."""
        return sum(short not in held.covered for short in self.neighbours.listeners)

    def _only(self, held: HeldObject) -> bool:
        """Tell whether one who lacks an object hears no other neighbour that might tell it."""
        near = self.neighbours
        return any(near.only(one) for one in near.listeners if one not in held.covered)

    def _again(self, held: HeldObject) -> bool:
        """Tell whether an object is sent once more unasked: distress, of others to who is proven,
        and once to who says that it hears this node.
        """
        if held.rank or held.sends >= URGENT_SENDS:
            return False
        if held.own or held.sends < URGENT_UNPROVEN:
            return True
        proven = self.neighbours.proven
        return any(proven(one) for one in self.neighbours.listeners if one not in held.covered)

    def _plan(self, held: HeldObject, now: int) -> None:
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

    def _objects(self, now: int, room: int, whole: int) -> list[HeldObject]:
        """Choose what rides: distress first, then what is due, then what is not due yet."""
        waiting: list[HeldObject] = []
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
        chosen: list[HeldObject] = []
        for held in in_turn(waiting, now):
            size = OBJECT_HEAD + len(held.body)
            if size <= room and len(chosen) < OBJECTS_MAX:
                chosen.append(held)
                room -= size
        return chosen

    # --- repair -----------------------------------------------------------------------------------

    def _lacking(self, sender: bytes, present: set[bytes], listing: Listing, now: int) -> None:
        """Take a listing: what a listener lacks is sent again."""
        refused, lacking = self.listings.compare(sender, present, listing, now)
        if refused is not None:
            self.drops.count(refused, self._link)
        for held in lacking if sender in self.neighbours.listeners else ():
            if held.sends < SENDS_MAX and held.due_us is None:
                self._plan(held, now)

    def _asked(self, sender: bytes, tags: tuple[bytes, ...], now: int) -> None:
        """Send again what a listener wants; want later what it wants too."""
        listener = sender in self.neighbours.listeners
        for tag in tags:
            self.listings.wanted.later(tag, now)
        for held in self.store.tagged(frozenset(tags)):
            held.covered.discard(sender)
            if listener and held.sends < SENDS_MAX:
                due_us = now + self._rng.randint(self.rules.slot_us, 12 * self.rules.slot_us)
                held.due_us = due_us if held.due_us is None else min(held.due_us, due_us)

    def _dues(self) -> Iterator[int]:
        for held in self.store.by_name.values():
            if (at := self.turns.when(held)) is not None:
                yield at
        yield from self.listings.dues()
