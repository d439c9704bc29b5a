"""What people do, played on a world of rival stations, and scored by the rules that meshd has.

Enters: the traffic of a plan, a world before its first microsecond. Leaves: requests to stations,
and a `Score`. The same seed lets the same people do the same at the same time as with meshd. A
broadcast is for all whom the plan's `to` names; a direct message counts when it arrives.
"""

from __future__ import annotations

from meshd.simulation.observer import Observer
from meshd.simulation.plan.plan import Plan, Traffic, chosen
from meshd.simulation.rivals.build import RivalHost, RivalWorld
from meshd.simulation.rivals.engine import Delivered, Event
from meshd.simulation.score import Message, Score
from meshd.simulation.sight import Sight
from meshd.simulation.traffic import Deed, note_power, play, relays_of


class RivalPeople(Observer):
    """Everybody of a plan, and what became of what they asked for."""

    def __init__(self, world: RivalWorld, plan: Plan) -> None:
        self.score = Score(dict.fromkeys(item.kind for item in plan.traffic))
        self._world = world
        self._plan = plan
        self._sight = Sight(world)
        self._hosts = {host.name: host for host in world.hosts}
        relays = relays_of(plan, list(self._hosts))
        self._names = [name for name in self._hosts if name not in relays]
        self._sent: dict[tuple[int, int], Message] = {}
        world.happened = self._happened

    def begin(self) -> None:
        """Put everything that people will do on the world's heap."""
        play(self._world, self._plan, self._names, self._do)
        note_power(self._world, self._world.hosts, self.score, self._plan.end_us)

    def _do(self, deed: Deed, item: Traffic) -> None:
        sender = self._hosts[deed.sender]
        if not sender.running:
            self.score.skip(item.kind)
            return
        receivers = [deed.target] if deed.target else chosen(item.to, self._names)
        due = {
            self._hosts[name].number: self._sight.connected(sender, self._hosts[name])
            for name in receivers
            if name != sender.name
        }
        off = [self._hosts[name].number for name in receivers if not self._hosts[name].running]
        message = self.score.ask(item.kind, sender.number, self._world.now, due, off=off)
        payload = self._world.random("texts").randbytes(item.size)
        if item.kind == "broadcast":
            number = sender.send_broadcast(payload)
        else:
            number = sender.send_direct(self._hosts[deed.target].number, payload)
        message.accepted = True
        self._sent[sender.number, number] = message

    def _happened(self, host: RivalHost, event: Event) -> None:
        if isinstance(event, Delivered):
            message = self._sent.get((event.origin, event.message))
            if message is not None:
                message.delivered(host.number, self._world.now)
