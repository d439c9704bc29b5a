"""Keep one encrypted session with each neighbour, wanted node and configured peer.

Enters: links, knocks, streams and their bytes, wishes, timers. Leaves: stream events and bytes
within credit, and for the layer above sessions, records and bulks. One session per node: a direct
link goes before routed ones, of two equal ones both sides keep the same. Whatever a stranger can
make grow is bounded by ingress first, then by source. Must not know: what records mean, routes.

Ref: docs/wire-format.md#session.
"""

from collections import deque

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.events import Datagram, Link, Notice, StreamClose, StreamOpen, StreamSend
from meshd.core.identity import Identity
from meshd.core.ids import address_text, node_text
from meshd.core.limits import MESHD_PORT
from meshd.core.snapshot import Problem, SessionStatus
from meshd.core.timers import Key
from meshd.session import telling
from meshd.session.channel import Bulk, Item
from meshd.session.connection import Connection, ends_of
from meshd.session.events import (
    BulkReceived,
    RecordReceived,
    SessionDown,
    SessionEvent,
    SessionRoom,
    SessionUp,
)
from meshd.session.gate import Gate
from meshd.session.handshake import Handshake, Local, Peer
from meshd.session.knock import Knocker
from meshd.session.known import Keys, KnownPeers
from meshd.session.lifecycle import State
from meshd.session.peers import Target, Targets
from meshd.session.roster import Roster
from meshd.wire.knock import PORT_MIN, Knock
from meshd.wire.session_records import Data, HandshakePayload

CONNECT_TIMEOUT_US = 10_000_000
HANDSHAKE_TIMEOUT_US = 5_000_000
GRACE_US = 2_000_000
"""How long the larger NodeId of two neighbours leaves the dialling to the smaller."""

REDIAL_US = (200_000, 1_000_000)
"""When a neighbour is dialled again after its session ended."""

IDLE_DEAD_US = 10_000_000
"""A session silent for so long goes down with its lost neighbour."""


class Sessions:
    """All sessions of one node. `boot` is this start's number; `listen_port` 0 means dial only.

    After each input, drain `poll_send` and `poll_event`.
    """

    def __init__(
        self,
        ctx: Context,
        *,
        identity: Identity,
        mesh: bytes,
        boot: int,
        listen_port: int = MESHD_PORT,
        name: str = "",
    ) -> None:
        self._ctx = ctx
        self._node = identity.node
        self._mesh = mesh
        payload = HandshakePayload(identity.certificate(mesh), boot, listen_port, name)
        self._local = Local(mesh, identity.session_secret, payload.encode(), ctx.entropy)
        self._roster = Roster(identity.node)
        self._gate = Gate()
        self.targets = Targets(ctx, mesh=mesh, port=listen_port or MESHD_PORT)
        knock = Knock(mesh, identity.node, listen_port)
        self._knocker = Knocker(ctx, knock, lambda *where: bool(self._roster.on_link(*where)))
        self._links: set[str] = set()
        self._streams: dict[int, Connection] = {}
        self._half_open: dict[int, Connection] = {}
        self._dialled = 0
        self._accepted = -1
        self._ready: dict[int, None] = {}
        self._events: deque[SessionEvent] = deque()
        self.known = KnownPeers()

    # --- links and knocks -------------------------------------------------------------------------

    def link_up(self, link: Link, now: int) -> None:
        """Look for neighbours on a link."""
        self._links.add(link.name)
        self._knocker.link_up(link, now)

    def link_down(self, name: str, now: int) -> None:
        """Close at once what runs over a link."""
        self._links.discard(name)
        self._knocker.link_down(name)
        self.targets.link_down(name)
        for conn in [
            conn for conn in self._streams.values() if conn.ends.direct and conn.ends.link == name
        ]:
            self._finish(conn, "link down", now)

    def receive(self, name: str, datagram: Datagram, now: int) -> None:
        """Take a knock: an unproven hint that may cause a dial."""
        heard = self._knocker.receive(name, datagram, now)
        if heard is None:
            return
        target = self.targets.hint(heard.link, heard.host, heard.port, node=heard.node, now=now)
        if not self._served(heard.node, target):
            self.targets.kick(target, now, delay_us=self._grace(heard.node))

    def neighbour_seen(self, link: str, address: bytes, now: int) -> None:
        """Knock a neighbour that routing has heard."""
        self._knocker.seek(link, address, now)

    def neighbour_lost(self, link: str, address: bytes, now: int) -> None:
        """Close the session with a neighbour that routing lost, unless it was heard lately."""
        self._knocker.stop_seeking(link, address)
        for conn in self._roster.on_link(link, address_text(address)):
            if now - conn.rx_us >= IDLE_DEAD_US:
                self._finish(conn, "neighbour lost", now)

    # --- wishes -----------------------------------------------------------------------------------

    def set_peers(self, peers: tuple[str, ...], now: int) -> None:
        """Replace the configured peers, each `tcp://host:port`.

        Raises: UsageError for an unusable one.
        """
        gone = self.targets.set_peers(peers, now)
        for conn in [conn for conn in self._streams.values() if conn.ends.target in gone]:
            self._finish(conn, "peer removed", now)

    def want(self, node: bytes, now: int) -> None:
        """Keep a session to a distant node until as many `unwant` came."""
        if node != self._node:
            self.targets.want(node, now)

    def unwant(self, node: bytes, now: int) -> None:
        """Take back one `want`; with the last, a session that we dialled for it is closed."""
        if self.targets.unwant(node):
            for conn in [
                conn for conn in self._streams.values() if conn.ends.target == ("route", node)
            ]:
                self._finish(conn, "not wanted", now)

    def is_thin(self, node: bytes) -> bool:
        """Tell whether a LoRa hop lies on the way to a node: while it does, it is not dialled."""
        return self.targets.is_thin(node)

    def route_seen(self, node: bytes, now: int) -> None:
        """Dial a wanted node without waiting: a route to it is there."""
        if self._roster.of_node(node) is None:
            self.targets.route_seen(node, now)

    # --- streams ----------------------------------------------------------------------------------

    def stream_accepted(self, peer: str, link: str, now: int) -> int | None:
        """Take an incoming TCP connection from an address; None refuses it.

        `link` is the interface it came by, "" where that is not known.
        """
        ends = ends_of(peer, link, self._mesh)
        lost = ends.direct and link not in self._links
        reason = DropReason.UNKNOWN_LINK if lost else None
        reason = reason or self._gate.refuse(ends, self._half_open.values(), now)
        if reason is not None:
            self._ctx.drop(reason, link)
            return None
        self._accepted += 2
        handshake = Handshake(self._local, initiator=False)
        conn = Connection(self._accepted, handshake, ends=ends, now=now)
        self._streams[conn.stream] = conn
        self._half_open[conn.stream] = conn
        self._ctx.timers.set(("session", "deadline", conn.stream), now + HANDSHAKE_TIMEOUT_US)
        return conn.stream

    def stream_opened(self, stream: int, now: int) -> None:
        """Begin the handshake on a stream that we dialled."""
        conn = self._streams.get(stream)
        if conn is None or conn.state is not State.DIALLING:
            return
        self._ctx.timers.set(("session", "deadline", stream), now + HANDSHAKE_TIMEOUT_US)
        conn.connected()
        self._note_ready(conn)

    def stream_failed(self, stream: int, why: str, now: int) -> None:
        """Note that a dial did not succeed."""
        self._lost(stream, why, now)

    def stream_closed(self, stream: int, why: str, now: int) -> None:
        """Note that a stream has ended."""
        self._lost(stream, why, now)

    def stream_writable(self, stream: int, count: int, now: int) -> None:
        """Take back credit for bytes that the host has written."""
        conn = self._streams.get(stream)
        if conn is not None:
            conn.add_credit(count)
            self._note_ready(conn)

    def stream_received(self, stream: int, data: bytes, now: int) -> None:
        """Take bytes of a stream."""
        conn = self._streams.get(stream)
        if conn is None:
            return
        items = conn.receive(data, now)
        if conn.state is State.UP and not conn.number and not self._admit(conn, now):
            return
        for item in items:
            self._hand_up(conn.number, item)
        if conn.failure is not None:
            self._refuse(conn, conn.failure, now)
        else:
            self._note_ready(conn)

    # --- the layer above --------------------------------------------------------------------------

    def send(self, session: int, record: bytes) -> bool:
        """Queue a record; False when the session is gone or has no room: `SessionRoom` follows.

        Raises: UsageError when it is longer than `RECORD_DATA_MAX`.
        """
        conn = self._roster.get(session)
        taken = conn is not None and conn.send(record)
        if conn is not None:
            self._note_ready(conn)
        return taken

    def send_bulk(self, session: int, head: bytes, data: bytes) -> bool:
        """Queue an encrypted head and up to 64 KiB of raw bytes that are ciphertext already.

        Raises: UsageError when either is out of bounds.
        """
        conn = self._roster.get(session)
        taken = conn is not None and conn.send_bulk(head, data)
        if conn is not None:
            self._note_ready(conn)
        return taken

    def room(self, session: int) -> int:
        """Return how many bytes `send` would take now."""
        conn = self._roster.get(session)
        return conn.room if conn else 0

    def use(self, session: int) -> None:
        """Note that a space is shared with this peer: when room is short, others go first."""
        conn = self._roster.get(session)
        if conn is not None:
            conn.used = True

    def close(self, session: int, why: str, now: int) -> None:
        """End a session; its target, if any, is tried again later."""
        conn = self._roster.get(session)
        if conn is not None:
            self._finish(conn, why, now)

    def poll_event(self) -> SessionEvent | None:
        """Return the next event for the layer above."""
        return self._events.popleft() if self._events else None

    @property
    def ready(self) -> bool:
        """Tell whether `poll_send` may have something."""
        return bool(self._ready)

    def poll_send(self) -> StreamSend | None:
        """Return the next bytes for a stream, the streams in turn."""
        while self._ready:
            stream = next(iter(self._ready))
            del self._ready[stream]
            conn = self._streams.get(stream)
            if conn is None or not conn.can_send:
                continue
            piece = conn.take()
            if conn.number and conn.has_room_again():
                self._events.append(SessionRoom(conn.number))
            self._note_ready(conn)
            return piece
        return None

    def statuses(self, now: int) -> tuple[SessionStatus, ...]:
        """Return the sessions, and the configured peers that have none."""
        return telling.statuses(self._roster, self.targets, now)

    def problems(self) -> tuple[Problem, ...]:
        """Return a problem for each configured peer that was tried again and is not reached."""
        return telling.problems(self._roster, self.targets)

    def handle_timer(self, key: Key, now: int) -> None:
        """Act on a timer whose key begins with "session"."""
        if key[1] == "knock":
            self._knocker.knock_due(key)
        elif key[1] == "seek":
            self._knocker.seek_due(key, now)
        elif key[1] == "dial":
            self._dial(key[2], now)
        elif key[1] == "deadline" and isinstance(key[2], int):
            conn = self._streams.get(key[2])
            if conn is not None:
                self._refuse(conn, DropReason.HANDSHAKE_TIMEOUT, now)

    # --- dialling ---------------------------------------------------------------------------------

    def _dial(self, key: object, now: int) -> None:
        target = self.targets.get(key if isinstance(key, tuple) else None)
        if target is None or self._served(target.node, target):
            return
        if not self.targets.begin(target, now):
            return
        remote = None if target.first_contact else self.known.static(target.node or target.hint)
        target.first_contact = False
        self._dialled += 2
        handshake = Handshake(self._local, initiator=True, remote=remote)
        conn = Connection(self._dialled, handshake, ends=target.ends(), now=now)
        self._streams[conn.stream] = conn
        self._ctx.timers.set(("session", "deadline", conn.stream), now + CONNECT_TIMEOUT_US)
        keepalive = target.key[0] == "peer"
        self._ctx.emit(StreamOpen(conn.stream, target.host, target.port, target.link, keepalive))

    def _served(self, node: bytes | None, target: Target) -> bool:
        """Tell whether `node` needs no dial of a target: it has a session, and no worse one."""
        conn = self._roster.of_node(node)
        return conn is not None and (conn.ends.direct or target.key[0] != "link")

    def _grace(self, node: bytes) -> int:
        return 0 if self._node < node else GRACE_US

    # --- a session comes up and goes down ---------------------------------------------------------

    def _admit(self, conn: Connection, now: int) -> bool:
        """Make a session of a connection whose peer has proven to be here; False when refused."""
        peer = conn.peer
        assert peer is not None
        self._half_open.pop(conn.stream, None)
        reason = self._misfit(conn, peer)
        if reason is not None:
            self._refuse(conn, reason, now)
            return False
        verdict = self._roster.judge(conn, peer.node, now)
        self._note_target(conn, peer, now)
        if not verdict.enters:
            if verdict.refusal is not None:
                self._ctx.drop(verdict.refusal, conn.ends.link)
            self._finish(conn, verdict.why, now)
            return False
        self._ctx.timers.cancel(("session", "deadline", conn.stream))
        conn.up_us = now
        conn.number = self._roster.enter(conn, peer.node)
        if verdict.leaves is not None:
            if verdict.refusal is not None:
                self._ctx.drop(verdict.refusal, verdict.leaves.ends.link)
            self._finish(verdict.leaves, verdict.why, now)
        via, link = conn.ends.via, conn.ends.link
        self._events.append(SessionUp(conn.number, peer.node, peer.public, via, link))
        self._ctx.emit(Notice("session-up", {"node": node_text(peer.node), "via": conn.ends.way}))
        return True

    def _misfit(self, conn: Connection, peer: Peer) -> DropReason | None:
        """Return why this peer may have no session on this connection."""
        if peer.node == self._node:
            return DropReason.NODE_SELF
        if conn.ends.expected not in (None, peer.node):
            return DropReason.NODE_UNEXPECTED
        if not self.known.meet(peer.node, Keys(peer.public, peer.static)):
            return DropReason.NODE_TWIN
        self.known.named(peer.node, peer.name)
        return None

    def _note_target(self, conn: Connection, peer: Peer, now: int) -> None:
        """Learn whom a target leads to, and how to dial a neighbour that dialled us."""
        target = self.targets.get(conn.ends.target)
        if target is None and conn.ends.direct and peer.port >= PORT_MIN:
            link, host = conn.ends.link, conn.ends.host
            target = self.targets.hint(link, host, peer.port, node=peer.node, now=now)
        if target is not None:
            self.targets.finished(target)
            target.node = peer.node

    def _refuse(self, conn: Connection, reason: DropReason, now: int) -> None:
        """Drop a connection for a named reason."""
        self._ctx.drop(reason, conn.ends.link)
        if reason is DropReason.NODE_TWIN and conn.peer is not None:
            self._report_twin(conn.peer.node, now)
        elif conn.key_unanswered and reason is not DropReason.HANDSHAKE_TIMEOUT:
            self._retry_unkeyed(conn)
        self._finish(conn, reason.value, now)

    def _report_twin(self, node: bytes, now: int) -> None:
        """Refuse both devices that hold one NodeId, and say so."""
        self._ctx.emit(Notice("node-twin", {"node": node_text(node)}, warning=True))
        other = self._roster.of_node(node)
        if other is not None:
            self._finish(other, DropReason.NODE_TWIN.value, now)

    def _retry_unkeyed(self, conn: Connection) -> None:
        target = self.targets.get(conn.ends.target)
        if target is not None:
            target.first_contact = True

    def _lost(self, stream: int, why: str, now: int) -> None:
        """Take the host's word that a stream is over."""
        conn = self._streams.get(stream)
        if conn is not None:
            if conn.key_unanswered:
                self._retry_unkeyed(conn)
            self._finish(conn, why, now, told=True)

    def _finish(self, conn: Connection, why: str, now: int, *, told: bool = False) -> None:
        """End a connection, tell above and below, and see to the next dial."""
        self._streams.pop(conn.stream, None)
        self._half_open.pop(conn.stream, None)
        self._ready.pop(conn.stream, None)
        self._ctx.timers.cancel(("session", "deadline", conn.stream))
        conn.end()
        if not told:
            self._ctx.emit(StreamClose(conn.stream, why))
        node = conn.peer.node if conn.peer and conn.number else None
        if node is not None:
            self._roster.leave(conn)
            self._events.append(SessionDown(conn.number, node, why))
            self._ctx.emit(Notice("session-down", {"node": node_text(node), "why": why}))
        target = self.targets.get(conn.ends.target)
        if target is not None:
            self.targets.finished(target)
            if not self._served(target.node, target):
                held_us = now - conn.up_us if conn.number else 0
                self.targets.failed(target, why, held_us=held_us, now=now)
        if node is not None and self._roster.of_node(node) is None:
            for other in self.targets.of_node(node):
                if other is not target:
                    delay_us = self._ctx.jitter(*REDIAL_US) + self._grace(node)
                    self.targets.kick(other, now, delay_us=delay_us)

    # --- helpers ----------------------------------------------------------------------------------

    def _hand_up(self, number: int, item: Item) -> None:
        if isinstance(item, Data):
            self._events.append(RecordReceived(number, item.body))
        elif isinstance(item, Bulk):
            self._events.append(BulkReceived(number, item.head, item.data))

    def _note_ready(self, conn: Connection) -> None:
        if conn.can_send:
            self._ready.setdefault(conn.stream)
