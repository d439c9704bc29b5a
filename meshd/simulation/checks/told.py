"""Each entry that is on a disk is told to the people there: once, and only once it is there.

Enters: commits, notices, boots. Leaves: violations. A node tells of an entry when it hears that the
commit has ended, so at that very instant. Who loses power between the two is told nothing: what is
found on a disk at boot is no news. A card that the plan takes back may be told of the same again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.core.events import EntryRow
from meshd.simulation.checks.checker import Checker
from meshd.simulation.checks.entries import Entry, among, entry_of, holds, losing, name_of

if TYPE_CHECKING:
    from meshd.core.events import Notice, Row
    from meshd.simulation.anyworld import AnyHost
    from meshd.simulation.host import Host
    from meshd.simulation.plan.plan import Plan
    from meshd.simulation.world import World


class Told(Checker):
    """Keeps what is on disks and not yet told, and what was."""

    name = "told"

    def __init__(self, world: World, plan: Plan) -> None:
        super().__init__(world)
        self._losing = losing(plan)
        self._untold: dict[int, dict[Entry, int]] = {}
        self._told: dict[int, set[Entry]] = {}

    def committed(self, host: Host, rows: tuple[Row, ...]) -> None:
        for row in rows:
            if isinstance(row, EntryRow):
                entry = Entry(row.space, row.author, row.seq)
                self._untold.setdefault(host.number, {})[entry] = self.world.now

    def notice(self, host: Host, notice: Notice) -> None:
        if notice.kind != "entry":
            return
        entry = entry_of(notice.fields)
        self._untold.get(host.number, {}).pop(entry, None)
        if not holds(host, entry):
            self.fail(host, f"told of {name_of(entry)}, which is not on its disk")
        told = self._told.setdefault(host.number, set())
        if entry in told:
            self.fail(host, f"told twice of {name_of(entry)}")
        told.add(entry)

    def started(self, host: AnyHost) -> None:
        self._untold.pop(host.number, None)
        if among(host, self._losing):
            self._told.pop(host.number, None)

    def minute(self) -> None:
        for number, untold in self._untold.items():
            late = [entry for entry, at_us in untold.items() if at_us < self.world.now]
            for entry in late:
                del untold[entry]
                self.fail(self.world.hosts[number], f"never told of {name_of(entry)}")

    finished = minute
