"""Babel speakers with an IP link and a LoRa radio each, under virtual time, for tests.

`wifi` and `lora` hold directed edges; each datagram and item is lost with a probability of its own.
"""

from heapq import heappop, heappush
from random import Random

from radios.talk import S, Talker, address, node
from speakers.air import link_address

from meshd.core.events import Datagram, Link, LinkKind, RouteInstalled, RouteRemoved
from meshd.core.ids import ALL_BABEL_ROUTERS
from meshd.core.limits import BABEL_PORT
from meshd.routing.lora.rules import Rules
from meshd.wire import lora_routes

QUICK = Rules(S, want_us=S // 4, period_us=60 * S, byte_us=100)
"""All that LoRa nodes do in hours, in minutes."""


class Mixed:
    """`count` nodes, numbered from 1; all links are down at first."""

    def __init__(self, count, seed, *, loss=0.0, rules=QUICK):
        self.rng = Random(seed)
        self.now = 0
        self.loss = loss
        self.wifi, self.lora = set(), set()
        self.flying, self.order = [], 0
        self.talkers = {n: Talker(n, rules=rules, rng=self.rng) for n in range(1, count + 1)}
        self.installed = {n: {} for n in self.talkers}
        self.metrics = []
        for number, talker in self.talkers.items():
            link = Link("w0", LinkKind.MESH, link_address(number))
            talker.babel.link_up(link, 0)
            self.drain(number)

    def join(self, medium, one, other):
        medium |= {(one, other), (other, one)}

    def cut(self, medium, one, other):
        medium -= {(one, other), (other, one)}

    def drain(self, number):
        """Take what a node sends and tells."""
        ctx = self.talkers[number].ctx
        while ctx.events:
            event = ctx.events.popleft()
            if isinstance(event, RouteInstalled):
                self.installed[number][event.prefix.address] = event
                self.metrics.append(event.metric)
            elif isinstance(event, RouteRemoved):
                self.installed[number].pop(event.prefix.address, None)
        while ctx.transmits:
            sent = ctx.transmits.popleft()
            for other in self.talkers:
                to = sent.destination in (ALL_BABEL_ROUTERS, link_address(other))
                if to and (number, other) in self.wifi:
                    self._fly(number, other, sent.data)

    def _fly(self, number, other, what):
        if self.rng.random() >= self.loss:
            self.order += 1
            due = self.now + self.rng.randint(500, 200_000)
            heappush(self.flying, (due, self.order, number, other, what))

    def _land(self, number, other, what):
        talker = self.talkers[other]
        if isinstance(what, bytes):
            if (number, other) in self.wifi:
                datagram = Datagram(link_address(number), BABEL_PORT, what, True)
                talker.babel.receive("w0", datagram, self.now)
        elif (number, other) in self.lora:
            talker.lora.heard(node(number), 9.0, self.now)
            talker.lora.learn(node(number), what, self.now)
        self.drain(other)

    def step(self):
        """Go on to whatever happens next."""
        due, _, number, _, _ = self.flying[0] if self.flying else (1 << 60, 0, 0, 0, 0)
        for other, talker in self.talkers.items():
            timer = talker.ctx.timers.next()
            at = min(talker.lora.due_us(), timer[0] if timer else 1 << 60)
            if at < due:
                due, number = at, -other
        self.now = max(self.now, due)
        if number > 0:
            _, _, number, other, what = heappop(self.flying)
            self._land(number, other, what)
            return
        talker = self.talkers[-number]
        talker.at(self.now)
        said = talker.lora.build(self.now, 200)
        if said is not None:
            item, _ = lora_routes.parse(said.encode())
            for other in self.talkers:
                if (-number, other) in self.lora:
                    self._fly(-number, other, item)
        self.drain(-number)

    def run(self, seconds, until=None):
        """Run until some seconds have passed, or `until()` holds; return whether it does."""
        end = self.now + int(seconds * S)
        while self.now < end:
            if until is not None and until():
                return True
            self.step()
        return until is not None and until()

    def hops(self, number, target):
        """Return all that a packet or message to `target` may be handed to by a node."""
        talker = self.talkers[number]
        event = self.installed[number].get(address(target))
        found = []
        if event is not None and event.link:
            by_ip = event.link == "w0"
            named = link_address if by_ip else address
            found = [other for other in self.talkers if named(other) == event.next_hop]
        ways = talker.lora.ways(node(target))
        return found + [int.from_bytes(via, "big") for via, _ in ways]

    def loop(self, target):
        """Return a circle that something to `target` could go round, None when there is none."""
        state = {target: None}

        def visit(here, way):
            if here in way:
                return way[way.index(here) :]
            if here not in state:
                for other in self.hops(here, target):
                    if (found := visit(other, (*way, here))) is not None:
                        return found
                state[here] = None
            return None

        for number in self.talkers:
            if (found := visit(number, ())) is not None:
                return found
        return None

    def path(self, number, target):
        """Return the way by installed routes with the media of its hops; None when it ends."""
        way = ""
        while number != target:
            event = self.installed[number].get(address(target))
            if event is None or not event.link or len(way) > 2 * len(self.talkers):
                return None
            way += event.link[0]
            named = link_address if event.link == "w0" else address
            number = next(other for other in self.talkers if named(other) == event.next_hop)
        return way
