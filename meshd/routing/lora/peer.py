"""One neighbour on LoRa as routing knows it, and what it said that waits to be understood.

Enters: what was heard of it. Leaves: what a hop to it costs. Must not know: the route table,
frames.
"""

from collections import deque

from meshd.core.ids import SHORT_LEN, node_of_address
from meshd.neighbour.table import Neighbour
from meshd.routing.lora.names import Names
from meshd.routing.lora.rules import Rules
from meshd.wire.lora_routes import RouteEntry

WAITING_MAX = 16
"""Groups of one neighbour that wait for names."""

LATE_HOPS = 3
"""So many hops dearer is who may be gone: a way over one hop more, though a weak one, goes before
it, and is asked for where it is not feasible."""

DOUBT_SOON = 30
"""After so many times the time in which changes are told a message of others blames it again."""


class Group:
    """Up to eight short entries and their check, at the time they were heard.

    `news` are those of which nothing later was said; `asked`: how often names were asked for.
    """

    __slots__ = ("asked", "check", "entries", "heard_us", "news", "period")

    def __init__(
        self, entries: tuple[RouteEntry, ...], check: bytes, period: int, now: int
    ) -> None:
        self.entries = entries
        self.check = check
        self.period = period
        self.heard_us = now
        self.news = {entry.short for entry in entries}
        self.asked = 0


class Peer:
    """One node in earshot. `hears_us`: it said that it hears us; `silent`: failures in a row.

    `up_us`: since when; `doubted_us`: from then on failures of what others sent count;
    `late`: it may be gone.
    """

    __slots__ = (
        *("boot", "heard_us", "hears_us", "margin_db", "names", "neighbour", "node", "proven"),
        *("doubted_us", "late", "silent", "up_us", "waiting"),
    )

    def __init__(self, neighbour: Neighbour) -> None:
        self.neighbour = neighbour
        self.node = node_of_address(neighbour.address)
        self.names = Names()
        self.waiting: deque[Group] = deque(maxlen=WAITING_MAX)
        self.boot: int | None = None
        self.heard_us = 0
        self.hears_us = self.proven = self.late = False
        self.margin_db = 0.0
        self.silent = self.doubted_us = self.up_us = 0

    def steps(self, rules: Rules) -> int:
        """Return what a hop to it costs; to who may be gone, so much that another way is taken."""
        steps = rules.hop_cost + (rules.hop_cost // 4 if self.margin_db < rules.margin_db else 0)
        return steps + (LATE_HOPS * rules.hop_cost if self.late else 0)

    @property
    def short(self) -> bytes:
        """Its short address."""
        return self.node[:SHORT_LEN]
