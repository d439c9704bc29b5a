"""TCP streams of the engine: connections out, connections in, and the credit between.

Enters: `StreamOpen`, `StreamSend`, `StreamClose`. Leaves: the engine's stream inputs.
Must not know: what the bytes mean.
"""

import asyncio
import errno
import logging
import socket
from typing import Any, Protocol

from meshd.core.events import (
    NAME_UNASKED,
    NAME_UNKNOWN,
    NO_ANSWER,
    NO_ROUTE,
    REFUSED,
    StreamClose,
    StreamOpen,
    StreamSend,
)
from meshd.runtime.sockets import busy_port

log = logging.getLogger("meshd.streams")

CONNECT_TIMEOUT_S = 5.0
_USER_TIMEOUT_MS = 20_000
"""Bytes that stay unacknowledged this long end a connection (RFC 5482)."""
_TCP_USER_TIMEOUT = 18
_KEEPALIVE_S = 60
_SOCKET_BUFFER_BYTES = 64 * 1024


class StreamInputs(Protocol):
    """What the streams tell the engine."""

    def stream_opened(self, stream: int) -> None: ...
    def stream_failed(self, stream: int, why: str) -> None: ...
    def stream_accepted(self, peer: str, link: str) -> int | None: ...
    def stream_received(self, stream: int, data: bytes) -> None: ...
    def stream_writable(self, stream: int, count: int) -> None: ...
    def stream_closed(self, stream: int) -> None: ...


class _Stream(asyncio.Protocol):
    """One connection. `owed` counts bytes whose credit the engine has not been given back."""

    def __init__(self, streams: "Streams", number: int | None, *, keepalive: bool = False) -> None:
        self.streams = streams
        self.number = number
        self.keepalive = keepalive
        self.link = ""
        self.owed = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=_SOCKET_BUFFER_BYTES, low=_SOCKET_BUFFER_BYTES // 4)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
        if self.keepalive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_S // 4)
        if self.number is None:
            self.streams.accepted(self)

    def data_received(self, data: bytes) -> None:
        if self.number is not None:
            self.streams.inputs.stream_received(self.number, data)

    def send(self, data: bytes) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        self.owed += len(data)
        self.transport.write(data)
        self.give_back()

    def resume_writing(self) -> None:
        self.give_back()

    def give_back(self) -> None:
        if self.transport is None or self.number is None:
            return
        count = self.owed - self.transport.get_write_buffer_size()
        if count > 0:
            self.owed -= count
            self.streams.inputs.stream_writable(self.number, count)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.number is not None:
            self.streams.lost(self.number)


class Streams:
    """All TCP connections of a node."""

    def __init__(self, inputs: StreamInputs) -> None:
        self.inputs = inputs
        self._streams: dict[int, _Stream] = {}
        self._opening: dict[int, asyncio.Task[None]] = {}
        self._servers: list[asyncio.Server] = []
        self._told: dict[tuple[str, int], set[str]] = {}

    async def listen(self, host: str, port: int) -> None:
        """Take connections on `host` ("::" takes IPv4 too).

        Raises: RequestError when the port cannot be had.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.bind((host, port))
        except OSError as error:
            sock.close()
            raise busy_port(port, "tcp", error) from error
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Stream(self, None), sock=sock, backlog=64)
        self._servers.append(server)

    def open(self, event: StreamOpen) -> None:
        """Start a connection; the engine hears `stream_opened` or `stream_failed`."""
        task = asyncio.get_running_loop().create_task(self._open(event))
        self._opening[event.stream] = task

    async def _open(self, event: StreamOpen) -> None:
        stream = _Stream(self, event.stream, keepalive=event.keepalive)
        loop = asyncio.get_running_loop()
        late = NAME_UNASKED
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                places = [] if event.link else await _places(event)
                late = NO_ANSWER
                sock = await (_connect_on_link(event) if event.link else _connect(places))
                await loop.create_connection(lambda: stream, sock=sock)
        except TimeoutError:
            self._failed(event, late)
        except OSError as error:
            self._failed(event, _why(error))
        else:
            self._opening.pop(event.stream, None)
            self._told.pop((event.host, event.port), None)
            self._streams[event.stream] = stream
            self.inputs.stream_opened(event.stream)

    def _failed(self, event: StreamOpen, why: str) -> None:
        if self._opening.pop(event.stream, None) is None:
            return
        if event.keepalive:  # a configured peer; others come and go by themselves
            told = self._told.setdefault((event.host, event.port), set())
            if why not in told:
                told.add(why)
                log.warning("peer not reached host=%s port=%d why=%s", event.host, event.port, why)
        self.inputs.stream_failed(event.stream, why)

    def accepted(self, stream: _Stream) -> None:
        """Take a connection in, if the engine wants it."""
        assert stream.transport is not None
        peer = stream.transport.get_extra_info("peername")
        host = peer[0].partition("%")[0].removeprefix("::ffff:")
        stream.link = _arrival(stream.transport.get_extra_info("socket"), peer)
        stream.number = self.inputs.stream_accepted(host, stream.link)
        if stream.number is None:
            stream.transport.abort()
        else:
            self._streams[stream.number] = stream

    def send(self, event: StreamSend) -> None:
        """Write to a stream; bytes for one that is gone are lost with it."""
        stream = self._streams.get(event.stream)
        if stream is not None:
            stream.send(event.data)

    def close(self, event: StreamClose) -> None:
        """Close a stream after what was sent has left; the engine hears no more of it."""
        task = self._opening.pop(event.stream, None)
        if task is not None:
            task.cancel()
        stream = self._streams.pop(event.stream, None)
        if stream is not None and stream.transport is not None:
            stream.number = None
            stream.transport.close()

    def lost(self, number: int) -> None:
        """Tell the engine that a stream has ended."""
        if self._streams.pop(number, None) is not None:
            self.inputs.stream_closed(number)

    def stop(self) -> None:
        """Close everything at once."""
        for server in self._servers:
            server.close()
        for task in self._opening.values():
            task.cancel()
        for stream in self._streams.values():
            stream.number = None
            if stream.transport is not None:
                stream.transport.abort()
        self._streams.clear()


async def _places(event: StreamOpen) -> list[tuple[int, Any]]:
    """Return the families and addresses that a host has."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(event.host, event.port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


async def _connect(places: list[tuple[int, Any]]) -> socket.socket:
    """Connect to the first of these that takes it. Raises: OSError, that of the last."""
    last = OSError(errno.EHOSTUNREACH, "no address")
    for family, address in places:
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            await asyncio.get_running_loop().sock_connect(sock, address)
        except OSError as error:
            sock.close()
            last = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise last


async def _connect_on_link(event: StreamOpen) -> socket.socket:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        scope = socket.if_nametoindex(event.link)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, (event.host, event.port, 0, scope))
    except BaseException:
        sock.close()
        raise
    return sock


def _why(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return NAME_UNASKED if error.errno == socket.EAI_AGAIN else NAME_UNKNOWN
    if error.errno == errno.ECONNREFUSED:
        return REFUSED
    if error.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH}:
        return NO_ROUTE
    return error.strerror or str(error)


def _arrival(sock: socket.socket, peer: tuple[Any, ...]) -> str:
    """Return the interface that an accepted connection came by, "" when it cannot be known.

    Linux gives a new TCP connection the interface of its SYN as the one for multicast.
    """
    try:
        scope = peer[3] if len(peer) == 4 else 0
        index = scope or sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF)
        return socket.if_indextoname(index) if index else ""
    except OSError:
        return ""
