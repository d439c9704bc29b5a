"""One radio of a node as a part of the mesh: objects, routes, direct messages, items for earshot.

Enters: frames that opened and who was met (from a `LoraLink`), what others here want sent, `now`.
Leaves: frames for the link, and `RadioEvent`s. Whatever is for everybody in earshot shares a frame,
which is made anew until the modem has it: what came meanwhile rides along, and what others have
sent meanwhile is left out. Senders that have not shown that they are there now are heard, and
nothing of theirs is sent on.
Must not know: keys, airtime law, what objects and messages mean.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from meshd.core.airtime import airtime_us
from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import UsageError, WireError
from meshd.core.ids import SHORT_LEN
from meshd.forwarding.cast import Cast
from meshd.forwarding.direct_radio import DirectRadio
from meshd.forwarding.link_port import LinkPort
from meshd.forwarding.neighbours import Neighbours
from meshd.forwarding.patience import Patience
from meshd.forwarding.presence import Air, Presence
from meshd.forwarding.radio_events import (
    LocalHeard,
    ObjectHeard,
    RadioEvent,
)
from meshd.forwarding.rules import rules_for
from meshd.forwarding.shared_frame import FrameMaker, SharedFrame, Waiting
from meshd.forwarding.turns import RelayParts
from meshd.link.account import Share
from meshd.link.ledger import RELAYED_PERCENT, Priority
from meshd.link.lora import LATE_LEAST_US
from meshd.link.queue import Outgoing
from meshd.link.sources import Aim, Met, Opened
from meshd.link.stranger_air import control_us
from meshd.routing.lora.dialect import LoraDialect
from meshd.wire.lora_frame import ECHO_LEN, FrameKind, overhead
from meshd.wire.lora_items import AGE_STEP_US, OBJECT_HEAD, Heard, Object
from meshd.wire.lora_items import BODY_MAX as OBJECT_MAX
from meshd.wire.lora_payload import LOCAL_HEAD, LOCAL_MAX, Item, Local, Sub, parse
from meshd.wire.lora_routes import Answer, Direct, Receipt, Routes

LOCALS_MAX = 48
"""Items for those in earshot that wait; of the least urgent the oldest goes first."""
BUSY = 0.2
"""While more of the channel is taken, objects wait longer: more of them share a frame."""
WORD_LEN = 83
"""A frame with a list of neighbours and echoes, about."""
LOOK_US = 30_000_000
"""So often it is seen who is silent for long."""
MARGIN_DB = 10.0
"""What is taken for the margin where a modem tells no signal."""
_WORDS = (Sub.STRANGERS, Sub.ECHOES)


class RadioMesh:
    """What one radio does for the mesh."""

    def __init__(self, ctx: Context, link: LinkPort, ways: LoraDialect) -> None:
        """`ways` are the routes by this radio, in the one table of the node."""
        self.name = link.radio.name
        self._ctx = ctx
        self._link = link
        self._own = ways.own
        short = self._own[:SHORT_LEN]
        modulation = link.radio.modulation
        self._room = link.frame_max - overhead(FrameKind.LOCAL)
        self.neighbours = Neighbours(short)
        self._rules = tuple(rules_for(modulation, shared=shared) for shared in (False, True))
        self.cast = Cast(
            self.neighbours,
            self._rules[0],
            ctx.rng,
            drops=ctx.drops,
            link=self.name,
            relayed_us=link.band.airtime_us_max * RELAYED_PERCENT // 100,
        )
        self.ways = ways
        ways.gain.hear = self.neighbours.both
        self.direct = DirectRadio(ctx, link, ways, self.cast.turns.parts)
        self._locals: list[Waiting] = []
        self._said: Waiting | None = None  # of routes
        self._shared: dict[bytes | None, SharedFrame] = {}
        self._events: deque[RadioEvent] = deque()
        word_us = airtime_us(modulation, WORD_LEN)
        air = Air(word_us, control_us(link.band), link.stranger_air.allow)
        self.presence = Presence(self.neighbours, ctx.jitter, air)
        self._maker = FrameMaker(self.cast, self.presence, self._room)
        self._hears = 0
        self._look_us = 0
        self._near: tuple[bytes, ...] = ()
        self._patience = Patience(ctx.jitter)

    @property
    def parts(self) -> RelayParts:
        """What each neighbour has had of the hour's relaying."""
        return self.cast.turns.parts

    # --- what others here want sent ---------------------------------------------------------------

    @property
    def room(self) -> int:
        """Return how long the body of a LOCAL item may be."""
        return min(self._room - LOCAL_HEAD, LOCAL_MAX)

    @property
    def backlog(self) -> int:
        """Return how many LOCAL items wait."""
        return len(self._locals)

    @property
    def body_max(self) -> int:
        """Return how long the body of an object may be."""
        return min(self._room - OBJECT_HEAD, OBJECT_MAX)

    def publish(self, body: bytes, priority: int, now: int) -> bool:
        """Tell everybody; False when it is too long, or too much that is more urgent waits."""
        if len(body) > self.body_max:
            self._ctx.drop(DropReason.CAST_TOO_LONG, self.name)
            return False
        try:
            self.cast.publish(body, priority, now)
        except UsageError:
            self._ctx.drop(DropReason.CAST_FULL, self.name)
            return False
        return True

    def relay(self, heard: ObjectHeard, now: int) -> None:
        """Tell on what came from another radio, as old as it is; it may be too old or too long."""
        if len(heard.body) > self.body_max:
            self._ctx.drop(DropReason.CAST_TOO_LONG, self.name)
        else:
            source = heard.node[:SHORT_LEN]
            self.cast.relay(heard.body, heard.priority, heard.born_us, source=source, now=now)

    def tell(self, item: Local, waiting: Waiting) -> bool:
        """Queue an item for those in earshot; False when it is too long or gave way at once."""
        if len(item.body) > self.room:
            self._ctx.drop(DropReason.MODEM_TOO_LONG, self.name)
            return False
        self._locals.append(waiting)
        if len(self._locals) <= LOCALS_MAX:
            return True
        victim = max(self._locals, key=lambda one: one.priority)
        self._locals.remove(victim)
        self._ctx.drop(DropReason.LORA_QUEUE_FULL, self.name)
        return victim is not waiting

    def waiting(self, sub: Sub) -> int:
        """Return how many items of one kind wait to be sent."""
        return sum(one.item[0] == Local(sub, b"").encode()[0] for one in self._locals)

    def poll_event(self) -> RadioEvent | None:
        """Return what is next for others here."""
        return self._events.popleft() if self._events else None

    def abandon(self) -> None:
        """Give up the node's messages: the modem takes none of them any more."""
        self.direct.forwarder.abandon(DropReason.MODEM_GONE)
        self._events.extend(self.direct.events())

    # --- what came from the air -------------------------------------------------------------------

    def met(self, met: Met, now: int) -> None:
        """Note a beacon of a node that is there now; for a way it has to say whom it hears."""
        self.presence.heard(met.node, met.echo, now, anew=met.new)
        if met.new and self._link.introducing:
            self.presence.unknown(met.node, now)
        if met.proven:
            self._heard(met.node, now)
            if met.new:
                self.ways.forgot(met.node, now)

    def opened(self, opened: Opened, now: int) -> None:
        """Take a frame."""
        try:
            items = parse(opened.plaintext)
        except WireError:
            self._ctx.drop(DropReason.LORA_MALFORMED, self.name)
            return
        for item in items:
            if isinstance(item, Local) and item.sub in _WORDS:
                opened = self._word(opened, item, now)
        if opened.trusted:
            self._heard(opened.node, now)
        heard_before = self.neighbours.hears(opened.node)
        self._objects(opened, items, now)
        for item in self._one_message(items):
            self._take(opened, item, now)
        if self.neighbours.hears(opened.node) and not heard_before:
            self.presence.news(now)
        self.presence.heard(opened.node, opened.frame.tag[:ECHO_LEN], now)
        self._events.extend(self.direct.events())

    def _word(self, opened: Opened, item: Local, now: int) -> Opened:
        """Take echoes, by which the sender is known to be there now, or who is a stranger to it."""
        size = ECHO_LEN if item.sub == Sub.ECHOES else SHORT_LEN
        said = {item.body[at : at + size] for at in range(0, len(item.body), size)}
        short = opened.node[:SHORT_LEN]
        if item.sub == Sub.STRANGERS:
            if self._own[:SHORT_LEN] in said:
                self._link.introduce(now, new=opened.trusted)
                if self._link.introducing:
                    self.presence.unknown(opened.node, now)
        elif self._link.echoed(opened, said, now):
            if short in self.neighbours.told_to_others():
                self.cast.listings.relist()  # it says that nobody has told it that it is heard here
                self.presence.missed(now)
            return opened._replace(trusted=True)
        return opened

    def _objects(self, opened: Opened, items: tuple[Item, ...], now: int) -> None:
        """Take what is for everybody; of a sender not proven only for this node itself."""
        objects: Iterable[Object] = (item for item in items if isinstance(item, Object))
        if opened.trusted:
            objects = self.cast.receive(opened.node[:SHORT_LEN], items, now, opened.node)
        for item in objects:
            told = (item.body, item.priority, now - item.age * AGE_STEP_US)
            self._events.append(ObjectHeard(self.name, opened.node, *told, opened.trusted))

    def _one_message(self, items: tuple[Item, ...]) -> Iterator[Item]:
        """Leave out messages after the first: nobody sends more in a frame, and each costs more."""
        taken = False
        for item in items:
            if not isinstance(item, Direct | Answer | Receipt):
                yield item
            elif taken:
                self._ctx.drop(DropReason.DIRECT_ODD, self.name)
            else:
                taken = True
                yield item

    def _take(self, opened: Opened, item: Item, now: int) -> None:
        named = opened.aim is Aim.ME
        if isinstance(item, Local):
            if opened.aim is not Aim.OTHER and item.sub not in _WORDS:
                trusted = opened.trusted
                heard = LocalHeard(
                    self.name, opened.node, item.sub, item.body, named=named, trusted=trusted
                )
                self._events.append(heard)
        elif isinstance(item, Direct | Answer | Receipt):
            if (answered := self.direct.take(opened, item, now)) is not None:
                self._events.append(answered)
        elif isinstance(item, Object):
            pass  # taken before
        elif not opened.trusted:
            self._ctx.drop(DropReason.FRAME_UNTRUSTED, self.name)
        elif isinstance(item, Heard) and self._own[:SHORT_LEN] in item.shorts:
            self.ways.hears(opened.node, now)
        elif isinstance(item, Routes):
            self.ways.learn(opened.node, item, now)

    def _heard(self, node: bytes, now: int) -> None:
        """Note who is in earshot, and say soon whom this node hears when that is news."""
        row = next((row for row in self._link.neighbours if row.node == node), None)
        snr_db = None if row is None else row.snr_db
        limit_db = self._link.radio.modulation.snr_limit_db
        margin_db = MARGIN_DB if snr_db is None else snr_db - limit_db
        short = node[:SHORT_LEN]
        proven = self._link.proven(node)
        self.neighbours.heard(short, limit_db + margin_db, now, proven=proven)
        self.ways.heard(node, margin_db, now, proven=proven)
        if self._hears != self.neighbours.version:
            self._hears = self.neighbours.version
            self.presence.news(now)

    # --- what goes out ----------------------------------------------------------------------------

    def sent(self, outgoing: Outgoing, now: int) -> None:
        """A frame is on the air no more, or perhaps was."""
        if outgoing.kind is FrameKind.BEACON:
            self.presence.introduced(now)
            return
        for to, shared in self._shared.items():
            if shared.outgoing is outgoing:
                del self._shared[to]
                if shared.batch is not None:
                    self.cast.sent(shared.batch, now)
                    if shared.batch.objects:
                        self.cast.took(shared.batch, self._link.airtime_us(outgoing.size), now)
                        self.presence.rides(now)
                if shared.words is not None:
                    listed = (
                        shared.batch is not None and shared.batch.said.heard_version is not None
                    )
                    if self.presence.said(shared.words, now, listed=listed):
                        self._link.introduce(now)
                for item in shared.items:
                    if item is self._said:
                        self._said = None
                    if item in self._locals:  # it may have given way while its frame flew
                        self._locals.remove(item)
                return
        self.direct.sent(outgoing, now)

    def pump(self, now: int) -> None:
        """Queue what is due, and bring what waits up to date."""
        self.direct.pump(now)
        self._events.extend(self.direct.events())
        self.cast.loaded(load := self._link.load(now), now)
        self.presence.loaded(self._link.taken(now), now)
        self.cast.use(self._rules[load > BUSY])
        if self.presence.speaks(now):
            self.neighbours.expire(now)
            self.cast.listings.beacon(now)
        self._late(now)
        allowed = self._patience.allows(now, calm=self._link.calm(now))
        if self._routes_wait:
            pass
        elif self.direct.waits or self.ways.awaited():
            self._routes(now)
        elif allowed and (self._goes(now) or self._routes_us() <= now):
            self._routes(now)
        for to in dict.fromkeys((None, *(one.to for one in self._locals), *self._shared)):
            self._share(to, now)
        if self._said is not None and not self._routes_wait:
            self._said = None  # it gave way, or waited for too long
            self.ways.unsaid(now)

    def _late(self, now: int) -> None:
        """See now and then who was not heard for so long that it may be gone, or is forgotten."""
        if now < self._look_us:
            return
        self._look_us = now + LOOK_US
        known = {row.node for row in self._link.neighbours}
        for node, peer in tuple(self.ways.peers.items()):
            if node not in known and now - peer.heard_us > LATE_LEAST_US:
                self.ways.gone(node, now)
        for node in self._near:
            if node not in self.ways.peers:
                self.neighbours.gone(node)
                self.presence.gone(node)
        self._near = tuple(self.ways.peers)
        self.ways.late(self._link.late(now), now)

    def _goes(self, now: int) -> bool:
        """Tell whether a frame to all in earshot goes anyway."""
        cast_us = self.cast.due_us()
        return None in self._shared or (cast_us is not None and cast_us <= now)

    def _routes_us(self) -> int:
        """Return when routes go by themselves that nobody waits for."""
        due_us = self.ways.due_us()
        return due_us + min(self.presence.ride_us(due_us), self.ways.rules.soon_us)

    @property
    def _routes_wait(self) -> bool:
        """Tell whether words of routes wait still: later ones must not overtake them."""
        return any(one is self._said for one in self._locals)

    def _routes(self, now: int) -> None:
        """Queue what is due of routes."""
        said = self.ways.build(now, self._room) if self.ways.peers else None
        if said is not None:
            self._said = Waiting(said.encode(), None, Share.CONTROL, Priority.MEMBERSHIP)
            self._locals.append(self._said)

    def due_us(self) -> int | None:
        """Return when `pump` has something to do; None: not before somebody is heard."""
        direct_us = self.direct.due_us()
        presence_us = self.presence.due_us, self.presence.ask_us
        dues = [at for at in presence_us if at is not None]
        if self.ways.peers and not self._routes_wait:
            ways_us = self.ways.due_us()
            if not self.direct.waits and not self.ways.awaited():
                ways_us = max(self._routes_us(), self._patience.until_us or 0)
            dues.append(ways_us)
        if direct_us is not None:
            dues.append(direct_us)
        if None not in self._shared and (cast_us := self.cast.due_us()) is not None:
            dues.append(cast_us)
        return min(dues, default=None)

    def _share(self, to: bytes | None, now: int) -> None:
        """Have one frame in the queue for all in earshot, or for one, with all that waits."""
        known = self._shared.get(to)
        if known is not None and self._link.carries(known.outgoing):
            return
        if known is not None and not self._link.holds(known.outgoing):
            del self._shared[to]  # nobody wants it any more, or nothing that waits is less urgent
            self._locals = [one for one in self._locals if one not in known.items]
            known = None
        made = self._maker.make(to, self._locals, now)
        if made is None:
            if known is not None:
                self._link.exchange(known.outgoing, None)
                del self._shared[to]
        elif known is None:
            if self._link.send(made.outgoing, now):
                self._shared[to] = made
            else:
                self._locals = [one for one in self._locals if one not in made.items]
        else:
            if known.outgoing != made.outgoing:
                self._link.exchange(known.outgoing, made.outgoing)
            else:
                made.outgoing = known.outgoing
            self._shared[to] = made
