"""Every table of every node stays within its bound, whoever sends what.

Enters: a sixteenth of the running hosts each minute, all of them at the end. Leaves: violations.
Tables are found by `census`, so that a new one is counted before anybody lists it here; the listed
ones have the bound of the module that owns them, all others `ANY_MAX`. `TOTAL_MAX` stands for
memory: a node of a mesh of this size holds far less, whatever is thrown at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.neighbour.table import NEIGHBOURS_PER_LINK_MAX
from meshd.routing.forwarded import FORWARDED_MAX
from meshd.routing.held import HELD_MAX
from meshd.routing.memory import REMEMBERED_MAX
from meshd.routing.pages import PAGE
from meshd.routing.requests import PENDING_MAX, WAITING_MAX
from meshd.routing.source import SOURCES_MAX
from meshd.routing.table import ROUTES_MAX
from meshd.session import echo, gate, knock, peers
from meshd.session.known import KNOWN_MAX, TWINS_MAX
from meshd.session.roster import SESSIONS_MAX
from meshd.simulation.checks import census
from meshd.simulation.checks.checker import Checker
from meshd.sync.forks import SEARCHES_MAX
from meshd.sync.hub import OUTBOX_MAX, PEER_THEIRS_MAX, THEIRS_MAX
from meshd.sync.intake import INBOX_RECORDS_MAX

if TYPE_CHECKING:
    from meshd.simulation.host import Host
    from meshd.simulation.world import World

ANY_MAX = 20_000
TOTAL_MAX = 120_000
TURNS = 16
PREFIXES_MAX = ROUTES_MAX + HELD_MAX + 64
"""All that are known or held, and those of the node itself."""

MAXIMA = {
    "routing._table.entries": ROUTES_MAX + HELD_MAX,
    "routing._table.leases": ROUTES_MAX,
    "routing._announcer.pages._places": PREFIXES_MAX,
    "routing._announcer.pages._pages.*.prefixes": PAGE,
    "routing._announcer.pages._waiting": PREFIXES_MAX,
    "routing._announcer.outlets.*.said": PREFIXES_MAX,
    "routing._sources._sources": SOURCES_MAX,
    "routing._learner.remembered.*": REMEMBERED_MAX,
    "routing._chooser._held._causes": HELD_MAX,
    "routing._requests._pending": PENDING_MAX,
    "routing._requests._waiting": WAITING_MAX,
    "routing._requests._forwarded": FORWARDED_MAX,
    "routing._neighbours._by_link.*": NEIGHBOURS_PER_LINK_MAX,
    "sessions._roster._by_number": SESSIONS_MAX,
    "sessions.known._keys": KNOWN_MAX,
    "sessions.known._twins": TWINS_MAX,
    "sessions._gate._by_source._full_at": gate.SOURCES_MAX,
    "sessions._gate._by_ingress._full_at": gate.INGRESSES_MAX,
    "sessions.targets._table": 2 * peers.NEIGHBOURS_MAX + peers.PEERS_MAX,
    "sessions._knocker._seeks": knock.SEEKS_MAX,
    "sessions._knocker._by_source._full_at": knock.SOURCES_MAX,
    "echo._by_source._full_at": echo.SOURCES_MAX,
    "echo._pings": echo.PINGS_MAX,
    "sync._hub.peers": SESSIONS_MAX,
    "sync._hub.peers.*.outbox": OUTBOX_MAX,
    "sync._hub.peers.*.inbox": INBOX_RECORDS_MAX,
    "sync._hub.peers.*.shares.*.theirs": min(THEIRS_MAX, PEER_THEIRS_MAX),
    "sync._forks._searches": SEARCHES_MAX,
}


class Bounds(Checker):
    """Counts each node every sixteenth minute, and at the end."""

    name = "bounds"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.most = 0
        self._minutes = 0

    def minute(self) -> None:
        self._minutes += 1
        for host in self.world.hosts[self._minutes % TURNS :: TURNS]:
            if host.running:
                self._count(host)

    def finished(self) -> None:
        for host in self.world.hosts:
            if host.running:
                self._count(host)

    def _count(self, host: Host) -> None:
        found = census.take(host.node)
        self.most = max(self.most, found.total)
        if found.total > TOTAL_MAX:
            self.fail(host, f"holds {found.total} items in all tables")
        for text in beyond(found):
            self.fail(host, text)


def beyond(found: census.Census) -> list[str]:
    """Say which tables hold more than they may."""
    return [
        f"{way} has {count} items, of {MAXIMA.get(way, ANY_MAX)}"
        for way, count in found.largest.items()
        if count > MAXIMA.get(way, ANY_MAX)
    ]
