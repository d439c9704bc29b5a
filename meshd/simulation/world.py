"""A deterministic world: many nodes in one process under virtual time, on media that carry frames.

Enters: a seed, hosts, media, faults, requests. Leaves: `Host`s with a real `Node` each, to look at,
and what happens, as it happens, to observers. Must not know: what any packet means, nor physics.
Two runs of one seed are equal; ties go by insertion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from meshd.core.errors import UsageError
from meshd.core.events import Datagram, Notice, Transmit
from meshd.core.identity import Identity
from meshd.node import NodeOptions
from meshd.recording.tape import Tape
from meshd.simulation.clock import Clock
from meshd.simulation.faults.network import NetworkFaults
from meshd.simulation.host import Host
from meshd.simulation.media.edges import Edge, Edges
from meshd.simulation.media.medium import Medium, Port, Reception
from meshd.simulation.observer import Observer
from meshd.simulation.schedule import SECOND, Schedule
from meshd.simulation.tun import ICMP

if TYPE_CHECKING:
    from meshd.simulation.lora.medium import LoraMedium

__all__ = ["DEFAULT", "HEADERS_BYTES", "SECOND", "Edge", "World"]

DEFAULT = "w0"
HEADERS_BYTES = 62
"""Ethernet, IPv6 and UDP before the bytes of a datagram."""
_MINUTE_US = 60 * SECOND
_HOPS_MAX = 64
Tapes = Callable[[str, int], Tape | None]


def no_tapes(name: str, life: int) -> Tape | None:
    """Record nobody."""
    return None


class World(Schedule):
    """Hosts with ports on media. `faults` is what goes wrong between them on top of physics.

    `tapes` gives the file to record a host's life to, by its name and the number of the life.
    """

    def __init__(
        self, seed: int, *, options: NodeOptions | None = None, tapes: Tapes = no_tapes
    ) -> None:
        super().__init__(seed)
        self.tapes = tapes
        self.options = options or NodeOptions()
        self.hosts: list[Host] = []
        self.media: dict[str, Medium] = {}
        self.airs: dict[str, LoraMedium] = {}
        self.observers: list[Observer] = []
        self.faults = NetworkFaults(self.stream("network faults"))
        self._edges: Edges | None = None
        self._owners: dict[bytes, Host] = {}
        self._ports: dict[bytes, Port] = {}
        self._names: set[str] = set()

    # --- building ---------------------------------------------------------------------------------

    def add_medium(self, medium: Medium) -> None:
        """Add a medium, before the hosts that are on it."""
        if medium.name in self.media:
            raise UsageError(f"there is a medium {medium.name!r} already")
        self.media[medium.name] = medium

    def add_host(
        self,
        name: str = "",
        *,
        media: Sequence[str] | None = (),
        at: tuple[float, float] = (0.0, 0.0),
        clock: Clock | None = None,
    ) -> Host:
        """Add a node with a port on each of `media`; it is running.

        None named: on the default edges. `media` None: on nothing, as one with a LoRa radio alone.
        """
        number = len(self.hosts)
        name = name or f"n{number}"
        if name in self._names:
            raise UsageError(f"there is a host {name!r} already")
        self._names.add(name)
        keys = self.stream(f"identity of {name}")
        identity = Identity(keys.randbytes(32), keys.randbytes(32))
        host = Host(self, number, name, identity=identity, clock=clock or Clock())
        host.x_m, host.y_m = at
        self.hosts.append(host)
        if media is not None:
            for medium in [self.media[each] for each in media] or [self._default()]:
                self._add_port(host, medium)
        self._owners[identity.address(self.options.mesh)] = host
        host.start()
        return host

    def _add_port(self, host: Host, medium: Medium) -> None:
        number = len(self._ports)
        address = b"\xfe\x80" + bytes(6) + (number + 1).to_bytes(8, "big")
        port = Port(host, medium.name, medium, number=number, address=address)
        host.ports[medium.name] = port
        self._ports[address] = port
        self._owners[address] = host

    def watch(self, observer: Observer) -> None:
        """Let an observer see what happens from now on."""
        if not self.observers:
            self.at(self.now + _MINUTE_US - self.now % _MINUTE_US, self._minute)
        self.observers.append(observer)

    # --- worlds by hand: directed edges -----------------------------------------------------------

    def _default(self) -> Edges:
        if self._edges is None:
            self._edges = Edges(DEFAULT, self)
            self.add_medium(self._edges)
        return self._edges

    @property
    def edges(self) -> dict[tuple[int, int], Edge]:
        """The directed edges of the default medium, by numbers of hosts; look, do not touch."""
        return self._default().edges

    def add_grid(self, rows: int, columns: int) -> list[Host]:
        """Add rows × columns hosts, each linked to the ones beside, above and below."""
        made = [self.add_host() for _ in range(rows * columns)]
        for place in range(rows * columns):
            if (place + 1) % columns:
                self.link(made[place], made[place + 1])
            if place + columns < rows * columns:
                self.link(made[place], made[place + columns])
        return made

    def add_line(self, count: int) -> list[Host]:
        """Add hosts in a row."""
        return self.add_grid(1, count)

    def link(self, one: Host, other: Host, edge: Edge | None = None) -> None:
        """Let two hosts hear each other."""
        self.hear(one, other, edge)
        self.hear(other, one, edge)

    def hear(self, sender: Host, hearer: Host, edge: Edge | None = None) -> None:
        """Let one direction work."""
        self._default().hear(sender, hearer, edge)

    def cut(self, one: Host, other: Host) -> None:
        """Silence a link both ways; nobody is told, as on the air."""
        self._default().silence(one, other)
        self._default().silence(other, one)

    # --- the air ----------------------------------------------------------------------------------

    def transmit(self, sender: Host, datagram: Transmit) -> None:
        """Put a datagram on a medium, or carry it along the hosts' routes."""
        if not datagram.link:
            if datagram.destination == sender.node.address:
                self.at(self.now, sender.loop, datagram)
            else:
                self.route_on(sender, sender.node.address, datagram, 0)
            return
        port = sender.ports.get(datagram.link)
        if port is None:
            return
        if datagram.destination[0] == 0xFF:
            size = len(datagram.data) + HEADERS_BYTES
            airtime_us, receptions = port.medium.broadcast(port, size)
            self._sent(port, datagram, airtime_us)
            if self.faults.active:
                for reception in receptions:
                    self.bring(port, reception, datagram, source=port.address)
            else:
                self._bring_all(receptions, port.address, datagram)
        else:
            reception_or_none = self._unicast(port, datagram.destination, datagram)
            if reception_or_none is not None:
                self.bring(port, reception_or_none, datagram, source=port.address)

    def _unicast(self, port: Port, address: bytes, datagram: Transmit) -> Reception | None:
        """Send to the port with a link-local address; None when it is lost or nobody is there."""
        size = len(datagram.data) + HEADERS_BYTES
        other = self._ports.get(address)
        if other is None or other.medium is not port.medium:
            self._sent(port, datagram, 0)
            return None
        airtime_us, reception = port.medium.unicast(port, other, size)
        self._sent(port, datagram, airtime_us)
        return reception

    def _sent(self, port: Port, datagram: Transmit, airtime_us: int) -> None:
        for observer in self.observers:
            observer.datagram_sent(port, datagram, airtime_us)

    def bring(self, port: Port, reception: Reception, datagram: Transmit, *, source: bytes) -> None:
        """Let a frame on its way arrive, or what the faults leave of it; `source` may be a lie."""
        for due_us, sent in self._passes(port, reception, datagram):
            self.at(due_us, self._arrive, reception, source, sent)

    def _passes(
        self, port: Port, reception: Reception, datagram: Transmit
    ) -> Sequence[tuple[int, Transmit]]:
        """Return what the faults leave of a frame on its way, and when that arrives."""
        if not self.faults.active:
            return ((reception.arrives_us, datagram),)
        size = len(datagram.data) + HEADERS_BYTES
        found: list[tuple[int, Transmit]] = []
        for delay_us, corrupt in self.faults.passes(port, reception.port, size, reception.tries):
            sent = datagram
            if corrupt:
                sent = datagram._replace(data=self.faults.flip(datagram.data))
            found.append((reception.arrives_us + delay_us, sent))
        return found

    def _bring_all(
        self, receptions: Iterable[Reception], source: bytes, datagram: Transmit
    ) -> None:
        """Let a multicast frame arrive; those who hear it at the same time are one event."""
        together: list[Reception] = []
        for reception in receptions:
            if together and together[0].arrives_us != reception.arrives_us:
                self.at(together[0].arrives_us, self._arrive_all, together, source, datagram)
                together = []
            together.append(reception)
        if together:
            self.at(together[0].arrives_us, self._arrive_all, together, source, datagram)

    def _arrive_all(
        self, receptions: Sequence[Reception], source: bytes, datagram: Transmit
    ) -> None:
        heard = Datagram(source, datagram.port, datagram.data, True)
        self.processed += len(receptions) - 1
        for reception in receptions:
            port = reception.port
            if reception.arrives_us > self.now:
                self.at(reception.arrives_us, self._arrive, reception, source, datagram)
            elif not reception.spoiled and port.host.running:
                port.host.take(port.link, heard)

    def _arrive(self, reception: Reception, source: bytes, datagram: Transmit) -> None:
        port = reception.port
        if reception.arrives_us > self.now:
            self.at(reception.arrives_us, self._arrive, reception, source, datagram)
        elif not reception.spoiled and port.host.running:
            multicast = datagram.destination[0] == 0xFF
            port.host.hear(port, source, datagram, multicast=multicast)

    # --- routes -----------------------------------------------------------------------------------

    def route_on(self, here: Host, source: bytes, datagram: Transmit, hops: int) -> None:
        """Send a routed datagram one hop on, as the kernel of `here` would."""
        hop = here.routes.get(datagram.destination)
        if hop is not None and here.lora is not None and hop.link == here.lora.name:
            here.tun.take(source, datagram, hops)
            return
        port = here.ports.get(hop.link) if hop is not None else None
        if hop is None or port is None or hops >= _HOPS_MAX:
            return
        reception = self._unicast(port, hop.next_hop, datagram)
        if reception is None:
            return
        for due_us, sent in self._passes(port, reception, datagram):
            self.at(due_us, self._forwarded, reception, source, sent, hops + 1)

    def _forwarded(
        self, reception: Reception, source: bytes, datagram: Transmit, hops: int
    ) -> None:
        port = reception.port
        host = port.host
        if reception.arrives_us > self.now:
            self.at(reception.arrives_us, self._forwarded, reception, source, datagram, hops)
            return
        if reception.spoiled or not host.running:
            return
        if host.node.address != datagram.destination:
            self.route_on(host, source, datagram, hops)
        elif datagram.port == ICMP:
            host.tun.received(source, datagram)
        else:
            host.hear(port, source, datagram, multicast=False)

    def path(self, sender: Host, address: bytes) -> list[Host] | None:
        """Follow the hosts' routes as packets would; None where they end, loop, or are cut."""
        path = [sender, *(other.host for _, other in self._walk(sender, address))]
        return path if path[-1].node.address == address else None

    def _walk(self, here: Host, address: bytes) -> Iterator[tuple[Port, Port]]:
        """Yield the hops of the routes to a mesh address, until they end, loop, or are cut."""
        for _ in self.hosts:
            hop = self._hop(here, address) if here.node.address != address else None
            if hop is None:
                return
            yield hop
            here = hop[1].host

    def _hop(self, here: Host, address: bytes) -> tuple[Port, Port] | None:
        """Return the ports of the first hop towards a mesh address, None when it is not there."""
        hop = here.routes.get(address)
        port = here.ports.get(hop.link) if hop is not None else None
        other = self._ports.get(hop.next_hop) if hop is not None else None
        if port is None or other is None or not self._passable(port, other):
            return None
        return port, other

    def _passable(self, port: Port, other: Port) -> bool:
        if not other.host.running or other.medium is not port.medium:
            return False
        if port.medium.way(port, other) is None:
            return False
        faults = self.faults
        return not faults.active or not faults.cut(port.host, other.host)

    def connected(self, hosts: Sequence[Host] | None = None) -> bool:
        """Tell whether every host reaches every other by its routes."""
        chosen = self.hosts if hosts is None else hosts
        return all(self._reached(target, chosen) for target in chosen)

    def _reached(self, target: Host, chosen: Sequence[Host]) -> bool:
        """Tell whether all reach `target`; a way that meets a known good one is not followed."""
        address, good = target.node.address, {target.number}
        for one in chosen:
            way = chain((one,), (other.host for _, other in self._walk(one, address)))
            passed: list[int] = []
            for host in way:
                if host.number in good:
                    break
                passed.append(host.number)
            else:
                return False
            good.update(passed)
        return True

    # --- streams ----------------------------------------------------------------------------------

    def way_between(self, one: Host, other: Host, link: str) -> list[tuple[Port, Port]] | None:
        """Return the hops of a stream, by a link or along routes; None when it cannot pass now.

        Acknowledgements must be able to come back over each hop.
        """
        if not other.running:
            return None
        if link:
            port, hearer = one.ports.get(link), other.ports.get(link)
            if port is None or hearer is None or not self._passable(port, hearer):
                return None
            hops = [(port, hearer)]
        else:
            hops = list(self._walk(one, other.node.address))
            ends = hops[-1][1].host if hops else one
            if ends is not other or len(hops) > _HOPS_MAX:
                return None
        both_ways = all(port.medium.way(hearer, port) is not None for port, hearer in hops)
        return hops if both_ways else None

    def carry_segment(self, port: Port, other: Port, size: int) -> int | None:
        """Send one frame of a stream over one hop; return how long it took, None when lost."""
        airtime_us, reception = port.medium.unicast(port, other, size)
        for observer in self.observers:
            observer.segment_sent(port, size, airtime_us)
        if reception is None or reception.spoiled:
            return None
        took_us = reception.arrives_us - self.now
        if self.faults.active:
            passages = self.faults.passes(port, other, size, reception.tries)
            if not passages or passages[0].corrupt:
                return None  # a corrupt segment fails TCP's checksum
            took_us += passages[0].delay_us
        return took_us

    # --- looking ----------------------------------------------------------------------------------

    def find(self, address: bytes) -> Host | None:
        """Return the host that owns a link-local or mesh address."""
        return self._owners.get(address)

    def notices(self, kind: str) -> list[tuple[Host, Notice]]:
        """Return what hosts told of one kind, in order of host."""
        return [(host, note) for host in self.hosts for note in host.notices if note.kind == kind]

    def _minute(self) -> None:
        self.at(self.now + _MINUTE_US, self._minute)
        for observer in self.observers:
            observer.minute()
