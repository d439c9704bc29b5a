"""What people do, played on a world of meshd nodes in virtual time, and scored.

Enters: the traffic of a plan, a world before its first microsecond. Leaves: requests to the nodes,
and a `Score`. People ask at random times (exponential, `every_s` on average), each by a stream of
randomness of their own, so that two protocols see the same people do the same at the same time.
Must not know: links, faults.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from meshd.core.errors import Exit
from meshd.core.events import Notice, Reply
from meshd.core.ids import node_text
from meshd.simulation.anyworld import AnyHost
from meshd.simulation.founding import SPACE, found_space, settle_in
from meshd.simulation.host import Host
from meshd.simulation.observer import Observer
from meshd.simulation.plan.plan import Plan, Traffic, chosen, means
from meshd.simulation.schedule import SECOND, Schedule
from meshd.simulation.score import LOST_POWER, Message, Score
from meshd.simulation.sight import Sight
from meshd.simulation.world import World

_LETTERS = "abcdefghijklmnopqrstuvwxyz "
_SEEN_EVERY_US = 10 * SECOND
_GET_AGAIN_US = 30 * SECOND


class Deed(NamedTuple):
    """Somebody does something at a time; `target` names whom it is for, "" when all."""

    at_us: int
    sender: str
    target: str


def deeds(
    traffic: Traffic, names: Sequence[str], until_us: int, stream: Callable[[str], Random]
) -> list[Deed]:
    """Return all that the people of one `[[traffic]]` do, by person and then by time.

    `stream(name)` gives a stream of randomness that its name and the seed decide.
    """
    targets = chosen(traffic.to, names)
    end_us = until_us if traffic.end_s is None else min(until_us, int(traffic.end_s * SECOND))
    found: list[Deed] = []
    for sender in chosen(traffic.nodes, names):
        rng = stream(f"{traffic.kind} of {sender}")
        others = [name for name in targets if name != sender]
        at_us = int(traffic.start_s * SECOND) + round(rng.expovariate(1 / traffic.every_s) * SECOND)
        while at_us < end_us and others:
            target = "" if traffic.kind == "broadcast" else rng.choice(others)
            found.append(Deed(at_us, sender, target))
            at_us += max(1, round(rng.expovariate(1 / traffic.every_s) * SECOND))
    return found


def play(
    schedule: Schedule, plan: Plan, names: Sequence[str], do: Callable[[Deed, Traffic], None]
) -> None:
    """Put everything that people will do on the heap; `do` is called when its time has come."""
    for number, item in enumerate(plan.traffic):

        def stream(name: str, number: int = number) -> Random:
            return schedule.random(f"traffic {number}: {name}")

        for deed in deeds(item, names, plan.faults_end_us, stream):
            schedule.at(deed.at_us, do, deed, item)


def note_power(schedule: Schedule, hosts: Sequence[AnyHost], score: Score, end_us: int) -> None:
    """Note who is on, again and again: nobody owes anything to a device without power."""

    def look() -> None:
        now = schedule.now
        for host in hosts:
            if host.running:
                score.seen_on(host.number, now)
        if now < end_us:
            schedule.at(min(now + _SEEN_EVERY_US, end_us), look)

    schedule.at(0, look)


class People(Observer):
    """Everybody of a plan, and what became of what they asked for."""

    def __init__(self, world: World, plan: Plan) -> None:
        self.score = Score(dict.fromkeys(item.kind for item in plan.traffic))
        self._world = world
        self._plan = plan
        self._sight = Sight(world)
        self._hosts = {host.name: host for host in world.hosts}
        self._relays = relays_of(plan, list(self._hosts))
        self._members = self._found()
        self._open: dict[tuple[int, int], Callable[[Reply], None]] = {}
        self._letters: dict[str, Message] = {}
        self._posts: dict[tuple[object, object], Message] = {}
        self._early: dict[tuple[object, object], dict[int, int]] = {}

    def begin(self) -> None:
        """Put everything that people will do on the world's heap."""
        names = [name for name in self._hosts if name not in self._relays]
        play(self._world, self._plan, names, self._do)
        note_power(self._world, self._world.hosts, self.score, self._plan.end_us)

    # --- who there is -----------------------------------------------------------------------------

    def _found(self) -> list[Host]:
        """Set up a space for those who write or read in one; return its members."""
        names = members_of(self._plan, list(self._hosts))
        if not names:
            return []
        settle_in(self._world, found_space(self._world, names, list(self._relays)))
        return [self._hosts[name] for name in names]

    # --- what they do -----------------------------------------------------------------------------

    def _do(self, deed: Deed, item: Traffic) -> None:
        sender = self._hosts[deed.sender]
        if not sender.running:
            self.score.skip(item.kind)
        elif item.kind == "broadcast":
            self._post(sender, item)
        elif item.kind == "direct":
            self._ping(sender, self._hosts[deed.target])
        elif item.kind == "message":
            self._write(sender, self._hosts[deed.target], item)
        else:
            self._put(sender, self._hosts[deed.target], item)

    def _ask(self, host: Host, then: Callable[[Reply], None], verb: str, **args: object) -> None:
        """Ask a node; its reply, whenever it comes, goes to `then`."""
        ticket = host.request(verb, **args)
        if ticket in host.replies:
            then(host.replies[ticket])
        else:
            self._open[host.number, ticket] = then

    def _due(self, sender: Host, receivers: Sequence[Host]) -> dict[int, bool]:
        return {
            host.number: self._sight.connected(sender, host)
            for host in receivers
            if host is not sender
        }

    def _text(self, size: int) -> str:
        return "".join(self._world.random("texts").choices(_LETTERS, k=size))

    def _post(self, sender: Host, item: Traffic) -> None:
        receivers = [host for host in self._members if means(item.to, host.name)]
        due = self._due(sender, receivers)
        message = self.score.ask(item.kind, sender.number, self._world.now, due)

        def answered(reply: Reply) -> None:
            if reply.value is None:
                message.error = reply.error
                return
            message.accepted = reply.value.get("state") == "written"
            name = (reply.value.get("author"), reply.value.get("seq"))
            self._posts[name] = message
            for receiver, at_us in self._early.pop(name, {}).items():
                message.delivered(receiver, at_us)

        self._ask(sender, answered, "post", space=SPACE, text=self._text(item.size))

    def _ping(self, sender: Host, target: Host) -> None:
        off = () if target.running else (target.number,)
        message = self.score.ask(
            "direct", sender.number, self._world.now, self._due(sender, [target]), off=off
        )
        asked_us = self._world.now

        def answered(reply: Reply) -> None:
            rtts = reply.value.get("rtt_ms") if reply.value else None
            if isinstance(rtts, list) and rtts:
                message.accepted = True
                message.delivered(target.number, asked_us + round(float(rtts[0]) * 1000))
            elif reply.value is None and reply.code != Exit.TIMEOUT:
                message.error = reply.error

        whom = node_text(target.node.id)
        self._ask(sender, answered, "ping", node=whom, count=1)

    def _write(self, sender: Host, target: Host, item: Traffic) -> None:
        due = self._due(sender, [target])
        message = self.score.ask(item.kind, sender.number, self._world.now, due)

        def answered(reply: Reply) -> None:
            if reply.value is None:
                message.error = reply.error
                return
            message.accepted = True
            self._letters[str(reply.value["id"])] = message

        whom = node_text(target.node.id)
        self._ask(sender, answered, "message", node=whom, text=self._text(item.size))

    def _put(self, sender: Host, target: Host, item: Traffic) -> None:
        now = self._world.now
        message = self.score.ask(item.kind, sender.number, now, self._due(sender, [target]))
        data = self._world.random("files").randbytes(item.size)
        name = f"{sender.name} at {now}"

        def answered(reply: Reply) -> None:
            if reply.value is None:
                message.error = reply.error
                return
            message.accepted = True
            self._get(target, name, data, message, tries=0)

        handle = sender.store.files.lend(data)
        self._ask(sender, answered, "put", space=SPACE, name=name, size=item.size, handle=handle)

    def _get(self, target: Host, name: str, data: bytes, message: Message, *, tries: int) -> None:
        """Fetch a file as soon as it is known; try again as people do, until the end."""
        world = self._world

        def again() -> None:
            due_us = world.now + min(SECOND << min(tries, 10), _GET_AGAIN_US)
            if due_us < self._plan.end_us:
                world.at(due_us, lambda: self._get(target, name, data, message, tries=tries + 1))

        if not target.running:
            again()
            return
        handle = target.store.files.lend()

        def answered(reply: Reply) -> None:
            if reply.value is None:
                again()
            elif bytes(target.store.files.lent.get(handle, b"")) == data:
                message.delivered(target.number, world.now)
            world.at(world.now, target.store.release_file, handle)

        self._ask(target, answered, "get", space=SPACE, name=name, handle=handle)

    # --- what is seen -----------------------------------------------------------------------------

    def reply(self, host: Host, reply: Reply) -> None:
        then = self._open.pop((host.number, reply.ticket), None)
        if then is not None:
            then(reply)

    def crashed(self, host: AnyHost) -> None:
        for key in [key for key in self._open if key[0] == host.number]:
            then = self._open.pop(key)
            then(Reply(key[1], None, LOST_POWER))

    def notice(self, host: Host, notice: Notice) -> None:
        if notice.kind == "message":
            letter = self._letters.get(str(notice.fields.get("id")))
            if letter is not None:
                letter.delivered(host.number, self._world.now)
        if notice.kind != "entry":
            return
        name = (notice.fields.get("author"), notice.fields.get("seq"))
        message = self._posts.get(name)
        if message is not None:
            message.delivered(host.number, self._world.now)
        elif host.running:
            self._early.setdefault(name, {}).setdefault(host.number, self._world.now)


def members_of(plan: Plan, names: Sequence[str]) -> list[str]:
    """Return the names of hosts that write or read in the space of a plan, in order."""
    relays = relays_of(plan, names)
    wanted = [item for item in plan.traffic if item.kind != "direct"]
    patterns = [pattern for item in wanted for pattern in (item.nodes, item.to)]
    return [
        name
        for name in names
        if name not in relays and any(means(pattern, name) for pattern in patterns)
    ]


def relays_of(plan: Plan, names: Sequence[str]) -> dict[str, None]:
    """Return the names of hosts that carry a space and are not in it, in order."""
    found: dict[str, None] = {}
    first = 0
    for group in plan.nodes:
        if group.relay_only:
            found.update(dict.fromkeys(names[first : first + group.count]))
        first += group.count
    return found
