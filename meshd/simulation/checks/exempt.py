"""What a plan's own faults excuse, and for how long: exactly what docs/security.md concedes.

Enters: a plan. Leaves: whether a host is hostile now, and whether a destination was lied about. The
open mesh does not authenticate routing. So a hostile host may send what it draws to where it likes;
whoever announces seqnos that are not the origin's undoes the order that loop-freedom rests on, for
that destination; and junk or corrupted frames may do so for any. Each excuse ends when the last
route and the last memory of the lie must have gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.simulation.plan.plan import means
from meshd.simulation.schedule import SECOND

if TYPE_CHECKING:
    from meshd.simulation.host import Host
    from meshd.simulation.plan.plan import Plan

HOLD_US = 90_000_000
"""Routes that a host announced are gone this long after its last word (84 s, and the repeats)."""
MEMORY_US = 270_000_000
"""Feasibility distances are gone this long after their last use: 180 s after routes that nobody
announces have been held for their 84 s."""
BELIEVED_US = 215_000_000
"""The longest that an update holds, by what its sender claims, is 210 s."""
_ANYTHING = ("junk",)
_UNDER_OTHER_NAMES = ("junk", "replay", "identities")


class Exempt:
    """The excuses of one plan by time."""

    def __init__(self, plan: Plan) -> None:
        self._hostile: list[tuple[str, int, int]] = []
        self._lied: list[tuple[str, int, int]] = []
        self._garbled: list[tuple[str, int, int]] = []
        for fault in plan.faults:
            begin = round(fault.at_s * SECOND)
            end = round((fault.at_s + fault.for_s) * SECOND)
            if fault.kind == "hostile":
                self._hostile.append((fault.nodes, begin, end + HOLD_US))
            if fault.behaviour == "seqno-lies":
                self._lied.append((fault.other, begin, end + MEMORY_US))
            if fault.kind == "corrupt" or fault.behaviour in _ANYTHING:
                self._lied.append(("*", begin, end + MEMORY_US))
            if fault.kind == "corrupt" or fault.behaviour in _UNDER_OTHER_NAMES:
                self._garbled.append(("*", begin, end + BELIEVED_US))

    def garbled(self, now: int) -> bool:
        """Tell whether somebody may believe that a host said what it did not say."""
        return _any(self._garbled, "", now)

    def hostile(self, host: Host, now: int) -> bool:
        """Tell whether a host is hostile, or was so lately that routes through it may remain."""
        return _any(self._hostile, host.name, now)

    def anybody_hostile(self, now: int) -> bool:
        """Tell whether any host is hostile, or was so lately."""
        return any(begin <= now <= end for _, begin, end in self._hostile)

    def lied_about(self, host: Host | None, now: int) -> bool:
        """Tell whether somebody announced seqnos of this destination that are not its own.

        `host` is None for one that no host is: what many identities or damage made up.
        """
        return _any(self._lied, host.name if host is not None else "", now)


def _any(times: list[tuple[str, int, int]], name: str, now: int) -> bool:
    return any(begin <= now <= end and means(pattern, name) for pattern, begin, end in times)
