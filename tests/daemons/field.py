"""Meshes to test and to measure: namespaces, one routing daemon in each, and probes.

The radio medium of the lab: one interface a node, hidden nodes, no carrier event on a cut.
"""

import select
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from daemons.routers import PROBE_PORT, Router

from meshd.lab.daemons import wait_for
from meshd.lab.namespaces import Lab, Namespace, Usage

_PROBE = struct.Struct("!HHI")


def grid(rows: int, columns: int) -> list[tuple[int, int]]:
    """Return the edges of a grid, numbered row by row."""
    right = [(at, at + 1) for at in range(rows * columns) if (at + 1) % columns]
    down = [(at, at + columns) for at in range((rows - 1) * columns)]
    return right + down


def line(count: int) -> list[tuple[int, int]]:
    """Return the edges of a line."""
    return [(at, at + 1) for at in range(count - 1)]


class Field:
    """A mesh of one kind of router, or of one kind a node. `up=False` keeps the radios down.

    `alone` more nodes come after those of the edges, and have none.
    """

    def __init__(
        self,
        kinds: type[Router] | Sequence[type[Router]],
        edges: Iterable[tuple[int, int]],
        *,
        up: bool = True,
        alone: int = 0,
    ) -> None:
        self._kinds = kinds
        self._edges = list(edges)
        self._up = up
        self._count = max(max(edge) for edge in self._edges) + 1 + alone
        self._lab = Lab("field")
        self.nodes: list[Namespace] = []
        self.routers: list[Router] = []

    def __enter__(self) -> "Field":
        try:
            count = self._count
            self.nodes = [self._lab.node(f"n{number}", up=self._up) for number in range(count)]
            for one, other in self._edges:
                self._lab.heal(self.nodes[one], self.nodes[other])
            kinds = self._kinds if isinstance(self._kinds, Sequence) else [self._kinds] * count
            self.routers = [
                kind(node, number)
                for number, (kind, node) in enumerate(zip(kinds, self.nodes, strict=True))
            ]
        except BaseException:
            self._lab.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lab.close()

    def start(self, within_s: float = 60) -> None:
        """Start all daemons; return when the last one is ready."""
        for router in self.routers:
            router.start()
        for router in self.routers:
            if not wait_for(router.ready, within_s):
                raise RuntimeError(f"{router.name} on {router.node.name} is not ready")

    def raise_radios(self) -> None:
        """Bring all radios up at once."""
        self._lab.raise_radios()

    def tx_bytes(self) -> list[int]:
        """Return what each node has sent so far."""
        return [node.counters().tx_bytes for node in self.nodes]

    def usages(self) -> list[Usage]:
        """Return what each daemon uses."""
        return [router.usage() for router in self.routers]

    def folder(self) -> Path:
        """Return the folder of this field, which goes with it."""
        return self._lab.folder


class Probes:
    """A UDP socket in each node, all in this process."""

    def __init__(self, field: Field) -> None:
        self._addresses = [router.address for router in field.routers]
        self._sockets = []
        self._poll = select.epoll()
        for node in field.nodes:
            opened = node.open_socket(socket.AF_INET6, socket.SOCK_DGRAM)
            opened.setblocking(False)
            opened.bind(("::", PROBE_PORT))
            self._poll.register(opened.fileno(), select.EPOLLIN)
            self._sockets.append(opened)
        self._by_fd = {opened.fileno(): opened for opened in self._sockets}

    def all_pairs(
        self, begun: float, *, within_s: float = 60.0, every_s: float = 0.1
    ) -> tuple[float | None, int]:
        """Probe each pair until it answers; return the time of the last one, and what is missing.

        The time is None when pairs are missing at the end.
        """
        places = range(len(self._sockets))
        missing = {(one, other) for one in places for other in places if one != other}
        last = begun
        while missing and time.monotonic() - begun < within_s:
            again = time.monotonic() + every_s
            for count, (one, other) in enumerate(list(missing)):
                self._send(one, other)
                if count % 64 == 63:
                    last = self._take(missing, last, 0)
            while missing and (left := again - time.monotonic()) > 0:
                last = self._take(missing, last, left)
        return (None if missing else last - begun), len(missing)

    def pair(
        self, one: int, other: int, *, within_s: float = 30.0, every_s: float = 0.02
    ) -> float | None:
        """Probe one pair until a probe arrives; return the seconds it took, None for never."""
        self._strike({}, (one, other), time.monotonic() + every_s)
        begun = time.monotonic()
        missing = {(one, other)}
        while missing and time.monotonic() - begun < within_s:
            self._send(one, other)
            again = time.monotonic() + every_s
            while missing and (left := again - time.monotonic()) > 0:
                self._take(missing, begun, left)
        return None if missing else time.monotonic() - begun

    def steady(
        self, one: int, other: int, *, within_s: float, calm_s: float = 8.0, every_s: float = 0.02
    ) -> float | None:
        """Probe one pair until nothing was lost for `calm_s`; return the seconds until then.

        None when that did not come about within `within_s`.
        """
        begun = time.monotonic()
        lost: dict[int, float] = {}
        number = 0
        last = 0.0
        while (now := time.monotonic() - begun) < within_s:
            number += 1
            lost[number] = now
            self._send(one, other, number)
            self._strike(lost, (one, other), begun + now + every_s)
            overdue = [sent for sent in lost.values() if sent < now - 0.5]
            last = max([last, *(sent + every_s for sent in overdue)])
            if now - last > calm_s:
                return last
        return None

    def refresh(self, field: Field) -> None:
        """Take the addresses anew."""
        self._addresses = [router.address for router in field.routers]

    def close(self) -> None:
        """Close all sockets."""
        self._poll.close()
        for opened in self._sockets:
            opened.close()

    def _strike(self, lost: dict[int, float], pair: tuple[int, int], until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            for fd, _ in self._poll.poll(left):
                for one, other, number in self._read(fd):
                    if (one, other) == pair:
                        lost.pop(number, None)

    def _read(self, fd: int) -> Iterator[tuple[int, int, int]]:
        for _ in range(256):
            try:
                data = self._by_fd[fd].recv(64)
            except OSError:
                return
            if len(data) == _PROBE.size:
                yield _PROBE.unpack(data)

    def _send(self, one: int, other: int, number: int = 0) -> None:
        try:
            target = (self._addresses[other], PROBE_PORT)
            self._sockets[one].sendto(_PROBE.pack(one, other, number), target)
        except OSError:
            return

    def _take(self, missing: set[tuple[int, int]], last: float, timeout_s: float) -> float:
        for fd, _ in self._poll.poll(timeout_s):
            for one, other, _ in self._read(fd):
                if (one, other) in missing:
                    missing.discard((one, other))
                    last = time.monotonic()
        return last
