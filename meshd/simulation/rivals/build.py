"""From a plan and a seed to a world of rival stations on one LoRa channel, that has not begun.

Enters: a `Plan` whose protocol is a rival's, a seed. Leaves: a `RivalWorld`: hosts at the places
that meshd's would have, with the same losses between them. It offers what `run`, `sight` and the
faults ask of a world. Must not know: what people do. Faults: crash and churn; the sun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from meshd.core.airtime import FRAME_BYTES_MAX, airtime_us
from meshd.core.errors import UsageError
from meshd.simulation.build import set_going
from meshd.simulation.faults.network import NetworkFaults
from meshd.simulation.faults.power import Power
from meshd.simulation.faults.schedule import apply_power_cuts
from meshd.simulation.layout import places
from meshd.simulation.lora.medium import setting_of
from meshd.simulation.media.lora import LoraAir, Radio
from meshd.simulation.media.medium import Way
from meshd.simulation.media.modules import Module, module_of
from meshd.simulation.media.place import PathLoss
from meshd.simulation.observer import Observer
from meshd.simulation.plan.plan import POWER_CUTS, MediumPlan, Plan, hosts_of
from meshd.simulation.rivals import distance_vector, managed_flood
from meshd.simulation.rivals.distance_vector import DistanceVector
from meshd.simulation.rivals.engine import Engine, Event
from meshd.simulation.rivals.managed_flood import ManagedFlood
from meshd.simulation.rivals.source_path_flood import SourcePathFlood
from meshd.simulation.rivals.station import Station
from meshd.simulation.schedule import Schedule

PAYLOAD_MAX = {
    "managed-flood": FRAME_BYTES_MAX - managed_flood.OVERHEAD_BYTES,
    "source-path-flood": 150,
    "distance-vector": distance_vector.PAYLOAD_MAX,
}
"""Bytes that one message may have; that of a flood with paths leaves room for 40 hops."""

_LONGEST = {"distance-vector": distance_vector.PACKET_MAX}
_TYPICAL_BYTES = 50
Happened = Callable[["RivalHost", Event], None]


class RivalHost:
    """A device with one radio. It forgets everything when its power goes."""

    def __init__(self, world: RivalWorld, number: int, name: str, place: tuple[float, float]):
        self.world = world
        self.number = number
        self.name = name
        self.x_m, self.y_m = place
        self.running = False
        self.radio = Radio(name, world.setting)
        self.station: Station | None = None
        self.power = Power(self.crash, self.start)
        self._lives = 0

    def start(self, disk: str = "kept") -> None:
        """Boot with an empty memory, whatever became of its disk."""
        if self.running:
            return
        self._lives += 1
        engine = self.world.make(self, self.world.random(f"engine {self.name} {self._lives}"))
        self.world.air.attach(self.radio)
        self.station = Station(self.world, self.radio, engine)
        self.station.happened = lambda event: self.world.happened(self, event)
        self.running = True
        for observer in self.world.observers:
            observer.started(self)

    def crash(self) -> None:
        """Lose the power."""
        if not self.running:
            return
        self.running = False
        self.world.air.detach(self.radio)
        if self.station is not None:
            self.station.stop()
        self.station = None
        for observer in self.world.observers:
            observer.crashed(self)

    def move(self, x_m: float, y_m: float) -> None:
        """Stand elsewhere."""
        self.x_m, self.y_m = x_m, y_m
        self.world.air.moved(self.radio)

    def send_broadcast(self, payload: bytes) -> int:
        """Send to all; return the number of the message. Raises: UsageError when it is off."""
        return self._on().send_broadcast(payload)

    def send_direct(self, to: int, payload: bytes) -> int:
        """Send to one; return the number of the message. Raises: UsageError when it is off."""
        return self._on().send_direct(to, payload)

    def _on(self) -> Station:
        if self.station is None:
            raise UsageError(f"{self.name} is off")
        return self.station


class Placed(NamedTuple):
    """An end of a link."""

    host: RivalHost


class Channel:
    """The links of the air, in the words of a medium."""

    def __init__(self, world: RivalWorld) -> None:
        self._world = world

    def ways(self) -> Iterator[tuple[Placed, Placed, Way]]:
        """Return all directions that work now."""
        modulation = self._world.setting.modulation
        delay_us = airtime_us(modulation, _TYPICAL_BYTES)
        way = Way(delay_us, modulation.bits_per_s, 0.0)
        by_radio = {host.radio: host for host in self._world.hosts}
        for radio in self._world.air.radios:
            for other in self._world.air.audible(radio):
                yield Placed(by_radio[radio]), Placed(by_radio[other]), way


class RivalWorld(Schedule):
    """Stations of one rival. `happened` is told of each delivery and acknowledgement."""

    def __init__(self, plan: Plan, seed: int) -> None:
        super().__init__(seed)
        medium = _medium(plan)
        self.setting = setting_of(medium)
        self.observers: list[Observer] = []
        self.hosts: list[RivalHost] = []
        self.happened: Happened = lambda host, event: None
        self.media = {medium.name: Channel(self)}
        self.airs: dict[str, Channel] = {}
        self.faults = NetworkFaults(self.stream("network faults"))
        self.air = LoraAir(self, self._loss_db, told=self._told)
        self._law = PathLoss(plan.terrain, seed)
        self._by_radio: dict[Radio, RivalHost] = {}
        self._protocol = plan.protocol

    def watch(self, observer: Observer) -> None:
        """Let an observer see what happens from now on."""
        self.observers.append(observer)

    def add_host(self, name: str, place: tuple[float, float]) -> RivalHost:
        """Add a device; it is off."""
        host = RivalHost(self, len(self.hosts), name, place)
        self.hosts.append(host)
        self._by_radio[host.radio] = host
        return host

    def make(self, host: RivalHost, random: Random) -> Engine:
        """Return a new engine for a host."""
        modulation = self.setting.modulation
        if self._protocol == "managed-flood":
            return ManagedFlood(host.number, modulation, random)
        if self._protocol == "source-path-flood":
            contacts = range(len(self.hosts))
            return SourcePathFlood(host.number, modulation, random, contacts=contacts)
        return DistanceVector(host.number, modulation, random)

    def _loss_db(self, sender: Radio, hearer: Radio) -> float:
        one, other = self._by_radio[sender], self._by_radio[hearer]
        mhz = self.setting.frequency_hz / 1e6
        here, there = (one.x_m, one.y_m), (other.x_m, other.y_m)
        return self._law.loss_db(here, there, one.number, other.number, mhz)

    def _told(self, radio: Radio, purpose: str, size: int, length_us: int) -> None:
        for observer in self.observers:
            observer.frame_sent(radio.name, purpose, size, length_us)


def payload_max(protocol: str, module: Module) -> int:
    """Return how long a message may be whose frames a module takes."""
    over = _LONGEST.get(protocol, FRAME_BYTES_MAX) - module.frame_max
    return PAYLOAD_MAX[protocol] - max(over, 0)


def build(plan: Plan, seed: int) -> RivalWorld:
    """Return the world of a plan at time 0. Equal plans and seeds give equal worlds.

    Raises: UsageError when the plan asks for what rivals do not do.
    """
    _check(plan)
    world = RivalWorld(plan, seed)
    for group in plan.nodes:
        where = places(group, plan.terrain, world.stream(f"places of {group.name}"))
        for name, place in zip(hosts_of(group.name, group.count), where, strict=True):
            world.add_host(name, place)
    for host in world.hosts:
        host.start()
    hosts = iter(world.hosts)
    for group in plan.nodes:
        for _ in range(group.count):
            set_going(world, next(hosts), group)
    apply_power_cuts(world, plan)
    return world


def _check(plan: Plan) -> None:
    if plan.protocol not in PAYLOAD_MAX:
        raise UsageError(f"protocol {plan.protocol!r} is no rival")
    if plan.crowd:
        raise UsageError("rivals have no crowd: it asks for spaces")
    for fault in plan.faults:
        if fault.kind not in POWER_CUTS:
            raise UsageError(
                f"rivals know no fault {fault.kind!r}, only {' and '.join(POWER_CUTS)}"
            )
    limit = payload_max(plan.protocol, module_of(_medium(plan).modem))
    for traffic in plan.traffic:
        if traffic.kind == "file":
            raise UsageError("rivals carry no files")
        if traffic.size > limit:
            raise UsageError(f"{traffic.size} bytes: {plan.protocol} takes {limit} a message")


def _medium(plan: Plan) -> MediumPlan:
    for medium in plan.media:
        if medium.kind == "lora":
            return medium
    raise UsageError(f"protocol {plan.protocol!r} needs a medium of kind 'lora'")
