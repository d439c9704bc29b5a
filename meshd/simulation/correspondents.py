"""People who send each other direct messages, read them, and take invitations back.

Enters: a world and its plan. Leaves: requests, drawn from a stream of the world's seed; they ask as
long as anything goes wrong. What is answered is none of its business: checkers watch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.core.ids import node_text
from meshd.simulation.observer import Observer
from meshd.simulation.schedule import SECOND

if TYPE_CHECKING:
    from meshd.core.events import Reply
    from meshd.simulation.host import Host
    from meshd.simulation.plan.plan import Plan
    from meshd.simulation.world import World

ACTS = 24
"""How many things they do in all, about; at most one each `EVERY_MIN_US`."""
EVERY_MIN_US = 2 * SECOND


class Correspondents(Observer):
    """Writers of letters."""

    def __init__(self, world: World, plan: Plan) -> None:
        self._world = world
        self._rng = world.random("letters")
        self._end_us = plan.faults_end_us
        self._every_us = max(EVERY_MIN_US, self._end_us // ACTS)
        self._invites: dict[tuple[int, int], tuple[Host, str]] = {}
        world.at(self._every_us, self._wake)

    def reply(self, host: Host, reply: Reply) -> None:
        host_space = self._invites.pop((host.number, reply.ticket), None)
        if host_space is None or reply.value is None:
            return
        wait_us = self._rng.choice((1, SECOND // 5, 4 * SECOND, 30 * SECOND))
        name = str(reply.value["invite"])
        self._world.at(self._world.now + wait_us, self._revoke, *host_space, name)

    def _wake(self) -> None:
        if self._world.now >= self._end_us:
            return
        host = self._rng.choice(self._world.hosts)
        deeds = (self._write, self._write, self._write, self._read, self._invite)
        deed = self._rng.choice(deeds)
        if host.running:
            deed(host)
        self._world.at(self._world.now + self._rng.randint(1, 2 * self._every_us), self._wake)

    def _write(self, host: Host) -> None:
        other = self._rng.choice(self._world.hosts)
        if other is not host:
            text = f"{host.name} to {other.name} alone at {self._world.now} µs"
            text += " and more" * self._rng.choice((0, 0, 5, 20))
            host.request("message", node=node_text(other.node.id), text=text)

    def _read(self, host: Host) -> None:
        host.request("messages")

    def _invite(self, host: Host) -> None:
        """Invite somebody; the invitation is taken back when it may just be in use."""
        spaces = [space for space in host.node.spaces.all() if space.rank is not None]
        if not spaces:
            return
        space, others = self._rng.choice(spaces).text_id, self._world.hosts
        ticket = host.request("invite", space=space, role="writer", uses=2)
        guest = self._rng.choice(others)
        reply = host.replies.get(ticket)
        self._invites[host.number, ticket] = (host, space)
        if reply is not None:
            self.reply(host, reply)
        if guest.running and reply is not None and reply.value is not None:
            guest.request("join", url=str(reply.value["url"]))

    def _revoke(self, host: Host, space: str, name: str) -> None:
        if host.running:
            host.request("invite.revoke", space=space, invite=name)
