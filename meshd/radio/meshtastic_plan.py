"""What a Meshtastic radio is set to: from the settings that it tells to frequency and modulation.

Enters: the LoRa settings and the name of the first channel, as read from the radio. Leaves:
modulation and possible frequencies, or a sentence about what the owner has to set with the vendor's
application. Must not know: the serial protocol. Ref: hardware/radios/meshtastic.toml.
"""

from typing import NamedTuple

from meshd.core.airtime import Modulation
from meshd.radio.modem import RadioPlan
from meshd.radio.protobuf import Message

PREAMBLE = 16

PRESETS = {
    0: ("LongFast", 11, 250_000, 1),
    1: ("LongSlow", 12, 125_000, 4),
    3: ("MediumSlow", 10, 250_000, 1),
    4: ("MediumFast", 9, 250_000, 1),
    5: ("ShortSlow", 8, 250_000, 1),
    6: ("ShortFast", 7, 250_000, 1),
    7: ("LongMod", 11, 125_000, 4),
    8: ("ShortTurbo", 7, 500_000, 1),
    9: ("LongTurbo", 11, 500_000, 4),
}
"""By number: name of its channel, spreading factor, bandwidth, coding rate."""

REGIONS_HZ = {
    1: (902_000_000, 928_000_000),
    2: (433_000_000, 434_000_000),
    3: (869_400_000, 869_650_000),
    4: (470_000_000, 510_000_000),
    6: (915_000_000, 928_000_000),
    7: (920_000_000, 923_000_000),
    8: (920_000_000, 925_000_000),
    9: (868_700_000, 869_200_000),
    10: (865_000_000, 867_000_000),
    11: (864_000_000, 868_000_000),
    12: (920_000_000, 925_000_000),
    16: (433_000_000, 435_000_000),
    17: (919_000_000, 924_000_000),
    22: (433_050_000, 434_790_000),
    23: (433_075_000, 434_775_000),
    24: (863_000_000, 868_000_000),
    25: (865_000_000, 868_000_000),
    26: (902_000_000, 907_500_000),
}
"""Bands by region number, where all versions of the firmware agree."""

BANDWIDTHS_HZ = {31: 31_250, 62: 62_500, 125: 125_000, 250: 250_000, 500: 500_000}
"""What is written in whole kilohertz."""


class LoraSettings(NamedTuple):
    """The settings as the radio told them."""

    use_preset: bool
    preset: int
    bandwidth: int
    spreading_factor: int
    coding_rate: int
    region: int
    transmits: bool
    tx_dbm: int
    slot: int
    override_mhz: float
    channel_name: str

    @classmethod
    def read(cls, lora: Message, channel_name: str) -> "LoraSettings":
        """Take them out of the message."""
        return cls(
            use_preset=bool(lora[1].number),
            preset=lora[2].number,
            bandwidth=lora[3].number,
            spreading_factor=lora[4].number,
            coding_rate=lora[5].number,
            region=lora[7].number,
            transmits=bool(lora[9].number),
            tx_dbm=lora[10].signed(),
            slot=lora[11].number,
            override_mhz=lora[14].real(),
            channel_name=channel_name,
        )

    def modulation(self) -> Modulation | None:
        """Return the modulation, or None when this preset is not known."""
        if not self.use_preset:
            bandwidth_hz = BANDWIDTHS_HZ.get(self.bandwidth)
            fits = 7 <= self.spreading_factor <= 12 and 5 <= self.coding_rate <= 8
            if bandwidth_hz is None or not fits:
                return None
            return Modulation(self.spreading_factor, bandwidth_hz, self.coding_rate - 4, PREAMBLE)
        if self.preset not in PRESETS:
            return None
        _, factor, bandwidth_hz, coding_rate = PRESETS[self.preset]
        return Modulation(factor, bandwidth_hz, coding_rate, PREAMBLE)

    def frequencies_hz(self, bandwidth_hz: int) -> set[int]:
        """Return where the radio may be; versions of the firmware count slots differently."""
        if self.override_mhz > 0:
            return {round(self.override_mhz * 1e3) * 1_000}
        if self.region not in REGIONS_HZ:
            return set()
        first_hz, last_hz = REGIONS_HZ[self.region]
        span_hz = last_hz - first_hz
        counts = {span_hz // bandwidth_hz, round(span_hz / bandwidth_hz)} - {0}
        name = self.channel_name or (
            PRESETS[self.preset][0] if self.use_preset and self.preset in PRESETS else "Custom"
        )
        slots = {self.slot - 1} if self.slot else {_hash(name) % count for count in counts}
        return {first_hz + bandwidth_hz // 2 + slot * bandwidth_hz for slot in slots}


def granted(settings: LoraSettings | None, wanted: RadioPlan) -> RadioPlan | str:
    """Return the plan as the radio holds it, or what the owner has to set in it."""
    if settings is None:
        return "the radio did not tell its LoRa settings: renew its firmware (2.3 or later)"
    if settings.region == 0:
        return "the radio has no region and does not transmit: set it with the vendor's application"
    if not settings.transmits:
        return "transmitting is switched off in the radio: switch it on with the vendor's app"
    modulation = settings.modulation()
    want = wanted.modulation
    if modulation is None or modulation[:2] != want[:2]:
        there = "an unknown preset" if modulation is None else _words(modulation)
        return (
            f"the radio is set to {there}, the mesh uses {_words(want)}: set "
            f"{_preset_words(want)} with the vendor's application, or change the plan of the mesh"
        )
    possible_hz = settings.frequencies_hz(modulation.bandwidth_hz)
    if wanted.frequency_hz not in possible_hz:
        there = " or ".join(f"{hz / 1e6:g}" for hz in sorted(possible_hz)) or "an unknown number of"
        return (
            f"the radio is on {there} MHz, the mesh on {wanted.frequency_hz / 1e6:g} MHz: set "
            "region, slot or override frequency with the vendor's app, or change the mesh's plan"
        )
    if settings.tx_dbm > wanted.tx_dbm:
        return (
            f"the radio is set to {settings.tx_dbm} dBm, the plan allows {wanted.tx_dbm} dBm: set "
            "its transmit power with the vendor's application"
        )
    tx_dbm = settings.tx_dbm or wanted.tx_dbm
    return wanted._replace(modulation=modulation, tx_dbm=tx_dbm)


def _words(modulation: Modulation) -> str:
    return f"SF{modulation.spreading_factor} at {modulation.bandwidth_hz / 1000:g} kHz"


def _preset_words(modulation: Modulation) -> str:
    for name, factor, bandwidth_hz, _ in PRESETS.values():
        if (factor, bandwidth_hz) == modulation[:2]:
            return f"the preset {name}"
    return "these values without a preset"


def _hash(name: str) -> int:
    """The hash by Bernstein, 32 bits: it turns a channel's name into a slot."""
    value = 5381
    for byte in name.encode():
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value
