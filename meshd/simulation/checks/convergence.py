"""After the faults: everybody reaches everybody, replicas are the same bytes, and it is quiet.

Enters: the end of a run, and what is sent in its last minute. Leaves: violations. Judged are groups
of hosts that the media connect by good links (`graph`). Two hosts must have found no way at each of
four looks within the last minute, for lossy links go down and up: a wire that loses one of ten
frames is down for 6 % of the time, since Babel wants two of the last three hellos there (RFC 8966
§A.2.1). Hosts that were hostile are honest by then, and are judged like all others. Feeds of which
somebody holds a proof of a fork are left out: there the branches differ by rule. So is what
an author wrote in the last minute, as nodes do by themselves, and between members with strangers
between them what nodes wrote since the faults in the last `FAR_US`: such members meet every few
minutes (decisions/0011-islands.md). So is who walks until the end or boots in the last minute, and
what hangs on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from meshd.core.events import EntryRow
from meshd.core.limits import BABEL_PORT
from meshd.simulation.checks import graph
from meshd.simulation.checks.checker import Checker
from meshd.simulation.checks.exempt import Exempt
from meshd.space.record import fork_key
from meshd.sync.lookout import PAUSE_MAX_US

if TYPE_CHECKING:
    from meshd.core.events import Notice, Row, Transmit
    from meshd.simulation.anyworld import AnyHost
    from meshd.simulation.host import Host
    from meshd.simulation.media.medium import Port
    from meshd.simulation.plan.plan import Plan
    from meshd.simulation.world import World

CLEAN_PACKETS_MAX = 60
"""Routing packets of one port in a quiet minute where no frame is lost: 15 hellos, 3 dumps in
parts, and a few answers."""
PACKETS_MAX = 600
"""The same where links lose hellos, or hosts walk, so that costs go up and down for ever."""
DOUBTED_PACKETS_MAX = 200
"""The same where somebody may still believe what nobody said, and lets it go in that minute."""
CLEAN_SESSIONS_MAX, SESSIONS_MAX = 6, 40
PAIRS_MAX = 5
LOOKS = 4
FAR_US = PAUSE_MAX_US + graph.QUIET_US
"""So long after it was written an entry may be missing at members beyond strangers."""
NOTHING_LATE: Mapping[tuple[bytes, bytes], int] = {}


class Convergence(Checker):
    """Looks once, when the time to settle is over."""

    name = "convergence"

    def __init__(self, world: World, plan: Plan) -> None:
        super().__init__(world)
        self._quiet_from = plan.end_us - graph.QUIET_US
        self._unsettled = graph.Unsettled(plan)
        self._lossy = any(medium.multicast_loss > graph.CLEAN for medium in plan.media)
        self._doubted = Exempt(plan).garbled(self._quiet_from)
        self._lost: dict[tuple[int, int], None] | None = None
        self._late: dict[tuple[bytes, bytes], int] = {}
        self._far_from = max(plan.faults_end_us, plan.end_us - FAR_US)
        self._far_late: dict[tuple[bytes, bytes], int] = {}
        self._packets: dict[tuple[int, str], int] = {}
        self._sessions: dict[int, int] = {}
        for number in range(LOOKS - 1):
            at_us = self._quiet_from + number * graph.QUIET_US // (LOOKS - 1)
            world.at(max(at_us, world.now), self._look)

    def started(self, host: AnyHost) -> None:
        self._unsettled.power(host, self.world.now)

    crashed = started

    def datagram_sent(self, port: Port, datagram: Transmit, airtime_us: int) -> None:
        if self.world.now >= self._quiet_from and datagram.port == BABEL_PORT:
            key = (port.host.number, port.link)
            self._packets[key] = self._packets.get(key, 0) + 1

    def notice(self, host: Host, notice: Notice) -> None:
        if self.world.now >= self._quiet_from and notice.kind == "session-up":
            self._sessions[host.number] = self._sessions.get(host.number, 0) + 1

    def committed(self, host: Host, rows: tuple[Row, ...]) -> None:
        for row in rows if self.world.now > min(self._far_from, self._quiet_from) else ():
            if isinstance(row, EntryRow):
                space = host.node.spaces.get(row.space)
                if space is not None and space.is_own(row.author):
                    key = (row.space, row.author)
                    self._far_late.setdefault(key, row.seq)
                    if self.world.now >= self._quiet_from:
                        self._late.setdefault(key, row.seq)

    def _look(self) -> None:
        """Keep the pairs that found no way at any look so far."""
        if self._lost is None:
            self._lost = dict.fromkeys(self._unreached())
        elif self._lost:
            now = set(self._unreached())
            self._lost = {pair: None for pair in self._lost if pair in now}

    def finished(self) -> None:
        self._look()
        again = list(self._lost or ())
        hosts = self.world.hosts
        for one, other in again[:PAIRS_MAX]:
            text = f"has no way to {hosts[other].name} ({len(again)} pairs in all)"
            self.fail(hosts[one], text)
        for group in graph.groups(self.world, self._unsettled.numbers):
            if not graph.leans_on_faint(self.world, group):
                self._replicas(group)
        self._storms()

    def _unreached(self) -> list[tuple[int, int]]:
        """Return the pairs that good links connect and routes do not, by number."""
        return [
            (one.number, other.number)
            for group in graph.groups(self.world, self._unsettled.numbers)
            for one in group
            for other in group
            if one is not other
            and self.world.path(one, other.node.address) is None
            and not graph.is_faint(self.world, one, other.node.address)
        ]

    def _replicas(self, group: list[Host]) -> None:
        """Compare what the disks of a group hold of each space."""
        spaces: dict[bytes, list[Host]] = {}
        for host in group:
            for space in host.node.spaces.all():
                spaces.setdefault(space.id, []).append(host)
        for space_id, hosts in sorted(spaces.items()):
            forked = forks(hosts, space_id)
            members = [host for host in hosts if is_in(host, space_id)]
            near = self._near(members[0], hosts) if members else ()
            for host in members[1:]:
                late = self._late if host in near else self._far_late
                text = difference(members[0], host, space_id, forked, late)
                if text:
                    self.fail(host, f"space {space_id.hex()[:8]} is not as at {text}")

    def _near(self, one: Host, holders: list[Host]) -> list[Host]:
        """Return who of the holders of a space hangs together with one without any stranger."""
        numbers = {host.number for host in holders}
        strangers = frozenset(host.number for host in self.world.hosts) - numbers
        groups = graph.groups(self.world, strangers)
        return next((group for group in groups if one in group), [one])

    def _storms(self) -> None:
        hosts = self.world.hosts
        clean = graph.is_clean(self.world)
        clean = clean and not (self._lossy or self._unsettled.numbers)
        most = DOUBTED_PACKETS_MAX if self._doubted else CLEAN_PACKETS_MAX
        for (number, link), count in sorted(self._packets.items()):
            if count > (most if clean else PACKETS_MAX):
                self.fail(
                    hosts[number], f"sent {count} routing packets on {link} in a quiet minute"
                )
        for number, count in sorted(self._sessions.items()):
            if count > (CLEAN_SESSIONS_MAX if clean else SESSIONS_MAX):
                self.fail(hosts[number], f"opened {count} sessions in a quiet minute")


def forks(hosts: list[Host], space_id: bytes) -> set[str]:
    """Return the names of the rows that prove forks in a space, on any of these disks."""
    start = fork_key(space_id, b"")
    return {key for host in hosts for key in host.store.metas if key.startswith(start)}


def is_forked(key: tuple[bytes, bytes], forked: set[str]) -> bool:
    """Tell whether there is a proof that the feed of this space and author was forked."""
    return fork_key(*key) in forked


def is_in(host: Host, space_id: bytes) -> bool:
    space = host.node.spaces.get(space_id)
    return space is not None and space.rank is not None


def difference(
    one: Host,
    other: Host,
    space_id: bytes,
    forked: set[str],
    late: Mapping[tuple[bytes, bytes], int] = NOTHING_LATE,
) -> str:
    """Say in which feed two disks differ; nothing when they hold the same bytes.

    `late` has for a feed the first number that need not be everywhere.
    """
    mine = {key: feed for key, feed in one.store.entries.items() if key[0] == space_id}
    theirs = {key: feed for key, feed in other.store.entries.items() if key[0] == space_id}
    for key in sorted(mine.keys() | theirs.keys()):
        here, there = (_below(feeds.get(key, {}), late.get(key)) for feeds in (mine, theirs))
        if here != there and not is_forked(key, forked):
            author = key[1].hex()[:8]
            same = here.keys() == there.keys()
            what = "the bytes differ" if same else f"{len(here)} there, {len(there)} here"
            return f"{one.name}: feed {author}: {what}"
    return ""


def _below(feed: Mapping[int, bytes], end: int | None) -> Mapping[int, bytes]:
    return feed if end is None else {seq: data for seq, data in feed.items() if seq < end}
