"""Spaces over LoRa: new entries go out once for all, and neighbours repair what they lack.

Enters: events of spaces, objects and LOCAL items of radios, time. Leaves: objects and items for
radios, and entries for `Spaces.accept`, the same way that sessions' entries take. Nothing that was
not accepted is stored, passed on or counted. What a neighbour says it holds is never taken as its
acknowledgement: frames prove membership of the mesh, not who spoke.
Ref: docs/wire-format.md#entries-over-lora, docs/decisions/0014-entries-by-lora.md.
"""

from collections.abc import Iterable
from typing import NamedTuple

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.events import Answer, EntriesQuery
from meshd.core.ids import NODE_ID_LEN
from meshd.core.snapshot import SpaceStatus
from meshd.core.timers import Key as TimerKey
from meshd.space.feed import (
    Accepted,
    EntryApplied,
    EntryDurable,
    MembershipChanged,
    SpaceAdded,
    SpaceEvent,
)
from meshd.space.space import Space
from meshd.space.spaces import NOT_YET, Spaces
from meshd.sync.air.acks import WAIT_US, Acks, wants_word
from meshd.sync.air.aside import Aside, Parts
from meshd.sync.air.link import AirLink, Voice
from meshd.sync.air.long import LongEntries
from meshd.sync.air.names import Feed, Names
from meshd.sync.air.offers import Key, Offer, worth
from meshd.sync.air.states import LONG_AGO_US, State
from meshd.sync.air.status import Written, post_waits, told_of
from meshd.sync.air.talk import Ahead, Behind, Finding
from meshd.sync.air.thin import expand, fitting
from meshd.sync.files.air.blobs import AirBlobs
from meshd.sync.ports import HeardPort, LocalPort, PassingPort, RadiosPort
from meshd.sync.reads import Reads
from meshd.wire import air_messages as wire
from meshd.wire.air_entry import THIN_MAX, Thin, decode_part, decode_thin
from meshd.wire.entry import Kind
from meshd.wire.lora_payload import Local, ObjectKind, Sub
from meshd.wire.symbols import SymbolBatch

PASS_ON_UNITS = 6, 48
"""An entry of a session waits so many frames' time: another gateway may be first."""
ALONE_UNITS = 0, 1
"""The same where nobody in earshot is reached without LoRa: whoever else was first is not heard."""
REPAIR_MAX = 16
"""Entries that are sent for one word of a neighbour; it says another."""
GAP_US = 45_000_000
"""What comes before its predecessor: that may be on its way by another relay."""
LOOK_US = 5_000_000
CAME_MAX = 256
EVERYWHERE = "*"
"""Instead of a radio: objects go out by all radios at once."""
_READ_BYTES = 16 * 1024


KINDS = (ObjectKind.ENTRY, ObjectKind.ENTRY_PART, ObjectKind.WORD)
SUBS = (Sub.DIGESTS, Sub.HEADS, Sub.SYMBOLS, Sub.NEEDS, Sub.ENTRY, Sub.ENTRY_PART, Sub.HELD)
"""What `AirSync.object` and `AirSync.local` take."""


class _Asker(NamedTuple):
    """Who said something: by which radio, in which way, and which neighbour gave it to us."""

    link: AirLink
    voice: Voice
    node: bytes
    giver: bytes


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
        self._reads = Reads(ctx, "air")
        self._links: dict[str, AirLink] = {}
        self._names: Names | None = None
        self._states: dict[bytes, State] = {}
        self._aside = Aside()
        self._parts = Parts()
        self._acks = Acks(spaces)
        self._long = LongEntries(ctx, spaces, passing, blobs, self._accept)
        self._came: dict[Key, str] = {}
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
            self._arm(link, now)

    def told(self, statuses: Iterable[SpaceStatus], now: int) -> tuple[SpaceStatus, ...]:
        """Return what is known of spaces, with what radios know of them beside it."""
        known = zip(self._spaces.all(), statuses, strict=True)
        links = self._links.values()
        return tuple(told_of(each, status, links, self.waits(each, now)) for each, status in known)

    def waits(self, space: Space, now: int) -> tuple[str, ...]:
        """Say what entries of a space wait for, as far as LoRa has a part in that."""
        return self._long.said(space, self._aside.counts(space.id), now) if self._links else ()

    def post_waits(self, space: Space, seq: int, payload: int, now: int) -> str:
        """Say what an own text waits for, or how long it takes; "" for one that goes at once."""
        served, written = self._passing.sharers(space.id), Written(seq, payload)
        links = self._links.values()
        return post_waits(space, written, links, served=served, long=self._long, now=now)

    def space_event(self, event: SpaceEvent, now: int) -> None:
        """Take any event of a space."""
        names = self._names
        if names is None:
            return
        match event:
            case EntryApplied(space_id, author, seq, data):
                self._applied((space_id, author, seq), data, now)
            case EntryDurable(space_id, author, seq, own, data):
                self._durable((space_id, author, seq), data, own=own, now=now)
            case MembershipChanged(space_id) | SpaceAdded(space_id):
                space = self._spaces.get(space_id)
                if space is not None:
                    names.learn(space)
                    self._states.setdefault(space_id, State(space))
                    self._again(space_id, now)

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
            self._arm(link, now)

    def read_done(self, token: int, answer: Answer, now: int) -> None:
        """Take an answer of the store."""
        self._reads.done(token, answer, now)

    def read_failed(self, token: int, why: str, now: int) -> None:
        """Take a failure of the store."""
        self._reads.failed(token, why, now)

    def reload(self, now: int) -> None:
        """Heads went back to what the store holds."""
        if self._names is not None:
            self._states.clear()
            self._states |= {space.id: State(space) for space in self._spaces.all()}

    # --- from the air -----------------------------------------------------------------------------

    def object(self, heard: HeardPort, now: int) -> None:
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
            thin = self._whole(link, body) if kind == ObjectKind.ENTRY_PART else decode_thin(body)
        except WireError:
            link.drop(DropReason.AIR_MALFORMED)
            return
        if thin is not None:
            self._heard(link, thin, now, repair=False)
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
                parted = sub == Sub.ENTRY_PART
                thin = self._whole(link, heard.body) if parted else decode_thin(heard.body)
                if thin is not None:
                    self._heard(link, thin, now, repair=True, node=heard.node)
            elif sub == Sub.HELD:
                self._acked(heard, now)
            elif not heard.trusted:
                link.drop(DropReason.AIR_UNPROVEN)
            else:
                self._word(_Asker(link, link.near, heard.node, heard.node), sub, heard.body, now)
        except WireError:
            link.drop(DropReason.AIR_MALFORMED)
        self._arm(link, now)

    def _far(self, link: AirLink, heard: HeardPort, body: bytes, now: int) -> None:
        """Take a word that came through the mesh: it names its speaker itself."""
        if len(body) <= 1 + NODE_ID_LEN:
            raise WireError("word cut off")
        node = body[1 : 1 + NODE_ID_LEN]
        if node != self._spaces.identity.node:
            asker = _Asker(link, link.far, node, heard.node)
            self._word(asker, body[0], body[1 + NODE_ID_LEN :], now)
        self._arm(link, now)

    def _word(self, asker: _Asker, sub: int, body: bytes, now: int) -> None:
        """Take what another says of its spaces, by a neighbour or by itself."""
        talk = asker.voice.talk
        if sub == Sub.DIGESTS:
            self._found(asker, talk.digests(asker.node, wire.decode_digests(body), now), now)
        elif sub == Sub.HEADS:
            self._found(asker, talk.heads(asker.node, wire.decode_heads(body), now), now)
        elif sub == Sub.SYMBOLS:
            self._found(asker, talk.symbols(asker.node, SymbolBatch.decode(body), now), now)
        elif sub == Sub.NEEDS:
            self._needs(asker, wire.decode_needs(body), now)

    def _acked(self, heard: LocalPort, now: int) -> None:
        """Take the word of a neighbour; most are for others."""
        held = self._acks.taken(heard.node, heard.body)
        if held is not None:
            self._passing.held(heard.node, held.space, held.author, held.seq)

    def _whole(self, link: AirLink, body: bytes) -> Thin | None:
        data = self._parts.add(decode_part(body))
        return None if data is None else decode_thin(data)

    def _heard(
        self, link: AirLink, thin: Thin, now: int, *, repair: bool, node: bytes = b""
    ) -> None:
        """Take an entry; who it is by is tried among all whom its id may mean."""
        feeds = self._begin().feeds(thin)
        if not feeds:
            self._aside.keep_stranger(thin, link.name)
            return
        taken: DropReason | bool = False
        for feed in feeds:
            taken = self._take(link, feed, thin, now, repair=repair)
            if taken is True:
                break
        if isinstance(taken, DropReason):
            link.drop(taken)
        elif repair:
            link.another_answers(now)
            link.repaired += taken
            others = any(other != node for other in link.neighbours)
            if taken and (others or link.repaired >= REPAIR_MAX // 2):
                link.repaired = 0
                link.near.talk.changed(now)

    def _take(
        self, link: AirLink, feed: Feed, thin: Thin, now: int, *, repair: bool
    ) -> DropReason | bool:
        """Judge an entry as one of a feed; return whether it is new, or why it is not one."""
        space_id, author = feed
        space = self._spaces.get(space_id)
        if space is None:
            return DropReason.AUTHOR_UNKNOWN
        key = (space_id, author, thin.seq)
        known = space.feeds.get(author)
        held = known.seq if known else 0
        if thin.seq <= held:
            link.offers.heard(key, thin, now)
            return False
        if thin.seq > held + 1:
            self._keep(link, key, thin)
            wants = link.voice(space_id, now).wants
            refused = wants.add(feed, thin.seq - 1, now, wait_us=GAP_US)
            if refused is not None:
                link.drop(refused)
            return False
        if space.carries_only and self._passing.free_bytes() < THIN_MAX:
            return DropReason.SYNC_LEASE
        data = expand(space, author, thin, self._begin().memberships(space_id))
        if isinstance(data, DropReason):
            if data in NOT_YET:
                self._keep(link, key, thin)
                link.voice(space_id, now).wants.add(feed, thin.seq, now, wait_us=GAP_US)
            return data
        taken = self._accept(key, data, link.name if repair else EVERYWHERE, now)
        if isinstance(taken, DropReason) and taken in NOT_YET:
            self._keep(link, key, thin)
        elif taken is True:
            link.offers.said(key, now)
        return taken

    def _accept(self, key: Key, data: bytes, came: str, now: int) -> DropReason | bool:
        """Hand an entry to its space; return whether it is new, or why it is none."""
        space_id, author, seq = key
        space = self._spaces.get(space_id)
        if space is None:
            return DropReason.AUTHOR_UNKNOWN
        result = self._spaces.accept(space, author, data, now)
        if isinstance(result, DropReason):
            return result
        if isinstance(result, Accepted):
            if len(self._came) >= CAME_MAX:
                del self._came[next(iter(self._came))]
            self._came[key] = came
            self._passing.came(space_id, author, seq, data, now)
        return isinstance(result, Accepted)

    def _keep(self, link: AirLink, key: Key, thin: Thin) -> None:
        if not self._aside.keep(key, thin, link.name):
            link.drop(DropReason.AIR_ASIDE_FULL)

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
            state.applied(author, seq, digest, LONG_AGO_US if called else now)
        for link in self._links.values():
            for voice in (link.near, link.far):
                voice.wants.came((space_id, author), seq, now)
        self._long.applied(key, now)
        self._retry((space_id, author, seq + 1), now)

    def _again(self, space: bytes, now: int) -> None:
        """Membership changed: try what was not understood."""
        for thin, name in self._aside.take_strangers():
            if name in self._links:
                self._heard(self._links[name], thin, now, repair=False)
        for key in self._aside.of(space):
            self._retry(key, now)

    def _retry(self, key: Key, now: int) -> None:
        kept = self._aside.take(key)
        if kept is not None and kept[1] in self._links:
            link = self._links[kept[1]]
            taken = self._take(link, key[:2], kept[0], now, repair=True)
            if isinstance(taken, DropReason):
                link.drop(taken)

    def _durable(self, key: Key, data: bytes, *, own: bool, now: int) -> None:
        """Send an entry that is on the disk now to where it may be new."""
        space = self._spaces.get(key[0])
        came = self._came.pop(key, None)
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
            if not link.up or served.issuperset(link.neighbours):
                continue
            thin = fitting(space, key[1], data, room=link.room, whole=False)
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

    # --- repair -----------------------------------------------------------------------------------

    def _found(self, asker: _Asker, findings: list[Finding], now: int) -> None:
        for finding in findings:
            if isinstance(finding, Behind):
                self._send_all(asker, finding.space, finding.entries, now)
            elif isinstance(finding, Ahead):
                feed = (finding.space, finding.author)
                refused = asker.voice.wants.add(feed, finding.seq, now)
                if refused is not None:
                    asker.link.drop(refused)

    def _needs(self, asker: _Asker, message: wire.Needs, now: int) -> None:
        names = self._begin()
        space = names.find(asker.node, message.salt, message.tag)
        if space is None:
            return
        asked = []
        for feed, first, length in message.ranges:
            author = names.author(space.id, feed)
            if author is None:
                continue
            asker.voice.wants.others((space.id, author), first, now)
            known = space.feeds.get(author)
            last = min(first + length - 1, known.durable_seq if known else 0)
            asked += [(author, seq) for seq in range(first, last + 1)]
        self._send_all(asker, space.id, tuple(asked), now, whole=True)

    def _send_all(
        self,
        asker: _Asker,
        space_id: bytes,
        entries: tuple[tuple[bytes, int], ...],
        now: int,
        *,
        whole: bool = False,
    ) -> None:
        """Offer another what it lacks, within the part of the neighbour by whom it asks."""
        link = asker.link
        for author, seq in entries[:REPAIR_MAX]:
            key = (space_id, author, seq)
            if key in link.offers or link.offers.was_said(key, now):
                continue
            if not link.offers.grants(asker.giver, now):
                link.drop(DropReason.AIR_FLOOD)
                return
            self._read(asker, key, now, whole=whole)

    def _read(self, asker: _Asker, key: Key, now: int, *, whole: bool) -> None:
        def done(answer: Answer, why: str, at: int) -> None:
            if isinstance(answer, tuple) and answer and isinstance(answer[0], bytes):
                self._offer(asker, key, answer[0], at, whole=whole)

        recent = self._passing.recent.run(*key, key[2])
        if recent:
            self._offer(asker, key, recent[0], now, whole=whole)
        else:
            space, author, seq = key
            self._reads.ask(EntriesQuery(space, author, seq, seq, _READ_BYTES), done)

    def _offer(self, asker: _Asker, key: Key, data: bytes, now: int, *, whole: bool) -> None:
        space, link, far = self._spaces.get(key[0]), asker.link, asker.voice.far
        if space is None:
            return
        thin = fitting(space, key[1], data, room=link.room, whole=whole)
        due_us = link.answer_us(now, far=far)
        if thin is not None:
            link.offer(Offer(key, thin, due_us, everybody=far), now)
            self._arm(link, now)
        elif not far:
            link.offers.said(key, now)
            self._long.asked(link.name, key, data, now, due_us=due_us)

    # --- inside -----------------------------------------------------------------------------------

    def _begin(self) -> Names:
        """Draw the salt and take in what is held, when the first radio is there."""
        if self._names is None:
            self._names = Names(self._spaces, self._ctx.entropy(wire.SALT_LEN))
            self._long.names = self._names
            self._states |= {space.id: State(space) for space in self._spaces.all()}
        return self._names

    def _arm(self, link: AirLink, now: int) -> None:
        if link.up:
            due_us, held_us = link.due_us(now), self._acks.due_us(link.name)
            if held_us is not None:
                due_us = min(due_us, max(held_us, now + 1_000))
            self._ctx.timers.set(("air", link.name), due_us)
