"""Members gone bad: a host that goes on as before and, beside it, does what no honest node does.

Enters: a fault of kind "hostile", and the host that commits it. Leaves: frames with any source and
content on that host's own radio, or a node that keeps back what it should pass on. What an attacker
can do is what its radio can: it hears what the host hears and reaches whom the host reaches.
Must not: touch another host but by what it sends.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from meshd.core.events import Transmit
from meshd.core.ids import ALL_BABEL_ROUTERS
from meshd.core.limits import BABEL_PORT
from meshd.simulation.observer import Observer
from meshd.simulation.plan.plan import means
from meshd.simulation.schedule import SECOND
from meshd.simulation.world import HEADERS_BYTES
from meshd.wire.babel import Hello, Ihu, Tlv, pack

if TYPE_CHECKING:
    from meshd.simulation.host import Host
    from meshd.simulation.media.medium import Port, Reception
    from meshd.simulation.plan.plan import Fault
    from meshd.simulation.world import World

PACKET_MAX = 1_400


class Attack(Observer):
    """One hostile host while it is one. Subclasses say in `tick` what it does, and how often."""

    every_us = SECOND

    def __init__(self, world: World, host: Host, fault: Fault) -> None:
        self.world = world
        self.host = host
        self.planned = fault
        self.rng = world.random(f"hostile {fault.behaviour} {host.name} {fault.at_s}")
        self.over = False

    def begin(self) -> None:
        """Start; the first act comes at once."""
        self._wake()

    def end(self) -> None:
        """Be an honest host again."""
        self.over = True

    def tick(self) -> None:
        """Do one act of malice."""

    def victims(self) -> list[Host]:
        """Return the hosts that the fault's `other` names, but this one."""
        return [
            host
            for host in self.world.hosts
            if host is not self.host and means(self.planned.other, host.name)
        ]

    def _wake(self) -> None:
        if self.over:
            return
        if self.host.running:
            self.tick()
        self.world.at(self.world.now + self.every_us, self._wake)

    # --- the radio --------------------------------------------------------------------------------

    def speak(self, tlvs: Iterable[Tlv], source: bytes = b"") -> None:
        """Send Babel TLVs to all on each radio, as `source` or as this host."""
        said = list(tlvs)
        for port in self.host.ports.values():
            address = source or port.address
            for data in pack(said, address, PACKET_MAX):
                sent = Transmit(port.link, BABEL_PORT, ALL_BABEL_ROUTERS, data)
                self.send(port, sent, address)

    def greet(self, source: bytes) -> None:
        """Say hello as somebody who hears everybody."""
        hears = [Ihu(other.address, 96, 400) for other in self._near()]
        self.speak([Hello(self.rng.randrange(65_536), 400), *hears], source)

    def send(self, port: Port, datagram: Transmit, source: bytes) -> None:
        """Put a frame on the air whose source may be anybody's."""
        size = len(datagram.data) + HEADERS_BYTES
        receptions: Iterable[Reception]
        if datagram.destination[0] == 0xFF:
            airtime_us, receptions = port.medium.broadcast(port, size)
        else:
            other = self._port_of(port, datagram.destination)
            if other is None:
                return
            airtime_us, reception = port.medium.unicast(port, other, size)
            receptions = [] if reception is None else [reception]
        for observer in self.world.observers:
            observer.hostile_sent(port, size, airtime_us)
        for reception in receptions:
            if reception.port.address != source:
                self.world.bring(port, reception, datagram, source=source)

    def _port_of(self, port: Port, address: bytes) -> Port | None:
        owner = self.world.find(address)
        return owner.ports.get(port.link) if owner is not None else None

    def _near(self) -> list[Port]:
        return [
            other
            for port in self.host.ports.values()
            for here, other, _ in port.medium.ways()
            if here is port
        ]
