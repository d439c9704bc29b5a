"""One radio of a node as a part of the mesh: objects, routes, direct messages, items for earshot.

Enters: frames that opened and who was met (from a `LoraLink`), what others here want sent, `now`.
Leaves: frames for the link, and `RadioEvent`s. Whatever is for everybody in earshot shares a frame,
which is made anew until the modem has it: what came meanwhile rides along, and what others have
sent meanwhile is left out. Senders that have not shown that they are there now are heard, and
nothing of theirs is sent on.
Must not know: keys, airtime law, what objects and messages mean.
"""

from collections import deque
from collections.abc import Container, Iterable, Iterator
from typing import Protocol

from meshd.core.airtime import airtime_us
from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import UsageError, WireError
from meshd.core.events import RadioLink
from meshd.core.ids import EVERYONE, SHORT_LEN
from meshd.core.law import SubBand
from meshd.forwarding import direct, direct_rules
from meshd.forwarding.cast import Cast
from meshd.forwarding.direct import Arrived, Changed, Forwarder, Send
from meshd.forwarding.neighbours import Neighbours
from meshd.forwarding.patience import Patience
from meshd.forwarding.presence import Air, Presence
from meshd.forwarding.radio_events import (
    DirectAnswered,
    DirectArrived,
    DirectChanged,
    LocalHeard,
    ObjectHeard,
    RadioEvent,
)
from meshd.forwarding.rules import rules_for
from meshd.forwarding.shared_frame import FrameMaker, SharedFrame, Waiting
from meshd.forwarding.turns import RelayParts, part_of
from meshd.link.account import Share
from meshd.link.ledger import RELAYED_PERCENT, Priority
from meshd.link.lora_neighbours import LoraNeighbours
from meshd.link.queue import Outgoing
from meshd.link.sources import Aim, Met, Opened
from meshd.link.stranger_air import StrangerAir, control_us
from meshd.routing.lora import LoraDialect
from meshd.wire.lora_frame import ECHO_LEN, FrameKind, overhead
from meshd.wire.lora_items import AGE_STEP_US, OBJECT_HEAD, Heard, Object
from meshd.wire.lora_items import BODY_MAX as OBJECT_MAX
from meshd.wire.lora_payload import LOCAL_HEAD, LOCAL_MAX, Item, Local, Sub, parse
from meshd.wire.lora_routes import Answer, Direct, Receipt, Routes

LOCALS_MAX = 48
"""Items for those in earshot that wait; of the least urgent the oldest goes first."""
CONTROLS_MAX = 8
"""Items of control among them."""
SENDS_MAX = 8
"""Direct messages in the link's queue at a time."""
BUSY = 0.2
"""While more of the channel is taken, objects wait longer: more of them share a frame."""
WORD_LEN = 83
"""A frame with a list of neighbours and echoes, about."""
MARGIN_DB = 10.0
"""What is taken for the margin where a modem tells no signal."""
_WORDS = (Sub.STRANGERS, Sub.ECHOES)
_STRANGER = bytes(SHORT_LEN)
"""As next hop: a neighbour that is not this node."""


class LinkPort(Protocol):
    """The radio's link: its queue, and who is heard."""

    radio: RadioLink
    neighbours: LoraNeighbours
    band: SubBand
    stranger_air: StrangerAir

    @property
    def frame_max(self) -> int: ...
    def send(self, outgoing: Outgoing, now: int) -> bool: ...
    def holds(self, outgoing: Outgoing) -> bool: ...
    def carries(self, outgoing: Outgoing) -> bool: ...
    def exchange(self, outgoing: Outgoing, other: Outgoing | None) -> None: ...
    def airtime_us(self, size: int) -> int: ...
    def calm(self, now: int) -> bool: ...
    def load(self, now: int) -> float: ...
    def introduce(self, now: int) -> None: ...
    def proven(self, node: bytes) -> bool: ...
    def echoed(self, opened: Opened, echoes: Container[bytes], now: int) -> bool: ...


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
        self.forwarder = Forwarder(
            short,
            ways,
            direct_rules.rules_for(airtime_us(modulation, 83), ways.hop_cost),
            ctx.rng,
            drops=ctx.drops,
            link=self.name,
            leaves=lambda to: ways.leaves(to) is not None,
        )
        self.forwarder.over = self._over
        self._locals: list[Waiting] = []
        self._shared: dict[bytes | None, SharedFrame] = {}
        self._sends: list[tuple[Send, Outgoing]] = []
        self._events: deque[RadioEvent] = deque()
        word_us = airtime_us(modulation, WORD_LEN)
        air = Air(word_us, control_us(link.band), link.stranger_air.allow)
        self.presence = Presence(self.neighbours, ctx.jitter, air)
        self._maker = FrameMaker(self.cast, self.presence, self._room)
        self._hears = 0
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

    # --- what came from the air -------------------------------------------------------------------

    def met(self, met: Met, now: int) -> None:
        """Note a beacon of a node that is there now; for a way it has to say whom it hears."""
        self.presence.heard(met.node, met.echo, now, anew=met.new)
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
        while (event := self.forwarder.poll_event()) is not None:
            self._direct_event(event)

    def _word(self, opened: Opened, item: Local, now: int) -> Opened:
        """Take echoes, by which the sender is known to be there now, or who is a stranger to it."""
        size = ECHO_LEN if item.sub == Sub.ECHOES else SHORT_LEN
        said = {item.body[at : at + size] for at in range(0, len(item.body), size)}
        short = opened.node[:SHORT_LEN]
        if item.sub == Sub.STRANGERS:
            if self._own[:SHORT_LEN] in said:
                self._link.introduce(now)
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
            self._message(opened, item, now)
        elif isinstance(item, Object):
            pass  # taken before
        elif not opened.trusted:
            self._ctx.drop(DropReason.FRAME_UNTRUSTED, self.name)
        elif isinstance(item, Heard) and self._own[:SHORT_LEN] in item.shorts:
            self.ways.hears(opened.node, now)
        elif isinstance(item, Routes):
            self.ways.learn(opened.node, item, now)

    def _message(self, opened: Opened, item: Direct | Answer | Receipt, now: int) -> None:
        frame, own = opened.frame, self._own[:SHORT_LEN]
        if frame.kind is FrameKind.LOCAL and not isinstance(item, Receipt):
            self._ctx.drop(DropReason.LORA_MALFORMED, self.name)
            return
        next_hop = {Aim.ME: own, Aim.EVERYONE: EVERYONE}.get(opened.aim, _STRANGER)
        destination = frame.destination or next_hop
        if not opened.trusted and destination != own:
            self._ctx.drop(DropReason.FRAME_UNTRUSTED, self.name)
            return
        heard = Send(next_hop, destination, frame.hop_limit, item, None)
        short, named = opened.node[:SHORT_LEN], opened.aim is Aim.ME
        tag = self.forwarder.receive(short, heard, named=named, now=now)
        if tag is not None and isinstance(item, Answer):
            hops = max(self.forwarder.rules.hop_limit - frame.hop_limit + 1, 1)
            self._events.append(DirectAnswered(self.name, item.number, tag, hops))

    def _direct_event(self, event: direct.Event) -> None:
        if isinstance(event, Arrived):
            origin, number, body, destination, hops = event
            self._events.append(DirectArrived(self.name, origin, number, body, destination, hops))
        else:
            self._changed(event)

    def _changed(self, event: Changed) -> None:
        self._events.append(DirectChanged(self.name, *event))

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
                    if item in self._locals:  # it may have given way while its frame flew
                        self._locals.remove(item)
                return
        for entry in self._sends:
            if entry[1] is outgoing:
                self._sends.remove(entry)
                self.forwarder.sent(entry[0], now)
                if outgoing.share is Share.RELAYED:
                    source = (
                        entry[0].next_hop if outgoing.kind is FrameKind.LOCAL else entry[0].ingress
                    )
                    airtime_us = self._link.airtime_us(outgoing.size)
                    self.parts.took(part_of(source), airtime_us, now)
                return

    def pump(self, now: int) -> None:
        """Queue what is due, and bring what waits up to date."""
        self._direct(now)
        self.cast.loaded(load := self._link.load(now), now)
        self.cast.use(self._rules[load > BUSY])
        if self.presence.speaks(now):
            self.neighbours.expire(now)
            self.cast.listings.beacon(now)
        allowed = self._patience.allows(now, calm=self._link.calm(now))
        if self.forwarder.due_us() is not None or self.ways.awaited():
            self._routes(now)
        elif allowed and (self._goes(now) or self._routes_us() <= now):
            self._routes(now)
        for to in dict.fromkeys((None, *(one.to for one in self._locals), *self._shared)):
            self._share(to, now)

    def _goes(self, now: int) -> bool:
        """Tell whether a frame to all in earshot goes anyway."""
        cast_us = self.cast.due_us()
        return None in self._shared or (cast_us is not None and cast_us <= now)

    def _routes_us(self) -> int:
        """Return when routes go by themselves that nobody waits for."""
        due_us = self.ways.due_us()
        return due_us + min(self.presence.ride_us(due_us), self.ways.rules.soon_us)

    def _routes(self, now: int) -> None:
        """Queue what is due of routes."""
        said = self.ways.build(now, self._room) if self.ways.peers else None
        if said is not None:
            self._say(said.encode())

    def due_us(self) -> int | None:
        """Return when `pump` has something to do; None: not before somebody is heard."""
        forwarder_us = self.forwarder.due_us()
        dues = [] if self.presence.due_us is None else [self.presence.due_us]
        if self.ways.peers:
            ways_us = self.ways.due_us()
            if forwarder_us is None and not self.ways.awaited():
                ways_us = max(self._routes_us(), self._patience.until_us or 0)
            dues.append(ways_us)
        if forwarder_us is not None and len(self._sends) < SENDS_MAX:
            dues.append(forwarder_us)
        if None not in self._shared and (cast_us := self.cast.due_us()) is not None:
            dues.append(cast_us)
        return min(dues, default=None)

    def _say(self, item: bytes) -> None:
        """Queue an item of control; while there is no airtime for it, the oldest ones give way."""
        waiting = [one for one in self._locals if one.share is Share.CONTROL]
        if len(waiting) >= CONTROLS_MAX:
            self._locals.remove(waiting[0])
            self._ctx.drop(DropReason.LORA_QUEUE_FULL, self.name)
        self._locals.append(Waiting(item, None, Share.CONTROL, Priority.MEMBERSHIP))

    def _direct(self, now: int) -> None:
        """Hand direct messages to the link, and take back what it let go or nobody needs."""
        for entry in tuple(self._sends):
            send, outgoing = entry
            if not self._link.holds(outgoing):
                self._sends.remove(entry)
                self.forwarder.refused(send, now)
            elif not self._link.carries(outgoing) and not self.forwarder.needed(send):
                self._link.exchange(outgoing, None)
                self._sends.remove(entry)
        self.forwarder.handle_timeout(now)
        while len(self._sends) < SENDS_MAX:
            found = self.forwarder.poll_transmit(now)
            if found is None:
                break
            self._hand_over(found, now)
        while (event := self.forwarder.poll_event()) is not None:
            self._direct_event(event)

    def _over(self, source: bytes) -> bool:
        """Tell whether a neighbour has had its part of the relaying, with what is on its way."""
        ahead = (outgoing.size for send, outgoing in self._sends if send.ingress == source)
        return self.parts.over(part_of(source), sum(map(self._link.airtime_us, ahead)))

    def withdraw(self, number: int) -> bool:
        """Take an own direct message back; False where it has left, or is with the modem."""
        flying = [send.key for send, outgoing in self._sends if self._link.carries(outgoing)]
        return self.forwarder.withdraw(number, flying)

    def _hand_over(self, send: Send, now: int) -> None:
        item = send.item
        own = isinstance(item, Direct) and item.origin == self._own[:SHORT_LEN]
        receipt = isinstance(item, Receipt)
        to = self._node_of(send.next_hop)
        if to is None and send.next_hop != EVERYONE:
            self.forwarder.refused(send, now)
            return
        outgoing = Outgoing(
            FrameKind.LOCAL if receipt else FrameKind.ROUTED,
            item.encode(),
            Share.OWN if own else Share.RELAYED,
            Priority.MEMBERSHIP if send.once else Priority.TEXT,
            hop_limit=send.hop_limit,
            next_hop=to,
            destination=b"" if receipt else send.destination,
            ingress=send.ingress,
        )
        if self._link.send(outgoing, now):
            self._sends.append((send, outgoing))
        else:
            self.forwarder.refused(send, now)

    def _node_of(self, short: bytes) -> bytes | None:
        """Return the neighbour with a short address, the one heard last if there are two."""
        found = None
        for row in self._link.neighbours:
            if row.node[:SHORT_LEN] == short:
                found = row.node
        return found

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
