"""Where a kind of radio can be set, the law of a region gives airtime, and a beacon has room.

Enters: facts of the kind, the law, a modulation, a wanted frequency. Leaves: the nearest frequency
that can be had and used. Must not know: files, ports, what modems say.
"""

from math import ceil, floor

from meshd.config.radios import RadioFacts
from meshd.core.airtime import Modulation, airtime_us
from meshd.core.law import Law, SubBand
from meshd.core.limits import BEACON_FRAME

_STEP_SLACK = 1e-6


def beacon_us(facts: RadioFacts | None, modulation: Modulation) -> int:
    """Return how long a beacon is on the air as its modem reckons, the engine's measure too.

    Without facts, of a radio that is still to be asked what it is, as the shortest framing has it.
    """
    if facts is None:
        return airtime_us(modulation, BEACON_FRAME)
    from meshd.radio.kinds import made  # The dialects are loaded only where a radio is.
    from meshd.radio.modem import RadioPlan

    return made(facts.kind, RadioPlan(0, modulation, 0)).airtime_us(BEACON_FRAME)


def has_room(facts: RadioFacts | None, modulation: Modulation, band: SubBand) -> bool:
    """Tell whether a beacon can ever be sent there."""
    return beacon_us(facts, modulation) <= band.control_us_max(modulation.bandwidth_hz)


def usable_mhz(
    facts: RadioFacts | None, law: Law, modulation: Modulation, wanted_mhz: float
) -> float | None:
    """Return the nearest frequency where the radio can be set and its beacon may go."""
    half_mhz = modulation.bandwidth_hz / 2e6
    reach = (facts.bands_mhz if facts else ()) or ((0.0, float("inf")),)
    step_mhz = facts.channel_mhz if facts else 0.0
    near = [
        _nearest(wanted_mhz, edges, band.low_hz / 1e6 + half_mhz, band.high_hz / 1e6 - half_mhz)
        if not step_mhz
        else _channel(wanted_mhz, edges, step_mhz, band, half_mhz)
        for band in law.sub_bands
        if has_room(facts, modulation, band)
        for edges in reach
    ]
    found = [mhz for mhz in near if mhz is not None]
    return min(found, key=lambda mhz: abs(mhz - wanted_mhz), default=None)


def _nearest(
    wanted_mhz: float, edges: tuple[float, float], low_mhz: float, high_mhz: float
) -> float | None:
    low_mhz, high_mhz = max(low_mhz, edges[0]), min(high_mhz, edges[1])
    return min(max(wanted_mhz, low_mhz), high_mhz) if low_mhz <= high_mhz else None


def _channel(
    wanted_mhz: float,
    edges: tuple[float, float],
    step_mhz: float,
    band: SubBand,
    half_mhz: float,
) -> float | None:
    """Return the nearest channel of a raster that lies wholly inside a band."""
    first_mhz, last_mhz = edges
    low_mhz = max(first_mhz, band.low_hz / 1e6 + half_mhz)
    high_mhz = min(last_mhz, band.high_hz / 1e6 - half_mhz)
    least = ceil((low_mhz - first_mhz) / step_mhz - _STEP_SLACK)
    most = floor((high_mhz - first_mhz) / step_mhz + _STEP_SLACK)
    if least > most:
        return None
    number = min(max(round((wanted_mhz - first_mhz) / step_mhz), least), most)
    return round(first_mhz + step_mhz * number, 6)
