"""What several checkers say of entries: where one stands, who holds it, how it is called.

Enters: the fields of replies and notices, hosts. Leaves: names and answers. Holds no state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from meshd.core.ids import decode_text
from meshd.simulation.plan.plan import POWER_CUTS, means

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshd.simulation.anyworld import AnyHost
    from meshd.simulation.host import Host
    from meshd.simulation.plan.plan import Plan

SPACE_LEN = 32
LOSING = ("rolled-back", "empty")
"""Disks on which a host finds less than it was sure of."""


class Entry(NamedTuple):
    """Where an entry stands: space, author, number."""

    space: bytes
    author: bytes
    seq: int


def entry_of(fields: dict[str, object]) -> Entry:
    """Return the entry that a reply or notice speaks of."""
    seq = fields["seq"]
    assert isinstance(seq, int)
    space = decode_text(str(fields["space"]), SPACE_LEN)
    return Entry(space, bytes.fromhex(str(fields["author"])), seq)


def holds(host: Host, entry: Entry) -> bool:
    """Tell whether an entry is on a host's disk."""
    return entry.seq in host.store.entries.get((entry.space, entry.author), ())


def among(host: AnyHost, patterns: Sequence[str]) -> bool:
    """Tell whether one of these patterns names a host."""
    return any(means(pattern, host.name) for pattern in patterns)


def losing(plan: Plan) -> list[str]:
    """Return patterns of the hosts whose disks a plan takes back."""
    cuts = (fault for fault in plan.faults if fault.kind in POWER_CUTS)
    return [fault.nodes for fault in cuts if fault.disk in LOSING]


def copied(plan: Plan) -> list[str]:
    """Return patterns of the hosts whose cards a plan copies, and of the copies."""
    return [
        pattern
        for fault in plan.faults
        if fault.behaviour == "fork"
        for pattern in (fault.nodes, f"{fault.nodes}-copy*")
    ]


def name_of(entry: Entry) -> str:
    """Return an entry's place in words."""
    return f"entry {entry.seq} of {entry.author.hex()[:8]}"
