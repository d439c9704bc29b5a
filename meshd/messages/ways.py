"""What this folder needs of the rest of a node: ways to other nodes, and the radios' verbs.

Enters: routes of the one table. Leaves: ways by NodeId, and the protocol that radios meet.
Must not know: how routes are found.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from meshd.core.events import Link
from meshd.core.ids import mesh_address

THIN_METRIC = 3_072
"""From this metric on a LoRa hop lies on the way: no other hop costs so much."""


class Way(NamedTuple):
    """Where a node is: out by `link`, to a link-local address, or by a radio.

    `thin`: a LoRa hop lies somewhere on the way.
    """

    link: str
    next_hop: bytes
    radio: bool
    thin: bool


class Ways(Protocol):
    """Ways to nodes by their NodeId."""

    def way(self, node: bytes) -> Way | None:
        """Return the way to a node, None when there is none."""

    def behind(self, short: bytes) -> tuple[bytes, ...]:
        """Return the nodes with a short address to whom a way leads that leaves LoRa here."""


RADIO = "radio"
Route = tuple[Link, bytes, int]


class TableWays:
    """Ways by the table of routes. `leaves` names who is meant behind here by a short address."""

    def __init__(
        self,
        mesh: bytes,
        route_to: Callable[[bytes], Route | None],
        leaves: Callable[[bytes], tuple[bytes, ...]],
    ) -> None:
        self._mesh = mesh
        self._route_to = route_to
        self._leaves = leaves

    def way(self, node: bytes) -> Way | None:
        """Return the way to a node, None when there is none."""
        found = self._route_to(mesh_address(self._mesh, node))
        if found is None:
            return None
        link, next_hop, metric = found
        radio = link.kind.value == RADIO
        return Way(link.name, next_hop, radio, radio or metric >= THIN_METRIC)

    def behind(self, short: bytes) -> tuple[bytes, ...]:
        """Return the nodes with a short address to whom a way leads that leaves LoRa here."""
        return self._leaves(short)


class DirectArrival(Protocol):
    """A body that came by a radio, for this node or one behind it."""

    @property
    def link(self) -> str: ...
    @property
    def origin(self) -> bytes: ...
    @property
    def number(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def destination(self) -> bytes: ...
    @property
    def hops(self) -> int: ...


class RadioVerbs(Protocol):
    """What a node's radios do with sealed bodies."""

    def direct(self, link: str, to_short: bytes, body: bytes, now: int) -> int:
        """Send a body; return its number. Raises: UsageError."""

    def confirm(self, link: str, number: int, now: int) -> None:
        """Take an own body as answered."""
