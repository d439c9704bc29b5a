"""Where LoRa has it so easy that replicas must be the same bytes soon, and not only come nearer.

Enters: a plan, the airtime of a run. Leaves: whether its faults lost little, and whether the air
was nearly free. Easy is a band that grants a tenth of the hour at least, where no card was taken
back and nobody meant ill, nothing went wrong for long, and nobody said much. Then nothing waits for
the law, and all that is missed is told, asked for and sent within `SAME_US`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.core.law import HOUR_US
from meshd.simulation.checks.entries import LOSING
from meshd.simulation.lora.medium import band_of
from meshd.simulation.plan.plan import POWER_CUTS

if TYPE_CHECKING:
    from meshd.simulation.plan.plan import Fault, Plan

SAME_US = 900_000_000
"""So long after the last fault, or after it was written, an entry may still be missing."""
TROUBLE_S_MAX = 600.0
"""All faults of an easy plan together."""
GRANTED_MIN = 0.1
EACH_MAX, ALL_MAX = 0.03, 0.15
"""The shares of the time that one radio, and all of them, may have been on the air."""
_HARD = ("hostile", "failing-disk")


class Easy:
    """Adds up airtime; `plan` tells whether the plan is an easy one at all."""

    def __init__(self, plan: Plan) -> None:
        bands = [band_of(medium) for medium in plan.media if medium.region]
        granted = all(band.airtime_us_max >= GRANTED_MIN * HOUR_US for band in bands)
        trouble_s = sum(fault.for_s for fault in plan.faults)
        mild = not any(map(_is_hard, plan.faults)) and trouble_s <= TROUBLE_S_MAX
        in_time = plan.end_us - plan.faults_end_us >= SAME_US
        self.plan = bool(bands) and granted and mild and in_time
        self._end_us = plan.end_us
        self._aired: dict[str, int] = {}

    def sent(self, name: str, airtime_us: int) -> None:
        """Note a frame of a host's radio."""
        self._aired[name] = self._aired.get(name, 0) + airtime_us

    @property
    def light(self) -> bool:
        """Tell whether little was said until now, by each and by all."""
        each_us = max(self._aired.values(), default=0)
        all_us = sum(self._aired.values())
        return each_us <= EACH_MAX * self._end_us and all_us <= ALL_MAX * self._end_us


def _is_hard(fault: Fault) -> bool:
    return fault.kind in _HARD or (fault.kind in POWER_CUTS and fault.disk in LOSING)
