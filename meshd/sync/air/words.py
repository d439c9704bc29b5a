"""What others say of their spaces by radio, and what they get for it: entries they lack.

Enters: DIGESTS, HEADS, SYMBOLS, NEEDS, PROBE of neighbours and of nodes behind them. Leaves: wants,
offers of entries, suspicions of forks. A frame proves no sender, so nobody is believed: a word
makes this node send, within the part of the neighbour by whom it came, and changes nothing here.
"""

from collections.abc import Callable
from typing import NamedTuple

from meshd.core.drops import DropReason
from meshd.sync.air.forks import AirForks
from meshd.sync.air.link import AirLink, Voice
from meshd.sync.air.long import LongEntries
from meshd.sync.air.names import Names
from meshd.sync.air.offers import Key, Offer
from meshd.sync.air.own_entries import OwnEntries
from meshd.sync.air.talk import Ahead, Behind, Finding, Unlike
from meshd.sync.ports import PassingPort
from meshd.sync.reads import Reads
from meshd.wire import air_messages as wire
from meshd.wire.lora_payload import Sub
from meshd.wire.symbols import SymbolBatch

REPAIR_MAX = 16
"""Entries that are sent for one word of a neighbour; it says another."""


class Asker(NamedTuple):
    """Who said something: by which radio, in which way, and which neighbour gave it to us."""

    link: AirLink
    voice: Voice
    node: bytes
    giver: bytes


class Words:
    """Takes the words of all radios. `planned(link, now)`: something waits there that did not."""

    def __init__(
        self,
        names: Names,
        passing: PassingPort,
        long: LongEntries,
        *,
        reads: Reads,
        forks: AirForks,
        planned: Callable[[AirLink, int], None],
    ) -> None:
        self._own = OwnEntries(names, passing, reads)
        self._forks = forks
        self._names = names
        self._spaces = names.spaces
        self._long = long
        self._planned = planned

    def take(self, asker: Asker, sub: int, body: bytes, now: int) -> None:
        """Take what another says of its spaces, by a neighbour or by itself."""
        talk = asker.voice.talk
        if sub == Sub.DIGESTS:
            self._found(asker, talk.digests(asker.node, wire.decode_digests(body), now), now)
        elif sub == Sub.HEADS:
            self._found(asker, talk.heads(asker.node, wire.decode_heads(body), now), now)
        elif sub == Sub.SYMBOLS:
            self._found(asker, talk.symbols(asker.node, SymbolBatch.decode(body), now), now)
        elif sub == Sub.NEEDS:
            self._needs(asker, wire.decode_needs(body), now)
        elif sub == Sub.PROBE:
            self._probe(asker, wire.decode_probe(body), now)

    def _probe(self, asker: Asker, message: wire.AirProbe, now: int) -> None:
        space = self._names.meant(asker.node, Sub.PROBE, message)
        if space is not None:
            link, voice = asker.link, asker.voice
            self._forks.probed(link, voice, space, message, now, giver=asker.giver)

    def _found(self, asker: Asker, findings: list[Finding], now: int) -> None:
        for finding in findings:
            if isinstance(finding, Behind):
                self._send_all(asker, finding.space, finding.entries, now)
            elif isinstance(finding, Ahead):
                feed = (finding.space, finding.author)
                refused = asker.voice.wants.add(feed, finding.seq, now, wait_us=finding.wait_us)
                if refused is not None:
                    asker.link.drop(refused)
            elif isinstance(finding, Unlike):
                self._unlike(asker, finding, now)

    def _unlike(self, asker: Asker, finding: Unlike, now: int) -> None:
        space = self._spaces.get(finding.space)
        if space is None:
            return
        if finding.author:
            self._forks.suspect(asker.link, asker.voice, (space.id, finding.author), now)
        else:
            self._forks.unlike(asker.link, asker.voice, space, now, among=finding.among)

    def _needs(self, asker: Asker, message: wire.Needs, now: int) -> None:
        names = self._names
        space = names.meant(asker.node, Sub.NEEDS, message)
        if space is None:
            return
        asked = []
        for feed, first, length in message.ranges:
            author = names.author(space.id, feed)
            if author is None:
                continue
            asker.voice.wants.others((space.id, author), first, now)
            known = space.feeds.get(author)
            last = min(first + length - 1, known.durable_seq if known else 0)
            asked += [(author, seq) for seq in range(first, last + 1)]
        self._send_all(asker, space.id, tuple(asked), now, whole=True)

    def _send_all(
        self,
        asker: Asker,
        space_id: bytes,
        entries: tuple[tuple[bytes, int], ...],
        now: int,
        *,
        whole: bool = False,
    ) -> None:
        """Offer another what it lacks, within the part of the neighbour by whom it asks."""
        link = asker.link
        for author, seq in entries[:REPAIR_MAX]:
            key = (space_id, author, seq)
            if link.offers.again(key, now):
                continue
            if not link.offers.grants(asker.giver, now):
                link.drop(DropReason.AIR_FLOOD)
                return
            if seq == wire.FORKED:
                self._forks.show(link, asker.voice, (space_id, author), now)
            else:
                self._read(asker, key, now, whole=whole)

    def _read(self, asker: Asker, key: Key, now: int, *, whole: bool) -> None:
        def read(data: bytes | None, at: int) -> None:
            if data is not None:
                self._offer(asker, key, data, at, whole=whole)

        space, author, seq = key
        self._own.one((space, author), seq, read, now)

    def _offer(self, asker: Asker, key: Key, data: bytes, now: int, *, whole: bool) -> None:
        link, far = asker.link, asker.voice.far
        if self._spaces.get(key[0]) is None:
            return
        thin = self._long.thin(link, key[:2], data, now, whole=whole)
        due_us = link.answer_us(now, far=far)
        if thin is not None:
            link.offer(Offer(key, thin, due_us, everybody=far), now)
            self._planned(link, now)
        elif not far:
            link.offers.said(key, now)
            self._long.asked(link.name, key, data, now, due_us=due_us)
