"""The own entries of feeds, one or the digests of some: from memory, or else from the store.

Enters: feeds with numbers. Leaves: entries and digests by callback, at once where they are in
memory. Must not know: why somebody wants them.
"""

from collections.abc import Callable, Iterable

from meshd.core.errors import WireError
from meshd.core.events import Answer, EntriesQuery
from meshd.sync.air.names import Feed, Names
from meshd.sync.ports import PassingPort
from meshd.sync.reads import Reads
from meshd.wire import entry as entries

Then = Callable[[bytes | None, int], None]
"""Takes an entry, None when it is not held or the store has failed; and the time."""


class OwnEntries:
    """The entries that this node holds; what is asked of the store waits among `reads`."""

    def __init__(self, names: Names, passing: PassingPort, reads: Reads) -> None:
        self._spaces = names.spaces
        self._passing = passing
        self._reads = reads

    def one(self, feed: Feed, seq: int, then: Then, now: int) -> None:
        """Find the entry `seq`."""
        recent = self._passing.recent.run(*feed, seq, seq)
        if recent:
            then(recent[0], now)
            return

        def done(answer: Answer, why: str, at: int) -> None:
            first = answer[0] if isinstance(answer, tuple) and answer else None
            then(first if isinstance(first, bytes) else None, at)

        self._reads.ask(EntriesQuery(*feed, seq, seq, 1), done)

    def digests(
        self,
        feed: Feed,
        seqs: Iterable[int],
        then: Callable[[dict[int, bytes], int], None],
        now: int,
    ) -> None:
        """Find the digests of some entries; those that are not held are left out."""
        space = self._spaces.get(feed[0])
        known = space.feeds.get(feed[1]) if space is not None else None
        held = known.durable_seq if known is not None else 0
        found: dict[int, bytes] = {}
        missing = []
        for seq in sorted(seqs):
            digest = known.digest_at(seq) if known is not None and seq <= held else b""
            if digest:
                found[seq] = digest
            elif seq <= held:
                missing.append(seq)

        def read(data: bytes | None, at: int) -> None:
            entry = None if data is None else decoded(data)
            if entry is not None:
                found[entry.head.seq] = entry.digest(*feed)
            if missing:
                self.one(feed, missing.pop(), read, at)
            else:
                then(found, at)

        read(None, now)


def decoded(data: bytes) -> entries.Entry | None:
    """Return an entry; None for junk."""
    try:
        return entries.decode(data)
    except WireError:
        return None
