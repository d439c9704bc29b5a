"""Hold one stream: its handshake, then its channel, and what waits to be sent within credit.

Enters: bytes and credit from the host, records from above. Leaves: items received, pieces to send.
Both directions are bounded: one item inwards, `QUEUE_BYTES_MAX` outwards.
Must not know: other streams, which peers are wanted.
"""

from collections import deque
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple

from meshd.core.drops import DropReason
from meshd.core.events import StreamSend
from meshd.core.ids import (
    address_text,
    host_prefix,
    is_link_local,
    mesh_prefix,
    node_of_address,
)
from meshd.core.limits import STREAM_CREDIT_BYTES
from meshd.session.channel import Channel, Item
from meshd.session.handshake import Handshake, Peer
from meshd.session.lifecycle import Input, State
from meshd.wire.session_records import Confirm

QUEUE_BYTES_MAX = 512 * 1024
"""What may wait in one session before `send` is refused."""

ROOM_AGAIN_BYTES = QUEUE_BYTES_MAX // 2
"""A session whose queue was fuller than this says so when it has drained to it."""

RECORD_OVERHEAD = 19
"""Length, kind and tag: what a data record adds to its body."""

BULK_OVERHEAD = RECORD_OVERHEAD + 4
"""What a bulk adds to its head and its bytes."""

_JOIN_BELOW = 4096
_PIECE_MAX = 68 * 1024
"""A whole bulk with its head goes out at once."""


class Ends(NamedTuple):
    """Where a stream leads: interface ("" when routing chose), the other side's address as text,
    "link", "route" or "peer", which NodeId it must prove (None: any), what it was dialled for.
    """

    link: str
    host: str
    via: str
    expected: bytes | None = None
    target: tuple[object, ...] | None = None

    @property
    def direct(self) -> bool:
        """Tell whether the other side is a neighbour on a link, not somewhere behind routes."""
        return self.via == "link"

    @property
    def way(self) -> str:
        """The interface, "route", or the address of a peer: what a person is told."""
        return {"link": self.link, "route": "route"}.get(self.via, self.host)

    @property
    def wished(self) -> bool:
        """Tell whether this node wants it: a configured peer, or a node asked for by name."""
        return self.target is not None and self.target[0] != "link"


def ends_of(peer: str, link: str, mesh: bytes) -> Ends:
    """Return where an accepted stream comes from; a mesh address must be proven."""
    host = peer.partition("%")[0]
    try:
        address = IPv6Address(host).packed
    except AddressValueError:
        return Ends(link, host, "peer")
    if link and is_link_local(address):
        return Ends(link, address_text(address), "link")
    if mesh_prefix(mesh).contains(host_prefix(address)):
        return Ends(link, host, "route", node_of_address(address))
    return Ends(link, host, "peer")


class Connection:
    """One stream of a session, from dialling or accepting to its end.

    `number` is the session's number for the layers above, 0 before it is up. `rx_us` is when bytes
    last came. `used`: the layers above have something in common with the peer.
    """

    __slots__ = (
        *("_channel", "_credit", "_handshake", "_offset", "_queue", "_was_full"),
        *("ends", "failure", "initiator", "number", "queued", "rx_bytes", "rx_us"),
        *("stream", "tx_bytes", "up_us", "used"),
    )

    def __init__(self, stream: int, handshake: Handshake, *, ends: Ends, now: int) -> None:
        self.stream = stream
        self.ends = ends
        self.initiator = handshake.state is State.DIALLING
        self.number = 0
        self.up_us = 0
        self.used = False
        self.rx_us = now
        self.rx_bytes = 0
        self.tx_bytes = 0
        self.queued = 0
        self.failure: DropReason | None = None
        self._credit = STREAM_CREDIT_BYTES
        self._handshake = handshake
        self._channel: Channel | None = None
        self._queue: deque[bytes] = deque()
        self._offset = 0
        self._was_full = False

    @property
    def state(self) -> State:
        """Where the stream stands."""
        return self._handshake.state

    @property
    def peer(self) -> Peer | None:
        """Who it claims to be; proven to be there only when the state is UP."""
        return self._handshake.peer

    @property
    def key_unanswered(self) -> bool:
        """Tell whether we opened with a remembered key (IK) that was not answered."""
        return self._handshake.key_unanswered

    @property
    def binding(self) -> bytes:
        """The handshake's hash: what both sides know of this stream and nobody else chose."""
        return self._handshake.binding

    # --- from the host ----------------------------------------------------------------------------

    def connected(self) -> None:
        """Send the opening: the stream that we dialled is open."""
        self._push(self._handshake.connected())

    def receive(self, data: bytes, now: int) -> list[Item]:
        """Take bytes; return items for the layer above, none before the state is UP.

        After a failure `failure` names it and the state is CLOSED.
        """
        self.rx_bytes += len(data)
        self.rx_us = now
        if self._channel is None:
            self._push(self._handshake.feed(data))
            data = self._begin_channel()
        items = self._channel.feed(data) if self._channel else []
        if items and self.state is State.CONFIRM_AWAITED and isinstance(items[0], Confirm):
            self._handshake.step(Input.CONFIRM)
            items = items[1:]
        for item in items:
            self._handshake.step(Input.FAILED if isinstance(item, Confirm) else Input.RECORD)
            if self.state is State.CLOSED:
                self._handshake.fail(DropReason.RECORD_MALFORMED)
                items = []
                break
        if self._channel and self._channel.failure:
            self._handshake.fail(self._channel.failure)
        self.failure = self._handshake.failure
        return items

    def add_credit(self, count: int) -> None:
        """Take back credit for `count` bytes that the host has written."""
        self._credit = min(self._credit + count, STREAM_CREDIT_BYTES)

    def end(self) -> None:
        """Close it: nothing is sent or taken any more."""
        if self.state is not State.CLOSED:
            self._handshake.step(Input.ENDED)
        self._queue.clear()
        self.queued = 0

    # --- from above -------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many bytes of one record's body, or of one bulk with its head, `send` would take."""
        if self._channel is None or self.state is not State.UP:
            return 0
        return max(0, QUEUE_BYTES_MAX - self.queued - BULK_OVERHEAD)

    def send(self, body: bytes) -> bool:
        """Queue a record; False when there is no room."""
        if len(body) > self.room or self._channel is None:
            self._was_full = True
            return False
        self._push(self._channel.seal_data(body))
        return True

    def send_bulk(self, head: bytes, data: bytes) -> bool:
        """Queue a bulk; False when there is no room."""
        if len(head) + len(data) > self.room or self._channel is None:
            self._was_full = True
            return False
        self._push(self._channel.seal_bulk(head, len(data)))
        self._push(data)
        return True

    @property
    def can_send(self) -> bool:
        """Tell whether `take` would give something."""
        return bool(self._queue) and self._credit > 0

    def take(self) -> StreamSend:
        """Return the next piece within credit: small items joined, with a bulk behind them."""
        limit = min(self._credit, _PIECE_MAX)
        head = self._queue[0]
        if self._offset or len(head) > limit:
            piece = bytes(memoryview(head)[self._offset : self._offset + limit])
            self._offset += len(piece)
            if self._offset == len(head):
                self._queue.popleft()
                self._offset = 0
        else:
            parts = [self._queue.popleft()]
            size = len(head)
            while self._queue and size < _JOIN_BELOW and size + len(self._queue[0]) <= limit:
                size += len(self._queue[0])
                parts.append(self._queue.popleft())
            piece = parts[0] if len(parts) == 1 else b"".join(parts)
        self._credit -= len(piece)
        self.queued -= len(piece)
        self.tx_bytes += len(piece)
        return StreamSend(self.stream, piece)

    def has_room_again(self) -> bool:
        """Tell once that a queue which was more than half full has drained to half."""
        if not self._was_full or self.queued > ROOM_AGAIN_BYTES:
            return False
        self._was_full = False
        return True

    # --- helpers ----------------------------------------------------------------------------------

    def _begin_channel(self) -> bytes:
        """Go over to the channel when the handshake is done; return what already belongs to it."""
        if self._handshake.ciphers is None:
            return b""
        self._channel = Channel(*self._handshake.ciphers)
        if self.initiator:
            self._push(self._channel.seal_confirm())
        return self._handshake.rest()

    def _push(self, data: bytes) -> None:
        if data:
            self._queue.append(data)
            self.queued += len(data)
            self._was_full = self._was_full or self.queued > ROOM_AGAIN_BYTES
