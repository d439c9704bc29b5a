"""What was said to be written or delivered is there, once and unaltered.

Enters: requests, replies, notices, commits, power cuts. Leaves: violations. A *promise* is an entry
that a host called written. It must be on that host's disk when it is said, at each minute, and in
the end at every member of its space that good links connect to somebody who holds it. It is void
only when the plan itself takes the disk back (rolled-back or empty) while nobody else held the
entry. Forks are exempt from sameness where a plan made them: a rolled-back or a copied card.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from meshd.core.events import EntryRow
from meshd.core.ids import decode_text
from meshd.simulation.checks import graph
from meshd.simulation.checks.checker import Checker
from meshd.simulation.plan import POWER_CUTS, means

if TYPE_CHECKING:
    from meshd.core.events import Notice, Reply, Row
    from meshd.simulation.host import Host
    from meshd.simulation.plan import Plan
    from meshd.simulation.world import World

SPACE_LEN = 32
LOSING = ("rolled-back", "empty")


class Entry(NamedTuple):
    """Where an entry stands: space, author, number."""

    space: bytes
    author: bytes
    seq: int


class Promises(Checker):
    """Keeps what was promised, and looks for it."""

    name = "promises"

    def __init__(self, world: World, plan: Plan) -> None:
        super().__init__(world)
        self._losing = [
            fault.nodes
            for fault in plan.faults
            if fault.kind in POWER_CUTS and fault.disk in LOSING
        ]
        self._copied = [
            pattern
            for fault in plan.faults
            if fault.behaviour == "fork"
            for pattern in (fault.nodes, f"{fault.nodes}-copy*")
        ]
        self._bytes: dict[Entry, bytes] = {}
        self._promised: dict[Entry, Host] = {}
        self._told: dict[int, set[Entry]] = {}
        self._tickets: dict[tuple[int, int], tuple[str, object]] = {}
        self._files: dict[tuple[str, str], list[bytes]] = {}

    # --- what happens -----------------------------------------------------------------------------

    def asked(self, host: Host, verb: str, args: dict[str, object], ticket: int) -> None:
        if verb in ("put", "get") and isinstance(handle := args.get("handle"), int):
            name = (str(args.get("space")), str(args.get("name")))
            if verb == "put":
                data = bytes(host.store.files.lent.get(handle, b""))
                self._files.setdefault(name, []).append(data)
            else:
                self._tickets[host.number, ticket] = ("get", (name, handle))
        elif verb == "post":
            self._tickets[host.number, ticket] = ("post", None)

    def reply(self, host: Host, reply: Reply) -> None:
        verb, what = self._tickets.pop((host.number, reply.ticket), ("", None))
        if reply.value is None:
            return
        if verb == "post" and reply.value.get("state") == "written":
            self._promise(host, reply.value)
        elif verb == "get" and isinstance(what, tuple):
            name, handle = what
            got = bytes(host.store.files.lent.get(handle, b""))
            if got not in self._files.get(name, [got]):
                self.fail(host, f"got {len(got)} bytes as {name[1]}, which nobody put")

    def committed(self, host: Host, rows: tuple[Row, ...]) -> None:
        for row in rows:
            if isinstance(row, EntryRow):
                entry = Entry(row.space, row.author, row.seq)
                digest = blake2b(row.data, digest_size=16).digest()
                if self._bytes.setdefault(entry, digest) != digest and not self._may_fork():
                    self.fail(host, f"stored other bytes as {_name(entry)} than another host")

    def notice(self, host: Host, notice: Notice) -> None:
        if notice.kind != "entry":
            return
        entry = _entry(notice.fields)
        if not _holds(host, entry):
            self.fail(host, f"told of {_name(entry)}, which is not on its disk")
        told = self._told.setdefault(host.number, set())
        if entry in told:
            self.fail(host, f"told twice of {_name(entry)}")
        told.add(entry)

    def started(self, host: Host) -> None:
        if not _among(host, self._losing):
            return
        self._told.pop(host.number, None)
        for entry, promiser in list(self._promised.items()):
            if promiser is host and not any(_holds(one, entry) for one in self.world.hosts):
                del self._promised[entry]

    def minute(self) -> None:
        for entry, host in self._promised.items():
            if host.running and not _among(host, self._losing) and not _holds(host, entry):
                self.fail(host, f"lost {_name(entry)}, which it called written")

    def finished(self) -> None:
        self.minute()
        for group in graph.groups(self.world):
            if not graph.leans_on_faint(self.world, group):
                self._everywhere(group)

    # --- the verdict ------------------------------------------------------------------------------

    def _promise(self, host: Host, value: dict[str, object]) -> None:
        entry = _entry(value)
        if not _holds(host, entry):
            self.fail(host, f"called {_name(entry)} written before it was on its disk")
        self._promised[entry] = host

    def _everywhere(self, group: list[Host]) -> None:
        for entry, author in self._promised.items():
            if _among(author, self._copied) or _frozen(group, entry):
                continue
            if not any(_holds(host, entry) for host in group):
                continue
            for host in group:
                space = host.node.spaces.get(entry.space)
                member = space is not None and space.rank is not None
                if member and not _holds(host, entry):
                    self.fail(host, f"lacks {_name(entry)}, which {author.name} called written")

    def _may_fork(self) -> bool:
        return bool(self._losing or self._copied)


def _entry(fields: dict[str, object]) -> Entry:
    seq = fields["seq"]
    assert isinstance(seq, int)
    space = decode_text(str(fields["space"]), SPACE_LEN)
    return Entry(space, bytes.fromhex(str(fields["author"])), seq)


def _holds(host: Host, entry: Entry) -> bool:
    return entry.seq in host.store.entries.get((entry.space, entry.author), ())


def _frozen(hosts: list[Host], entry: Entry) -> bool:
    key = f"fork/{entry.space.hex()}/{entry.author.hex()}"
    return any(key in host.store.metas for host in hosts)


def _among(host: Host, patterns: list[str]) -> bool:
    return any(means(pattern, host.name) for pattern in patterns)


def _name(entry: Entry) -> str:
    return f"entry {entry.seq} of {entry.author.hex()[:8]}"
