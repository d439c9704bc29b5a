"""One simulated device: its disk, its kernel routes, its streams, and the Node that runs on it.

Enters: what the world carries here. Leaves: what the node wants done, with delays and faults.
Must not know: anything but the engine's border.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address
from random import Random
from typing import TYPE_CHECKING

from meshd.core.events import (
    Datagram,
    Link,
    LinkKind,
    MetaRow,
    Notice,
    Progress,
    Reply,
    RouteInstalled,
    RouteRemoved,
    StoreAppend,
    StoreRead,
    StreamClose,
    StreamOpen,
    StreamSend,
    Transmit,
)
from meshd.node import Boot, Node
from meshd.simulation.pipe import End, Pipe, reaches
from meshd.store.memory import MemoryStore

if TYPE_CHECKING:
    from meshd.core.identity import Identity
    from meshd.simulation.world import World

LINK = "w0"
SEQNO_BLOCK = 1_000
_NOTICES_MAX = 10_000
_COMMIT_US = (500, 20_000)
_READ_US = (100, 5_000)
_CONNECT_US = 2_000


class Host:
    """A device whose power can go: `crash` loses what was not committed, `start` boots again."""

    def __init__(self, world: World, number: int, name: str, identity: Identity) -> None:
        self.world = world
        self.number = number
        self.name = name
        self.identity = identity
        self.link_address = b"\xfe\x80" + bytes(6) + (number + 1).to_bytes(8, "big")
        self.store = MemoryStore()
        self.routes: dict[bytes, bytes] = {}
        self.replies: dict[int, Reply] = {}
        self.progress: list[Progress] = []
        self.notices: list[Notice] = []
        self.running = False
        self.node: Node
        self._life = 0
        self._tickets = 0
        self._armed: int | None = None
        self._waiting: list[StoreAppend] = []
        self.pipes: dict[int, Pipe] = {}
        self._draining = False

    # --- power ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Boot: read the disk, reserve numbers on it, bring the link up."""
        metas = self.store.load().metas
        boot = int.from_bytes(metas.get("boot", b""), "big") + 1
        seqno = int.from_bytes(metas.get("babel-seqno-reserved", b"\0\1"), "big")
        limit = (seqno + SEQNO_BLOCK) % 65536
        reserved = (
            MetaRow("boot", boot.to_bytes(4, "big")),
            MetaRow("babel-seqno-reserved", limit.to_bytes(2, "big")),
        )
        self.store.commit([reserved])
        keys = Random(self.world.rng.getrandbits(64))
        self.node = Node(
            self.world.options,
            identity=self.identity,
            boot=Boot(boot, seqno, limit),
            image=self.store.load(),
            rng=Random(keys.getrandbits(64)),
            entropy=keys.randbytes,
        )
        self.running = True
        self._life += 1
        self._armed = None
        self.node.start(self.world.now)
        link = Link(LINK, LinkKind.MESH, self.link_address)
        self.input(lambda: self.node.add_link(link, self.world.now))

    def crash(self) -> None:
        """Lose power: memory, routes and queued commits are gone, the disk stays."""
        self.running = False
        self._life += 1
        self.routes.clear()
        self._waiting.clear()
        for pipe in list(self.pipes.values()):
            pipe.close()

    # --- inputs -----------------------------------------------------------------------------------

    def hear(self, source: bytes, datagram: Transmit, *, multicast: bool) -> None:
        """Take a datagram from the air."""
        if self.running:
            heard = Datagram(source, datagram.port, datagram.data, multicast)
            self.input(lambda: self.node.receive(LINK, heard, self.world.now))

    def request(self, verb: str, **args: object) -> int:
        """Ask the node as the command line would; the answer appears in `replies`."""
        self._tickets += 1
        ticket = self._tickets
        self.input(lambda: self.node.request(verb, args, ticket, self.world.now))
        return ticket

    def ask(self, verb: str, *, limit_us: int = 30_000_000, **args: object) -> dict[str, object]:
        """Ask and let time pass until the answer is there; an error reply fails the assertion."""
        ticket = self.request(verb, **args)
        assert self.world.run_until(lambda: ticket in self.replies, limit_us), f"{verb}: no reply"
        reply = self.replies[ticket]
        assert reply.value is not None, f"{verb}: {reply.error}"
        return reply.value

    def input(self, action: Callable[[], None]) -> None:
        """Feed one input, then drain every output and arm the one timer."""
        action()
        self.drain()

    def drain(self) -> None:
        """Carry out all that the node wants, until it wants no more."""
        if self._draining:
            return
        self._draining = True
        node = self.node
        while True:
            if (sent := node.poll_transmit()) is not None:
                if isinstance(sent, Transmit):
                    self.world.transmit(self, sent)
                else:
                    self._send(sent)
            elif (event := node.poll_event()) is not None:
                handler = getattr(self, f"_on_{type(event).__name__}")
                handler(event)
            else:
                break
        self._draining = False
        self._arm()

    def _arm(self) -> None:
        due = self.node.poll_timeout()
        if due is None or due[0] == self._armed:
            return
        self._armed = deadline = due[0]
        life = self._life

        def wake() -> None:
            if self._life == life and self._armed == deadline:
                self._armed = None
                self.input(lambda: self.node.handle_timeout(self.world.now))

        self.world.at(deadline, wake)

    def _later(self, delay_us: int, action: Callable[[], None]) -> None:
        """Feed an input after a delay, unless the power goes first."""
        life = self._life

        def wake() -> None:
            if self._life == life:
                self.input(action)

        self.world.at(self.world.now + delay_us, wake)

    # --- outputs ----------------------------------------------------------------------------------

    def _on_RouteInstalled(self, event: RouteInstalled) -> None:
        if event.prefix.length == 128:
            self.routes[event.prefix.address] = event.next_hop

    def _on_RouteRemoved(self, event: RouteRemoved) -> None:
        self.routes.pop(event.prefix.address, None)

    def _on_Reply(self, event: Reply) -> None:
        self.replies[event.ticket] = event

    def _on_Progress(self, event: Progress) -> None:
        self.progress.append(event)

    def _on_Notice(self, event: Notice) -> None:
        self.notices.append(event)
        del self.notices[:-_NOTICES_MAX]

    def _on_StoreAppend(self, event: StoreAppend) -> None:
        self._waiting.append(event)
        if len(self._waiting) == 1:
            self._later(self.world.rng.randint(*_COMMIT_US), self._commit)

    def _commit(self) -> None:
        group, self._waiting = self._waiting, []
        self.store.commit([append.rows for append in group])
        self.node.committed(group[-1].number, self.world.now)

    def _on_StoreRead(self, event: StoreRead) -> None:
        def answer() -> None:
            found = self.store.answer(event.query)
            self.node.read_done(event.token, found, self.world.now)

        self._later(self.world.rng.randint(*_READ_US), answer)

    # --- streams ----------------------------------------------------------------------------------

    def _on_StreamOpen(self, event: StreamOpen) -> None:
        self._later(_CONNECT_US, lambda: self._connect(event))

    def _connect(self, event: StreamOpen) -> None:
        address = IPv6Address(event.host).packed
        target, now = self.world.find(address), self.world.now
        link = LINK if event.link else ""
        if target is None or not target.running or not reaches(self, target, link):
            self.node.stream_failed(event.stream, "no route", now)
            return
        source = self.link_address if link else self.node.address
        number = target.node.stream_accepted(str(IPv6Address(source)), link, now)
        if number is None:
            self.node.stream_failed(event.stream, "refused", now)
        else:
            here, there = End(self, event.stream), End(target, number)
            self.pipes[event.stream] = Pipe(here, there, link)
            target.pipes[number] = Pipe(there, here, link)
            self.node.stream_opened(event.stream, now)
        target.drain()

    def _send(self, event: StreamSend) -> None:
        pipe = self.pipes.get(event.stream)
        if pipe is not None:
            pipe.send(event.data)

    def _on_StreamClose(self, event: StreamClose) -> None:
        pipe = self.pipes.get(event.stream)
        if pipe is not None:
            pipe.close()
