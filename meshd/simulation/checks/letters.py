"""A direct message is kept until it is delivered, and what is called delivered is there.

Enters: what people send to one, the rows of all disks, notices. Leaves: violations. A text that is
on a disk as received was written so, by that device, to this one; it is told there once. What its
sender calls delivered is, or was, on the receiver's disk. Until then the sender's disk keeps it.
Numbers of a card that went back are given twice, so that its texts may be any that it ever sent.
What went to a copy of a card is no less delivered: both are the device, for all that others know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.core.errors import WireError
from meshd.core.events import MetaRow
from meshd.core.ids import parse_node
from meshd.messages.letter import State, decode_got, decode_letter, letter_id, out_key
from meshd.simulation.checks.checker import Checker
from meshd.simulation.checks.entries import among, copied, losing

if TYPE_CHECKING:
    from meshd.core.events import Notice, Reply, Row
    from meshd.simulation.host import Host
    from meshd.simulation.plan.plan import Plan
    from meshd.simulation.world import World

_IN = "letter/in/"
_DONE = (State.DELIVERED.text, State.READ.text)


class Letters(Checker):
    """Keeps all that was written, by its id."""

    name = "letters"

    def __init__(self, world: World, plan: Plan) -> None:
        super().__init__(world)
        self._losing = [*losing(plan), *copied(plan)]
        self._tickets: dict[tuple[int, int], tuple[str, str]] = {}
        self._sent: dict[str, tuple[Host, bytes, str, int]] = {}
        self._texts: dict[tuple[bytes, bytes], dict[str, None]] = {}
        self._got: dict[tuple[int, str], None] = {}
        self._told: dict[tuple[int, str], None] = {}

    def asked(self, host: Host, verb: str, args: dict[str, object], ticket: int) -> None:
        if verb == "message":
            node, text = str(args.get("node")), str(args.get("text"))
            self._tickets[host.number, ticket] = (node, text)
            texts = self._texts.setdefault((host.node.id, parse_node(node)), {})
            texts[text] = None

    def reply(self, host: Host, reply: Reply) -> None:
        node, text = self._tickets.pop((host.number, reply.ticket), ("", ""))
        if node and reply.value is not None and isinstance(reply.value["number"], int):
            number = reply.value["number"]
            name = letter_id(host.node.id, number)
            self._sent[name] = (host, parse_node(node), text, number)
            if out_key(number) not in host.store.metas:
                self.fail(host, f"called message {name} written before it was on its disk")

    def committed(self, host: Host, rows: tuple[Row, ...]) -> None:
        for row in rows:
            if isinstance(row, MetaRow) and row.key.startswith(_IN) and row.value is not None:
                self._received(host, row.key, row.value)

    def notice(self, host: Host, notice: Notice) -> None:
        name = str(notice.fields.get("id"))
        if notice.kind == "message":
            if (host.number, name) in self._told and not self._may_repeat(host, name):
                self.fail(host, f"told twice of message {name}")
            self._told[host.number, name] = None
        elif notice.kind == "message-state" and notice.fields.get("state") in _DONE:
            receivers = self._hosts(parse_node(str(notice.fields.get("node"))))
            if receivers and not self._has_got(receivers, name):
                who = receivers[0].name
                self.fail(host, f"calls message {name} delivered, which {who} never had")

    def minute(self) -> None:
        for name, (host, node, text, number) in self._sent.items():
            row = host.store.metas.get(out_key(number))
            if not host.running or among(host, self._losing):
                continue
            if row is None and not self._has_got(self._hosts(node), name):
                self.fail(host, f"lost message {name}, which nobody has got")
            elif row is not None and decode_letter(out_key(number), row).text != text:
                self.fail(host, f"changed message {name}")

    finished = minute

    def _received(self, host: Host, key: str, value: bytes) -> None:
        try:
            got = decode_got(key, value)
        except WireError:
            self.fail(host, f"keeps {key}, which cannot be read")
            return
        name = letter_id(got.node, got.number)
        self._got[host.number, name] = None
        if got.text not in self._texts.get((got.node, host.node.id), {}):
            self.fail(host, f"got {got.text[:20]!r} as message {name}, which nobody wrote to it")
            return
        known = self._sent.get(name)
        if known is not None and known[2] != got.text and not self._may_repeat(host, name):
            self.fail(host, f"got {got.text[:20]!r} as message {name}, not {known[2][:20]!r}")

    def _may_repeat(self, host: Host, name: str) -> bool:
        known = self._sent.get(name)
        return among(host, self._losing) or known is None or among(known[0], self._losing)

    def _hosts(self, node: bytes) -> list[Host]:
        """Return who has the keys of a node: one host, and the copies of its card."""
        return [host for host in self.world.hosts if host.node.id == node]

    def _has_got(self, hosts: list[Host], name: str) -> bool:
        return any((host.number, name) in self._got for host in hosts)
