"""One simulated device: its clock, disk, kernel routes and streams, and the Node that runs on it.

Enters: what the world carries here. Leaves: what the node wants done, with delays and faults.
Must not know: anything but the engine's border. The node sees this host's own monotonic time only.
The disk answers as `runtime/store_worker.py` does: what waits when a commit begins goes into it;
after a failed one all that waits has failed too, and the node gets a new image before the next.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any, NamedTuple

from meshd.core.errors import UsageError
from meshd.core.events import (
    AirtimeSave,
    Datagram,
    Link,
    MetaRow,
    Notice,
    Progress,
    RadioSend,
    Reply,
    RouteInstalled,
    RouteRemoved,
    StoreAppend,
    StoreRead,
    StreamClose,
    StreamOpen,
    StreamSend,
    Transmit,
    TunSend,
)
from meshd.node import Boot, Node
from meshd.recording.recorder import RecordingNode
from meshd.routing.own import reserve
from meshd.simulation.disk import Disk, Group, Journal
from meshd.simulation.faults.power import Power
from meshd.simulation.pipe import End, Pipe, join
from meshd.simulation.plan.plan import DISKS
from meshd.simulation.tun import SimTun
from meshd.store.interface import StoreError, StoreFault
from meshd.store.memory import MemoryStore

if TYPE_CHECKING:
    from meshd.core.identity import Identity
    from meshd.simulation.clock import Clock
    from meshd.simulation.lora.port import LoraPort
    from meshd.simulation.media.medium import Port
    from meshd.simulation.world import World

GROUP_MAX = 64
REOPEN_AFTER_US = 5_000_000
_NOTICES_MAX = 10_000
_CONNECT_US = 2_000


class Hop(NamedTuple):
    """A kernel route: out by a link, to a link-local address. An empty link leads nowhere."""

    link: str
    next_hop: bytes


@lru_cache(maxsize=4096)
def _hop(link: str, next_hop: bytes) -> Hop:
    """Return one value for all routes by a next hop: a large world has a million routes."""
    return Hop(link, next_hop)


class Host:
    """A device whose power can go: `crash` loses what was not committed, `start` boots again."""

    def __init__(
        self, world: World, number: int, name: str, *, identity: Identity, clock: Clock
    ) -> None:
        self.world = world
        self.number = number
        self.name = name
        self.identity = identity
        self.clock = clock
        self.x_m = 0.0
        self.y_m = 0.0
        self.ports: dict[str, Port] = {}
        self.lora: LoraPort | None = None
        self.tun = SimTun(self)
        self.routes: dict[bytes, Hop] = {}
        self.store = MemoryStore()
        self.disk = Disk(world.stream(f"disk of {name}"), world.stream(f"failing disk of {name}"))
        self.replies: dict[int, Reply] = {}
        self.progress: list[Progress] = []
        self.notices: list[Notice] = []
        self.pipes: dict[int, Pipe] = {}
        self.running = False
        self.power = Power(self.crash, self.start)
        self.node: Node
        self._journal = Journal(self.store)
        self._life = 0
        self._tickets = 0
        self._armed: int | None = None
        self._group: list[StoreAppend] = []
        self._queue: list[StoreAppend] = []
        self._unacknowledged: list[Group] = []
        self._down = ""
        self._draining = False

    @property
    def now(self) -> int:
        """This host's monotonic time."""
        return self.clock.local(self.world.now)

    @property
    def position(self) -> tuple[float, float]:
        """Where it stands, in metres."""
        return self.x_m, self.y_m

    def move(self, x_m: float, y_m: float) -> None:
        """Stand elsewhere; its media are told."""
        self.x_m, self.y_m = x_m, y_m
        for port in self.ports.values():
            port.medium.moved(self)
        if self.lora is not None:
            self.lora.moved()

    # --- power ------------------------------------------------------------------------------------

    def start(self, disk: str = "kept") -> None:
        """Boot: find the disk in a state of `plan.DISKS`, reserve numbers on it, bring links up.

        torn: of what was not acknowledged when the power went, a first part is there after all.
        rolled-back: what it was some minutes ago. empty: a new card with the same keys.
        """
        if self.running:
            return
        self._find_disk(disk)
        self._life += 1
        self.clock.boot(self.world.now)
        self.node = self._boot()
        self.running = True
        self._armed = None
        self.node.set_wall_clock(self.clock.wall_offset_us(self.world.now))
        self.node.start(self.now)
        for observer in self.world.observers:
            observer.started(self)
        for port in self.ports.values():
            port.medium.attach(port)
            link = Link(port.link, port.kind, port.address, port.medium.mtu)
            self.input(self.node.add_link, link)
        if self.lora is not None:
            self.lora.power_on(disk)

    def _find_disk(self, disk: str) -> None:
        if disk not in DISKS:
            raise UsageError(f"a disk is found {', '.join(DISKS)}, not {disk!r}")
        if disk == "empty":
            self.store = MemoryStore()
        if self.store is not self._journal.store:
            self._journal = Journal(self.store)
        if disk == "rolled-back":
            self._journal.roll_back(self.world.now)
        elif disk == "torn" and self._unacknowledged:
            count = self.world.random("torn disks").randint(0, len(self._unacknowledged))
            self.store.commit(self._unacknowledged[:count])
            self._journal.note(self._unacknowledged[:count], self.world.now)
        self._unacknowledged = []

    def _boot(self) -> Node:
        metas = self.store.load().metas
        boot = int.from_bytes(metas.get("boot", b""), "big") + 1
        seqno, limit, seqnos = reserve(metas)
        reserved = (MetaRow("boot", boot.to_bytes(4, "big")), seqnos)
        self.store.commit([reserved])
        self._journal.note([reserved], self.world.now)
        tape = self.world.tapes(self.name, self._life)
        make = Node if tape is None else partial(RecordingNode, tape=tape)
        return make(
            self.world.options,
            identity=self.identity,
            boot=Boot(boot, seqno, limit),
            image=self.store.load(),
            rng=self.world.stream(f"jitter of {self.name} in life {self._life}"),
            entropy=self.world.stream(f"entropy of {self.name} in life {self._life}").randbytes,
        )

    def crash(self) -> None:
        """Lose power: memory, routes, streams and queued commits are gone, and nobody is told."""
        if not self.running:
            return
        self.running = False
        self.end_recording()
        self._life += 1
        self.routes.clear()
        self._unacknowledged = [append.rows for append in (*self._group, *self._queue)]
        self._group, self._queue, self._down = [], [], ""
        self.pipes.clear()
        for port in self.ports.values():
            port.medium.detach(port)
        if self.lora is not None:
            self.lora.power_off()
        for observer in self.world.observers:
            observer.crashed(self)

    def set_wall_clock(self, error_us: int | None) -> None:
        """Let the wall clock be ahead of the right time by `error_us`; None: nobody knows it."""
        self.clock.wall_error_us = error_us
        if self.running:
            self.node.set_wall_clock(self.clock.wall_offset_us(self.world.now))

    def end_recording(self) -> None:
        """Write the last line of this life's recording, if there is one."""
        if isinstance(self.node, RecordingNode):
            self.node.finish()

    # --- inputs -----------------------------------------------------------------------------------

    def hear(self, port: Port, source: bytes, datagram: Transmit, *, multicast: bool) -> None:
        """Take a datagram from a medium."""
        if self.running:
            if not multicast:
                for observer in self.world.observers:
                    observer.datagram_heard(port, datagram)
            self.take(port.link, Datagram(source, datagram.port, datagram.data, multicast))
            if not multicast:
                for observer in self.world.observers:
                    observer.datagram_taken(port)

    def take(self, link: str, heard: Datagram) -> None:
        """Give the node a datagram; when it wants nothing then, there is nothing more to do."""
        node = self.node
        node.receive(link, heard, self.clock.local(self.world.now))
        if not node.quiet:
            self.drain()

    def loop(self, datagram: Transmit) -> None:
        """Take a datagram that it sent to itself, by the loopback interface."""
        if self.running:
            heard = Datagram(self.node.address, datagram.port, datagram.data)
            self.input(self.node.receive, "", heard)

    def request(self, verb: str, **args: object) -> int:
        """Ask the node as the command line would; the answer appears in `replies`."""
        self._tickets += 1
        ticket = self._tickets
        for observer in self.world.observers:
            observer.asked(self, verb, args, ticket)
        self.input(self.node.request, verb, args, ticket)
        return ticket

    def ask(self, verb: str, *, limit_us: int = 30_000_000, **args: object) -> dict[str, object]:
        """Ask and let time pass until the answer is there; an error reply fails the assertion."""
        ticket = self.request(verb, **args)
        assert self.world.run_until(lambda: ticket in self.replies, limit_us), f"{verb}: no reply"
        reply = self.replies[ticket]
        assert reply.value is not None, f"{verb}: {reply.error}"
        return reply.value

    def input(self, verb: Callable[..., object], *args: Any) -> None:
        """Call `verb(*args, now)` of the node, then drain every output and arm the one timer."""
        verb(*args, self.clock.local(self.world.now))
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
                elif isinstance(sent, RadioSend):
                    if self.lora is not None:
                        self.lora.transmit(sent.data)
                elif isinstance(sent, TunSend):
                    self.tun.deliver(sent.data)
                else:
                    self._send(sent)
            elif (event := node.poll_event()) is not None:
                _HANDLERS[type(event)](self, event)
            else:
                break
        self._draining = False
        self._arm()

    def _arm(self) -> None:
        due = self.node.poll_timeout()
        if due is None:
            return
        due_us = self.clock.world(due[0])
        if self._armed is None or due_us < self._armed:
            self._armed = due_us
            self.world.at(due_us, self._wake, self._life, due_us)

    def _wake(self, life: int, armed_us: int) -> None:
        """Let the node do what is due; when its timer moved to later meanwhile, wait for that."""
        if self._life != life or self._armed != armed_us:
            return
        self._armed = None
        due = self.node.poll_timeout()
        now = self.clock.local(self.world.now)
        if due is not None and due[0] <= now:
            self.node.handle_timeout(now)
            self.drain()
        else:
            self._arm()

    def _later(self, delay_us: int, action: Callable[..., object], *args: Any) -> None:
        """Call something after a delay, unless the power goes first."""
        self.world.at(self.world.now + delay_us, self._in_this_life, self._life, action, args)

    def _in_this_life(
        self, life: int, action: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        if self._life == life:
            action(*args)

    # --- what the node tells ----------------------------------------------------------------------

    def _on_route_installed(self, event: RouteInstalled) -> None:
        if event.prefix.length == 128:
            self.routes[event.prefix.address] = _hop(event.link, event.next_hop)
            for observer in self.world.observers:
                observer.route_changed(self, event.prefix.address)

    def _on_route_removed(self, event: RouteRemoved) -> None:
        if self.routes.pop(event.prefix.address, None) is not None:
            for observer in self.world.observers:
                observer.route_changed(self, event.prefix.address)

    def _on_reply(self, event: Reply) -> None:
        self.replies[event.ticket] = event
        for observer in self.world.observers:
            observer.reply(self, event)

    def _on_progress(self, event: Progress) -> None:
        self.progress.append(event)

    def _on_notice(self, event: Notice) -> None:
        self.notices.append(event)
        if len(self.notices) > 2 * _NOTICES_MAX:
            del self.notices[:-_NOTICES_MAX]
        for observer in self.world.observers:
            observer.notice(self, event)

    # --- disk -------------------------------------------------------------------------------------

    def _on_store_append(self, event: StoreAppend) -> None:
        if self._down:
            self._later(0, self.input, self.node.commit_failed, event.number, self._down)
            return
        self._queue.append(event)
        self._commit_next()

    def _commit_next(self) -> None:
        """Start a commit of what is queued, when none runs."""
        if not self._group and self._queue and not self._down:
            self._group = self._queue[:GROUP_MAX]
            del self._queue[:GROUP_MAX]
            self._later(self.disk.delay_us(), self._commit)

    def _commit(self) -> None:
        groups = [append.rows for append in self._group]
        try:
            if self.disk.fails():
                raise StoreError(StoreFault.BROKEN, "the disk failed", remedy="change the card")
            self.store.commit(groups)
        except StoreError as error:
            self._commit_failed(error)
            return
        number, self._group = self._group[-1].number, []
        self._journal.note(groups, self.world.now)
        for observer in self.world.observers:
            observer.committed(self, tuple(row for rows in groups for row in rows))
        self.input(self.node.committed, number)
        self._commit_next()

    def _commit_failed(self, error: StoreError) -> None:
        failed = self._group + self._queue
        self._group, self._queue, self._down = [], [], error.text
        for append in failed:
            self.input(self.node.commit_failed, append.number, error.text)
        self._later(self.disk.delay_us(), self._reopen)

    def _reopen(self) -> None:
        if self.disk.fails():
            self._later(REOPEN_AFTER_US, self._reopen)
            return
        self._down = ""
        self.input(self.node.reload, self.store.reopen())

    def _on_store_read(self, event: StoreRead) -> None:
        self._later(self.disk.read_us(), self._read, event)

    def _read(self, event: StoreRead) -> None:
        try:
            answer = self.store.answer(event.query)
        except StoreError as error:
            self.input(self.node.read_failed, event.token, error.text)
        else:
            self.input(self.node.read_done, event.token, answer)

    # --- streams ----------------------------------------------------------------------------------

    def _on_stream_open(self, event: StreamOpen) -> None:
        self._later(_CONNECT_US, self._connect, event)

    def _connect(self, event: StreamOpen) -> None:
        target = self.world.find(IPv6Address(event.host).packed)
        way = self.world.way_between(self, target, event.link) if target is not None else None
        if target is None or way is None:
            self.input(self.node.stream_failed, event.stream, "no route")
            return
        source = self.ports[event.link].address if event.link else self.node.address
        number = target.node.stream_accepted(str(IPv6Address(source)), event.link, target.now)
        if number is None:
            self.input(self.node.stream_failed, event.stream, "refused")
        else:
            join(End(self, event.stream), End(target, number), event.link)
            self.input(self.node.stream_opened, event.stream)
        target.drain()

    def _send(self, event: StreamSend) -> None:
        for observer in self.world.observers:
            observer.stream_sent(self, event.data)
        pipe = self.pipes.get(event.stream)
        if pipe is not None:
            pipe.send(event.data)

    def _on_stream_close(self, event: StreamClose) -> None:
        pipe = self.pipes.get(event.stream)
        if pipe is not None:
            pipe.close()

    def _on_airtime_save(self, event: AirtimeSave) -> None:
        if self.lora is not None:
            self.lora.save(event)


_HANDLERS: dict[type, Callable[[Host, Any], None]] = {
    RouteInstalled: Host._on_route_installed,
    RouteRemoved: Host._on_route_removed,
    Reply: Host._on_reply,
    Progress: Host._on_progress,
    Notice: Host._on_notice,
    StoreAppend: Host._on_store_append,
    StoreRead: Host._on_store_read,
    StreamOpen: Host._on_stream_open,
    StreamClose: Host._on_stream_close,
    AirtimeSave: Host._on_airtime_save,
}
