"""What people read is what was written, letter for letter.

Enters: the texts that people ask to be written, commits of all hosts. Leaves: violations. Each post
and message is opened at each member that stores it, and compared with what was asked for. In the
end each member's log is read as a person reads it, through the node's own `LogReader`: each text
shown is compared once more, and where all is shown, nothing may lack. Where a plan takes a card
back or copies it, one place may hold two texts, but none that nobody asked for.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple

from meshd.core.context import Context
from meshd.core.errors import WireError
from meshd.core.events import EntryRow, Reply, StoreRead
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
from meshd.space.reading import LogReader
from meshd.space.verbs import LOG_LIMIT_MAX
from meshd.wire import payload
from meshd.wire.entry import Kind

if TYPE_CHECKING:
    from meshd.core.events import Row
    from meshd.simulation.host import Host
    from meshd.simulation.plan.plan import Plan
    from meshd.simulation.world import World
    from meshd.space.space import Space

SHOWN_MAX = 4_096
"""Letters of a text that a log shows."""


class Asked(NamedTuple):
    """What somebody asked to be written, by whom, and whether it must be just this."""

    host: int
    text: str
    sure: bool


class Content(Checker):
    """Keeps what was asked for, by place."""

    name = "content"

    def __init__(self, world: World, plan: Plan) -> None:
        super().__init__(world)
        self._forking = [*losing(plan), *copied(plan)]
        self._tickets: dict[tuple[int, int], str] = {}
        self._texts: dict[Entry, Asked] = {}
        self._all: set[str] = set()

    def asked(self, host: Host, verb: str, args: dict[str, object], ticket: int) -> None:
        text = args.get("text")
        if verb == "post" and isinstance(text, str):
            self._tickets[host.number, ticket] = text
            self._all.add(text)

    def reply(self, host: Host, reply: Reply) -> None:
        text = self._tickets.pop((host.number, reply.ticket), None)
        if text is None or reply.value is None:
            return
        entry = entry_of(reply.value)
        self._texts[entry] = Asked(host.number, text, not among(host, self._forking))
        data = host.store.entries.get(entry[:2], {}).get(entry.seq)
        if data is not None:
            self._open(host, entry, data)

    def committed(self, host: Host, rows: tuple[Row, ...]) -> None:
        for row in rows:
            if isinstance(row, EntryRow) and not row.membership:
                entry = Entry(row.space, row.author, row.seq)
                known = self._texts.get(entry)
                if known is not None and known.host != host.number:
                    self._open(host, entry, row.data)

    def finished(self) -> None:
        for host in self.world.hosts:
            if host.running:
                for space in host.node.spaces.all():
                    if space.rank is not None and not space.carries_only:
                        self._read_log(host, space)

    def _open(self, host: Host, entry: Entry, data: bytes) -> None:
        """Compare an entry on a disk, as its keys open it there."""
        space = host.node.spaces.get(entry.space)
        if space is None or space.carries_only:
            return
        opened = space.open(entry.author, data)
        try:
            if opened is None:
                self.fail(host, f"cannot open {name_of(entry)}, which was written")
            elif opened.kind in (Kind.POST, Kind.DISTRESS):
                self._compare(host, entry, payload.decode_post(opened.payload).text)
            elif opened.kind == Kind.MESSAGE:
                self._compare(host, entry, payload.decode_message(opened.payload).text)
        except WireError:
            self.fail(host, f"cannot read {name_of(entry)}, which was written")

    def _compare(self, host: Host, entry: Entry, text: str, *, cut: bool = False) -> None:
        known = self._texts.get(entry)
        if known is None or (not known.sure and text in self._all):
            return
        wanted = known.text[:SHOWN_MAX] if cut else known.text
        if text != wanted and (known.sure or not cut):
            self.fail(host, f"reads {text[:20]!r} as {name_of(entry)}, not {wanted[:20]!r}")

    def _read_log(self, host: Host, space: Space) -> None:
        """Read what `meshd log` would show, and look for what it keeps back."""
        value = _log(host, space)
        if value is None:
            self.fail(host, f"cannot show the log of {space.text_id[:8]}")
            return
        shown: set[Entry] = set()
        items = value["entries"]
        assert isinstance(items, list)
        for item in items:
            entry = entry_of({**item, "space": space.text_id})
            shown.add(entry)
            if "text" in item:
                self._compare(host, entry, item["text"], cut=True)
        if value["more"]:
            return
        for entry, known in self._texts.items():
            mine = entry.space == space.id and known.sure
            if mine and entry not in shown and holds(host, entry):
                self.fail(host, f"does not show {name_of(entry)}")


def _log(host: Host, space: Space) -> dict[str, object] | None:
    """Read a log beside the node, so that nothing of it changes."""
    ctx = Context(rng=Random(0), entropy=bytes)
    reader = LogReader(ctx)
    reader.start(space, limit=LOG_LIMIT_MAX, after={}, ticket=0)
    while ctx.events:
        event = ctx.events.popleft()
        if isinstance(event, StoreRead):
            ctx.read_finished(event.token)
            reader.read_done(event.token, host.store.answer(event.query))
        elif isinstance(event, Reply):
            return event.value
    return None
