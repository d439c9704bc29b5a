"""What a `[[radio]]` table means: the law of its region, and a setting where none is named.

Enters: the converted keys of one table. Leaves: a `RadioConfig`, or a `PlanError` that names the
key to blame. Without a region there is no law, so the radio is kept, and nothing is decided for it.
Must not know: modems, ports, lines of files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import floor
from typing import Any

from meshd.config.radio_fit import beacon_us, has_room, usable_mhz
from meshd.config.radios import (
    RadioFacts,
    bandwidth_hz,
    check_rate,
    facts_of,
    has_rate,
    nearest_mhz,
    nearest_rate,
    reach_text,
)
from meshd.config.regions import law_of
from meshd.config.values import AUTO, USUAL_RATE, RadioConfig
from meshd.core.airtime import Modulation, airtime_us
from meshd.core.errors import MeshdError, UsageError
from meshd.core.law import DIPOLE_DBI, NO_LAW, Law, SubBand

POWER_DBM = 14
"""Power where none is named: what every module can do, and almost every law allows."""

USUAL_BYTES = 200
"""A data rate chosen here carries a frame so long within what the law gives one frame."""

RATES = (
    USUAL_RATE,
    Modulation(8, 125_000),
    Modulation(7, 125_000),
    Modulation(7, 250_000),
    Modulation(7, 500_000),
)
"""Data rates in the order of preference: the farthest reach first, the shortest frames last."""

_KINDS_OF = {"rssi_scale": "ebyte", "module_dbm": "ebyte"}
_UNNAMED = (
    "is missing, and an Ebyte does not tell it: name the number after the T in its name, 22 (as "
    "E22-900T22S) or 30 (as E22-900T30S, which sends 8 dB more or worse for the same setting)"
)


class PlanError(MeshdError):
    """A key of the table that does not fit the others, or the law."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key
        self.text = text


class Unfit(PlanError):
    """A setting that the radio can not have, or that the law lets send nothing.

    `instead`: the nearest values of keys that can be had, where that is known.
    """

    def __init__(self, key: str, text: str, instead: Mapping[str, float] | None = None) -> None:
        super().__init__(key, text)
        self.instead = instead or {}


def radio_config(read: Mapping[str, Any]) -> RadioConfig:
    """Return what the table asks for, completed. Raises: PlanError."""
    kind = read.get("kind", AUTO)
    for key, only in _KINDS_OF.items():
        if key in read and kind not in (AUTO, only):
            raise PlanError(key, f"is for {only} only, and this radio is {kind}")
    law = _law(read)
    if kind == "ebyte" and "module_dbm" not in read:
        raise Unfit("module_dbm", f'"module_dbm" {_UNNAMED}')
    antenna_dbi = read.get("antenna_dbi", DIPOLE_DBI)
    band = _usual_band(law) if law.region else None
    facts = None if kind == AUTO else facts_of(kind)
    modulation = _modulation(read, band, facts)
    frequency_hz = round(read.get("frequency_mhz", 0.0) * 1_000_000)
    if band is not None and not frequency_hz:
        frequency_hz = (band.low_hz + band.high_hz) // 2
        if facts and nearest_mhz(facts, frequency_hz / 1e6) != frequency_hz / 1e6:
            frequency_hz = _nearest_hz(frequency_hz, facts, law, modulation) or frequency_hz
    radio = RadioConfig(
        port=read["port"],
        kind=kind,
        law=law,
        frequency_hz=frequency_hz,
        modulation=modulation,
        tx_dbm=read.get("power_dbm", POWER_DBM),
        antenna_dbi=antenna_dbi,
        rssi_scale=read.get("rssi_scale", "full"),
        module_dbm=read.get("module_dbm"),
        key_file=read.get("key_file"),
    )
    if not law.region:
        return radio
    _check_reach(radio, facts)
    return _judged(radio, facts, named="power_dbm" in read)


def unfit_config(read: Mapping[str, Any], why: str, mend: str) -> RadioConfig:
    """Return a radio that stays closed: of its table what others of its node must share.

    `mend`: the options of `radio set` that would open it, "" where none are known.
    """
    return RadioConfig(
        port=read["port"],
        kind=read.get("kind", AUTO),
        law=_law(read),
        key_file=read.get("key_file"),
        unfit=why,
        mend=mend,
    )


def clash(one: RadioConfig, others: Sequence[RadioConfig]) -> PlanError | None:
    """Return why a radio cannot stand beside the others of its node; None: it can."""
    for other in others:
        if one.port == other.port:
            return PlanError("port", f'"{one.port}" stands there twice')
        if one.law.region and other.law.region and one.law.region != other.law.region:
            where = f"another radio of this node is in {other.law.region}; a node is in one"
            return PlanError("region", where)
        if one.key_file != other.key_file:
            text = "the radios of a node have one, or none, so that no mesh leaks"
            return PlanError("key_file", text)
        works = one.law.region and not (one.unfit or other.unfit)
        if works and one.channel == other.channel:
            same = "another radio of this node has the same frequency and data rate"
            return PlanError("port", f"{same}: they would only disturb each other")
    return None


def _law(read: Mapping[str, Any]) -> Law:
    if "region" not in read:
        return NO_LAW
    try:
        return law_of(read["region"])
    except UsageError as error:
        raise PlanError("region", str(error)) from error


def _usual_band(law: Law) -> SubBand:
    """Return where a region lets a mesh send most; all nodes of the region choose alike."""
    return max(law.sub_bands, key=lambda band: (band.duty_ppm, band.power_dbm, -band.low_hz))


def _nearest_hz(hz: int, facts: RadioFacts | None, law: Law, modulation: Modulation) -> int:
    """Return the nearest frequency that can be had and used, 0 where there is none."""
    return round((usable_mhz(facts, law, modulation, hz / 1e6) or 0.0) * 1_000_000)


def _check_reach(radio: RadioConfig, facts: RadioFacts | None) -> None:
    """Take a frequency that the radio can be set to. Raises: Unfit with one to use."""
    mhz = radio.frequency_hz / 1e6
    if facts is None or nearest_mhz(facts, mhz) == mhz:
        return
    text = f"{mhz:g} MHz: {reach_text(facts)}; {_advice(radio, facts)}"
    raise Unfit("frequency_mhz", text, _instead(radio, facts))


def _instead(radio: RadioConfig, facts: RadioFacts | None) -> dict[str, float]:
    near_hz = _nearest_hz(radio.frequency_hz, facts, radio.law, radio.modulation)
    return {"frequency_mhz": near_hz / 1e6} if near_hz else {}


def _advice(radio: RadioConfig, facts: RadioFacts | None) -> str:
    near_hz = _nearest_hz(radio.frequency_hz, facts, radio.law, radio.modulation)
    where = f"the nearest that {radio.law.region} gives enough airtime to is"
    if near_hz:
        return f"{where} {near_hz / 1e6:g} MHz"
    nowhere = f"{radio.law.region} gives it enough airtime nowhere at {radio.modulation.text}"
    return f"{nowhere}: take a lower spreading factor, or more bandwidth"


def _modulation(
    read: Mapping[str, Any], band: SubBand | None, facts: RadioFacts | None
) -> Modulation:
    """Return the data rate: as named, the rest so that usual frames are not too long."""
    can = [rate for rate in RATES if facts is None or has_rate(facts, rate)]
    rates = [rate for rate in can if band is None or _carries(rate, band, facts)] or can[-1:]
    usual = rates[0]
    factor = read.get("spreading_factor", usual.spreading_factor)
    try:
        kind = facts.kind if facts else AUTO
        wide_hz = bandwidth_hz(kind, read.get("bandwidth_khz", usual.bandwidth_hz / 1000))
        modulation = Modulation(factor, wide_hz).checked()
    except UsageError as error:
        raise Unfit("bandwidth_khz", str(error)) from error
    try:
        if facts:
            check_rate(facts.kind, modulation)
    except UsageError as error:
        near = nearest_rate(facts, modulation) if facts else modulation
        instead = {
            "spreading_factor": near.spreading_factor,
            "bandwidth_khz": near.bandwidth_hz / 1000,
        }
        raise Unfit("spreading_factor", str(error), instead) from error
    return modulation


def _carries(rate: Modulation, band: SubBand, facts: RadioFacts | None) -> bool:
    if not has_room(facts, rate, band):
        return False
    return airtime_us(rate, USUAL_BYTES) <= band.frame_us_max(rate.bandwidth_hz)


def _judged(radio: RadioConfig, facts: RadioFacts | None, *, named: bool) -> RadioConfig:
    """Return the radio when the law lets it send; a power that nobody named is lowered to it."""
    modulation, dbi = radio.modulation, radio.antenna_dbi

    def judge(tx_dbm: float) -> SubBand:
        # Whether the modem listens first is known once it has answered, and is judged then.
        return radio.law.judge(
            radio.frequency_hz, modulation.bandwidth_hz, tx_dbm, antenna_dbi=dbi, listens=True
        )

    try:
        band = judge(-100.0)
    except UsageError as error:
        raise Unfit("frequency_mhz", str(error)) from error
    if beacon_us(facts, modulation) > band.frame_us_max(modulation.bandwidth_hz):
        limit_ms = band.frame_us_max(modulation.bandwidth_hz) // 1000
        raise Unfit(
            "spreading_factor",
            f"{modulation.text} is too slow here: one frame may take {limit_ms} ms, and a beacon "
            f"takes {beacon_us(facts, modulation) // 1000}; take a lower one, or more "
            "bandwidth",
        )
    if not has_room(facts, modulation, band):
        share_s = band.control_us_max(modulation.bandwidth_hz) / 1e6
        raise Unfit(
            "frequency_mhz",
            f"{radio.frequency_hz / 1e6:g} MHz at {modulation.text}: the law gives "
            f"{band.airtime_us_max / 1e6:g} s in any hour there, {share_s:g} of them to beacons, "
            f"and one may take {beacon_us(facts, modulation) / 1e6:.1f}, so nothing is ever sent; "
            f"{_advice(radio, facts)}",
            _instead(radio, facts),
        )
    if not named:
        return replace(radio, tx_dbm=min(radio.tx_dbm, floor(band.tx_dbm_max(dbi) + 1e-9)))
    try:
        judge(radio.tx_dbm)
    except UsageError as error:
        raise Unfit("power_dbm", str(error)) from error
    return radio
