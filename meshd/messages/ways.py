"""What this folder needs of the rest of a node: ways to other nodes, and the radios' verbs.

Enters: routes of the one table. Leaves: ways by NodeId, and the protocol that radios meet.
Must not know: how routes are found.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from meshd.core.events import Link
from meshd.core.ids import SHORT_LEN, mesh_address
from meshd.forwarding.radio_events import DirectAnswered, DirectArrived, DirectChanged


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


class Routes(Protocol):
    """What the table of routes knows."""

    def route_to(self, address: bytes) -> tuple[Link, bytes, int] | None:
        """Return link, next hop and metric of the route to an address."""

    def thin_to(self, address: bytes) -> int:
        """Return what is known of LoRa hops on the way to an address; 0: there are none."""


class RadioWays(Protocol):
    """What radios know of ways."""

    def reaches(self, short: bytes) -> str:
        """Return the radio by which a short address is reached, or ""."""

    def leaves(self, short: bytes) -> tuple[bytes, ...]:
        """Return the nodes with a short address to whom a way leads that leaves LoRa here."""


class TableWays:
    """Ways by the table of routes, or by what radios know beside it."""

    def __init__(self, mesh: bytes, routes: Routes, radios: "RadioWays") -> None:
        self._mesh = mesh
        self._routes = routes
        self._radios = radios

    def way(self, node: bytes) -> Way | None:
        """Return the way to a node, None when there is none."""
        address = mesh_address(self._mesh, node)
        found = self._routes.route_to(address)
        if found is None:
            name = self._radios.reaches(node[:SHORT_LEN])
            return Way(name, b"", radio=True, thin=True) if name else None
        link, next_hop, _ = found
        radio = link.kind.value == RADIO
        return Way(link.name, next_hop, radio, radio or self._routes.thin_to(address) != 0)

    def behind(self, short: bytes) -> tuple[bytes, ...]:
        """Return the nodes with a short address to whom a way leads that leaves LoRa here."""
        return self._radios.leaves(short)


class RadioVerbs(Protocol):
    """What a node's radios do with sealed bodies, and whose keys they heard."""

    on_direct: Callable[[DirectArrived | DirectAnswered | DirectChanged, int], None] | None

    def direct(
        self,
        link: str,
        to: bytes,
        body: bytes,
        now: int,
        *,
        once: bool = False,
        others: bool = False,
    ) -> int:
        """Send a body to a short address; return its number. Raises: UsageError.

        `once`: nobody's text, one try is enough.
        """

    def fits_hour(self, link: str, size: int, now: int) -> int:
        """Return how many bodies of a size fill a radio's hour; 0: no such radio now."""

    def answer(self, arrived: DirectArrived, tag: bytes, now: int) -> None:
        """Tell the origin of a body that it arrived."""

    def confirm(self, link: str, number: int, now: int) -> None:
        """Take an own body as answered."""

    def withdraw(self, link: str, number: int, now: int) -> bool:
        """Take an own body back; False where it has left, or is with the modem."""

    def names(self) -> tuple[str, ...]:
        """Return the radios that take frames now."""

    def neighbours_of(self, link: str) -> tuple[bytes, ...]:
        """Return the NodeIds of all that a radio hears."""

    def public_of(self, node: bytes) -> bytes | None:
        """Return a device's key if it was heard."""


def heard_keys(radios: RadioVerbs, short: bytes) -> list[tuple[bytes, bytes]]:
    """Return who is in earshot with a short address, and their keys."""
    nodes = dict.fromkeys(node for link in radios.names() for node in radios.neighbours_of(link))
    found = ((node, radios.public_of(node)) for node in nodes if node.startswith(short))
    return [(node, public) for node, public in found if public is not None]
