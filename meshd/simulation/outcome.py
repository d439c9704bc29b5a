"""What a run came to, as plain JSON values that a seed and a plan decide alone.

Enters: counts and lists that the runner gathered. Leaves: one dict of schema
"meshd.simulation/1", and its text with sorted keys. No wall time, no path of a machine. Times are
virtual, in seconds.
"""

import json
from dataclasses import dataclass
from typing import Any

from meshd.simulation.observer import Violation
from meshd.simulation.schedule import SECOND

SCHEMA = "meshd.simulation/1"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The whole. `value` is all of it but the violations; `broken` counts those by checker."""

    value: Json
    violations: tuple[Violation, ...]
    broken: dict[str, int]
    finished: bool

    @property
    def held(self) -> bool:
        """Tell whether no rule was broken."""
        return not self.broken

    def as_json(self) -> Json:
        """Return everything as JSON values."""
        return {
            "schema": SCHEMA,
            **self.value,
            "finished": self.finished,
            "held": self.held,
            "broken": self.broken,
            "violations": [
                {
                    "at_s": seconds(item.at_us),
                    "checker": item.checker,
                    "host": item.host,
                    "text": item.text,
                }
                for item in self.violations
            ],
        }

    def text(self) -> str:
        """Return the JSON as text, the same for the same outcome."""
        return json.dumps(self.as_json(), sort_keys=True, ensure_ascii=False, indent=1) + "\n"


def seconds(time_us: int) -> float:
    """Return microseconds as seconds."""
    return round(time_us / SECOND, 6)
