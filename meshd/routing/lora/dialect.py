"""The LoRa dialect of routing: neighbours by radio in Babel's own table, in entries of few bytes.

Enters: who was heard how well, ROUTES items of neighbours, choices of the table, which next hop
stayed silent. Leaves: routes in the table that all links share, ROUTES items, next hops by
destination, best first. A neighbour by LoRa is one of Babel's with another wire format: what it
says is learnt, found feasible and chosen as any update is (RFC 8966 §3.5), and what is chosen on
any link is told here. Only who is heard both ways is a next hop; all that are offered are feasible,
so that no choice among them closes a loop, on whatever media it is.
Must not know: frames, keys, the channel. Ref: docs/decisions/0010-lora-routes.md.
"""

from collections.abc import Container, Iterable
from typing import NamedTuple

from meshd.core.crowd import NEIGHBOURS_MAX, giving_way
from meshd.core.drops import DropReason
from meshd.core.events import Link
from meshd.core.ids import SHORT_LEN, Prefix, host_prefix, node_of_address
from meshd.neighbour.cost import INFINITY
from meshd.neighbour.table import Neighbour
from meshd.routing.chooser import Chooser
from meshd.routing.learn import Learner
from meshd.routing.lesson import Lesson
from meshd.routing.lora.names import Spoken
from meshd.routing.lora.peer import DOUBT_SOON, Peer
from meshd.routing.lora.questions import Questions
from meshd.routing.lora.reader import Reader
from meshd.routing.lora.row import Row
from meshd.routing.lora.rules import HOP_STEPS_MIN, Rules
from meshd.routing.lora.words import Words
from meshd.routing.table import Entry, Route
from meshd.wire.babel import CS_US, Retraction, Tlv, Update
from meshd.wire.lora_routes import (
    DISTANCE_MAX,
    DISTANCE_STEP,
    METRIC_STEP,
    PERIOD_STEP_US,
    UNREACHABLE,
    Ask,
    NamedEntry,
    Routes,
)

SILENT_MAX = 3
"""A neighbour that stayed silent for so many messages in a row is no next hop any more."""

HOPS_MAX = 255
"""So many LoRa hops of a route are counted: they have a byte."""


class State(NamedTuple):
    """What a dialect begins with: what was said by this radio before, since the node's start."""

    spoken: Spoken
    boot: int
    now: int


class LoraDialect:
    """The neighbours of one radio, and what they and this node say of routes."""

    def __init__(
        self, learner: Learner, chooser: Chooser, link: Link, rules: Rules, *, state: State
    ) -> None:
        """`link.address` is this node's own mesh address."""
        self.link = link
        self.rules = rules
        self.own = node_of_address(link.address)
        self.up = True
        self.peers: dict[bytes, Peer] = {}
        self._mesh = link.address[: -len(self.own)]
        self._boot = state.boot
        self._learner = learner
        self._chooser = chooser
        words = Words(learner, rules, spoken=state.spoken, near=self.peers, now=state.now)
        self._words, self.gain = words, words.gain
        self._questions = Questions(learner, words, self.peers, link)
        self._reader = Reader(learner.ctx, words, self._known, own=self.own, link=link.name)

    # --- inputs -----------------------------------------------------------------------------------

    def heard(
        self, node: bytes, margin_db: float | None, now: int, *, proven: bool = False
    ) -> None:
        """Note any frame of a neighbour, and by how much it was above the limit, where known.

        `proven`: it has shown whose key it has.
        """
        margin = self.rules.margin_db if margin_db is None else margin_db
        peer = self.peers.get(node)
        if peer is None:
            if node == self.own:
                return
            if len(self.peers) >= NEIGHBOURS_MAX:
                self._learner.ctx.drop(DropReason.LORA_NEIGHBOURS_FULL, self.link.name)
                self.gone(giving_way(self.peers.items()), now)
            address = self._mesh + node
            peer = self.peers[node] = Peer(Neighbour(self.link, address, now))
            peer.margin_db = margin
            if (row := self._row(node)) is not None:
                self._words.tell(row, now)
        peer.heard_us, peer.proven, peer.silent, peer.late = now, proven, 0, False
        peer.margin_db += (margin - peer.margin_db) / 4
        self._weigh(peer)
        self._chooser.settle(now)

    def gone(self, node: bytes, now: int) -> None:
        """Forget a neighbour that is not heard any more."""
        peer = self.peers.pop(node, None)
        if peer is not None:
            peer.neighbour.cost = INFINITY
            self._learner.neighbour_lost(peer.neighbour)
            self._learner.requests.neighbour_lost(peer.neighbour)
            if (row := self._words.rows.get(node)) is not None:
                self._words.tell(row, now)
            self._chooser.settle(now)

    def forgot(self, node: bytes, now: int) -> None:
        """A neighbour has shown that it began anew."""
        if node in self.peers:
            self._restarted(self.peers[node], self.peers[node].boot, now)

    def learn(self, node: bytes, said: Routes, now: int) -> None:
        """Take what a neighbour says."""
        peer = self.peers.get(node)
        if peer is None:
            return
        if peer.boot != said.boot:
            self._restarted(peer, said.boot, now)
        lesson = Lesson(self._learner, peer.neighbour, now)
        self._take(peer, lesson, NamedEntry(node, said.seqno, 0, heard=True), said.period)
        for named in self._reader.named(peer, said):
            self._take(peer, lesson, named, said.period)
        for told, period in self._reader.plain(peer, said, now):
            self._take(peer, lesson, told, period)
        if said.named:
            self._read_again(now)
        self._questions.heard(peer, said, now)
        if any(each.waiting for each in self.peers.values()):
            self._words.remind(now)  # another has just asked: perhaps its answer is lost here
        self._chooser.settle(now)

    def hears(self, node: bytes, now: int) -> None:
        """Note that a neighbour has shown that it hears this node."""
        peer = self.peers.get(node)
        if peer is not None and not peer.hears_us:
            self._hears(peer, now, heard=True)
            self._chooser.settle(now)

    def late(self, nodes: Container[bytes], now: int) -> None:
        """Take who may be gone: a way over one hop more goes before one by it."""
        for node, peer in self.peers.items():
            peer.late = node in nodes
            self._weigh(peer)
        self._chooser.settle(now)

    def modem(self, now: int, *, up: bool) -> None:
        """The modem takes frames, or none for a while: then nobody is reached by it."""
        self.up = up
        for peer in self.peers.values():
            self._weigh(peer)
        self._chooser.settle(now)

    def failed(self, short: bytes, now: int, *, own: bool) -> None:
        """Note that a neighbour stayed silent through all tries of a message, an own one or not.

        Those of others may be made for that: they count now and then, and bring a question.
        """
        for peer in self.peers.values():
            if peer.short == short and (own or now >= peer.doubted_us):
                peer.silent += 1
                if not own:
                    peer.doubted_us = now + DOUBT_SOON * self.rules.soon_us
                    self._words.ask(Ask(short, self.own[:SHORT_LEN]), now)
                self._weigh(peer)
        self._chooser.settle(now)

    def want(self, to: bytes, now: int) -> None:
        """Ask for a route to a node that nobody offers."""
        self._questions.want(to, now)

    def close(self, now: int) -> None:
        """Leave the radio: what went by it is lost at once."""
        for node in tuple(self.peers):
            self.gone(node, now)

    # --- what the table's owner tells -------------------------------------------------------------

    def chosen(self, entry: Entry, now: int) -> None:
        """Note that a choice was made."""
        address, length = entry.prefix
        if length != 128 or not address.startswith(self._mesh) or address == self.link.address:
            return
        node = node_of_address(address)
        row = self._words.rows.get(node)
        if row is None and entry.selected is not None:
            row = self._row(node)
        if row is not None:
            self._words.chosen(row, now)

    def say(self, neighbour: Neighbour, tlvs: Iterable[Tlv]) -> None:
        """Take what Babel has to say to a neighbour alone; it leaves by `flush`, as questions."""
        self._questions.say(neighbour, tlvs)

    def flush(self, now: int) -> None:
        """Turn into words what gathered, and see to it that they are asked for in time."""
        self._questions.flush(now)
        key = ("lora", "routes", self.link.name)
        self._learner.ctx.timers.set_earlier(key, self._words.due_us())

    # --- ways -------------------------------------------------------------------------------------

    def ways(self, to: bytes) -> list[tuple[bytes, int]]:
        """Return neighbours that are nearer to a node, with metrics through them, best first.

        `to` is a NodeId, or a short address: of two nodes with one the nearer is meant.
        """
        found = [
            (peer.silent, peer.neighbour.cost // METRIC_STEP, peer.short)
            for peer in self.peers.values()
            if to in (peer.node, peer.short) and peer.neighbour.cost != INFINITY
        ]
        row = self._nearest(to)
        if row is not None and (entry := self._learner.table.entries.get(row.prefix)) is not None:
            for route in entry.routes:
                if route.neighbour.link.name == self.link.name:
                    steps = -(-route.metric // METRIC_STEP)
                    peer = self.peers[node_of_address(route.neighbour.address)]
                    direct = to in (peer.node, peer.short)
                    if steps < UNREACHABLE and not direct and self._feasible(entry, route):
                        found.append((peer.silent, steps, peer.short))
        return [(via, steps) for _, steps, via in sorted(found)]

    def distance(self, to: bytes) -> int:
        """Return how far a node is, in the steps of messages; DISTANCE_MAX: no way is known."""
        if to in (self.own, self.own[:SHORT_LEN]):
            return 0
        row = self._nearest(to)
        steps = UNREACHABLE if row is None else self._words.steps(row)
        if steps == UNREACHABLE:
            steps = min((steps for _, steps in self.ways(to)), default=UNREACHABLE)
        if steps == UNREACHABLE:
            return DISTANCE_MAX
        return min(-(-steps * METRIC_STEP // DISTANCE_STEP), DISTANCE_MAX)

    def leaves(self, to: bytes) -> bytes | None:
        """Return the NodeId of a destination whose best way leaves this radio's air here."""
        row = self._nearest(to)
        entry = None if row is None else self._learner.table.entries.get(row.prefix)
        if row is None or entry is None or entry.selected is None:
            return None
        return None if entry.selected.neighbour.link.name == self.link.name else row.node

    def node(self, short: bytes) -> bytes | None:
        """Return the neighbour with a short address."""
        return next((node for node in self.peers if node.startswith(short)), None)

    def cost(self, node: bytes) -> int:
        """Return what a hop to a neighbour costs, INFINITY when it does not work both ways."""
        peer = self.peers.get(node)
        return INFINITY if peer is None else peer.neighbour.cost

    def resend_us(self) -> tuple[int, ...]:
        """Return after which times what was asked and not answered is asked again."""
        return self._words.resend_us()

    @property
    def hop_cost(self) -> int:
        """What a hop with margin costs."""
        return self.rules.hop_cost * METRIC_STEP

    # --- what to say ------------------------------------------------------------------------------

    def due_us(self) -> int:
        """Return when `build` has something."""
        return self._words.due_us()

    def awaited(self) -> bool:
        """Tell whether somebody waits for what `build` will have: it goes on a busy channel too."""
        return self._words.awaited

    def period_us(self) -> int:
        """Return in which time all that is known is told once."""
        return self._words.period_us()

    def build(self, now: int, room: int) -> Routes | None:
        """Return what is to be said now in at most `room` bytes, or None when nothing is due."""
        if self._words.due_us() > now:
            return None
        full = self._words.turn_due_us <= now
        if full:
            past_us = now - self._words.period_us() * 7 // 2
            for node, peer in tuple(self.peers.items()):
                if peer.heard_us < past_us:
                    self.gone(node, now)
            self._words.forget()
        waits = self._reader.remind(self.peers.values(), now)
        said = self._words.build(now, room, self._boot)
        if waits:
            self._words.remind(now)
        if full:
            self._learner.announcer.changed_own(now)  # it has a later seqno, mostly
            self._chooser.settle(now)
        return said

    def unsaid(self, now: int) -> None:
        """Say again what was built last: it never left."""
        self._words.unsaid(now)

    # --- neighbours -------------------------------------------------------------------------------

    def _restarted(self, peer: Peer, boot: int | None, now: int) -> None:
        """A neighbour forgot all: what it means, and what it announced that we rely on."""
        if peer.boot is not None:
            peer.names.clear()
            peer.waiting.clear()
            peer.hears_us = False
            self._weigh(peer)
            self._learner.neighbour_lost(peer.neighbour)
            self._words.again(now)
        peer.boot = boot

    def _hears(self, peer: Peer, now: int, *, heard: bool) -> None:
        """Note whether a neighbour hears this node; who begins to is told soon what it may lack."""
        peer.hears_us, peer.up_us = heard, now
        if heard:
            self._words.again(now, anew=False)
        self._weigh(peer)

    def _weigh(self, peer: Peer) -> None:
        """Work out what a link costs, INFINITY when it does not work both ways."""
        cost, neighbour = INFINITY, peer.neighbour
        if self.up and peer.hears_us and peer.silent < SILENT_MAX:
            cost = peer.steps(self.rules) * METRIC_STEP
        if cost != neighbour.cost:
            before, neighbour.cost = neighbour.cost, cost
            self._learner.reweighed(neighbour, fell=cost < before)

    def _row(self, node: bytes) -> Row | None:
        row = self._words.row(node, self._prefix(node))
        if row is None:
            self._learner.ctx.drop(DropReason.LORA_ROUTES_FULL, self.link.name)
        return row

    def _nearest(self, to: bytes) -> Row | None:
        rows = self._words.of(to)
        return min(rows, key=self._words.steps) if len(rows) > 1 else rows[0] if rows else None

    def _prefix(self, node: bytes) -> Prefix:
        return host_prefix(self._mesh + node)

    def _feasible(self, entry: Entry, route: Route) -> bool:
        numbers = (route.router_id, route.seqno, route.advertised)
        return self._learner.sources.feasible(entry.prefix, *numbers)

    # --- what is heard ----------------------------------------------------------------------------

    def _known(self, short: bytes) -> tuple[bytes, int] | None:
        """Return node and seqno for a short address, None when it is nobody's or two have it."""
        found = {row.node for row in self._words.of(short)}
        found.update(node for node in self.peers if node.startswith(short))
        if self.own.startswith(short):
            found.add(self.own)
        if len(found) != 1:
            return None
        (node,) = found
        if node == self.own:
            return node, self._learner.own.seqno
        prefix = self._prefix(node)
        entry = self._learner.table.entries.get(prefix)
        if entry is not None and entry.routes:
            return node, (entry.selected or entry.routes[0]).seqno
        source = self._learner.sources.get(prefix, prefix.address[8:])
        return None if source is None else (node, source.seqno)

    def _read_again(self, now: int) -> None:
        """Names were heard: read what waited for them."""
        for peer in self.peers.values():
            if peer.waiting:
                lesson = Lesson(self._learner, peer.neighbour, now)
                for told, period in self._reader.again(peer):
                    self._take(peer, lesson, told, period)

    def _take(self, peer: Peer, lesson: Lesson, told: NamedEntry, period: int) -> None:
        """Learn an entry, as Babel would from an update."""
        node, seqno, steps, heard = told
        interval_cs = period * PERIOD_STEP_US // CS_US
        if node != peer.node and (row := self._words.rows.get(node)) is not None:
            row.common += 1
        if node == self.own and heard != peer.hears_us:
            self._hears(peer, peer.heard_us, heard=heard)
        prefix = self._prefix(node)
        if steps == UNREACHABLE:
            if node != self.own:
                lesson.retraction(Retraction(prefix, seqno, interval_cs))
        elif node != peer.node or steps == 0:
            said = (seqno, steps * METRIC_STEP, interval_cs, peer.neighbour.address)
            lesson.update(Update(prefix, prefix.address[8:], *said, self._thin(steps)))

    def _thin(self, steps: int) -> int:
        """Return how many LoRa hops a route has, by this one, at most, and the rate of this."""
        hops = (steps + self.rules.hop_cost) // HOP_STEPS_MIN
        return max(min(hops, HOPS_MAX), 1) << 8 | self.rules.rate_class
