"""What opens a radio that is unfit: options of `meshd radio set` that were tried on its table.

Enters: the converted keys of a `[[radio]]` table, and why it is unfit. Leaves: options to copy, or
"" where none help. Must not know: files, ports, whether anybody asks.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from meshd.config.radio_plan import PlanError, Unfit, radio_config
from meshd.config.values import RadioConfig

_OPTIONS = {
    "frequency_mhz": "frequency",
    "power_dbm": "power",
    "spreading_factor": "sf",
    "bandwidth_khz": "bandwidth",
}
_OF_RATE = {"spreading_factor", "bandwidth_khz"}


def mending(read: Mapping[str, Any], error: Unfit) -> str:
    """Return each option that has to change, for the nearest setting or for the usual one."""
    if error.key == "module_dbm":
        return "--module-dbm DBM"  # 22 or 30, which only its owner can read
    ways = []
    if error.instead and _tried({**read, **error.instead}) is not None:
        options = (f"--{_OPTIONS[key]} {value:.9g}" for key, value in error.instead.items())
        ways.append(" ".join(options))
    gone = without(read)
    if gone:
        usual = " ".join(f"--usual {_OPTIONS[key]}" for key in gone)
        kept = _tried({key: read[key] for key in read if key not in gone})
        ways.append(f"{usual} for {kept.modulation.text}" if kept and _OF_RATE & {*gone} else usual)
    return ", or ".join(ways)


def without(read: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fewest keys without which a table holds in its region; () where none help."""
    movable = [key for key in _OPTIONS if key in read]
    for count in range(len(movable) + 1):
        for gone in combinations(movable, count):
            if _tried({key: read[key] for key in read if key not in gone}) is not None:
                return gone
    return ()


def _tried(read: Mapping[str, Any]) -> RadioConfig | None:
    try:
        return radio_config(read)
    except PlanError:
        return None
