"""What the owner of an emulated Meshtastic radio has set, as the vendor's application writes it.

Enters: a radio's setting, or LoRa settings as a client writes them. Leaves: those settings as the
radio tells them, and how its radio is to be set. Knows the bands of a few regions; elsewhere a
frequency has to be written.
"""

from meshd.core.airtime import Modulation
from meshd.core.errors import UsageError
from meshd.simulation.media.lora import RadioSetting
from meshd.simulation.modems.messages import fields, flag, number, real, real_of

SYNC_WORD = 0x2B
PREAMBLE = 16
_PRESETS = {
    0: ("LongFast", 11, 250),
    3: ("MediumSlow", 10, 250),
    4: ("MediumFast", 9, 250),
    5: ("ShortSlow", 8, 250),
    6: ("ShortFast", 7, 250),
    8: ("ShortTurbo", 7, 500),
}
_REGIONS_KHZ = {1: (902_000, 928_000), 2: (433_000, 434_000), 3: (869_400, 869_650)}
_HIGHEST_DBM = 22


class Owner:
    """Settings, changed only as a whole."""

    def __init__(self, setting: RadioSetting) -> None:
        self.setting = setting
        factor, bandwidth_hz, coding_rate, _ = setting.modulation
        region = next(
            (
                code
                for code, (low, high) in _REGIONS_KHZ.items()
                if low - 7_000 <= setting.frequency_hz / 1_000 <= high + 400
            ),
            1,
        )
        preset = next(
            (
                code
                for code, (_, *rest) in _PRESETS.items()
                if [factor, bandwidth_hz // 1_000, coding_rate] == [*rest, 1]
            ),
            None,
        )
        own = b"".join(
            (
                number(3, bandwidth_hz // 1_000),
                number(4, factor),
                number(5, coding_rate + 4),
            )
        )
        self.told = b"".join(
            (
                flag(1, preset is not None),
                number(2, preset or 0),
                own if preset is None else b"",
                number(7, region),
                number(8, 3),
                flag(9, True),
                number(10, round(setting.tx_dbm)),
                real(14, setting.frequency_hz / 1e6),
            )
        )

    def change(self, lora: bytes) -> None:
        """Take settings that a client wrote; what no radio can do changes nothing."""
        read = fields(lora)
        if read is None:
            return
        values = {tag: value for tag, value in read.items() if isinstance(value, int)}
        preset = _PRESETS.get(values.get(2, 0)) if values.get(1) else None
        name, factor, bandwidth_khz = preset or ("Custom", values.get(4, 0), values.get(3, 0))
        coding_rate = 1 if preset else values.get(5, 5) - 4
        frequency_hz = _frequency_hz(values, name, bandwidth_khz)
        try:
            modulation = Modulation(factor, bandwidth_khz * 1_000, coding_rate, PREAMBLE).checked()
        except UsageError:
            return
        tx_dbm = values.get(10) or _HIGHEST_DBM
        self.setting = RadioSetting(modulation, frequency_hz, float(tx_dbm))
        self.told = lora if values.get(10) else lora + number(10, tx_dbm)

    def region(self) -> int:
        """Return the number of the region; 0 when none was chosen."""
        read = fields(self.told) or {}
        region = read.get(7, 0)
        return region if isinstance(region, int) else 0

    def transmits(self) -> bool:
        """Tell whether transmitting is switched on."""
        return bool((fields(self.told) or {}).get(9))

    def on_air(self) -> RadioSetting:
        """Return how the radio is to be set."""
        setting = self.setting
        modulation = setting.modulation._replace(preamble=PREAMBLE)
        return RadioSetting(modulation, setting.frequency_hz, setting.tx_dbm, sync_word=SYNC_WORD)


def _frequency_hz(values: dict[int, int], name: str, bandwidth_khz: int) -> int:
    """Return where the firmware would go: as written, by slot, or by the channel's name."""
    written_mhz = real_of(values.get(14, 0))
    if written_mhz > 0:
        return round(written_mhz * 1_000) * 1_000
    low_khz, high_khz = _REGIONS_KHZ.get(values.get(7, 0), (902_000, 928_000))
    width_khz = max(bandwidth_khz, 1)
    slots = max((high_khz - low_khz) // width_khz, 1)
    total = 5381
    for letter in name:
        total = ((total << 5) + total + ord(letter)) % (1 << 32)
    slot = values.get(11, 0) - 1 if values.get(11, 0) else total % slots
    return low_khz * 1_000 + (2 * slot + 1) * width_khz * 500
