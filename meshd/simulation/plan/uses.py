"""Which keys of a fault and of a medium have an effect, by kind.

Enters: a kind, or a value of a plan. Leaves: names of keys, or the value with all else left at its
default. The loader refuses the other keys, since a planner who sets one means something by it.
"""

from dataclasses import fields, replace
from typing import Any, TypeVar

from meshd.simulation.plan.plan import Fault, MediumPlan

_RADIO = ("tx_dbm", "frequency_mhz", "noise_figure_db", "bandwidth_khz")
FAULT_KEYS: dict[str, tuple[str, ...]] = {
    "partition": ("mode", "nodes", "share"),
    "clog": ("nodes", "other", "delay_s"),
    "duplicate": ("nodes", "share"),
    "reorder": ("nodes", "share", "delay_s"),
    "corrupt": ("nodes", "share"),
    "lose": ("nodes", "share"),
    "crash": ("nodes", "disk"),
    "slow-disk": ("nodes", "delay_s"),
    "failing-disk": ("nodes", "share"),
    "clock": ("nodes", "delay_s"),
    "hostile": ("nodes", "other", "behaviour", "count"),
    "churn": ("nodes", "delay_s", "disk"),
    "jam": ("nodes", "share"),
    "modem": ("mode", "nodes", "share"),
}
PARTITION_KEYS: dict[str, tuple[str, ...]] = {
    "uniform": ("mode", "share"),
    "isolate": ("mode", "nodes"),
    "one-way": ("mode", "nodes"),
}
MEDIUM_KEYS: dict[str, tuple[str, ...]] = {
    "ip-radio": (*_RADIO, "rate_max_mbit_s", "multicast_loss"),
    "lora": (
        *_RADIO,
        *("spreading_factor", "coding_rate", "preamble", "modem", "duty", "dwell_ms", "region"),
    ),
    "wire": ("between", "delay_us", "loss"),
}
_Value = TypeVar("_Value", Fault, MediumPlan)
_ALWAYS = ("kind", "name", "at_s", "for_s")


def fault_keys(kind: str, mode: str = "") -> tuple[str, ...]:
    """Return the keys that a fault of this kind reads, beside its times."""
    return PARTITION_KEYS.get(mode, FAULT_KEYS[kind]) if kind == "partition" else FAULT_KEYS[kind]


def plain_fault(fault: Fault) -> Fault:
    """Return the fault with the default for each key that it does not read."""
    return _plain(fault, fault_keys(fault.kind, fault.mode))


def plain_medium(medium: MediumPlan) -> MediumPlan:
    """Return the medium with the default for each key that it does not read."""
    return _plain(medium, MEDIUM_KEYS[medium.kind])


def _plain(value: _Value, used: tuple[str, ...]) -> _Value:
    changes: dict[str, Any] = {
        one.name: one.default for one in fields(value) if one.name not in (*_ALWAYS, *used)
    }
    return replace(value, **changes)
