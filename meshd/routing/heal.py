"""Telling an origin that went back in time which seqno we know of it, so that it goes beyond that.

Enters: updates at metric 0, which are only ever the origin's own, that are not feasible. Leaves: a
retraction with the seqno that is known and a request for the next, by unicast, to each neighbour
about few prefixes and not often: a packet holds a hundred such updates.
Must not know: routes, the choice.
"""

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.ids import Prefix
from meshd.neighbour.table import Neighbour
from meshd.routing.announce import Announcer
from meshd.routing.source import SourceTable
from meshd.wire.babel import Retraction, SeqnoRequest, Update

HEAL_EVERY_US = 200_000
"""An honest origin says its update again after 250 ms: each of those is answered."""

HEAL_AGAIN_US = 10_000_000
HEALED_MAX = 4
"""Prefixes that a neighbour is told of in any 10 s; an honest one has a single such prefix."""


class Healer:
    """Answers origins; what each was told of late, it notes at the neighbour."""

    __slots__ = ("_announcer", "_ctx", "_sources")

    def __init__(self, ctx: Context, sources: SourceTable, announcer: Announcer) -> None:
        self._ctx = ctx
        self._sources = sources
        self._announcer = announcer

    def heal(self, neighbour: Neighbour, update: Update, now: int) -> None:
        """Answer an update at metric 0 that is not feasible, within bounds."""
        prefix = update.prefix
        source = self._sources.get(prefix, update.router_id)
        if source is None or prefix.address[8:] != update.router_id:
            return
        if not _may(neighbour, prefix, now):
            self._ctx.drop(DropReason.BABEL_ANSWER_LIMITED, neighbour.link.name)
            return
        request = SeqnoRequest(prefix, update.router_id, source.seqno + 1 & 0xFFFF, 1)
        known = Retraction(prefix, source.seqno, update.interval_cs, origin=True)
        self._announcer.unicast(neighbour, (known, request))


def _may(neighbour: Neighbour, prefix: Prefix, now: int) -> bool:
    """Tell whether a neighbour may be told of a prefix, and note that it is."""
    told = neighbour.healed
    at_us = told.get(prefix)
    if at_us is not None and now - at_us < HEAL_EVERY_US:
        return False
    if at_us is None and len(told) >= HEALED_MAX:
        oldest = min(told, key=told.__getitem__)
        if now - told[oldest] < HEAL_AGAIN_US:
            return False
        del told[oldest]
    told[prefix] = now
    return True
