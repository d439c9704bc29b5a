"""The source table: the best distance that we ever announced for each source (RFC 8966 §3.2.5).

Enters: what we announce. Leaves: whether an update is feasible, that is, cannot close a loop. A
source is a prefix and a router-id. Entries go after three minutes without an announcement; the
table is bounded, and shared by the neighbour that the announced route came from.
Must not know: routes, packets, timers.
"""

from collections import Counter

from meshd.core.ids import Prefix
from meshd.neighbour.table import Neighbour

SOURCES_MAX = 8192
SOURCE_GC_US = 180_000_000


class Source:
    """The feasibility distance of one source, when it was last used, and through whom."""

    __slots__ = ("metric", "seqno", "used_us", "via")

    def __init__(self, seqno: int, metric: int, now: int, via: Neighbour) -> None:
        self.seqno = seqno
        self.metric = metric
        self.used_us = now
        self.via = via


def newer(seqno: int, other: int) -> bool:
    """Tell whether `seqno` is strictly later than `other`, modulo 2^16."""
    return 0 < (seqno - other & 0xFFFF) < 0x8000


class SourceTable:
    """Feasibility distances by (prefix, router-id)."""

    __slots__ = ("_shares", "_sources", "sources_max")

    def __init__(self, sources_max: int = SOURCES_MAX) -> None:
        self._sources: dict[tuple[Prefix, bytes], Source] = {}
        self._shares: Counter[Neighbour] = Counter()
        self.sources_max = sources_max

    def __len__(self) -> int:
        return len(self._sources)

    def get(self, prefix: Prefix, router_id: bytes) -> Source | None:
        """Return the feasibility distance of a source, if there is one."""
        return self._sources.get((prefix, router_id))

    def feasible(self, prefix: Prefix, router_id: bytes, seqno: int, metric: int) -> bool:
        """Tell whether a finite update is feasible (RFC 8966 §3.5.1)."""
        source = self._sources.get((prefix, router_id))
        if source is None:
            return True
        ahead = seqno - source.seqno & 0xFFFF
        return metric < source.metric if ahead == 0 else ahead < 0x8000

    def announced(
        self, key: tuple[Prefix, bytes], seqno: int, metric: int, via: Neighbour, *, now: int
    ) -> bool:
        """Note a finite update that we are about to send (RFC 8966 §3.7.3).

        False when the table is full and the route's neighbour holds too much of it already: then
        the update must not be sent.
        """
        source = self._sources.get(key)
        if source is None:
            if len(self._sources) >= self.sources_max and not self._make_room(via):
                return False
            self._sources[key] = Source(seqno, metric, now, via)
            self._shares[via] += 1
            return True
        source.used_us = now
        if newer(seqno, source.seqno):
            source.seqno, source.metric = seqno, metric
        elif seqno == source.seqno and metric < source.metric:
            source.metric = metric
        return True

    def collect(self, now: int, alive: set[tuple[Prefix, bytes]]) -> None:
        """Forget sources not announced for three minutes, save those `alive` (still announced)."""
        for key, source in list(self._sources.items()):
            if key in alive:
                source.used_us = now
            elif now - source.used_us >= SOURCE_GC_US:
                self._forget(key)

    def _make_room(self, newcomer: Neighbour) -> bool:
        """Forget the oldest source of the neighbour that uses most, unless that is `newcomer`."""
        most, held = self._shares.most_common(1)[0]
        if most is newcomer or held <= self._shares[newcomer] + 1:
            return False
        self._forget(next(key for key, source in self._sources.items() if source.via is most))
        return True

    def _forget(self, key: tuple[Prefix, bytes]) -> None:
        via = self._sources.pop(key).via
        self._shares[via] -= 1
        if not self._shares[via]:
            del self._shares[via]
