"""Nobody believes what nobody says: each route in a table is what that neighbour announced of late.

Enters: the packets that hosts send, read by `updates`; route changes. Leaves: violations. A route
lives for 3½ of the interval that was announced with it, so each finite one must have been said,
with this very router-id, seqno and metric, no longer ago than that. So routes that never expire,
and routes that were renewed by a packet which says otherwise, are found. A prefix that was lost
must be held, that no shorter route be taken for it meanwhile (RFC 8966 §3.5.4). And who has been
gone for long has no routes left anywhere. What liars, replays and damage make a host believe is
exempt (see `exempt`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.core.limits import BABEL_PORT
from meshd.simulation.checks.checker import Checker
from meshd.simulation.checks.updates import Reader, Said

if TYPE_CHECKING:
    from meshd.core.events import Transmit
    from meshd.simulation.anyworld import AnyHost
    from meshd.simulation.checks.exempt import Exempt
    from meshd.simulation.host import Host
    from meshd.simulation.media.medium import Port
    from meshd.simulation.world import World

LATE_US = 16_000_000
"""What frames may be late by faults, and clocks slow."""
HOLD_MAX_US = 210_000_000
"""Nodes believe nobody for longer, whatever the interval: 3½ minutes (decision 0012)."""
HELD_US = 80_000_000
"""The nodes hold for 84 s of their own clocks."""
GONE_US = 300_000_000
TURNS = 4

Words = dict[tuple[tuple[bytes, int], bytes, int, int], None]


class Hearsay(Checker):
    """Keeps the packets that each port sent of late."""

    name = "hearsay"

    def __init__(self, world: World, exempt: Exempt) -> None:
        super().__init__(world)
        self._exempt = exempt
        self._reader = Reader()
        self._packets: dict[int, dict[bytes, int]] = {}
        self._lost: dict[int, dict[bytes, int]] = {}
        self._off_since: dict[int, int] = {}
        self._began = world.now
        self._minutes = 0

    def datagram_sent(self, port: Port, datagram: Transmit, airtime_us: int) -> None:
        if datagram.port == BABEL_PORT:
            sent = self._packets.get(port.number)
            if sent is None:
                sent = self._packets[port.number] = {}
            sent[datagram.data] = self.world.now

    def route_changed(self, host: Host, address: bytes) -> None:
        hop, lost = host.routes.get(address), self._lost.setdefault(host.number, {})
        if hop is None or not hop.link:
            lost[address] = self.world.now
        else:
            lost.pop(address, None)

    def started(self, host: AnyHost) -> None:
        self._off_since.pop(host.number, None)

    def crashed(self, host: AnyHost) -> None:
        self._lost.pop(host.number, None)
        self._off_since[host.number] = self.world.now

    def minute(self) -> None:
        self._minutes += 1
        self._forget()
        self._judge(self.world.hosts[self._minutes % TURNS :: TURNS])

    def finished(self) -> None:
        self._judge(self.world.hosts)

    def _judge(self, hosts: list[Host]) -> None:
        running = [host for host in hosts if host.running]
        words: dict[int, Words] = {}
        garbled = self._exempt.garbled(self.world.now)
        heard_all = not self._began or self.world.now - self._began > HOLD_MAX_US + LATE_US
        for host in running:
            if heard_all and not garbled:
                self._believed(host, words)
            self._held(host)
        self._gone(running)

    def _believed(self, host: Host, words: dict[int, Words]) -> None:
        """Look for routes in a table that their neighbour did not announce of late."""
        for link, neighbour, prefix, *said in host.node.routing.learnt():
            owner = self.world.find(neighbour)
            by_lora = link in host.node.radios.links  # sealed, in coarser steps
            port = owner.ports.get(link) if owner is not None and not by_lora else None
            if owner is None or port is None or self._exempt.hostile(owner, self.world.now):
                continue
            known = words.get(port.number)
            if known is None:
                known = words[port.number] = self._words(port)
            if ((prefix.address, prefix.length), *said) not in known:
                self.fail(
                    host,
                    f"believes that {owner.name} announces {prefix} with seqno {said[1]},"
                    f" metric {said[2]}: it did not say so of late",
                )

    def _words(self, port: Port) -> Words:
        """Return all that a port announced of late."""
        now = self.world.now
        return {
            (said.prefix, said.router_id, said.seqno, said.metric): None
            for packet, at_us in self._packets.get(port.number, {}).items()
            for said in self._reader.read(packet)
            if now - at_us <= _hold_us(said)
        }

    def _held(self, host: Host) -> None:
        now, lost = self.world.now, self._lost.get(host.number, {})
        for address, at_us in list(lost.items()):
            if now - at_us >= HELD_US:
                del lost[address]
            elif not host.node.routing.remembers(address):
                self.fail(host, f"does not hold {address.hex()}, lost {now - at_us} µs ago")

    def _gone(self, running: list[Host]) -> None:
        now, alive = (
            self.world.now,
            {host.node.address for host in self.world.hosts if host.running},
        )
        if self._exempt.garbled(now) or self._exempt.anybody_hostile(now):
            return
        for number, at_us in self._off_since.items():
            gone = self.world.hosts[number]
            address = gone.node.address
            if now - at_us < GONE_US or address in alive:
                continue
            for host in running:
                if address in host.routes:
                    self.fail(host, f"has a route to {gone.name}, which went long ago")

    def _forget(self) -> None:
        now = self.world.now
        for number, sent in self._packets.items():
            self._packets[number] = {
                packet: at_us
                for packet, at_us in sent.items()
                if any(now - at_us <= _hold_us(said) for said in self._reader.read(packet))
            }


def _hold_us(said: Said) -> int:
    """Return for how long an update may be believed."""
    return min(said.interval_us * 7 // 2, HOLD_MAX_US) + LATE_US
