"""A deterministic world: many nodes in one process under virtual time, one heap of things to come.

Enters: a seed, links, cuts, crashes, requests. Leaves: `Host`s with a real `Node` each, to look at.
Must not know: what any packet means. Two runs of one seed are equal; ties go by insertion.
"""

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import pairwise
from random import Random
from typing import NamedTuple

from meshd.core.events import Notice, Transmit
from meshd.core.identity import Identity
from meshd.node import NodeOptions
from meshd.simulation.host import Host

SECOND = 1_000_000
DELAY_US = 2_000
_HEADERS_BYTES = 62


class Edge(NamedTuple):
    """What one direction of a link does to a packet: delay with spread, and loss (0 to 1)."""

    delay_us: int = DELAY_US
    spread_us: int = 500
    loss: float = 0.0


class World:
    """Hosts on one shared radio: who hears whom is a set of directed edges that can be changed."""

    def __init__(self, seed: int, *, options: NodeOptions | None = None) -> None:
        self.now = 0
        self.rng = Random(seed)
        self.options = options or NodeOptions()
        self.hosts: list[Host] = []
        self.edges: dict[tuple[int, int], Edge] = {}
        self.sent_bytes: list[int] = []
        self.sent_packets: list[int] = []
        self.processed = 0
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self._address: dict[bytes, int] = {}
        self._hears: list[list[int]] = []

    # --- building ---------------------------------------------------------------------------------

    def add_host(self, name: str = "") -> Host:
        """Add a node; it is running and alone."""
        number = len(self.hosts)
        keys = Random(self.rng.getrandbits(64))
        identity = Identity(keys.randbytes(32), keys.randbytes(32))
        host = Host(self, number, name or f"n{number}", identity)
        self.hosts.append(host)
        self.sent_bytes.append(0)
        self.sent_packets.append(0)
        self._hears.append([])
        self._address[host.link_address] = number
        self._address[identity.address(self.options.mesh)] = number
        host.start()
        return host

    def add_grid(self, rows: int, columns: int) -> list[Host]:
        """Add rows × columns hosts, each linked to the ones beside, above and below."""
        made = [self.add_host() for _ in range(rows * columns)]
        for place in range(rows * columns):
            if (place + 1) % columns:
                self.link(made[place], made[place + 1])
            if place + columns < rows * columns:
                self.link(made[place], made[place + columns])
        return made

    def add_line(self, count: int) -> list[Host]:
        """Add hosts in a row."""
        return self.add_grid(1, count)

    def link(self, one: Host, other: Host, edge: Edge | None = None) -> None:
        """Let two hosts hear each other."""
        self.hear(one, other, edge)
        self.hear(other, one, edge)

    def hear(self, sender: Host, hearer: Host, edge: Edge | None = None) -> None:
        """Let one direction work."""
        if (sender.number, hearer.number) not in self.edges:
            self._hears[sender.number].append(hearer.number)
        self.edges[sender.number, hearer.number] = edge or Edge()

    def cut(self, one: Host, other: Host) -> None:
        """Silence a link both ways; nobody is told, as on the air."""
        for pair in ((one.number, other.number), (other.number, one.number)):
            if self.edges.pop(pair, None) is not None:
                self._hears[pair[0]].remove(pair[1])

    # --- running ----------------------------------------------------------------------------------

    def at(self, when_us: int, action: Callable[[], None]) -> None:
        """Do something at a time; equal times go by order of asking."""
        self._order += 1
        heappush(self._heap, (max(when_us, self.now), self._order, action))

    def run(self, duration_us: int) -> None:
        """Let virtual time pass."""
        end = self.now + duration_us
        heap = self._heap
        while heap and heap[0][0] <= end:
            self.now, _, action = heappop(heap)
            self.processed += 1
            action()
        self.now = end

    def run_until(self, condition: Callable[[], bool], limit_us: int) -> bool:
        """Let time pass until `condition` holds, checked every 10 ms; tell whether it did."""
        end = self.now + limit_us
        while not condition():
            if self.now >= end:
                return False
            self.run(min(10_000, end - self.now))
        return True

    # --- the air ----------------------------------------------------------------------------------

    def transmit(self, sender: Host, datagram: Transmit) -> None:
        """Put a datagram on the air, or carry it along the hosts' routes."""
        self.count(sender, len(datagram.data) + _HEADERS_BYTES)
        if datagram.destination[0] == 0xFF:
            for number in self._hears[sender.number]:
                self._carry(sender, number, datagram, multicast=True)
        elif datagram.link:
            number = self._address.get(datagram.destination, -1)
            if (sender.number, number) in self.edges:
                self._carry(sender, number, datagram, multicast=False)
        else:
            self._route(sender, datagram)

    def count(self, sender: Host, length: int) -> None:
        """Count a frame that a host put on the air."""
        self.sent_bytes[sender.number] += length
        self.sent_packets[sender.number] += 1

    def _carry(self, sender: Host, number: int, datagram: Transmit, *, multicast: bool) -> None:
        edge = self.edges[sender.number, number]
        if edge.loss and self.rng.random() < edge.loss:
            return
        hearer, source = self.hosts[number], sender.link_address
        delay_us = edge.delay_us + self.rng.randrange(edge.spread_us + 1)
        self.at(self.now + delay_us, lambda: hearer.hear(source, datagram, multicast=multicast))

    def _route(self, sender: Host, datagram: Transmit) -> None:
        path = self.path(sender, datagram.destination)
        if path is None:
            return
        delay_us = 0
        for one, other in pairwise(path):
            edge = self.edges[one.number, other.number]
            if edge.loss and self.rng.random() < edge.loss:
                return
            delay_us += edge.delay_us
        source = sender.node.address
        self.at(self.now + delay_us, lambda: path[-1].hear(source, datagram, multicast=False))

    def path(self, sender: Host, address: bytes) -> list[Host] | None:
        """Follow the hosts' routes as packets would; None where they end, loop, or are cut."""
        path = [sender]
        while path[-1].node.address != address:
            here = path[-1]
            hop = here.routes.get(address)
            number = self._address.get(hop, -1) if hop else -1
            if (here.number, number) not in self.edges or len(path) > len(self.hosts):
                return None
            if not self.hosts[number].running:
                return None
            path.append(self.hosts[number])
        return path

    def find(self, address: bytes) -> Host | None:
        """Return the host that owns a link-local or mesh address."""
        number = self._address.get(address, -1)
        return self.hosts[number] if number >= 0 else None

    def connected(self, hosts: Sequence[Host] | None = None) -> bool:
        """Tell whether every host reaches every other by its routes."""
        chosen = self.hosts if hosts is None else hosts
        return all(
            self.path(one, other.node.address) is not None
            for one in chosen
            for other in chosen
            if one is not other
        )

    def notices(self, kind: str) -> list[tuple[Host, Notice]]:
        """Return what hosts told of one kind, in order of host."""
        return [(host, note) for host in self.hosts for note in host.notices if note.kind == kind]
