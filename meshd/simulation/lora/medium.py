"""One LoRa channel of a plan, and the radios that hosts of meshd have on it.

Enters: a `[[medium]]` of kind "lora" with its region, the ground, hosts. Leaves: a `LoraPort` for
each host, links for maps, airtime to observers. A host has one such radio at most, beside its ports
on IP media or alone. Faults of the network befall what a radio understood, on its way to the host:
the air, and with it collisions and airtime, is as ever. Must not know: what frames hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from meshd.config.radios import bandwidth_hz
from meshd.config.regions import law_of
from meshd.core.airtime import Modulation, airtime_us
from meshd.core.errors import UsageError
from meshd.core.ids import node_text
from meshd.core.law import SubBand
from meshd.simulation.lora.port import LoraPort
from meshd.simulation.media.lora import LoraAir, Radio, RadioSetting
from meshd.simulation.media.medium import Way
from meshd.simulation.media.modules import kind_of, module_of
from meshd.simulation.outcome import Json

if TYPE_CHECKING:
    from meshd.simulation.host import Host
    from meshd.simulation.media.place import PathLoss
    from meshd.simulation.plan.plan import MediumPlan
    from meshd.simulation.world import World

_TYPICAL_BYTES = 50
_BESIDE_DB = 40.0
"""From one antenna to another on the same roof."""


class End(NamedTuple):
    """One end of a link."""

    host: Host


class LoraMedium:
    """A channel. Raises: UsageError for a region that is none."""

    def __init__(self, plan: MediumPlan, ground: PathLoss, world: World) -> None:
        self.name = plan.name
        self.setting = setting_of(plan)
        self.law = law_of(plan.region)
        self._ground = ground
        self._world = world
        self._hosts: dict[Radio, Host] = {}
        self._air = LoraAir(world, self._loss_db, told=self._told, bring=self._bring)

    def add(self, host: Host) -> None:
        """Give a host a radio. Raises: UsageError when it has one."""
        if host.lora is not None:
            raise UsageError(f"{host.name} has a LoRa radio already")
        host.lora = LoraPort(host, self._air, self.setting, law=self.law)
        self._hosts[host.lora.radio] = host
        if host.running:
            host.lora.power_on()

    def has(self, host: Host) -> bool:
        """Tell whether a host has a radio here."""
        return host in self._hosts.values()

    def hears(self, one: Host, other: Host) -> bool:
        """Tell whether the radio of a host reaches that of another one."""
        if one.lora is None or other.lora is None or not (self.has(one) and self.has(other)):
            return False
        return other.lora.radio in self._air.audible(one.lora.radio)

    def lend(self, host: Host, name: str) -> Radio:
        """Return another radio that stands where a host does, and is on the air from now on."""
        radio = Radio(name, self.setting)
        self._hosts[radio] = host
        self._air.attach(radio)
        return radio

    def take_back(self, radio: Radio) -> None:
        """Take a lent radio off the air."""
        self._air.detach(radio)
        del self._hosts[radio]

    def ways(self) -> Iterator[tuple[End, End, Way]]:
        """Return all directions that work now, when nobody else sends."""
        modulation = self.setting.modulation
        way = Way(airtime_us(modulation, _TYPICAL_BYTES), modulation.bits_per_s, 0.0)
        for radio, host in self._hosts.items():
            if not (_is_of(radio, host) and host.running):
                continue
            for other in self._air.audible(radio):
                if _is_of(other, self._hosts[other]):
                    yield End(host), End(self._hosts[other]), way

    def _loss_db(self, sender: Radio, hearer: Radio) -> float:
        one, other = self._hosts[sender], self._hosts[hearer]
        if one is other:
            return _BESIDE_DB
        mhz = self.setting.frequency_hz / 1e6
        return self._ground.loss_db(one.position, other.position, one.number, other.number, mhz)

    def _bring(
        self, sender: Radio, hearer: Radio, frame: bytes, rssi_dbm: float, snr_db: float
    ) -> None:
        """Let a frame arrive, or what the faults leave of it."""
        faults, world = self._world.faults, self._world
        if not faults.active:
            hearer.received(frame, rssi_dbm, snr_db)
            return
        one, other = End(self._hosts[sender]), End(self._hosts[hearer])
        for delay_us, corrupt in faults.passes(one, other, len(frame)):
            came = faults.flip(frame) if corrupt else frame
            if delay_us:
                world.at(world.now + delay_us, self._arrive, hearer, came, rssi_dbm, snr_db)
            else:
                hearer.received(came, rssi_dbm, snr_db)

    def _arrive(self, hearer: Radio, frame: bytes, rssi_dbm: float, snr_db: float) -> None:
        """A frame arrives late, unless the radio was taken away meanwhile."""
        if hearer in self._air.radios:
            hearer.received(frame, rssi_dbm, snr_db)

    def _told(self, radio: Radio, purpose: str, size: int, length_us: int) -> None:
        if not _is_of(radio, self._hosts[radio]):
            return
        for observer in self._world.observers:
            observer.frame_sent(radio.name, purpose, size, length_us)


def _is_of(radio: Radio, host: Host) -> bool:
    """Tell whether a radio is that of a node, and not a lent one."""
    return host.lora is not None and host.lora.radio is radio


def radios(world: World) -> list[Json]:
    """Return what each LoRa radio does now: whom its host hears, and how long it sent."""
    names = {node_text(host.node.id): host.name for host in world.hosts}
    found: list[Json] = []
    for host in world.hosts:
        if host.lora is None or not host.running:
            continue
        shown = host.node.snapshot(host.now)
        near = [
            {"host": names.get(row.node or "", row.node), "snr_db": row.snr_db}
            for row in shown.neighbours
            if row.link == host.lora.name
        ]
        if not shown.radios:
            continue  # it booted while its modem was gone
        (status,) = shown.radios
        sent_s = round((status.airtime_hour_ms or 0) / 1000, 1)
        left_s = None if status.left_ms is None else status.left_ms // 1000
        one = {"host": host.name, "hears": near, "frames": status.sent, "hour_s": sent_s}
        found.append({**one, "left_s": left_s})
    return found


def band_of(plan: MediumPlan) -> SubBand:
    """Return the rule that a channel's radios send under. Raises: UsageError when there is none."""
    setting = setting_of(plan)
    return law_of(plan.region).judge(
        setting.frequency_hz,
        setting.modulation.bandwidth_hz,
        setting.tx_dbm,
        listens=setting.module.listens,
    )


def setting_of(plan: MediumPlan) -> RadioSetting:
    """Return how the radios of a channel are set. Raises: UsageError when none can be set so."""
    module = module_of(plan.modem)
    if plan.modem:
        bandwidth_hz(kind_of(plan.modem), plan.bandwidth_khz)
    modulation = Modulation(
        plan.spreading_factor,
        round(plan.bandwidth_khz * 1000),
        plan.coding_rate,
        plan.preamble,
    )
    return RadioSetting(
        modulation.checked(),
        round(plan.frequency_mhz * 1e6),
        plan.tx_dbm,
        plan.noise_figure_db,
        module,
    )
