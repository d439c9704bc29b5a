"""Routes of an earlier life of this node, asked for by name until they are there.

A router that just sent its table leaves a request for all of it unanswered for a while (babeld: a
hello interval), but answers one for a prefix at once.

Enters: prefixes that the host knew. Leaves: route requests on all links, a few times.
"""

from collections.abc import Iterable

from meshd.core.context import Context
from meshd.core.ids import Prefix
from meshd.routing.announce import Announcer
from meshd.routing.table import RouteTable
from meshd.wire.babel import RouteRequest

MISSED_MAX = 64
MISSED_AGAIN_US = (150_000, 350_000, 1_000_000, 3_000_000)
"""When routes of an earlier life are asked for again, while they are not there."""


class Missed:
    """What is missed since the start."""

    __slots__ = ("_announcer", "_asks", "_ctx", "_prefixes", "_table")

    def __init__(self, ctx: Context, table: RouteTable, announcer: Announcer) -> None:
        self._ctx = ctx
        self._table = table
        self._announcer = announcer
        self._prefixes: tuple[Prefix, ...] = ()
        self._asks = 0

    def remember(self, prefixes: Iterable[Prefix], now: int) -> None:
        """Begin to ask for these."""
        self._prefixes = tuple(prefixes)[:MISSED_MAX]
        self._asks = 0
        self.ask(now)

    def ask(self, now: int) -> None:
        """Ask for those that are not there; again later."""
        known = self._table.entries
        self._prefixes = tuple(
            prefix
            for prefix in self._prefixes
            if prefix not in known or known[prefix].selected is None
        )
        if not self._prefixes or self._asks > len(MISSED_AGAIN_US):
            return
        requests = tuple(RouteRequest(prefix) for prefix in self._prefixes)
        for outlet in self._announcer.outlets.values():
            self._announcer.multicast(outlet, requests)
        if self._asks < len(MISSED_AGAIN_US):
            again = now + MISSED_AGAIN_US[self._asks]
            self._ctx.timers.set(("routing", "missed"), again)
        self._asks += 1
