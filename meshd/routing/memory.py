"""Packets of a neighbour that are known by their bytes, so that hearing them again is one write.

Enters: packets that were read, each with the lease of its routes. Leaves: that lease, when the same
bytes come again and nothing in them needs to be read. Bounded by number and by length.
Must not know: what packets say, who their sender is.
"""

from meshd.core.ids import Prefix
from meshd.routing.table import Lease

REMEMBERED_MAX = 32
"""Packets remembered by bytes for each neighbour: dumps of 2,000 routes, 48 kB at most.

Longer ones than `KEPT_LEN_MAX` are read each time: padding could fill the memory with them.
"""

WORD_LEN_MAX = 256
"""Triggered updates, mostly shorter than this, make room for each other before a page of a dump."""


class Memory:
    """Packets of a neighbour that are known by their bytes, and by the prefix they begin with."""

    __slots__ = ("heads", "leases")

    def __init__(self) -> None:
        self.leases: dict[bytes, Lease] = {}
        self.heads: dict[Prefix, bytes] = {}

    def keep(self, data: bytes, head: Prefix, lease: Lease) -> None:
        """Know a packet, in the place of the one with the same head; its strays stay strays."""
        strays = lease.strays if lease.head is not None else ()
        self.forget(head)
        if len(self.leases) >= REMEMBERED_MAX:
            self.forget(self._least())
        self.leases[data], self.heads[head] = lease, data
        lease.head, lease.data, lease.strays = head, data, strays

    def _least(self) -> Prefix:
        """Return the head of the packet that would be missed least."""
        for head, data in self.heads.items():
            if len(data) <= WORD_LEN_MAX:
                return head
        return min(self.heads, key=lambda head: self.leases[self.heads[head]].expires_us)

    def forget(self, head: Prefix) -> None:
        """Know a packet no more."""
        data = self.heads.pop(head, None)
        if data is not None:
            lease = self.leases.pop(data)
            lease.head, lease.data, lease.strays = None, b"", ()
