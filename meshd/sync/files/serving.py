"""Gives chunks to peers: asks queue up by session, pieces leave as the session has room.

Enters: ASK and CANCEL of sessions that share the space, room. Leaves: PIECE, MISSING, OFFER.
Whoever asks for what is not held is told so at once, and told again when it is. What a peer can
make grow is bounded: asks a session, chunks in memory, remembered interests.
`lost` is called when a chunk of a known file is not held. Must not know: keys, names of files.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.events import Answer, ChunkQuery
from meshd.sync.files.catalogue import Catalogue, Manifest
from meshd.sync.files.layout import chunk_size, index_address, is_address, name_in
from meshd.sync.files.ports import FileSessions
from meshd.sync.reads import Reads
from meshd.wire.file_messages import (
    ITEMS_MAX,
    PIECE_BYTES_MAX,
    ROOT_ADDRESS,
    Ask,
    Missing,
    Offer,
    Piece,
)

ASKS_MAX = 64
"""Asks of one session that wait; the next ones are answered MISSING."""
LOADED_SESSION_MAX = 2
LOADED_MAX = 16
"""Chunks in memory to be sent, over all sessions."""
STALL_US = 20_000_000
"""A session that takes nothing for so long loses what was loaded for it."""
INDEX_CACHE_BYTES_MAX = 8 * 1024 * 1024
INTERESTS_MAX = 256
"""Chunks that a session asked for in vain, remembered for OFFER; the oldest goes first."""
PIECE_SPARE = 32 * 1024
"""Room left beyond a piece: for its head, and for the records of others."""

_Interest = tuple[bytes, bytes, int]


class _Load:
    """One ask on its way: to be read (data None) or being sent."""

    __slots__ = ("address", "data", "manifest", "offset", "reading", "request")

    def __init__(self, request: int, address: int, manifest: Manifest) -> None:
        self.request = request
        self.address = address
        self.reading = address
        self.manifest = manifest
        self.data: bytes | None = None
        self.offset = 0


class _Customer:
    """One session: asks not yet begun, loads in order, what it asked for in vain."""

    __slots__ = ("interests", "loads", "moved_us", "queue", "session")

    def __init__(self, session: int) -> None:
        self.session = session
        self.queue: deque[_Load] = deque()
        self.loads: deque[_Load] = deque()
        self.interests: OrderedDict[_Interest, None] = OrderedDict()
        self.moved_us = 0


class Serving:
    """The giving side of `Files`."""

    def __init__(
        self,
        ctx: Context,
        sessions: FileSessions,
        catalogue: Catalogue,
        reads: Reads,
        *,
        lost: Callable[[Manifest, int], None],
    ) -> None:
        self._ctx = ctx
        self._lost = lost
        self._sessions = sessions
        self._catalogue = catalogue
        self._reads = reads
        self._customers: dict[int, _Customer] = {}
        self._loaded = 0
        self._indexes: OrderedDict[bytes, bytes] = OrderedDict()
        self._indexes_bytes = 0

    def session_up(self, session: int) -> None:
        """Begin to serve a session."""
        self._customers.setdefault(session, _Customer(session))

    def session_down(self, session: int, now: int) -> None:
        """Forget what a session asked for."""
        customer = self._customers.pop(session, None)
        if customer is not None:
            self._loaded -= len(customer.loads)
            self._ctx.timers.cancel(("files", "stall", session))
            self._begin_all(now)

    def ask(self, session: int, message: Ask, now: int) -> None:
        """Take asks for chunks of a space that the session shares."""
        customer = self._customers[session]
        manifest = self._catalogue.get(message.space, message.root)
        missing: list[int] = []
        for request, address in message.asked:
            if manifest is None:
                self._note(customer, (message.space, message.root, address))
                missing.append(request)
            elif not is_address(manifest.clear, address):
                self._ctx.drop(DropReason.FILE_ADDRESS)
                missing.append(request)
            elif len(customer.queue) >= ASKS_MAX:
                self._ctx.drop(DropReason.FILE_ASKS_FULL)
                missing.append(request)
            else:
                customer.queue.append(_Load(request, address, manifest))
        if missing:
            self._sessions.send(session, Missing(tuple(missing)).encode())
        self._begin(customer, now)

    def cancel(self, session: int, requests: tuple[int, ...], now: int) -> None:
        """Forget asks that are wanted no more."""
        customer = self._customers[session]
        customer.queue = deque(load for load in customer.queue if load.request not in requests)
        for load in [load for load in customer.loads if load.request in requests]:
            self._unload(customer, load)
        self._begin_all(now)
        self._push(customer, now)

    def room(self, session: int, now: int) -> None:
        """Send what the session has room for."""
        customer = self._customers.get(session)
        if customer is not None:
            self._push(customer, now)

    def held(self, space: bytes, root: bytes, address: int) -> None:
        """A chunk came: tell the sessions that asked for it in vain."""
        interest = (space, root, address)
        for session, customer in self._customers.items():
            if interest in customer.interests:
                del customer.interests[interest]
                self._sessions.send(session, Offer(space, root, (address,)).encode())

    def known(self, space: bytes, root: bytes) -> None:
        """A manifest came whose chunks may be held already: offer what was asked for before."""
        for session, customer in self._customers.items():
            wanted = [key[2] for key in customer.interests if key[:2] == (space, root)]
            for address in wanted:
                del customer.interests[space, root, address]
            for start in range(0, len(wanted), ITEMS_MAX):
                some = tuple(wanted[start : start + ITEMS_MAX])
                self._sessions.send(session, Offer(space, root, some).encode())

    def stalled(self, session: int, now: int) -> None:
        """Take memory back from a session that takes nothing."""
        customer = self._customers.get(session)
        if customer is None or not customer.loads:
            return
        if customer.moved_us + STALL_US > now:
            self._ctx.timers.set(("files", "stall", session), customer.moved_us + STALL_US)
            return
        self._ctx.drop(DropReason.FILE_STALLED)
        for load in tuple(customer.loads):
            self._miss(customer, load)
        self._begin_all(now)

    def _begin_all(self, now: int) -> None:
        for customer in tuple(self._customers.values()):
            if self._loaded >= LOADED_MAX:
                return
            self._begin(customer, now)

    def _begin(self, customer: _Customer, now: int) -> None:
        """Read the next chunks of a session, as memory allows."""
        while (
            customer.queue
            and len(customer.loads) < LOADED_SESSION_MAX
            and self._loaded < LOADED_MAX
        ):
            load = customer.queue.popleft()
            if not customer.loads:
                customer.moved_us = now
                self._ctx.timers.set(("files", "stall", customer.session), now + STALL_US)
            customer.loads.append(load)
            self._loaded += 1
            self._locate(customer, load, load.address, now)

    def _locate(self, customer: _Customer, load: _Load, address: int, now: int) -> None:
        """Read the chunk at `address`: the one asked for, or index chunks on the way to it."""
        clear = load.manifest.clear
        name = clear.root
        if address != ROOT_ADDRESS:
            above = index_address(clear, address)
            parent = self._name_of(load.manifest, above)
            index = self._index(parent) if parent is not None else None
            if index is None:
                self._locate(customer, load, above, now)
                return
            name = name_in(index, address)
        query = ChunkQuery(name, 0, chunk_size(clear, address))
        load.reading = address
        self._reads.ask(query, partial(self._loaded_chunk, customer, load))

    def _name_of(self, manifest: Manifest, address: int) -> bytes | None:
        """Return the name of an index chunk, when what names it is in memory."""
        if address == ROOT_ADDRESS:
            return manifest.clear.root
        root = self._index(manifest.clear.root)
        return None if root is None else name_in(root, address)

    def _loaded_chunk(
        self, customer: _Customer, load: _Load, answer: Answer, why: str, now: int
    ) -> None:
        if load not in customer.loads or self._customers.get(customer.session) is not customer:
            return
        data = answer[1] if isinstance(answer, tuple) and len(answer) == 2 else None
        clear, address = load.manifest.clear, load.reading
        if not isinstance(data, bytes) or len(data) != chunk_size(clear, address):
            self._miss(customer, load)
            if not why:
                self._lost(load.manifest, now)
            self._begin(customer, now)
            self._push(customer, now)
            return
        if address != load.address:
            self._remember(self._name_of(load.manifest, address) or clear.root, data)
            self._locate(customer, load, load.address, now)
            return
        load.data = data
        self._push(customer, now)

    def _push(self, customer: _Customer, now: int) -> None:
        """Send pieces of the first loads while there is room; begin the next ones."""
        session = customer.session
        while customer.loads and (data := customer.loads[0].data) is not None:
            load = customer.loads[0]
            length = min(PIECE_BYTES_MAX, len(data) - load.offset)
            if self._sessions.room(session) < length + PIECE_SPARE:
                return
            piece = data[load.offset : load.offset + length]
            if not self._sessions.send_bulk(
                session, Piece(load.request, load.offset).encode(), piece
            ):
                return
            customer.moved_us = now
            load.offset += length
            if load.offset == len(data):
                self._unload(customer, load)
                self._begin(customer, now)

    def _miss(self, customer: _Customer, load: _Load) -> None:
        clear = load.manifest.clear
        self._note(customer, (load.manifest.space, clear.root, load.address))
        self._unload(customer, load)
        self._sessions.send(customer.session, Missing((load.request,)).encode())

    def _unload(self, customer: _Customer, load: _Load) -> None:
        customer.loads.remove(load)
        self._loaded -= 1
        if not customer.loads:
            self._ctx.timers.cancel(("files", "stall", customer.session))

    def _note(self, customer: _Customer, interest: _Interest) -> None:
        customer.interests[interest] = None
        if len(customer.interests) > INTERESTS_MAX:
            customer.interests.popitem(last=False)

    def _index(self, name: bytes) -> bytes | None:
        found = self._indexes.get(name)
        if found is not None:
            self._indexes.move_to_end(name)
        return found

    def _remember(self, name: bytes, index: bytes) -> None:
        if name in self._indexes:
            return
        self._indexes[name] = index
        self._indexes_bytes += len(index)
        while self._indexes_bytes > INDEX_CACHE_BYTES_MAX:
            _, old = self._indexes.popitem(last=False)
            self._indexes_bytes -= len(old)
