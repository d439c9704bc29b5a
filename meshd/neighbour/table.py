"""Who is there: the neighbours of each link, how well they are heard, and what each may ask of us.

Enters: hellos, IHUs and deadlines. Leaves: costs, which `routing` reads. A neighbour is one address
on one link. The table is bounded per link, so that strangers on one link take nothing from another;
every source has its own budget of bytes, because decoding is what a datagram costs.
Must not know: routes, packets. Ref: RFC 8966 §3.4.
"""

from collections.abc import Iterator

from meshd.core.events import Link
from meshd.core.ids import Prefix
from meshd.neighbour.cost import CLEAN_HOP, INFINITY, link_cost, rx_cost
from meshd.neighbour.hello import HelloHistory

NEIGHBOURS_PER_LINK_MAX = 64
BUDGET_BYTES_PER_S = 64 * 1024
BUDGET_BYTES_MAX = 128 * 1024
UNPROMISED_US = 10_000_000
"""When a hello counts as missed by a neighbour that never promised one."""

DATAGRAM_COST_BYTES = 100
"""What a datagram costs beside its length, so that empty ones are not free."""


DUMPS_AT_ONCE = 4
"""Full tables that a neighbour gets when it is new: the greetings, of which some may be lost."""

DUMP_EVERY_US = 4_000_000
ANSWER_BYTES_PER_S = 512
ANSWER_BYTES_MAX = 4096
"""The share of answers that a neighbour has for itself, whatever others on its link ask."""

ACKED_US = 16_000_000
"""How long an acknowledgment stands for an IHU: a hello longer than BIRD's IHUs are apart."""


class Budget:
    """A token bucket in bytes."""

    __slots__ = ("_at_us", "_most", "_per_s", "_tokens")

    def __init__(
        self, now: int, per_s: int = BUDGET_BYTES_PER_S, most: int = BUDGET_BYTES_MAX
    ) -> None:
        self._per_s = per_s
        self._most = self._tokens = most
        self._at_us = now

    def take(self, size: int, now: int) -> bool:
        """Pay for a datagram of `size` bytes; False when the budget is used up."""
        self._earn(now)
        size += DATAGRAM_COST_BYTES
        if size > self._tokens:
            return False
        self._tokens -= size
        return True

    def owe(self, size: int) -> None:
        """Pay for a datagram that was sent in any case; what is missing is a debt."""
        self._tokens -= size + DATAGRAM_COST_BYTES

    def wait_us(self, now: int) -> int:
        """Return how long it takes until nothing is owed; 0 when that is so."""
        self._earn(now)
        return max(-self._tokens * 1_000_000 // self._per_s, 0)

    def _earn(self, now: int) -> None:
        earned = (now - self._at_us) * self._per_s // 1_000_000
        if earned > 0:
            self._at_us = now
            tokens = self._tokens + earned
            self._tokens = tokens if tokens < self._most else self._most


class Neighbour:
    """One neighbour on one link.

    `origin` is the address that it announces as its own, if heard; `told_rxcost` is what our last
    IHU to it said; `healed`, when it was told which seqno of a prefix of its own is known.
    """

    __slots__ = (
        *(
            "address",
            "answers",
            "budget",
            "cost",
            "greeted_us",
            "greetings",
            "healed",
            "heard_us",
            "hop",
        ),
        *("link", "multicast", "origin", "rxcost", "since_us", "timer", "told_rxcost", "txcost"),
        *("unicast", "up", "_dump_us", "_hello_due", "_hello_us", "_ihu_due", "_seen"),
        *("_ack_wanted", "_unicast_due", "_unicast_us"),
    )

    def __init__(self, link: Link, address: bytes, now: int) -> None:
        self.link = link
        self.address = address
        self.hop = (link.name, address)
        self.timer = ("routing", "neighbour", link.name, address)
        self.since_us = self.heard_us = now
        self.budget = Budget(now)
        self.answers = Budget(now, ANSWER_BYTES_PER_S, ANSWER_BYTES_MAX)
        self._dump_us = now
        self.multicast = HelloHistory()
        self.unicast = HelloHistory()
        self.rxcost = self.txcost = self.cost = INFINITY
        self.told_rxcost = INFINITY
        self.up = False
        self.origin: bytes | None = None
        self.greeted_us: int | None = None
        self.greetings = 0
        self.healed: dict[Prefix, int] = {}
        self._hello_us = self._unicast_us = 0
        self._hello_due: int | None = None
        self._unicast_due: int | None = None
        self._ihu_due: int | None = None
        self._ack_wanted: int | None = None
        self._seen: tuple[int, ...] = ()

    def may_dump(self, now: int) -> bool:
        """Tell whether it may get the full table, and count that it does."""
        due = max(self._dump_us, now)
        if due - now > (DUMPS_AT_ONCE - 1) * DUMP_EVERY_US:
            return False
        self._dump_us = due + DUMP_EVERY_US
        return True

    def hello(self, seqno: int, interval_us: int, now: int, *, unicast: bool) -> bool:
        """Note a hello; False when the neighbour must have restarted since the last one.

        Then what it heard of us is void too (RFC 8966 Appendix A.1).
        """
        self.heard_us = now
        history = self.unicast if unicast else self.multicast
        same = history.heard(seqno)
        if not same:
            self.txcost = self.told_rxcost = INFINITY
            self._ihu_due = self._ack_wanted = None
        if interval_us:
            due = now + interval_us * 3 // 2
            if unicast:
                self._unicast_us, self._unicast_due = interval_us, due
            else:
                self._hello_us, self._hello_due = interval_us, due
        elif self.deadline() is None:
            self._hello_us, self._hello_due = UNPROMISED_US, now + UNPROMISED_US
        return same

    def steady(
        self, seqno: int, interval_us: int, now: int, *, heard: tuple[int, int] | None
    ) -> bool:
        """Note a multicast hello that changes no cost; False, and nothing done, when it may.

        `heard` is what an IHU with it says: the cost, and how long that holds.
        """
        history = self.multicast
        if history.expected != seqno or not history.clean or self.txcost == INFINITY:
            return False
        if heard is not None:
            if heard[0] != self.txcost:
                return False
            self._ihu_due = now + heard[1]
        history.heard_next()
        self.heard_us = now
        self._hello_us, self._hello_due = interval_us, now + interval_us * 3 // 2
        return True

    def ihu(self, rxcost: int, hold_us: int, now: int) -> None:
        """Note how well the neighbour hears us."""
        self.txcost = rxcost
        self._ihu_due = now + hold_us

    def ask_ack(self, opaque: int) -> None:
        """Note which acknowledgment of a unicast tells that the neighbour hears us."""
        self._ack_wanted = opaque

    def acknowledged(self, opaque: int, now: int) -> bool:
        """Take a clean hop for granted until the IHU comes, if this is the answer awaited.

        BIRD tells a neighbour that restarted how it hears it up to 12 s later.
        """
        if opaque != self._ack_wanted or self.txcost != INFINITY:
            return False
        self._ack_wanted = None
        self.ihu(CLEAN_HOP, ACKED_US, now)
        return True

    def expire(self, now: int) -> None:
        """Count what was promised for before `now` and did not come."""
        if self._hello_due is not None and now >= self._hello_due:
            self.multicast.missed()
            self._hello_due += max(self._hello_us, now - self._hello_due)
        if self._unicast_due is not None and now >= self._unicast_due:
            self.unicast.missed()
            self._unicast_due += max(self._unicast_us, now - self._unicast_due)
        if self._ihu_due is not None and now >= self._ihu_due:
            self.txcost = INFINITY
            self._ihu_due = None

    def deadline(self) -> int | None:
        """Return when `expire` has something to do next."""
        due = self._hello_due
        for other in (self._unicast_due, self._ihu_due):
            if other is not None and (due is None or other < due):
                due = other
        return due

    def update_cost(self) -> bool:
        """Work the costs out again; tell whether the link's cost changed."""
        heard, unicast = self.multicast, self.unicast
        seen = (heard.bits, heard.samples, unicast.bits, unicast.samples, self.txcost)
        if seen == self._seen:
            return False
        self._seen = seen
        self.rxcost = rx_cost(self.link.kind, self.multicast, self.unicast)
        before, self.cost = self.cost, link_cost(self.link.kind, self.rxcost, self.txcost)
        return self.cost != before

    @property
    def silent(self) -> bool:
        """Tell whether both histories are empty: it is not there any more."""
        return not self.multicast.bits and not self.unicast.bits

    @property
    def clean(self) -> bool:
        """Tell whether no hello of late was missed, so that few IHUs are enough."""
        return self.multicast.clean and self.txcost != INFINITY


class NeighbourTable:
    """All neighbours, by link name and address."""

    __slots__ = ("_by_link",)

    def __init__(self) -> None:
        self._by_link: dict[str, dict[bytes, Neighbour]] = {}

    def get(self, name: str, address: bytes) -> Neighbour | None:
        """Return the neighbour with `address` on link `name`."""
        return self._by_link.get(name, {}).get(address)

    def on(self, name: str) -> tuple[Neighbour, ...]:
        """Return the neighbours on a link."""
        return tuple(self._by_link.get(name, {}).values())

    def __iter__(self) -> Iterator[Neighbour]:
        for neighbours in self._by_link.values():
            yield from neighbours.values()

    def add(self, neighbour: Neighbour) -> None:
        """Take a neighbour in; the caller made room by `victim`."""
        self._by_link.setdefault(neighbour.link.name, {})[neighbour.address] = neighbour

    def full(self, name: str) -> bool:
        """Tell whether the link has as many neighbours as it may."""
        return len(self._by_link.get(name, {})) >= NEIGHBOURS_PER_LINK_MAX

    def victim(self, name: str, now: int) -> Neighbour | None:
        """Return who makes room on a full link: the one longest here that never heard us."""
        idle = [
            neighbour
            for neighbour in self.on(name)
            if neighbour.cost == INFINITY and now > neighbour.since_us + 1_000_000
        ]
        return min(idle, key=lambda neighbour: neighbour.since_us, default=None)

    def remove(self, neighbour: Neighbour) -> None:
        """Forget a neighbour."""
        on_link = self._by_link.get(neighbour.link.name, {})
        on_link.pop(neighbour.address, None)
        if not on_link:
            self._by_link.pop(neighbour.link.name, None)
