"""What people ask about other nodes: a sign of life, and who is meant by a name.

Enters: the local requests "ping" and "who". Leaves: pings by the way that leads there, replies.
Must not know: keys, what is sent.
"""

from collections.abc import Callable

from meshd.core.arguments import Args, text_of
from meshd.core.context import Context
from meshd.core.events import Reply
from meshd.core.ids import address_text, mesh_address, node_text
from meshd.messages.carriage import Carriage
from meshd.messages.people import People
from meshd.messages.pings import Pings


class NodeRequests:
    """The verbs about nodes. `ip_ping` asks those to which no LoRa hop lies on the way."""

    def __init__(
        self,
        ctx: Context,
        people: People,
        carriage: Carriage,
        pings: Pings,
        *,
        ip_ping: Callable[[Args, int, int], None],
    ) -> None:
        self._ctx = ctx
        self._people = people
        self._carriage = carriage
        self._pings = pings
        self._ip_ping = ip_ping

    def ping(self, args: Args, ticket: int, now: int) -> None:
        """Ask a node for a sign of life: sealed where a LoRa hop lies on the way, else by IP.

        `node` is an id or a name, also one that a neighbour gives itself. This node answers itself.
        """
        if not isinstance(args.get("node"), str) or args.get("address") is not None:
            self._ip_ping(args, ticket, now)
            return
        node = self._people.find(text_of(args, "node"), said=True)
        if node == self._people.node:
            address = address_text(mesh_address(self._people.mesh, node))
            value: Args = {"address": address, "sent": 1, "received": 1, "loss": 0.0}
            self._ctx.emit(Reply(ticket, value | {"rtt_ms": [0.0], "own": True}))
        elif self._carriage.thin(node):
            self._pings.ping(node, args, ticket, now)
        else:
            self._ip_ping({**args, "node": node_text(node)}, ticket, now)

    def who(self, args: Args, ticket: int, now: int) -> None:
        """Say whom `node` means, an id or a name, and what is known of it, the way there too."""
        node = self._people.find(text_of(args, "node"), said=True)
        value = self._people.about(node)
        if node != self._people.node and self._carriage.thin(node) is not None:
            value["way"] = self._carriage.medium(node)
        self._ctx.emit(Reply(ticket, value))
