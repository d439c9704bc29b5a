"""Who in earshot of one LoRa radio has use of being told of a node, as far as is known here.

Enters: what neighbours told of a node, who of them hear each other. Leaves: whether one is left
that hears this node and may not know as short a way. Where few hear this node all is told: there
nobody else would tell them. What is left out waits for its turn; what is asked for is told at once.
That is how a start goes, when all tell the same; later all news are told, for ways beside the best.
Must not know: when it is told, frames.
"""

import math
from collections.abc import Callable, Mapping

from meshd.core.ids import SHORT_LEN
from meshd.routing.lora.peer import Peer
from meshd.routing.lora.rules import Rules
from meshd.routing.table import Entry
from meshd.wire.lora_routes import METRIC_STEP

FEW = 2
"""Where no more hear this node, all that is news is told."""

Peers = Mapping[bytes, Peer]
Hear = Callable[[bytes, bytes], bool]
"""Tells whether two neighbours hear each other, by their short addresses."""


class Gain:
    """The listeners of one radio. `hear` is None where nobody here is told who hears whom."""

    def __init__(self, peers: Peers, rules: Rules) -> None:
        self.hear: Hear | None = None
        self._peers = peers
        self._rules = rules

    @property
    def newest_us(self) -> int:
        """When the last listener came, about."""
        return max((peer.up_us for peer in self._peers.values() if peer.hears_us), default=0)

    def lacking(self, node: bytes, entry: Entry | None, steps: int, told: int | None) -> bool:
        """Tell whether a listener may lack a way to a node that is so far.

        `told`: what was said last, None: nothing that holds. A way that grew longer is news to
        whoever may go by it, any other to who would gain a good part of a hop.
        """
        listeners = [peer for peer in self._peers.values() if peer.hears_us]
        if entry is None or len(listeners) <= FEW:
            return True
        hop = self._rules.hop_cost
        limit = told + hop - 1 if told is not None and told < steps else steps + hop * 4 // 3
        left = [
            peer for peer in listeners if peer.node != node and _told_us(entry, peer, limit) is None
        ]
        if not left or self.hear is None:
            return bool(left)
        near: list[tuple[bytes, float]] = [(node[:SHORT_LEN], math.inf)] if limit >= hop else []
        for peer in self._peers.values():
            at_us = _told_us(entry, peer, limit - hop)
            if peer.node != node and at_us is not None:
                near.append((peer.node[:SHORT_LEN], at_us))
        return not all(self._heard(peer, near) for peer in left)

    def _heard(self, peer: Peer, tellers: list[tuple[bytes, float]]) -> bool:
        """Tell whether a neighbour heard one of some tellers: it hears it, and was there then."""
        assert self.hear is not None
        short = peer.node[:SHORT_LEN]
        return any(self.hear(short, one) for one, at_us in tellers if at_us >= peer.up_us)


def _told_us(entry: Entry, peer: Peer, limit: int) -> int | None:
    """Return when a neighbour said last that it is so near, None when it did not."""
    route = entry.of(peer.neighbour)
    if route is None or route.advertised > limit * METRIC_STEP:
        return None
    return route.lease.expires_us - route.lease.hold_us
