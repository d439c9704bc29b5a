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

from meshd.core.drops import DropReason
from meshd.forwarding.neighbours import Neighbours
from meshd.wire.lora_items import (
    AGE_MAX,
    AGE_STEP_US,
    NAMED_MAX,
    OBJECT_HEAD,
    SHORT_LEN,
    TAG_LEN,
    TAGS_HEAD,
    Heard,
    Item,
    Listing,
    Object,
    Wants,
    tag_of,
)

HELD_MAX = 128
"""Objects held for repair; the oldest goes first, those of a low priority before others."""

WANTED_MAX = 64


class Rules(NamedTuple):
    """The times of a cast, in µs, for one modulation and priority of object; see `rules_for`.

    own_us       an own object waits up to so long, that others may share its frame
    hold_us      who would reach a single listener waits up to so long before sending on
    named_us     who was named by the sender waits up to so long; 0: nobody is named
    share_us     added to the wait of all that is sent on
    slot_us      the least wait, and the step of random ones
    listing_us   what was got is listed after so long, if no frame or neighbour did it before
    settle_us    younger objects are on their way: that one lacks them means nothing
    window_us    older ones are not listed any more
    want_us      who misses an object asks within so long
    """

    own_us: int
    hold_us: int
    named_us: int
    share_us: int
    slot_us: int
    listing_us: int
    settle_us: int
    window_us: int
    want_us: int
    ride_us: int = 10_000_000


WANTS_MAX = 3
SENDS_MAX = 4
FLOOR = 0.8
"""The random part of a wait is the upper 70 %: nobody goes at once."""


class Held:
    """An object that this node has. `covered`: who has it too, as far as known."""

    __slots__ = ("body", "born_us", "covered", "due_us", "own", "priority", "reach", "sends", "tag")

    def __init__(self, tag: bytes, body: bytes, priority: int, born_us: int) -> None:
        self.tag = tag
        self.body = body
        self.priority = priority
        self.born_us = born_us
        self.covered: set[bytes] = set()
        self.due_us: int | None = None
        self.reach = 0
        self.sends = 0
        self.own = False


class Want:
    """An object that a neighbour listed and this node has not."""

    __slots__ = ("due_us", "left")

    def __init__(self, due_us: int) -> None:
        self.due_us = due_us
        self.left = WANTS_MAX


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
        return min((held.priority for held in self.objects), default=1)


class Cast:
    """The objects of one radio."""

    def __init__(self, neighbours: Neighbours, rules: Rules, rng: Random) -> None:
        self.neighbours = neighbours
        self.rules = rules
        self.held: dict[bytes, Held] = {}
        self.wanted: dict[bytes, Want] = {}
        self.drops: list[DropReason] = []
        self._rng = rng
        self._listed_us: int | None = None
        self._listing_due_us: int | None = None
        self._heard_due_us: int | None = None
        self._heard_version = 0

    # --- inputs -----------------------------------------------------------------------------------

    def publish(self, body: bytes, priority: int, now: int) -> bytes:
        """Tell everybody; return the object's tag."""
        tag = tag_of(body)
        held = self._take(tag, body, priority, now)
        held.own = True
        span_us = self.rules.own_us if priority else self.rules.slot_us
        held.due_us = now + self._rng.randint(min(self.rules.slot_us, span_us), span_us)
        return tag

    def receive(self, sender: bytes, items: tuple[Item, ...], now: int) -> list[Object]:
        """Take what a neighbour sent; return the objects that are new here."""
        fresh = []
        present: set[bytes] = set()
        for item in items:
            if isinstance(item, Object):
                tag = tag_of(item.body)
                present.add(tag)
                if self._object(sender, tag, item, now):
                    fresh.append(item)
            elif isinstance(item, Heard):
                self.neighbours.told(sender, item.shorts)
            elif isinstance(item, Wants):
                self._asked(sender, item.tags, now)
            elif isinstance(item, Listing):
                self._compare(sender, present | set(item.tags), now)
        if self._heard_due_us is None and self.neighbours.version != self._heard_version:
            self._heard_due_us = now + self._rng.randint(self.rules.slot_us, self.rules.listing_us)
        return fresh

    def beacon(self, now: int) -> None:
        """Have the list of neighbours sent with the next frame, or alone."""
        self._heard_due_us = now

    # --- what to send -----------------------------------------------------------------------------

    def due_us(self) -> int | None:
        """Return when `build` has something; may be in the past."""
        return min(self._dues(), default=None)

    def build(self, now: int, room: int) -> Batch | None:
        """Return items of at most `room` bytes when anything is due, all that waits among them."""
        due_us = self.due_us()
        if due_us is None or due_us > now:
            return None
        items: list[Item] = []
        ride_us = now + self.rules.ride_us
        waiting = [held for held in self.held.values() if held.due_us is not None and held.due_us <= ride_us]
        waiting.sort(key=lambda held: (held.priority, held.due_us))
        objects = []
        for held in waiting:
            if OBJECT_HEAD + len(held.body) <= room:
                item = self._item(held, room - OBJECT_HEAD - len(held.body), now)
                items.append(item)
                objects.append(held)
                room -= item.size
        version = self._heard(items, now, room)
        room -= sum(len(item.encode()) for item in items if isinstance(item, Heard))
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
            held.covered.update(self.neighbours.listeners)
        for tag in batch.wants:
            want = self.wanted.get(tag)
            if want is not None:
                want.left -= 1
                want.due_us = now + self._rng.randint(2 * self.rules.want_us, 4 * self.rules.want_us)
                if not want.left:
                    del self.wanted[tag]
        if batch.listed:
            self._listed_us, self._listing_due_us = now, None
        if batch.heard_version is not None:
            self._heard_version, self._heard_due_us = batch.heard_version, None

    # --- objects ----------------------------------------------------------------------------------

    def _object(self, sender: bytes, tag: bytes, item: Object, now: int) -> bool:
        """Take an object from the air; True when it is new."""
        held = self.held.get(tag)
        if held is None:
            born_us = now - item.age * AGE_STEP_US
            if item.age == AGE_MAX or now - born_us > self.rules.window_us:
                self.drops.append(DropReason.CAST_STALE)
                return False
            held = self._take(tag, item.body, item.priority, born_us)
            self._cover(held, sender)
            self._plan(held, now, named=self.neighbours.own[-1] in item.named)
            return True
        if held.body != item.body:
            self.drops.append(DropReason.CAST_TAG_TAKEN)
            return False
        self._cover(held, sender)
        if held.due_us is not None and not (held.own and not held.sends):
            reach = self._reach(held)
            if reach < held.reach:
                self._plan(held, now)
        return False

    def _take(self, tag: bytes, body: bytes, priority: int, born_us: int) -> Held:
        self.wanted.pop(tag, None)
        if len(self.held) >= HELD_MAX:
            worst = max(self.held.values(), key=lambda held: (held.priority, -held.born_us))
            del self.held[worst.tag]
        held = self.held[tag] = Held(tag, body, priority, born_us)
        if self._listing_due_us is None:
            wait_us = self.rules.listing_us + self._rng.randint(0, self.rules.listing_us)
            self._listing_due_us = born_us + wait_us
        return held

    def _cover(self, held: Held, sender: bytes) -> None:
        held.covered.add(sender)
        held.covered.update(self.neighbours.audience(sender))

    def _reach(self, held: Held) -> int:
        """Return how many listeners are not known to have an object."""
        return sum(short not in held.covered for short in self.neighbours.listeners)

    def _plan(self, held: Held, now: int, *, named: bool = False) -> None:
        """Decide when an object is sent on, or that it need not be."""
        held.reach = reach = self._reach(held)
        if not reach:
            held.due_us = None
            return
        rules = self.rules
        if not held.priority:
            span_us = rules.slot_us * 8
        elif named:
            span_us = rules.named_us
        else:
            span_us = round(rules.hold_us / reach)
        part = FLOOR + (1 - FLOOR) * self._rng.random()
        share_us = rules.share_us if held.priority else 0
        held.due_us = now + rules.slot_us + share_us + round(span_us * part)

    def _item(self, held: Held, spare: int, now: int) -> Object:
        named: list[bytes] = []
        if self.rules.named_us and spare >= NAMED_MAX:
            named = self.neighbours.relays(held.covered, NAMED_MAX)
        age = min(max(now - held.born_us, 0) // AGE_STEP_US, AGE_MAX)
        return Object(held.body, held.priority, age, bytes(short[-1] for short in named))

    # --- repair -----------------------------------------------------------------------------------

    def _recent(self, now: int) -> Iterator[Held]:
        """Yield what a listing names; what is too old is let go."""
        for held in list(self.held.values()):
            if now - held.born_us > self.rules.window_us:
                del self.held[held.tag]
            else:
                yield held

    def _compare(self, sender: bytes, tags: set[bytes], now: int) -> None:
        """Take a listing: want what is missing here, send again what is missing there."""
        rules = self.rules
        for tag in tags - self.held.keys() - self.wanted.keys():
            if len(self.wanted) >= WANTED_MAX:
                self.drops.append(DropReason.CAST_WANTS_FULL)
                break
            self.wanted[tag] = Want(now + self._rng.randint(rules.slot_us, rules.want_us))
        hears_us = sender in self.neighbours.listeners
        mine = 0
        for held in self._recent(now):
            if held.tag in tags:
                held.covered.add(sender)
                continue
            age_us = now - held.born_us
            mine += age_us > rules.settle_us
            lacking = rules.settle_us < age_us < rules.window_us - rules.settle_us
            if hears_us and lacking and held.sends < SENDS_MAX:
                held.covered.discard(sender)
                if held.due_us is None:
                    self._plan(held, now)
        if not mine and self._listing_due_us is not None:
            self._listing_due_us = None

    def _asked(self, sender: bytes, tags: tuple[bytes, ...], now: int) -> None:
        """Send again what a listener wants; want later what it wants too."""
        rules = self.rules
        for tag in tags:
            held = self.held.get(tag)
            if held is not None:
                held.covered.discard(sender)
                if sender in self.neighbours.listeners and held.sends < SENDS_MAX:
                    due_us = now + self._rng.randint(rules.slot_us, 12 * rules.slot_us)
                    held.due_us = min(held.due_us or due_us, due_us)
            elif (want := self.wanted.get(tag)) is not None:
                wait_us = self._rng.randint(rules.want_us, 2 * rules.want_us)
                want.due_us = max(want.due_us, now + wait_us)

    # --- the parts of a frame ---------------------------------------------------------------------

    def _dues(self) -> Iterator[int]:
        for held in self.held.values():
            if held.due_us is not None:
                yield held.due_us
        for want in self.wanted.values():
            yield want.due_us
        if self._listing_due_us is not None:
            yield self._listing_due_us
        if self._heard_due_us is not None:
            yield self._heard_due_us

    def _heard(self, items: list[Item], now: int, room: int) -> int | None:
        """Add the list of neighbours when it changed; return the version that goes out."""
        due = self._heard_due_us is not None and self._heard_due_us <= now
        changed = self.neighbours.version != self._heard_version
        if not (due or (items and changed)):
            return None
        shorts = self.neighbours.told_to_others()
        if TAGS_HEAD + SHORT_LEN * len(shorts) > room:
            return None
        items.append(Heard(shorts))
        return self.neighbours.version

    def _wants(self, items: list[Item], now: int, room: int) -> tuple[bytes, ...]:
        soon_us = now + self.rules.want_us
        tags = [tag for tag, want in self.wanted.items() if want.due_us <= soon_us]
        if not items and not any(want.due_us <= now for want in self.wanted.values()):
            return ()
        chosen = tuple(tags[: max(room - TAGS_HEAD, 0) // TAG_LEN])
        if chosen:
            items.append(Wants(chosen))
        return chosen

    def _list(self, items: list[Item], objects: list[Held], room: int, now: int) -> bool:
        """Add the listing when its time has come."""
        due = self._listing_due_us is not None and self._listing_due_us <= now
        quiet = self._listed_us is None or now - self._listed_us >= self.rules.listing_us
        if not due and not (items and quiet and self._listing_due_us is not None):
            return False
        inside = {held.tag for held in objects}
        tags = [held.tag for held in self._recent(now) if held.tag not in inside]
        if TAGS_HEAD + TAG_LEN * len(tags) > room or len(tags) > 255:
            return False
        if not tags:
            self._listing_due_us = None
            return False
        items.append(Listing(tuple(tags)))
        return True
