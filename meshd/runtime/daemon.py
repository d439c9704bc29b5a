"""The daemon: one Node on asyncio, with its sockets, kernel routes, store and control socket.

Enters: a NodeConfig and what the operating system brings. Leaves: exit code 0 after a clean stop.
Must not know: any protocol; it carries values between the engine and the world.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from meshd.config.paths import ADDRESS_FILE, CONTROL_SOCKET
from meshd.config.values import LISTEN_ALL, NodeConfig
from meshd.core.errors import Exit, RequestError
from meshd.core.events import (
    AirtimeSave,
    Answer,
    Datagram,
    Link,
    Notice,
    Progress,
    RadioSend,
    Reply,
    RouteInstalled,
    RouteRemoved,
    StoreAppend,
    StoreImage,
    StoreRead,
    StreamClose,
    StreamOpen,
    StreamSend,
    TunSend,
)
from meshd.core.ids import Prefix, address_text, node_text
from meshd.core.limits import BABEL_PORT, MESHD_PORT
from meshd.core.snapshot import NodeSnapshot, Problem
from meshd.node import Node
from meshd.runtime.airtime_file import AIRTIME_FILE
from meshd.runtime.boot import boot_node
from meshd.runtime.bugs import problem_of
from meshd.runtime.control import ControlServer
from meshd.runtime.disk_watch import DiskWatch
from meshd.runtime.host import HostSide
from meshd.runtime.listeners import Listeners
from meshd.runtime.log_lines import set_up_log
from meshd.runtime.netlink import KernelError
from meshd.runtime.recording import end_recording, recording_problem, start_tape
from meshd.runtime.sockets import Datagrams
from meshd.runtime.statedir import StateDir, open_state_dir
from meshd.runtime.store_worker import StoreWorker
from meshd.runtime.streams import Streams
from meshd.runtime.tape_worker import TapeWorker
from meshd.store.interface import StoreError
from meshd.wire.membership import NAME_MAX as PERSON_BYTES_MAX

if TYPE_CHECKING:
    from meshd.runtime.lora_radios import LoraRadios

log = logging.getLogger("meshd")

_CLOCK_CHECK_S = 60.0
_GOODBYE_S = 5.0
"""How long a broker that does not answer may delay a stop."""
_CLOCK_FLOOR_S = 1_767_225_600
"""2026-01-01: a clock before this is wrong, and the node says that it does not know the time."""


def run(config: NodeConfig) -> int:
    """Run a node until SIGTERM, SIGINT or SIGHUP. Raises: RequestError when it cannot start."""
    set_up_log(config.log_level)
    return asyncio.run(_main(config))


async def _main(config: NodeConfig) -> int:
    state = open_state_dir(config.state_dir, group=config.control_group)
    try:
        daemon = Daemon(config, state)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                loop.add_signal_handler(number, daemon.stopping.set)
        try:
            await daemon.start()
            await daemon.stopping.wait()
        finally:
            await daemon.stop()
    finally:
        state.close()
    if daemon.hung:
        logging.shutdown()
        os._exit(Exit.OK)  # the interpreter would wait for the thread
    return int(Exit.OK)


_NOTHING_TO_USE = Problem(
    "nothing-to-use",
    "no interface, no radio and no peer is given: this node looks for nobody",
    "run it with --interface NAME (`ip -br link` lists them) or --peer tcp://HOST:PORT, or add a "
    "[[radio]] to its configuration",
)


class Daemon:
    """One node and all that it holds of this machine."""

    def __init__(self, config: NodeConfig, state: StateDir) -> None:
        self.config = config
        self.state = state
        self.stopping = asyncio.Event()
        self.hung = False
        self.node: Node
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._bug)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = -1
        self._draining = False
        self._listeners = Listeners()
        self._routes: list[RouteInstalled | RouteRemoved] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._store: StoreWorker | None = None
        self._tape: TapeWorker | None = None
        self._datagrams: Datagrams | None = None
        self._streams = Streams(self)
        self._control: ControlServer | None = None
        self._host: HostSide | None = None
        self._radios: LoraRadios | None = None
        self._disk = DiskWatch(state.path, self.problem)

    # --- life -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Come up: first the hello on every link, then what may take longer."""
        for note in self.state.notes:
            log.warning("%s", note)
        leaf = HostSide.is_leaf(self.config)
        tape = self._tape = start_tape(self.config)
        started = boot_node(self.config, self.state, leaf=leaf, tape=tape)
        self.node = started.node
        if tape is not None:
            self.problem("record", recording_problem(tape))
        self._store = StoreWorker(started.store, self, fault=started.fault)
        self.store_state(started.fault)
        self._check_clock()
        self._disk.look()
        listen = self.config.listen
        looks = self.config.interfaces or self.config.peers or self.config.radios
        if not looks and listen == LISTEN_ALL:
            self.problem("use", _NOTHING_TO_USE)
        if listen.port == MESHD_PORT or not leaf:
            ports = (MESHD_PORT,) if leaf else (BABEL_PORT, MESHD_PORT)
            self._datagrams = Datagrams(ports, self._heard)
            for fileno in self._datagrams.filenos():
                self._loop.add_reader(fileno, self._readable, fileno)
        self.node.start(_now())
        self._host = HostSide(self, self.config, leaf=leaf, address=self.node.address)
        self._host.watch_links()
        self.drain()
        self._start_radios()
        await self._streams.listen(listen.host, listen.port)
        self._host.take_over()
        self.drain()
        self._control = ControlServer(
            self.state.file(CONTROL_SOCKET), self, group=self.config.control_group
        )
        self._control.start()
        if self.config.mqtt is not None:
            from meshd.status.mqtt import publish

            publishing = publish(
                self.config.mqtt, self.snapshot, on_problem=partial(self.problem, "mqtt")
            )
            self._tasks.append(self._loop.create_task(publishing))
        self._write_address()
        log.info(
            "up node=%s address=%s mode=%s boot=%d",
            node_text(self.node.id),
            address_text(self.node.address),
            "leaf" if leaf else "router",
            self.node.boot,
        )

    def _start_radios(self) -> None:
        """Open the ports of the radios; the code for modems is loaded only where there are any."""
        if self.config.radios:
            from meshd.runtime.lora_radios import LoraRadios

            self._radios = LoraRadios(self.config.radios, self.state.file(AIRTIME_FILE), self)
            self._radios.start()

    def _write_address(self) -> None:
        """Tell scripts that the node is up, if the disk takes it."""
        path = self.state.file(ADDRESS_FILE)
        try:
            self.state.write_address(address_text(self.node.address))
        except OSError as error:
            text = f"{path} could not be written: {error.strerror}"
            self.problem("address", Problem("address-unwritten", text, "make room on the disk"))

    async def stop(self) -> None:
        """Go down: goodbye on the air, the host as it was, everything written."""
        with suppress(OSError):
            self.state.remove_address()
        self._disk.stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_GOODBYE_S)
        if self._control is not None:
            await self._control.stop()
        if hasattr(self, "node"):
            self.node.stop(_now())
            self.drain()
        if self._radios is not None:
            await self._radios.stop()
        if self._timer is not None:
            self._timer.cancel()
        if self._host is not None:
            try:
                self._host.restore()
            except KernelError as error:
                log.error("host not restored error=%s next=%s", error.text, error.remedy)
        self._streams.stop()
        if self._store is not None:
            self.hung = not await self._store.close()
        if self._datagrams is not None:
            for fileno in self._datagrams.filenos():
                self._loop.remove_reader(fileno)
            self._datagrams.close()
        if hasattr(self, "node"):
            end_recording(self.node, self._tape)

    def _check_clock(self) -> None:
        """Tell the engine how far the wall clock is ahead, or that nobody knows the time."""
        wall = time.time()
        known = wall >= _CLOCK_FLOOR_S
        self.node.set_wall_clock(int(wall * 1e6) - _now() if known else None)
        self._loop.call_later(_CLOCK_CHECK_S, self._check_clock)

    # --- the five verbs ---------------------------------------------------------------------------

    def drain(self) -> None:
        """Carry out all that the engine wants, then arm the one timer."""
        if self._draining:
            return
        self._draining = True
        try:
            self._drain()
        finally:
            self._draining = False
        due = self.node.poll_timeout()
        deadline = due[0] if due else -1
        if deadline != self._timer_at:
            self._timer_at = deadline
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(deadline / 1e6, self._timeout) if due else None

    def _drain(self) -> None:
        node = self.node
        while True:
            if (sent := node.poll_transmit()) is not None:
                if isinstance(sent, StreamSend):
                    self._streams.send(sent)
                elif isinstance(sent, RadioSend):
                    assert self._radios is not None
                    self._radios.send(sent)
                elif isinstance(sent, TunSend):
                    if self._host is not None:
                        self._host.tun_send(sent.data)
                elif self._datagrams is not None:
                    self._datagrams.send(sent)
            elif (event := node.poll_event()) is not None:
                self._carry_out(event)
            elif not self._apply_routes():
                return

    def _carry_out(self, event: object) -> None:
        match event:
            case RouteInstalled() | RouteRemoved():
                self._routes.append(event)
            case StreamOpen():
                self._streams.open(event)
            case StreamClose():
                self._streams.close(event)
            case StoreAppend():
                assert self._store is not None
                self._store.append(event)
            case StoreRead():
                assert self._store is not None
                self._store.read(event)
            case AirtimeSave():
                assert self._radios is not None
                self._radios.save(event)
            case Reply() | Progress():
                self._listeners.answer(event)
            case Notice():
                self._listeners.tell(event)

    def _timeout(self) -> None:
        self._timer = None
        self._timer_at = -1
        self.node.handle_timeout(_now())
        self.drain()

    def _readable(self, fileno: int) -> None:
        assert self._datagrams is not None
        self._datagrams.read(fileno)
        self.drain()

    def _heard(self, link: str, datagram: Datagram) -> None:
        self.node.receive(link, datagram, _now())

    def _apply_routes(self) -> bool:
        """Write what gathered in one batch; tell whether anything was done."""
        if not self._routes or self._host is None or not self._host.ready:
            return False
        changes, self._routes = self._routes, []
        self._host.apply(changes)
        return True

    # --- links (called by HostSide) ---------------------------------------------------------------

    def link_up(self, link: Link, index: int) -> None:
        """An interface of ours is up."""
        if self._datagrams is not None:
            self._datagrams.link_up(link.name, index)
        self.node.add_link(link, _now())
        self.drain()

    def link_down(self, name: str) -> None:
        """An interface of ours is down or gone."""
        self.node.remove_link(name, _now())
        self.drain()
        if self._datagrams is not None:
            self._datagrams.link_down(name)

    def protect(self, prefixes: tuple[Prefix, ...]) -> None:
        """The host's own prefixes, never to be taken from the air."""
        self.node.protect(prefixes, _now())
        self.drain()

    def remember(self, prefixes: tuple[Prefix, ...]) -> None:
        """Routes that a crashed run left behind: what it knew is asked for again by name."""
        self.node.remember(prefixes, _now())
        self.drain()

    def tun_received(self, packet: bytes) -> None:
        """See `Node`."""
        self.node.tun_received(packet, _now())
        self.drain()

    def problem(self, kind: str, problem: Problem | None) -> None:
        """Show or clear a problem of the host in `status`."""
        self.node.warn(kind, problem)
        self.drain()

    # --- streams (StreamInputs) -------------------------------------------------------------------

    def stream_opened(self, stream: int) -> None:
        """See `Node`."""
        self.node.stream_opened(stream, _now())
        self.drain()

    def stream_failed(self, stream: int, why: str) -> None:
        """See `Node`."""
        self.node.stream_failed(stream, why, _now())
        self.drain()

    def stream_accepted(self, peer: str, link: str) -> int | None:
        """See `Node`."""
        number = self.node.stream_accepted(peer, link, _now())
        self._loop.call_soon(self.drain)
        return number

    def stream_received(self, stream: int, data: bytes) -> None:
        """See `Node`."""
        self.node.stream_received(stream, data, _now())
        self.drain()

    def stream_writable(self, stream: int, count: int) -> None:
        """See `Node`."""
        self.node.stream_writable(stream, count, _now())
        self.drain()

    def stream_closed(self, stream: int) -> None:
        """See `Node`."""
        self.node.stream_closed(stream, _now())
        self.drain()

    # --- store (StoreListener) --------------------------------------------------------------------

    def committed(self, up_to: int) -> None:
        """See `Node`."""
        self.node.committed(up_to, _now())
        self.drain()

    def commit_failed(self, number: int, why: str) -> None:
        """See `Node`."""
        self.node.commit_failed(number, why, _now())
        self.drain()

    def reloaded(self, image: StoreImage) -> None:
        """See `Node`."""
        self.node.reload(image, _now())
        self.drain()

    def read_done(self, token: int, answer: Answer) -> None:
        """See `Node`."""
        self.node.read_done(token, answer, _now())
        self.drain()

    def read_failed(self, token: int, why: str) -> None:
        """See `Node`."""
        self.node.read_failed(token, why, _now())
        self.drain()

    def store_state(self, error: StoreError | None) -> None:
        """Show what is wrong with the store, until it works again."""
        found = Problem(error.fault.value, error.text, error.remedy) if error else None
        self.problem("store", found)

    # --- control socket and status (Host) ---------------------------------------------------------

    def request(
        self,
        verb: str,
        args: dict[str, object],
        on_event: Callable[[Reply | Progress], None],
    ) -> None:
        """Start a local request; who gives no name of his own goes by the node's."""
        name = self.config.name
        if verb in ("space.create", "join") and name and not args.get("as"):
            args = {**args, "as": name} if len(name.encode()) <= PERSON_BYTES_MAX else args
        self.node.request(verb, args, self._listeners.expect(on_event), _now())
        self.drain()

    def snapshot(self) -> NodeSnapshot:
        """Describe the node now."""
        found = self.node.snapshot(_now())
        absent = self._host.absent if self._host is not None else ()
        radios = self._radios.statuses(found.radios) if self._radios is not None else ()
        unsent = self._datagrams.drops.as_dict() if self._datagrams is not None else {}
        return replace(
            found,
            name=self.config.name or None,
            links=found.links + absent,
            radios=radios,
            drops=found.drops | unsent,  # no reason is both the engine's and the sockets'
        )

    def watch(self, on_notice: Callable[[Notice], None]) -> Callable[[], None]:
        """Pass on every Notice until the returned function is called."""
        return self._listeners.watch(on_notice)

    def register_file(self, fd: int, writable: bool) -> int:
        """Take over an open file."""
        assert self._store is not None
        try:
            return self._store.register_file(fd, writable=writable)
        except StoreError as error:
            raise RequestError(error.text, remedy=error.remedy) from error

    def release_file(self, handle: int) -> None:
        """Close the file of a handle."""
        if self._store is not None:
            self._store.release_file(handle)

    def _bug(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log a fault of our own and go on: one bad callback must not end a node."""
        kind, found = problem_of(context)
        self.node.warn(kind, found)


def _now() -> int:
    return time.monotonic_ns() // 1000
