"""The source table: the best distance that we ever announced for each source (RFC 8966 §3.2.5).

Enters: what we announce. Leaves: whether an update is feasible, that is, cannot close a loop. A
source is a prefix and a router-id. Entries go after three minutes without an announcement, later
where neighbours may be believed for longer, for who forgets sooner takes his own echo for news; the
table is bounded, and shared by the neighbour that the announced route came from.
Must not know: routes, packets, timers.
"""

from collections.abc import Callable, Iterable

from meshd.core.ids import Prefix
from meshd.neighbour.table import Neighbour
from meshd.routing.shares import Shares

SOURCES_MAX = 8192
SOURCE_GC_US = 180_000_000
OUTLIVES_US = 30_000_000
"""A source is kept for so much longer than any word on its prefix is believed, ours by neighbours
or theirs here, but no more than `SOURCE_KEPT_US`: each of a wide table's may be held for 210 s."""
SOURCE_KEPT_US = 240_000_000
COLLECT_US = 30_000_000


class Source:
    """The feasibility distance of one source, when it was last used, and through whom.

    `other` is the next source of the same prefix: a prefix with two router-ids is rare.
    `believed_us`: how long neighbours hold what we said of it, at most.
    """

    __slots__ = ("believed_us", "metric", "other", "router_id", "seqno", "used_us", "via")

    def __init__(
        self, router_id: bytes, seqno: int, metric: int, *, now: int, via: Neighbour
    ) -> None:
        self.router_id = router_id
        self.seqno = seqno
        self.metric = metric
        self.used_us = now
        self.believed_us = 0
        self.via = via
        self.other: Source | None = None


def newer(seqno: int, other: int) -> bool:
    """Tell whether `seqno` is strictly later than `other`, modulo 2^16."""
    return 0 < (seqno - other & 0xFFFF) < 0x8000


class SourceTable:
    """Feasibility distances by prefix and router-id."""

    __slots__ = ("_collected_us", "_count", "_idle", "_shares", "_sources", "sources_max")

    def __init__(self, sources_max: int = SOURCES_MAX) -> None:
        self._sources: dict[Prefix, Source] = {}
        self._shares = Shares()
        self._idle: dict[Prefix, None] = {}
        self._count = 0
        self._collected_us = 0
        self.sources_max = sources_max

    def __len__(self) -> int:
        return self._count

    def get(self, prefix: Prefix, router_id: bytes) -> Source | None:
        """Return the feasibility distance of a source, if there is one."""
        source = self._sources.get(prefix)
        while source is not None and source.router_id != router_id:
            source = source.other
        return source

    def feasible(self, prefix: Prefix, router_id: bytes, seqno: int, metric: int) -> bool:
        """Tell whether a finite update is feasible (RFC 8966 §3.5.1)."""
        source = self._sources.get(prefix)
        while source is not None and source.router_id != router_id:
            source = source.other
        if source is None:
            return True
        ahead = seqno - source.seqno & 0xFFFF
        return metric < source.metric if ahead == 0 else ahead < 0x8000

    def announced(
        self,
        key: tuple[Prefix, bytes],
        seqno: int,
        metric: int,
        via: Neighbour,
        *,
        now: int,
        believed_us: int = 0,
    ) -> bool:
        """Note a finite update that we are about to send (RFC 8966 §3.7.3).

        False when the table is full and the route's neighbour holds too much of it already: then
        the update must not be sent. A `now` that is still to come keeps it for so much longer.
        """
        prefix, router_id = key
        source = self.get(prefix, router_id)
        if source is None:
            if self._count >= self.sources_max and not self._make_room(via):
                return False
            source = Source(router_id, seqno, metric, now=now, via=via)
            source.other = self._sources.get(prefix)
            self._sources[prefix] = source
            self._idle[prefix] = None
            self._count += 1
            self._shares[via] += 1
        source.used_us = max(source.used_us, now)
        source.believed_us = max(source.believed_us, believed_us)
        if newer(seqno, source.seqno):
            source.seqno, source.metric = seqno, metric
        elif seqno == source.seqno and metric < source.metric:
            source.metric = metric
        return True

    def retire(self, prefix: Prefix, alive: bytes | None, now: int) -> None:
        """Note that a prefix is announced under no router-id any more but `alive`."""
        source = self._sources.get(prefix)
        while source is not None:
            if source.router_id != alive:
                source.used_us = max(source.used_us, now)
                self._idle[prefix] = None
            source = source.other

    def collect(
        self,
        now: int,
        announced: Callable[[Prefix], bytes | None],
        believed_us: Callable[[Prefix], int],
    ) -> list[Prefix]:
        """Forget sources not announced for long, twice a minute at most; return which.

        `announced` returns the router-id under which a prefix is announced at present, and
        `believed_us` how long a route to it may live here. Only the prefixes are looked at of which
        a source is new, or was retired.
        """
        if now - self._collected_us < COLLECT_US:
            return []
        self._collected_us = now
        forgotten: list[Prefix] = []
        for prefix in tuple(self._idle):
            alive, idle, source = announced(prefix), False, self._sources.get(prefix)
            theirs_us = believed_us(prefix)
            while source is not None:
                word_us = max(theirs_us, source.believed_us) + OUTLIVES_US
                kept_us = min(max(SOURCE_GC_US, word_us), SOURCE_KEPT_US)
                if source.router_id == alive:
                    source.used_us = max(source.used_us, now)
                elif now - source.used_us < kept_us:
                    idle = True
                else:
                    self._forget(prefix, source)
                    forgotten.append(prefix)
                source = source.other
            if not idle:
                del self._idle[prefix]
        return forgotten

    def _make_room(self, newcomer: Neighbour) -> bool:
        """Forget a source of the neighbour that uses most, unless that is `newcomer`.

        The oldest that is not announced any more goes first: a distance that is forgotten while its
        routes live lets longer routes seem feasible.
        """
        most = self._shares.gives_way(newcomer)
        if most is None:
            return False
        return self._forget_of(most, self._idle) or self._forget_of(most, self._sources)

    def _forget_of(self, most: Neighbour, prefixes: Iterable[Prefix]) -> bool:
        for prefix in prefixes:
            source = self._sources.get(prefix)
            while source is not None:
                if source.via is most:
                    self._forget(prefix, source)
                    return True
                source = source.other
        return False

    def _forget(self, prefix: Prefix, source: Source) -> None:
        before = self._sources[prefix]
        if before is not source:
            while before.other is not source:
                assert before.other is not None
                before = before.other
            before.other = source.other
        elif source.other is not None:
            self._sources[prefix] = source.other
        else:
            del self._sources[prefix]
        self._count -= 1
        self._shares.drop(source.via)
