"""10,000 nodes by aggregation: 100 meshes of 100, whose border nodes tell each other one /48 each.

What runs: real Babel speakers, those of the backbone and those of one mesh, on edges without loss.
What is modelled: that a border node says a static prefix on either side, and the ways inside the
other meshes, which are shortest paths. Stretch is hops by way of the borders over the fewest hops
that flat routing could find in the same graph.
"""

from random import Random

from report import Figure
from simulator._graph import Graph, hops, join, near

from meshd.core.context import Context
from meshd.core.events import Datagram, Link, LinkKind
from meshd.core.ids import Prefix, host_prefix, mesh_address, mesh_prefix
from meshd.core.limits import BABEL_PORT
from meshd.routing.speaker import Babel
from meshd.simulation.schedule import SECOND, Schedule

SIDE = 10
MESHES = SIDE * SIDE
NODES = 100
DEGREE = 7.0
HEADERS_LEN = 62
DELAY_US = 2_000
BEYOND = Prefix(b"\xfd" + bytes(15), 8)
"""What a border node says inside its mesh: every other mesh is this way."""


class Speakers(Schedule):
    """Babel speakers on one medium of edges."""

    def __init__(self, seed: int, graph: Graph, own: list[tuple[Prefix, ...]]) -> None:
        super().__init__(seed)
        self.graph = graph
        self.sent = [0] * len(graph)
        self.contexts: list[Context] = []
        self.babels: list[Babel] = []
        for number, prefixes in enumerate(own):
            ctx = Context(rng=self.stream(f"jitter {number}"), entropy=bytes)
            router_id = (number + 1).to_bytes(8, "big")
            if prefixes[0].length == 128:
                router_id = prefixes[0].address[8:]
            babel = Babel(ctx, own=prefixes, router_id=router_id, seqno=1, seqno_limit=1000)
            self.contexts.append(ctx)
            self.babels.append(babel)
        for number, babel in enumerate(self.babels):
            babel.link_up(Link("w0", LinkKind.MESH, _link_local(number)), 0)
            self._drain(number)

    def _drain(self, number: int) -> None:
        ctx = self.contexts[number]
        ctx.events.clear()
        while ctx.transmits:
            sent = ctx.transmits.popleft()
            self.sent[number] += len(sent.data) + HEADERS_LEN
            heard = Datagram(_link_local(number), BABEL_PORT, sent.data)
            for other in self.graph[number]:
                if sent.destination[0] == 0xFF or sent.destination == _link_local(other):
                    self.at(self.now + DELAY_US, self._hear, other, heard)
        armed = ctx.timers.next()
        if armed is not None:
            self.at(armed[0], self._wake, number, armed[0])

    def _hear(self, number: int, heard: Datagram) -> None:
        self.babels[number].receive("w0", heard, self.now)
        self._drain(number)

    def _wake(self, number: int, due_us: int) -> None:
        armed = self.contexts[number].timers.next()
        if armed is None or armed[0] > self.now:
            return
        for key in self.contexts[number].timers.expired(self.now):
            self.babels[number].handle_timer(key, self.now)
        self._drain(number)

    def rate(self, settle_s: int, quiet_s: int) -> float:
        """Return the control bytes a second of one speaker, on average, once all is settled."""
        self.run(settle_s * SECOND)
        before = sum(self.sent)
        self.run(quiet_s * SECOND)
        return (sum(self.sent) - before) / quiet_s / len(self.sent)


def _link_local(number: int) -> bytes:
    return b"\xfe\x80" + bytes(6) + (number + 1).to_bytes(8, "big")


def country(rng: Random) -> tuple[Graph, list[Graph], list[int]]:
    """Return the graph of all radios, the graph inside each mesh, and the border node of each."""
    total = MESHES * NODES
    spots, inner, borders = [], [], []
    for mesh in range(MESHES):
        left, low = mesh % SIDE, mesh // SIDE
        cell = [(left + rng.random(), low + rng.random()) for _ in range(NODES)]
        graph = near(cell, DEGREE / (3.14159 * NODES))
        join(graph, cell)
        inner.append(graph)
        away = [(x - left - 0.5) ** 2 + (y - low - 0.5) ** 2 for x, y in cell]
        borders.append(mesh * NODES + away.index(min(away)))
        spots += cell
    whole: Graph = [[] for _ in range(total)]
    for one, others in enumerate(near(spots, DEGREE / (3.14159 * NODES))):
        whole[one] = others
    for mesh, graph in enumerate(inner):
        for one, others in enumerate(graph):
            at = mesh * NODES
            whole[at + one] = sorted({*whole[at + one], *(at + other for other in others)})
    for mesh, others in enumerate(backbone()):
        whole[borders[mesh]] += [borders[other] for other in others]
    return whole, inner, borders


def backbone() -> Graph:
    """Return who is linked to whom among the borders: the eight meshes around."""
    found: Graph = [[] for _ in range(MESHES)]
    for mesh in range(MESHES):
        for other in range(MESHES):
            across = abs(mesh % SIDE - other % SIDE), abs(mesh // SIDE - other // SIDE)
            if other != mesh and max(across) == 1:
                found[mesh].append(other)
    return found


def stretches(rng: Random, sample: int) -> list[float]:
    """Return hops by way of the borders over the fewest hops, for pairs in different meshes."""
    whole, inner, borders = country(rng)
    found = []
    for _ in range(sample):
        one, other = rng.sample(range(MESHES * NODES), 2)
        meshes = one // NODES, other // NODES
        if meshes[0] == meshes[1]:
            continue
        inside = [
            hops(inner[mesh], borders[mesh] % NODES)[node % NODES]
            for mesh, node in zip(meshes, (one, other), strict=True)
        ]
        way = sum(inside) + hops(backbone(), meshes[0])[meshes[1]]
        found.append(way / hops(whole, one)[other])
    return sorted(found)


def measure() -> list[Figure]:
    """Run the backbone and one mesh; work out the stretch of paths."""
    rng = Random("aggregate 1")
    _, inner, borders = country(Random("aggregate 1"))
    meshes = [mesh_prefix(rng.randbytes(5)) for _ in range(MESHES)]
    between = Speakers(1, backbone(), [(prefix,) for prefix in meshes])
    own = [
        (host_prefix(mesh_address(meshes[0].address[1:6], rng.randbytes(10))),) for _ in inner[0]
    ]
    own[borders[0] % NODES] += (BEYOND,)
    inside = Speakers(2, inner[0], own)
    backbone_rate, inner_rate = between.rate(60, 120), inside.rate(60, 120)
    kept = len({status.prefix for status in between.babels[0].routes(between.now)})
    known = len({status.prefix for status in inside.babels[0].routes(inside.now)})
    if kept != MESHES - 1 or known != NODES:
        raise RuntimeError(f"not settled: {kept} and {known} prefixes")
    found = stretches(Random("aggregate 1"), 300)
    how = "100 meshes of 100; backbone and one mesh run, the rest is modelled"
    middle, high = found[len(found) // 2], found[len(found) * 95 // 100]
    return [
        Figure("10,000 by aggregation: a node inside", inner_rate, "B/s", None, how),
        Figure("10,000 by aggregation: a border", inner_rate + backbone_rate, "B/s", None, how),
        Figure("10,000 by aggregation: prefixes known inside", known, "prefixes", None, how),
        Figure("10,000 by aggregation: at a border", kept + known, "prefixes", None, how),
        Figure("10,000 by aggregation: stretch, median", middle, "x", None, how),
        Figure("10,000 by aggregation: stretch, 95 %", high, "x", None, how),
    ]
