"""What may be transmitted where: a region's sub-bands, and the verdict on one radio setting.

Enters: the sub-bands of a region that a person chose, a frequency, a bandwidth, a power. Leaves:
the sub-band that allows it, or a UsageError that says what is allowed; without a region, nothing.
Must not know: files, clocks, what was sent before (`link/ledger.py` counts that).

A frame's whole occupied band lies inside one sub-band; what a receiver gains is nobody's business,
what an antenna gains is: an EIRP limit holds for power and antenna together.
"""

from typing import NamedTuple

from meshd.core.errors import UsageError

HOUR_US = 3_600_000_000
DIPOLE_DBI = 2.15
"""What an ordinary rod antenna gains, and by how much EIRP is above ERP."""

WHOLE_PPM = 1_000_000

CONTROL_PERCENT = 10
"""Of the hour: for beacons and routes."""


class SubBand(NamedTuple):
    """A range of frequencies under one rule.

    `power_kind` is "erp" or "eirp". `duty_ppm` is the share of any hour in millionths. `dwell_us`
    bounds one frame, 0: nothing does; it holds for bandwidths below `dwell_below_hz`, 0: for all.
    `unverified` names the fields that nobody read in a law yet.
    """

    name: str
    low_hz: int
    high_hz: int
    power_dbm: float
    power_kind: str
    duty_ppm: int = WHOLE_PPM
    dwell_us: int = 0
    dwell_below_hz: int = 0
    listen_first: bool = False
    source: str = ""
    note: str = ""
    unverified: tuple[str, ...] = ()

    @property
    def airtime_us_max(self) -> int:
        """Return how long may be transmitted in any hour."""
        return HOUR_US // WHOLE_PPM * self.duty_ppm

    @property
    def limited(self) -> bool:
        """Tell whether the hour is limited at all."""
        return self.duty_ppm < WHOLE_PPM

    def tx_dbm_max(self, antenna_dbi: float = DIPOLE_DBI) -> float:
        """Return the most that a module may feed into an antenna of this gain."""
        gain_db = antenna_dbi - (DIPOLE_DBI if self.power_kind == "erp" else 0.0)
        return self.power_dbm - gain_db

    def frame_us_max(self, bandwidth_hz: int) -> int:
        """Return how long one frame may be; an hour where nothing bounds it."""
        free = self.dwell_below_hz and bandwidth_hz >= self.dwell_below_hz
        return HOUR_US if free or not self.dwell_us else self.dwell_us

    def control_us_max(self, bandwidth_hz: int) -> int:
        """Return how long a beacon may be that is ever sent: one frame, within control's share."""
        share_us = self.airtime_us_max * CONTROL_PERCENT // 100
        return min(self.frame_us_max(bandwidth_hz), share_us)

    def holds(self, frequency_hz: int, bandwidth_hz: int) -> bool:
        """Tell whether a frame there stays wholly inside."""
        low_hz, high_hz = 2 * frequency_hz - bandwidth_hz, 2 * frequency_hz + bandwidth_hz
        return 2 * self.low_hz <= low_hz and high_hz <= 2 * self.high_hz

    def __str__(self) -> str:
        return (
            f"{_mhz(self.low_hz)}-{_mhz(self.high_hz)} MHz, {self.power_dbm:g} dBm "
            f"{self.power_kind.upper()}, {self.duty_ppm / 10_000:g} % of any hour"
        )


class Budget(NamedTuple):
    """What one radio may still send of bulk data: in this hour, and in one that begins anew.

    `room` is how many bytes an item of a frame holds at most, `frame_us` how long that frame takes.
    """

    link: str
    room: int
    frame_us: int
    left_us: int
    hour_us: int


class Law(NamedTuple):
    """The rules of one region. Without a region there are no sub-bands, so nothing is allowed."""

    region: str = ""
    sub_bands: tuple[SubBand, ...] = ()

    def judge(
        self,
        frequency_hz: int,
        bandwidth_hz: int,
        tx_dbm: float,
        *,
        antenna_dbi: float = DIPOLE_DBI,
        listens: bool = False,
    ) -> SubBand:
        """Return the sub-band under whose rule a radio set so transmits.

        `listens`: the radio listens before it talks; some sub-bands demand it.

        Raises: UsageError that says what is allowed.
        """
        if not self.region:
            raise UsageError("no region is chosen, so nothing may be transmitted; choose one first")
        if bandwidth_hz <= 0:
            raise UsageError(f"a bandwidth of {bandwidth_hz} Hz")
        for band in self.sub_bands:
            if band.holds(frequency_hz, bandwidth_hz):
                break
        else:
            raise UsageError(
                f"{_mhz(frequency_hz)} MHz with {bandwidth_hz / 1000:g} kHz of bandwidth lies in "
                f"no band of {self.region}; allowed: {self._allowed()}"
            )
        most_dbm = band.tx_dbm_max(antenna_dbi)
        # A NaN is above every limit here.
        if not tx_dbm <= most_dbm + 1e-9:
            raise UsageError(
                f"{tx_dbm:g} dBm at {_mhz(frequency_hz)} MHz is too much in {self.region}; allowed "
                f"with an antenna of {antenna_dbi:g} dBi: {most_dbm:g} dBm ({band})"
            )
        if band.listen_first and not listens:
            raise UsageError(
                f"{_mhz(frequency_hz)} MHz in {self.region} is for radios that listen before they "
                "talk; this one does not"
            )
        return band

    def _allowed(self) -> str:
        return "; ".join(str(band) for band in self.sub_bands)


NO_LAW = Law()
"""Before a region is chosen."""


def _mhz(hz: int) -> str:
    return f"{hz / 1_000_000:.6f}".rstrip("0").rstrip(".")
