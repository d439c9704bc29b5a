"""The engine: composes routing, sessions, spaces, sync and files. It has no algorithm of its own.

Five verbs: `receive`, `handle_timeout`, `poll_timeout`, `poll_transmit`, `poll_event`; beside them
the inputs of streams and store, and local requests. After each input the host drains
`poll_transmit` and `poll_event` until both are empty, then arms one timer from `poll_timeout`.
Time is integer microseconds of the host's monotonic clock.
"""

from collections.abc import Callable
from functools import partial
from random import Random

from meshd import __version__
from meshd.core.context import Context, Reader
from meshd.core.drops import DropReason
from meshd.core.errors import Exit, RequestError, UsageError
from meshd.core.events import (
    Datagram,
    Event,
    Link,
    Notice,
    RadioSend,
    Reply,
    RouteInstalled,
    StoreImage,
    StreamSend,
    Transmit,
    TunSend,
)
from meshd.core.identity import Identity
from meshd.core.ids import (
    Prefix,
    address_text,
    encode_text,
    host_prefix,
    is_link_local,
    mesh_address,
    mesh_prefix,
    node_of_address,
    node_text,
    parse_node,
)
from meshd.core.limits import BABEL_PORT, MESHD_PORT
from meshd.core.options import Boot as Boot
from meshd.core.options import NodeOptions as NodeOptions
from meshd.core.snapshot import LinkStatus, NodeSnapshot, Problem
from meshd.core.timers import Key
from meshd.forwarding.own_names import OwnNames
from meshd.forwarding.packets import Packets
from meshd.forwarding.radio_inputs import RadioInputs
from meshd.forwarding.radios import Radios
from meshd.forwarding.radios_for_files import RadiosForFiles
from meshd.messages.messages import Messages
from meshd.messages.ways import TableWays
from meshd.routing.speaker import Babel
from meshd.session.echo import Echo
from meshd.session.sessions import Sessions
from meshd.session.stream_inputs import StreamInputs
from meshd.space.spaces import Spaces
from meshd.sync.air.sync import KINDS, SUBS, AirSync
from meshd.sync.files.files import Files
from meshd.sync.store_inputs import StoreInputs
from meshd.sync.sync import Sync
from meshd.wire.datagrams import DIRECT_KINDS, ECHO_KINDS

_ECHOES = {bytes([kind]) for kind in ECHO_KINDS}
_DIRECTS = {bytes([kind]) for kind in DIRECT_KINDS}
Handler = Callable[[dict[str, object], int, int], None]


class Node(StoreInputs, StreamInputs, RadioInputs):
    """One meshd node. `rng` is for jitter, `entropy(n)` for keys and nonces."""

    def __init__(
        self,
        options: NodeOptions,
        *,
        identity: Identity,
        boot: Boot,
        image: StoreImage,
        rng: Random,
        entropy: Callable[[int], bytes],
    ) -> None:
        self.options = options
        self.id = identity.node
        self.address = mesh_address(options.mesh, self.id)
        self.boot = boot.number
        self.links: dict[str, Link] = {}
        self.problems: dict[str, Problem] = {}
        self._snapshots = 0
        self._mesh = mesh_prefix(options.mesh)
        self._started_us: int | None = None
        self._now = 0
        self._ctx = ctx = Context(rng=rng, entropy=entropy)
        self.routing = Babel(
            ctx,
            own=(host_prefix(self.address),),
            router_id=self.address[8:],
            seqno=boot.seqno,
            seqno_limit=boot.seqno_limit,
            boot=boot.number,
        )
        self.sessions = Sessions(
            ctx,
            identity=identity,
            mesh=options.mesh,
            boot=boot.number,
            listen_port=options.listen_port,
            name=options.name,
        )
        self.spaces = Spaces(ctx, identity=identity, image=image)
        self.radios = Radios(ctx, self.routing, identity, mesh=options.mesh, boot=boot.number)
        by_air = RadiosForFiles(self.radios, identity)
        self.files = Files(ctx, self.spaces, self.sessions, by_air, image=image)
        self.sync = Sync(  # which parts the quota between entries and files
            ctx,
            self.spaces,
            self.sessions,
            self.files,
            image=image,
            relay_quota_bytes=options.relay_quota_bytes,
        )
        self.names = OwnNames(ctx, self.radios, identity, mesh=options.mesh, name=options.name)
        self.packets = Packets(
            ctx, self.id, options, radios=self.radios, route_to=self.routing.route_to
        )
        self.air = AirSync(ctx, self.spaces, self.radios, self.sync, blobs=self.files.lora.blobs)
        self.echo = Echo(ctx, partial(mesh_address, options.mesh))
        self.messages = Messages(
            ctx,
            self.spaces,
            self.radios,
            options,
            ways=TableWays(options.mesh, self.routing, self.radios),
            ping=self.echo.ping,
        )
        self._tie_parts()
        self.messages.load(image, 0)
        self._name_parts()

    def _tie_parts(self) -> None:
        """Tell parts of others that they know by a narrow face only."""
        self.sessions.targets.is_thin = self._is_thin
        self.radios.on_object |= dict.fromkeys(KINDS, self.air.object)
        self.radios.on_local |= dict.fromkeys(SUBS, self.air.local)
        self.radios.on_local |= dict.fromkeys(self.files.lora.subs, self.files.lora.local)
        self.spaces.tell = lambda now: self.air.told(self.sync.statuses(now), now)
        self.spaces.air = self.air
        self.messages.people.sources += [self.sessions.known.nodes, self._routed_nodes]
        self.messages.people.said += [self.sessions.known.names, self.names.names]

    def _name_parts(self) -> None:
        """Say which part a timer, an answer of the store or a verb belongs to."""
        self._timers: dict[str, Callable[[Key, int], None]] = {
            "routing": self.routing.handle_timer,
            "session": self.sessions.handle_timer,
            "space": self.spaces.handle_timer,
            "sync": self.sync.handle_timer,
            "files": self.files.handle_timer,
            "echo": self.echo.handle_timer,
            "messages": self.messages.handle_timer,
            "lora": self.radios.handle_timer,
            "names": self.names.handle_timer,
            "packets": self.packets.handle_timer,
            "air": self.air.handle_timer,
        }
        self._readers: dict[str, Reader] = {
            "space": self.spaces,
            "sync": self.sync,
            "files": self.files,
            "messages": self.messages,
            "air": self.air,
        }
        self._handlers: dict[str, Handler] = (
            self.spaces.requests | self.sync.requests | self.files.requests | self.messages.requests
        )

    # --- the five verbs ---------------------------------------------------------------------------

    def receive(self, link: str, datagram: Datagram, now: int) -> None:
        """Take a datagram that came by `link` ("" when the interface is not one of ours)."""
        self._hear(now)
        if datagram.port == BABEL_PORT and link in self.links and self.options.routing:
            if not self.routing.receive(link, datagram, now):
                return
        elif datagram.port != MESHD_PORT:
            self._ctx.drop(DropReason.UNKNOWN_PORT, link)
        elif datagram.data[:1] in _ECHOES:
            self.echo.receive(link, datagram, now)
        elif datagram.data[:1] in _DIRECTS and link in self.links:
            self.messages.receive(link, datagram, now)
        elif link in self.links and is_link_local(datagram.source):
            self.sessions.receive(link, datagram, now)
        else:
            self._ctx.drop(DropReason.UNKNOWN_LINK, link)
        self._settle(now)

    @property
    def quiet(self) -> bool:
        """Tell whether there is nothing to poll, and the timer armed last is early enough."""
        return self._ctx.quiet and not self.sessions.ready

    def handle_timeout(self, now: int) -> None:
        """Do what is due."""
        self._hear(now)
        for key in self._ctx.timers.expired(now):
            self._timers[str(key[0])](key, now)
        self._settle(now)

    def poll_timeout(self) -> tuple[int, str] | None:
        """Return when `handle_timeout` is wanted next, and why."""
        armed = self._ctx.timers.next()
        self._ctx.timers.sooner = False
        return None if armed is None else (armed[0], f"{armed[1][0]} {armed[1][1]}")

    def poll_transmit(self) -> Transmit | RadioSend | TunSend | StreamSend | None:
        """Return the next thing to send: datagrams and radio frames before streams."""
        if self._ctx.transmits:
            return self._ctx.transmits.popleft()
        if (sent := self.sessions.poll_send()) is not None:
            self._settle(self._now)  # there may be room again
        return sent

    def poll_event(self) -> Event | None:
        """Return the next thing for the host to do or to tell."""
        event = self._ctx.events.popleft() if self._ctx.events else None
        if (
            isinstance(event, RouteInstalled)
            and event.link not in self.radios.links
            and self._mesh.contains(event.prefix)
        ):
            self.sessions.route_seen(node_of_address(event.prefix.address), self._now)
        return event

    # --- links ------------------------------------------------------------------------------------

    def add_link(self, link: Link, now: int) -> None:
        """Use an interface that is up; an interface that changed is added anew."""
        self._hear(now)
        if link.name in self.links:
            self._remove_link(link.name, now)
        self.links[link.name] = link
        if self.options.routing:
            self.routing.link_up(link, now)
        self.sessions.link_up(link, now)
        self._settle(now)

    def remove_link(self, name: str, now: int) -> None:
        """Stop using an interface that went down or away."""
        self._hear(now)
        if name in self.links:
            self._remove_link(name, now)
        self._settle(now)

    def _remove_link(self, name: str, now: int) -> None:
        del self.links[name]
        if self.options.routing:
            self.routing.link_down(name, now)
        self.sessions.link_down(name, now)

    def protect(self, prefixes: tuple[Prefix, ...], now: int) -> None:
        """Name the host's own and connected prefixes, which are never taken from the air."""
        self.routing.protect(prefixes)
        self._settle(now)

    def remember(self, prefixes: tuple[Prefix, ...], now: int) -> None:
        """Name the routes that a run which ended unasked had installed."""
        self.routing.remember(prefixes, now)
        self._settle(now)

    def set_wall_clock(self, offset_us: int | None) -> None:
        """Tell how far the wall clock is ahead of `now`; None while nobody knows the time."""
        self.spaces.wall_offset_us = offset_us

    # --- store ------------------------------------------------------------------------------------

    def reload(self, image: StoreImage, now: int) -> None:
        """Go on from what the store really holds, after a failed commit."""
        self.spaces.reload(image, now)
        self.files.reload(image, now)
        self.sync.reload(image, now)
        self.messages.load(image, now)
        self.air.reload(now)
        self._settle(now)

    # --- local requests and status ----------------------------------------------------------------

    def request(self, verb: str, args: dict[str, object], ticket: int, now: int) -> None:
        """Start a local request; it ends with one `Reply` that carries `ticket`."""
        handler = self._handlers.get(verb)
        try:
            if handler is None:
                raise RequestError(
                    f"unknown verb {verb!r}",
                    code=Exit.USAGE,
                    remedy="`meshd --help` lists what there is",
                )
            handler(args, ticket, now)
        except RequestError as error:
            self._ctx.emit(Reply.refusal(ticket, error))
        except UsageError as error:
            self._ctx.emit(Reply(ticket, None, str(error), int(Exit.USAGE)))
        self._settle(now)

    def snapshot(self, now: int) -> NodeSnapshot:
        """Describe the node as one frozen value."""
        self._hear(now)
        self._snapshots += 1
        sessions = self.sessions.statuses(now)
        connected = {item.node for item in sessions if item.state == "up"}
        started = now if self._started_us is None else self._started_us
        return NodeSnapshot(
            node=node_text(self.id),
            address=address_text(self.address),
            mesh=encode_text(self.options.mesh),
            version=__version__,
            mode="router" if self.options.routing else "leaf",
            boot=self.boot,
            seq=self._snapshots,
            uptime_s=round((now - started) / 1e6, 3),
            links=tuple(
                LinkStatus(link.name, link.kind.value, "up", address_text(link.address))
                for link in self.links.values()
            ),
            neighbours=self.messages.people.named(
                *self.routing.neighbours(now, connected),
                *self.radios.neighbours(now, connected),
            ),
            radios=self.radios.statuses(now),
            routes=self.routing.routes(now),
            sessions=sessions,
            spaces=self.spaces.shown(now),
            problems=(
                *self.problems.values(),
                *self.sessions.problems(),
                *self.spaces.told(),
                *self.radios.problems(),
                *self.messages.problems(),
            ),
            drops=self._ctx.drops.as_dict(),
        )

    def start(self, now: int) -> None:
        """Begin to reach out to configured peers."""
        self._hear(now)
        self.sessions.set_peers(self.options.peers, now)
        self.sync.start(now)
        self.names.start(now)
        self._settle(now)

    def stop(self, now: int) -> None:
        """Say goodbye: retract what was announced. The host closes the streams."""
        if self.options.routing:
            self.routing.stop(now)
        self.radios.stop(now)
        self._settle(now)

    def _is_thin(self, node: bytes) -> bool:
        """Tell whether a LoRa hop lies on the way to a node."""
        return bool(self.messages.carriage.thin(node))

    def _routed_nodes(self) -> set[bytes]:
        """Return the nodes to whom a route is known."""
        return {parse_node(row.node) for row in self.routing.routes(self._now) if row.node}

    def _hear(self, now: int) -> None:
        self._now = now
        if self._started_us is None:
            self._started_us = now

    def _settle(self, now: int) -> None:
        """Let sessions, spaces and sync hear of each other until nothing is left to tell."""
        routing, sessions, spaces, sync = self.routing, self.sessions, self.spaces, self.sync
        while True:
            if (found := routing.poll_neighbour()) is not None:
                hear = sessions.neighbour_seen if found.known else sessions.neighbour_lost
                hear(found.link.name, found.address, now)
            elif (heard := sessions.poll_event()) is not None:
                sync.session_event(heard, now)
            elif (happened := spaces.poll_event()) is not None:
                sync.space_event(happened, now)
                self.files.space_event(happened, now)
                self.messages.space_event(happened, now)
                self.air.space_event(happened, now)
            elif (aired := self.radios.poll_event()) is not None:
                self.radios.dispatch(aired, now)
            else:
                self.air.tend(now)
                return

    def warn(self, kind: str, problem: Problem | None) -> None:
        """Set or clear a problem of the host by kind; it shows in `status` until cleared."""
        known = self.problems.get(kind)
        if problem is None and known is not None:
            del self.problems[kind]
            self._ctx.emit(Notice("problem-over", {"code": known.code, "text": known.text}))
        elif problem is not None and known != problem:
            self.problems[kind] = problem
            fields: dict[str, object] = {"code": problem.code, "text": problem.text}
            self._ctx.emit(Notice("problem", fields | {"next": problem.remedy}, True))
