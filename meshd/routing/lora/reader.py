"""What neighbours on LoRa say, with whole names: short entries are read as far as that is certain.

Enters: ROUTES items. Leaves: entries with NodeId and full seqno, and questions for names. Entries
come in groups of eight, each with a check. Where a group has nodes that are not known yet it waits,
for some minutes, until their names are heard.
Must not know: the route table's choices, frames. Ref: docs/wire-format.md#lora-routes.
"""

from collections.abc import Callable, Iterable, Iterator

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.ids import SHORT_LEN
from meshd.routing.lora.names import check_of, grouped, nearest
from meshd.routing.lora.peer import Group, Peer
from meshd.routing.lora.words import Words
from meshd.routing.source import newer
from meshd.wire.lora_routes import UNREACHABLE, Ask, NamedEntry, Routes

ASKS_EACH_MAX = 4
"""How often a neighbour is asked for the names of one group."""

HEARD_MAX = 1024
"""Names that were heard of late, whether there is a route to them or not."""

Known = Callable[[bytes], tuple[bytes, int] | None]


class Reader:
    """Reads for one radio of `own`. `known` returns node and seqno for a short address of one."""

    def __init__(self, ctx: Context, words: Words, known: Known, *, own: bytes, link: str) -> None:
        self._ctx = ctx
        self._own = own
        self._words = words
        self._known = known
        self._link = link
        self._heard: dict[bytes, tuple[bytes, int]] = {}

    def named(self, peer: Peer, said: Routes) -> Iterator[NamedEntry]:
        """Return what a neighbour names, and keep the names."""
        for entry in said.named:
            node, seqno, metric, _ = entry
            if metric < UNREACHABLE and not peer.names.note(node, seqno):
                self._ctx.drop(DropReason.LORA_NAMES_FULL, self._link)
            short = node[:SHORT_LEN]
            if len(self._heard) >= HEARD_MAX:
                del self._heard[next(iter(self._heard))]
            self._heard[short] = node, seqno
            self._words.answered(short)
            for group in peer.waiting:
                group.news.discard(short)
            yield entry

    def plain(self, peer: Peer, said: Routes, now: int) -> Iterator[tuple[NamedEntry, int]]:
        """Return what can be read of a neighbour's short entries, with the period it told."""
        if said.entries and peer.waiting:
            told = {entry.short for entry in said.entries}
            for waiting in peer.waiting:
                waiting.news -= told
        for entries, check in zip(grouped(said.entries), said.checks, strict=True):
            group = Group(entries, check, said.period, now)
            if (found := self._read(peer, group, late=False)) is None:
                peer.waiting.append(group)
                found = self._certain(peer, group)
                self._ask(peer, group, now)
            yield from ((entry, said.period) for entry in found)

    def again(self, peer: Peer) -> Iterator[tuple[NamedEntry, int]]:
        """Return what can be read now of what waited for names."""
        for _ in range(len(peer.waiting)):
            group = peer.waiting.popleft()
            found = self._read(peer, group, late=True)
            if found is not None:
                said = zip(group.entries, found, strict=True)
                yield from ((one, group.period) for raw, one in said if raw.short in group.news)
            elif group.news:
                peer.waiting.append(group)

    def remind(self, peers: Iterable[Peer], now: int) -> bool:
        """Ask again for what is still missing; tell whether anything is."""
        waits = False
        for peer in peers:
            for group in tuple(peer.waiting):
                if group.asked >= ASKS_EACH_MAX or not group.news:
                    peer.waiting.remove(group)
                else:
                    waits = True
                    self._ask(peer, group, now)
        return waits

    # --- helpers ----------------------------------------------------------------------------------

    def _read(self, peer: Peer, group: Group, *, late: bool) -> list[NamedEntry] | None:
        """Return all entries of a group if the check says that they are understood.

        When it is read late, later seqnos may be known already.
        """
        found: list[NamedEntry] = []
        for short, seqno, metric, heard in group.entries:
            number = None if metric == UNREACHABLE else seqno
            meant = peer.names.meant(short, None if late else number)
            if meant is None:
                meant = self._guess(peer, short, number)
            elif late and number is not None:
                meant = meant[0], nearest(number, meant[1])
            if meant is None:
                return None
            found.append(NamedEntry(meant[0], meant[1] if number is not None else 0, metric, heard))
        if check_of(peer.node, ((one.node, one.seqno) for one in found)) != group.check:
            return None
        for one in found:
            known = peer.names.meant(one.node[:SHORT_LEN], None)
            if one.metric < UNREACHABLE and (known is None or not newer(known[1], one.seqno)):
                peer.names.note(one.node, one.seqno)
        return found

    def _guess(self, peer: Peer, short: bytes, seqno: int | None) -> tuple[bytes, int] | None:
        """Return whom a neighbour may mean, by all that is known here."""
        if peer.names.shared(short):
            return None
        known = self._known(short) or self._heard.get(short)
        if known is None or seqno is None:
            return known
        return known[0], nearest(seqno, known[1])

    def _certain(self, peer: Peer, group: Group) -> list[NamedEntry]:
        """Return what holds of a group whatever its seqnos are: what is lost, and who hears us.

        Only the check says which number seven bits stand for. A word that others overtook, in the
        teller's own queue or on the way, would be read as one of 128 numbers later, and such a
        route is feasible to everybody.
        """
        found = []
        for short, _, metric, heard in group.entries:
            meant = peer.names.meant(short, None)
            if meant is not None and (metric == UNREACHABLE or meant[0] == self._own):
                found.append(NamedEntry(meant[0], 0, UNREACHABLE, heard))
        return found

    def _ask(self, peer: Peer, group: Group, now: int) -> None:
        """Ask for the names that are missing; if none is, some is wrong."""
        shorts = [entry.short for entry in group.entries]
        unsure = [short for short in shorts if peer.names.meant(short, None) is None]
        missing = [short for short in unsure if self._guess(peer, short, None) is None]
        asked = False
        for short in missing or unsure or shorts:
            if not group.asked:
                self._ctx.drop(DropReason.LORA_NAME_UNKNOWN, self._link)
            asked = self._words.ask(Ask(peer.short, short), now) or asked
        group.asked += asked
