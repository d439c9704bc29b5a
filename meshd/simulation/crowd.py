"""A crowd that asks nodes for anything at the worst time: beside the steady traffic of a plan.

Enters: a world and its plan. Leaves: requests, drawn from a stream of the world's seed: spaces made
and joined, invitations given and revoked, messages to one, posts in the first moments after a boot,
before the node has heard of anybody. What is answered is none of its business: checkers watch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.core.ids import node_text
from meshd.simulation.observer import Observer
from meshd.simulation.schedule import SECOND

if TYPE_CHECKING:
    from meshd.core.events import Reply
    from meshd.simulation.anyworld import AnyHost
    from meshd.simulation.host import Host
    from meshd.simulation.plan.plan import Plan
    from meshd.simulation.world import World

EVERY_US = 3 * SECOND
SPACES_MAX = 3
_ROLES = ("writer", "writer", "relay", "admin", "reader")
_EAGER_US = (1_000, 30_000, 400_000)


class Crowd(Observer):
    """People who do not wait until the network is ready for them."""

    def __init__(self, world: World, plan: Plan) -> None:
        self._world = world
        self._rng = world.random("the crowd")
        self._end_us = plan.faults_end_us
        self._urls: list[str] = []
        self._invites: dict[tuple[int, int], None] = {}
        self._spaces = 0
        if any(item.kind == "broadcast" for item in plan.traffic):
            world.at(EVERY_US, self._wake)

    def started(self, host: AnyHost) -> None:
        if 0 < self._world.now < self._end_us:
            wait_us = self._rng.choice(_EAGER_US)
            self._world.at(self._world.now + wait_us, self._post, self._world.hosts[host.number])

    def reply(self, host: Host, reply: Reply) -> None:
        if self._invites.pop((host.number, reply.ticket), self) is self or reply.value is None:
            return
        self._urls.append(str(reply.value["url"]))

    def _wake(self) -> None:
        if self._world.now >= self._end_us:
            return
        host = self._rng.choice(self._world.hosts)
        if host.running:
            self._rng.choice((self._found, self._invite, self._join, self._tell, self._post))(host)
        self._world.at(self._world.now + self._rng.randint(1, EVERY_US), self._wake)

    def _found(self, host: Host) -> None:
        if self._spaces < SPACES_MAX:
            self._spaces += 1
            host.request("space.create", name=f"crowd {self._spaces}")

    def _invite(self, host: Host) -> None:
        space = self._space(host)
        if space:
            uses = self._rng.choice((1, 1, 3))
            role = self._rng.choice(_ROLES)
            ticket = host.request("invite", space=space, role=role, uses=uses)
            self._invites[host.number, ticket] = None
            reply = host.replies.get(ticket)
            if reply is not None:
                self.reply(host, reply)

    def _join(self, host: Host) -> None:
        if self._urls:
            host.request("join", url=self._rng.choice(self._urls))

    def _tell(self, host: Host) -> None:
        other = self._rng.choice(self._world.hosts)
        space = self._space(host)
        if space and other is not host:
            to, text = node_text(other.node.id), f"only for {other.name} at {self._world.now} µs"
            host.request("post", space=space, to=to, text=text)

    def _post(self, host: Host) -> None:
        space = self._space(host) if host.running else ""
        if space:
            text = f"{host.name} was quick at {self._world.now} µs"
            host.request("post", space=space, text=text)

    def _space(self, host: Host) -> str:
        spaces = [space for space in host.node.spaces.all() if space.rank is not None]
        return self._rng.choice(spaces).text_id if spaces else ""
