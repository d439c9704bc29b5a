"""Lies about routes: another's address as one's own, metrics and seqnos that are not.

Enters: what the host's own routing knows. Leaves: updates that its neighbours cannot tell from true
ones; docs/security.md says so. Must not know: spaces, sessions.
"""

from __future__ import annotations

from meshd.core.ids import Prefix, host_prefix
from meshd.simulation.faults.hostile import Attack
from meshd.wire.babel import Retraction, Update

_INTERVAL_CS = 400
_METRIC = 96
_FAR = 0x7FFF


class ForgedOrigin(Attack):
    """Announces the addresses of its victims as its own, at metric 0 and the latest seqno."""

    def tick(self) -> None:
        self.speak(
            self._update(host_prefix(victim.node.address), victim.node.routing.seqno, 0)
            for victim in self.victims()
        )

    def _update(self, prefix: Prefix, seqno: int, metric: int) -> Update:
        address = next((port.address for port in self.host.ports.values()), bytes(16))
        return Update(prefix, prefix.address[8:], seqno, metric, _INTERVAL_CS, address)


class FalseMetric(ForgedOrigin):
    """Claims to be right beside everybody that it has a route to."""

    def tick(self) -> None:
        updates = []
        for address in sorted(self.host.routes):
            known = self.host.node.routing.distance_to(address)
            if known is not None:
                updates.append(self._update(host_prefix(address), known[1], 1))
        self.speak(updates)


class SeqnoLies(ForgedOrigin):
    """Announces seqnos that its victims never had, and tells them that they had."""

    every_us = 3_000_000

    def tick(self) -> None:
        for victim in self.victims():
            prefix = host_prefix(victim.node.address)
            seqno = victim.node.routing.seqno + self.rng.randint(1, _FAR) & 0xFFFF
            self.speak(
                [
                    self._update(prefix, seqno, _METRIC),
                    Retraction(prefix, seqno, _INTERVAL_CS, origin=True),
                ]
            )
