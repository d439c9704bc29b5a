"""Spaces over LoRa: new entries go out once for all, and neighbours repair what they lack.

Enters: events of spaces, objects and LOCAL items of radios, time. Leaves: objects and items for
radios, and entries for `Spaces.accept`, the same way that sessions' entries take. Nothing that was
not accepted is stored, passed on or counted. What a neighbour says it holds is never taken as its
acknowledgement: frames prove membership of the mesh, not who spoke.
Ref: docs/wire-format.md#entries-over-lora, docs/decisions/0014-entries-by-lora.md.
"""

from collections.abc import Iterable

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.events import Answer
from meshd.core.ids import NODE_ID_LEN
from meshd.core.snapshot import SpaceStatus
from meshd.core.timers import Key as TimerKey
from meshd.space.feed import (
    EntryApplied,
    EntryDurable,
    Forked,
    MembershipChanged,
    SpaceAdded,
    SpaceEvent,
)
from meshd.space.space import Space
from meshd.space.spaces import Spaces
from meshd.sync.air.acks import WAIT_US, Acks, wants_word
from meshd.sync.air.arrivals import EVERYWHERE, Arrivals
from meshd.sync.air.forks import AirForks
from meshd.sync.air.link import AirLink
from meshd.sync.air.long import LongEntries
from meshd.sync.air.names import Names
from meshd.sync.air.offers import Key, Offer, worth
from meshd.sync.air.shows import Shows
from meshd.sync.air.states import LONG_AGO_US, State
from meshd.sync.air.status import Written, post_waits, told_of
from meshd.sync.air.words import Asker, Words
from meshd.sync.files.air.blobs import AirBlobs
from meshd.sync.ports import HeardPort, LocalPort, ObjectPort, PassingPort, RadiosPort
from meshd.sync.reads import Reads
from meshd.wire import air_messages as wire
from meshd.wire.entry import Kind
from meshd.wire.lora_payload import Local, ObjectKind, Sub

PASS_ON_UNITS = 6, 48
"""An entry of a session waits so many frames' time: another gateway may be first."""
ALONE_UNITS = 0, 1
"""The same where nobody in earshot is reached without LoRa: whoever else was first is not heard."""
LOOK_US = 5_000_000

KINDS = (ObjectKind.ENTRY, ObjectKind.ENTRY_PART, ObjectKind.WORD)
SUBS = (
    *(Sub.DIGESTS, Sub.HEADS, Sub.SYMBOLS, Sub.NEEDS, Sub.PROBE),
    *(Sub.ENTRY, Sub.ENTRY_PART, Sub.HELD),
)
"""What `AirSync.object` and `AirSync.local` take."""


class AirSync:
    """Sync by broadcast over all radios of a node. Costs nothing until there is a radio."""

    def __init__(
        self,
        ctx: Context,
        spaces: Spaces,
        radios: RadiosPort,
        passing: PassingPort,
        *,
        blobs: AirBlobs,
    ) -> None:
        self._ctx = ctx
        self._spaces = spaces
        self._radios = radios
        self._passing = passing
        self._blobs = blobs
        self._links: dict[str, AirLink] = {}
        self._names = names = Names(spaces)
        self._states: dict[bytes, State] = {}
        self._acks = Acks(spaces)
        self._reads = reads = Reads(ctx, "air")
        self._fork_reads = Reads(ctx, "air")
        shows = Shows(blobs.reached)
        self._forks = forks = AirForks(
            ctx, names, passing, reads=self._fork_reads, shows=shows, links=self._links
        )
        self._arrivals = Arrivals(names, passing, self._links, forks, self._states)
        self._long = LongEntries(ctx, names, passing, blobs, self._arrivals.accept)
        self._words = Words(names, passing, self._long, reads=reads, forks=forks, planned=self._arm)
        self._look_us = 0

    # --- inputs -----------------------------------------------------------------------------------

    def tend(self, now: int) -> None:
        """After each input of the node: see which radios and neighbours there are."""
        if not self._radios.links:
            return
        if now < self._look_us and self._links.keys() == self._radios.links.keys():
            return
        self._look_us = now + LOOK_US
        names = self._begin()
        for name, radio in self._radios.links.items():
            if name not in self._links and radio.up:
                self._links[name] = AirLink(
                    name, self._ctx, self._radios, names=names, states=self._states, now=now
                )
        for link in self._links.values():
            link.look(now)
            self._blobs.look(link.name, link.neighbours if link.up else (), now)
            self._arm(link, now)

    def told(self, statuses: Iterable[SpaceStatus], now: int) -> tuple[SpaceStatus, ...]:
        """Return what is known of spaces, with what radios know of them beside it."""
        known = zip(self._spaces.all(), statuses, strict=True)
        links = self._links.values()
        return tuple(told_of(each, status, links, self.waits(each, now)) for each, status in known)

    def waits(self, space: Space, now: int) -> tuple[str, ...]:
        """Say what entries of a space wait for, as far as LoRa has a part in that."""
        return self._long.said(space, self._arrivals.waiting(space.id), now) if self._links else ()

    def post_waits(self, space: Space, seq: int, payload: int, now: int) -> str:
        """Say what an own text waits for, or how long it takes; "" for one that goes at once."""
        served, written = self._passing.sharers(space.id), Written(seq, payload)
        links = self._links.values()
        return post_waits(space, written, links, served=served, long=self._long, now=now)

    def space_event(self, event: SpaceEvent, now: int) -> None:
        """Take any event of a space."""
        if not self._names.salt:
            return
        match event:
            case EntryApplied(space_id, author, seq, data):
                self._applied((space_id, author, seq), data, now)
            case EntryDurable(space_id, author, seq, own, data):
                self._durable((space_id, author, seq), data, own=own, now=now)
            case Forked(space_id, author):
                if space_id in self._states:
                    self._states[space_id].forked(author, now)
                self._forks.proven((space_id, author), self._passing.sharers(space_id), now)
            case MembershipChanged(space_id) | SpaceAdded(space_id):
                space = self._spaces.get(space_id)
                if space is not None:
                    self._names.learn(space)
                    self._states.setdefault(space_id, State(space))
                    self._arrivals.again(space_id, now)

    def handle_timer(self, key: TimerKey, now: int) -> None:
        """Do what is due on one radio."""
        link = self._links.get(str(key[1]))
        if link is not None and link.up:
            link.look(now)
            held = self._acks.build(link.name, now)
            if held is not None:
                self._radios.say(link.name, Local(Sub.HELD, held.encode()), now)
            for feed in self._long.coming(now):
                for voice in (link.near, link.far):
                    voice.wants.hold(feed, now)
            link.pump(now)
            self._forks.pump(link, now)
            self._arm(link, now)

    def read_done(self, token: int, answer: Answer, now: int) -> None:
        """Take an answer of the store."""
        for reads in (self._reads, self._fork_reads):
            reads.done(token, answer, now)

    def read_failed(self, token: int, why: str, now: int) -> None:
        """Take a failure of the store."""
        for reads in (self._reads, self._fork_reads):
            reads.failed(token, why, now)

    def reload(self, now: int) -> None:
        """Heads went back to what the store holds."""
        if self._names.salt:
            self._states.clear()
            self._states |= {space.id: State(space) for space in self._spaces.all()}

    # --- from the air -----------------------------------------------------------------------------

    def object(self, heard: ObjectPort, now: int) -> None:
        """Take an object that is an entry or a part of one."""
        self._begin()
        link = self._links.get(heard.link)
        if link is None:
            return
        kind, body = heard.body[0], heard.body[1:]
        try:
            if kind == ObjectKind.WORD:
                self._far(link, heard, body, now)
                return
            part = kind == ObjectKind.ENTRY_PART
            self._arrivals.data(link, body, now, part=part, born_us=heard.born_us)
        except WireError:
            link.drop(DropReason.AIR_MALFORMED)
        self._arm(link, now)

    def local(self, heard: LocalPort, now: int) -> None:
        """Take an item of a neighbour; what a recording may say makes nobody send anything."""
        self._begin()
        link = self._links.get(heard.link)
        if link is None:
            return
        sub = heard.sub
        try:
            if sub in (Sub.ENTRY, Sub.ENTRY_PART):
                part = sub == Sub.ENTRY_PART
                self._arrivals.data(link, heard.body, now, part=part, giver=heard.node)
            elif sub == Sub.HELD:
                self._acked(heard, now)
            elif not heard.trusted:
                link.drop(DropReason.AIR_UNPROVEN)
            else:
                asker = Asker(link, link.near, heard.node, heard.node)
                self._words.take(asker, sub, heard.body, now)
        except WireError:
            link.drop(DropReason.AIR_MALFORMED)
        self._arm(link, now)

    def _far(self, link: AirLink, heard: HeardPort, body: bytes, now: int) -> None:
        """Take a word that came through the mesh: it names its speaker itself."""
        if len(body) <= 1 + NODE_ID_LEN:
            raise WireError("word cut off")
        node = body[1 : 1 + NODE_ID_LEN]
        if node != self._spaces.identity.node:
            asker = Asker(link, link.far, node, heard.node)
            self._words.take(asker, body[0], body[1 + NODE_ID_LEN :], now)
        self._arm(link, now)

    def _acked(self, heard: LocalPort, now: int) -> None:
        """Take the word of a neighbour; most are for others."""
        held = self._acks.taken(heard.node, heard.body)
        if held is not None:
            self._passing.held(heard.node, held.space, held.author, held.seq)

    # --- from spaces ------------------------------------------------------------------------------

    def _applied(self, key: Key, data: bytes, now: int) -> None:
        """Note an entry, from wherever; what waited for it is taken now."""
        space_id, author, seq = key
        space = self._spaces.get(space_id)
        digest = space.entry_digest(author, data) if space is not None else None
        if space is None or digest is None:
            return
        state = self._states.get(space_id)
        if state is None:
            self._states[space_id] = State(space)
        else:
            called = data[1] == Kind.DISTRESS  # who lacks it gets it before it has settled
            alone = not any(
                link.neighbours for link in self._links.values()
            )  # it is not on its way
            state.applied(author, seq, digest, LONG_AGO_US if called or alone else now)
        for link in self._links.values():
            for voice in (link.near, link.far):
                voice.wants.came((space_id, author), seq, now)
        self._long.applied(key, now)
        self._arrivals.retry((space_id, author, seq + 1), now)

    def _durable(self, key: Key, data: bytes, *, own: bool, now: int) -> None:
        """Send an entry that is on the disk now to where it may be new."""
        space = self._spaces.get(key[0])
        came = self._arrivals.way(key)
        data = data or b"".join(self._passing.recent.run(*key, key[2]))
        if space is None or not data:
            return
        if came is not None and wants_word(space, key[1], data):
            node = space.node_of(key[1])
            for link in self._links.values():
                if node in link.neighbours and link.up:
                    self._acks.plan(link.name, key[:2], now + self._ctx.jitter(*WAIT_US))
                    self._arm(link, now)
        served = self._passing.sharers(space.id)
        for link in self._links.values():
            if not link.neighbours:
                link.look(now)  # somebody may have been met since
            if not link.up or served.issuperset(link.neighbours):
                continue
            thin = self._long.thin(link, key[:2], data, now, whole=False)
            beside = bool(self._radios.beside(link.name))
            if thin is None:
                self._long.news(link.name, key, data, now, own=own, alone=not beside)
                continue
            if came in (link.name, EVERYWHERE) or not worth(thin, link.room):
                continue
            units = PASS_ON_UNITS if beside else ALONE_UNITS
            wait_us = 0 if own else self._ctx.jitter(*(unit * link.unit_us for unit in units))
            offer = Offer(key, thin, now + wait_us, everybody=True)
            if own and link.send(offer, now) is not None:
                link.offers.said(key, now)
            elif own or not link.offers.is_backlog(key[:2], now):
                link.offer(offer, now)
            else:
                link.near.talk.changed(now)
            self._arm(link, now)

    # --- inside -----------------------------------------------------------------------------------

    def _begin(self) -> Names:
        """Draw the salt and take in what is held, when the first radio is there."""
        if not self._names.salt:
            self._names.begin(self._ctx.entropy(wire.SALT_LEN))
            self._states |= {space.id: State(space) for space in self._spaces.all()}
        return self._names

    def _arm(self, link: AirLink, now: int) -> None:
        if link.up:
            dues = (self._acks.due_us(link.name), self._forks.due_us(link.name))
            soonest_us = min((due_us for due_us in dues if due_us is not None), default=None)
            due_us = link.due_us(now)
            if soonest_us is not None:
                due_us = min(due_us, max(soonest_us, now + 1_000))
            self._ctx.timers.set(("air", link.name), due_us)
