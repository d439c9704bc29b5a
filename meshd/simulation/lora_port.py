"""A LoRa radio of a simulated host, without a modem: the node's frames straight on the air.

Enters: `RadioSend` and `AirtimeSave` of a host's node, frames from the air. Leaves: the node's
radio inputs. The ledger's state is on the host's disk a moment after it was asked for, and stays
there when the power goes. Must not know: what frames hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.core import crypto
from meshd.core.airtime import airtime_us
from meshd.core.events import AirtimeImage, AirtimeSave, RadioLink
from meshd.simulation.media.lora import LoraAir, Radio, RadioSetting
from meshd.wire.lora_frame import FRAME_LEN_MAX

if TYPE_CHECKING:
    from meshd.core.law import Law
    from meshd.simulation.host import Host

_COMMIT_US = 5_000
_SLOT_SYMBOLS, _SLOTS_MAX = 8, 16


class LoraPort:
    """One radio, and the file of the ledger beside it. `state` is what the disk holds."""

    def __init__(self, host: Host, air: LoraAir, setting: RadioSetting, *, law: Law) -> None:
        self.host = host
        self.name = "lora0"
        self.radio = Radio(host.name, setting)
        self.state: bytes | None = None
        self._air = air
        self._law = law
        self._lives = 0
        self.radio.received = self._received
        self.radio.sent = self._sent

    def power_on(self) -> None:
        """The host has booted."""
        self._lives += 1
        self._air.attach(self.radio)
        setting = self.radio.setting
        boot = crypto.digest(f"{self.host.name} {self._lives}".encode(), size=16)
        sizes = range(FRAME_LEN_MAX - setting.extra_bytes + 1)
        link = RadioLink(
            self.name,
            "simulated",
            setting.frequency_hz,
            setting.modulation,
            int(setting.tx_dbm),
            tuple(airtime_us(setting.modulation, size + setting.extra_bytes) for size in sizes),
            listens=True,
        )
        host = self.host
        host.input(host.node.radios_start, AirtimeImage(self._law, boot, 0, self.state))
        host.input(host.node.radio_up, link)

    def power_off(self) -> None:
        """The host lost its power."""
        self._lives += 1
        self._air.detach(self.radio)

    def moved(self) -> None:
        """The host stands elsewhere."""
        self._air.moved(self.radio)

    def transmit(self, frame: bytes) -> None:
        """Put a frame of the node on the air, once the channel is free."""
        self._try(self._lives, frame)

    def save(self, event: AirtimeSave) -> None:
        """Keep the ledger's state, and say so in a moment."""
        self.host.world.at(self.host.world.now + _COMMIT_US, self._saved, self._lives, event)

    def _saved(self, life: int, event: AirtimeSave) -> None:
        if life == self._lives:
            self.state = event.state
            if event.number:
                self.host.input(self.host.node.airtime_saved, event.number, True)

    def _try(self, life: int, frame: bytes) -> None:
        """Send when the channel seems free, as modems that listen do: slots of random number."""
        if life != self._lives:
            return
        if not self.radio.busy():
            self.radio.transmit(frame, "meshd")
            return
        world = self.host.world
        slot_us = _SLOT_SYMBOLS * self.radio.setting.modulation.symbol_us
        slots = world.random("slots of " + self.name).randint(1, _SLOTS_MAX)
        world.at(world.now + slots * slot_us, self._try, life, frame)

    def _received(self, frame: bytes, rssi_dbm: float, snr_db: float) -> None:
        if self.host.running:
            self.host.input(self.host.node.radio_heard, self.name, frame, rssi_dbm, snr_db)

    def _sent(self) -> None:
        if self.host.running:
            self.host.input(self.host.node.radio_sent, self.name)
