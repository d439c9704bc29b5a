"""Find neighbours that listen for sessions: a small bounded multicast on each link.

Enters: links coming and going, datagrams, timers. Leaves: knocks, answers, and who was heard: a
hint that may cause a dial and changes nothing else. On link-up a knock goes to ff02::1, again after
1, 4 and 16 s while no session stands on that link. A neighbour that routing hears is knocked by
unicast, ever more slowly, while it has no session here. Must not know: sessions, keys.

Ref: docs/wire-format.md#knock.
"""

from collections.abc import Callable
from typing import NamedTuple

from meshd.core.buckets import Buckets
from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.events import Datagram, Link, Transmit
from meshd.core.ids import ALL_NODES, address_text, is_link_local
from meshd.core.limits import MESHD_PORT
from meshd.core.timers import Key
from meshd.wire.knock import Knock

AGAIN_US = (1_000_000, 4_000_000, 16_000_000)
"""After which time since link-up a knock is repeated."""

SEEK_US = (1_000_000, 4_000_000, 16_000_000, 64_000_000)
"""Pauses between unicast knocks to a neighbour without a session; the last one repeats."""

SEEKS_MAX = 128
SOURCES_MAX = 256


class Caller(NamedTuple):
    """A knock that is worth a dial: unproven."""

    link: str
    host: str
    port: int
    node: bytes


class Knocker:
    """Knocks and answers on all links of one node.

    `met(link, host)` tells whether a session stands on that link with that host, or, with host "",
    with anybody.
    """

    __slots__ = ("_by_link", "_by_source", "_ctx", "_links", "_met", "_own", "_seeks")

    def __init__(self, ctx: Context, own: Knock, met: Callable[[str, str], bool]) -> None:
        self._ctx = ctx
        self._own = own
        self._met = met
        self._links: dict[str, int] = {}
        self._seeks: dict[tuple[str, bytes], int] = {}
        self._by_source = Buckets(burst=4, interval_us=1_000_000, sources_max=SOURCES_MAX)
        self._by_link = Buckets(burst=64, interval_us=100_000, sources_max=64)

    def link_up(self, link: Link, now: int) -> None:
        """Knock on a link that has come up."""
        self._links[link.name] = now
        self._knock(link.name, ALL_NODES)
        self._ctx.timers.set(("session", "knock", link.name, 0, now), now + AGAIN_US[0])

    def link_down(self, link: str) -> None:
        """Stop knocking there."""
        self._links.pop(link, None)
        for key in [key for key in self._seeks if key[0] == link]:
            self._forget(key)

    def seek(self, link: str, address: bytes, now: int) -> None:
        """Knock a neighbour by unicast until it has a session or routing loses it."""
        key = (link, address)
        if link not in self._links or key in self._seeks:
            return
        if len(self._seeks) >= SEEKS_MAX:
            self._ctx.drop(DropReason.KNOCK_LIMITED, link)
            return
        self._seeks[key] = 0
        self.seek_due(("session", "seek", *key), now)

    def stop_seeking(self, link: str, address: bytes) -> None:
        """Give up on a neighbour that routing lost."""
        self._forget((link, address))

    def knock_due(self, key: Key) -> None:
        """Repeat the multicast knock, unless a session stands on the link or it went down."""
        _, _, link, place, began = key
        if not (isinstance(link, str) and isinstance(place, int) and isinstance(began, int)):
            return
        if self._links.get(link) != began or self._met(link, ""):
            return
        self._knock(link, ALL_NODES)
        if place + 1 < len(AGAIN_US):
            following = ("session", "knock", link, place + 1, began)
            self._ctx.timers.set(following, began + AGAIN_US[place + 1])

    def seek_due(self, key: Key, now: int) -> None:
        """Knock a neighbour that has no session, and come back later."""
        _, _, link, address = key
        if not (isinstance(link, str) and isinstance(address, bytes)):
            return
        place = self._seeks.get((link, address))
        if place is None:
            return
        if not self._met(link, address_text(address)):
            self._knock(link, address)
        self._seeks[link, address] = min(place + 1, len(SEEK_US) - 1)
        self._ctx.timers.set(key, now + SEEK_US[place])

    def receive(self, link: str, datagram: Datagram, now: int) -> Caller | None:
        """Judge a knock, answer it, and return who was heard if that is worth a dial."""
        reason = self._refuse(link, datagram, now)
        if reason is not None:
            self._ctx.drop(reason, link)
            return None
        knock = Knock.decode(datagram.data)
        if not knock.answer:
            self._knock(link, datagram.source, answer=True)
        if not knock.port:
            return None
        return Caller(link, address_text(datagram.source), knock.port, knock.node)

    # --- helpers ----------------------------------------------------------------------------------

    def _refuse(self, link: str, datagram: Datagram, now: int) -> DropReason | None:
        if link not in self._links:
            return DropReason.UNKNOWN_LINK
        if not is_link_local(datagram.source):
            return DropReason.KNOCK_MISPLACED
        try:
            knock = Knock.decode(datagram.data)
        except WireError:
            return DropReason.KNOCK_MALFORMED
        if knock.mesh != self._own.mesh:
            return DropReason.SESSION_OTHER_MESH
        if knock.node == self._own.node:
            return DropReason.NODE_SELF
        limited = not self._by_source.allow((link, datagram.source), now)
        if limited or not self._by_link.allow(link, now):
            return DropReason.KNOCK_LIMITED
        return None

    def _knock(self, link: str, destination: bytes, *, answer: bool = False) -> None:
        data = self._own._replace(answer=answer).encode()
        self._ctx.transmit(Transmit(link, MESHD_PORT, destination, data))

    def _forget(self, key: tuple[str, bytes]) -> None:
        if self._seeks.pop(key, None) is not None:
            self._ctx.timers.cancel(("session", "seek", *key))
