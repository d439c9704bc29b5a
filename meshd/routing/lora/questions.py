"""What is asked over one LoRa radio: wants of routes that are missed, asks for names, both ways.

Enters: what Babel has to ask a neighbour, wants and asks of neighbours. Leaves: words that ask,
pass on or answer, seqno requests on other links. A question by LoRa goes to all in earshot, and
from there on: so only what is missed is asked for, not what might be better, and of one neighbour
so many are looked at and no more.
Must not know: frames, how routes are learnt. Ref: docs/wire-format.md#lora-routes.
"""

from collections.abc import Iterable

from meshd.core.buckets import Buckets
from meshd.core.crowd import NEIGHBOURS_MAX
from meshd.core.drops import DropReason
from meshd.core.events import Link
from meshd.core.ids import SHORT_LEN, Prefix, host_prefix, node_of_address
from meshd.neighbour.table import Neighbour
from meshd.routing.learn import Learner
from meshd.routing.lora.gain import Peers
from meshd.routing.lora.peer import Peer
from meshd.routing.lora.words import Words
from meshd.routing.selection import leads_on, meets
from meshd.routing.source import newer
from meshd.wire.babel import RouteRequest, SeqnoRequest, Tlv
from meshd.wire.lora_routes import Ask, Routes, Want

WANTS_BURST = 128
WANTS_EACH = 16
"""So many wants of one neighbour are looked at, and then one after each so many of `want_us`."""

SPARSE = 4
"""With more in earshot many say little, and each who says nothing for long would be asked past."""

HOPS_LEFT = 16
"""How far a question goes on that comes from LoRa, where it carries no count."""


class Questions:
    """Those of one radio, on `link`, and of its neighbours, `peers`."""

    def __init__(self, learner: Learner, words: Words, peers: Peers, link: Link) -> None:
        self._learner = learner
        self._words = words
        self._peers = peers
        self._link = link
        self._own = node_of_address(link.address)
        self._mesh = link.address[: -len(self._own)]
        self._gathered: list[tuple[Neighbour, SeqnoRequest | RouteRequest]] = []
        self._wants = Buckets(
            burst=WANTS_BURST,
            interval_us=WANTS_EACH * words.rules.want_us,
            sources_max=NEIGHBOURS_MAX,
        )

    # --- own ones ---------------------------------------------------------------------------------

    def want(self, to: bytes, now: int) -> None:
        """Ask for a route to a node that nobody offers."""
        for row in self._words.of(to):
            source = self._learner.sources.get(row.prefix, row.prefix.address[8:])
            entry = self._learner.table.entries.get(row.prefix)
            if source is not None and entry is not None and entry.routes:
                self._words.want(Want(to[:SHORT_LEN], source.seqno + 1 & 0xFFFF), now)

    def say(self, neighbour: Neighbour, tlvs: Iterable[Tlv]) -> None:
        """Take what Babel has to ask a neighbour; it becomes words by `flush`."""
        self._gathered += [
            (neighbour, tlv) for tlv in tlvs if isinstance(tlv, SeqnoRequest | RouteRequest)
        ]

    def flush(self, now: int) -> None:
        """Turn into words what gathered."""
        gathered, self._gathered = self._gathered, []
        for neighbour, question in gathered:
            if question.prefix is None or not question.prefix.address.startswith(self._mesh):
                continue
            short = node_of_address(question.prefix.address)[:SHORT_LEN]
            if isinstance(question, SeqnoRequest):
                if self._missed(question.prefix):
                    self._words.want(Want(short, question.seqno), now)
            else:
                teller = node_of_address(neighbour.address)[:SHORT_LEN]
                self._words.ask(Ask(teller, short), now)

    def _missed(self, prefix: Prefix) -> bool:
        """Tell whether a whole mesh should be asked: there is no way, or by who may be gone."""
        entry = self._learner.table.entries.get(prefix)
        if entry is None or entry.selected is None:
            return True
        via = entry.selected.neighbour
        peer = self._peers.get(node_of_address(via.address))
        late = peer is not None and peer.neighbour is via and peer.late
        awaited = self._learner.requests.awaited(entry) is not None
        return awaited or (late and len(self._peers) <= SPARSE)

    # --- those of neighbours ----------------------------------------------------------------------

    def heard(self, peer: Peer, said: Routes, now: int) -> None:
        """Answer what a neighbour asks, or see to it that others do."""
        for want in said.wants:
            if self._wants.allow(peer.node, now):
                self._wanted(peer, want, now)
            else:
                self._learner.ctx.drop(DropReason.LORA_WANTS_RATE, self._link.name)
        for ask in said.asks:
            self._asked(ask, now)

    def _wanted(self, peer: Peer, want: Want, now: int) -> None:
        """Answer who wants a later seqno of a route, or pass the question on once."""
        short, seqno = want
        if short == self._own[:SHORT_LEN]:
            self._raise(seqno, now)
            return
        nearer = True
        for row in self._words.of(short):
            entry, router_id = self._learner.table.entries.get(row.prefix), row.prefix.address[8:]
            route = entry.selected if entry is not None else None
            if route is not None and meets(route, router_id, seqno):
                self._words.answer(row, now)
                return
            self._words.awaits(row, seqno, now)
            if route is not None and route.neighbour.link.name != self._link.name:
                request = SeqnoRequest(row.prefix, router_id, seqno, HOPS_LEFT)
                self._learner.requests.incoming(peer.neighbour, request, now, lambda _: False)
            nearer = route is None or entry is None or leads_on(entry, route, peer.neighbour)
        self._words.want(want, now, nearer=nearer, passed=True)

    def _raise(self, seqno: int, now: int) -> None:
        """Take the seqno that somebody wants of this node, and say so."""
        own = self._learner.own
        if newer(seqno, own.seqno):
            prefix, last = host_prefix(self._link.address), seqno - 1 & 0xFFFF
            if last == own.seqno:
                raised = own.increase(now)
            else:
                raised = own.adopt(prefix, last, now, self._link.name)
            if raised:
                self._learner.announcer.changed_own(now)
        self._words.answer_own(now)

    def _asked(self, ask: Ask, now: int) -> None:
        """Answer who does not know a name."""
        own = self._own[:SHORT_LEN]
        if ask.teller == own:
            everything = ask.short == own
            rows = tuple(self._words.rows.values()) if everything else self._words.of(ask.short)
            self._words.name(rows, now)
        else:
            self._words.heard_ask(ask, now)
