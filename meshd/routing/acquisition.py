"""Who becomes a neighbour by Babel's hellos, is greeted, and is lost (RFC 8966 §3.4).

Enters: packets of strangers, deadlines, what neighbours cost. Leaves: neighbours in their table,
greetings, notices of who came and went; who is lost takes its routes along.
Must not know: what is in the packets of neighbours, LoRa.
"""

from collections import deque
from typing import NamedTuple

from meshd.core.drops import DropReason
from meshd.core.events import Link, Notice
from meshd.core.ids import address_text
from meshd.neighbour.cost import INFINITY
from meshd.neighbour.table import Neighbour, NeighbourTable
from meshd.routing import view
from meshd.routing.answers import Answers
from meshd.routing.greeted import introduces
from meshd.routing.learn import Learner
from meshd.wire.babel import AckRequest, Packet

GREET_AGAIN_US = (500_000, 1_500_000, 4_000_000)
GREET_EVERY_US = 300_000


class NeighbourChange(NamedTuple):
    """A neighbour that became known on a link, or is known no more."""

    link: Link
    address: bytes
    known: bool


class Acquisition:
    """The neighbours of one speaker, on all links but LoRa. `mesh`: how its addresses begin."""

    def __init__(self, learner: Learner, neighbours: NeighbourTable, mesh: bytes) -> None:
        self.changes: deque[NeighbourChange] = deque()
        self._ctx = learner.ctx
        self._learner = learner
        self._announcer = learner.announcer
        self._neighbours = neighbours
        self._mesh = mesh

    def meet(self, link: Link, address: bytes, packet: Packet, now: int) -> Neighbour | None:
        """Make a neighbour of whoever says hello, or heard us: BIRD answers so before it says it.

        Others get acknowledgments at most.
        """
        if not any(introduces(tlv, link) for tlv in packet.tlvs):
            self._ctx.drop(DropReason.BABEL_STRANGER, link.name)
            answers = Answers(address)
            for tlv in packet.tlvs:
                if isinstance(tlv, AckRequest):
                    answers.ack(tlv.opaque)
            self._announcer.answer(self._announcer.outlets[link.name].strangers, answers, now)
            return None
        if self._neighbours.full(link.name):
            victim = self._neighbours.victim(link.name, now)
            if victim is None:
                self._ctx.drop(DropReason.BABEL_NEIGHBOURS_FULL, link.name)
                return None
            self.lose(victim, "made room")
        neighbour = Neighbour(link, address, now)
        self._neighbours.add(neighbour)
        self.changes.append(NeighbourChange(link, address, True))
        return neighbour

    def lose(self, neighbour: Neighbour, why: str) -> None:
        """Forget a neighbour, and what it announced."""
        for word in ("neighbour", "greet"):
            self._ctx.timers.cancel(("routing", word, neighbour.link.name, neighbour.address))
        self._neighbours.remove(neighbour)
        neighbour.cost = INFINITY
        self._learner.neighbour_lost(neighbour)
        self._learner.requests.neighbour_lost(neighbour)
        self.changes.append(NeighbourChange(neighbour.link, neighbour.address, False))
        self.up_or_down(neighbour, why)

    def due(self, neighbour: Neighbour, now: int) -> None:
        """See what was promised by now and did not come: hellos, IHUs."""
        neighbour.expire(now)
        if neighbour.silent:
            self.lose(neighbour, "silent")
            return
        self.weigh(neighbour)
        self.up_or_down(neighbour, "hellos missed")
        self.arm(neighbour)

    def greet_again(self, neighbour: Neighbour, now: int) -> None:
        """Greet a neighbour again that did not answer, or told no route."""
        known = neighbour.cost != INFINITY and neighbour.told_rxcost != INFINITY
        if known and neighbour in self._learner.table.shares:
            return
        self.greet(neighbour, now, ask=True)

    def greet(self, neighbour: Neighbour, now: int, *, ask: bool) -> None:
        """Tell a neighbour all that it needs, soon if that was just done; some may be lost."""
        key = ("routing", "greet", neighbour.link.name, neighbour.address)
        if now < (at := greetable_us(neighbour)):
            self._ctx.timers.set(key, at)
            return
        self._announcer.greet(neighbour, now, ask=ask)
        if neighbour.greetings < len(GREET_AGAIN_US):
            self._ctx.timers.set(key, now + GREET_AGAIN_US[neighbour.greetings])
            neighbour.greetings += 1

    def arm(self, neighbour: Neighbour) -> None:
        """See to it that a neighbour is looked at when it has broken a promise."""
        due = neighbour.deadline()
        if due is not None:
            self._ctx.timers.set(neighbour.timer, due)

    def weigh(self, neighbour: Neighbour) -> None:
        """Work out what a neighbour costs now, and what that may change."""
        before = neighbour.cost
        if neighbour.update_cost():
            self._learner.reweighed(neighbour, fell=neighbour.cost < before)

    def up_or_down(self, neighbour: Neighbour, why: str) -> None:
        """Tell people that a neighbour can be used now, or why it can not."""
        up = neighbour.cost != INFINITY
        if up == neighbour.up:
            return
        neighbour.up = up
        fields: dict[str, object] = {
            "link": neighbour.link.name,
            "address": address_text(neighbour.address),
        }
        node = view.node_of(neighbour.origin, self._mesh)
        if node is not None:
            fields["node"] = node
        if not up:
            fields["why"] = why
        self._ctx.emit(Notice("neighbour-up" if up else "neighbour-down", fields))


def greetable_us(neighbour: Neighbour) -> int:
    """Return from when on a neighbour may be greeted, or sent a table, again."""
    return 0 if neighbour.greeted_us is None else neighbour.greeted_us + GREET_EVERY_US
