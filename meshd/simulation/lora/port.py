"""A LoRa radio of a simulated host, without a modem: the node's frames straight on the air.

Enters: `RadioSend` and `AirtimeSave` of a host's node, frames from the air. Leaves: the node's
radio inputs. The ledger's state is on the host's card a moment after it was asked for, later where
the disk is slow, and not where it fails; a boot finds what the fate of the disk left of it.
Must not know: what frames hold, but for what the report says of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.core import crypto
from meshd.core.airtime import airtime_us
from meshd.core.events import AirtimeImage, AirtimeSave, RadioLink
from meshd.simulation.faults.radio import GONE, RadioTrouble, RadioTroubles, Refusal
from meshd.simulation.lora.card import LedgerCard
from meshd.simulation.lora.purpose import CONTROL, purpose_of
from meshd.simulation.media.lora import LoraAir, Radio, RadioSetting

if TYPE_CHECKING:
    from meshd.core.law import Law
    from meshd.simulation.host import Host

_COMMIT_US = 5_000
_SLOT_SYMBOLS, _SLOTS_MAX = 8, 16


class LoraPort:
    """One radio, and the file of the ledger beside it: `card`."""

    def __init__(self, host: Host, air: LoraAir, setting: RadioSetting, *, law: Law) -> None:
        self.host = host
        self.name = "lora0"
        self.radio = Radio(host.name, setting)
        self.card = LedgerCard(host.world.stream("ledger of " + host.name))
        self._air = air
        self._law = law
        self._lives = 0
        self._plugged = 0
        self._troubles = RadioTroubles(host.world.stream("troubles of " + host.name))
        self._fails = host.world.stream("failing ledger of " + host.name)
        self.radio.received = self._received
        self.radio.sent = self._sent

    def power_on(self, disk: str = "kept") -> None:
        """The host has booted, and found its disk in a state of `plan.DISKS`."""
        self._lives += 1
        boot = crypto.digest(f"{self.host.name} {self._lives}".encode(), size=16)
        host = self.host
        state = self.card.find(disk, host.world.now)
        host.input(host.node.radios_start, AirtimeImage(self._law, boot, 0, state))
        if not self._troubles.gone:
            self._plug()

    def power_off(self) -> None:
        """The host lost its power."""
        self._lives += 1
        self._plugged += 1
        if not self._troubles.gone:
            self._air.detach(self.radio)

    def begin(self, trouble: RadioTrouble) -> None:
        """Something goes wrong from now on."""
        there = not self._troubles.gone
        self._troubles.begin(trouble)
        if trouble.kind == GONE and there and self.host.running:
            self._plugged += 1
            self._air.detach(self.radio)
            self.host.input(self.host.node.radio_down, self.name)

    def end(self, trouble: RadioTrouble) -> None:
        """What went wrong is over."""
        self._troubles.end(trouble)
        if trouble.kind == GONE and not self._troubles.gone and self.host.running:
            self._plug()

    def _plug(self) -> None:
        """The modem is there, and set."""
        self._plugged += 1
        self._air.attach(self.radio)
        setting = self.radio.setting
        module = setting.module
        sizes = range(module.frame_max + 1)
        link = RadioLink(
            self.name,
            "simulated",
            setting.frequency_hz,
            setting.modulation,
            int(setting.tx_dbm),
            tuple(airtime_us(setting.modulation, module.on_air(size)) for size in sizes),
            listens=module.listens,
        )
        self.host.input(self.host.node.radio_up, link)

    def moved(self) -> None:
        """The host stands elsewhere."""
        self._air.moved(self.radio)

    def transmit(self, frame: bytes) -> None:
        """Put a frame of the node on the air, once the channel is free."""
        for observer in self.host.world.observers:
            observer.radio_sent(self.host, frame)
        world, plugged = self.host.world, self._plugged
        refusal = self._troubles.refusal()
        if refusal is not None:
            world.at(world.now + refusal.after_us, self._refused, plugged, refusal)
        elif self._troubles.mute():
            setting = self.radio.setting
            length_us = airtime_us(setting.modulation, setting.module.on_air(len(frame)))
            world.at(world.now + length_us, self._seems_sent, plugged)
        else:
            self._try(plugged, frame, self._purpose())

    def save(self, event: AirtimeSave) -> None:
        """Keep the ledger's state, and say so in a moment."""
        self.card.begin(event.state)
        world, wait_us = self.host.world, _COMMIT_US + self.host.disk.slower_us
        world.at(world.now + wait_us, self._saved, self._lives, event)

    def _saved(self, life: int, event: AirtimeSave) -> None:
        if life != self._lives:
            return
        fails = any(self._fails.random() < share for share in self.host.disk.failing)
        if fails:
            self.card.failed()
        else:
            self.card.written(event.state, self.host.world.now)
        if event.number:
            self.host.input(self.host.node.airtime_saved, event.number, not fails)

    def _refused(self, plugged: int, why: Refusal) -> None:
        if plugged == self._plugged:
            node = self.host.node
            self.host.input(node.radio_not_sent, self.name, why.reason, why.maybe)

    def _seems_sent(self, plugged: int) -> None:
        if plugged == self._plugged:
            self._sent()

    def _try(self, plugged: int, frame: bytes, purpose: str) -> None:
        """Send; modems that listen wait until the channel seems free, slots of random number."""
        if plugged != self._plugged:
            return
        listens = self.radio.setting.module.listens
        if not listens or not (self.radio.busy() or self._troubles.taken()):
            self.radio.transmit(frame, purpose)
            return
        world = self.host.world
        slot_us = _SLOT_SYMBOLS * self.radio.setting.modulation.symbol_us
        slots = world.random("slots of " + self.name).randint(1, _SLOTS_MAX)
        world.at(world.now + slots * slot_us, self._try, plugged, frame, purpose)

    def _purpose(self) -> str:
        """Return what the frame is for that the modem has just got."""
        aloft = self.host.node.radios.links[self.name].aloft
        return CONTROL if aloft is None else purpose_of(aloft)

    def _received(self, frame: bytes, rssi_dbm: float, snr_db: float) -> None:
        got = self._troubles.heard(frame) if self.host.running else None
        if got is not None:
            self.host.input(self.host.node.radio_heard, self.name, got, rssi_dbm, snr_db)

    def _sent(self) -> None:
        if self.host.running:
            self.host.input(self.host.node.radio_sent, self.name)
