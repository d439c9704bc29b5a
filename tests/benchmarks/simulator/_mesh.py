"""A mesh of many nodes with churn, as `thousand` and `growth` measure it.

Enters: how many nodes, a seed. Leaves: a `World` of hosts that lie at random in a square, each with
about seven others in reach, and the measures taken of it. Virtual time only; the same for one seed.
"""

import ctypes
import gc
import resource
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random

from simulator._graph import Graph, island, join, near

from meshd.simulation.host import Host
from meshd.simulation.tally import Listener, Tally
from meshd.simulation.world import SECOND, Edge, World

DEGREE = 7.0
"""Mean number of others in reach: three is the least that keeps a random mesh together."""

EDGE = Edge(spread_us=0)
"""Whoever hears a frame hears it at the same time, as on the air."""

CHURN_EVERY_S = 30
OFF_S = 90
LARGE = 1 << 21
GROWN_MIB = 48
COLLAPSE = 25
"""`MADV_COLLAPSE` of Linux since 6.1."""


class Mesh:
    """A world, who hears whom in it, and whose turn it is to go off."""

    def __init__(self, count: int, seed: int) -> None:
        self.random = Random(f"mesh {count} {seed}")
        self.neighbours = reach(count, self.random)
        self.world = World(seed)
        self._tally = Tally(SECOND, 1)
        self.world.watch(Listener(self.world, self._tally))
        self.hosts = [self.world.add_host() for _ in range(count)]
        for one, others in enumerate(self.neighbours):
            for other in others:
                if one < other:
                    self.world.link(self.hosts[one], self.hosts[other], EDGE)
        self.switched = 0

    @property
    def degree(self) -> float:
        """How many others a node has in reach, on average."""
        return sum(map(len, self.neighbours)) / len(self.hosts)

    @property
    def sent_bytes(self) -> int:
        """How many bytes all nodes have sent, with all headers."""
        return int(self._tally.totals()["bytes"])

    def churn(self, until_s: int, start_s: int = 60) -> None:
        """Let a node go off every minute and come back 90 s later: a switch every 30 s."""
        for at_s in range(start_s, until_s - OFF_S - 2 * CHURN_EVERY_S, 2 * CHURN_EVERY_S):
            host = self.hosts[self.random.randrange(len(self.hosts))]
            self.world.at(at_s * SECOND, self._off, host)

    def _off(self, host: Host) -> None:
        if not host.running:
            return
        host.crash()
        self.switched += 2
        self.world.at(self.world.now + OFF_S * SECOND, host.start)

    def reachable(self, sample: int = 0) -> float:
        """Return the share of pairs whose routes lead there; all pairs, or those from a sample."""
        hosts = self.hosts
        chosen = self.random.sample(hosts, sample) if sample else hosts
        found = sum(
            self.world.path(one, other.node.address) is not None
            for one in chosen
            for other in hosts
            if one is not other
        )
        return found / (len(chosen) * (len(hosts) - 1))

    def lose_busiest(self, limit_s: int, rank: int = 0) -> float | None:
        """Let the node of most routes through it go; return when all others reach each other.

        Or that of second most, and so on. A node that alone holds two parts together is not taken.
        """
        through = Counter(
            hop.next_hop for host in self.hosts for hop in host.routes.values() if hop.link
        )
        found = (self.world.find(address) for address, _ in through.most_common())
        spare = (host for host in found if host is not None and self._spare(host))
        lost = next(islice(spare, rank, None), None)
        if lost is None:
            return None
        lost.crash()
        rest = [host for host in self.hosts if host is not lost]
        begun = self.world.now
        while not self.world.connected(rest):
            if self.world.now - begun >= limit_s * SECOND:
                return None
            self.world.run(SECOND // 2)
        return (self.world.now - begun) / SECOND

    def _spare(self, host: Host) -> bool:
        """Tell whether the others hang together without a host."""
        gone = host.number
        left = [[n for n in others if n != gone] for others in self.neighbours]
        start = 1 if gone == 0 else 0
        return len(island(left, start)) == len(left) - 1

    def converge(self, limit_s: int) -> float | None:
        """Let time pass until every node has a route to every other; return how long that took."""
        begun, wanted = self.world.now, len(self.hosts) - 1
        running = [host for host in self.hosts if host.running]
        while any(len(host.routes) < wanted for host in running):
            if self.world.now - begun >= limit_s * SECOND:
                return None
            self.world.run(SECOND // 10)
        return (self.world.now - begun) / SECOND


class LargePages:
    """Gathers the memory of this process in pages of 2 MiB, where Linux does that, as it grows.

    What a large world touches next lies anywhere in it; a table of small pages is not in a cache.
    """

    def __init__(self) -> None:
        self._gathered_mib = 0.0

    def gather(self, meter: "Meter") -> None:
        """Gather it, if it has grown by some since that was done last."""
        if meter.now_mib >= self._gathered_mib + GROWN_MIB:
            _gather()
            self._gathered_mib = meter.now_mib


def _gather() -> None:
    """Have Linux put large pages in the place of small ones; without the right to, do nothing."""
    try:
        advise = ctypes.CDLL(None).madvise
        lines = Path("/proc/self/maps").read_text().splitlines()
    except (OSError, AttributeError):
        return
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for fields in (line.split() for line in lines):
        if fields[1] != "rw-p" or fields[5:] not in ([], ["[heap]"]):
            continue
        start, end = (int(each, 16) for each in fields[0].split("-"))
        start, end = -(-start // LARGE) * LARGE, end // LARGE * LARGE
        if end > start:
            advise(start, end - start, COLLAPSE)


def reach(count: int, rng: Random) -> Graph:
    """Put nodes into a square; return who is in reach of each; all of them hang together."""
    spots = [(rng.random(), rng.random()) for _ in range(count)]
    found = near(spots, DEGREE / (3.14159 * max(count - 1, 1)))
    join(found, spots)
    return found


class Meter:
    """CPU seconds of this process since it was made, and its memory."""

    def __init__(self) -> None:
        gc.collect()
        self.begun = time.process_time()

    @property
    def cpu_s(self) -> float:
        return time.process_time() - self.begun

    @property
    def now_mib(self) -> float:
        """What the process has in memory."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20

    @property
    def memory_mib(self) -> float:
        """The most that the process ever had in memory."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
