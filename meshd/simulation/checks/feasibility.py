"""A host uses only routes that what it announced allows (RFC 8966 §3.5.1), judged from outside.

Enters: the packets that hosts send, read by `updates`. Leaves: violations. For each host a source
table is kept from its own announcements alone: the best distance that it told for each prefix and
router-id. Each selected route must be strictly better than that. An entry goes 180 s after the last
announcement, as RFC 8966 §3.5.5 allows, but not before neighbours must have forgotten that, by the
interval that it told. A host that lost power begins anew (see `loops`). There is no exemption for
hostile members: what they say is judged by each host's own table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.core.limits import BABEL_PORT
from meshd.simulation.checks.checker import Checker
from meshd.simulation.checks.updates import Reader, Said

if TYPE_CHECKING:
    from meshd.core.events import Transmit
    from meshd.simulation.anyworld import AnyHost
    from meshd.simulation.host import Host
    from meshd.simulation.media.medium import Port
    from meshd.simulation.world import World

FORGET_US = 180_000_000
BELIEVED_US = 210_000_000
"""No update is believed for longer, whatever interval it tells."""
HOSTS_A_MINUTE = 100
"""Routes in use are judged as they change; each minute all of so many hosts are judged again."""

Source = tuple[tuple[bytes, int], bytes]


class Feasibility(Checker):
    """A reference source table beside each host's own."""

    name = "feasibility"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._reader = Reader()
        self._best: dict[int, dict[Source, tuple[int, int, int]]] = {}  # and until when
        self._minutes = 0

    def started(self, host: AnyHost) -> None:
        self._best[host.number] = {}

    def datagram_sent(self, port: Port, datagram: Transmit, airtime_us: int) -> None:
        host = port.host
        if datagram.port != BABEL_PORT or not host.running:
            return
        best, now = self._best.setdefault(host.number, {}), self.world.now
        for said in self._reader.read(datagram.data):
            if said.prefix[0] == host.node.address:
                continue
            source = (said.prefix, said.router_id)
            known = best.get(source)
            until = now + max(FORGET_US, min(said.interval_us * 7 // 2, BELIEVED_US))
            if known is None or now >= known[2]:
                best[source] = (said.seqno, said.metric, until)
            else:
                seqno, metric = said[2:4] if _before(said, known) else known[:2]
                best[source] = (seqno, metric, max(until, known[2]))

    def route_changed(self, host: Host, address: bytes) -> None:
        self._check(host, (address, 128))

    def minute(self) -> None:
        hosts = self.world.hosts
        turns = -(-len(hosts) // HOSTS_A_MINUTE)
        self._minutes += 1
        self._check_all(hosts[self._minutes % turns :: turns])

    def finished(self) -> None:
        self._check_all(self.world.hosts)

    def _check_all(self, hosts: list[Host]) -> None:
        for host in hosts:
            if host.running:
                for address in host.routes:
                    self._check(host, (address, 128))

    def _check(self, host: Host, prefix: tuple[bytes, int]) -> None:
        route = host.node.routing.distance_to(prefix[0])
        if route is None:
            return
        router_id, seqno, advertised = route
        known = self._best.get(host.number, {}).get((prefix, router_id))
        if known is None or self.world.now >= known[2]:
            return
        if not _before(Said(prefix, router_id, seqno, advertised), known):
            self.fail(
                host,
                f"uses seqno {seqno} metric {advertised} to {prefix[0].hex()}"
                f" after it announced seqno {known[0]} metric {known[1]}",
            )


def _before(said: Said, known: tuple[int, int, int]) -> bool:
    """Tell whether an update is strictly better than a distance (RFC 8966 §3.5.1)."""
    ahead = (said.seqno - known[0]) % 65_536
    return 0 < ahead < 32_768 or (ahead == 0 and said.metric < known[1])
