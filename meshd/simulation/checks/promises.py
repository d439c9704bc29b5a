"""What was said to be written or delivered is there, once and unaltered.

Enters: requests, replies, commits, power cuts. Leaves: violations. A *promise* is an entry that a
host called written. It must be on that host's disk when it is said, at each minute, and in the end
at everybody who was let into its space, and whom good links connect to somebody who holds it. It is
void only when the plan itself takes the disk back (rolled-back or empty) while nobody else held the
entry. Forks are exempt from sameness where a plan made them: a rolled-back or a copied card.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from meshd.core.events import EntryRow
from meshd.simulation.checks import graph
from meshd.simulation.checks.checker import Checker
from meshd.simulation.checks.entries import (
    Entry,
    among,
    copied,
    entry_of,
    holds,
    losing,
    name_of,
)
from meshd.space.record import fork_key

if TYPE_CHECKING:
    from meshd.core.events import Reply, Row
    from meshd.simulation.anyworld import AnyHost
    from meshd.simulation.checks.ledger import Ledger
    from meshd.simulation.host import Host
    from meshd.simulation.plan.plan import Plan
    from meshd.simulation.world import World


class Promises(Checker):
    """Keeps what was promised, and looks for it."""

    name = "promises"

    def __init__(self, world: World, plan: Plan, ledger: Ledger) -> None:
        super().__init__(world)
        self._ledger = ledger
        self._unsettled = graph.Unsettled(plan)
        self._losing = losing(plan)
        self._copied = copied(plan)
        self._bytes: dict[Entry, bytes] = {}
        self._promised: dict[Entry, Host] = {}
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
                    self.fail(host, f"stored other bytes as {name_of(entry)} than another host")

    def crashed(self, host: AnyHost) -> None:
        self._unsettled.power(host, self.world.now)

    def started(self, host: AnyHost) -> None:
        self._unsettled.power(host, self.world.now)
        if not among(host, self._losing):
            return
        for entry, promiser in list(self._promised.items()):
            if promiser is host and not any(holds(one, entry) for one in self.world.hosts):
                del self._promised[entry]

    def minute(self) -> None:
        for entry, host in self._promised.items():
            if host.running and not among(host, self._losing) and not holds(host, entry):
                self.fail(host, f"lost {name_of(entry)}, which it called written")

    def finished(self) -> None:
        self.minute()
        for group in graph.groups(self.world, self._unsettled.numbers):
            if not graph.leans_on_faint(self.world, group):
                self._everywhere(group)

    # --- the verdict ------------------------------------------------------------------------------

    def _promise(self, host: Host, value: dict[str, object]) -> None:
        entry = entry_of(value)
        if not holds(host, entry):
            self.fail(host, f"called {name_of(entry)} written before it was on its disk")
        self._promised[entry] = host

    def _everywhere(self, group: list[Host]) -> None:
        for entry, author in self._promised.items():
            if among(author, self._copied) or _frozen(group, entry):
                continue
            if not any(holds(host, entry) for host in group):
                continue
            for host in group:
                if self._is_member(host, entry.space) and not holds(host, entry):
                    self.fail(host, f"lacks {name_of(entry)}, which {author.name} called written")

    def _is_member(self, host: Host, space_id: bytes) -> bool:
        """Tell whether a host was let in, though it may not have heard so.

        When cards go back, the record that let it in may be gone.
        """
        space = host.node.spaces.get(space_id)
        if space is None:
            return False
        let_in = self._ledger.rank(space_id, space.author) is not None
        return space.rank is not None or (let_in and not self._may_fork())

    def _may_fork(self) -> bool:
        return bool(self._losing or self._copied)


def _frozen(hosts: list[Host], entry: Entry) -> bool:
    key = fork_key(entry.space, entry.author)
    return any(key in host.store.metas for host in hosts)
