"""A few nodes' sessions joined by in-memory links and byte pipes, under virtual time.

Streams deliver in order, cut into pieces of random length. Every choice comes from one seed.
"""

from heapq import heappop, heappush
from itertools import count
from random import Random

from meshd.core.context import Context
from meshd.core.crypto import digest
from meshd.core.events import Datagram, Link, LinkKind, StreamClose, StreamOpen
from meshd.core.identity import Identity
from meshd.core.ids import ALL_NODES, OPEN_MESH_ID, address_text
from meshd.session.sessions import Sessions

MS = 1000
SECOND = 1_000_000
PORT = 6697


def identity(name):
    """Return the same identity for the same name, always."""
    return Identity(digest(name.encode(), person=b"device"), digest(name.encode(), person=b"noise"))


class Host:
    """One node: its sessions, and what came out of them."""

    def __init__(self, net, name, *, boot, port):
        self.net = net
        self.name = name
        self.identity = identity(name)
        self.node = self.identity.node
        self.address = self.identity.address(net.mesh)
        self.boot(boot=boot, port=port)
        self.links = {}

    def boot(self, *, boot, port=PORT):
        """Start, or start again with nothing remembered."""
        rng = Random(f"{self.net.seed}-{self.name}-{boot}")
        self.ctx = Context(rng=rng, entropy=rng.randbytes)
        self.sessions = Sessions(
            self.ctx, identity=self.identity, mesh=self.net.mesh, boot=boot, listen_port=port
        )
        self.events = []
        self.notices = []
        self.opens = []
        self.pipes = {}

    def link_local(self, link):
        return bytes.fromhex("fe80000000000000") + digest(f"{self.name}{link}".encode(), size=8)

    def up(self):
        """Return {node: session number} of what is up, by the events alone."""
        table = {}
        for event in self.events:
            if type(event).__name__ == "SessionUp":
                table[event.node] = event.session
            elif type(event).__name__ == "SessionDown" and table.get(event.node) == event.session:
                del table[event.node]
        return table

    def of(self, kind):
        return [event for event in self.events if type(event) is kind]


class Pipe:
    """One TCP connection: two ends, each (host, stream)."""

    def __init__(self, ends):
        self.ends = ends
        self.open = True


class SessionNet:
    """The hosts, what lies between them, and the clock."""

    def __init__(self, *names, seed=1, mesh=OPEN_MESH_ID, fragment_max=3000, boots=None):
        self.seed = seed
        self.mesh = mesh
        self.rng = Random(seed)
        self.now = 1_000 * SECOND
        self.fragment_max = fragment_max
        self.latency = MS
        self.calls = []
        self.order = count()
        self.segments = {}
        self.reachable = True
        self.refusal = "refused"
        self.routed = set()
        self.wire = []
        boots = boots or {}
        self.hosts = {name: Host(self, name, boot=boots.get(name, 1), port=PORT) for name in names}

    def __getitem__(self, name):
        return self.hosts[name]

    # --- what a test does ---

    def link(self, name, *hosts):
        """Bring up one link between hosts."""
        self.segments[name] = set(hosts)
        for host in hosts:
            self.hosts[host].links[name] = self.hosts[host].link_local(name)
        for host in hosts:
            each = self.hosts[host]
            each.sessions.link_up(Link(name, LinkKind.SHARED, each.links[name]), self.now)
            self.drain(each)

    def unlink(self, name):
        for host in self.segments.pop(name, ()):
            each = self.hosts[host]
            each.links.pop(name, None)
            each.sessions.link_down(name, self.now)
            self.drain(each)

    def route(self, *hosts):
        """Let hosts reach each other by mesh address."""
        self.routed |= set(hosts)

    def run(self, seconds):
        """Let virtual time pass."""
        end = self.now + int(seconds * SECOND)
        while True:
            at = [self.calls[0][0]] if self.calls else []
            for host in self.hosts.values():
                head = host.ctx.timers.next()
                if head:
                    at.append(head[0])
            if not at or min(at) > end:
                break
            self.now = max(self.now, min(at))
            while self.calls and self.calls[0][0] <= self.now:
                _, _, call, args = heappop(self.calls)
                call(*args)
            for host in self.hosts.values():
                for key in host.ctx.timers.expired(self.now):
                    host.sessions.handle_timer(key, self.now)
                self.drain(host)
        self.now = end

    def later(self, delay, call, *args):
        heappush(self.calls, (self.now + delay, next(self.order), call, args))

    # --- what a daemon does ---

    def drain(self, host):
        while True:
            busy = False
            while host.ctx.transmits:
                self.datagram(host, host.ctx.transmits.popleft())
            while host.ctx.events:
                busy = True
                self.event(host, host.ctx.events.popleft())
            while (event := host.sessions.poll_event()) is not None:
                busy = True
                host.events.append(event)
            while (piece := host.sessions.poll_send()) is not None:
                busy = True
                self.send(host, piece)
            if not busy:
                return

    def event(self, host, event):
        if isinstance(event, StreamOpen):
            host.opens.append(event)
            self.later(self.latency, self.connect, host, event)
        elif isinstance(event, StreamClose):
            pipe = host.pipes.pop(event.stream, None)
            if pipe:
                self.later(self.latency, self.shut, host, pipe)
        else:
            host.notices.append(event)

    def find(self, host, event):
        """Return (other host, our address as it sees it, its link) behind a StreamOpen."""
        if event.link:
            for name in self.segments.get(event.link, ()):
                other = self.hosts[name]
                if address_text(other.links.get(event.link, bytes(16))) == event.host:
                    return other, address_text(host.links[event.link]), event.link
            return None
        for name, other in self.hosts.items():
            routed = {name, host.name} <= self.routed
            if routed and event.host in (name, address_text(other.address)):
                by_name = event.host == name
                return other, "192.0.2.1" if by_name else address_text(host.address), ""
        return None

    def connect(self, host, event):
        found = self.find(host, event) if self.reachable else None
        stream = None
        if found:
            other, source, link = found
            scoped = f"{source}%{link}" if link else source
            stream = other.sessions.stream_accepted(scoped, link, self.now)
        if stream is None:
            host.sessions.stream_failed(event.stream, self.refusal, self.now)
        else:
            pipe = Pipe({(host.name, event.stream), (other.name, stream)})
            host.pipes[event.stream] = pipe
            other.pipes[stream] = pipe
            host.sessions.stream_opened(event.stream, self.now)
            self.drain(other)
        self.drain(host)

    def send(self, host, piece):
        pipe = host.pipes.get(piece.stream)
        if pipe is None:
            return
        self.wire.append((host.name, piece.data))
        (end,) = pipe.ends - {(host.name, piece.stream)}
        data = piece.data
        while data:
            length = self.rng.randint(1, self.fragment_max)
            self.later(self.latency, self.arrive, pipe, end, data[:length])
            data = data[length:]
        self.later(self.latency, self.written, host, piece.stream, len(piece.data))

    def written(self, host, stream, length):
        if stream in host.pipes:
            host.sessions.stream_writable(stream, length, self.now)
            self.drain(host)

    def arrive(self, pipe, end, data):
        host, stream = self.hosts[end[0]], end[1]
        if pipe.open and host.pipes.get(stream) is pipe:
            host.sessions.stream_received(stream, data, self.now)
            self.drain(host)

    def shut(self, host, pipe):
        pipe.open = False
        for name, stream in pipe.ends:
            other = self.hosts[name]
            if other is not host and other.pipes.get(stream) is pipe:
                del other.pipes[stream]
                other.sessions.stream_closed(stream, "closed", self.now)
                self.drain(other)

    def crash(self, name, *, tell, boot):
        """Restart a host; `tell` whether its kernel closes its connections."""
        host = self.hosts[name]
        pipes = list(host.pipes.values())
        host.boot(boot=boot)
        if tell:
            for pipe in pipes:
                self.shut(host, pipe)
        for link in host.links:
            host.sessions.link_up(Link(link, LinkKind.SHARED, host.links[link]), self.now)
        self.drain(host)

    def datagram(self, host, out):
        self.wire.append((host.name, out))
        for name in self.segments.get(out.link, ()):
            other = self.hosts[name]
            wanted = out.destination in (ALL_NODES, other.links[out.link])
            if other is not host and wanted:
                multicast = out.destination == ALL_NODES
                datagram = Datagram(host.links[out.link], out.port, out.data, multicast)
                self.later(self.latency, self.hear, other, out.link, datagram)

    def hear(self, host, link, datagram):
        host.sessions.receive(link, datagram, self.now)
        self.drain(host)
