"""Forks found by radio: two entries that one author signed under one number, shown to all.

Enters: entries that do not fit what is held, words of neighbours whose heads are alike though
their states are not, stubs. Leaves: PROBE, which says what is held under some numbers of a feed;
stubs of other entries under these, to who probes; the proof, for `PassingPort.forked`, and both
stubs of it to who may lack it. A stub is an entry without its body: so it goes in one frame however
long the entry is, and proves itself to whoever knows the author.

Nothing is believed that is not signed. A suspicion costs one short word, asked a few times and then
left for ever longer; what strangers forge makes nobody deaf to what members say. An answer costs a
frame, within the part of the neighbour by whom was asked.
Ref: docs/wire-format.md#entries-over-lora.
"""

from collections.abc import Container, Iterable, Mapping

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.space.entries import verify
from meshd.space.space import Space
from meshd.sync.air.link import AirLink, Voice
from meshd.sync.air.names import Feed, Names, feed_name
from meshd.sync.air.own_entries import OwnEntries, decoded
from meshd.sync.air.shows import Show, Shows
from meshd.sync.air.suspects import (
    FORGED,
    LOOKED,
    SAID,
    SHOWN,
    SOON_US,
    SUSPECTS_MAX,
    TRIES_MAX,
    Found,
    Suspect,
    Suspects,
    Why,
)
from meshd.sync.air.thin import stub, whole_stub
from meshd.sync.ports import PassingPort
from meshd.sync.reads import Reads
from meshd.wire import entry as entries
from meshd.wire.air_entry import Thin
from meshd.wire.air_messages import (
    ENTRY_MARK_LEN,
    MARK_LEN_MAX,
    MARKS_MAX,
    PROBE_HEAD,
    AirProbe,
    Mark,
)
from meshd.wire.lora_payload import Sub

ENDS_MAX = 12
"""Feeds whose ends are asked about when a neighbour has the same heads and another state."""
STEPS_MAX = 8
"""Numbers of one feed in a probe: those at its end, then each twice as far from it."""
ROUNDS_MAX = 8
"""How often a search may go on towards the first difference; any difference is a proof."""
AGAIN_US = 30_000_000, 60_000_000
FAR_PROBES_SLOW = 6
"""By way of others, over many hops, a probe waits so many times longer."""
AWAY_US = 5_000_000
READS_MAX = 64
"""Questions to the store that may wait; beyond it words of others are not answered."""


class AirForks:
    """The forks of all spaces of a node, as far as radios find them."""

    def __init__(
        self,
        ctx: Context,
        names: Names,
        passing: PassingPort,
        *,
        reads: Reads,
        shows: Shows,
        links: Mapping[str, AirLink],
    ) -> None:
        self.shows = shows
        self._reads = reads
        self._ctx = ctx
        self._names = names
        self._spaces = names.spaces
        self._passing = passing
        self._links = links
        self._own = OwnEntries(names, passing, reads)
        self._suspects = Suspects()

    # --- suspicion --------------------------------------------------------------------------------

    def suspect(
        self,
        link: AirLink,
        voice: Voice,
        feed: Feed,
        now: int,
        *,
        high: int = 0,
        steps: int = STEPS_MAX,
        why: Why = SAID,
    ) -> None:
        """Ask who holds another entry of a feed, at `high` or some before it, else at its end.

        What may be `FORGED` has its own bounds.
        """
        signed = why.signed
        space = self._spaces.get(feed[0])
        known = space.feeds.get(feed[1]) if space is not None else None
        if space is None or known is None or known.frozen:
            return
        asked = self._suspects.get(feed)
        if asked is not None and (asked.why.firm or not why.firm or asked.found is not None):
            return
        top = min(high or known.durable_seq, known.durable_seq)
        if top < 1 or self._suspects.rests(feed, now, signed=signed):
            return
        if asked is None and self._suspects.is_full(signed):
            link.drop(DropReason.AIR_WANTS_FULL)
            return
        one = self._suspects[feed] = Suspect(link.name, why, far=voice.far)
        due_us = now + self._slow(voice.far, why.wait_us)
        self._aim(one, feed, _steps(top)[:steps], due_us, now)

    def unlike(
        self, link: AirLink, voice: Voice, space: Space, now: int, *, among: Container[bytes] = ()
    ) -> None:
        """A neighbour has the same heads and another state: some feed has two branches.

        `among`: it has these at the same number, in whatever state: asked once, and seldom.
        """
        feeds = [
            one
            for one, feed in space.feeds.items()
            if not feed.frozen and not self._suspects.rests((space.id, one), now, signed=True)
            if not among or one in among
        ]
        if len(feeds) > ENDS_MAX:
            feeds = sorted(self._ctx.rng.sample(feeds, ENDS_MAX))
        for author in feeds:
            why = LOOKED if among else SAID
            self.suspect(link, voice, (space.id, author), now, steps=1, why=why)

    def differs(self, link: AirLink, feed: Feed, thin: Thin, now: int) -> None:
        """Look at an entry that is here already: another one under its number shows a fork."""
        if len(self._reads) >= READS_MAX:
            link.drop(DropReason.AIR_FLOOD)
            return

        def look(data: bytes | None, at: int) -> None:
            if data is not None and data[-len(thin.signature) :] != thin.signature:
                link.drop(DropReason.FORK_SUSPECTED)
                voice = link.voice(feed[0], at)
                self.suspect(link, voice, feed, at, high=thin.seq, why=FORGED)

        self._own.one(feed, thin.seq, look, now)

    # --- what is asked ----------------------------------------------------------------------------

    def due_us(self, link: str) -> int | None:
        """Return when a radio has something to say about forks."""
        dues = [one.due_us for one in self._suspects.values() if one.link == link]
        dues.append(self.shows.due_us(link))
        return min((due_us for due_us in dues if due_us is not None), default=None)

    def pump(self, link: AirLink, now: int) -> None:
        """Say and show by a radio what is due."""
        for voice in (link.near, link.far):
            probe = self._build(link, voice, now, link.word_room(voice))
            if probe is not None:
                link.word(voice, Sub.PROBE, probe.encode(), now)
        show = self.shows.next(link.name, now)
        if show is not None and not link.show(show.thin, now, far=show.far):
            self.shows.later(link.name, show, now + AWAY_US, now)

    def _build(self, link: AirLink, voice: Voice, now: int, room: int) -> AirProbe | None:
        """Return what to ask now, about one space."""
        marks: list[Mark] = []
        space: Space | None = None
        room = min((room - PROBE_HEAD) // MARK_LEN_MAX, MARKS_MAX)
        for feed, one in sorted(self._suspects.items(), key=lambda item: not item[1].signed):
            due = one.due_us is not None and one.due_us <= now
            if not due or (one.link, one.far) != (link.name, voice.far):
                continue
            if space is None and self._suspects.may_probe(link.name, one, now):
                space = self._spaces.get(feed[0])
            if space is None or feed[0] != space.id or len(marks) + len(one.marks) > room:
                one.due_us = now + self._ctx.jitter(*SOON_US)
                continue
            one.tries += 1
            if one.tries > TRIES_MAX:
                self._end(feed, one, now)
                continue
            one.due_us = now + (self._slow(voice.far, AGAIN_US) << one.tries - 1)
            marks += one.marks
        if space is None or not marks:
            return None
        self._suspects.probed(link.name, now)
        return self._names.told(space, Sub.PROBE, AirProbe(b"", b"", tuple(marks)))

    def _aim(self, one: Suspect, feed: Feed, seqs: list[int], due_us: int, now: int) -> None:
        """Ask about these entries when their marks are known."""

        def marked(digests: dict[int, bytes], at: int) -> None:
            space = self._spaces.get(feed[0])
            if space is None or self._suspects.get(feed) is not one:
                return
            name = feed_name(space, feed[1])
            one.marks = tuple(
                Mark(name, seq, digest[:ENTRY_MARK_LEN]) for seq, digest in sorted(digests.items())
            )
            if one.marks:
                one.due_us = max(due_us, at + 1_000)
                self._planned(one.link, at)
            else:
                self._end(feed, one, at)

        self._own.digests(feed, seqs, marked, now)

    def _end(self, feed: Feed, one: Suspect, now: int) -> None:
        """Nobody answers any more: take what was found, or leave the feed for a while."""
        self._suspects.pop(feed, None)
        if one.found is not None:
            self._prove(feed, one, now)
            return
        if one.why is not LOOKED:
            self._suspects.in_vain(feed, now, signed=one.signed)

    # --- what others ask --------------------------------------------------------------------------

    def probed(
        self,
        link: AirLink,
        voice: Voice,
        space: Space,
        message: AirProbe,
        now: int,
        *,
        giver: bytes,
    ) -> None:
        """Show who asks what differs here; a probe that asks the same as ours does for both."""
        rows: dict[bytes, dict[int, bytes]] = {}
        for feed, seq, mark in message.marks:
            author = self._names.author(space.id, feed)
            if author is not None:
                rows.setdefault(author, {})[seq] = mark
        for author, marks in rows.items():
            own = self._suspects.get((space.id, author))
            if own is not None and own.due_us is not None and set(own.marks) & set(message.marks):
                own.due_us = max(own.due_us, now + self._slow(own.far, AGAIN_US))
            if len(self._reads) >= READS_MAX or not link.offers.grants(giver, now):
                link.drop(DropReason.AIR_FLOOD)
                return
            if author in space.log.forked:
                self.show(link, voice, (space.id, author), now, marks=marks)
            else:
                self._answer(link, voice, (space.id, author), marks, now)

    def show(
        self,
        link: AirLink,
        voice: Voice,
        feed: Feed,
        now: int,
        *,
        marks: Mapping[int, bytes] | None = None,
    ) -> None:
        """Show both entries of a proof, but for the one that `marks` says is known."""
        proof = self._passing.proof(*feed)
        if proof is None or (marks is not None and max(marks) < proof[0]):
            return  # who is not that far fetches the feed first
        mark = b"" if marks is None else marks.get(proof[0], b"")
        for data in proof[1:]:
            entry = decoded(data)
            if entry is not None and entry.digest(*feed)[:ENTRY_MARK_LEN] != mark:
                self._show(link, voice, feed, entry, now)

    def _answer(
        self, link: AirLink, voice: Voice, feed: Feed, marks: Mapping[int, bytes], now: int
    ) -> None:
        """Show the first entry of those named that is another one here."""

        def compared(digests: dict[int, bytes], at: int) -> None:
            first = next(
                (
                    seq
                    for seq, digest in sorted(digests.items())
                    if digest[:ENTRY_MARK_LEN] != marks[seq]
                ),
                None,
            )
            if first is not None:
                self.suspect(link, voice, feed, at, high=first, why=SHOWN)
                self._own.one(feed, first, shown, at)

        def shown(data: bytes | None, at: int) -> None:
            entry = None if data is None else decoded(data)
            if entry is not None:
                self._show(link, voice, feed, entry, at)

        self._own.digests(feed, marks, compared, now)

    def _show(
        self, link: AirLink, voice: Voice, feed: Feed, entry: entries.Entry, now: int
    ) -> None:
        """Show an entry; who has its author's id may be two nodes, and one giver reaches one."""
        due_us = link.answer_us(now, far=voice.far)
        least = 2 if self._node_of(feed) in link.neighbours else 1
        if not self.shows.add(link.name, Show(stub(entry), voice.far, due_us, least), now):
            link.drop(DropReason.AIR_CROWDED)
        self._planned(link.name, now)

    # --- proof ------------------------------------------------------------------------------------

    def stub(self, link: AirLink, thin: Thin, now: int, *, node: bytes) -> None:
        """Take a stub; with an own entry of its number it may be a proof."""
        if len(self._reads) >= READS_MAX:
            link.drop(DropReason.AIR_FLOOD)
            return
        for feed in self._names.authors(thin.author):
            self._stub(link, feed, thin, now, node=node)

    def _stub(self, link: AirLink, feed: Feed, thin: Thin, now: int, *, node: bytes) -> None:
        space = self._spaces.get(feed[0])
        known = space.feeds.get(feed[1]) if space is not None else None
        if space is None or known is None:
            return
        theirs = whole_stub(space, thin)
        if known.frozen or thin.seq > known.durable_seq:
            if not verify(*feed, theirs):
                link.drop(DropReason.ENTRY_SIGNATURE)
                return
            self._true(link, feed, thin, now, node=node)
            if not known.frozen:
                link.voice(space.id, now).wants.add(feed, thin.seq, now)
            return

        def compare(data: bytes | None, at: int) -> None:
            mine = None if data is None else decoded(data)
            same = mine is not None and mine.digest(*feed) == theirs.digest(*feed)
            if not same and not verify(*feed, theirs):
                link.drop(DropReason.ENTRY_SIGNATURE)
                return
            self._true(link, feed, thin, at, node=node)
            if mine is None or same:
                return
            self._differ(link, feed, (mine.erased(), theirs), at)

        self._own.one(feed, thin.seq, compare, now)

    def _true(self, link: AirLink, feed: Feed, thin: Thin, now: int, *, node: bytes) -> None:
        """Note who showed a stub, now that it is known to be signed: junk silences nobody."""
        if node and node != self._node_of(feed):  # no twin hears its own node
            self.shows.heard(link.name, thin, node, now)

    def _differ(self, link: AirLink, feed: Feed, found: Found, now: int) -> None:
        """Two signed entries: prove it, or go on to the first difference."""
        space = self._spaces.get(feed[0])
        known = space.feeds.get(feed[1]) if space is not None else None
        if space is None or known is None or known.frozen:
            return
        one = self._suspects.get(feed)
        if one is None:
            one = Suspect(link.name, SAID, far=link.voice(space.id, now).far)
        seq = found[0].head.seq
        if one.found is not None and one.found[0].head.seq <= seq:
            return
        one.found, one.signed = found, True
        one.rounds += 1
        first = seq == 1 or found[0].head.prev == found[1].head.prev
        if first or one.rounds > ROUNDS_MAX or len(self._suspects) >= SUSPECTS_MAX:
            self._suspects.pop(feed, None)
            self._prove(feed, one, now)
            return
        self._suspects[feed] = one
        one.tries, one.due_us = 0, None
        self._aim(one, feed, _steps(seq - 1), now + self._slow(one.far, SOON_US), now)

    def _prove(self, feed: Feed, one: Suspect, now: int) -> None:
        assert one.found is not None
        mine, theirs = one.found
        refused = self._passing.forked(*feed, (mine.head.seq, mine.encode(), theirs.encode()), now)
        if refused is not None:
            self._ctx.drop(refused, one.link)

    def proven(self, feed: Feed, served: Iterable[bytes], now: int) -> None:
        """A fork is proven, wherever: show it to all who may not know it."""
        self._suspects.proven(feed)
        reached = frozenset(served)
        for link in self._links.values():
            for voice in (link.near, link.far):
                voice.wants.forget(feed)
            if link.up and not reached.issuperset(link.neighbours):
                self.show(link, link.voice(feed[0], now), feed, now)

    # --- inside -----------------------------------------------------------------------------------

    def _node_of(self, feed: Feed) -> bytes:
        space = self._spaces.get(feed[0])
        return b"" if space is None else space.node_of(feed[1])

    def _slow(self, far: bool, span_us: tuple[int, int]) -> int:
        return (FAR_PROBES_SLOW if far else 1) * self._ctx.jitter(*span_us)

    def _planned(self, link: str, now: int) -> None:
        due_us = self.due_us(link)
        if due_us is not None:
            self._ctx.timers.set_earlier(("air", link), max(due_us, now + 1_000))


def _steps(top: int) -> list[int]:
    """Return the numbers to ask about: `top`, the one before, then each twice as far back."""
    steps = [top] + [top - (1 << place) for place in range(STEPS_MAX - 1)]
    return [seq for seq in steps if seq >= 1]
