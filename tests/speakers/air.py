"""An in-memory medium for Babel speakers under virtual time: who hears whom, loss, no sleep."""

from itertools import pairwise
from random import Random

from meshd.core.context import Context
from meshd.core.events import Datagram, Link, LinkKind, Notice, RouteInstalled, RouteRemoved
from meshd.core.ids import ALL_BABEL_ROUTERS, OPEN_MESH_ID, host_prefix, mesh_address
from meshd.core.limits import BABEL_PORT
from meshd.routing.speaker import Babel

SECOND = 1_000_000
HEADERS_LEN = 62


def node_address(number: int) -> bytes:
    return mesh_address(OPEN_MESH_ID, bytes([number % 251]) + (number + 1).to_bytes(9, "big"))


def link_address(number: int) -> bytes:
    return bytes.fromhex("fe80000000000000") + (0x0200_0000_0000_0000 | number).to_bytes(8, "big")


class Station:
    """One node: a speaker, its context and what it told the kernel."""

    def __init__(self, number: int, *, seqno: int = 1, **options) -> None:
        self.number = number
        self.address = node_address(number)
        self.ctx = Context(rng=Random(number), entropy=lambda size: bytes(size))
        self.babel = Babel(
            self.ctx,
            own=(host_prefix(self.address),),
            router_id=self.address[8:],
            seqno=seqno,
            **{"seqno_limit": seqno + 1000 & 0xFFFF, **options},
        )
        self.routes: dict[object, RouteInstalled] = {}
        self.notices: list[Notice] = []
        self.events: list[object] = []
        self.sent_bytes = 0
        self.sent_packets = 0

    def take_events(self) -> None:
        while self.ctx.events:
            event = self.ctx.events.popleft()
            self.events.append(event)
            if isinstance(event, RouteInstalled):
                self.routes[event.prefix] = event
            elif isinstance(event, RouteRemoved):
                del self.routes[event.prefix]
            elif isinstance(event, Notice):
                self.notices.append(event)

    def said(self, kind: str) -> list[Notice]:
        return [notice for notice in self.notices if notice.kind == kind]


class Air:
    """One radio link `w0` a station; `edges` says who hears whom."""

    def __init__(self, *, seed: int = 1, kind: LinkKind = LinkKind.MESH) -> None:
        self.now = 0
        self.kind = kind
        self.stations: list[Station] = []
        self.edges: set[tuple[int, int]] = set()
        self.loss_multicast = 0.0
        self.loss = 0.0
        self.rng = Random(seed)
        self.delay_us = 500
        self.strict = True
        self._flying: list[tuple[int, int, int, Datagram]] = []
        self._order = 0
        self.log: list[tuple[int, int, bytes, bytes]] = []

    def add(self, station: Station) -> Station:
        self.stations.append(station)
        return station

    def join(self, one: int, other: int) -> None:
        self.edges |= {(one, other), (other, one)}

    def cut(self, one: int, other: int) -> None:
        self.edges -= {(one, other), (other, one)}

    def up(self, station: Station) -> None:
        link = Link("w0", self.kind, link_address(station.number))
        station.babel.link_up(link, self.now)
        self.drain(station)

    def drain(self, station: Station) -> None:
        station.take_events()
        queue = station.ctx.transmits
        while queue:
            datagram = queue.popleft()
            station.sent_bytes += len(datagram.data) + HEADERS_LEN
            station.sent_packets += 1
            self.log.append((self.now, station.number, datagram.destination, datagram.data))
            self._spread(station, datagram)

    def _spread(self, station: Station, datagram) -> None:
        multicast = datagram.destination == ALL_BABEL_ROUTERS
        source = link_address(station.number)
        for place, other in enumerate(self.stations):
            if (station.number, other.number) not in self.edges:
                continue
            if not multicast and datagram.destination != link_address(other.number):
                continue
            if self.rng.random() < (self.loss_multicast if multicast else self.loss):
                continue
            self._order += 1
            arrived = Datagram(source, BABEL_PORT, datagram.data, multicast)
            self._flying.append((self.now + self.delay_us, self._order, place, arrived))

    def run(self, seconds: float, until=None) -> float:
        """Run until `seconds` have passed or `until()` holds; return the seconds it took."""
        start, end = self.now, self.now + int(seconds * SECOND)
        while True:
            if until is not None and until():
                return (self.now - start) / SECOND
            nexts = [
                (head[0], place)
                for place, station in enumerate(self.stations)
                if (head := station.ctx.timers.next()) is not None
            ]
            fly = min(self._flying, default=None)
            at = min([deadline for deadline, _ in nexts] + ([fly[0]] if fly else []), default=end)
            if at > end:
                self.now = end
                return (self.now - start) / SECOND
            self.now = max(at, self.now)
            if fly is not None and fly[0] <= self.now:
                self._flying.remove(fly)
                station = self.stations[fly[2]]
                station.babel.receive("w0", fly[3], self.now)
                self.drain(station)
                continue
            for deadline, place in nexts:
                if deadline <= self.now:
                    station = self.stations[place]
                    for key in station.ctx.timers.expired(self.now):
                        station.babel.handle_timer(key, self.now)
                    self.drain(station)

    # --- what must hold ---------------------------------------------------------------------------

    def path(self, source: int, target: int) -> list[int] | None:
        """Follow kernel routes; None when they end, AssertionError when they loop."""
        by_number = {station.number: station for station in self.stations}
        by_link = {link_address(station.number): station.number for station in self.stations}
        prefix = host_prefix(by_number[target].address)
        here, seen = source, [source]
        while here != target:
            route = by_number[here].routes.get(prefix)
            if route is None:
                return None
            here = by_link[route.next_hop]
            if here in seen:
                assert not self.strict, f"loop {seen} {here}"
                return None
            seen.append(here)
        return seen

    def complete(self) -> bool:
        """Tell whether each station has a path, over present edges, to every other."""
        for one in self.stations:
            for other in self.stations:
                if one is other:
                    continue
                path = self.path(one.number, other.number)
                if path is None or any(hop not in self.edges for hop in pairwise(path)):
                    return False
        return True


def grid(side: int, **options) -> Air:
    """A grid of side × side stations, links still down."""
    air = Air(**options)
    for number in range(side * side):
        air.add(Station(number))
    for number in range(side * side):
        if number % side < side - 1:
            air.join(number, number + 1)
        if number < side * (side - 1):
            air.join(number, number + side)
    return air
