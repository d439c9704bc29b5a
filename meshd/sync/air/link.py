"""One radio as sync sees it: what waits for it, what is asked and said on it, and its pace.

Enters: offers, due times. Leaves: bodies for the radio, as objects for everybody or as items for
those in earshot. Who hears another answer waits, so that one of several answers.
"""

from collections.abc import Iterator
from typing import NamedTuple

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.ids import NODE_ID_LEN
from meshd.sync.air.names import Names
from meshd.sync.air.offers import MEMBERSHIP, Offer, Offers
from meshd.sync.air.states import State
from meshd.sync.air.talk import FAR, NEAR, Talk
from meshd.sync.air.wants import AirWants
from meshd.sync.ports import RadiosPort
from meshd.wire.air_entry import ID_LEN, Thin, split
from meshd.wire.air_messages import Digests, Heads
from meshd.wire.lora_payload import Local, ObjectKind, Sub

FRAME_BYTES = 200
UNIT_MIN_US = 300_000
LOCAL_OVERHEAD = 18
"""Bytes of a frame and an item beside the body of a LOCAL item."""
ANSWER_UNITS_MAX = 40
SPREAD = 6
"""So much longer, at random, the next entry waits where the modem does not listen, by what one is
on the air: two that answer at once would collide all the way.
"""
AGAIN_UNITS = 8
"""How many frames long a radio without room is left alone."""


FAR_SLOW = 10
FAR_ANSWER_US = 5_000_000, 60_000_000
FAR_HEAD = 2 + NODE_ID_LEN
"""Bytes of a word to all before its body."""


class Voice(NamedTuple):
    """What is said and asked in one way: to who is in earshot, or to all."""

    wants: AirWants
    talk: Talk
    far: bool

    def due_us(self) -> int:
        """Return when there is something to say or to ask."""
        wants_us, talk_us = self.wants.due_us(), self.talk.due_us()
        return talk_us if wants_us is None else min(wants_us, talk_us)


class AirLink:
    """The state of one radio. `repaired` counts entries that came from neighbours' answers."""

    def __init__(
        self,
        name: str,
        ctx: Context,
        radios: RadiosPort,
        *,
        names: Names,
        states: dict[bytes, State],
        now: int,
    ) -> None:
        self.name = name
        self.offers = Offers()
        near = Talk(names, states, ctx.rng, now, pace=NEAR)
        self.near = Voice(AirWants(names, ctx.rng), near, far=False)
        self.far = Voice(
            AirWants(names, ctx.rng, slow=FAR_SLOW),
            Talk(names, states, ctx.rng, now, pace=FAR, near=near),
            far=True,
        )
        self._node = names.spaces.identity.node
        self.neighbours: tuple[bytes, ...] = ()
        self.repaired = 0
        self._radios = radios
        self._ctx = ctx
        self._free_us = now
        self._was_up = True

    @property
    def up(self) -> bool:
        """Whether its modem takes frames."""
        radio = self._radios.links.get(self.name)
        return radio is not None and radio.up

    @property
    def _listens(self) -> bool:
        """Whether its modem waits while others send."""
        radio = self._radios.links.get(self.name)
        return radio is not None and radio.listens

    @property
    def unit_us(self) -> int:
        """Return how long a full frame is on the air."""
        return max(self.airtime_us(FRAME_BYTES), UNIT_MIN_US)

    def airtime_us(self, size: int) -> int:
        """Return how long a frame of so many bytes is on the air."""
        radio = self._radios.links.get(self.name)
        return radio.airtime_us(size) if radio is not None else 0

    @property
    def room(self) -> int:
        """Return how long a thin entry may be to go in one frame, either way."""
        return min(self._radios.body_max(self.name) - 1, self._radios.room(self.name))

    def look(self, now: int) -> None:
        """See who is in earshot."""
        self.neighbours = self._radios.neighbours_of(self.name)
        if self.up and not self._was_up:
            self.near.talk.resume(now)
        self._was_up = self.up
        for voice in (self.near, self.far):
            voice.talk.neighbours(self.neighbours, now)

    def voice(self, space: bytes, now: int) -> Voice:
        """Return whom to ask about a space: neighbours, or all if none of them has it."""
        return self.near if self.near.talk.shares(space, now) else self.far

    def offer(self, offer: Offer, now: int) -> None:
        """Take an entry that somebody may lack."""
        refused = self.offers.add(offer, now)
        if refused is not None:
            self.drop(refused)

    def answer_us(self, now: int, *, far: bool) -> int:
        """Return when to answer: at random, since all who are in earshot, or in the mesh, may."""
        if far:
            return now + self._ctx.jitter(*FAR_ANSWER_US)
        units = min(4 + 3 * len(self.neighbours), ANSWER_UNITS_MAX)
        return now + self._ctx.jitter(self.unit_us, units * self.unit_us)

    def another_answers(self, now: int) -> None:
        """Somebody else sends entries: leave it to them while they do."""
        wait_us = self._ctx.jitter(6 * self.unit_us, 10 * self.unit_us)
        self._free_us = max(self._free_us, now + wait_us)

    def drop(self, reason: DropReason) -> None:
        """Count a named drop of this radio."""
        self._ctx.drop(reason, self.name)

    # --- what goes out ----------------------------------------------------------------------------

    def due_us(self, now: int) -> int:
        """Return when `pump` has something to do."""
        dues = [self.near.due_us(), self.far.due_us()]
        offers_us = self.offers.due_us()
        if offers_us is not None:
            dues.append(max(offers_us, self._free_us))
        return max(min(dues), now + 1_000)

    def pump(self, now: int) -> None:
        """Say, ask and send what is due."""
        for voice in (self.near, self.far):
            self._speak(voice, now)
        if now < self._free_us:
            return
        offer = self.offers.next(now)
        if offer is None:
            return
        free_us = self._law_us(offer, now)
        if free_us > now:
            self.offers.later(offer, free_us)
            return
        airtime_us = self.send(offer, now)
        if airtime_us is None:
            self.offers.later(offer, now + AGAIN_UNITS * self.unit_us)
        else:
            self.offers.sent(offer, airtime_us, now)
            self._free_us = now + 3 * airtime_us // 2
            if not self._listens:
                self._free_us += self._ctx.jitter(0, SPREAD * airtime_us)

    def send(self, offer: Offer, now: int) -> int | None:
        """Hand an entry to the radio; return its time on air, None when there is no room."""
        priority = self.offers.priority(offer, now)
        airtime_us = 0
        for kind, sub, body in self._bodies(offer.thin):
            if not self._send(kind, sub, body, priority, now, far=offer.everybody):
                return None
            airtime_us += self.airtime_us(LOCAL_OVERHEAD + len(body))
        return airtime_us or None

    def carries(self, seq: int, size: int, hour_us: int | None) -> bool:
        """Tell whether an entry of so many bytes goes in frames, all within one hour of the law.

        `hour_us`: what an hour leaves to bulk, a half. What takes more than two thirds of it might
        wait for ever for one that is so free.
        """
        if size <= self.room:
            return True
        parts = split(bytes(ID_LEN), seq, bytes(size), self.room)
        frames = (LOCAL_OVERHEAD + len(part.encode()) for part in parts)
        airtime_us = sum(self.airtime_us(frame) for frame in frames)
        return bool(parts) and (hour_us is None or 3 * airtime_us <= 4 * hour_us)

    def _law_us(self, offer: Offer, now: int) -> int:
        """Return when the law lets an entry go: in the radio's queue it would grow too old."""
        radio = self._radios.links.get(self.name)
        if radio is None:
            return now
        sizes = (LOCAL_OVERHEAD + len(body) for _, _, body in self._bodies(offer.thin))
        airtime_us = sum(radio.airtime_us(size) for size in sizes)
        return radio.free_us(airtime_us, self.offers.priority(offer, now), now)

    def show(self, thin: Thin, now: int, *, far: bool) -> bool:
        """Hand a stub to the radio; False when there is no room."""
        bodies = self._bodies(thin)
        return all(self._send(*one, MEMBERSHIP, now, far=far) for one in bodies)

    def _send(
        self, kind: ObjectKind, sub: Sub, body: bytes, priority: int, now: int, *, far: bool
    ) -> bool:
        if far:
            return self._radios.publish(bytes([kind]) + body, priority, now, link=self.name) > 0
        return self._radios.tell(self.name, Local(sub, body), priority, now)

    def _bodies(self, thin: Thin) -> Iterator[tuple[ObjectKind, Sub, bytes]]:
        """Yield what an entry is sent as: itself, or its parts."""
        room = self.room
        data = thin.encode()
        if len(data) <= room:
            yield ObjectKind.ENTRY, Sub.ENTRY, data
            return
        for part in split(thin.author[:4], thin.seq, data, room):
            yield ObjectKind.ENTRY_PART, Sub.ENTRY_PART, part.encode()

    def _speak(self, voice: Voice, now: int) -> None:
        """Say and ask what is due, in earshot or to all."""
        room = self.word_room(voice)
        said = voice.talk.build(now, room)
        if said is not None:
            sub = {Digests: Sub.DIGESTS, Heads: Sub.HEADS}.get(type(said), Sub.SYMBOLS)
            self.word(voice, sub, said.encode(), now)
        needs = voice.wants.build(now, room)
        if needs is not None:
            self.word(voice, Sub.NEEDS, needs.encode(), now)

    def word_room(self, voice: Voice) -> int:
        """Return how long a word may be."""
        room = self._radios.room(self.name)
        return min(room, self._radios.body_max(self.name)) - FAR_HEAD if voice.far else room

    def word(self, voice: Voice, sub: Sub, body: bytes, now: int) -> None:
        """Say something of spaces, or what is wanted of them, in earshot or to all."""
        if voice.far:
            word = bytes((ObjectKind.WORD, sub)) + self._node + body
            self._radios.publish(word, MEMBERSHIP, now, link=self.name)
        else:
            self._radios.say(self.name, Local(sub, body), now, want=sub == Sub.NEEDS)
