"""What nodes in earshot of a radio call themselves: told to who is new, and signed.

Enters: items from the air, time. Leaves: this node's own name, their names. A name is the word of
the node that signed it and vouched for by nobody. It is told twice to each new neighbour, ten
minutes apart at least, after all else: a tenth of a percent of the air where many come and go. Each
few hours it is told again: who sends false names in a node's name cannot go on for ever.
Must not know: what names are good for.
"""

from collections import OrderedDict

from meshd.core.buckets import Buckets
from meshd.core.context import Context
from meshd.core.crypto import verify
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.identity import Identity
from meshd.core.law import HOUR_US
from meshd.core.timers import Key
from meshd.forwarding.radio_events import LocalHeard
from meshd.forwarding.radios import Radios
from meshd.link.ledger import Priority
from meshd.wire.lora_name import OwnName, statement
from meshd.wire.lora_payload import Local, Sub
from meshd.wire.session_records import NODE_NAME_MAX

NAMES_MAX = 256
LOOK_US = (15_000_000, 45_000_000)
AGAIN_US = 600_000_000
TELLINGS = 2
LATER_US = 3 * HOUR_US
CHECKS, CHECK_US = 4, 500_000
"""So many signatures of one sender are looked at, then one in so long; of one link four times."""
TIMER: Key = ("names", "look")


class OwnNames:
    """The names by radio of one node; it says its own if it has one."""

    def __init__(
        self, ctx: Context, radios: Radios, identity: Identity, *, mesh: bytes, name: str
    ) -> None:
        self._ctx = ctx
        self._radios = radios
        self._mesh = mesh
        self._names: OrderedDict[bytes, str] = OrderedDict()
        self._told: dict[str, dict[bytes, int]] = {}
        self._free_us: dict[str, int] = {}
        self._senders = Buckets(burst=CHECKS, interval_us=CHECK_US, sources_max=256)
        self._links = Buckets(burst=4 * CHECKS, interval_us=CHECK_US // 4, sources_max=16)
        self._body = b""
        if 0 < len(name.encode()) <= NODE_NAME_MAX:
            signature = identity.sign(statement(mesh, identity.public, name))
            self._body = OwnName(name, signature).encode()
        radios.on_local[Sub.OWN_NAME] = self.heard

    def start(self, now: int) -> None:
        """Begin to look for who is new."""
        if self._body:
            self._ctx.timers.set(TIMER, now + self._ctx.jitter(*LOOK_US))

    def handle_timer(self, key: Key, now: int) -> None:
        """Tell the own name where somebody is new."""
        for link in self._radios.names():
            before = self._told.get(link, {})
            near = {node: before.get(node, 0) for node in self._radios.neighbours_of(link)}
            self._told[link] = near
            free_us = self._free_us.get(link, 0)
            if all(count >= TELLINGS for count in near.values()):
                free_us += LATER_US
            if not near or now < free_us:
                continue
            if self._radios.tell(link, Local(Sub.OWN_NAME, self._body), Priority.BULK, now):
                self._free_us[link] = now + AGAIN_US
                self._told[link] = {node: count + 1 for node, count in near.items()}
        self._ctx.timers.set(TIMER, now + self._ctx.jitter(*LOOK_US))

    def heard(self, event: LocalHeard, now: int) -> None:
        """Take what a neighbour calls itself, when it signed that."""
        try:
            said = OwnName.decode(event.body)
        except WireError:
            self._ctx.drop(DropReason.NAME_UNPROVEN, event.link)
            return
        if self._names.get(event.node) == said.name:
            return
        public = self._radios.public_of(event.node)
        if public is None or not self._may_check(event, now):
            self._ctx.drop(DropReason.NAME_UNPROVEN, event.link)
        elif not verify(public, statement(self._mesh, public, said.name), said.signature):
            self._ctx.drop(DropReason.NAME_UNPROVEN, event.link)
        else:
            self._names.pop(event.node, None)
            self._names[event.node] = said.name
            if len(self._names) > NAMES_MAX:
                self._names.popitem(last=False)

    def _may_check(self, event: LocalHeard, now: int) -> bool:
        sender = (event.link, event.node)
        return self._senders.allow(sender, now) and self._links.allow(event.link, now)

    def names(self) -> dict[bytes, str]:
        """Return what neighbours call themselves."""
        return self._names
