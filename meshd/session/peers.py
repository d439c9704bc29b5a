"""Decide when to dial whom: neighbours that knocked, wanted nodes, configured peers.

Enters: hints, wishes, outcomes of dials, the time. Leaves: timers, and the targets that are due.
A target without a session is tried again after 1 s, then twice as long each time up to 60 s, with
jitter; a neighbour is forgotten after `NEIGHBOUR_TRIES` failures, until it knocks again.
Must not know: handshakes, streams, bytes.
"""

from collections.abc import Callable
from ipaddress import AddressValueError, IPv6Address

from meshd.core.context import Context
from meshd.core.errors import UsageError
from meshd.core.ids import address_text, mesh_address
from meshd.core.timers import Key
from meshd.session.connection import Ends

BACKOFF_US = 1_000_000
BACKOFF_MAX_US = 60_000_000
KICK_GAP_US = 1_000_000
"""A hint does not dial a target again sooner than this."""

STEADY_US = 10_000_000
"""A session that held so long clears its target's failures."""

THIN_AGAIN_US = 5_000_000
"""When a wanted node behind a LoRa hop is looked at again: streams do not go there."""

NEIGHBOUR_TRIES = 5
NEIGHBOURS_MAX = 256
NEIGHBOURS_LINK_MAX = 64
DIALS_MAX = 32
"""Dials under way at once; a further one waits a second."""

PEERS_MAX = 64
PEER_TRIES = 2
"""A configured peer that failed so often in a row is a problem to tell of."""


class Target:
    """One thing to keep a session with.

    `node` is wanted (a route) or was proven by a session; `hint` is what an unproven knock claims
    and only helps to choose a key to dial with.
    """

    __slots__ = (
        *("dialled_us", "dialling", "failures", "first_contact", "hint", "host", "key", "node"),
        *("port", "touched_us", "why"),
    )

    def __init__(self, key: Key, host: str, port: int, *, node: bytes | None = None) -> None:
        self.key = key
        self.host = host
        self.port = port
        self.node = node
        self.hint: bytes | None = None
        self.failures = 0
        self.dialling = False
        self.dialled_us: int | None = None
        self.touched_us = 0
        self.first_contact = False
        self.why = ""
        """Why the last dial, or the last session, ended."""

    @property
    def link(self) -> str:
        """The interface for a neighbour, else ""."""
        return str(self.key[1]) if self.key[0] == "link" else ""

    def ends(self) -> Ends:
        """Return where a stream to it leads; only a route insists on a NodeId."""
        kind = str(self.key[0])
        return Ends(self.link, self.host, kind, self.node if kind == "route" else None, self.key)


def _is_thick(_: bytes) -> bool:
    return False


def parse_peer(text: str) -> tuple[str, int]:
    """Parse `tcp://host:port`, the host a name, an IPv4 address or an IPv6 address in brackets.

    Raises: UsageError saying what is wrong.
    """
    scheme, found, rest = text.partition("://")
    host, colon, port = rest.rpartition(":")
    if scheme != "tcp" or not found or not colon:
        raise UsageError(f"peer {text!r}: write it as tcp://host:port")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        try:
            address = IPv6Address(host)
        except AddressValueError as error:
            raise UsageError(f"peer {text!r}: {host!r} is not an IPv6 address") from error
        if address.is_link_local:
            raise UsageError(f"peer {text!r}: neighbours on a link are found without being named")
    elif ":" in host or not host or "/" in host:
        raise UsageError(f"peer {text!r}: no usable host; an IPv6 address stands in [brackets]")
    if not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise UsageError(f"peer {text!r}: the port is a number from 1 to 65535")
    return host, int(port)


class Targets:
    """All targets, with their backoff. The owner dials what `due` returns and reports outcomes.

    `is_thin` tells whether a LoRa hop lies on the way to a node: then it is not dialled.
    """

    __slots__ = ("_ctx", "_dialling", "_mesh", "_port", "_table", "_wanted", "is_thin")

    def __init__(self, ctx: Context, *, mesh: bytes, port: int) -> None:
        self._ctx = ctx
        self._mesh = mesh
        self._port = port
        self._table: dict[Key, Target] = {}
        self._wanted: dict[bytes, int] = {}
        self._dialling = 0
        self.is_thin: Callable[[bytes], bool] = _is_thick

    def __len__(self) -> int:
        return len(self._table)

    def all(self) -> list[Target]:
        """Return all targets."""
        return list(self._table.values())

    def get(self, key: Key | None) -> Target | None:
        """Return a target by its key."""
        return self._table.get(key) if key else None

    # --- what is wanted ---------------------------------------------------------------------------

    def set_peers(self, peers: tuple[str, ...], now: int) -> list[Key]:
        """Replace the configured peers; return the keys of those that are gone.

        Raises: UsageError for an unusable one, before anything is changed.
        """
        if len(peers) > PEERS_MAX:
            raise UsageError(f"{len(peers)} peers; at most {PEERS_MAX} can be configured")
        parsed = {("peer", text): parse_peer(text) for text in peers}
        gone = [key for key in self._table if key[0] == "peer" and key not in parsed]
        for key in gone:
            self.remove(key)
        for key, (host, port) in parsed.items():
            if key not in self._table:
                self._add(Target(key, host, port), now)
        return gone

    def want(self, node: bytes, now: int) -> None:
        """Keep a routed session to `node`, as often as it is wanted."""
        self._wanted[node] = self._wanted.get(node, 0) + 1
        key = ("route", node)
        if key not in self._table:
            host = address_text(mesh_address(self._mesh, node))
            self._add(Target(key, host, self._port, node=node), now)

    def unwant(self, node: bytes) -> bool:
        """Take back one `want`; True when it was the last."""
        count = self._wanted.get(node, 0) - 1
        if count > 0:
            self._wanted[node] = count
            return False
        self._wanted.pop(node, None)
        self.remove(("route", node))
        return count == 0

    def route_seen(self, node: bytes, now: int) -> None:
        """Dial a wanted node at once: a route to it has just been installed."""
        target = self._table.get(("route", node))
        if target:
            target.failures = 0
            self.kick(target, now)

    def hint(self, link: str, host: str, port: int, *, node: bytes, now: int) -> Target:
        """Return the target of a neighbour that was heard, made if need be.

        Where the table is full, a neighbour of the same link (or of the fullest) makes room: one
        that never had a session first, then the one that was quiet longest.
        """
        key = ("link", link, host)
        target = self._table.get(key)
        if target is None:
            self._make_room(link)
            target = Target(key, host, port)
            self._table[key] = target
        target.hint = node
        target.port = port
        target.touched_us = now
        return target

    # --- when to dial -----------------------------------------------------------------------------

    def kick(self, target: Target, now: int, *, delay_us: int = 0) -> None:
        """Bring the next dial of a target forward."""
        if target.dialling:
            return
        at = now + delay_us
        if target.dialled_us is not None:
            at = max(at, target.dialled_us + KICK_GAP_US)
        self._ctx.timers.set_earlier(("session", "dial", target.key), at)

    def begin(self, target: Target, now: int) -> bool:
        """Tell whether a target whose timer has come may be dialled now; later otherwise.

        Two targets that lead to one node are dialled one after the other.
        """
        if target.dialling:
            return False
        if target.key[0] == "route" and target.node is not None and self.is_thin(target.node):
            self._ctx.timers.set(("session", "dial", target.key), now + THIN_AGAIN_US)
            return False
        same = target.node is not None and any(
            other.dialling and other.node == target.node for other in self._table.values()
        )
        if same or self._dialling >= DIALS_MAX:
            self._ctx.timers.set(("session", "dial", target.key), now + BACKOFF_US)
            return False
        target.dialling = True
        target.dialled_us = now
        self._dialling += 1
        return True

    def finished(self, target: Target) -> None:
        """Note that a dial has ended, in a session or not."""
        if target.dialling:
            target.dialling = False
            self._dialling -= 1

    def failed(self, target: Target, why: str, *, held_us: int, now: int) -> None:
        """Schedule the next try after a dial, or a session that held for `held_us`, has ended."""
        target.why = why
        if target.first_contact:
            self._ctx.timers.set(("session", "dial", target.key), now)
            return
        target.failures = 1 if held_us >= STEADY_US else target.failures + 1
        if target.key[0] == "link" and target.failures >= NEIGHBOUR_TRIES:
            self.remove(target.key)
            return
        full_us = min(BACKOFF_US << min(target.failures - 1, 10), BACKOFF_MAX_US)
        at = now + self._ctx.jitter(full_us // 2, full_us)
        self._ctx.timers.set(("session", "dial", target.key), at)

    def of_node(self, node: bytes) -> list[Target]:
        """Return the targets that lead to `node`, or may."""
        return [each for each in self._table.values() if node in (each.node, each.hint)]

    def remove(self, key: Key) -> None:
        """Forget a target."""
        target = self._table.pop(key, None)
        self._ctx.timers.cancel(("session", "dial", key))
        if target:
            self.finished(target)

    def link_down(self, link: str) -> None:
        """Forget the neighbours of a link."""
        for key in [key for key in self._table if key[:2] == ("link", link)]:
            self.remove(key)

    # --- helpers ----------------------------------------------------------------------------------

    def _add(self, target: Target, now: int) -> None:
        target.touched_us = now
        self._table[target.key] = target
        self._ctx.timers.set(("session", "dial", target.key), now)

    def _make_room(self, link: str) -> None:
        by_link: dict[str, list[Target]] = {}
        for target in self._table.values():
            if target.key[0] == "link":
                by_link.setdefault(target.link, []).append(target)
        crowd = by_link.get(link, [])
        if len(crowd) < NEIGHBOURS_LINK_MAX:
            if sum(map(len, by_link.values())) < NEIGHBOURS_MAX:
                return
            crowd = max(by_link.values(), key=len)
        least = min(crowd, key=lambda target: (target.node is not None, target.touched_us))
        self.remove(least.key)
