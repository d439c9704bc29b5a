"""What a Meshtastic radio is set to: from the settings that it tells to frequency and modulation.

Enters: the LoRa settings and the name of the first channel, as read from the radio. Leaves:
modulation and possible frequencies, or a sentence about what its owner has to set; and the settings
that a plan asks for, all others left as they are. Must not know: the serial protocol.
Ref: hardware/radios/meshtastic.toml.
"""

from math import isfinite
from typing import NamedTuple

from meshd.core.airtime import Modulation
from meshd.radio.modem import RadioPlan
from meshd.radio.protobuf import Message, float32, varint, without

PREAMBLE = 16

SET = "`meshd radio set PORT --set-board` writes it into the board"
"""What to do next. PORT: whoever shows advice knows the port."""

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

REGIONS = {
    "US915": 1,
    "EU433": 2,
    "EU868": 3,
    "CN470": 4,
    "JP920": 5,
    "AU915": 6,
    "KR920": 7,
    "TW920": 8,
    "RU864": 9,
    "IN865": 10,
    "NZ865": 11,
    "TH920": 12,
    "UA433": 14,
    "UA868": 15,
    "MY433": 16,
    "MY919": 17,
    "SG923": 18,
    "PH433": 19,
    "PH868": 20,
    "PH915": 21,
    "ANZ433": 22,
    "KZ433": 23,
    "KZ863": 24,
    "NP865": 25,
    "BR902": 26,
}
"""Numbers of regions by the names that meshd has for them. AS923 is several of theirs."""

_WRITTEN = (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 14)

EVERYWHERE = frozenset((0, 3, 4, 5, 6, 8))
"""Presets that all versions know; what others mean is written as numbers."""

OFFSET_MAX_MHZ = 0.05
"""An offset up to this puts a bad crystal right; a larger one is another frequency."""

FLOAT_HZ = 64

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
    offset_mhz: float
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
            offset_mhz=lora[6].real(),
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
        if self.coding_rate <= 8:  # one above the preset's own holds; frames are longer then
            coding_rate = max(coding_rate, self.coding_rate - 4)
        return Modulation(factor, bandwidth_hz, coding_rate, PREAMBLE)

    def frequencies_hz(self, bandwidth_hz: int) -> set[int]:
        """Return where the radio may be; versions of the firmware count slots differently."""
        if self.override_mhz > 0 and isfinite(self.override_mhz):
            return {round(self.override_mhz * 1e6)}
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

    def written(self) -> bytes:
        """Return the fields that hold what is kept here; what is not set is left out."""
        numbers = (
            (1, int(self.use_preset)),
            *((2, self.preset), (3, self.bandwidth), (4, self.spreading_factor)),
            *((5, self.coding_rate), (7, self.region), (9, int(self.transmits))),
            *((10, self.tx_dbm), (11, self.slot)),
        )
        reals = ((6, self.offset_mhz), (14, self.override_mhz))
        return b"".join(
            (
                *(varint(number, value) for number, value in numbers if value),
                *(float32(number, value) for number, value in reals if value),
            )
        )

    def same(self, other: "LoraSettings") -> bool:
        """Tell whether a radio that is set so is set alike, as far as meshd asks for it."""
        return self._sense() == other._sense()

    def _sense(self) -> tuple[object, ...]:
        modulation = self.modulation()
        wide_hz = modulation.bandwidth_hz if modulation else 0
        channel = (self.region, self.frequencies_hz(wide_hz) if wide_hz else None)
        return (*channel, modulation, self.transmits, self.tx_dbm, self.offset_mhz)

    def words(self) -> str:
        """Say it for people."""
        modulation = self.modulation()
        rate, mhz = "an unknown preset", ""
        if modulation is not None:
            rate = modulation.text
            possible_hz = self.frequencies_hz(modulation.bandwidth_hz)
            mhz = " or ".join(f"{hz / 1e6:g}" for hz in sorted(possible_hz))
        name = PRESETS[self.preset][0] if self.use_preset and self.preset in PRESETS else ""
        return ", ".join(
            (
                f"region {self.region_name()}" if self.region else "no region",
                f"{name} ({rate})" if name else rate,
                f"{mhz or '?'} MHz",
                f"{self.tx_dbm} dBm" if self.tx_dbm else "the power of its region",
                *(() if self.transmits else ("transmitting switched off",)),
            )
        )

    def region_name(self) -> str:
        """Return the name that meshd has for its region, or its number."""
        named = (name for name, number in REGIONS.items() if number == self.region)
        return next(named, f"number {self.region}")


def planned(told: LoraSettings, raw: bytes, wanted: RadioPlan, region: str) -> bytes | str:
    """Return the LoRa settings that meet a plan, made from those of the board, or why none do.

    Only what the plan names is changed. A frequency that comes out by itself is not written.
    """
    if region not in REGIONS:
        return (
            f"a Meshtastic board knows no region {region}: choose the country's own with "
            "`meshd radio set PORT --region NAME`; meshd radio set without one lists them"
        )
    if wanted.tx_dbm < 1:
        return "a Meshtastic board takes 0 dBm for all that its region allows: `--power` 1 or more"
    modulation = wanted.modulation
    wide = next((khz for khz, hz in BANDWIDTHS_HZ.items() if hz == modulation.bandwidth_hz), 0)
    preset = _preset(modulation)
    offset_mhz = told.offset_mhz if abs(told.offset_mhz) <= OFFSET_MAX_MHZ else 0.0
    after = told._replace(
        use_preset=preset is not None,
        preset=preset or 0,
        bandwidth=0 if preset is not None else wide,
        spreading_factor=0 if preset is not None else modulation.spreading_factor,
        coding_rate=0 if preset is not None else modulation.coding_rate + 4,
        region=REGIONS[region],
        transmits=True,
        tx_dbm=wanted.tx_dbm,
        offset_mhz=offset_mhz,
    )
    possible_hz = after.frequencies_hz(modulation.bandwidth_hz)
    if len(possible_hz) != 1 or not _near(possible_hz, wanted.frequency_hz):
        after = after._replace(override_mhz=wanted.frequency_hz / 1e6)
    return without(raw, _WRITTEN) + after.written()


def granted(settings: LoraSettings | None, wanted: RadioPlan) -> RadioPlan | str:
    """Return the plan as the radio holds it, or what the owner has to set in it."""
    if settings is None:
        return "the radio did not tell its LoRa settings: renew its firmware (2.3 or later)"
    if settings.region == 0:
        return f"the radio has no region and does not transmit: {SET}"
    if not settings.transmits:
        return f"transmitting is switched off in the radio: {SET}"
    modulation = settings.modulation()
    want = wanted.modulation
    if modulation is None or modulation[:2] != want[:2]:
        there = "an unknown preset" if modulation is None else modulation.text
        return (
            f"the radio is set to {there}, the mesh uses {want.text}: {SET}"
            f"{_preset_words(want)}; or change the plan of the mesh"
        )
    if not abs(settings.offset_mhz) <= OFFSET_MAX_MHZ:
        return f"the radio's frequency offset of {settings.offset_mhz:g} MHz is too large: {SET}"
    possible_hz = settings.frequencies_hz(modulation.bandwidth_hz)
    if not _near(possible_hz, wanted.frequency_hz):
        there = " or ".join(f"{hz / 1e6:g}" for hz in sorted(possible_hz)) or "an unknown number of"
        return (
            f"the radio is on {there} MHz, the mesh on {wanted.frequency_hz / 1e6:g} MHz: {SET}; "
            "or change the plan of the mesh"
        )
    if settings.tx_dbm > wanted.tx_dbm or not settings.tx_dbm:
        there = f"{settings.tx_dbm} dBm" if settings.tx_dbm else "all that its region allows"
        return (
            f"the radio is set to {there}, the plan allows {wanted.tx_dbm} dBm: {SET}; or allow "
            "more with --power, as far as the law goes"
        )
    return wanted._replace(modulation=modulation, tx_dbm=settings.tx_dbm)


def _near(possible_hz: set[int], wanted_hz: int) -> bool:
    """Tell whether a frequency is one of these, as exactly as a float of 32 bits says it."""
    return any(abs(hz - wanted_hz) <= FLOAT_HZ for hz in possible_hz)


def _preset(modulation: Modulation) -> int | None:
    """Return the preset that means this data rate on every board, None: numbers say it."""
    for number, (_, factor, bandwidth_hz, _) in PRESETS.items():
        if number in EVERYWHERE and (factor, bandwidth_hz) == modulation[:2]:
            return number
    return None


def _preset_words(modulation: Modulation) -> str:
    """Say what the vendor's application calls a data rate, where it has a name for it."""
    for name, factor, bandwidth_hz, _ in PRESETS.values():
        if (factor, bandwidth_hz) == modulation[:2]:
            return f", or set the preset {name} with the vendor's application"
    return ""


def _hash(name: str) -> int:
    """The hash by Bernstein, 32 bits: it turns a channel's name into a slot."""
    value = 5381
    for byte in name.encode():
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value
