"""Lies about data: a member that keeps back entries of others, and a card that was copied.

Enters: a host that is in spaces. Leaves: a node that pretends to have sent; or a second host with
the same identity and a copy of its disk, where both go on writing. Must not know: routes.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from meshd.core.errors import WireError
from meshd.simulation.faults.hostile import Attack
from meshd.wire.sync_messages import Entries, decode

if TYPE_CHECKING:
    from meshd.simulation.anyworld import AnyHost
    from meshd.simulation.host import Host
    from meshd.simulation.plan.plan import Fault
    from meshd.simulation.world import World


class Withhold(Attack):
    """Syncs with everybody, and says of each entry that it sent it; nobody gets any from it."""

    def begin(self) -> None:
        self.world.watch(self)
        self._twist()

    def end(self) -> None:
        """Forget the grudge: the sessions begin anew, since peers think that entries came."""
        if not self.over and self.host.running:
            self.over = True
            self.host.crash()
            self.host.start()
        self.over = True

    def started(self, host: AnyHost) -> None:
        if host is self.host and not self.over:
            self._twist()

    def _twist(self) -> None:
        if not self.host.running:
            return
        sessions = self.host.node.sessions
        honest = sessions.send

        def send(session: int, record: bytes) -> bool:
            return True if not self.over and _is_entries(record) else honest(session, record)

        sessions.send = send  # type: ignore[method-assign]


class Fork(Attack):
    """Starts a second host from a copy of the first one's disk; both write in all their spaces."""

    every_us = 15_000_000

    def __init__(self, world: World, host: Host, fault: Fault) -> None:
        super().__init__(world, host, fault)
        self.twin: Host | None = None
        self._count = 0

    def begin(self) -> None:
        here = self.host
        name = f"{here.name}-copy{len(self.world.hosts)}"
        self.twin = twin = self.world.add_host(
            name, media=tuple(here.ports), at=(here.x_m, here.y_m)
        )
        twin.crash()
        twin.identity = here.identity
        twin.store = deepcopy(here.store)
        twin.start()
        super().begin()

    def end(self) -> None:
        super().end()
        if self.twin is not None and self.twin.running:
            self.twin.crash()

    def tick(self) -> None:
        self._count += 1
        for host in (self.host, self.twin):
            if host is None or not host.running:
                continue
            for space in host.node.spaces.all():
                if space.rank is not None and not space.carries_only:
                    text = f"by {host.name}, number {self._count}, of the copied card"
                    host.request("post", space=space.text_id, text=text)


def _is_entries(record: bytes) -> bool:
    try:
        return isinstance(decode(record), Entries)
    except WireError:
        return False
