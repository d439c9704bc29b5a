"""One Babel speaker (RFC 8966): the routing of one node over all its links.

Enters: links that come and go, datagrams from port 6696, timers. Leaves: datagrams and route events
through the shared `Context`. It orders calls: neighbours and their costs are in `neighbour/`, who
becomes one in `acquisition`, what was learnt in `table`, what was promised in `source`, the choice
in `chooser`, what is said in `announce`, seqno requests in `requests`.
Must not know: sockets, clocks, sessions, spaces.
"""

from collections.abc import Callable, Container, Iterable, Iterator
from functools import partial

from meshd.core.airtime import FRAME_BYTES_MAX
from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.events import Datagram, Link, LinkKind
from meshd.core.ids import Prefix, node_of_address
from meshd.core.snapshot import NeighbourStatus, RouteStatus
from meshd.core.timers import Key
from meshd.neighbour.cost import INFINITY
from meshd.neighbour.table import Neighbour, NeighbourTable
from meshd.routing import view
from meshd.routing.acquisition import Acquisition, NeighbourChange, greetable_us
from meshd.routing.announce import Announcer
from meshd.routing.answers import Answers
from meshd.routing.chooser import Chooser
from meshd.routing.filter import Filter
from meshd.routing.greeted import heard_us, holds_us, not_a_source
from meshd.routing.learn import Learner
from meshd.routing.lesson import Lesson
from meshd.routing.lora.dialect import LoraDialect, State
from meshd.routing.lora.names import Spoken
from meshd.routing.lora.rules import Rules
from meshd.routing.missed import Missed
from meshd.routing.outlet import Outlet
from meshd.routing.own import Own
from meshd.routing.requests import Requests
from meshd.routing.source import SourceTable
from meshd.routing.table import ROUTES_MAX, RouteTable
from meshd.wire import babel
from meshd.wire.babel import Packet, Retraction, Tlv, Update
from meshd.wire.babel_greeting import Greeting, parts
from meshd.wire.babel_parser import decode
from meshd.wire.babel_words import words


class Babel:
    """A Babel speaker. `router_id` is 8 bytes; `seqno_limit` is the last one reserved, or None."""

    def __init__(
        self,
        ctx: Context,
        *,
        own: tuple[Prefix, ...],
        router_id: bytes,
        seqno: int,
        seqno_limit: int | None,
        boot: int = 0,
        routes_max: int = ROUTES_MAX,
    ) -> None:
        self._ctx = ctx
        self._own = Own(ctx, own, router_id, seqno=seqno, limit=seqno_limit)
        self._neighbours = NeighbourTable()
        self._table = RouteTable(routes_max)
        self._sources = SourceTable(2 * routes_max)
        self._filter = Filter(own)
        self._announcer = Announcer(
            ctx, self._own, neighbours=self._neighbours, table=self._table, sources=self._sources
        )
        self._requests = Requests(
            ctx, self._own, table=self._table, sources=self._sources, announcer=self._announcer
        )
        self._learner = Learner(
            ctx,
            self._own,
            table=self._table,
            sources=self._sources,
            requests=self._requests,
            announcer=self._announcer,
            accept=self._filter,
        )
        self._chooser = Chooser(
            ctx,
            table=self._table,
            sources=self._sources,
            learner=self._learner,
            requests=self._requests,
            announcer=self._announcer,
        )
        self._on_outlet: dict[str, Callable[[Outlet, int], None]] = {
            "early": self._announcer.early,
            "hello": self._announcer.hello,
            "flush": self._announcer.flush,
            "repeat": self._announcer.repeat,
            "dump": self._announcer.dump,
            "part": self._announcer.part,
        }
        self._boot = boot & 0xFF
        self._spoken: dict[str, Spoken] = {}
        self._radios: dict[str, LoraDialect] = {}
        self._acquisition = Acquisition(self._learner, self._neighbours, self._mesh)
        self._missed = Missed(ctx, self._table, self._announcer)

    # --- links ------------------------------------------------------------------------------------

    def link_up(self, link: Link, now: int) -> None:
        """Start on a link, or start again if it is known."""
        if link.name in self._announcer.outlets:
            self.link_down(link.name, now)
        self._announcer.link_up(link, now)
        self._chooser.start(now)

    def link_down(self, name: str, now: int) -> None:
        """Leave a link; what went over it is lost at once."""
        self._announcer.link_down(name)
        for neighbour in self._neighbours.on(name):
            self._acquisition.lose(neighbour, "link down")
        self._chooser.settle(now)

    def radio_up(self, name: str, rules: Rules, now: int) -> LoraDialect:
        """Start on a LoRa radio, or start again: what goes over it is for the caller to carry."""
        self.radio_down(name, now)
        own = next(iter(self._own.prefixes)).address
        spoken = self._spoken.setdefault(name, Spoken(node_of_address(own)))
        link = Link(name, LinkKind.RADIO, own, mtu=FRAME_BYTES_MAX)
        state = State(spoken, self._boot, now)
        radio = LoraDialect(self._learner, self._chooser, link, rules, state=state)
        self._announcer.radios[name] = self._radios[name] = radio
        for entry in tuple(self._table.entries.values()):
            radio.chosen(entry, now)
        self._chooser.start(now)
        self._chooser.settle(now)
        return radio

    def radio_down(self, name: str, now: int) -> None:
        """Leave a radio; what went over it is lost at once."""
        radio = self._radios.pop(name, None)
        if radio is not None:
            radio.close(now)
            del self._announcer.radios[name]

    def protect(self, prefixes: Iterable[Prefix]) -> None:
        """Set which prefixes no neighbour may announce: the host's LAN and connected ones."""
        self._filter.protect(prefixes)
        for prefix in list(self._table.entries):
            if self._filter.refused(prefix) is not None:
                self._learner.forget(prefix)
        self._ctx.timers.set(("routing", "settle"), 0)

    def remember(self, prefixes: tuple[Prefix, ...], now: int) -> None:
        """Ask by name for routes that an earlier life of this node had."""
        own = set(self._own.prefixes)
        self._missed.remember([prefix for prefix in prefixes if prefix not in own], now)

    def stop(self, now: int) -> None:
        """Retract everything on all links; the host stops calling after this."""
        self._announcer.farewell()

    # --- input ------------------------------------------------------------------------------------

    def receive(self, name: str, datagram: Datagram, now: int) -> bool:
        """Take a datagram that arrived on link `name`; tell whether `poll_neighbour` has news."""
        neighbour = self._neighbours.get(name, datagram.source)
        if neighbour is None:
            self._hear_stranger(name, datagram, now)
        elif not neighbour.budget.take(len(datagram.data), now):
            self._ctx.drop(DropReason.INGRESS_BUSY, name)
        else:
            self._hear(neighbour, datagram.data, now)
        return bool(self._acquisition.changes)

    def _hear_stranger(self, name: str, datagram: Datagram, now: int) -> None:
        """Take a packet of who is no neighbour."""
        outlet = self._announcer.outlets.get(name)
        if outlet is None:
            self._ctx.drop(DropReason.UNKNOWN_LINK)
        elif (why := not_a_source(datagram.source, outlet.link)) is not None:
            self._ctx.drop(why, name)
        elif not outlet.strangers.budget.take(len(datagram.data), now):
            self._ctx.drop(DropReason.INGRESS_BUSY, name)
        else:
            self._read(outlet.link, datagram.source, datagram.data, now)

    def _hear(self, neighbour: Neighbour, data: bytes, now: int) -> None:
        """Take a packet of a neighbour: mostly a hello, or a page of which little is new."""
        front, said, page = parts(data, neighbour.address)
        learner, link = self._learner, neighbour.link
        lease = learner.known(neighbour, page) if page else None
        if neighbour.told_rxcost == INFINITY:  # it has to be greeted, whatever it says
            if front or not learner.refresh(neighbour, lease, now):
                self._read(link, neighbour.address, data, now)
            return
        if front:
            if lease is None and page and words(page) is None:
                front, said, page = data, None, b""  # no two packets
            if said is None or not self._steady(neighbour, said, now):
                self._read(link, neighbour.address, front, now)
                lease = learner.known(neighbour, page) if page else None
            if not page:
                return
        if not learner.refresh(neighbour, lease, now):
            if Lesson(learner, neighbour, now).follow(page):
                self._chooser.settle(now)
            else:
                self._read(link, neighbour.address, page, now)

    def _read(self, link: Link, source: bytes, data: bytes, now: int) -> None:
        """Decode a packet, and take all that it says."""
        try:
            packet = decode(data, source)
        except WireError:
            self._ctx.drop(DropReason.BABEL_MALFORMED, link.name)
            return
        for reason in packet.ignored:
            self._ctx.drop(reason, link.name)
        neighbour = self._neighbours.get(link.name, source)
        if neighbour is None:
            neighbour = self._acquisition.meet(link, source, packet, now)
        if neighbour is not None:
            self._take(neighbour, packet, data, now)
            self._chooser.settle(now)

    def _steady(self, neighbour: Neighbour, said: Greeting, now: int) -> bool:
        """Take a greeting that changes no cost; False, and nothing done, when it may."""
        hello, ihus = said
        heard = heard_us(ihus.get(neighbour.link.address))
        if not neighbour.steady(hello.seqno, hello.interval_cs * 10_000, now, heard=heard):
            return False
        self._acquisition.arm(neighbour)
        return True

    def handle_timer(self, key: Key, now: int) -> None:
        """Do what a timer of owner "routing" is for."""
        why = key[1]
        if why == "sweep":
            self._chooser.sweep(now)
        elif why == "missed":
            self._missed.ask(now)
        elif why == "requests":
            self._requests.resend(now)
        elif why == "starve":
            self._requests.starve(now)
        elif why == "settle":
            pass  # the choice is made again after every timer
        elif why in ("neighbour", "greet"):
            name, address = key[2:]
            assert isinstance(name, str) and isinstance(address, bytes)
            neighbour = self._neighbours.get(name, address)
            if neighbour is not None and why == "neighbour":
                self._acquisition.due(neighbour, now)
            elif neighbour is not None:
                self._acquisition.greet_again(neighbour, now)
        else:
            outlet = self._announcer.outlets.get(str(key[2]))
            if outlet is not None:
                self._on_outlet[str(why)](outlet, now)
        self._chooser.settle(now)

    # --- output -----------------------------------------------------------------------------------

    def route_to(self, address: bytes) -> tuple[Link, bytes, int] | None:
        """Return link, next hop and metric of the route to a packed address."""
        entry = self._table.lookup(address)
        if entry is None or entry.selected is None:
            return None
        route = entry.selected
        return route.neighbour.link, route.next_hop, route.metric

    def thin_to(self, address: bytes) -> int:
        """Return the thin path of the route to an address; 0: no LoRa hop, or no route."""
        entry = self._table.lookup(address)
        return 0 if entry is None or entry.selected is None else entry.selected.thin

    def distance_to(self, address: bytes) -> tuple[bytes, int, int] | None:
        """Return router-id, seqno and advertised metric of the selected /128, for checkers."""
        entry = self._table.entries.get(Prefix(address, 128))
        if entry is None or entry.selected is None:
            return None
        return entry.selected.router_id, entry.selected.seqno, entry.selected.advertised

    def learnt(self) -> Iterator[view.Learnt]:
        """Return what neighbours announced and is still believed, for checkers."""
        return view.learnt(self._table)

    def remembers(self, address: bytes) -> bool:
        """Tell whether a /128 is known still, in use or held after its loss, for checkers."""
        entry = self._table.entries.get(Prefix(address, 128))
        return entry is not None and (entry.selected is not None or entry.held_until is not None)

    def neighbour_addresses(self, name: str) -> tuple[bytes, ...]:
        """Return the link-local addresses of the neighbours on link `name`."""
        return tuple(neighbour.address for neighbour in self._neighbours.on(name))

    def poll_neighbour(self) -> NeighbourChange | None:
        """Return the next neighbour that became known or was lost, or None."""
        changes = self._acquisition.changes
        return changes.popleft() if changes else None

    def neighbours(self, now: int, connected: Container[str] = ()) -> tuple[NeighbourStatus, ...]:
        """Describe all neighbours; `connected` holds the nodes that a session is open with."""
        mesh = self._mesh
        return tuple(view.neighbour_status(item, mesh, now, connected) for item in self._neighbours)

    def routes(self, now: int) -> tuple[RouteStatus, ...]:
        """Describe all routes, the selected one of each prefix first."""
        return view.route_statuses(self._table, self._sources, self._mesh, now)

    @property
    def seqno(self) -> int:
        """The seqno that our own routes carry."""
        return self._own.seqno

    @property
    def _mesh(self) -> bytes:
        """The first six bytes of addresses in our mesh: fd and the mesh id."""
        return next(iter(self._own.prefixes)).address[:6] if self._own.prefixes else b""

    # --- packets ----------------------------------------------------------------------------------

    def _take(self, neighbour: Neighbour, packet: Packet, data: bytes, now: int) -> None:
        """Note how a neighbour is heard, learn what it said, greet it if new, do what it asked."""
        restarted, costs, routes = False, False, False
        asked: list[Tlv] = []
        for tlv in packet.tlvs:
            kind = type(tlv)
            if kind is Update or kind is Retraction:
                routes = True
            elif isinstance(tlv, babel.Hello):
                interval_us = tlv.interval_cs * 10_000
                if not neighbour.hello(tlv.seqno, interval_us, now, unicast=tlv.unicast):
                    restarted = True
                    self._learner.neighbour_lost(neighbour)
                costs = True
            elif isinstance(tlv, babel.Ihu):
                costs = self._ihu(neighbour, tlv, now) or costs
            elif isinstance(tlv, babel.Ack):
                costs = neighbour.acknowledged(tlv.opaque, now) or costs
            else:
                asked.append(tlv)
        if costs:
            self._acquisition.arm(neighbour)
            self._acquisition.weigh(neighbour)
        if routes:
            whole = not (costs or asked or packet.ignored)
            Lesson(self._learner, neighbour, now).take(packet, data, whole=whole)
        self._acquisition.up_or_down(neighbour, "not heard by it")
        if restarted:
            # What we hold through it may lead back to us: retract that before it hears our table.
            neighbour.greetings = 0
            self._chooser.settle(now)
        if neighbour.rxcost != INFINITY and neighbour.told_rxcost == INFINITY:
            self._acquisition.greet(neighbour, now, ask=not routes)
        if asked:
            answers = Answers(neighbour.address)
            for tlv in asked:
                self._other(neighbour, tlv, answers, now)
            self._announcer.answer(neighbour, answers, now)

    def _ihu(self, neighbour: Neighbour, ihu: babel.Ihu, now: int) -> bool:
        if ihu.address is not None and ihu.address != neighbour.link.address:
            return False
        neighbour.ihu(ihu.rxcost, holds_us(ihu), now)
        return True

    def _other(self, neighbour: Neighbour, tlv: Tlv, answers: Answers, now: int) -> None:
        if isinstance(tlv, babel.AckRequest):
            answers.ack(tlv.opaque)
        elif isinstance(tlv, babel.RouteRequest):
            if tlv.prefix is not None:
                answers.route(tlv.prefix)
            else:
                self._table_request(neighbour, now)
        elif isinstance(tlv, babel.SeqnoRequest):
            raising = partial(self._raise_seqno, tlv, neighbour)
            if self._requests.incoming(neighbour, tlv, now, raising):
                answers.route(tlv.prefix)

    def _table_request(self, neighbour: Neighbour, now: int) -> None:
        """Answer at once; a table that was just sent to this neighbour is not sent again."""
        if now >= greetable_us(neighbour):
            self._announcer.greet(neighbour, now, ask=False)

    def _raise_seqno(self, asked: babel.SeqnoRequest, neighbour: Neighbour, now: int) -> bool:
        """Raise the own seqno for who needs a later one, by more than one if we forgot our last.

        RFC 8966 §3.8.1.2 allows one. But where ours is a guess, who asks for more knows from us
        what we have forgotten, and would believe nothing for minutes: then it is adopted as if it
        were announced, within the same bound.
        """
        adopted = self._own.guessed and self._own.adopt(
            asked.prefix, asked.seqno - 1 & 0xFFFF, now, neighbour.link.name
        )
        if not adopted and not self._own.increase(now):
            return False
        self._announcer.changed_own(now)
        return True
