"""What LoRa radios join is one mesh after the faults: ways lead everywhere, and replicas are equal.

Enters: the end of a run. Leaves: violations; none where a plan has no LoRa channel. Hosts belong
together that good IP links or radios in each other's earshot join. Each finds a way to each, which
may change between LoRa and IP at any host; but who hangs on a faint IP link, walks, or booted in
the last minute is promised nothing. Entries go by radio from holder to holder: members of a space
that are joined by such holders, or by IP, hold the same bytes, or come nearer to it: what was
missed is repaired in a hundredth of the time, so that it may take hours. But no replica stands
still that lacks what another beside it has had for long; where that other has spent what the law
grants for an hour, long is an hour. Over LoRa alone, where all was `easy`,
they are the same bytes a quarter of an hour after the last fault. Left out are feeds of which
somebody holds a proof of a fork.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.core.events import EntryRow
from meshd.core.law import HOUR_US
from meshd.link.account import BUCKET_US
from meshd.simulation.checks import graph
from meshd.simulation.checks.checker import Checker
from meshd.simulation.checks.convergence import difference, forks, is_forked, is_in
from meshd.simulation.checks.easy import SAME_US, Easy
from meshd.simulation.sight import joined

if TYPE_CHECKING:
    from meshd.core.events import Row
    from meshd.simulation.anyworld import AnyHost
    from meshd.simulation.host import Host
    from meshd.simulation.plan.plan import Plan
    from meshd.simulation.world import World

PAIRS_MAX = 5
STILL_US = 900_000_000
"""So long a replica may get nothing that lacks what one beside it has had for as long."""
SPENT_US = HOUR_US + 2 * BUCKET_US
"""The same where whoever has it may send no frame before its hour moves on."""
Joins = dict[int, list[int]]


class Air(Checker):
    """Looks once, when the time to settle is over."""

    name = "air"

    def __init__(self, world: World, plan: Plan) -> None:
        super().__init__(world)
        self._unsettled = graph.Unsettled(plan)
        self._easy = Easy(plan)
        self._calm_us = plan.faults_end_us
        self._booted: dict[int, int] = {}
        self._grew: dict[tuple[int, bytes], int] = {}
        self._came: dict[tuple[int, bytes, bytes, int], int] = {}
        self._late: dict[tuple[bytes, bytes], int] = {}
        self._late_us = plan.end_us - SAME_US
        self._alone: set[int] = set()
        self._wired: Joins = {}

    def frame_sent(self, name: str, purpose: str, size: int, airtime_us: int) -> None:
        self._easy.sent(name, airtime_us)

    def committed(self, host: Host, rows: tuple[Row, ...]) -> None:
        if self.world.airs:
            for row in rows:
                if isinstance(row, EntryRow):
                    self._came[host.number, row.space, row.author, row.seq] = self.world.now
                    if not _is_own(host, row):
                        self._grew[host.number, row.space] = self.world.now
                    elif self.world.now > self._late_us:
                        self._late.setdefault((row.space, row.author), row.seq)

    def started(self, host: AnyHost) -> None:
        self._unsettled.power(host, self.world.now)
        self._booted[host.number] = self.world.now

    crashed = started

    def finished(self) -> None:
        if not self.world.airs:
            return
        over_ip = graph.groups(self.world, self._unsettled.numbers)
        if any(graph.leans_on_faint(self.world, group) for group in over_ip):
            return
        joins: Joins = {}
        for group in over_ip:
            for host in group:
                joins[host.number] = [one.number for one in group if one is not host]
        self._alone = {number for number, others in joins.items() if not others}
        self._wired = {number: list(others) for number, others in joins.items()}
        settled = [self.world.hosts[number] for number in sorted(joins)]
        for one, other in self._in_earshot():
            if one in joins and other in joins:
                joins[one].append(other)
        self._ways(settled, joins)
        self._replicas(settled, joins)

    def _in_earshot(self) -> list[tuple[int, int]]:
        """Return the pairs of hosts whose radios understand each other, both ways round."""
        heard = {
            (sender.host.number, hearer.host.number): None
            for air in self.world.airs.values()
            for sender, hearer, _ in air.ways()
        }
        return [pair for pair in heard if (pair[1], pair[0]) in heard]

    def _ways(self, hosts: list[Host], joins: Joins) -> None:
        lost = [
            (one, other)
            for group in joined(joins)
            for one in hosts
            for other in hosts
            if one is not other and {one.number, other.number} <= group
            if not self._reaches(one, other)
            and not graph.is_faint(self.world, one, other.node.address)
        ]
        for one, other in lost[:PAIRS_MAX]:
            self.fail(one, f"has no way to {other.name} ({len(lost)} pairs in all)")

    def _reaches(self, one: Host, other: Host) -> bool:
        """Follow the routes of hosts as packets would go, over radios too."""
        here, address = one, other.node.address
        for _ in self.world.hosts:
            hop = here.routes.get(address)
            following = self.world.find(hop.next_hop) if hop is not None else None
            if hop is None or following is None or not following.running:
                return False
            if here.lora is None or hop.link != here.lora.name:
                port, there = here.ports.get(hop.link), following.ports.get(hop.link)
                if port is None or there is None or port.medium.way(port, there) is None:
                    return False
            elif not any(air.hears(here, following) for air in self.world.airs.values()):
                return False
            here = following
            if here is other:
                return True
        return False

    def _replicas(self, hosts: list[Host], joins: Joins) -> None:
        spaces: dict[bytes, list[Host]] = {}
        for host in hosts:
            for space in host.node.spaces.all():
                spaces.setdefault(space.id, []).append(host)
        for space_id, holders in sorted(spaces.items()):
            forked = forks(holders, space_id)
            numbers = {host.number for host in holders}
            among = {one: [two for two in joins[one] if two in numbers] for one in sorted(numbers)}
            for group in joined(among):
                members = [h for h in holders if h.number in group and is_in(h, space_id)]
                differ = [difference(members[0], host, space_id, forked) for host in members[1:]]
                text = next(filter(None, differ), "")
                for host in members if text else ():
                    near = [other for other in members if other.number in among[host.number]]
                    if self._stands_still(host, near, space_id, forked):
                        self.fail(host, f"space {space_id.hex()[:8]} stands still: {text}")
                if self._easy.plan and self._easy.light:
                    self._same(members, space_id, forked)

    def _same(self, members: list[Host], space_id: bytes, forked: set[str]) -> None:
        """Compare replicas that had nothing but LoRa, and long enough."""
        settled = all(self._booted.get(host.number, 0) <= self._late_us for host in members)
        if not settled or not self._alone.issuperset(host.number for host in members):
            return
        for host in members[1:]:
            text = difference(members[0], host, space_id, forked, self._late)
            if text:
                minutes = SAME_US // 60_000_000
                what = f"is not the same after {minutes} easy minutes: {text}"
                self.fail(host, f"space {space_id.hex()[:8]} {what}")

    def _stands_still(
        self, host: Host, near: list[Host], space_id: bytes, forked: set[str]
    ) -> bool:
        """Tell whether a replica got nothing of late, though one beside it has long had more."""
        began = max(self._calm_us, self._booted.get(host.number, 0))
        still_since = max(began, self._grew.get((host.number, space_id), 0))
        for other in near:
            wired = other.number in self._wired.get(host.number, ())
            still_us = SPENT_US if not wired and _is_spent(other) else STILL_US
            since = self.world.now - still_us
            if still_since <= since and self._has_more(other, host, space_id, forked, since):
                return True
        return False

    def _has_more(
        self, other: Host, host: Host, space_id: bytes, forked: set[str], since: int
    ) -> bool:
        """Tell whether a host has had since then what another has not."""
        mine = host.store.entries
        return any(
            mine.get(key, {}).get(seq) != data
            and self._came.get((other.number, *key, seq), 0) <= since
            for key, feed in other.store.entries.items()
            if key[0] == space_id and not is_forked(key, forked)
            for seq, data in feed.items()
        )


def _is_spent(host: Host) -> bool:
    """Tell whether the law lets a host send no long frame with a text of its own any more."""
    for radio in host.node.radios.statuses(host.now):
        link = host.node.radios.links[radio.name]
        if radio.left_text_ms is not None:
            return radio.left_text_ms * 1_000 < link.airtime_us(link.frame_max)
    return False


def _is_own(host: Host, row: EntryRow) -> bool:
    space = host.node.spaces.get(row.space)
    return space is not None and space.is_own(row.author)
