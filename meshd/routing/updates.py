"""What is said of prefixes on a link at present: updates, retractions; each distance is noted.

Enters: a prefix, the link it is said on. Leaves: its update, as RFC 8966 §3.7 wants it, or nothing.
Whatever leaves here is a promise: the source table keeps its distance. Must not know: when it is
sent, to whom, who asked.
"""

from collections.abc import Iterable

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.events import LinkKind
from meshd.core.ids import Prefix
from meshd.neighbour.cost import INFINITY
from meshd.routing.outlet import Outlet
from meshd.routing.own import Own
from meshd.routing.pages import Pages
from meshd.routing.source import SourceTable
from meshd.routing.table import Entry, Route, RouteTable
from meshd.wire.babel import CS_US, Retraction, Tlv, Update

UPDATE_INTERVAL_US = 24_000_000
"""Six hellos. With 20 s a mesh of 25 costs 55 B/s a node, with 24 s 50."""

WIDE_INTERVAL_US = 60_000_000
"""The same of a wide table: see docs/decisions/0012-wide-tables.md."""


class Updates:
    """The words for the routes of one node."""

    def __init__(
        self, ctx: Context, own: Own, *, table: RouteTable, sources: SourceTable, pages: Pages
    ) -> None:
        self._ctx = ctx
        self._own = own
        self._table = table
        self._sources = sources
        self._pages = pages

    @property
    def wide(self) -> bool:
        """Tell whether the table is wide."""
        return self._table.wide

    @property
    def interval_us(self) -> int:
        """How often the table is said; each update tells it."""
        return WIDE_INTERVAL_US if self._table.wide else UPDATE_INTERVAL_US

    @property
    def believed_us(self) -> int:
        """How long neighbours hold what it says."""
        return self.interval_us * 7 // 2

    def announced(self, prefix: Prefix) -> bytes | None:
        """Return the router-id under which we announce `prefix` at present."""
        entry = self._table.entries.get(prefix)
        return entry.selected.router_id if entry is not None and entry.selected else None

    def standing(self, outlet: Outlet, prefixes: Iterable[Prefix], now: int) -> list[Tlv]:
        """Return updates of those of `prefixes` that have a route."""
        tlvs: list[Tlv] = []
        for prefix in prefixes:
            update = self.update(outlet, prefix, now, lazy=True)
            if update is not None:
                outlet.said.add(prefix)
                tlvs.append(update)
        return tlvs

    def news(self, outlet: Outlet, prefixes: Iterable[Prefix], now: int) -> list[Tlv]:
        """Return updates and retractions of `prefixes` that are news on this link."""
        tlvs: list[Tlv] = []
        for prefix in sorted(prefixes):
            update = self.update(outlet, prefix, now)
            if update is not None:
                outlet.said.add(prefix)
                tlvs.append(update)
            elif prefix in outlet.said:
                tlvs.append(retraction(prefix, self._table.entries.get(prefix)))
        return tlvs

    def update(
        self, outlet: Outlet, prefix: Prefix, now: int, *, lazy: bool = False
    ) -> Update | None:
        """Return the update of a prefix for a link, or None when there is none to give.

        A `lazy` one says what was said last, when a later seqno or a little metric would be news.
        """
        if prefix in self._own.prefixes:
            return self._own_update(outlet, prefix)
        entry = self._table.entries.get(prefix)
        if entry is None or entry.selected is None or _horizon(outlet, entry):
            return None
        return self._entry_update(outlet, entry, now, lazy=lazy)

    def _own_update(self, outlet: Outlet, prefix: Prefix) -> Update:
        own = self._own
        return Update(
            prefix, own.router_id, own.seqno, 0, self.interval_us // CS_US, outlet.link.address
        )

    def _entry_update(self, outlet: Outlet, entry: Entry, now: int, *, lazy: bool) -> Update | None:
        """Note the feasibility distance, then return the update of a selected route."""
        route = entry.selected
        assert route is not None
        metric = route.metric
        if metric == INFINITY:
            return None
        said = (route.router_id, route.seqno, metric)
        if lazy and entry.said is not None and (entry.says(route) or self._waits(entry, route)):
            said = entry.said
        key, believed_us = (entry.prefix, route.router_id), self.believed_us
        source = self._sources.get(*key)
        if said != entry.said or source is None or source.believed_us < believed_us:
            if not lazy and (said != entry.said or source is None):
                self._pages.touch(entry.prefix)
            via = route.neighbour
            if not self._sources.announced(key, *said[1:], via, now=now, believed_us=believed_us):
                self._ctx.drop(DropReason.BABEL_SOURCES_FULL, route.neighbour.link.name)
                self._pages.touch(entry.prefix)
                return None
            entry.said = said
        interval_cs = self.interval_us // CS_US
        return Update(entry.prefix, *said, interval_cs, outlet.link.address, route.thin)

    def _waits(self, entry: Entry, route: Route) -> bool:
        """Tell whether a change is so small that it waits: see `Pages.put_off`."""
        return self._pages.waits(entry.prefix) and entry.nearly_says(route)


def _horizon(outlet: Outlet, entry: Entry) -> bool:
    """Tell whether split horizon keeps a route from the wire that it came from (§3.7.4)."""
    route = entry.selected
    return (
        outlet.link.kind is LinkKind.WIRED
        and route is not None
        and route.neighbour.link.name == outlet.link.name
    )


def retraction(prefix: Prefix, entry: Entry | None) -> Retraction:
    """Return a retraction that names the last seqno known, where the prefix names its origin."""
    cs = UPDATE_INTERVAL_US // CS_US
    if entry is not None and entry.said is not None and entry.said[0] == prefix.address[8:]:
        return Retraction(prefix, entry.said[1], cs, origin=True)
    return Retraction(prefix, 0, cs)
